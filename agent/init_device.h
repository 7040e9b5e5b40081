/* Block devices that process 1 uses before it serves. */
#ifndef MVM_INIT_DEVICE_H
#define MVM_INIT_DEVICE_H

#include <stdbool.h>

/* Opens a device for reading; waits for it up to MVM_ROOT_WAIT_MS, because drivers may find their
 * devices after process 1 has started. -1: errno. */
int mvm_init_device_open(const char *device);

/* Logs `what``device`: `why`. Returns false. */
bool mvm_init_device_fail(const char *what, const char *device, const char *why);

#endif
