/*
 * The handshake of hybrid vsock, by which Firecracker, Cloud Hypervisor and others offer the vsock
 * of their guest on a Unix socket.
 */
#ifndef MVM_HYBRID_H
#define MVM_HYBRID_H

#include "host_limits.h"
#include "mvm_text.h"
#include "wait.h"

/*
 * On a fresh connection to the monitor: sends "CONNECT PORT\n" in one write, since some monitors
 * drop fragments, and reads the line "OK N\n" and not one byte more: frames can follow directly.
 * True: the guest is connected. False: `why` gives the reason, or w->signal is set; `fd` stays
 * open in any case.
 */
bool mvm_hybrid_handshake(int fd, uint32_t port, struct mvm_waiter *w, uint64_t until_ms,
                          struct mvm_writer *why);

#endif
