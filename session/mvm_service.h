/*
 * The service: several sessions, one executor. Pings are answered at any time, builds wait their
 * turn in a bounded queue, log lines and the answer go to whoever asked, and a build whose client
 * has gone is cancelled. Still no I/O: the caller moves the sessions' bytes and calls step.
 *
 *     loop: bytes from transports → mvm_session_received
 *           mvm_service_step(&service, now_ms)
 *           mvm_session_bytes → transports
 *           wait for transports, the port, and mvm_service_deadline
 */
#ifndef MVM_SERVICE_H
#define MVM_SERVICE_H

#include "mvm_executor.h"
#include "mvm_session.h"

/* One client; the caller's memory, from attach to detach. */
struct mvm_client {
    struct mvm_session session;
    bool attached;
    bool stalled;            /* see mvm_service_step: the caller should close it */
    uint32_t builds;         /* tickets it has in the queue */
    uint64_t active_ms;      /* when its last whole frame came, or the client did */
    uint64_t heartbeat_ms;   /* while it waits in the queue: when its next empty Log is due */
    char error[160];         /* the text of an Err of its own while it is being sent */
};

/* A build that waits or runs. */
struct mvm_ticket {
    struct mvm_client *client; /* NULL: it has gone */
    struct mvm_job job;        /* texts in `fields` */
    char fields[MVM_REQUEST_FIELDS_CAP];
};

struct mvm_service_config {
    bool keep_building;    /* a build goes on when its client has gone */
    uint32_t heartbeat_ms; /* for clients in the queue; 0: none */
};

struct mvm_service {
    struct mvm_executor *executor;
    struct mvm_service_config config;
    struct mvm_client *clients;
    size_t clients_len;
    struct mvm_ticket queue[MVM_QUEUE_MAX]; /* a ring; queue[first] runs while `running` */
    size_t first;
    size_t queued;
    bool running;
    uint64_t now_ms;      /* of the last step */
    uint64_t stall_ms;    /* when the client that holds up a finished build is given up */
    uint64_t progress;    /* bytes that client had been sent when stall_ms was set */
};

/* `clients[0 … len-1]` is the caller's memory for as many clients as it wants to serve. */
void mvm_service_init(struct mvm_service *v, struct mvm_executor *executor,
                      const struct mvm_service_config *config, struct mvm_client *clients,
                      size_t clients_len);

/* A new client in a free slot, its session initialised with `memory`; NULL: every slot is taken. */
struct mvm_client *mvm_service_attach(struct mvm_service *v,
                                      const struct mvm_session_memory *memory, uint64_t now_ms);

/* The connection is gone, both ways. Its queued builds are forgotten and its running one is
 * cancelled, unless keep_building. The slot is free at once. */
void mvm_service_detach(struct mvm_service *v, struct mvm_client *c);

/* Takes every frame that has come, answers what can be answered, and drives the executor until it
 * waits or its client has no room. Returns true where there is more to do at once (call again
 * after a look at the transports), false where only an event or the deadline brings more.
 * Afterwards a client with `stalled` set should be closed and detached: its build has ended and
 * it takes nothing (MVM_STALL_MS). */
bool mvm_service_step(struct mvm_service *v, uint64_t now_ms);

/* When to step again though nothing comes; UINT64_MAX: never. */
uint64_t mvm_service_deadline(const struct mvm_service *v);

/* Whether the client may be closed: its half has ended, and every answer has been handed to the
 * transport. */
bool mvm_service_done(const struct mvm_service *v, const struct mvm_client *c);

/* The client idle longest (no build, nothing to send) if for at least `min_ms`; NULL: none. */
struct mvm_client *mvm_service_idlest(struct mvm_service *v, uint64_t min_ms);

#endif
