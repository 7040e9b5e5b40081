/*
 * PROBE, RUN, TERM, KILL, DRAIN: a child process from its start to its last byte of output. The
 * ends of the pipes and of the process are separate things: a grandchild may hold a pipe when the
 * child has gone, and a child may close its pipes and live on. The job goes on when the process
 * has exited, none that it started is left, and both pipes have ended.
 */
#include "internal.h"
#include <string.h>

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void kill_all(struct mvm_executor *x)
{
    x->port->signal_build(x->ctx, MVM_SIGNAL_KILL);
    x->phase_ms = x->now_ms + MVM_KILL_POLL_MS;
    x->looks = MVM_KILL_PATIENCE_MS / MVM_KILL_POLL_MS;
    mvm_executor_enter(x, MVM_EXECUTOR_KILL);
}

/* Asks every process to end. A failure to send shows in KILL, which looks whether it worked. */
static void terminate(struct mvm_executor *x, enum mvm_cause cause)
{
    x->cause = cause;
    x->port->signal_build(x->ctx, MVM_SIGNAL_TERM);
    x->phase_ms = x->now_ms + MVM_TERM_GRACE_MS;
    mvm_executor_enter(x, MVM_EXECUTOR_TERM);
}

/* The clock's part, also while a line waits to be taken. */
void mvm_executor_watch(struct mvm_executor *x)
{
    if (x->state == MVM_EXECUTOR_RUN && x->cancelled) {
        terminate(x, MVM_CAUSE_CANCEL);
    } else if (x->state == MVM_EXECUTOR_RUN && x->now_ms >= x->deadline_ms) {
        terminate(x, MVM_CAUSE_TIMEOUT);
    } else if (x->state == MVM_EXECUTOR_PROBE && (x->cancelled || x->now_ms >= x->phase_ms)) {
        kill_all(x);
    } else if (x->state == MVM_EXECUTOR_TERM && x->now_ms >= x->phase_ms) {
        kill_all(x);
    }
}

static void drain(struct mvm_executor *x)
{
    x->phase_ms = x->now_ms + MVM_DRAIN_MS;
    x->drained = 0;
    mvm_executor_enter(x, MVM_EXECUTOR_DRAIN);
}

/* Whether the child has exited; a port that cannot say fails the job and counts as yes. */
static bool child_exited(struct mvm_executor *x)
{
    if (x->exited) {
        return true;
    }
    int r = x->port->poll_exit(x->ctx, &x->exit);
    if (r < 0) {
        x->exit = (struct mvm_exit){false, 255};
        const char *reason = x->port->reason(x->ctx);
        struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_INTERNAL);
        mvm_writer_add3(&w, "nix build failed (", reason, "): ");
        mvm_executor_add_command(x, &w);
        mvm_writer_finish(&w);
    }
    x->exited = r != 0;
    return x->exited;
}

static bool all_gone(struct mvm_executor *x)
{
    return child_exited(x) && x->port->remaining(x->ctx) == 0;
}

static enum mvm_turn wait_until(struct mvm_executor *x, uint64_t ms)
{
    x->wake_ms = ms;
    return MVM_TURN_WAIT;
}

/* The child has gone by itself; what it left behind must go, too. */
static enum mvm_turn watch_running(struct mvm_executor *x)
{
    if (!child_exited(x)) {
        return wait_until(x, x->state == MVM_EXECUTOR_PROBE ? x->phase_ms : x->deadline_ms);
    }
    if (x->port->remaining(x->ctx) == 0) {
        drain(x);
    } else if (x->state == MVM_EXECUTOR_PROBE) {
        kill_all(x);
    } else {
        terminate(x, MVM_CAUSE_NONE);
    }
    return MVM_TURN_ON;
}

static void go_on_without(struct mvm_executor *x)
{
    drain(x);
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add(&w, "processes of the build survive SIGKILL; going on without them");
    mvm_executor_noted(x, &w);
}

/* KILL counts looks, not time: while a line waits to be taken nobody looks, and they may have gone
 * long ago. */
static enum mvm_turn watch_ending(struct mvm_executor *x)
{
    if (all_gone(x)) {
        drain(x);
        return MVM_TURN_ON;
    }
    if (x->state == MVM_EXECUTOR_KILL && x->now_ms >= x->phase_ms) {
        if (x->looks == 0) {
            go_on_without(x);
            return MVM_TURN_ON;
        }
        x->looks--;
        x->phase_ms = x->now_ms + MVM_KILL_POLL_MS;
        x->port->signal_build(x->ctx, MVM_SIGNAL_KILL);
    }
    return wait_until(x, earlier(x->now_ms + MVM_KILL_POLL_MS, x->phase_ms));
}

