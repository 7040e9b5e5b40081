/*
 * What the scheduler's files share. scheduler.c drives; queue.c has the builds that wait,
 * running.c the one that runs, kept.c the answers of those that ended; requests.c handles requests,
 * owed.c queues answers, answers.c makes messages of them, reasons.c has the texts of refusals;
 * clients.c attaches and detaches clients, stalls.c finds stalled ones. Builds without disks:
 * places.c has what they made, streams.c their source, gets.c sends artifacts, reader.c reads and
 * removes them.
 */
#ifndef MVM_SCHEDULER_INTERNAL_H
#define MVM_SCHEDULER_INTERNAL_H

#include "deadline.h"
#include "mvm_scheduler.h"

/* Whether an optional text is present. */
static inline bool mvm_text_present(struct mvm_text text)
{
    return text.bytes != NULL;
}

/* What a build was doing when a Cancel arrived. */
enum mvm_was {
    MVM_WAS_UNKNOWN,
    MVM_WAS_WAITING,
    MVM_WAS_RUNNING,
    MVM_WAS_STAGING,
    MVM_WAS_ENDED,
};

/* ---- reasons.c ---- */

/* Why a request is refused or a build ends, if the executor did not decide it. */
enum mvm_reason {
    MVM_REASON_INVALID_ID,
    MVM_REASON_INVALID_KEEP,
    MVM_REASON_ID_CONFLICT,
    MVM_REASON_UNKNOWN_ID,
    MVM_REASON_QUEUE_FULL,
    MVM_REASON_CANCELLED,
    MVM_REASON_MOVED,
    MVM_REASON_SUPERSEDED,
    MVM_REASON_NEEDS_DISK,
    MVM_REASON_NEEDS_SOURCE,
    MVM_REASON_DROPPED,
    MVM_REASON_NO_ARTIFACT,
    MVM_REASON_PAST_END,
    MVM_REASON_SECOND_GET,
    MVM_REASON_NO_ROOM,
    MVM_REASON_UNREADABLE,
    MVM_REASON_STOPPING,
    MVM_REASONS,
};

const char *mvm_reason_message(enum mvm_reason reason); /* static */
enum mvm_category mvm_reason_category(enum mvm_reason reason);

/* Whether nothing has ended: the id in the answer is that of another build, or of none. */
bool mvm_reason_refuses(enum mvm_reason reason);

/* ---- queue.c ---- */

/* The build's id; absent if it has none. */
struct mvm_text mvm_queued_build_id(const struct mvm_queued_build *t);

/* Appends a build; the queue has room. */
void mvm_queue_add(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_message *m);
void mvm_queue_remove(struct mvm_scheduler *v, size_t index);

/* The index of the build with that id that waits, runs or is being answered; v->queued: none. */
size_t mvm_queue_find(const struct mvm_scheduler *v, struct mvm_text id);

/* How many builds are the client's. */
uint32_t mvm_queue_count(const struct mvm_scheduler *v, const struct mvm_client *c);

/* The client of the build that runs or is being answered; NULL: none is connected. */
struct mvm_client *mvm_queue_running_client(const struct mvm_scheduler *v);

/* Heartbeats of the builds that wait: sends what is due; when the next one is. */
void mvm_queue_beat(struct mvm_scheduler *v);
uint64_t mvm_queue_beat_at(const struct mvm_scheduler *v);

/* ---- kept.c ---- */

/* Keeps a build's answer, in place of the oldest one. Ignores builds without an id. `awaited`: a
 * client may come back for it. */
void mvm_kept_add(struct mvm_scheduler *v, struct mvm_text id, enum mvm_category category,
                  struct mvm_text text, bool awaited);

/* A client is given the answer, if there is one for that id. */
void mvm_kept_given(struct mvm_scheduler *v, struct mvm_text id);

/* The answer kept for an id; NULL: none. */
const struct mvm_kept_answer *mvm_kept_find(const struct mvm_scheduler *v, struct mvm_text id);

/* The artifacts of every kept Ok are being replaced. */
void mvm_kept_supersede(struct mvm_scheduler *v);

/* Those of one build without disks are no longer held. */
void mvm_kept_drop(struct mvm_scheduler *v, struct mvm_text id);

/* ---- running.c ---- */

/* Begins, continues or answers a build; whether there is more to do. */
bool mvm_running_drive(struct mvm_scheduler *v);

/* Whether a build's end is decided and only its answer is to be sent. */
bool mvm_running_ended(const struct mvm_scheduler *v);

/* Ends the loan of a text: it is in the send buffer, or its client is gone. */
void mvm_running_return_lent(struct mvm_scheduler *v);

/* Cancels the build that runs; what it was doing. */
enum mvm_was mvm_running_cancel(struct mvm_scheduler *v);

/* ---- owed.c ---- */

