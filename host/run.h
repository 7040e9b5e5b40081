/*
 * What the tool does once it knows what is wanted: connects, asks, and passes on what comes.
 */
#ifndef MVM_RUN_H
#define MVM_RUN_H

#include "connect.h"
#include "mvm_session.h"
#include "options.h"
#include "phase.h"
#include "status.h"
#include "tail.h"

/* How long a Ping's answer may take: agents answer at any time, in milliseconds. */
#define MVM_PONG_MS 10000

/* The same for `wait`, which asks again on a fresh connection: what was lost while a machine was
 * booting does not cost much. */
#define MVM_WAIT_PONG_MS 2000

/* From the start of one attempt of `wait` to that of the next: at first, and after doubling for
 * each attempt. Most machines are up within a second, and the others are not to be pressed. */
#define MVM_WAIT_RETRY_FIRST_MS 50
#define MVM_WAIT_RETRY_MAX_MS   1000

enum mvm_exit_status {
    MVM_EXIT_OK = 0,
    MVM_EXIT_ERR = 1,           /* the agent's answer is Err */
    MVM_EXIT_USAGE = 2,         /* or the log's file cannot be opened: nothing was asked */
    MVM_EXIT_NO_CONNECTION = 3, /* none came about, or it was lost before the answer */
    MVM_EXIT_OUTPUT = 4,        /* the answer was good, but stdout or the log's file is not whole */
    MVM_EXIT_SIGNAL = 128,      /* and the signal's number */
};

enum { MVM_WHY_CAP = 256 };

/* Some 16 MiB, of which memory is only touched as far as messages are long: keep it static. */
struct mvm_run {
    const struct mvm_host_options *options;
    struct mvm_waiter waiter;
    struct mvm_sink out;
    struct mvm_sink err;
    struct mvm_sink log; /* fd -1: no --log */
    bool log_error_told;
    struct mvm_status status;
    struct mvm_phase phase;
    struct mvm_tail tail;
    struct mvm_connection connection;
    struct mvm_session session;
    bool asked; /* the Build is on its way */
    bool bad_frame_told;
    char why_text[MVM_WHY_CAP]; /* why the connection is not there, or no more */
    uint8_t receive[65536];
    uint8_t send[32768];
    char fields[MVM_RESPONSE_FRAME_MAX]; /* a Log of another agent's may be of any length */
};

/* Does PING, WAIT or BUILD. Returns the exit status. */
int mvm_run(struct mvm_run *r, const struct mvm_host_options *options);

#endif
