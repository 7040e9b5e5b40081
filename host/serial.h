/* Serial lines: ttys and virtio-serial ports. */
#ifndef MVM_SERIAL_H
#define MVM_SERIAL_H

#include "connection.h"

/* Opens the device, makes a terminal raw and sends a newline. True: c->fd is ready. False: `why`
 * gives the reason; c->fd may be open. */
bool mvm_serial_open(struct mvm_connection *c, const char *path, struct mvm_waiter *w,
                     uint64_t until_ms, struct mvm_writer *why);

#endif
