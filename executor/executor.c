/*
 * The driver: time, pending texts, and which phase runs. Only this file assigns the state.
 */
#include "deadline.h"
#include "internal.h"
#include <string.h>

/* A test that includes this file sees each transition. */
#ifndef MVM_EXECUTOR_EDGE
#define MVM_EXECUTOR_EDGE(from, to) ((void)0)
#endif

static void enter(struct mvm_executor *x, enum mvm_executor_state state)
{
    if (x->state != state) {
        MVM_EXECUTOR_EDGE(x->state, state);
        x->state = state;
        x->step = 0;
    }
}

void(mvm_executor_init)(struct mvm_executor *x, const struct mvm_port *port, void *port_ctx,
                        const struct mvm_executor_config *config)
{
    memset(x, 0, offsetof(struct mvm_executor, output)); /* the rest is written before it is read */
    x->port = port;
    x->ctx = port_ctx;
    x->config = config;
    x->wake_ms = MVM_NEVER;
}

bool mvm_executor_idle(const struct mvm_executor *x)
{
    return x->state == MVM_EXECUTOR_IDLE || x->state == MVM_EXECUTOR_DONE;
}

uint64_t mvm_executor_timeout_secs(const struct mvm_executor *x, const struct mvm_job *job)
{
    uint64_t secs =
        x->config->timeout_secs != 0 ? x->config->timeout_secs : MVM_TIMEOUT_DEFAULT_SECS;
    secs = job->has_timeout ? job->timeout_secs : secs;
    return secs < MVM_TIMEOUT_NONE_SECS ? secs : 0;
}

void mvm_executor_start(struct mvm_executor *x, const struct mvm_job *job, uint64_t now_ms)
{
    x->now_ms = now_ms;
    x->logged_ms = now_ms;
    x->wake_ms = now_ms;
    x->timeout_secs = mvm_executor_timeout_secs(x, job);
    x->pending = MVM_EXECUTOR_PENDING_NONE;
    x->cause = MVM_EXECUTOR_CAUSE_NONE;
    x->category = MVM_CATEGORY_NONE;
    x->progress = MVM_EXECUTOR_BUILDING;
    x->stream = job->stream;
    x->has_source = job->stream && job->has_source;
    x->slot = (uint8_t)job->slot;
    x->unpacking = false;
    x->found_len = 0;
    x->source = (struct mvm_source){.size = job->source_size};
    x->cancelled = x->failed = x->asking = x->overdue = x->late = x->wants_in = false;
    x->out_ready = x->out_mounted = x->in_mounted = x->unreleased = false;
    x->exited = x->out_of_memory = x->elsewhere = x->log_open = x->log_failed = x->log_staged =
        false;
    x->artifact = x->staged = x->hangs = 0;
    x->copied = x->unlogged = 0;
    x->turn = x->unlogged_of = MVM_PORT_STDOUT;
    x->store_path[0] = '\0';
    x->text = mvm_text_from("");
    mvm_executor_set_deadline(x);
    mvm_executor_accept(x, job);
    enter(x, MVM_EXECUTOR_CHECK);
}

void mvm_executor_cancel(struct mvm_executor *x)
{
    if (!mvm_executor_idle(x)) {
        x->cancelled = true;
        x->wake_ms = x->now_ms;
    }
}

bool mvm_executor_cancelled(const struct mvm_executor *x)
{
    return x->cancelled;
}

static enum mvm_executor_state end(struct mvm_executor *x)
{
    int r = x->port->end_job(x->ctx);
    if (r == MVM_PORT_LATER && !x->asking) {
        x->deadline_ms = x->now_ms; /* nothing is left to wait for */
    }
    return mvm_executor_later(x, r) ? x->state : MVM_EXECUTOR_DONE;
}

static enum mvm_executor_state (*const phases[])(struct mvm_executor *x) = {
    [MVM_EXECUTOR_CHECK] = mvm_executor_check,
    [MVM_EXECUTOR_SOURCE] = mvm_executor_prepare,
    [MVM_EXECUTOR_MOUNT_OUT] = mvm_executor_mount_out,
    [MVM_EXECUTOR_MOUNT_IN] = mvm_executor_mount_in,
    [MVM_EXECUTOR_NIX] = mvm_executor_nix,
    [MVM_EXECUTOR_RUN] = mvm_executor_process,
    [MVM_EXECUTOR_TERM] = mvm_executor_process,
    [MVM_EXECUTOR_KILL] = mvm_executor_process,
    [MVM_EXECUTOR_DRAIN] = mvm_executor_process,
    [MVM_EXECUTOR_LOGFILE] = mvm_executor_logfile,
    [MVM_EXECUTOR_RESULT] = mvm_executor_result,
    [MVM_EXECUTOR_COPY] = mvm_executor_copy,
    [MVM_EXECUTOR_LIST] = mvm_executor_list,
    [MVM_EXECUTOR_RENAME] = mvm_executor_rename,
    [MVM_EXECUTOR_SYNC] = mvm_executor_sync,
    [MVM_EXECUTOR_UNMOUNT] = mvm_executor_unmount,
    [MVM_EXECUTOR_TIDY] = mvm_executor_tidy,
    [MVM_EXECUTOR_END] = end,
};

_Static_assert(sizeof phases / sizeof phases[0] == MVM_EXECUTOR_DONE, "a phase for each state");

/* How long a disk call may still take after the build was cancelled or has timed out: less if one
 * was abandoned, since the next is probably for the same disk. */
static uint64_t patience_of(const struct mvm_executor *x)
{
    return x->hangs == 0 ? MVM_DISK_PATIENCE_MS : MVM_DISK_PATIENCE_MS / 10;
}

