/*
 * Accepting. A peer is checked first, so that a refused connection does not displace another
 * client. To be checked it must be accepted, so a descriptor is held in reserve for when there are
 * no others. If every connection is busy, an allowed one is parked.
 */
#define _GNU_SOURCE
#include "server_internal.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS = 16 };

bool mvm_server_reserve(struct mvm_server *s)
{
    if (s->reserve < 0) {
        s->reserve = fcntl(s->wake, F_DUPFD_CLOEXEC, 0);
    }
    return s->reserve >= 0;
}

static bool none_left(int err)
{
    return err == EMFILE || err == ENFILE;
}

static int accept_once(const struct mvm_server_listener *l)
{
    return accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static int accept_with_reserve(struct mvm_server *s, const struct mvm_server_listener *l)
{
    int fd = accept_once(l);
    if (fd < 0 && none_left(errno) && s->reserve >= 0) {
        close(s->reserve);
        s->reserve = -1;
        fd = accept_once(l);
    }
    return fd;
}

/* Out of descriptors or memory: that is temporary, and retrying immediately would only spin. */
static void pause_accept(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (!l->accept_logged) {
        struct mvm_server_line line;
        mvm_server_say_begin(&line, "cannot accept on ");
        mvm_writer_add3(&line.w, l->address.text, ": ", mvm_posix_error_text(errno));
        mvm_server_say_end(s, &line);
    }
    l->accept_logged = true;
    l->retry_ms = s->now_ms + MVM_LISTENER_PAUSE_MS;
}

/* The next connection from a peer that may be served; -1: none now. */
static int next_allowed(struct mvm_server *s, struct mvm_server_listener *l)
{
    uint32_t cid;
    int fd = accept_with_reserve(s, l);
    if (fd >= 0 && l->vsock &&
        (!mvm_server_peer_cid(fd, &cid) || !mvm_server_peer_allowed(s, cid))) {
        close(fd);
        mvm_server_reserve(s);
        return -1;
    }
    if (fd >= 0) {
        return fd;
    }
    if (errno == EAGAIN) {
        l->pending = false;
    } else if (none_left(errno) && mvm_server_clients_evict(s)) {
        mvm_server_reserve(s);
    } else if (errno != EINTR && errno != ECONNABORTED) {
        pause_accept(s, l);
    }
    return -1;
}

/* A free connection, and a descriptor in reserve; the client idle longest makes room. */
static bool make_room(struct mvm_server *s)
{
    bool room = mvm_server_clients_free(s) && mvm_server_reserve(s);
    if (!room && mvm_server_clients_evict(s)) {
        mvm_server_reserve(s);
        room = true;
    }
    return room;
}

static void park(struct mvm_server *s, struct mvm_server_listener *l, int fd)
{
    l->parked = fd;
    l->retry_ms = s->now_ms + MVM_LISTENER_PAUSE_MS;
    if (!s->full) {
        struct mvm_server_line line;
        mvm_server_say_begin(&line, "every connection is busy (");
        mvm_writer_add_u64(&line.w, s->config.clients);
        mvm_writer_add(&line.w, " at most): new clients wait");
        mvm_server_say_end(s, &line);
    }
    s->full = true;
}

static void serve(struct mvm_server *s, struct mvm_server_listener *l, int fd)
{
    l->parked = -1;
    l->accept_logged = false;
    if (!mvm_server_clients_add(s, fd, NULL)) {
        mvm_server_say(s, "cannot serve a client: ", mvm_posix_error_text(errno), "");
        close(fd);
    }
}

void mvm_server_accept(struct mvm_server *s, struct mvm_server_listener *l)
{
    for (int i = 0; i < ACCEPTS && l->retry_ms <= s->now_ms; i++) {
        if (l->parked < 0 && !l->pending) {
            return;
        }
        int fd = l->parked >= 0 ? l->parked : next_allowed(s, l);
        if (fd < 0) {
            continue;
        }
        if (!make_room(s)) {
            park(s, l, fd);
            return;
        }
        serve(s, l, fd);
    }
}
