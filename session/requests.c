/* What clients ask for: Ping, Hello, builds, Join, Cancel, artifacts. Each is answered, or queued.
 */
#include "id.h"
#include "scheduler_internal.h"

/* Artifacts are held for longer than the ends of other builds are kept. */
static bool has_ended(const struct mvm_scheduler *v, struct mvm_text id)
{
    return mvm_kept_find(v, id) != NULL || mvm_places_find(v, id) < MVM_STREAM_BUILDS;
}

/* ---- Build ---- */

static bool id_known(const struct mvm_scheduler *v, struct mvm_text id)
{
    return mvm_queue_find(v, id) < v->queued || has_ended(v, id);
}

static bool has_no_limit(const struct mvm_scheduler *v, const struct mvm_build *b)
{
    const struct mvm_job job = {.has_timeout = b->has_timeout, .timeout_secs = b->timeout_secs};
    return mvm_executor_timeout_secs(v->executor, &job) == 0;
}

/* MVM_REASONS: it is accepted. */
static enum mvm_reason refusal_of(const struct mvm_scheduler *v, const struct mvm_message *m)
{
    bool stream = m->kind == MVM_MESSAGE_STREAM_BUILD;
    if ((mvm_text_present(m->id) || stream) && !mvm_id_valid(m->id)) {
        return MVM_REASON_INVALID_ID;
    }
    if (stream && v->config.stream_dir == NULL) {
        return MVM_REASON_NEEDS_DISK;
    }
    if (id_known(v, m->id)) {
        return MVM_REASON_ID_CONFLICT;
    }
    if (mvm_text_present(m->id) && m->build.keep == MVM_FLAG_TRUE && has_no_limit(v, &m->build)) {
        return MVM_REASON_INVALID_KEEP;
    }
    return v->queued == MVM_QUEUE_MAX ? MVM_REASON_QUEUE_FULL : MVM_REASONS;
}

static void accept_build(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_message *m)
{
    enum mvm_reason refusal = refusal_of(v, m);
    if (refusal != MVM_REASONS) {
        mvm_owe_err(v, c, refusal, m->id);
        return;
    }
    uint32_t ahead = (uint32_t)v->queued;
    mvm_queue_add(v, c, m);
    if (mvm_text_present(m->id)) {
        mvm_owe(v, c, MVM_OWED_BEAT, 0, 0, m->id);
    }
    if (ahead > 0) {
        mvm_owe(v, c, MVM_OWED_WAITING, 0, ahead, m->id);
    }
}

/* ---- Join ---- */

/* An answer that is being sent stays with its client; a client that joins gets the kept one. */
static bool can_move(const struct mvm_scheduler *v, size_t index)
{
    return index < v->queued && (index > 0 || v->state != MVM_SCHEDULER_ANSWER_LENT);
}

/* Whether c would have to send the build's source, and its wire has no bytes. */
static bool lacks_wire(const struct mvm_scheduler *v, const struct mvm_client *c, size_t index)
{
    const struct mvm_queued_build *t = &v->queue[index];
    bool begun = index == 0 && v->state != MVM_SCHEDULER_IDLE;
    bool has_it = begun && (mvm_running_ended(v) || v->streams.received >= t->source_size);
    return t->has_source && !has_it && c->session.wire != MVM_WIRE_PROTO;
}

static void join_build(struct mvm_scheduler *v, struct mvm_client *c, struct mvm_text id)
{
    size_t index = mvm_queue_find(v, id);
    if (can_move(v, index) && lacks_wire(v, c, index)) {
        mvm_owe_err(v, c, MVM_REASON_NEEDS_SOURCE, id);
    } else if (can_move(v, index)) {
        struct mvm_queued_build *t = &v->queue[index];
        struct mvm_client *before = t->client;
        if (before != c && index == 0 && !mvm_streams_restart_source(v)) {
            mvm_executor_cancel(
                v->executor); /* c does not know how much of its source was received */
        }
        t->client = c;
        t->last_beat_ms = v->now_ms;
        mvm_owe(v, c, MVM_OWED_BEAT, 0, 0, id);
        if (before != NULL && before != c) {
            mvm_owe_err(v, before, MVM_REASON_MOVED, id);
        }
    } else if (has_ended(v, id)) {
        mvm_owe(v, c, MVM_OWED_KEPT, 0, 0, id);
        mvm_kept_given(v, id);
    } else {
        mvm_owe_err(v, c, MVM_REASON_UNKNOWN_ID, id);
    }
}

/* ---- Cancel ---- */

static void cancel_waiting(struct mvm_scheduler *v, size_t index)
{
    const struct mvm_queued_build *t = &v->queue[index];
    struct mvm_text message = mvm_text_from(mvm_reason_message(MVM_REASON_CANCELLED));
    mvm_kept_add(v, mvm_queued_build_id(t), MVM_CATEGORY_CANCELLED, message, false);
    if (t->client != NULL) {
        mvm_owe_err(v, t->client, MVM_REASON_CANCELLED, mvm_queued_build_id(t));
    }
    mvm_queue_remove(v, index);
}

