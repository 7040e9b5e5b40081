/* The build that runs: passes its lines and its answer from the executor to its client. */
#include "scheduler_internal.h"

bool mvm_scheduler_building(const struct mvm_scheduler *v)
{
    return v->state == MVM_SCHEDULER_BUILDING || v->state == MVM_SCHEDULER_LINE_LENT;
}

bool mvm_running_ended(const struct mvm_scheduler *v)
{
    return v->state == MVM_SCHEDULER_ANSWERING || v->state == MVM_SCHEDULER_ANSWER_LENT;
}

/* ---- the end ---- */

/* Whether a build without disks has ended without a client that could fetch what it made. */
static bool is_abandoned(const struct mvm_scheduler *v)
{
    const struct mvm_queued_build *t = &v->queue[0];
    return t->stream && t->client == NULL && (!t->keep || mvm_executor_cancelled(v->executor));
}

/* `category`: NONE for Ok alone. */
static void end_build(struct mvm_scheduler *v, enum mvm_category category, struct mvm_text text)
{
    bool ok = category == MVM_CATEGORY_NONE;
    v->answer = (struct mvm_message){
        .kind = ok ? MVM_MESSAGE_OK : MVM_MESSAGE_ERR,
        .text = text,
        .id = mvm_queued_build_id(&v->queue[0]),
    };
    if (v->queue[0].stream) {
        struct mvm_text list = mvm_streams_end(v, ok);
        v->answer.artifacts = ok ? list : v->answer.artifacts;
    }
    if (!ok && mvm_text_present(v->answer.id)) {
        v->answer.refusal.category = mvm_text_from(mvm_category_word(category));
    }
    v->state = MVM_SCHEDULER_ANSWERING;
    v->ending_ms = mvm_sooner(v->ending_ms, v->now_ms);
    bool awaited = v->queue[0].keep && category != MVM_CATEGORY_STOPPING;
    mvm_kept_add(v, v->answer.id, category, text, awaited);
    if (is_abandoned(v)) {
        mvm_streams_drop(v, v->answer.id);
    }
}

/* A later build that has mounted the output disk, or has begun to stage, makes a kept Ok untrue:
 * the client would mount a disk that is in use. */
static void note_progress(struct mvm_scheduler *v)
{
    if (!v->superseded && !v->queue[0].stream &&
        (mvm_executor_progress(v->executor) >= MVM_EXECUTOR_STAGING ||
         !mvm_executor_released(v->executor))) {
        v->superseded = true;
        mvm_kept_supersede(v);
    }
}

static void end_failed(struct mvm_scheduler *v)
{
    enum mvm_category category = mvm_executor_category(v->executor);
    if (category == MVM_CATEGORY_CANCELLED && v->stopped) {
        category = MVM_CATEGORY_STOPPING;
    } else if (category == MVM_CATEGORY_NONE) {
        category = MVM_CATEGORY_INTERNAL;
    }
    end_build(v, category, v->executor->text);
}

/* ---- the beginning ---- */

static bool begin_build(struct mvm_scheduler *v)
{
    v->ending_ms = MVM_NEVER;
    v->superseded = v->stopped = false;
    if (v->closed) {
        end_build(v, MVM_CATEGORY_STOPPING, mvm_text_from("build rejected: the agent is stopping"));
        return true;
    }
    struct mvm_job job = mvm_scheduler_job(&v->queue[0]);
    int place = job.stream ? mvm_streams_begin(v) : 0;
    if (place < 0) {
        return false;
    }
    job.slot = (unsigned)place;
    v->state = MVM_SCHEDULER_BUILDING;
    v->line =
        (struct mvm_message){.kind = MVM_MESSAGE_LOG, .id = mvm_queued_build_id(&v->queue[0])};
    mvm_executor_start(v->executor, &job, v->now_ms);
    return true;
}

/* ---- lines ---- */

