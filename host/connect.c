/* Connecting: Unix sockets, vsock, hybrid vsock, serial lines. */
#define _GNU_SOURCE
#include "connect.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG_RETRY_MS = 20, /* a Unix socket whose backlog is full knows no "in progress" */
    OK_LINE_MAX = 32,      /* "OK 4294967295" and room for the future */
    VSOCK_CONNECT_TIMEOUT = 6,
};

/* vsock(7), spelled out: not every libc comes with the kernel's headers. */
struct vsock_address {
    sa_family_t family;
    uint16_t reserved;
    uint32_t port;
    uint32_t cid;
    uint8_t zero[4];
};

static bool fail(struct mvm_writer *why, const char *call, int error)
{
    mvm_writer_add(why, call);
    mvm_writer_add(why, ": ");
    mvm_writer_add(why, strerror(error));
    return false;
}

static bool fail_saying(struct mvm_writer *why, const char *text)
{
    mvm_writer_add(why, text);
    return false;
}

/* Waits for `events`; false where the time was over or a signal came. */
static bool ready(int fd, short events, struct mvm_waiter *w, uint64_t until_ms,
                  struct mvm_writer *why)
{
    switch (mvm_waiter_wait(w, fd, events, until_ms, NULL)) {
    case MVM_WAKE_READY:
        return true;
    case MVM_WAKE_TIME:
        return fail_saying(why, "no answer in time");
    case MVM_WAKE_SIGNAL:
        return fail_saying(why, "interrupted");
    }
    return false;
}

/* ---- sockets ---- */

static bool finish_connecting(int fd, struct mvm_waiter *w, uint64_t until_ms,
                              struct mvm_writer *why)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (!ready(fd, POLLOUT, w, until_ms, why)) {
        return false;
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
        if (errno != EAGAIN || mvm_clock_ms() >= until_ms) {
            return fail(why, "connect", errno);
        }
        uint64_t retry_ms = mvm_clock_ms() + BACKLOG_RETRY_MS;
        if (mvm_waiter_wait(w, -1, 0, retry_ms, NULL) == MVM_WAKE_SIGNAL) {
            return fail_saying(why, "interrupted");
        }
    }
    return true;
}

static int open_socket(int family, struct mvm_writer *why)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail(why, "socket", errno);
    }
    return fd;
}

static bool open_unix(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                      uint64_t until_ms, struct mvm_writer *why)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, p->path, strlen(p->path)); /* the parser has measured it */
    c->fd = open_socket(AF_UNIX, why);
    return c->fd >= 0 && connect_socket(c->fd, &name, sizeof name, w, until_ms, why);
}

static bool open_vsock(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                       uint64_t until_ms, struct mvm_writer *why)
{
    struct vsock_address name = {.family = AF_VSOCK, .port = p->port, .cid = p->cid};
    struct timeval patience = {.tv_sec = MVM_CONNECT_MS / 1000};
    c->fd = open_socket(AF_VSOCK, why);
    if (c->fd < 0) {
        return false;
    }
    /* The kernel gives up after two seconds by itself. An old one that does not know the option
     * goes on doing so. */
    setsockopt(c->fd, AF_VSOCK, VSOCK_CONNECT_TIMEOUT, &patience, sizeof patience);
    return connect_socket(c->fd, &name, sizeof name, w, until_ms, why);
}

/* ---- hybrid vsock ---- */

static bool send_connect(int fd, uint32_t port, struct mvm_writer *why)
{
    char text[40];
    struct mvm_writer line;
    mvm_writer_init(&line, text, sizeof text);
    mvm_writer_add(&line, "CONNECT ");
    mvm_writer_add_u64(&line, port);
    mvm_writer_add(&line, "\n");
    ssize_t n = send(fd, text, line.len, MSG_NOSIGNAL);
    if (n < 0) {
        return fail(why, "send", errno);
    }
    return (size_t)n == line.len || fail_saying(why, "send: CONNECT was cut short");
}

/* One byte; false where there is none to come. A connection reset has lost nothing that we sent
 * for good: it is one more way to say nothing. */
static bool read_byte(int fd, char *byte, struct mvm_waiter *w, uint64_t until_ms,
                      struct mvm_writer *why)
{
    for (;;) {
        ssize_t n = recv(fd, byte, 1, 0);
        if (n == 1) {
            return true;
        }
        if (n == 0 || errno == ECONNRESET || errno == EPIPE) {
            return fail_saying(why, "closed without a word: nobody listens on that port in the "
                                    "guest");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail(why, "recv", errno);
        }
        if (!ready(fd, POLLIN, w, until_ms, why)) {
            return false;
        }
    }
}

bool mvm_hybrid_handshake(int fd, uint32_t port, struct mvm_waiter *w, uint64_t until_ms,
                          struct mvm_writer *why)
{
    char line[OK_LINE_MAX + 1];
    uint64_t host_port;
    size_t len = 0;
    if (!send_connect(fd, port, why)) {
        return false;
    }
    for (;;) {
        if (!read_byte(fd, &line[len], w, until_ms, why)) {
            return false;
        }
        if (line[len] == '\n') {
            break;
        }
        if (++len == OK_LINE_MAX) {
            return fail_saying(why, "the answer to CONNECT is no OK line");
        }
    }
    line[len] = '\0';
    if (strncmp(line, "OK ", 3) != 0 || !mvm_number_parse(line + 3, UINT32_MAX, &host_port)) {
        return fail_saying(why, "the answer to CONNECT is no OK line");
    }
    return true;
}

static bool open_hybrid(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                        uint64_t until_ms, struct mvm_writer *why)
{
    return open_unix(c, p, w, until_ms, why) &&
           mvm_hybrid_handshake(c->fd, p->port, w, until_ms, why);
}

/* ---- serial lines ---- */

static bool make_raw(struct mvm_connection *c, struct mvm_writer *why)
{
    if (tcgetattr(c->fd, &c->saved) < 0) {
        return fail(why, "tcgetattr", errno);
    }
    struct termios raw = c->saved;
    cfmakeraw(&raw);
    raw.c_cflag |= CLOCAL | CREAD;
    /* What was received before we came is nothing to us. */
    if (tcsetattr(c->fd, TCSAFLUSH, &raw) < 0) {
        return fail(why, "tcsetattr", errno);
    }
    c->is_tty = true;
    return true;
}

static bool open_serial(struct mvm_connection *c, const struct mvm_peer *p, struct mvm_waiter *w,
                        uint64_t until_ms, struct mvm_writer *why)
{
    c->fd = open(p->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (c->fd < 0) {
        return fail(why, "open", errno);
    }
    if (isatty(c->fd) && !make_raw(c, why)) {
        return false;
    }
    if (!ready(c->fd, POLLOUT, w, until_ms, why)) {
        return false;
    }
    return write(c->fd, "\n", 1) == 1 || fail(why, "write", errno);
}

/* ---- any ---- */

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
    uint64_t limit_ms = mvm_clock_ms() + MVM_CONNECT_MS;
    *c = (struct mvm_connection){.fd = -1};
    if (openers[p->kind](c, p, w, until_ms < limit_ms ? until_ms : limit_ms, why)) {
        return true;
    }
    mvm_connection_close(c);
    return false;
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
