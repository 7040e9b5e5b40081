/*
 * A disk that does not respond after a cancel or time-out: the call is abandoned and the job ends.
 * Its files on that disk stay as they are; the other disk is released.
 */
#include "internal.h"

/* What the job was doing; of every other state, "using". */
static const char *const activities[MVM_EXECUTOR_DONE + 1] = {
    [MVM_EXECUTOR_CHECK] = "reading ",     [MVM_EXECUTOR_MOUNT_OUT] = "mounting ",
    [MVM_EXECUTOR_MOUNT_IN] = "mounting ", [MVM_EXECUTOR_COPY] = "copying to ",
    [MVM_EXECUTOR_UNMOUNT] = "releasing ",
};

static const char no_answer[] = "the disk does not answer";

/* Whether the call can only be waiting for the input disk. */
static bool is_of_in(const struct mvm_executor *x)
{
    return x->state == MVM_EXECUTOR_MOUNT_IN || (x->state == MVM_EXECUTOR_UNMOUNT && x->in_mounted);
}

/* Adds that, and the path concerned. */
static const char *add_activity(const struct mvm_executor *x, struct mvm_writer *w)
{
    const struct mvm_executor_config *c = x->config;
    const char *activity = activities[x->state];
    mvm_writer_add(w, activity != NULL ? activity : "using ");
    if (x->state == MVM_EXECUTOR_CHECK) {
        return c->policy_file;
    }
    return is_of_in(x) ? c->in_dir : x->stream ? c->stream_dir : c->out_dir;
}

static void fail_hang(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (mvm_executor_fail_stopped(x, x->cancelled, &w)) {
        mvm_writer_add3(&w, add_activity(x, &w), ": ", no_answer);
        mvm_writer_finish(&w);
    }
    if (x->state != MVM_EXECUTOR_CHECK && !x->stream && !is_of_in(x)) {
        mvm_executor_fail_release(x, no_answer);
    }
}

static void note_hang(struct mvm_executor *x, int calls)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, add_activity(x, &w), ": ", no_answer);
    mvm_writer_add(&w, "; going on without it (calls that hang: ");
    mvm_writer_add_u64(&w, calls > 0 ? (uint64_t)calls : 0);
    mvm_writer_add(&w, ")");
    mvm_executor_noted(x, &w);
}

static enum mvm_executor_state without_out(struct mvm_executor *x, enum mvm_executor_state next)
{
    x->out_ready = x->out_mounted = false;
    return next;
}

/* The state from which the job can end without the call. */
static enum mvm_executor_state go_on_without(struct mvm_executor *x)
{
    switch (x->state) { /* COVERAGE: each state has its case; a branch for none is never taken */
    case MVM_EXECUTOR_CHECK:
    case MVM_EXECUTOR_TIDY:
        return MVM_EXECUTOR_END;
    case MVM_EXECUTOR_DRAIN:
        mvm_executor_log_give_up(x, no_answer);
        return without_out(x, x->state);
    case MVM_EXECUTOR_MOUNT_IN:
    case MVM_EXECUTOR_NIX:
    case MVM_EXECUTOR_RESULT:
    case MVM_EXECUTOR_SOURCE:
    case MVM_EXECUTOR_LIST:
    case MVM_EXECUTOR_COPY:
        return MVM_EXECUTOR_SYNC; /* it may be another disk */
    case MVM_EXECUTOR_UNMOUNT:
        if (x->in_mounted) {
            x->in_mounted = false;
            return x->state;
        }
        return without_out(x, x->state);
    case MVM_EXECUTOR_MOUNT_OUT:
    case MVM_EXECUTOR_LOGFILE:
    case MVM_EXECUTOR_RENAME:
    case MVM_EXECUTOR_SYNC:
    case MVM_EXECUTOR_IDLE:
    case MVM_EXECUTOR_RUN:
    case MVM_EXECUTOR_TERM:
    case MVM_EXECUTOR_KILL:
    case MVM_EXECUTOR_END:
    case MVM_EXECUTOR_DONE:
        break;
    }
    return without_out(x, MVM_EXECUTOR_UNMOUNT);
}

enum mvm_executor_state mvm_executor_hang(struct mvm_executor *x)
{
    int calls = x->port->abandon(x->ctx);
    x->asking = x->overdue = x->late = x->log_open = false;
    x->hangs++;
    if (x->state == MVM_EXECUTOR_END) {
        return MVM_EXECUTOR_DONE;
    }
    note_hang(x, calls);
    fail_hang(x);
    return go_on_without(x);
}