/* Whether the call in progress is to be abandoned. It is asked again when its time is over: a
 * line that no client accepted may have kept the job from asking. */
static bool is_hanging(struct mvm_executor *x)
{
    if (!x->asking) {
        return false;
    }
    if (!x->overdue && (x->cancelled || x->now_ms >= x->deadline_ms)) {
        x->overdue = true;
        x->deadline_ms = x->now_ms + patience_of(x);
    }
    return x->late;
}

/* Handles the clock, also while a line is pending; but a call is abandoned only when none is. */
static enum mvm_executor_state watch(struct mvm_executor *x)
{
    if (x->pending == MVM_EXECUTOR_PENDING_NONE && is_hanging(x)) {
        return mvm_executor_hang(x);
    }
    return mvm_executor_watch_process(x);
}

static enum mvm_executor_event answer(struct mvm_executor *x)
{
    x->wake_ms = MVM_NEVER;
    if (x->state == MVM_EXECUTOR_IDLE) {
        return MVM_EXECUTOR_WAIT;
    }
    x->text = mvm_text_from(x->failed ? x->message : x->store_path);
    return x->failed ? MVM_EXECUTOR_ERR : MVM_EXECUTOR_OK;
}

static uint64_t heartbeat_at(const struct mvm_executor *x)
{
    uint64_t every = x->config->heartbeat_ms;
    /* A host's read time-out is often the build's own: a frame must arrive well within it. */
    if (x->timeout_secs != 0 && x->timeout_secs < every / 500) {
        every = x->timeout_secs * 500;
    }
    return every == 0 ? MVM_NEVER : x->logged_ms + every;
}

/* The result of a step without an event: a heartbeat if one is due. */
static enum mvm_executor_event rest(struct mvm_executor *x, enum mvm_executor_event event)
{
    if (x->now_ms < heartbeat_at(x)) {
        return event;
    }
    x->text = mvm_text_from("");
    x->pending = MVM_EXECUTOR_PENDING_HEARTBEAT;
    return MVM_EXECUTOR_LOG;
}

enum mvm_executor_event mvm_executor_step(struct mvm_executor *x, uint64_t now_ms)
{
    x->now_ms = now_ms;
    if (x->pending != MVM_EXECUTOR_PENDING_NONE) {
        x->port->pause(x->ctx);
    }
    for (;;) {
        enter(x, watch(x));
        if (x->pending != MVM_EXECUTOR_PENDING_NONE) {
            return MVM_EXECUTOR_LOG;
        }
        if (mvm_executor_idle(x)) {
            return answer(x);
        }
        x->pace = MVM_PACE_ON;
        enter(x, phases[x->state](x));
        if (x->pace == MVM_PACE_ON || x->pending != MVM_EXECUTOR_PENDING_NONE) {
            continue;
        }
        if (x->pace == MVM_PACE_YIELD) {
            x->wake_ms = x->now_ms;
            return rest(x, MVM_EXECUTOR_AGAIN);
        }
        return rest(x, MVM_EXECUTOR_WAIT);
    }
}

void mvm_executor_logged(struct mvm_executor *x, uint64_t now_ms)
{
    if (x->pending == MVM_EXECUTOR_PENDING_LINE) {
        mvm_executor_drop_line(x);
    }
    x->pending = MVM_EXECUTOR_PENDING_NONE;
    x->logged_ms = now_ms;
    x->wake_ms = now_ms;
}

/* While a line is pending only the build's clock matters. */
static uint64_t clock_of(const struct mvm_executor *x)
{
    if (x->state == MVM_EXECUTOR_RUN) {
        return x->cancelled ? x->now_ms : x->deadline_ms;
    }
    if (x->state == MVM_EXECUTOR_TERM) {
        return mvm_sooner(x->signal_ms, x->phase_ms);
    }
    return MVM_NEVER;
}

uint64_t mvm_executor_deadline(const struct mvm_executor *x)
{
    if (mvm_executor_idle(x)) {
        return MVM_NEVER;
    }
    if (x->pending != MVM_EXECUTOR_PENDING_NONE) {
        return clock_of(x);
    }
    return mvm_sooner(x->wake_ms, heartbeat_at(x));
}

enum mvm_category mvm_executor_category(const struct mvm_executor *x)
{
    return x->failed ? x->category : MVM_CATEGORY_NONE;
}

bool mvm_executor_released(const struct mvm_executor *x)
{
    return !x->unreleased && !x->out_mounted && x->state != MVM_EXECUTOR_MOUNT_OUT;
}

bool mvm_executor_is_heartbeat(const struct mvm_executor *x)
{
    return x->pending == MVM_EXECUTOR_PENDING_HEARTBEAT;
}

enum mvm_executor_progress mvm_executor_progress(const struct mvm_executor *x)
{
    return x->progress;
}

static bool reads(const struct mvm_executor *x)
{
    return x->pending == MVM_EXECUTOR_PENDING_NONE && x->state >= MVM_EXECUTOR_RUN &&
           x->state <= MVM_EXECUTOR_DRAIN;
}

bool mvm_executor_wants(const struct mvm_executor *x, enum mvm_stream stream)
{
    return reads(x) && !x->output[stream].ended;
}

bool mvm_executor_wants_child(const struct mvm_executor *x)
{
    bool runs = reads(x) && !x->exited && x->state != MVM_EXECUTOR_DRAIN;
    return runs || (x->pending == MVM_EXECUTOR_PENDING_NONE && x->asking);
}

bool mvm_executor_ending(const struct mvm_executor *x)
{
    return x->state >= MVM_EXECUTOR_TERM;
}
