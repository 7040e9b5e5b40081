/* Block devices that process 1 uses before it serves, and what it could not do. */
#ifndef MVM_INIT_DEVICE_H
#define MVM_INIT_DEVICE_H

#include "system.h"
#include <stdbool.h>

/* Opens a device for reading; waits for it up to MVM_ROOT_WAIT_MS, because drivers may find their
 * devices after process 1 has started. -1: errno. */
int mvm_init_device_open(const char *device);

/* Logs `what``name`: `why`. Returns false. */
bool mvm_init_fail(const char *what, const char *name, const char *why);

/* The same of a mount that failed with `err`, by that and the kernel's log since `log` was opened.
 */
bool mvm_init_fail_mount(const char *what, const char *device, const char *type, int err,
                         struct mvm_posix_kmsg *log);

#endif
