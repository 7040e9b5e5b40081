/*
 * The connection to an agent, by any kind of address: a non-blocking descriptor that carries bytes
 * both ways. It does not know about frames.
 */
#ifndef MVM_CONNECTION_H
#define MVM_CONNECTION_H

#include "address.h"
#include "host_limits.h"
#include "mvm_text.h"
#include "wait.h"
#include <stddef.h>
#include <termios.h>

struct mvm_connection {
    int fd; /* -1: closed */
    bool is_socket;
    bool is_tty; /* `saved` holds the terminal's settings from before */
    struct termios saved;
};

/* A closed connection. */
void mvm_connection_init(struct mvm_connection *c);

/*
 * Connects; `until_ms` bounds it besides MVM_HOST_CONNECT_MS. True: the connection is up. False:
 * `why` names the call that failed and the reason, or w->signal is set. SERIAL: makes a terminal
 * raw until it is closed, and sends a newline, which ends a line that an earlier host left
 * incomplete.
 */
bool mvm_connection_open(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                         uint64_t until_ms, struct mvm_writer *why);

/* Reads what has arrived, up to `cap` bytes. Positive: so many; 0: nothing now; negative: the
 * connection has ended and `why` gives the reason. */
ptrdiff_t mvm_connection_read(struct mvm_connection *c, void *room, size_t cap,
                              struct mvm_writer *why);

/* Writes as much as the connection accepts now; returns the number of bytes. A failed connection
 * accepts all: reading reports the failure, after what the agent still sent. */
size_t mvm_connection_write(struct mvm_connection *c, const void *bytes, size_t len);

/* Does nothing if it is closed already. */
void mvm_connection_close(struct mvm_connection *c);

/*
 * Closes a connection whose answer is no longer wanted. A socket is shut down first and then read
 * until the other side closes it too, for MVM_HOST_LINGER_MS at most: some monitors do not report a
 * close to the guest if bytes were left unread.
 */
void mvm_connection_abandon(struct mvm_connection *c);

#endif
