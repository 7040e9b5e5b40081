/*
 * The commands: each sends a request in a conversation and displays the answer. Only this module
 * uses both the conversation and the display.
 */
#ifndef MVM_RUN_H
#define MVM_RUN_H

#include "display.h"
#include "exchange.h"
#include "options.h"
#include "stream.h"

enum mvm_exit_status {
    MVM_EXIT_OK = 0,
    MVM_EXIT_ERR = 1,           /* the agent's answer is Err, or it cannot do what was asked for */
    MVM_EXIT_USAGE = 2,         /* or a file or folder that was named cannot be used */
    MVM_EXIT_NO_CONNECTION = 3, /* none was established, or no valid answer arrived over it */
    MVM_EXIT_OUTPUT = 4,        /* the answer was good, but stdout, the log's file or the artifacts
                                 * cannot be written, or may not survive a power cut */
    MVM_EXIT_SIGNAL = 128,      /* and the signal's number */
};

/* Some 16 MiB: keep it static. */
struct mvm_run {
    const struct mvm_host_options *options;
    struct mvm_waiter waiter;
    struct mvm_display display;
    struct mvm_conversation conversation;
    struct mvm_exchange exchange;   /* build, join */
    struct mvm_stream_files stream; /* build --output */
    const char *id;                 /* likewise: of the options, or the fresh one */
    char store_path[512];           /* build --output: of the Ok */
    char fresh_id[MVM_ID_FRESH_LEN + 1];
};

/* Runs the command of the options; the waiter is open. Returns the exit status. */
int mvm_run(struct mvm_run *r, const struct mvm_host_options *options);

/* The commands (questions.c, build.c). Return the exit status. */
int mvm_run_ping(struct mvm_run *r);
int mvm_run_wait(struct mvm_run *r);
int mvm_run_hello(struct mvm_run *r);
int mvm_run_cancel(struct mvm_run *r);
int mvm_run_build(struct mvm_run *r); /* and join */

/* interrupt.c: after a signal. Returns the exit status. */
int mvm_run_interrupt(struct mvm_run *r);

/* Advice for a build that cannot be reached: its id, if it may go on. */
void mvm_run_show_way_back(struct mvm_run *r);

/* Displays what is known of a build, with its id and the commands that take it. */
void mvm_run_show_id(struct mvm_run *r, const char *what);

/* bulk.c, the events of build --output. The exit status, or MVM_RUN_ON: it continues. */
enum { MVM_RUN_ON = -1 };
int mvm_run_source(struct mvm_run *r);
int mvm_run_list(struct mvm_run *r);
int mvm_run_artifact(struct mvm_run *r);

/* report.c: displays the conversation's new notes. */
void mvm_run_show_note(struct mvm_run *r);

/* Reports why a command got no answer. Returns the exit status. */
int mvm_run_fail(struct mvm_run *r, enum mvm_arrival how);

#endif
