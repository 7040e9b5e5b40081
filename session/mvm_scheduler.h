/*
 * The scheduler: several sessions, one executor. Pings are answered at any time, builds wait in a
 * bounded queue, log lines and answers are sent to the client of their build. It does no I/O: the
 * caller moves the sessions' bytes and calls step.
 *
 *     loop: bytes from transports → mvm_session_received
 *           more = mvm_scheduler_step(&scheduler, now_ms)
 *           mvm_session_bytes → transports
 *           unless `more`: wait for transports, the port, or mvm_scheduler_deadline
 *
 * A client gets a Pong for each Ping, one Err for each bad frame, and for each Build Log*, then
 * exactly one Ok or Err. A build may have an id. Then each of its responses has the id, a client
 * may cancel the build by it, and another connection may join. The build's client is the one that
 * requested it, or the one that joined last. A response has fields that the first version of the
 * protocol lacked only if its request used them.
 *
 * If a client's connection ends, its builds are cancelled, except those with `keep`. On a
 * `permanent` client, a line without connections, Hello has the effect of a new connection.
 *
 * States, and the transitions out of each:
 *
 *   IDLE        a build waits ─▶ BUILDING · a build waits, and stop was called ─▶ ANSWERING
 *   BUILDING    a line did not fit the send buffer ─▶ LINE_LENT · the build ends ─▶ ANSWERING
 *   LINE_LENT   the line is in the send buffer, or its client is detached ─▶ BUILDING
 *   ANSWERING   there is room for the answer ─▶ ANSWER_LENT · there is no client ─▶ IDLE
 *   ANSWER_LENT the answer is in the send buffer, or its client is detached ─▶ IDLE
 *
 * Back-pressure: the executor's lines wait while their client has no room; then the pipe fills up
 * and the build blocks, with its deadlines still in force. Requests, such as Cancel, are read all
 * the while: their answers wait in the client's own queue, and only if that is full the client is
 * not read from.
 *
 * Builds without disks (StreamBuild), if the configuration allows them: the source comes by credit,
 * and what was built is held until Drop, or until later builds need its place. Get reads it through
 * a port of its own, one piece at a time, in turn for each client that asks.
 *
 * The caller owns one struct (some 65 KiB) and one of 5 KiB for each client; nothing to close.
 */
#ifndef MVM_SCHEDULER_H
#define MVM_SCHEDULER_H

#include "mvm_category.h"
#include "mvm_executor.h"
#include "mvm_session.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MVM_SCHEDULER_OWED_TEXT_CAP = MVM_ID_MAX > MVM_NONCE_MAX ? MVM_ID_MAX : MVM_NONCE_MAX,
};

/* An answer that waits for room, other than those of the running build. */
struct mvm_owed {
    uint8_t kind;
    uint8_t detail;
    uint8_t json_error;
    bool has_text;
    uint32_t text_len;
    uint32_t number;
    const char *field;
    char text[MVM_SCHEDULER_OWED_TEXT_CAP];
};

/* The list of artifacts in an Ok, as it goes out. */
enum { MVM_SCHEDULER_LIST_CAP = +MVM_ARTIFACTS_MAX * +MVM_PROTO_ITEM_CAP };

/* A Get that is being answered. */
struct mvm_get {
    bool active;
    uint8_t slot; /* of the build, and … */
    uint8_t item; /* … which of its artifacts */
    uint64_t offset;
    uint64_t end;
};

/* One client; the caller's memory, from attach to detach. */
struct mvm_client {
    bool permanent; /* the caller may set it after attach: a line without connections, such as a
                     * serial port. It is never idle, and stalls only if the build of another
                     * client waits or the scheduler is stopping */
    bool stalled;   /* set by the scheduler: the caller should close it, see mvm_scheduler_step */
    /* ---- the scheduler's own ---- */
    bool attached;
    uint32_t owed_start; /* the ring of answers that wait: [start, start + len) */
    uint32_t owed_len;
    uint64_t sent;         /* session.sent as last seen */
    uint64_t active_ms;    /* when it last sent a frame, read bytes or had a build end */
    uint64_t read_ms;      /* when it last read bytes, or had nothing left to read */
    uint64_t last_beat_ms; /* when it was last sent a line for its waiting builds without an id */
    /* ---- the caller moves its bytes ---- */
    struct mvm_session session;
    struct mvm_owed sending;          /* the one whose message is being encoded, … */
    char note[MVM_KEPT_TEXT_MAX + 1]; /* … and its text */
    struct mvm_owed owed[MVM_OWED_MAX];
    struct mvm_get get;
    uint8_t list[MVM_SCHEDULER_LIST_CAP]; /* of an Ok that is being sent again */
};