/* Nothing came although no process is left: somebody outside the build holds the pipe. */
static enum mvm_turn watch_draining(struct mvm_executor *x)
{
    if (x->now_ms < x->phase_ms) {
        return wait_until(x, earlier(x->now_ms + MVM_KILL_POLL_MS, x->phase_ms));
    }
    x->output[MVM_STDOUT].ended = true;
    x->output[MVM_STDERR].ended = true;
    if (!x->probing) {
        struct mvm_writer w = mvm_executor_note(x);
        mvm_writer_add(&w, "a stranger holds the build's output open; not waiting for its end");
        mvm_executor_noted(x, &w);
    }
    return MVM_TURN_ON;
}

static void fail_stopped(struct mvm_executor *x)
{
    struct mvm_writer w = mvm_executor_fail(x, x->cause == MVM_CAUSE_CANCEL ? MVM_CATEGORY_CANCELLED
                                                                            : MVM_CATEGORY_TIMEOUT);
    if (x->cause == MVM_CAUSE_CANCEL) {
        mvm_writer_add(&w, "build cancelled: ");
    } else {
        mvm_writer_add(&w, "nix build timed out after ");
        mvm_writer_add_u64(&w, x->timeout_secs);
        mvm_writer_add(&w, " s: ");
    }
    mvm_executor_add_command(x, &w);
    mvm_writer_finish(&w);
}

static void fail_status(struct mvm_executor *x)
{
    struct mvm_writer w = mvm_executor_fail(x, x->out_of_memory ? MVM_CATEGORY_OUT_OF_MEMORY
                                                                : MVM_CATEGORY_BUILD_FAILED);
    mvm_writer_add(&w, x->exit.signaled ? "nix build failed (signal: "
                                        : "nix build failed (exit status: ");
    mvm_writer_add_u64(&w, (uint64_t)x->exit.code);
    mvm_writer_add(&w, "): ");
    mvm_executor_add_command(x, &w);
    mvm_writer_finish(&w);
}

/* `nix --version` has ended, or was ended. */
static void end_probe(struct mvm_executor *x)
{
    if (x->cancelled || x->now_ms >= x->deadline_ms) {
        x->cause = x->cancelled ? MVM_CAUSE_CANCEL : MVM_CAUSE_TIMEOUT;
        fail_stopped(x);
    }
    if (x->failed) {
        mvm_executor_enter(x, MVM_EXECUTOR_LOGFILE);
        return;
    }
    if (!x->exit.signaled && x->exit.code == 0) {
        memcpy(x->probed, x->nix, sizeof x->probed);
    } else {
        x->use_json = false;
    }
    mvm_executor_start_build(x);
}

static void end_child(struct mvm_executor *x)
{
    x->out_of_memory = x->port->out_of_memory(x->ctx) > 0;
    x->port->close_build(x->ctx);
    if (x->probing) {
        end_probe(x);
        return;
    }
    if (x->cause != MVM_CAUSE_NONE) {
        fail_stopped(x);
    } else if (x->exit.signaled || x->exit.code != 0) {
        fail_status(x);
    }
    mvm_executor_enter(x, MVM_EXECUTOR_PICK);
}

static enum mvm_turn look_after(struct mvm_executor *x)
{
    if (x->state == MVM_EXECUTOR_PROBE || x->state == MVM_EXECUTOR_RUN) {
        return watch_running(x);
    }
    if (x->state != MVM_EXECUTOR_DRAIN) {
        return watch_ending(x);
    }
    if (!mvm_executor_output_ended(x)) {
        return watch_draining(x);
    }
    end_child(x);
    return MVM_TURN_ON;
}

/* Whether a pipe that nobody of the build holds any more gives more than it could hold. */
static bool floods(const struct mvm_executor *x)
{
    return x->state == MVM_EXECUTOR_DRAIN && x->now_ms >= x->phase_ms && x->drained > MVM_DRAIN_MAX;
}

/* Output first: while there is some, the process is only looked at now and then, so that somebody
 * who floods the pipe cannot hide its end. */
enum mvm_turn mvm_executor_process(struct mvm_executor *x)
{
    bool due = x->state != MVM_EXECUTOR_DRAIN && x->now_ms >= x->look_ms;
    if (due) {
        x->look_ms = x->now_ms + MVM_KILL_POLL_MS;
        if (look_after(x) == MVM_TURN_ON) {
            return MVM_TURN_ON;
        }
    }
    if (mvm_executor_next_line(x)) {
        if (x->probing) {
            mvm_executor_take_line(x);
        } else {
            x->pending = MVM_PENDING_LINE;
        }
        return MVM_TURN_ON;
    }
    if (!floods(x) && mvm_executor_fill(x)) {
        return MVM_TURN_ON;
    }
    return due ? MVM_TURN_WAIT : look_after(x);
}
