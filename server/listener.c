/* The states of a listener: down, up, lost, retried. */
#define _GNU_SOURCE
#include "server_internal.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool get_option(int fd, int name, int *value)
{
    socklen_t len = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, name, value, &len) == 0;
}

int mvm_server_inherited_open(int fd)
{
    int status = fcntl(fd, F_GETFL);
    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -1;
    }
    return fd;
}

static int open_address(struct mvm_server *s, struct mvm_server_listener *l)
{
    switch (l->address.kind) {
    case MVM_ADDRESS_VSOCK:
        return mvm_server_vsock_open(&l->address);
    case MVM_ADDRESS_UNIX:
        return mvm_server_unix_open(s, l);
    case MVM_ADDRESS_FD:
        return mvm_server_inherited_open(l->address.fd);
    case MVM_ADDRESS_SERIAL:
        return mvm_server_serial_open(l->address.path);
    }
    return -1;
}

static const char *open_error(const struct mvm_server_listener *l)
{
    if (l->address.kind == MVM_ADDRESS_SERIAL && errno == ENOTTY) {
        return "not a tty or a virtio-serial port";
    }
    if (l->address.kind == MVM_ADDRESS_FD && errno == EPERM) { /* epoll's answer */
        return "neither a socket, a pipe nor a terminal";
    }
    return l->address.kind == MVM_ADDRESS_UNIX && errno == EEXIST
               ? "the file of that name with .lock behind it is not a lock"
               : mvm_posix_error_text(errno);
}

void mvm_server_listener_init(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (l->address.kind == MVM_ADDRESS_FD && fcntl(l->address.fd, F_GETFD) < 0) {
        mvm_server_listener_down(s, l, "cannot listen on ", mvm_posix_error_text(errno));
    }
}

/* Finds out what `fd` is. False: its peer may not be served. */
static bool inspect(struct mvm_server *s, struct mvm_server_listener *l)
{
    int value = 0;
    uint32_t cid;
    l->vsock = get_option(l->fd, SO_DOMAIN, &value) && value == AF_VSOCK;
    l->state = get_option(l->fd, SO_ACCEPTCONN, &value) && value != 0 ? MVM_LISTENER_UP
                                                                      : MVM_LISTENER_SERVING;
    l->pending = l->state == MVM_LISTENER_UP;
    l->name_changed = false;
    l->retry_ms = 0;
    return l->state == MVM_LISTENER_UP || !l->vsock ||
           (mvm_server_peer_cid(l->fd, &cid) && mvm_server_peer_allowed(s, cid));
}

static bool start_serving(struct mvm_server *s, struct mvm_server_listener *l)
{
    return l->state == MVM_LISTENER_SERVING
               ? mvm_server_clients_hand_over(s, l)
               : mvm_server_watch_add(s, l->fd, MVM_SOURCE_LISTENER | (size_t)(l - s->listeners));
}

static void close_descriptor(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (l->address.kind == MVM_ADDRESS_UNIX) {
        mvm_server_unix_close(s, l);
    }
    mvm_server_watch_drop(s, l->fd);
    l->fd = -1;
}

static void open_listener(struct mvm_server *s, struct mvm_server_listener *l)
{
    const char *why = NULL;
    l->fd = open_address(s, l);
    if (l->fd < 0) {
        mvm_server_listener_down(s, l, "cannot listen on ", open_error(l));
        return;
    }
    if (!inspect(s, l)) {
        why = "its peer is refused";
    } else if (!start_serving(s, l)) {
        why = open_error(l);
    }
    if (why != NULL) {
        close_descriptor(s, l);
        mvm_server_listener_down(s, l, "lost ", why);
        return;
    }
    l->logged = l->accept_logged = false;
    mvm_server_say(s, "listening on ", l->address.text, "");
}

/* The socket's name was removed: after accepting all waiting connections, create it again. */
static void check_name(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (mvm_server_unix_is_there(l)) {
        l->name_changed = false;
    } else if (!l->pending && l->parked < 0) {
        close_descriptor(s, l);
        mvm_server_listener_down(s, l, "lost ", "the socket was removed");
        l->retry_ms = s->now_ms;
        l->name_changed = false;
        open_listener(s, l);
    }
}

static void step(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (l->state == MVM_LISTENER_DOWN && l->retry_ms <= s->now_ms) {
        open_listener(s, l);
    } else if (l->state == MVM_LISTENER_UP) {
        if (l->pending || l->parked >= 0) {
            mvm_server_accept(s, l);
        }
        if (l->name_changed && !s->stopping) {
            check_name(s, l);
        }
    }
}

uint64_t mvm_server_listener_step(struct mvm_server *s, struct mvm_server_listener *l)
{
    step(s, l);
    bool waits = l->state == MVM_LISTENER_DOWN ||
                 (l->state == MVM_LISTENER_UP && (l->pending || l->parked >= 0));
    return waits ? l->retry_ms : MVM_NEVER;
}

void mvm_server_listener_close(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (l->state == MVM_LISTENER_UP) {
        close_descriptor(s, l);
    }
    if (l->parked >= 0) {
        close(l->parked);
        l->parked = -1;
    }
    l->state = MVM_LISTENER_OVER;
}
