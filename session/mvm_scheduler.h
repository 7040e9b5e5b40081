/*
 * The service: several sessions, one executor. Pings are answered at any time, builds wait their
 * turn in a bounded queue, log lines and the answer go to whoever asked, and a build whose client
 * has gone is cancelled. Still no I/O: the caller moves the sessions' bytes and calls step.
 *
 *     loop: bytes from transports → mvm_session_received
 *           more = mvm_scheduler_step(&scheduler, now_ms)
 *           mvm_session_bytes → transports
 *           unless `more`: wait for transports, the port, or mvm_scheduler_deadline
 *
 * What a client gets: a Pong for each Ping, one Err for each bad frame, and for each Build Log*,
 * then exactly one Ok or Err. A client may send several Builds at once: their answers come in
 * order, but for those that find the queue full and are refused on the spot.
 *
 * States, and what leads out of each:
 *
 *   IDLE        a build waits ─▶ BUILDING · one waits and the service is stopping ─▶ ANSWERING
 *   BUILDING    a line that did not fit the send buffer whole ─▶ LINE_LENT · it ends ─▶ ANSWERING
 *   LINE_LENT   the line is in the send buffer, or its client is gone ─▶ BUILDING
 *   ANSWERING   there is room for the answer ─▶ ANSWER_LENT · its client is gone ─▶ IDLE
 *   ANSWER_LENT the answer is in the send buffer, or its client is gone ─▶ IDLE
 *
 * Back-pressure: lines go to the client while mvm_session_can_send, else the executor is not taken
 * past its LOG, so that the build's pipe fills up and the build waits. Its deadlines hold all the
 * same. One struct of the caller's (some 45 KiB) and one for each client; nothing to close.
 */
#ifndef MVM_SCHEDULER_H
#define MVM_SCHEDULER_H

#include "mvm_executor.h"
#include "mvm_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One client; the caller's memory, from attach to detach. */
struct mvm_client {
    bool permanent; /* the caller may set it after attach: a line that cannot be opened anew, such
                     * as a serial port. Idleness never ends it, and a stall only where somebody
                     * else's build waits behind it or the service is stopping */
    bool stalled;   /* the service says: the caller should close it, see mvm_scheduler_step */
    /* ---- the service's own ---- */
    bool attached;
    uint64_t sent;         /* session.sent as last seen */
    uint64_t active_ms;    /* when it last sent a frame, took bytes or had a build end */
    uint64_t heartbeat_ms; /* while it waits in the queue: when its next empty Log is due */
    /* ---- the caller moves its bytes ---- */
    struct mvm_session session;
    char note[160]; /* the text of an Err or Log of the service's while it is being sent */
};

/* A build that waits or runs. Plain data: it may be moved. */
struct mvm_queued_build {
    struct mvm_client *client; /* NULL: it has gone */
    uint64_t timeout_secs;     /* where has_timeout */
    bool has_timeout;
    uint32_t flake_ref_len; /* flake_ref, then attr, in `fields` */
    uint32_t attr_len;
    char fields[MVM_REQUEST_FIELDS_CAP];
};

/* The ticket's build; its texts stay as long as the ticket stays where it is. */
struct mvm_job mvm_queued_build_job(const struct mvm_queued_build *t);

struct mvm_scheduler_config {
    bool keep_building;    /* builds go on, and queued ones begin, when their client has gone */
    uint32_t heartbeat_ms; /* between empty Log lines for clients in the queue; 0: none */
};

enum mvm_scheduler_state {
    MVM_SCHEDULER_IDLE,
    MVM_SCHEDULER_BUILDING,
    MVM_SCHEDULER_LINE_LENT,
    MVM_SCHEDULER_ANSWERING,
    MVM_SCHEDULER_ANSWER_LENT,
};

/* Read `state`, `answer` and `queue`; the rest is the service's own. */
struct mvm_scheduler {
    enum mvm_scheduler_state state;
    struct mvm_message answer; /* from ANSWERING on: how queue[0] ended */
    size_t queued;
    struct mvm_executor *executor;
    struct mvm_scheduler_config config;
    struct mvm_client *clients;
    size_t clients_cap;
    size_t clients_used; /* no attached one from here on */
    bool stopping;
    bool detached;      /* somebody has been, since the last step: the next one may have work */
    uint64_t now_ms;    /* of the last step or attach */
    uint64_t ending_ms; /* when the running build was first seen ending; UINT64_MAX: not yet */
    struct mvm_queued_build queue[MVM_QUEUE_MAX]; /* in order; queue[0] runs unless IDLE */
};

/* `clients[0 … cap-1]` is the caller's memory for as many clients as it wants to serve; it need
 * not be initialised. */
void mvm_scheduler_init(struct mvm_scheduler *v, struct mvm_executor *executor,
                        const struct mvm_scheduler_config *config, struct mvm_client *clients,
                        size_t clients_cap);

/* A new client in a free slot, its session initialised with `memory`; NULL: every slot is taken. */
struct mvm_client *mvm_scheduler_attach(struct mvm_scheduler *v,
                                        const struct mvm_session_memory *memory, uint64_t now_ms);

/* The connection is gone, both ways. Call step again (the deadline says so, too). Its queued builds
 * are forgotten and its running one is cancelled, unless keep_building. The slot is free at once.
 */
void mvm_scheduler_detach(struct mvm_scheduler *v, struct mvm_client *c);

/*
 * Takes every frame that has come, answers what can be answered, and drives the executor until it
 * waits, its client has no room, or MVM_SCHEDULER_LINES lines have gone. It returns as soon as a
 * build begins or ends, so that a caller that compares `state` before and after sees each.
 *
 * Returns true where there is more to do at once (call again after a look at the transports),
 * false where only an event or the deadline brings more. Bytes handed to a transport are an event.
 * Afterwards a client with `stalled` set should be closed and detached: its build is ending and for
 * MVM_STALL_MS (MVM_TERM_GRACE_MS where the service is stopping) it took no byte of what is left.
 */
bool mvm_scheduler_step(struct mvm_scheduler *v, uint64_t now_ms);

enum { MVM_SCHEDULER_LINES = 1024 };

/* When to step again though nothing comes; UINT64_MAX: never. */
uint64_t mvm_scheduler_deadline(const struct mvm_scheduler *v);

/* Ends the running build as if nobody wanted it, answers those that wait and all that still come
 * with Err. When mvm_scheduler_idle says so, every Build has its answer in a send buffer. */
void mvm_scheduler_stop(struct mvm_scheduler *v);

/* Whether no build runs or waits. */
bool mvm_scheduler_idle(const struct mvm_scheduler *v);

/* Whether queue[0] is with the executor. */
bool mvm_scheduler_building(const struct mvm_scheduler *v);

/* Whether the client may be closed: its half has ended, and every answer has been handed to the
 * transport. */
bool mvm_scheduler_done(const struct mvm_scheduler *v, const struct mvm_client *c);

/* The client idle longest (no build, nothing to send) if for at least `min_ms`; one that takes
 * nothing of what it is sent counts after MVM_STALL_MS. NULL: none. */
struct mvm_client *mvm_scheduler_idlest(const struct mvm_scheduler *v, uint64_t min_ms);

#ifdef __cplusplus
}
#endif

#endif
