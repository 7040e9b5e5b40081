/*
 * RUN, TERM, KILL, DRAIN: nix build from its start to its last byte of output. The ends of the
 * pipes and of the process are separate things: a grandchild may hold a pipe when the child has
 * exited, and a child may close its pipes and live on. The job continues when the process has
 * exited, none of its descendants is left, and both pipes have ended.
 */
#include "deadline.h"
#include "internal.h"
#include <string.h>

static enum mvm_executor_state kill_all(struct mvm_executor *x)
{
    x->port->signal_build(x->ctx, MVM_SIGNAL_KILL);
    x->phase_ms = x->now_ms + MVM_KILL_POLL_MS;
    x->kills_left = MVM_KILL_PATIENCE_MS / MVM_KILL_POLL_MS;
    return MVM_EXECUTOR_KILL;
}

/* Asks every process to end. A failure to send shows in KILL, which checks whether it worked. */
static void ask_to_end(struct mvm_executor *x)
{
    bool later = x->port->signal_build(x->ctx, MVM_SIGNAL_TERM) == MVM_PORT_LATER;
    x->signal_ms = later ? x->now_ms + MVM_KILL_POLL_MS : MVM_NEVER;
    if (!later) {
        x->phase_ms = x->now_ms + MVM_TERM_GRACE_MS;
    }
}

static enum mvm_executor_state terminate(struct mvm_executor *x, enum mvm_cause cause)
{
    x->cause = cause;
    x->phase_ms = x->now_ms + MVM_TERM_GRACE_MS;
    ask_to_end(x);
    return MVM_EXECUTOR_TERM;
}

enum mvm_executor_state mvm_executor_watch_process(struct mvm_executor *x)
{
    if (x->state == MVM_EXECUTOR_RUN && x->cancelled) {
        return terminate(x, MVM_EXECUTOR_CAUSE_CANCEL);
    }
    if (x->state == MVM_EXECUTOR_RUN && x->now_ms >= x->deadline_ms) {
        return terminate(x, MVM_EXECUTOR_CAUSE_TIMEOUT);
    }
    if (x->state == MVM_EXECUTOR_RUN && x->unpacking && x->failed) {
        return terminate(x, MVM_EXECUTOR_CAUSE_NONE); /* the source was refused */
    }
    if (x->state == MVM_EXECUTOR_TERM && x->now_ms >= x->phase_ms) {
        return kill_all(x);
    }
    if (x->state == MVM_EXECUTOR_TERM && x->now_ms >= x->signal_ms) {
        ask_to_end(x);
    }
    return x->state;
}

static enum mvm_executor_state drain(struct mvm_executor *x)
{
    x->phase_ms = x->now_ms + MVM_DRAIN_MS;
    x->drained = 0;
    return MVM_EXECUTOR_DRAIN;
}

/* Whether the child has exited; an error of the port fails the job and counts as yes. */
static bool child_exited(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (x->exited) {
        return true;
    }
    int r = x->port->poll_exit(x->ctx, &x->exit);
    if (r < 0) {
        x->exit = (struct mvm_exit){false, 255};
        if (mvm_executor_fail(x, MVM_CATEGORY_INTERNAL, &w)) {
            mvm_writer_add3(&w, "nix build failed (", x->port->reason(x->ctx), "): ");
            mvm_executor_add_command(x, &w);
            mvm_writer_finish(&w);
        }
    }
    x->exited = r != 0;
    return x->exited;
}

/* The child has exited without a signal; what it has left running must be ended, too. */
static enum mvm_executor_state watch_running(struct mvm_executor *x)
{
    if (!child_exited(x)) {
        return mvm_executor_wait(x, x->deadline_ms);
    }
    return x->port->remaining(x->ctx) == 0 ? drain(x) : terminate(x, MVM_EXECUTOR_CAUSE_NONE);
}

static enum mvm_executor_state go_on_without(struct mvm_executor *x)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add(&w, "processes of the build survive SIGKILL; going on without them");
    mvm_executor_noted(x, &w);
    return drain(x);
}

/* KILL counts its signals, not the time: while a line is pending none is sent, and the processes
 * may have ended long before the line is accepted. */
static enum mvm_executor_state watch_ending(struct mvm_executor *x)
{
    if (child_exited(x) && x->port->remaining(x->ctx) == 0) {
        return drain(x);
    }
    if (x->state == MVM_EXECUTOR_KILL && x->now_ms >= x->phase_ms) {
        if (x->kills_left == 0) {
            return go_on_without(x);
        }
        x->kills_left--;
        x->phase_ms = x->now_ms + MVM_KILL_POLL_MS;
        x->port->signal_build(x->ctx, MVM_SIGNAL_KILL);
    }
    return mvm_executor_wait(x, mvm_sooner(x->now_ms + MVM_KILL_POLL_MS, x->phase_ms));
}