/* Passes the executor's line to the build's client; false: it has no room for more. */
static bool pass_line(struct mvm_scheduler *v)
{
    const struct mvm_queued_build *t = &v->queue[0];
    if (t->client != NULL) {
        if (!mvm_owed_none(t->client)) {
            return false;
        }
        v->line.text = v->executor->text;
        v->line.beat = t->id_len > 0 && mvm_executor_is_heartbeat(v->executor) ? MVM_FLAG_TRUE
                                                                               : MVM_FLAG_ABSENT;
        mvm_session_send(&t->client->session, &v->line);
        if (!mvm_session_can_send(&t->client->session)) {
            v->state = MVM_SCHEDULER_LINE_LENT;
            v->lent = t->client;
            return false;
        }
    }
    mvm_executor_logged(v->executor, v->now_ms);
    return true;
}

static bool build(struct mvm_scheduler *v)
{
    for (int lines = 0; lines < MVM_SCHEDULER_LINES; lines++) {
        enum mvm_executor_event event = mvm_executor_step(v->executor, v->now_ms);
        note_progress(v);
        switch (event) { /* COVERAGE: each event has its case; a branch for none is never taken */
        case MVM_EXECUTOR_WAIT:
            return false;
        case MVM_EXECUTOR_AGAIN:
            return true;
        case MVM_EXECUTOR_LOG:
            if (!pass_line(v)) {
                return false;
            }
            break;
        case MVM_EXECUTOR_OK:
            end_build(v, MVM_CATEGORY_NONE, v->executor->text);
            return true;
        case MVM_EXECUTOR_ERR:
            end_failed(v);
            return true;
        }
    }
    return true;
}

/* ---- the answer ---- */

/* The executor's text is the answer: nothing new begins before it is in the send buffer. */
static void finish_build(struct mvm_scheduler *v)
{
    v->state = MVM_SCHEDULER_IDLE;
    mvm_queue_remove(v, 0);
}

static bool send_answer(struct mvm_scheduler *v)
{
    struct mvm_client *c = v->queue[0].client;
    if (c != NULL) {
        if (!mvm_owed_none(c)) {
            return false;
        }
        c->active_ms = v->now_ms;
        mvm_kept_given(v, v->answer.id);
        mvm_session_send(&c->session, &v->answer);
        if (!mvm_session_can_send(&c->session)) {
            v->state = MVM_SCHEDULER_ANSWER_LENT;
            v->lent = c;
            return false;
        }
    }
    finish_build(v);
    return v->queued > 0;
}

void mvm_running_return_lent(struct mvm_scheduler *v)
{
    v->lent = NULL;
    if (v->state == MVM_SCHEDULER_LINE_LENT) {
        v->state = MVM_SCHEDULER_BUILDING;
        mvm_executor_logged(v->executor, v->now_ms);
    } else {
        finish_build(v);
    }
}

/* ---- the whole ---- */

bool mvm_running_drive(struct mvm_scheduler *v)
{
    switch (v->state) { /* COVERAGE: each state has its case; a branch for none is never taken */
    case MVM_SCHEDULER_IDLE:
        return begin_build(v);
    case MVM_SCHEDULER_BUILDING:
        return build(v);
    case MVM_SCHEDULER_LINE_LENT:
        /* The line stays as it is; this is for the build's time-outs. */
        (void)mvm_executor_step(v->executor, v->now_ms);
        return false;
    case MVM_SCHEDULER_ANSWERING:
        return send_answer(v);
    case MVM_SCHEDULER_ANSWER_LENT:
        return false;
    }
    return false; /* COVERAGE: each state has returned */
}

enum mvm_was mvm_running_cancel(struct mvm_scheduler *v)
{
    if (mvm_running_ended(v)) {
        return MVM_WAS_ENDED;
    }
    enum mvm_executor_progress progress = mvm_executor_progress(v->executor);
    mvm_executor_cancel(v->executor);
    return progress == MVM_EXECUTOR_BUILDING ? MVM_WAS_RUNNING : MVM_WAS_STAGING;
}