/* The answer to Cancel comes before the build's own. */
static void cancel_build(struct mvm_scheduler *v, struct mvm_client *c, struct mvm_text id)
{
    size_t index = mvm_queue_find(v, id);
    enum mvm_was was = MVM_WAS_UNKNOWN;
    if (index == 0 && v->queued > 0 && v->state != MVM_SCHEDULER_IDLE) {
        was = mvm_running_cancel(v);
    } else if (index < v->queued) {
        was = MVM_WAS_WAITING;
    } else if (has_ended(v, id)) {
        was = MVM_WAS_ENDED;
    }
    mvm_owe(v, c, MVM_OWED_CANCELLED, (uint8_t)was, 0, id);
    if (was == MVM_WAS_WAITING) {
        cancel_waiting(v, index);
    }
}

/* ---- Hello ---- */

/* On a line without connections it begins one: nothing of the earlier one is sent after it. */
static void welcome(struct mvm_scheduler *v, struct mvm_client *c, struct mvm_text nonce)
{
    if (c->permanent) {
        mvm_client_leave_builds(v, c);
        mvm_gets_end(v, c);
        mvm_owed_clear(c);
    }
    mvm_owe(v, c, MVM_OWED_WELCOME, 0, 0, nonce);
}

/* ---- frames ---- */

/* Usually there is room, and no need to queue. */
static void answer_ping(struct mvm_scheduler *v, struct mvm_client *c)
{
    static const struct mvm_message pong = {.kind = MVM_MESSAGE_PONG};
    if (mvm_owed_none(c)) {
        mvm_session_send(&c->session, &pong);
    } else {
        mvm_owe(v, c, MVM_OWED_PONG, 0, 1, (struct mvm_text){NULL, 0});
    }
}

static void handle_request(struct mvm_scheduler *v, struct mvm_client *c)
{
    const struct mvm_message *m = &c->session.message;
    switch (m->kind) { /* COVERAGE: the decoder of requests has no response */
    case MVM_MESSAGE_BUILD:
    case MVM_MESSAGE_STREAM_BUILD:
        accept_build(v, c, m);
        break;
    case MVM_MESSAGE_PING:
        answer_ping(v, c);
        break;
    case MVM_MESSAGE_HELLO:
        welcome(v, c, m->hello.nonce);
        break;
    case MVM_MESSAGE_JOIN:
        join_build(v, c, m->id);
        break;
    case MVM_MESSAGE_CANCEL:
        cancel_build(v, c, m->id);
        break;
    case MVM_MESSAGE_SOURCE:
        mvm_streams_source(v, c, m);
        break;
    case MVM_MESSAGE_GET:
        mvm_gets_add(v, c, m);
        break;
    case MVM_MESSAGE_DROP:
        mvm_streams_drop(v, m->id);
        break;
    case MVM_MESSAGE_OK: /* COVERAGE: the decoder of requests has none of these */
    case MVM_MESSAGE_ERR:
    case MVM_MESSAGE_LOG:
    case MVM_MESSAGE_PONG:
    case MVM_MESSAGE_WELCOME:
    case MVM_MESSAGE_CANCELLED:
    case MVM_MESSAGE_WANT:
    case MVM_MESSAGE_ARTIFACT:
        break; /* COVERAGE: none of them comes */
    }
}

/* Whether there is room for all that one request can cause: two answers and the end of each build.
 */
static bool has_room(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    return c->owed_len + mvm_queue_count(v, c) + 3 <= MVM_OWED_MAX;
}

/* A line cannot be closed: continue with the next bytes. */
static void resume_line(struct mvm_client *c)
{
    if (c->permanent && mvm_session_broken(&c->session)) {
        mvm_session_peer_changed(&c->session);
    }
}

void mvm_requests_handle(struct mvm_scheduler *v, struct mvm_client *c)
{
    if (c->sent != c->session.sent || mvm_session_flushed(&c->session)) {
        c->active_ms = c->sent != c->session.sent ? v->now_ms : c->active_ms;
        c->read_ms = v->now_ms;
        c->sent = c->session.sent;
    }
    mvm_owed_send(v, c);
    while (mvm_session_has_input(&c->session) && has_room(v, c)) {
        enum mvm_session_event event = mvm_session_decode(&c->session);
        if (event == MVM_SESSION_MESSAGE) {
            handle_request(v, c);
        } else if (event == MVM_SESSION_BAD_FRAME) {
            mvm_owe_parse_error(v, c);
            resume_line(c);
        } else {
            return; /* NOTHING, ENDED */
        }
        c->active_ms = v->now_ms;
    }
}
