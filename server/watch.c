/*
 * The epoll set. Inside, it is edge-triggered: each descriptor is added once, and its state holds
 * until a call would block. Outside, it is level-triggered: `wake` makes it readable while one step
 * leaves work to do. The port's own set goes into it as it is:
 * it is readable only if the executor has something to do.
 */
#define _GNU_SOURCE
#include "server_internal.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool control_set(struct mvm_server *s, int op, int fd, uint32_t events, size_t tag)
{
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)tag};
    return epoll_ctl(s->epoll, op, fd, &e) == 0;
}

bool mvm_server_watch_init(struct mvm_server *s)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->epoll >= 0 && s->wake >= 0 && mvm_server_watch_add(s, s->wake, MVM_SOURCE_WAKE) &&
           control_set(s, EPOLL_CTL_ADD, mvm_posix_fd(&s->posix), EPOLLIN, MVM_SOURCE_BUILD) &&
           (s->config.executor.stream_dir == NULL ||
            control_set(s, EPOLL_CTL_ADD, mvm_posix_fd(&s->reader), EPOLLIN, MVM_SOURCE_BUILD));
}

void mvm_server_watch_close(struct mvm_server *s)
{
    const int all[] = {s->names, s->reserve, s->wake, s->epoll};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] >= 0) {
            close(all[i]);
        }
    }
    s->names = s->reserve = s->wake = s->epoll = -1;
}

/* It is readable all the time: modifying its entry makes epoll report it again. */
void mvm_server_watch_arm(struct mvm_server *s)
{
    control_set(s, EPOLL_CTL_MOD, s->wake, EPOLLIN | EPOLLET, MVM_SOURCE_WAKE);
}

bool mvm_server_watch_add(struct mvm_server *s, int fd, size_t tag)
{
    return control_set(s, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, tag);
}

/* The entry refers to the open file description, not the number: with a copy of it in a process
 * that the program has forked it would stay, and report the old connection's end as that of the
 * next one in its place.
 */
void mvm_server_watch_drop(struct mvm_server *s, int fd)
{
    control_set(s, EPOLL_CTL_DEL, fd, 0, 0);
    close(fd);
}

/* ---- connections ---- */

static bool control_connection(struct mvm_server *s, const struct mvm_server_connection *c, int op,
                               int fd, uint32_t room)
{
    return control_set(s, op, fd, EPOLLIN | EPOLLRDHUP | EPOLLET | room,
                       MVM_SOURCE_CONNECTION | (size_t)(c - s->connections));
}

bool mvm_server_watch_connection(struct mvm_server *s, const struct mvm_server_connection *c,
                                 int fd)
{
    return control_connection(s, c, EPOLL_CTL_ADD, fd, 0);
}

void mvm_server_watch_room(struct mvm_server *s, struct mvm_server_connection *c)
{
    bool wanted = !c->writable || (c->room_asked && !mvm_session_flushed(&c->client->session));
    if (wanted == c->room_asked || c->fd < 0) {
        return;
    }
    c->room_asked = wanted;
    if (!control_connection(s, c, EPOLL_CTL_MOD, c->fd, wanted ? EPOLLOUT : 0)) {
        c->gone = true; /* it would never be reported again */
    }
}

bool mvm_server_watch_caller(struct mvm_server *s, int fd)
{
    return control_set(s, EPOLL_CTL_ADD, fd, EPOLLIN, MVM_SOURCE_CALLER);
}
