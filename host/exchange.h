/*
 * The parts that ping, wait and build are made of: words on stderr, a connection, the next message.
 */
#ifndef MVM_EXCHANGE_H
#define MVM_EXCHANGE_H

#include "run.h"

/* How the wait for a message ended. */
enum mvm_arrival {
    MVM_ARRIVED, /* r->session.message is it */
    MVM_LOST,    /* r->why_text says how */
    MVM_LATE,
    MVM_SIGNALLED,
};

/* A line of our own on stderr, of several parts. */
void mvm_run_tell(struct mvm_run *r, const char *const parts[]);
#define MVM_RUN_TELL(r, ...) mvm_run_tell(r, (const char *const[]){__VA_ARGS__, NULL})

/* Words for `why_text`: a call and an error, or text and 0. */
void mvm_run_set_why(struct mvm_run *r, const char *call, int error);

/* Writes out what there is for the log's file, stderr and stdout; says once if the first fails. */
void mvm_run_flush(struct mvm_run *r);

bool mvm_run_on_serial(const struct mvm_run *r);

/* A fresh connection and session. False: `why_text` says why, or a signal came. */
bool mvm_run_open(struct mvm_run *r, uint64_t until_ms);

/* Waits for a message, moving bytes and drawing the status line meanwhile. */
enum mvm_arrival mvm_run_next(struct mvm_run *r, uint64_t until_ms);

/* Sends a Ping and skips what comes until its Pong: on a serial line, what somebody else asked
 * for. ARRIVED: the message is the Pong, or where the connection is ours alone, an Err. */
enum mvm_arrival mvm_run_ping(struct mvm_run *r, uint64_t until_ms);

/* How a command ends without what it waited for, without a connection, and with Err; told, unless
 * it is among the frames of --json. Return the exit status. */
int mvm_run_give_up(struct mvm_run *r, enum mvm_arrival how);
int mvm_run_not_connected(struct mvm_run *r);
int mvm_run_refused(struct mvm_run *r);

/* The command build (build.c). Returns the exit status. */
int mvm_run_build(struct mvm_run *r);

#endif
