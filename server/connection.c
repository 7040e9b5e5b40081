/* One client's descriptor: bytes between the kernel and the session. */
#define _GNU_SOURCE
#include "serial_line.h"
#include "server_internal.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static void find_kind(struct mvm_server_connection *c)
{
    struct termios terminal;
    int domain = 0;
    socklen_t len = sizeof domain;
    c->socket = getsockopt(c->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0;
    c->tty = !c->socket && tcgetattr(c->fd, &terminal) == 0;
    if (c->listener != NULL && c->listener->address.kind == MVM_ADDRESS_SERIAL) {
        c->kind = MVM_CONNECTION_SERIAL;
    } else {
        c->kind = c->socket && domain == AF_VSOCK ? MVM_CONNECTION_VSOCK : MVM_CONNECTION_STREAM;
    }
    c->awake = c->readable = c->writable = true;
    c->ended = c->room_asked = false;
    c->newline_due = c->kind == MVM_CONNECTION_SERIAL;
}

void mvm_server_connection_init(struct mvm_server_connection *c, struct mvm_client *client, int fd,
                                struct mvm_server_listener *listener)
{
    *c = (struct mvm_server_connection){.client = client, .fd = fd, .listener = listener};
    find_kind(c);
    client->permanent = client->session.json_alone = c->kind == MVM_CONNECTION_SERIAL;
}

void mvm_server_connection_reopen(struct mvm_server_connection *c, int fd)
{
    c->fd = fd;
    find_kind(c);
}

void mvm_server_connection_event(struct mvm_server_connection *c, uint32_t events)
{
    uint32_t hang_up = EPOLLHUP | EPOLLERR;
    c->awake = true;
    if (c->kind == MVM_CONNECTION_VSOCK) {
        hang_up |= EPOLLRDHUP;
    }
    c->readable = c->readable || c->away || (events & ~(uint32_t)EPOLLOUT) != 0;
    c->writable = c->writable || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    c->ended = c->ended || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (c->kind != MVM_CONNECTION_SERIAL && (events & hang_up) != 0) {
        c->hung_up = true;
    }
}

/* A process that the program has forked may hold a copy of the descriptor: what the last close
 * would do is done here. On vsock, to shut down might cut what is under way; of an inherited
 * connection such a copy may be meant. */
void mvm_server_connection_close(struct mvm_server *s, struct mvm_server_connection *c)
{
    if (c->fd < 0) {
        return;
    }
    if (c->kind == MVM_CONNECTION_SERIAL) {
        mvm_serial_line_unlock(c->fd);
    } else if (c->kind == MVM_CONNECTION_STREAM && c->listener == NULL) {
        shutdown(c->fd, SHUT_RDWR);
    }
    mvm_server_watch_drop(s, c->fd);
    c->fd = -1;
}

/* The descriptor has failed. A serial line is closed, and opened again later; its builds continue
 * meanwhile. */
static void lose_line(struct mvm_server *s, struct mvm_server_connection *c, const char *why)
{
    if (c->kind != MVM_CONNECTION_SERIAL) {
        c->gone = true;
        return;
    }
    mvm_server_connection_close(s, c);
    c->readable = c->writable = c->away = false;
    c->check_ms = 0;
    mvm_session_peer_changed(&c->client->session);
    mvm_server_listener_down(s, c->listener, "lost ", why);
}

/* A virtio-serial port without a host. The next client's first bytes may arrive before the last
 * hang-up is reported, so it is checked twice; a client that comes sooner says Hello, which ends
 * what was before. From then on nothing is polled: epoll is asked for room to write, which there is
 * as soon as a host has opened the port. */
static void host_away(struct mvm_server *s, struct mvm_server_connection *c)
{
    c->writable = false;
    if (c->away || s->now_ms < c->check_ms) {
        return;
    }
    if (c->check_ms == 0) {
        c->check_ms = s->now_ms + MVM_LISTENER_PAUSE_MS;
        return;
    }
    c->check_ms = 0;
    c->away = c->newline_due = true;
    mvm_scheduler_hung_up(&s->scheduler, c->client);
}

static void end_of_file(struct mvm_server *s, struct mvm_server_connection *c)
{
    switch (c->kind) {
    case MVM_CONNECTION_STREAM:
        mvm_session_peer_ended(&c->client->session);
        break;
    case MVM_CONNECTION_VSOCK:
        mvm_session_peer_ended(&c->client->session);
        c->gone = true;
        break;
    case MVM_CONNECTION_SERIAL:
        if (c->tty) { /* raw: only a hang-up gives it */
            lose_line(s, c, "hung up");
            break;
        }
        host_away(s, c);
        break;
    }
}

/* Whether a read that took `n` of `cap` bytes has left nothing behind, so that what comes next is
 * an edge of its own (epoll(7), question 9). Other transports may give less than they have: vsock
 * on Hyper-V a packet at a time, a tty a line. */
static bool is_emptied(const struct mvm_server_connection *c, size_t n, size_t cap)
{
    return n < cap && c->socket && c->kind == MVM_CONNECTION_STREAM && !c->ended;
}

static void after_failed_read(struct mvm_server *s, struct mvm_server_connection *c, ssize_t n)
{
    c->readable = false;
    if (n == 0) {
        end_of_file(s, c);
    } else if (errno == EAGAIN) {
        c->check_ms = 0;
        c->away = false;
    } else {
        lose_line(s, c, mvm_posix_error_text(errno));
    }
}

void mvm_server_connection_read(struct mvm_server *s, struct mvm_server_connection *c)
{
    if (c->check_ms != 0 && s->now_ms >= c->check_ms) {
        c->awake = c->readable = c->writable = true;
    }
    size_t cap;
    uint8_t *room = mvm_session_room(&c->client->session, &cap);
    if (c->readable && cap > 0) {
        ssize_t n = read(c->fd, room, cap);
        if (n > 0) {
            mvm_session_received(&c->client->session, (size_t)n);
            s->active_ms = s->now_ms;
            c->check_ms = 0;
            c->away = false;
            c->readable = !is_emptied(c, (size_t)n, cap);
            return;
        }
        if (n < 0 && errno == EINTR) {
            return;
        }
        after_failed_read(s, c, n);
    }
    c->gone = c->gone || c->hung_up;
}

/* The result of a write: > 0 bytes taken. */
static ssize_t put_bytes(struct mvm_server *s, struct mvm_server_connection *c, const void *bytes,
                         size_t len)
{
    ssize_t n = c->socket ? send(c->fd, bytes, len, MSG_NOSIGNAL) : write(c->fd, bytes, len);
    if (n < 0 && errno == EAGAIN) {
        c->writable = false;
    } else if (n < 0 && errno != EINTR) {
        c->writable = false;
        lose_line(s, c, mvm_posix_error_text(errno));
    }
    return n;
}

bool mvm_server_connection_write(struct mvm_server *s, struct mvm_server_connection *c)
{
    struct mvm_session *session = &c->client->session;
    if (c->writable && c->newline_due) {
        c->newline_due = put_bytes(s, c, "\n", 1) != 1;
    }
    size_t len;
    const uint8_t *bytes = mvm_session_bytes(session, &len);
    if (!c->writable || c->newline_due || bytes == NULL) {
        return false;
    }
    bool could_send = mvm_session_can_send(session);
    ssize_t n = put_bytes(s, c, bytes, len);
    if (n > 0) {
        mvm_session_sent(session, (size_t)n);
    }
    return (!could_send && mvm_session_can_send(session)) ||
           (c->client->get.active && mvm_session_flushed(session));
}

static bool has_room(struct mvm_server_connection *c)
{
    size_t room;
    return mvm_session_room(&c->client->session, &room) != NULL;
}

bool mvm_server_connection_ready(struct mvm_server_connection *c)
{
    return (c->readable && has_room(c)) ||
           (c->writable && !mvm_session_flushed(&c->client->session)) || (c->hung_up && !c->gone);
}

bool mvm_server_connection_drained(const struct mvm_server_connection *c)
{
    int left;
    return !c->tty || ioctl(c->fd, TIOCOUTQ, &left) < 0 || left == 0;
}
