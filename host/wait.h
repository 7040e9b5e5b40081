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

struct mvm_waiter {
    int signals; /* a signalfd */
    int signal;  /* the one that came; 0: none */
};

#define MVM_NEVER UINT64_MAX

uint64_t mvm_clock_us(void); /* monotonic */
uint64_t mvm_clock_ms(void); /* the same, in milliseconds */

/* Takes SIGINT, SIGTERM and SIGHUP over and ignores SIGPIPE, for the rest of the process's life.
 * False: errno says why. */
bool mvm_waiter_open(struct mvm_waiter *w);

/* Until `fd` (-1: none) has one of poll(2)'s `events`, an error or a hang-up, until the clock
 * says `until_ms` (MVM_NEVER), or until a signal has come: then at once, at every call from there
 * on. `*revents`, where not NULL, gets what poll said after READY. */
enum mvm_wake mvm_waiter_wait(struct mvm_waiter *w, int fd, short events, uint64_t until_ms,
                              short *revents);

#endif