/* No bytes, although no process is left: a process outside the build holds the pipe. */
static enum mvm_executor_state watch_draining(struct mvm_executor *x)
{
    if (x->now_ms < x->phase_ms) {
        return mvm_executor_wait(x, mvm_sooner(x->now_ms + MVM_KILL_POLL_MS, x->phase_ms));
    }
    x->output[MVM_PORT_STDOUT].ended = true;
    x->output[MVM_PORT_STDERR].ended = true;
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add(&w, "a process outside the build still holds its output; not waiting");
    mvm_executor_noted(x, &w);
    return x->state;
}

static void fail_stopped(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (mvm_executor_fail_stopped(x, x->cause == MVM_EXECUTOR_CAUSE_CANCEL, &w)) {
        if (x->unpacking && x->source.in < x->source.size) {
            mvm_writer_add_u64(&w, x->source.in);
            mvm_writer_add(&w, " bytes of its source had come, of ");
            mvm_writer_add_u64(&w, x->source.size);
        } else {
            mvm_executor_add_command(x, &w);
        }
        mvm_writer_finish(&w);
    }
}

static void fail_status(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (!mvm_executor_fail(
            x, x->out_of_memory ? MVM_CATEGORY_OUT_OF_MEMORY : MVM_CATEGORY_BUILD_FAILED, &w)) {
        return;
    }
    mvm_writer_add(&w, x->unpacking ? "unpacking the source failed (" : "nix build failed (");
    mvm_writer_add(&w, x->exit.signaled ? "signal: " : "exit status: ");
    mvm_writer_add_u64(&w, (uint64_t)x->exit.code);
    mvm_writer_add(&w, x->out_of_memory ? ", out of memory): " : "): ");
    mvm_executor_add_command(x, &w);
    mvm_writer_finish(&w);
}

static enum mvm_executor_state end_build(struct mvm_executor *x)
{
    x->out_of_memory = x->port->out_of_memory(x->ctx) > 0;
    x->port->close_build(x->ctx);
    if (x->cause != MVM_EXECUTOR_CAUSE_NONE) {
        fail_stopped(x);
    } else if (x->exit.signaled || x->exit.code != 0) {
        fail_status(x);
    } else if (x->unpacking) {
        mvm_executor_check_source(x);
    }
    bool unpacked = x->unpacking && !x->failed;
    x->unpacking = false;
    return unpacked ? MVM_EXECUTOR_NIX : MVM_EXECUTOR_LOGFILE;
}

static enum mvm_executor_state supervise(struct mvm_executor *x)
{
    if (x->state == MVM_EXECUTOR_RUN) {
        return watch_running(x);
    }
    if (x->state != MVM_EXECUTOR_DRAIN) {
        return watch_ending(x);
    }
    return mvm_executor_output_ended(x) ? end_build(x) : watch_draining(x);
}

/* Whether a pipe has given more than it can hold since the build's last process ended. */
static bool floods(const struct mvm_executor *x)
{
    return x->state == MVM_EXECUTOR_DRAIN && x->now_ms >= x->phase_ms && x->drained > MVM_DRAIN_MAX;
}

/* build.log has no room now: nothing is read, so the build blocks on its pipe. */
static enum mvm_executor_state await_log(struct mvm_executor *x)
{
    if (x->state != MVM_EXECUTOR_DRAIN) {
        return supervise(x);
    }
    mvm_executor_later(x, MVM_PORT_LATER);
    return x->state;
}

static bool flush(struct mvm_executor *x)
{
    if (!mvm_executor_log_flush(x)) {
        return false;
    }
    if (x->asking) { /* DRAIN has waited for the disk, not for the pipes */
        mvm_executor_later(x, 0);
        x->phase_ms = x->now_ms + MVM_DRAIN_MS;
    }
    return true;
}

/* Output first: while there is some, the process is polled only now and then, so that one that
 * floods the pipe cannot hide its exit. */
enum mvm_executor_state mvm_executor_process(struct mvm_executor *x)
{
    if (!flush(x)) {
        return await_log(x);
    }
    if (x->unpacking && x->state == MVM_EXECUTOR_RUN) {
        mvm_executor_feed(x);
    }
    bool due =
        x->state != MVM_EXECUTOR_DRAIN && x->now_ms - x->peeked_ms >= (uint64_t)MVM_KILL_POLL_MS;
    if (due) {
        x->peeked_ms = x->now_ms;
        enum mvm_executor_state next = supervise(x);
        if (next != x->state) {
            return next;
        }
        x->pace = MVM_PACE_ON;
    }
    if (mvm_executor_next_line(x)) {
        x->pending = MVM_EXECUTOR_PENDING_LINE;
        return x->state;
    }
    if (!floods(x) && mvm_executor_fill(x)) {
        return x->state;
    }
    return supervise(x);
}
