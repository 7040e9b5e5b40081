/*
 * A connection to an agent, by any kind of address: a non-blocking descriptor that carries frames
 * both ways.
 */
#ifndef MVM_CONNECT_H
#define MVM_CONNECT_H

#include "address.h"
#include "mvm_text.h"
#include "wait.h"
#include <termios.h>

/* How long a connection may take to come about, all in all: a guest that is up answers in
 * milliseconds, one that is booting under load can need a second or two. */
#define MVM_CONNECT_MS 5000

struct mvm_connection {
    int fd;
    bool is_tty; /* `saved` holds how the terminal was set before */
    struct termios saved;
};

/*
 * Connects; `until_ms` bounds it besides MVM_CONNECT_MS. True: the connection is up. False: `why`
 * says which call failed and why, or w->signal is set.
 * SERIAL: makes a terminal raw until it is closed, and sends a newline, which ends whatever a
 * host before us left half said.
 */
bool mvm_connection_open(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                         uint64_t until_ms, struct mvm_writer *why);

/* Harmless when it is closed already. */
void mvm_connection_close(struct mvm_connection *c);

/*
 * The hybrid vsock handshake on a fresh connection to the monitor: sends "CONNECT PORT\n" in one
 * write, as fragments are dropped by some, and reads the line "OK N\n" and not one byte more:
 * frames may stand right behind it. Results as above; `fd` stays open in any case.
 */
bool mvm_hybrid_handshake(int fd, uint32_t port, struct mvm_waiter *w, uint64_t until_ms,
                          struct mvm_writer *why);

#endif
