/* From an initramfs to the machine's root file system on a disk, as switch_root(8) does. */
#ifndef MVM_INIT_ROOT_H
#define MVM_INIT_ROOT_H

#include <stdbool.h>

/* Waits for the block device, up to MVM_ROOT_WAIT_MS, mounts it, makes it the root of this process,
 * and mounts /proc and the others there. Read-only if the device is. False: the reason is logged,
 * and the root is unchanged. */
bool mvm_init_root(const char *device);

#endif
