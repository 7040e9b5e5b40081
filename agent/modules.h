/* Kernel modules from files, by finit_module(2): no dependencies, no configuration, no search. */
#ifndef MVM_MODULES_H
#define MVM_MODULES_H

#include "options.h"

/* Loads them in the order given. One that is loaded already is fine; one that cannot be is said,
 * and passed over. */
void mvm_modules_load(const struct mvm_module *modules, size_t len);

#endif