/* A build that waits or runs. Plain data: it may be moved. */
struct mvm_queued_build {
    struct mvm_client *client; /* NULL: none is connected */
    uint64_t timeout_secs;     /* if has_timeout */
    uint64_t last_beat_ms;     /* with an id: when its client was last sent a line of it */
    uint64_t source_size;      /* if has_source */
    bool has_timeout;
    bool keep;
    bool stream; /* without disks */
    bool has_source;
    uint32_t id_len;        /* 0: it has none */
    uint32_t flake_ref_len; /* flake_ref, then attr, in `fields` */
    uint32_t attr_len;
    char id[MVM_ID_MAX];
    char fields[MVM_FLAKE_REF_MAX + MVM_ATTR_MAX];
};

/* The build's job; its texts are valid until the queued build is moved. */
struct mvm_job mvm_scheduler_job(const struct mvm_queued_build *t);

/* The answer of an ended build with an id, for clients that join it later. */
struct mvm_kept_answer {
    bool ok;
    bool stream;
    bool awaited;     /* of a build to keep: no client has received it yet */
    uint8_t category; /* enum mvm_category, unless ok */
    uint32_t id_len;  /* 0: free */
    uint32_t text_len;
    char id[MVM_ID_MAX];
    char text[MVM_KEPT_TEXT_MAX + 1];
};

/* What a build without disks has made, or is making. */
struct mvm_stream_build {
    uint8_t state; /* the scheduler's own */
    uint8_t items_len;
    uint32_t id_len;
    uint64_t number; /* builds are numbered as they begin */
    char id[MVM_ID_MAX];
    char path[MVM_STORE_PATH_MAX];
    struct mvm_stream_item {
        const char *name;
        uint64_t size;
    } items[MVM_ARTIFACTS_MAX];
};

/* Builds without disks: one place for each that is held, and the reader. */
struct mvm_streams {
    uint64_t begun;     /* builds */
    uint64_t credit;    /* bytes of the running build's source that its client was asked for, … */
    uint64_t received;  /* … and that were received */
    uint64_t source_ms; /* when bytes of it were last asked for or received */
    uint64_t called_ms; /* when the reader's call began */
    uint8_t running;    /* the place of the running build */
    uint8_t call;       /* of the reader, in progress */
    uint8_t place;      /* … which it is about, … */
    bool removing;      /* … if it empties one */
    bool clears;        /* what an earlier agent has left of a source is to be removed */
    bool opened;        /* the reader was used since its last end_job */
    bool stopping;
    size_t dropped;             /* how many places are to be emptied */
    size_t gets;                /* how many Gets are being answered */
    size_t turn;                /* the client that was read for last */
    struct mvm_client *reading; /* the client that is read for; NULL: its Get has ended */
    uint64_t size;              /* of the artifact, … */
    uint64_t offset;            /* from where, … */
    size_t cap;                 /* … up to so many bytes */
    struct mvm_stream_build builds[MVM_STREAM_BUILDS];
    char path[MVM_PATH_MAX];
    uint8_t list[MVM_SCHEDULER_LIST_CAP]; /* of the running build's Ok */
};

/* A zeroed struct is a valid configuration. Strings are borrowed as long as the scheduler is used.
 */
struct mvm_scheduler_config {
    bool keep_building;    /* treats every build as if it had `keep` */
    uint32_t heartbeat_ms; /* between empty Log lines for waiting builds, half the build's time-out
                            * if that is less; 0: none */
    const char *agent;     /* name and version for Hello; NULL: "mvm-guest" and the library's */
    const char *boot;      /* differs at each start of the program; NULL: "" */

    /* Builds without disks, on the protobuf wire: the executor's stream_dir; NULL: not supported.
     */
    const char *stream_dir;
    bool stream_left;              /* remove what an earlier program has left in it */
    const struct mvm_port *reader; /* with remove_tree, read_data, end_job and abandon; not the … */
    void *reader_ctx;              /* … executor's: it works while a build runs */
    uint8_t *bulk;                 /* the caller's memory for a piece of an artifact */
    size_t bulk_cap;               /* ≥ 1; at most MVM_BULK_DATA_MAX is used */
};

enum mvm_scheduler_state {
    MVM_SCHEDULER_IDLE,
    MVM_SCHEDULER_BUILDING,
    MVM_SCHEDULER_LINE_LENT,
    MVM_SCHEDULER_ANSWERING,
    MVM_SCHEDULER_ANSWER_LENT,
};

