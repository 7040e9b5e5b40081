/*
 * SYNC, UNMOUNT: the disks after the build. The host mounts the output disk next: nothing may write
 * to it any more, a journal included. So the kernel is asked whether its file system is released: a
 * copy of the mount in another namespace keeps it active after unmount has succeeded.
 */
#include "internal.h"

enum { UNMOUNT_IN, UNMOUNT_OUT, AWAIT_UNUSED, REMOUNT_OUT, ASK_OUT, AWAIT_OUT };

static void fail_release(struct mvm_executor *x)
{
    mvm_executor_fail_release(x, x->port->reason(x->ctx));
}

enum mvm_executor_state mvm_executor_sync(struct mvm_executor *x)
{
    if (x->out_ready) {
        int r = x->port->sync_fs(x->ctx, x->config->out_dir);
        if (mvm_executor_later(x, r)) {
            return x->state;
        }
        if (r < 0) {
            fail_release(x);
        }
    }
    return MVM_EXECUTOR_UNMOUNT;
}

static void note_in(struct mvm_executor *x)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, "failed to release ", x->config->in_dir, ": ");
    mvm_writer_add(&w, x->port->reason(x->ctx));
    mvm_executor_noted(x, &w);
}

static void unmount_in(struct mvm_executor *x)
{
    if (x->in_mounted) {
        int r = x->port->unmount(x->ctx, x->config->in_dir);
        if (mvm_executor_later(x, r)) {
            return;
        }
        if (r < 0) {
            note_in(x);
        }
        x->in_mounted = false;
    }
    x->step = UNMOUNT_OUT;
    x->phase_ms = x->now_ms + MVM_RELEASE_WAIT_MS;
}

/* Polls again later, by `step`. False: the time for it is over. */
static bool retry(struct mvm_executor *x, uint8_t step)
{
    if (x->now_ms >= x->phase_ms) {
        return false;
    }
    x->step = step;
    mvm_executor_wait(x, x->now_ms + MVM_DEVICE_POLL_MS);
    return true;
}

static void unmount_out(struct mvm_executor *x)
{
    int r = x->port->unmount(x->ctx, x->config->out_dir);
    if (mvm_executor_later(x, r)) {
        return;
    }
    if (r == MVM_PORT_BUSY) {
        if (!retry(x, AWAIT_UNUSED)) {
            x->step = REMOUNT_OUT;
        }
        return;
    }
    if (r < 0) {
        fail_release(x);
        x->out_mounted = false;
    }
    x->phase_ms = x->now_ms + MVM_RELEASE_WAIT_MS;
    x->step = ASK_OUT;
}

static void note_read_only(struct mvm_executor *x)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, x->config->out_dir, " is busy, read-only instead of unmounted", "");
    mvm_executor_noted(x, &w);
}

/* A super block that is read-only writes no journal: that is a release, too. */
static void remount_out(struct mvm_executor *x)
{
    int r = x->port->remount_ro(x->ctx, x->config->out_dir);
    if (mvm_executor_later(x, r)) {
        return;
    }
    if (r < 0) {
        fail_release(x);
    } else {
        note_read_only(x);
    }
    x->out_mounted = false;
}

static void ask_out(struct mvm_executor *x)
{
    int r = x->port->released(x->ctx, x->config->out_device);
    if (mvm_executor_later(x, r)) {
        return;
    }
    if (r == MVM_PORT_BUSY && retry(x, AWAIT_OUT)) {
        return;
    }
    if (r < 0) { /* also if the device's name is gone: what was mounted may still be */
        fail_release(x);
    }
    x->out_mounted = false;
}

enum mvm_executor_state mvm_executor_unmount(struct mvm_executor *x)
{
    if (x->step == UNMOUNT_IN) {
        unmount_in(x);
        return x->state;
    }
    if (!x->out_mounted) {
        return x->stream ? MVM_EXECUTOR_TIDY : MVM_EXECUTOR_END;
    }
    if (x->step == UNMOUNT_OUT) {
        unmount_out(x);
    } else if (x->step == REMOUNT_OUT) {
        remount_out(x);
    } else if (x->step == ASK_OUT) {
        ask_out(x);
    } else if (x->now_ms < x->wake_ms) {
        mvm_executor_wait(x, x->wake_ms);
    } else {
        x->step = x->step == AWAIT_UNUSED ? UNMOUNT_OUT : ASK_OUT;
    }
    return x->state;
}