enum mvm_owed_kind {
    MVM_OWED_PONG,        /* `number` of them */
    MVM_OWED_WELCOME,     /* `text`: the nonce */
    MVM_OWED_BEAT,        /* a heartbeat, which also accepts a build; `text`: the id */
    MVM_OWED_WAITING,     /* `number` builds ahead; `text`: the id */
    MVM_OWED_PARSE_ERROR, /* `detail`, `json_error`, `field`; `number`: the byte */
    MVM_OWED_ERR,         /* `detail`: enum mvm_reason; `text`: the id */
    MVM_OWED_CANCELLED,   /* `detail`: enum mvm_was; `text`: the id */
    MVM_OWED_KEPT,        /* the answer of an ended build; `text`: its id */
    MVM_OWED_WANT,        /* `number` more bytes of the source; `text`: the id */
};

/* Whether the client may be sent a line or answer of its build: no owed answer comes first. */
bool mvm_owed_none(const struct mvm_client *c);

/* Queues an answer, and sends it if nothing else comes first. `text` may be absent. */
void mvm_owe(struct mvm_scheduler *v, struct mvm_client *c, enum mvm_owed_kind kind, uint8_t detail,
             uint32_t number, struct mvm_text text);
void mvm_owe_err(struct mvm_scheduler *v, struct mvm_client *c, enum mvm_reason reason,
                 struct mvm_text id);
void mvm_owe_parse_error(struct mvm_scheduler *v, struct mvm_client *c);

/* Sends what is owed while there is room. */
void mvm_owed_send(struct mvm_scheduler *v, struct mvm_client *c);

/* answers.c: sends c->sending; the client can be sent a message. */
void mvm_answer_send(const struct mvm_scheduler *v, struct mvm_client *c);

/* Drops what is owed. */
void mvm_owed_clear(struct mvm_client *c);

/* ---- requests.c ---- */

/* Handles every frame that the client has sent. Work: at most what one receive buffer holds. */
void mvm_requests_handle(struct mvm_scheduler *v, struct mvm_client *c);

/* ---- places.c: what builds without disks have made ---- */

enum mvm_place {
    MVM_PLACE_FREE,
    MVM_PLACE_BUILDING,
    MVM_PLACE_HELD,
    MVM_PLACE_DROPPED, /* its folder's contents are to be removed */
};

void mvm_places_set(struct mvm_streams *s, unsigned place, enum mvm_place state);

/* The build that holds artifacts under that id; MVM_STREAM_BUILDS: none. */
unsigned mvm_places_find(const struct mvm_scheduler *v, struct mvm_text id);

/* The list of its artifacts, written to list[0 … MVM_SCHEDULER_LIST_CAP-1]. */
struct mvm_text mvm_places_list(const struct mvm_scheduler *v, unsigned place, uint8_t *list);

/* ---- streams.c: builds without disks ---- */

void mvm_streams_init(struct mvm_scheduler *v);

/* Whether the running build, which is without disks, may begin: its place, else -1: not yet. */
int mvm_streams_begin(struct mvm_scheduler *v);

/* The running build has ended. After Ok its artifacts are held; returns their list. */
struct mvm_text mvm_streams_end(struct mvm_scheduler *v, bool ok);

/* Asks the running build's client for more of its source, if there is room for it. */
void mvm_streams_want(struct mvm_scheduler *v);

/* Whether the running build could go on if more of its source came. */
bool mvm_streams_source_awaited(const struct mvm_scheduler *v);

/* The running build's client changes: the next one is asked for the source from its beginning.
 * False: some of it was received, but not all. */
bool mvm_streams_restart_source(struct mvm_scheduler *v);

void mvm_streams_source(struct mvm_scheduler *v, const struct mvm_client *c,
                        const struct mvm_message *m);
void mvm_streams_drop(struct mvm_scheduler *v, struct mvm_text id);

/* Releases all held artifacts and ends all Gets. */
void mvm_streams_stop(struct mvm_scheduler *v);

/* ---- gets.c: artifacts on their way to clients ---- */

void mvm_gets_add(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_message *m);

/* Ends the client's Get, if there is one, without an answer. */
void mvm_gets_end(struct mvm_scheduler *v, struct mvm_client *c);

/* Ends every Get of a build that is no longer held, with Err. */
void mvm_gets_refuse(struct mvm_scheduler *v, unsigned place, enum mvm_reason reason);

/* The next client in turn for which a piece can be read, and how long it is; NULL: none. */
struct mvm_client *mvm_gets_next(struct mvm_scheduler *v);
size_t mvm_gets_piece(const struct mvm_scheduler *v, const struct mvm_client *c);

/* A piece was read: `result` bytes from `offset` on, or an error of the port. */
void mvm_gets_finish(struct mvm_scheduler *v, int64_t result, uint64_t offset);

/* ---- reader.c ---- */

/* Reads, sends and removes what it can; whether there is more to do. */
bool mvm_reader_drive(struct mvm_scheduler *v);

/* When the call in progress is abandoned; MVM_NEVER: there is none. */
uint64_t mvm_reader_deadline(const struct mvm_scheduler *v);

/* ---- clients.c ---- */

/* The client is no longer the one that requested its builds. */
void mvm_client_leave_builds(struct mvm_scheduler *v, struct mvm_client *c);

/* ---- stalls.c ---- */

/* Marks the client that has delayed others for too long. */
void mvm_stalls_check(struct mvm_scheduler *v);
uint64_t mvm_stalls_at(const struct mvm_scheduler *v);

#endif
