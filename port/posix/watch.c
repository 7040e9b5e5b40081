/*
 * One descriptor for everything that the port waits for: an epoll set whose own number never
 * changes, so that a loop around it has nothing to track.
 *
 * A source is armed by the call that found nothing ("none now", MVM_PORT_LATER) and disarmed by the
 * next one that finds something. So the descriptor is readable only if a call would now return more
 * than the last one did, and a level-triggered loop does not spin while the executor waits for its
 * client.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int mvm_posix_fd(const struct mvm_posix *p)
{
    return p->watch.epoll;
}

void mvm_posix_watch_init(struct mvm_posix *p)
{
    p->watch.epoll = epoll_create1(EPOLL_CLOEXEC);
    p->watch.timer = -1;
    for (int i = 0; i < MVM_POSIX_SOURCES; i++) {
        p->watch.armed[i] = -1;
    }
}

void mvm_posix_watch_fini(struct mvm_posix *p)
{
    if (p->watch.timer >= 0) {
        close(p->watch.timer);
    }
    if (p->watch.epoll >= 0) {
        close(p->watch.epoll);
    }
    p->watch.epoll = p->watch.timer = -1;
}

void mvm_posix_watch(struct mvm_posix *p, enum mvm_posix_source of, int fd, bool for_room)
{
    struct epoll_event e = {.events = for_room ? EPOLLOUT : EPOLLIN};
    if (fd >= 0 && p->watch.armed[of] != fd) {
        epoll_ctl(p->watch.epoll, EPOLL_CTL_ADD, fd, &e);
        p->watch.armed[of] = fd;
    }
}

/* Removed from the set, because epoll always reports hang-ups. */
void mvm_posix_watch_off(struct mvm_posix *p, enum mvm_posix_source of)
{
    if (p->watch.armed[of] >= 0) {
        epoll_ctl(p->watch.epoll, EPOLL_CTL_DEL, p->watch.armed[of], NULL);
        p->watch.armed[of] = -1;
    }
}

void mvm_posix_pause(void *ctx)
{
    struct mvm_posix *p = ctx;
    for (int i = 0; i < MVM_POSIX_SOURCES; i++) {
        mvm_posix_watch_off(p, (enum mvm_posix_source)i);
    }
}

/* A timerfd in place of a pidfd: before Linux 5.3 the exit must be polled for. */
int mvm_posix_timer(struct mvm_posix *p)
{
    const struct itimerspec soon = {.it_value.tv_nsec = MVM_KILL_POLL_MS * 1000000L};
    if (p->watch.timer < 0) {
        p->watch.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    }
    timerfd_settime(p->watch.timer, 0, &soon, NULL);
    return p->watch.timer;
}

int mvm_posix_exit_fd(struct mvm_posix *p, const struct mvm_posix_awaited *a, int pidfd)
{
    if (a->polls == 0 && pidfd >= 0) {
        return pidfd;
    }
    return a->polls == 0 && p->config.caller_reaps ? -1 : mvm_posix_timer(p);
}
