/* Clients: attach, detach, and which may be closed. */
#include "scheduler_internal.h"

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
    mvm_owed_clear(c);
    c->attached = true;
    c->permanent = c->stalled = c->get.active = false;
    c->sent = 0;
    c->active_ms = c->read_ms = c->last_beat_ms = v->now_ms = now_ms;
    return c;
}

static void drop_waiting(struct mvm_scheduler *v, size_t index)
{
    mvm_kept_add(v, mvm_queued_build_id(&v->queue[index]), MVM_CATEGORY_CANCELLED,
                 mvm_text_from(mvm_reason_message(MVM_REASON_CANCELLED)), false);
    mvm_queue_remove(v, index);
}

/* A line or an answer that is being sent is not interrupted. */
void mvm_client_leave_builds(struct mvm_scheduler *v, struct mvm_client *c)
{
    for (size_t i = v->queued; i-- > 0;) {
        struct mvm_queued_build *t = &v->queue[i];
        bool is_running = i == 0 && v->state != MVM_SCHEDULER_IDLE;
        if (t->client != c) {
            continue;
        }
        t->client = NULL;
        if (t->keep && !(is_running && !mvm_streams_restart_source(v))) {
            continue;
        }
        if (!is_running) {
            drop_waiting(v, i);
        } else if (!mvm_running_ended(v)) {
            mvm_executor_cancel(v->executor);
        }
    }
}

static void leave(struct mvm_scheduler *v, struct mvm_client *c)
{
    if (v->lent == c) {
        mvm_running_return_lent(v);
    }
    mvm_client_leave_builds(v, c);
    mvm_gets_end(v, c);
    mvm_owed_clear(c);
    v->detached = true;
}

void mvm_scheduler_detach(struct mvm_scheduler *v, struct mvm_client *c)
{
    leave(v, c);
    c->attached = false;
    while (v->clients_used > 0 && !v->clients[v->clients_used - 1].attached) {
        v->clients_used--;
    }
}

void mvm_scheduler_hung_up(struct mvm_scheduler *v, struct mvm_client *c)
{
    leave(v, c);
    mvm_session_restart(&c->session);
}

bool mvm_scheduler_flushed(const struct mvm_client *c)
{
    return c->owed_len == 0 && mvm_session_flushed(&c->session);
}

bool mvm_scheduler_done(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    return mvm_session_ended(&c->session) && mvm_scheduler_flushed(c) && !c->get.active &&
           mvm_queue_count(v, c) == 0;
}

struct mvm_client *mvm_scheduler_idlest(const struct mvm_scheduler *v, uint64_t min_ms)
{
    struct mvm_client *idlest = NULL;
    for (size_t i = 0; i < v->clients_used; i++) {
        struct mvm_client *c = &v->clients[i];
        bool rests = mvm_scheduler_flushed(c) && !c->get.active;
        uint64_t limit = rests ? min_ms : MVM_STALL_MS;
        if (c->attached && !c->permanent && v->now_ms - c->active_ms >= limit &&
            mvm_queue_count(v, c) == 0 && (idlest == NULL || c->active_ms < idlest->active_ms)) {
            idlest = c;
        }
    }
    return idlest;
}
