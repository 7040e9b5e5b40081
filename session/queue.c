/* The builds that wait for the executor, in order; queue[0] may be the one that runs. */
#include "scheduler_internal.h"
#include <string.h>

struct mvm_job mvm_scheduler_job(const struct mvm_queued_build *t)
{
    return (struct mvm_job){
        .flake_ref = {t->fields, t->flake_ref_len},
        .attr = {t->fields + t->flake_ref_len, t->attr_len},
        .has_timeout = t->has_timeout,
        .timeout_secs = t->timeout_secs,
        .stream = t->stream,
        .has_source = t->has_source,
        .source_size = t->source_size,
    };
}

struct mvm_text mvm_queued_build_id(const struct mvm_queued_build *t)
{
    return (struct mvm_text){t->id_len > 0 ? t->id : NULL, t->id_len};
}

size_t mvm_queue_find(const struct mvm_scheduler *v, struct mvm_text id)
{
    size_t i = 0;
    while (i < v->queued && (id.len == 0 || v->queue[i].id_len != id.len ||
                             memcmp(v->queue[i].id, id.bytes, id.len) != 0)) {
        i++;
    }
    return i;
}

/* ---- the queue ---- */

static uint32_t copy_text(char *to, struct mvm_text text)
{
    if (text.len > 0) {
        memcpy(to, text.bytes, text.len);
    }
    return (uint32_t)text.len;
}

/* The decoder has enforced the limits of the texts: they fit. */
void mvm_queue_add(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_message *m)
{
    struct mvm_queued_build *t = &v->queue[v->queued++];
    t->client = c;
    t->has_timeout = m->build.has_timeout;
    t->timeout_secs = m->build.timeout_secs;
    t->stream = m->kind == MVM_MESSAGE_STREAM_BUILD;
    t->has_source = t->stream && m->build.has_source;
    t->source_size = m->build.source_size;
    /* Without an id no client could join it, nor cancel it. */
    bool can_be_kept = mvm_text_present(m->id);
    t->keep = (can_be_kept && m->build.keep == MVM_FLAG_TRUE) || v->config.keep_building;
    t->last_beat_ms = c->last_beat_ms = v->now_ms;
    t->id_len = copy_text(t->id, m->id);
    t->flake_ref_len = copy_text(t->fields, m->build.flake_ref);
    t->attr_len = copy_text(t->fields + t->flake_ref_len, m->build.attr);
}

void mvm_queue_remove(struct mvm_scheduler *v, size_t index)
{
    v->queued--;
    memmove(&v->queue[index], &v->queue[index + 1], (v->queued - index) * sizeof v->queue[0]);
}

uint32_t mvm_queue_count(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    uint32_t count = 0;
    for (size_t i = 0; i < v->queued; i++) {
        count += v->queue[i].client == c;
    }
    return count;
}

struct mvm_client *mvm_queue_running_client(const struct mvm_scheduler *v)
{
    return v->state == MVM_SCHEDULER_IDLE ? NULL : v->queue[0].client;
}

/* ---- heartbeats of builds that wait ---- */

/* The executor sends those of the build that runs. A client hears of its builds without an id all
 * together, unless one of them runs; of each build with an id on its own. */
static bool beats(const struct mvm_scheduler *v, const struct mvm_queued_build *t)
{
    bool is_running = t == v->queue && v->state != MVM_SCHEDULER_IDLE;
    return v->config.heartbeat_ms > 0 && t->client != NULL && !is_running &&
           (t->id_len > 0 || t->client != mvm_queue_running_client(v));
}

static uint64_t beat_at(const struct mvm_scheduler *v, const struct mvm_queued_build *t)
{
    const struct mvm_job job = mvm_scheduler_job(t);
    uint64_t limit_secs = mvm_executor_timeout_secs(v->executor, &job);
    uint64_t every = v->config.heartbeat_ms;
    if (limit_secs > 0 && limit_secs <= every / 500) {
        every = limit_secs * 500;
    }
    return (t->id_len > 0 ? t->last_beat_ms : t->client->last_beat_ms) + every;
}

static void beat(struct mvm_scheduler *v, struct mvm_queued_build *t)
{
    if (t->id_len > 0) {
        t->last_beat_ms = v->now_ms;
    } else {
        t->client->last_beat_ms = v->now_ms;
    }
    if (mvm_owed_none(t->client)) {
        mvm_owe(v, t->client, MVM_OWED_BEAT, 0, 0, mvm_queued_build_id(t));
    }
}

void mvm_queue_beat(struct mvm_scheduler *v)
{
    for (size_t i = 0; i < v->queued; i++) {
        struct mvm_queued_build *t = &v->queue[i];
        if (beats(v, t) && v->now_ms >= beat_at(v, t)) {
            beat(v, t);
        }
    }
}

uint64_t mvm_queue_beat_at(const struct mvm_scheduler *v)
{
    uint64_t at = MVM_NEVER;
    for (size_t i = 0; i < v->queued; i++) {
        if (beats(v, &v->queue[i])) {
            at = mvm_sooner(at, beat_at(v, &v->queue[i]));
        }
    }
    return at;
}
