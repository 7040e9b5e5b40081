/* How a machine ends: processes, then disks, then power. */
#ifndef MVM_POWER_H
#define MVM_POWER_H

#include "options.h"

/* Ends every other process, syncs, unmounts what holds data, and asks the kernel. Takes some two
 * seconds at most, and up to MVM_DISK_PATIENCE_MS more if a disk does not answer. Returns only if
 * the kernel refuses. In a container (`contained`) the disks are the machine's: none is unmounted
 * or made read-only; and it returns, unless it is to be started again, which is the kernel's to
 * report. */
void mvm_power_end(enum mvm_power how, bool contained);

#endif
