/*
 * The agent: listeners, connections, one service, one executor on the posix port, and the loop
 * that waits for them. One thread, no heap.
 */
#ifndef MVM_LOOP_H
#define MVM_LOOP_H

#include "connection.h"
#include "mvm_executor.h"
#include "mvm_posix.h"
#include "mvm_scheduler.h"
#include "options.h"

/* Some 3 MiB, of which memory is only touched as clients come: keep it static and zeroed. */
struct mvm_agent {
    struct mvm_posix posix; /* first: the port's context is the agent, and the port's own too */
    uint64_t now_ms;
    uint64_t stop_ms; /* when to exit though a client does not take its answer; 0: not stopping */
    bool stop_now;    /* told so twice */
    int epoll;
    int signals;
    size_t served;        /* connections from here on are free */
    struct mvm_port port; /* mvm_posix_port, with the loop's watch around some of its calls */
    const struct mvm_options *options;
    struct mvm_executor executor;
    struct mvm_buffers buffers[MVM_CLIENTS_MAX]; /* of the connections; all before is always used */
    struct mvm_scheduler scheduler;
    struct mvm_listener listeners[MVM_LISTENERS_MAX];
    struct mvm_connection connections[MVM_CLIENTS_MAX];
    struct mvm_client clients[MVM_CLIENTS_MAX];
};

/* Serves until SIGTERM or SIGINT, or until the last client of an agent that only has connections
 * handed over (fd:N) has gone. Returns the exit status: 0, or 1 where it could not start, was told
 * to stop twice, or has nothing to serve. `*a` is zeroed memory. */
int mvm_agent_run(struct mvm_agent *a, const struct mvm_options *options);

#endif
