/*
 * MOUNT_OUT, MOUNT_IN, SYNC, UNMOUNT: the two disks before and after the build. A device that is
 * not there is no error: then the directory itself is used, and a Log line says so. What was
 * mounted before stays mounted and is only synced.
 */
#include "internal.h"

static void note_absent(struct mvm_executor *x, const char *device, const char *dir)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, device, " is absent, ", dir);
    mvm_writer_add(&w, " is used as it is");
    mvm_executor_noted(x, &w);
}

static void fail_mount(struct mvm_executor *x, const char *device, const char *dir,
                       const char *reason)
{
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_MOUNT);
    mvm_writer_add3(&w, "mount ", device, " -> ");
    mvm_writer_add3(&w, dir, " failed: ", reason);
    mvm_writer_finish(&w);
}

static void fail_dir(struct mvm_executor *x, const char *dir)
{
    const char *reason = x->port->reason(x->ctx);
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_MOUNT);
    mvm_writer_add3(&w, dir, " missing or not a directory: ", reason);
    mvm_writer_finish(&w);
}

/* Mounts `device` unless something is mounted. False: the job has failed. */
static bool attach(struct mvm_executor *x, const char *device, const char *dir, bool read_only,
                   bool *mounted)
{
    const struct mvm_port *port = x->port;
    if (port->make_dir(x->ctx, dir) < 0) {
        fail_dir(x, dir);
        return false;
    }
    if (device == NULL) {
        return true;
    }
    int is = port->is_mounted(x->ctx, dir);
    if (is < 0) {
        fail_mount(x, device, dir, port->reason(x->ctx));
        return false;
    }
    if (is > 0) {
        return true;
    }
    int r = port->mount(x->ctx, device, dir, read_only);
    if (r == MVM_PORT_NOT_FOUND) {
        note_absent(x, device, dir);
    } else if (r < 0) {
        fail_mount(x, device, dir, port->reason(x->ctx));
        return false;
    } else {
        *mounted = true;
    }
    return true;
}

/* An earlier job found the disk in use and left it mounted read-only: nothing can be written. */
static bool free_left_over(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    if (!x->out_left_ro) {
        return true;
    }
    int is = x->port->is_mounted(x->ctx, c->out_dir);
    if (is > 0 && x->port->unmount(x->ctx, c->out_dir) < 0) {
        fail_mount(x, c->out_device, c->out_dir, x->port->reason(x->ctx));
        return false;
    }
    x->out_left_ro = false;
    return true;
}

enum mvm_turn mvm_executor_mount_out(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    x->out_ready = mvm_executor_paths_fit(x) && free_left_over(x) &&
                   attach(x, c->out_device, c->out_dir, false, &x->out_mounted);
    mvm_executor_enter(x, x->out_ready ? MVM_EXECUTOR_MOUNT_IN : MVM_EXECUTOR_SYNC);
    return MVM_TURN_YIELD;
}

enum mvm_turn mvm_executor_mount_in(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    if (x->cancelled) {
        mvm_executor_fail_cancelled(x);
        mvm_executor_enter(x, MVM_EXECUTOR_SYNC);
        return MVM_TURN_ON;
    }
    if (!x->wants_in) {
        mvm_executor_enter(x, MVM_EXECUTOR_NIX);
        return MVM_TURN_ON;
    }
    bool ready = attach(x, c->in_device, c->in_dir, true, &x->in_mounted);
    mvm_executor_enter(x, ready ? MVM_EXECUTOR_NIX : MVM_EXECUTOR_SYNC);
    return MVM_TURN_YIELD;
}

enum mvm_turn mvm_executor_sync(struct mvm_executor *x)
{
    mvm_executor_enter(x, MVM_EXECUTOR_UNMOUNT);
    if (!x->out_ready) {
        return MVM_TURN_ON;
    }
    if (x->port->sync_fs(x->ctx, x->config->out_dir) < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_RELEASE, "failed to release ", x->config->out_dir);
    }
    return MVM_TURN_YIELD;
}

/* The host mounts this disk next: it must not be written to any more, by a journal either. */
static void release_out(struct mvm_executor *x)
{
    const char *dir = x->config->out_dir;
    int r = x->port->unmount(x->ctx, dir);
    if (r == MVM_PORT_BUSY) {
        r = x->port->remount_ro(x->ctx, dir);
        x->out_left_ro = r >= 0;
    }
    if (r < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_RELEASE, "failed to release ", dir);
    }
}

static void release_in(struct mvm_executor *x)
{
    if (x->port->unmount(x->ctx, x->config->in_dir) < 0) {
        const char *reason = x->port->reason(x->ctx);
        struct mvm_writer w = mvm_executor_note(x);
        mvm_writer_add3(&w, "failed to release ", x->config->in_dir, ": ");
        mvm_writer_add(&w, reason);
        mvm_executor_noted(x, &w);
    }
}

enum mvm_turn mvm_executor_unmount(struct mvm_executor *x)
{
    if (x->in_mounted) {
        x->in_mounted = false;
        release_in(x);
        return MVM_TURN_YIELD;
    }
    if (x->out_mounted) {
        x->out_mounted = false;
        release_out(x);
    }
    mvm_executor_enter(x, MVM_EXECUTOR_DONE);
    return MVM_TURN_ON;
}
