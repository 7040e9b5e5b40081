/* A disk that process 1 and builds are to have, by whatever names. */
#ifndef MVM_INIT_ROLES_H
#define MVM_INIT_ROLES_H

#include "options.h"

/* After root and store are in place. Builds cannot have the disk of one of these as well: an output
 * disk could not be released, so builds with disks are rejected from the start; an input disk is
 * the kernel's to refuse. Both are logged. */
void mvm_init_roles(struct mvm_options *o);

#endif
