/* What makes the running build delay those of other clients: its client does not read what it has
 * for it, or its source does not come. */
#include "scheduler_internal.h"

/* The client that the running build waits for; NULL: none. */
static struct mvm_client *blocking_client(const struct mvm_scheduler *v)
{
    struct mvm_client *c = v->lent != NULL ? v->lent : mvm_queue_running_client(v);
    return c == NULL || mvm_owed_none(c) ? NULL : c;
}

/* Whether the build of another client waits, or the build itself has another client by now. */
static bool others_wait(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    for (size_t i = 0; i < v->queued; i++) {
        if (v->queue[i].client != c && (i > 0 || v->queue[i].client != NULL)) {
            return true;
        }
    }
    return false;
}

static uint64_t patience_of(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    bool has_moved = v->lent == c && v->queue[0].client != c;
    return v->stopping || has_moved ? MVM_TERM_GRACE_MS : MVM_STALL_MS;
}

static uint64_t client_stalls_at(const struct mvm_scheduler *v)
{
    const struct mvm_client *c = blocking_client(v);
    if (c == NULL) {
        return MVM_NEVER;
    }
    bool contended = others_wait(v, c);
    bool ending = v->ending_ms != MVM_NEVER;
    if (!contended && (!ending || (c->permanent && !v->stopping))) {
        return MVM_NEVER;
    }
    uint64_t since = contended ? c->read_ms : mvm_later(c->read_ms, v->ending_ms);
    return since + patience_of(v, c);
}

/* There may be no client, or one that cannot send it. */
static uint64_t source_stalls_at(const struct mvm_scheduler *v)
{
    bool delays = mvm_streams_source_awaited(v) && others_wait(v, v->queue[0].client);
    return delays ? v->streams.source_ms + MVM_STALL_MS : MVM_NEVER;
}

uint64_t mvm_stalls_at(const struct mvm_scheduler *v)
{
    return mvm_sooner(client_stalls_at(v), source_stalls_at(v));
}

void mvm_stalls_check(struct mvm_scheduler *v)
{
    if (mvm_scheduler_building(v) && v->ending_ms == MVM_NEVER &&
        mvm_executor_ending(v->executor)) {
        v->ending_ms = v->now_ms;
    }
    struct mvm_client *c = blocking_client(v);
    if (c != NULL && v->now_ms >= client_stalls_at(v)) {
        c->stalled = true;
    }
    if (v->now_ms >= source_stalls_at(v)) {
        mvm_executor_give_up_source(v->executor, MVM_STALL_MS);
    }
}
