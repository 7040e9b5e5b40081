/* Several sessions, one executor: who is answered, who waits, whose lines go where. */
#include "mvm_scheduler.h"
#include <string.h>

void mvm_scheduler_init(struct mvm_scheduler *v, struct mvm_executor *executor,
                        const struct mvm_scheduler_config *config, struct mvm_client *clients,
                        size_t clients_cap)
{
    v->state = MVM_SCHEDULER_IDLE;
    v->queued = 0;
    v->executor = executor;
    v->config = *config;
    v->clients = clients;
    v->clients_cap = clients_cap;
    v->clients_used = 0;
    v->stopping = v->detached = false;
    v->now_ms = 0;
    v->ending_ms = UINT64_MAX;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- the queue ---- */

struct mvm_job mvm_queued_build_job(const struct mvm_queued_build *t)
{
    return (struct mvm_job){
        .flake_ref = {t->fields, t->flake_ref_len},
        .attr = {t->fields + t->flake_ref_len, t->attr_len},
        .has_timeout = t->has_timeout,
        .timeout_secs = t->timeout_secs,
    };
}

static uint32_t copy_text(char *to, struct mvm_text text)
{
    if (text.len > 0) {
        memcpy(to, text.bytes, text.len);
    }
    return (uint32_t)text.len;
}

/* The decoder has held the texts to their limits: they fit. */
static void add_ticket(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_build *b)
{
    struct mvm_queued_build *t = &v->queue[v->queued++];
    t->client = c;
    t->has_timeout = b->has_timeout;
    t->timeout_secs = b->timeout_secs;
    t->flake_ref_len = copy_text(t->fields, b->flake_ref);
    t->attr_len = copy_text(t->fields + t->flake_ref_len, b->attr);
}

static void remove_ticket(struct mvm_scheduler *v, size_t index)
{
    v->queued--;
    memmove(&v->queue[index], &v->queue[index + 1], (v->queued - index) * sizeof v->queue[0]);
}

/* The client of the build that runs or is being answered, if there still is one. */
static struct mvm_client *current_client(const struct mvm_scheduler *v)
{
    return v->state == MVM_SCHEDULER_IDLE ? NULL : v->queue[0].client;
}

static bool has_build(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    for (size_t i = 0; i < v->queued; i++) {
        if (v->queue[i].client == c) {
            return true;
        }
    }
    return false;
}

/* ---- clients ---- */

struct mvm_client *mvm_scheduler_attach(struct mvm_scheduler *v,
                                        const struct mvm_session_memory *memory, uint64_t now_ms)
{
    size_t i = 0;
    while (i < v->clients_used && v->clients[i].attached) {
        i++;
    }
    if (i == v->clients_cap) {
        return NULL;
    }
    if (i == v->clients_used) {
        v->clients_used++;
    }
    struct mvm_client *c = &v->clients[i];
    mvm_session_init(&c->session, MVM_DIRECTION_REQUESTS, memory);
    c->attached = true;
    c->permanent = c->stalled = false;
    c->sent = 0;
    c->active_ms = c->heartbeat_ms = v->now_ms = now_ms;
    return c;
}

void mvm_scheduler_detach(struct mvm_scheduler *v, struct mvm_client *c)
{
    size_t waiting = v->state == MVM_SCHEDULER_IDLE ? 0 : 1;
    c->attached = false;
    v->detached = true;
    if (current_client(v) == c) {
        v->queue[0].client = NULL;
        if (v->state == MVM_SCHEDULER_LINE_LENT) {
            v->state = MVM_SCHEDULER_BUILDING;
            mvm_executor_logged(v->executor, v->now_ms);
        }
        if (v->state == MVM_SCHEDULER_BUILDING && !v->config.keep_building) {
            mvm_executor_cancel(v->executor);
        }
    }
    for (size_t i = v->queued; i-- > waiting;) {
        if (v->queue[i].client != c) {
            continue;
        }
        if (v->config.keep_building) {
            v->queue[i].client = NULL;
        } else {
            remove_ticket(v, i);
        }
    }
    while (v->clients_used > 0 && !v->clients[v->clients_used - 1].attached) {
        v->clients_used--;
    }
}

bool mvm_scheduler_done(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    return mvm_session_ended(&c->session) && mvm_session_flushed(&c->session) && !has_build(v, c);
}

struct mvm_client *mvm_scheduler_idlest(const struct mvm_scheduler *v, uint64_t min_ms)
{
    struct mvm_client *idlest = NULL;
    for (size_t i = 0; i < v->clients_used; i++) {
        struct mvm_client *c = &v->clients[i];
        uint64_t limit = mvm_session_flushed(&c->session) ? min_ms : MVM_STALL_MS;
        if (c->attached && !c->permanent && v->now_ms - c->active_ms >= limit && !has_build(v, c) &&
            (idlest == NULL || c->active_ms < idlest->active_ms)) {
            idlest = c;
        }
    }
    return idlest;
}

/* ---- requests ---- */

static void send_text(struct mvm_client *c, enum mvm_kind kind, struct mvm_text text)
{
    const struct mvm_message m = {.kind = kind, .text = text};
    mvm_session_send(&c->session, &m);
}

static void take_build(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_build *b)
{
    struct mvm_writer w;
    mvm_writer_init(&w, c->note, sizeof c->note);
    if (v->queued == MVM_QUEUE_MAX) {
        mvm_writer_add(&w, "build rejected: queue full (");
        mvm_writer_add_u64(&w, v->queued);
        mvm_writer_add(&w, " builds wait already)");
        send_text(c, MVM_MESSAGE_ERR, mvm_writer_finish(&w));
        return;
    }
    size_t ahead = v->queued;
    add_ticket(v, c, b);
    c->heartbeat_ms = v->now_ms + v->config.heartbeat_ms;
    if (ahead > 0) {
        mvm_writer_add(&w, "mvm: waiting for another build, ");
        mvm_writer_add_u64(&w, ahead);
        mvm_writer_add(&w, " ahead");
        send_text(c, MVM_MESSAGE_LOG, mvm_writer_finish(&w));
    }
}

static void take_request(struct mvm_scheduler *v, struct mvm_client *c)
{
    static const struct mvm_message pong = {.kind = MVM_MESSAGE_PONG};
    if (c->session.message.kind == MVM_MESSAGE_BUILD) {
        take_build(v, c, &c->session.message.build);
    } else { /* PING: the decoder of requests knows no other */
        mvm_session_send(&c->session, &pong);
    }
}

static void refuse_frame(struct mvm_client *c)
{
    struct mvm_writer w;
    mvm_writer_init(&w, c->note, sizeof c->note);
    mvm_session_explain(&c->session, &w);
    send_text(c, MVM_MESSAGE_ERR, mvm_writer_finish(&w));
}

/* Work: at most what one receive buffer holds. Each frame can be answered: next sees to it. */
static void take_frames(struct mvm_scheduler *v, struct mvm_client *c)
{
    if (c->sent != c->session.sent) {
        c->sent = c->session.sent;
        c->active_ms = v->now_ms;
    }
    for (;;) {
        enum mvm_session_event event = mvm_session_next(&c->session);
        if (event == MVM_SESSION_MESSAGE) {
            take_request(v, c);
        } else if (event == MVM_SESSION_BAD_FRAME) {
            refuse_frame(c);
        } else {
            return; /* NOTHING, ENDED */
        }
        c->active_ms = v->now_ms;
    }
}

/* ---- heartbeats for those that wait: the running build has the executor's ---- */

static bool beats(const struct mvm_scheduler *v, size_t index)
{
    const struct mvm_client *c = v->queue[index].client;
    return v->config.heartbeat_ms > 0 && c != NULL && c != current_client(v);
}

static void beat(struct mvm_scheduler *v)
{
    for (size_t i = 0; i < v->queued; i++) {
        struct mvm_client *c = v->queue[i].client;
        if (!beats(v, i) || v->now_ms < c->heartbeat_ms) {
            continue;
        }
        c->heartbeat_ms = v->now_ms + v->config.heartbeat_ms;
        if (mvm_session_can_send(&c->session)) {
            send_text(c, MVM_MESSAGE_LOG, mvm_text_from(""));
        }
    }
}

/* ---- the running build ---- */

static void end_build(struct mvm_scheduler *v, enum mvm_kind kind, struct mvm_text text)
{
    v->answer = (struct mvm_message){.kind = kind, .text = text};
    v->state = MVM_SCHEDULER_ANSWERING;
    v->ending_ms = sooner(v->ending_ms, v->now_ms);
}

static bool begin_build(struct mvm_scheduler *v)
{
    if (v->queued == 0) {
        return false;
    }
    v->ending_ms = UINT64_MAX;
    if (v->stopping) {
        end_build(v, MVM_MESSAGE_ERR, mvm_text_from("build rejected: the agent is stopping"));
        return true;
    }
    struct mvm_job job = mvm_queued_build_job(&v->queue[0]);
    v->state = MVM_SCHEDULER_BUILDING;
    mvm_executor_start(v->executor, &job, v->now_ms);
    return true;
}

/* Hands the executor's line to the build's client; false: it has no room for more. */
static bool pass_line(struct mvm_scheduler *v, struct mvm_client *c)
{
    if (c != NULL) {
        if (!mvm_session_can_send(&c->session)) {
            return false;
        }
        send_text(c, MVM_MESSAGE_LOG, v->executor->text);
        if (!mvm_session_can_send(&c->session)) {
            v->state = MVM_SCHEDULER_LINE_LENT;
            return false;
        }
    }
    mvm_executor_logged(v->executor, v->now_ms);
    return true;
}

static bool build(struct mvm_scheduler *v)
{
    struct mvm_client *c = v->queue[0].client;
    for (int lines = 0; lines < MVM_SCHEDULER_LINES; lines++) {
        enum mvm_executor_event event = mvm_executor_step(v->executor, v->now_ms);
        switch (event) { /* COVERAGE: each event has its case; a branch for none is never taken */
        case MVM_EXECUTOR_WAIT:
            return false;
        case MVM_EXECUTOR_AGAIN:
            return true;
        case MVM_EXECUTOR_LOG:
            if (!pass_line(v, c)) {
                return false;
            }
            break;
        case MVM_EXECUTOR_OK:
            end_build(v, MVM_MESSAGE_OK, v->executor->text);
            return true;
        case MVM_EXECUTOR_ERR:
            end_build(v, MVM_MESSAGE_ERR, v->executor->text);
            return true;
        }
    }
    return true;
}

static bool build_lent(struct mvm_scheduler *v)
{
    if (!mvm_session_can_send(&v->queue[0].client->session)) {
        /* The line stays as it is; this is for the build's time-outs. */
        (void)mvm_executor_step(v->executor, v->now_ms);
        return false;
    }
    v->state = MVM_SCHEDULER_BUILDING;
    mvm_executor_logged(v->executor, v->now_ms);
    return build(v);
}

/* The executor's text is the answer: nothing new begins before it is in the send buffer. */
static bool send_answer(struct mvm_scheduler *v)
{
    struct mvm_client *c = v->queue[0].client;
    if (c != NULL) {
        if (v->state == MVM_SCHEDULER_ANSWERING && mvm_session_can_send(&c->session)) {
            v->state = MVM_SCHEDULER_ANSWER_LENT;
            mvm_session_send(&c->session, &v->answer);
        }
        if (v->state == MVM_SCHEDULER_ANSWERING || !mvm_session_can_send(&c->session)) {
            return false;
        }
        c->active_ms = v->now_ms;
    }
    v->state = MVM_SCHEDULER_IDLE;
    remove_ticket(v, 0);
    return v->queued > 0;
}

static bool drive(struct mvm_scheduler *v)
{
    switch (v->state) { /* COVERAGE: each state has its case; a branch for none is never taken */
    case MVM_SCHEDULER_IDLE:
        return begin_build(v);
    case MVM_SCHEDULER_BUILDING:
        return build(v);
    case MVM_SCHEDULER_LINE_LENT:
        return build_lent(v);
    case MVM_SCHEDULER_ANSWERING:
    case MVM_SCHEDULER_ANSWER_LENT:
        return send_answer(v);
    }
    return false; /* COVERAGE: each state has returned */
}

/* ---- a client that holds everybody up ---- */

static bool others_wait(const struct mvm_scheduler *v)
{
    for (size_t i = 1; i < v->queued; i++) {
        if (v->queue[i].client != v->queue[0].client) {
            return true;
        }
    }
    return false;
}

/* When the client of an ending build is given up: never while it has room for what comes. */
static uint64_t stall_at(const struct mvm_scheduler *v)
{
    const struct mvm_client *c = current_client(v);
    if (c == NULL || v->ending_ms == UINT64_MAX || mvm_session_can_send(&c->session) ||
        (c->permanent && !v->stopping && !others_wait(v))) {
        return UINT64_MAX;
    }
    return later(v->ending_ms, c->active_ms) + (v->stopping ? MVM_TERM_GRACE_MS : MVM_STALL_MS);
}

static void watch_stall(struct mvm_scheduler *v)
{
    if (mvm_scheduler_building(v) && v->ending_ms == UINT64_MAX &&
        mvm_executor_ending(v->executor)) {
        v->ending_ms = v->now_ms;
    }
    if (v->now_ms >= stall_at(v)) {
        v->queue[0].client->stalled = true;
    }
}

/* ---- the whole ---- */

bool mvm_scheduler_step(struct mvm_scheduler *v, uint64_t now_ms)
{
    v->now_ms = now_ms;
    v->detached = false;
    const struct mvm_client *end = v->clients + v->clients_used;
    for (struct mvm_client *c = v->clients; c < end; c++) {
        if (c->attached) {
            take_frames(v, c);
        }
    }
    beat(v);
    bool more = drive(v);
    watch_stall(v);
    return more;
}

uint64_t mvm_scheduler_deadline(const struct mvm_scheduler *v)
{
    if (v->queued == 0) {
        return UINT64_MAX;
    }
    bool building = mvm_scheduler_building(v);
    if (v->detached) {
        return v->now_ms;
    }
    uint64_t at = sooner(stall_at(v), building ? mvm_executor_deadline(v->executor) : UINT64_MAX);
    for (size_t i = 0; i < v->queued; i++) {
        if (beats(v, i)) {
            at = sooner(at, v->queue[i].client->heartbeat_ms);
        }
    }
    return at;
}

void mvm_scheduler_stop(struct mvm_scheduler *v)
{
    v->stopping = true;
    if (mvm_scheduler_building(v)) {
        mvm_executor_cancel(v->executor);
    }
}

bool mvm_scheduler_idle(const struct mvm_scheduler *v)
{
    return v->queued == 0;
}

bool mvm_scheduler_building(const struct mvm_scheduler *v)
{
    return v->state == MVM_SCHEDULER_BUILDING || v->state == MVM_SCHEDULER_LINE_LENT;
}
