/* Connecting, reading and writing: Unix sockets, vsock, hybrid vsock, serial lines. */
#define _GNU_SOURCE
#include "connection.h"
#include "deadline.h"
#include "hybrid.h"
#include "serial.h"
#include "vsock.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* connect(2) of a Unix socket has no "in progress" for a full backlog. */
enum { BACKLOG_RETRY_MS = 20 };

static bool fail(struct mvm_writer *why, const char *call, int error)
{
    mvm_writer_add3(why, call, ": ", strerror(error));
    return false;
}

static bool fail_waiting(struct mvm_writer *why, enum mvm_wake wake)
{
    mvm_writer_add(why, wake == MVM_WAKE_SIGNAL ? "interrupted" : "no answer in time");
    return false;
}

/* ---- sockets ---- */

static bool finish_connecting(int fd, struct mvm_waiter *w, uint64_t until_ms,
                              struct mvm_writer *why)
{
    int error = 0;
    socklen_t len = sizeof error;
    enum mvm_wake wake = mvm_waiter_wait(w, fd, POLLOUT, until_ms, NULL);
    if (wake != MVM_WAKE_READY) {
        return fail_waiting(why, wake);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return fail(why, "getsockopt", errno);
    }
    return error == 0 || fail(why, "connect", error);
}

static bool connect_socket(int fd, const void *name, socklen_t len, struct mvm_waiter *w,
                           uint64_t until_ms, struct mvm_writer *why)
{
    while (connect(fd, name, len) < 0) {
        if (errno == EINPROGRESS) {
            return finish_connecting(fd, w, until_ms, why);
        }
        if (errno != EAGAIN) {
            return fail(why, "connect", errno);
        }
        if (mvm_clock_ms() >= until_ms) { /* the backlog was full all the time */
            return fail_waiting(why, MVM_WAKE_TIME);
        }
        uint64_t retry_ms = mvm_clock_ms() + BACKLOG_RETRY_MS;
        if (mvm_waiter_wait(w, -1, 0, retry_ms, NULL) == MVM_WAKE_SIGNAL) {
            return fail_waiting(why, MVM_WAKE_SIGNAL);
        }
    }
    return true;
}

static bool open_socket(struct mvm_connection *c, int family, struct mvm_writer *why)
{
    c->is_socket = true;
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return c->fd >= 0 || fail(why, "socket", errno);
}

static bool open_unix(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                      uint64_t until_ms, struct mvm_writer *why)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, p->path, strlen(p->path)); /* the parser has checked the length */
    return open_socket(c, AF_UNIX, why) &&
           connect_socket(c->fd, &name, sizeof name, w, until_ms, why);
}

static bool open_vsock(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                       uint64_t until_ms, struct mvm_writer *why)
{
    struct mvm_vsock_name name = {.family = AF_VSOCK, .port = p->port, .cid = p->cid};
    struct timeval limit = {.tv_sec = MVM_HOST_CONNECT_MS / 1000,
                            .tv_usec = MVM_HOST_CONNECT_MS % 1000 * 1000L};
    if (!open_socket(c, AF_VSOCK, why)) {
        return false;
    }
    /* The kernel's default is two seconds; an older kernel lacks the option. */
    setsockopt(c->fd, AF_VSOCK, MVM_VSOCK_CONNECT_TIMEOUT, &limit, sizeof limit);
    return connect_socket(c->fd, &name, sizeof name, w, until_ms, why);
}

static bool open_hybrid(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                        uint64_t until_ms, struct mvm_writer *why)
{
    return open_unix(c, p, w, until_ms, why) &&
           mvm_hybrid_handshake(c->fd, p->port, w, until_ms, why);
}

static bool open_serial(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                        uint64_t until_ms, struct mvm_writer *why)
{
    return mvm_serial_open(c, p->path, w, until_ms, why);
}

/* ---- any ---- */

void mvm_connection_init(struct mvm_connection *c)
{
    *c = (struct mvm_connection){.fd = -1};
}

bool mvm_connection_open(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                         uint64_t until_ms, struct mvm_writer *why)
{
    static bool (*const openers[])(struct mvm_connection *, const struct mvm_peer *,
                                   struct mvm_waiter *, uint64_t, struct mvm_writer *) = {
        [MVM_PEER_UNIX] = open_unix,
        [MVM_PEER_VSOCK] = open_vsock,
        [MVM_PEER_HYBRID] = open_hybrid,
        [MVM_PEER_SERIAL] = open_serial,
    };
    uint64_t limit_ms = mvm_clock_after(MVM_HOST_CONNECT_MS);
    mvm_connection_init(c);
    if (openers[p->kind](c, p, w, mvm_sooner(until_ms, limit_ms), why)) {
        return true;
    }
    mvm_connection_close(c);
    return false;
}

ptrdiff_t mvm_connection_read(struct mvm_connection *c, void *room, size_t cap,
                              struct mvm_writer *why)
{
    ssize_t n = read(c->fd, room, cap);
    if (n > 0) {
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (n == 0) {
        mvm_writer_add(why, "the agent's side closed it");
    } else {
        fail(why, "read", errno);
    }
    return -1;
}

size_t mvm_connection_write(struct mvm_connection *c, const void *bytes, size_t len)
{
    ssize_t n = write(c->fd, bytes, len);
    if (n >= 0) {
        return (size_t)n;
    }
    return errno == EAGAIN || errno == EINTR ? 0 : len;
}

void mvm_connection_close(struct mvm_connection *c)
{
    if (c->fd < 0) {
        return;
    }
    if (c->is_tty) {
        tcsetattr(c->fd, TCSANOW, &c->saved);
    }
    close(c->fd);
    c->fd = -1;
}

/* Reads and drops what arrives, until the other side closes. No signal cuts this short: it is
 * bounded, and a signal is why it is done. */
static void drain(int fd)
{
    static char dropped[65536];
    uint64_t until_ms = mvm_clock_after(MVM_HOST_LINGER_MS);
    for (uint64_t now = mvm_clock_ms(); now < until_ms; now = mvm_clock_ms()) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(until_ms - now)) <= 0) {
            continue;
        }
        ssize_t n = read(fd, dropped, sizeof dropped);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return;
        }
    }
}

void mvm_connection_abandon(struct mvm_connection *c)
{
    if (c->fd >= 0 && c->is_socket && shutdown(c->fd, SHUT_WR) == 0) {
        drain(c->fd);
    }
    mvm_connection_close(c);
}
