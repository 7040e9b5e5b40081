/*
 * RENAME: complete files get their final names. After a failure only build.log does, and the rest
 * is discarded.
 *
 * Whether each name can be replaced is asked before the first is: a directory in the way of one
 * must not leave a set of old and new files. What can still fail between two renames is the disk,
 * which the message reports, or the power.
 */
#include "internal.h"

/* The steps: CHECK + n checks artifact n, the last one build.log; PLACE + n renames, removes or
 * discards artifact n. */
enum { CHECK = 0, PLACE = CHECK + MVM_ARTIFACTS + 1, LOG = PLACE + MVM_ARTIFACTS, SYNC_DIR };

static void fail(struct mvm_executor *x, const char *name, bool mixed)
{
    struct mvm_writer w;
    bool first = mvm_executor_begin_fail_copy(x, &w);
    mvm_writer_add3(&w, name, ": ", x->port->reason(x->ctx));
    if (mixed) {
        mvm_writer_add(&w, "; the files on the disk are of two builds");
    }
    if (first) {
        mvm_writer_finish(&w);
    } else {
        mvm_executor_noted(x, &w);
    }
}

static bool is_staged(const struct mvm_executor *x, unsigned n)
{
    return (x->staged & 1u << n) != 0;
}

/* True: the step is done. */
static bool check(struct mvm_executor *x, unsigned n)
{
    const char *target = n < MVM_ARTIFACTS ? mvm_artifacts[n].target : MVM_BUILD_LOG;
    if (x->cancelled && !x->asking) {
        mvm_executor_fail_cancelled(x);
    }
    if (x->failed) {
        return true;
    }
    int r = x->port->replaceable(x->ctx, mvm_executor_path(x, 0, x->config->out_dir, target));
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0) {
        fail(x, target, false);
    }
    return true;
}

static bool discard(struct mvm_executor *x, const char *name)
{
    /* A file that cannot be removed is replaced by the next job. */
    return !mvm_executor_later(x, x->port->remove(x->ctx, mvm_executor_temporary(x, 0, name)));
}

static int put_in_place(struct mvm_executor *x, const char *name)
{
    const char *from = mvm_executor_temporary(x, 0, name);
    const char *to = mvm_executor_path(x, 1, x->config->out_dir, name);
    return x->port->rename(x->ctx, from, to);
}

/* An optional artifact that was not built. */
static bool remove_stale(struct mvm_executor *x, const char *name)
{
    int r = x->port->remove(x->ctx, mvm_executor_path(x, 0, x->config->out_dir, name));
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0 && r != MVM_PORT_NOT_FOUND) {
        fail(x, name, true);
    }
    return true;
}

/* After a failure this step repeats, to discard the same artifact. */
static bool place(struct mvm_executor *x, unsigned n)
{
    const char *target = mvm_artifacts[n].target;
    if (x->failed) {
        return !is_staged(x, n) || discard(x, target);
    }
    x->progress = MVM_EXECUTOR_PLACING;
    if (!is_staged(x, n)) {
        return remove_stale(x, target);
    }
    int r = put_in_place(x, target);
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0) {
        fail(x, target, n > 0);
    }
    return r >= 0;
}

static bool place_log(struct mvm_executor *x)
{
    if (!x->log_staged) {
        return true;
    }
    if (x->log_failed) {
        return discard(x, MVM_BUILD_LOG);
    }
    int r = put_in_place(x, MVM_BUILD_LOG);
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0) {
        fail(x, MVM_BUILD_LOG, !x->failed);
        x->log_failed = true;
    }
    return r >= 0;
}

static bool sync_dir(struct mvm_executor *x)
{
    int r = x->port->sync_dir(x->ctx, x->config->out_dir);
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0) {
        fail(x, x->config->out_dir, false);
    }
    return true;
}

enum mvm_executor_state mvm_executor_rename(struct mvm_executor *x)
{
    bool done;
    if (!x->out_ready) {
        return MVM_EXECUTOR_SYNC;
    }
    if (x->step < PLACE) {
        done = check(x, (unsigned)(x->step - CHECK));
    } else if (x->step < LOG) {
        done = place(x, (unsigned)(x->step - PLACE));
    } else if (x->step == LOG) {
        done = place_log(x);
    } else {
        done = sync_dir(x);
    }
    if (done && x->step == SYNC_DIR) {
        return MVM_EXECUTOR_SYNC;
    }
    x->step = (uint8_t)(x->step + (done ? 1 : 0));
    return x->state;
}
