/*
 * Kernel modules by finit_module(2): from files, from a list of files, or by name from a directory
 * as depmod(8) leaves it, /lib/modules/RELEASE, with their dependencies. Compressed ones (.ko.xz,
 * .ko.zst, .ko.gz) are decompressed by the kernel, if it was built to.
 */
#ifndef MVM_MODULES_H
#define MVM_MODULES_H

#include "options.h"

/* Loads them in the order given. A directory adds what a virtual machine commonly needs. It is
 * not an error if one is loaded already, or built in; one that cannot be loaded is logged and
 * skipped. */
void mvm_modules_load(const struct mvm_module *modules, size_t len);

#endif
