/*
 * The agent as a process: a server, the signals that end it, the children of process 1, and the
 * log. One thread, no heap.
 */
#ifndef MVM_LOOP_H
#define MVM_LOOP_H

#include "mvm_server.h"
#include "options.h"

/* Some 16 MiB, room for as many clients as there can be and for builds without disks. Its pages are
 * touched only as clients connect: keep it static and zeroed. */
struct mvm_agent {
    struct mvm_server server;
    int signals; /* signalfd(2) */
    bool stopping;
    bool reaps; /* every child, as process 1 does */
    char memory[MVM_SERVER_STREAM_MEMORY(MVM_CLIENTS_MAX)];
};

/* For process 1, before its start takes long: a signal that ends the machine waits for run. */
void mvm_agent_hold_signals(void);

/* Serves until SIGTERM, SIGINT, SIGQUIT or SIGPWR, after the first build or after idle time if the
 * options say so, or until the last client of an agent that only has inherited
 * connections (fd:N) has gone. Returns the exit status: 0, or 1 if it could not start, ended with
 * work left, or has nothing to serve. `*a` is zeroed memory. */
int mvm_agent_run(struct mvm_agent *a, const struct mvm_options *options);

#endif
