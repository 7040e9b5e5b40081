/*
 * Waiting for one descriptor, a time or a signal, whichever comes first. Signals that end the
 * program (Ctrl-C, a closed terminal, kill) are reported as readiness: no call is interrupted, and
 * every caller up the stack can clean up.
 */
#ifndef MVM_WAIT_H
#define MVM_WAIT_H

#include "deadline.h"
#include <stdbool.h>
#include <stdint.h>

enum mvm_wake {
    MVM_WAKE_READY,
    MVM_WAKE_TIME,
    MVM_WAKE_SIGNAL,
};

struct mvm_waiter {
    int signals; /* a signalfd */
    int signal;  /* the one that came; 0: none */

    /* Called before each wait; NULL: not. Returns when to call it next (MVM_NEVER: at the next
     * wait). It must wait by `hold` alone. */
    uint64_t (*tick)(void *tick_ctx);
    void *tick_ctx;
};

uint64_t mvm_clock_us(void); /* monotonic */
uint64_t mvm_clock_ms(void); /* the same, in milliseconds */

/* `ms` from now; MVM_NEVER if that is past the end of the clock. */
uint64_t mvm_clock_after(uint64_t ms);

/* No tick. Handles those of SIGINT, SIGTERM, SIGHUP and SIGQUIT that are not ignored already
 * (nohup), ignores SIGPIPE and SIGXFSZ, and sets SIGCHLD to its default, since without it the
 * status of a child is lost, for the rest of the process's life. False: errno is set. */
bool mvm_waiter_open(struct mvm_waiter *w);

/* Waits until `fd` (-1: none) has one of poll(2)'s `events`, an error or a hang-up, the clock
 * reaches `until_ms` (MVM_NEVER: no limit), or a signal has arrived: then this and every later call
 * return immediately. `*revents`, if not NULL, gets poll's result after READY. */
enum mvm_wake mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                              short *revents);

/* The same without ticks: for a writer that is not at the end of its text. */
enum mvm_wake mvm_waiter_hold(struct mvm_waiter *w, int fd, short events, uint64_t until_ms);

#endif
