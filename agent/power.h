/* How a machine ends: processes, then disks, then power. */
#ifndef MVM_POWER_H
#define MVM_POWER_H

#include "options.h"

/* Ends every other process, syncs, unmounts what holds data, and asks the kernel. Takes some two
 * seconds at most, and up to MVM_DISK_PATIENCE_MS more if a disk does not answer. Returns only if
 * the kernel refuses. */
void mvm_power_end(enum mvm_power how);

#endif