/* Read `state`, `answer`, `queued` and `queue`; the rest is the scheduler's own. */
struct mvm_scheduler {
    enum mvm_scheduler_state state;
    struct mvm_message answer; /* from ANSWERING on: how queue[0] ended */
    struct mvm_message line;   /* of the running build; initialised once for all lines */
    size_t queued;
    struct mvm_executor *executor;
    struct mvm_scheduler_config config;
    struct mvm_client *clients;
    size_t clients_cap;
    size_t clients_used;     /* slots from here on are free */
    struct mvm_client *lent; /* the client whose session borrows a line or an answer */
    bool stopping;
    bool closed;        /* no further build begins */
    bool detached;      /* a client was detached since the last step: there may be work */
    bool superseded;    /* … by the running build: every kept Ok of a build with disks */
    bool stopped;       /* the running build was cancelled by mvm_scheduler_stop */
    uint64_t now_ms;    /* of the last step or attach */
    uint64_t ending_ms; /* when the running build was first seen ending; UINT64_MAX: not yet */
    size_t kept_next;   /* the slot that the next answer goes to */
    struct mvm_kept_answer kept[MVM_KEPT_ANSWERS];
    struct mvm_streams streams;
    struct mvm_queued_build queue[MVM_QUEUE_MAX]; /* in order; queue[0] runs unless IDLE */
};

/* `clients[0 … cap-1]` is the caller's memory for as many clients as it serves; it need
 * not be initialised. */
void mvm_scheduler_init(struct mvm_scheduler *v, struct mvm_executor *executor,
                        const struct mvm_scheduler_config *config, struct mvm_client *clients,
                        size_t clients_cap);
#define mvm_scheduler_init(...) (mvm_limits_match(), mvm_scheduler_init(__VA_ARGS__))

/* A new client in a free slot, its session initialised with `memory`; NULL: every slot is taken. */
struct mvm_client *mvm_scheduler_attach(struct mvm_scheduler *v,
                                        const struct mvm_session_memory *memory, uint64_t now_ms);

/* The connection is closed. Call step again (the deadline is due). Its builds are
 * cancelled, except those with `keep`. The slot is free immediately. */
void mvm_scheduler_detach(struct mvm_scheduler *v, struct mvm_client *c);

/* A permanent line has lost its peer. As detach, but the client stays attached: bytes received or
 * not yet sent are dropped. */
void mvm_scheduler_hung_up(struct mvm_scheduler *v, struct mvm_client *c);

/*
 * Handles every frame received, answers what can be answered, and drives the executor until it
 * waits, its client has no room, or MVM_SCHEDULER_LINES lines are sent. It returns as soon as a
 * build begins or ends, so that a caller that compares `state` before and after sees each.
 *
 * Returns true if there is more to do (call again after serving the transports), false if an event
 * or the deadline has to come first. Bytes handed to a transport are an event.
 *
 * Afterwards a client with `stalled` set should be closed and detached: it read no byte for
 * MVM_STALL_MS while its build was ending or another client's build waited (MVM_TERM_GRACE_MS if
 * the scheduler is stopping, or the build has moved to another client).
 */
bool mvm_scheduler_step(struct mvm_scheduler *v, uint64_t now_ms);

enum { MVM_SCHEDULER_LINES = 1024 };

/* When to step again if no event comes; UINT64_MAX: never. */
uint64_t mvm_scheduler_deadline(const struct mvm_scheduler *v);

/* Cancels the running build, and answers waiting and later builds with Err. When mvm_scheduler_idle
 * returns true, every Build has its answer in a send buffer, or in the client's queue for one:
 * continue until mvm_scheduler_flushed. */
void mvm_scheduler_stop(struct mvm_scheduler *v);

/* No further build begins: those that wait and later ones are refused as after stop. All else goes
 * on: a build that runs, Joins, and Gets of what is held. */
void mvm_scheduler_close(struct mvm_scheduler *v);

/* Whether no build runs or waits. */
bool mvm_scheduler_idle(const struct mvm_scheduler *v);

/* Whether a client may still fetch something: a build's artifacts are held, and Gets are answered.
 */
bool mvm_scheduler_holds(const struct mvm_scheduler *v);

/* Whether the client of an ended build that was to be kept has not come back for its answer. */
bool mvm_scheduler_awaits(const struct mvm_scheduler *v);

/* Whether the reader has something to do: its calls, or a Get that is not answered. */
bool mvm_scheduler_reading(const struct mvm_scheduler *v);

/* Whether the executor is running queue[0]. */
bool mvm_scheduler_building(const struct mvm_scheduler *v);

/* Whether everything to be sent to the client has been handed to the transport. */
bool mvm_scheduler_flushed(const struct mvm_client *c);

/* Whether the client may be closed: its half has ended, and every answer has been handed to the
 * transport. */
bool mvm_scheduler_done(const struct mvm_scheduler *v, const struct mvm_client *c);

/* The client that has been idle longest (no build, nothing to send), for `min_ms` at least; one
 * that does not read counts as idle after MVM_STALL_MS. NULL: none. */
struct mvm_client *mvm_scheduler_idlest(const struct mvm_scheduler *v, uint64_t min_ms);

MVM_LAYOUT_OF(struct mvm_scheduler, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
