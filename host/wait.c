#define _GNU_SOURCE
#include "wait.h"
#include "deadline.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

uint64_t mvm_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t mvm_clock_ms(void)
{
    return mvm_clock_us() / 1000;
}

uint64_t mvm_clock_after(uint64_t ms)
{
    uint64_t now = mvm_clock_ms();
    return ms < MVM_NEVER - now ? now + ms : MVM_NEVER;
}

/* A blocked signal is queued even if it is ignored, and a signalfd would report it. */
static void add_unless_ignored(sigset_t *set, int sig)
{
    struct sigaction now;
    if (sigaction(sig, NULL, &now) < 0 || now.sa_handler != SIG_IGN) {
        sigaddset(set, sig);
    }
}

bool mvm_waiter_open(struct mvm_waiter *w)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, standard = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigemptyset(&set);
    add_unless_ignored(&set, SIGINT);
    add_unless_ignored(&set, SIGTERM);
    add_unless_ignored(&set, SIGHUP);
    add_unless_ignored(&set, SIGQUIT);
    *w = (struct mvm_waiter){.signals = -1};
    sigaction(SIGXFSZ, &ignore, NULL); /* a file at its limit is an error of write(2), no more */
    if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGCHLD, &standard, NULL) < 0 ||
        sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        return false;
    }
    w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return w->signals >= 0;
}

static void read_signal(struct mvm_waiter *w)
{
    struct signalfd_siginfo info;
    if (read(w->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        w->signal = (int)info.ssi_signo;
    }
}

static int poll_timeout(uint64_t until_ms)
{
    uint64_t now = mvm_clock_ms();
    if (until_ms == MVM_NEVER) {
        return -1;
    }
    if (until_ms <= now) {
        return 0;
    }
    return until_ms - now < INT_MAX ? (int)(until_ms - now) : INT_MAX;
}

static enum mvm_wake wait_for(struct mvm_waiter *w, uint64_t (*tick)(void *), struct pollfd fd,
                              uint64_t until_ms, short *revents)
{
    struct pollfd fds[] = {{.fd = w->signals, .events = POLLIN}, fd};
    while (w->signal == 0) {
        uint64_t tick_ms = tick != NULL ? tick(w->tick_ctx) : MVM_NEVER;
        if (w->signal != 0) {
            break; /* during the tick */
        }
        int n = poll(fds, 2, poll_timeout(mvm_sooner(tick_ms, until_ms)));
        if (n < 0 && errno != EINTR) {
            return MVM_WAKE_TIME; /* out of memory: no wait is possible */
        }
        if (n > 0 && fds[0].revents != 0) {
            read_signal(w);
        } else if (n > 0) {
            if (revents != NULL) {
                *revents = fds[1].revents;
            }
            return MVM_WAKE_READY;
        } else if (n == 0 && mvm_clock_ms() >= until_ms) {
            return MVM_WAKE_TIME;
        }
    }
    return MVM_WAKE_SIGNAL;
}

enum mvm_wake mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                              short *revents)
{
    return wait_for(w, w->tick, (struct pollfd){.fd = fd, .events = events}, until_ms, revents);
}

enum mvm_wake mvm_waiter_hold(struct mvm_waiter *w, int fd, short events, uint64_t until_ms)
{
    return wait_for(w, NULL, (struct pollfd){.fd = fd, .events = events}, until_ms, NULL);
}
