/* What the loop waits for: its epoll set. */
#define _GNU_SOURCE
#include "watch.h"
#include <sys/epoll.h>

static bool control(struct mvm_agent *a, int op, int fd, uint32_t events, size_t tag)
{
    struct epoll_event e = {.events = events | EPOLLET, .data.u32 = (uint32_t)tag};
    return epoll_ctl(a->epoll, op, fd, &e) == 0;
}

bool mvm_watch(struct mvm_agent *a, int fd, size_t tag)
{
    return control(a, EPOLL_CTL_ADD, fd, EPOLLIN, tag);
}

/* ---- connections ---- */

static bool control_connection(struct mvm_agent *a, const struct mvm_connection *c, int op, int fd,
                               uint32_t room)
{
    return control(a, op, fd, EPOLLIN | EPOLLRDHUP | room,
                   MVM_SOURCE_CONNECTION | (size_t)(c - a->connections));
}

bool mvm_watch_connection(struct mvm_agent *a, const struct mvm_connection *c, int fd)
{
    return control_connection(a, c, EPOLL_CTL_ADD, fd, 0);
}

void mvm_watch_room(struct mvm_agent *a, struct mvm_connection *c)
{
    bool wanted = !c->writable || (c->room_asked && !mvm_session_flushed(&c->client->session));
    if (wanted == c->room_asked || c->fd < 0) {
        return;
    }
    c->room_asked = wanted;
    if (!control_connection(a, c, EPOLL_CTL_MOD, c->fd, wanted ? EPOLLOUT : 0)) {
        c->gone = true; /* nobody would hear of it again */
    }
}

/* ---- the build's descriptors come and go inside the port: the watch goes around it ---- */

enum { BUILD_FDS = 3 };

static int build_fd(const struct mvm_agent *a, int i)
{
    return i < MVM_STREAMS ? mvm_posix_output_fd(&a->posix, (enum mvm_stream)i)
                           : mvm_posix_child_fd(&a->posix);
}

/* The executor reads until nothing is left before it waits, so an edge says all there is to say. */
static int spawn(void *ctx, const char *const argv[])
{
    struct mvm_agent *a = ctx;
    int r = mvm_posix_port.spawn(&a->posix, argv);
    for (int i = 0; r >= 0 && i < BUILD_FDS; i++) {
        if (build_fd(a, i) >= 0) {
            mvm_watch(a, build_fd(a, i), MVM_SOURCE_BUILD);
        }
    }
    return r;
}

/* Watches who works on files from their beginning; the end closes the descriptor. */
static void watch_work(struct mvm_agent *a, int before)
{
    int fd = mvm_posix_child_fd(&a->posix);
    if (before < 0 && fd >= 0) {
        mvm_watch(a, fd, MVM_SOURCE_BUILD);
    }
}

static int64_t copy(void *ctx, int from, int to, uint32_t max)
{
    struct mvm_agent *a = ctx;
    int before = mvm_posix_child_fd(&a->posix);
    int64_t n = mvm_posix_port.copy(&a->posix, from, to, max);
    watch_work(a, before);
    return n;
}

static int sync_file(void *ctx, int handle)
{
    struct mvm_agent *a = ctx;
    int before = mvm_posix_child_fd(&a->posix);
    int r = mvm_posix_port.sync_file(&a->posix, handle);
    watch_work(a, before);
    return r;
}

static void close_build(void *ctx)
{
    struct mvm_agent *a = ctx;
    for (int i = 0; i < BUILD_FDS; i++) {
        if (build_fd(a, i) >= 0) {
            epoll_ctl(a->epoll, EPOLL_CTL_DEL, build_fd(a, i), NULL);
        }
    }
    mvm_posix_port.close_build(&a->posix);
}

void mvm_watch_port(struct mvm_agent *a)
{
    a->port = mvm_posix_port;
    a->port.spawn = spawn;
    a->port.close_build = close_build;
    a->port.copy = copy;
    a->port.sync_file = sync_file;
}
