/*
 * Waiting for one descriptor, a time or a signal, whichever comes first. Signals that end the
 * program (Ctrl-C, a closed terminal, kill) come as readiness: nothing here is ever interrupted
 * in the middle, and everybody up the line gets to clean up.
 */
#ifndef MVM_WAIT_H
#define MVM_WAIT_H

#include <stdbool.h>
#include <stdint.h>

enum mvm_wake {
    MVM_WAKE_READY,
    MVM_WAKE_TIME,
    MVM_WAKE_SIGNAL,
};

#define MVM_NEVER UINT64_MAX

struct mvm_waiter {
    int signals; /* a signalfd */
    int signal;  /* the one that came; 0: none */

    /* What there is to do meanwhile; NULL: nothing. It is called before each wait, says when it
     * wants to be called next (MVM_NEVER: when somebody waits again), and must only `hold`. */
    uint64_t (*tick)(void *tick_ctx);
    void *tick_ctx;
};

uint64_t mvm_clock_us(void); /* monotonic */
uint64_t mvm_clock_ms(void); /* the same, in milliseconds */

/* No tick. Takes SIGINT, SIGTERM and SIGHUP over and ignores SIGPIPE, for the rest of the process's
 * life. False: errno says why. */
bool mvm_waiter_open(struct mvm_waiter *w);

/* Until `fd` (-1: none) has one of poll(2)'s `events`, an error or a hang-up, until the clock
 * says `until_ms` (MVM_NEVER), or until a signal has come: then at once, at every call from there
 * on. `*revents`, where not NULL, gets what poll said after READY. */
enum mvm_wake mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                              short *revents);

/* The same without ticks: for a writer in the middle of its text. */
enum mvm_wake mvm_waiter_hold(struct mvm_waiter *w, int fd, short events, uint64_t until_ms);

#endif
