/* Several sessions, one executor: the driver. */
#include "scheduler_internal.h"

void(mvm_scheduler_init)(struct mvm_scheduler *v, struct mvm_executor *executor,
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
    v->lent = NULL;
    v->stopping = v->closed = v->detached = v->superseded = v->stopped = false;
    v->now_ms = 0;
    v->ending_ms = MVM_NEVER;
    v->kept_next = 0;
    for (size_t i = 0; i < MVM_KEPT_ANSWERS; i++) {
        v->kept[i].id_len = 0;
    }
    mvm_streams_init(v);
}

/* A build that could no longer be cancelled has ended after the scheduler was stopped. */
static void drop_late(struct mvm_scheduler *v)
{
    if (v->streams.stopping && v->queued == 0) {
        mvm_streams_stop(v);
    }
}

bool mvm_scheduler_step(struct mvm_scheduler *v, uint64_t now_ms)
{
    v->now_ms = now_ms;
    v->detached = false;
    if (v->lent != NULL && mvm_session_can_send(&v->lent->session)) {
        mvm_running_return_lent(v);
    }
    const struct mvm_client *end = v->clients + v->clients_used;
    for (struct mvm_client *c = v->clients; c < end; c++) {
        if (c->attached) {
            mvm_requests_handle(v, c);
        }
    }
    bool more = false;
    if (v->queued > 0) {
        mvm_queue_beat(v);
        more = mvm_running_drive(v);
        mvm_streams_want(v);
        mvm_stalls_check(v);
    }
    if (v->config.stream_dir == NULL) {
        return more;
    }
    drop_late(v);
    return mvm_reader_drive(v) || more;
}

uint64_t mvm_scheduler_deadline(const struct mvm_scheduler *v)
{
    uint64_t at = mvm_reader_deadline(v);
    if (v->queued == 0) {
        return at;
    }
    if (v->detached) {
        return v->now_ms;
    }
    at = mvm_sooner(at, mvm_sooner(mvm_stalls_at(v), mvm_queue_beat_at(v)));
    return mvm_scheduler_building(v) ? mvm_sooner(at, mvm_executor_deadline(v->executor)) : at;
}

void mvm_scheduler_close(struct mvm_scheduler *v)
{
    v->closed = true;
}

void mvm_scheduler_stop(struct mvm_scheduler *v)
{
    v->closed = true;
    v->stopping = true;
    if (mvm_scheduler_building(v)) {
        v->stopped = true;
        mvm_executor_cancel(v->executor);
    }
    mvm_streams_stop(v);
}

bool mvm_scheduler_idle(const struct mvm_scheduler *v)
{
    return v->queued == 0;
}
