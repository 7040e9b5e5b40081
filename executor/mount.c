/*
 * MOUNT_OUT, MOUNT_IN: the disks before the build. A mount of the configured device is the job's
 * own, whichever process made it: an agent that was killed, or a job that could not release it. It
 * is unmounted and mounted again, so that it is unmounted before the answer. Any other mount on the
 * directory is used, and stays, unless it hides the device's or the device is required.
 *
 * A device that is absent may be about to appear (hot-plug, a slow bus), so it is waited for. If it
 * does not appear there is no such disk in this machine: the directory itself is used.
 */
#include "internal.h"

enum { MAKE_DIR, ASK, UNMOUNT, MOUNT, AWAIT_DEVICE };

struct disk {
    const char *device;
    const char *dir;
    bool read_only;
    bool *mounted;
};

static void note_unused(struct mvm_executor *x, const struct disk *d, const char *why,
                        const char *end)
{
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, d->device, why, d->dir);
    mvm_writer_add(&w, end);
    mvm_executor_noted(x, &w);
}

static void fail_because(struct mvm_executor *x, const struct disk *d, const char *reason)
{
    struct mvm_writer w;
    if (mvm_executor_fail(x, MVM_CATEGORY_MOUNT, &w)) { /* COVERAGE: the first failure */
        mvm_writer_add3(&w, "mount ", d->device, " -> ");
        mvm_writer_add3(&w, d->dir, " failed: ", reason);
        mvm_writer_finish(&w);
    }
}

static void fail_mount(struct mvm_executor *x, const struct disk *d)
{
    fail_because(x, d, x->port->reason(x->ctx));
}

static bool make_dir(struct mvm_executor *x, const struct disk *d)
{
    int r = x->port->make_dir(x->ctx, d->dir);
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_MOUNT, d->dir, " missing or not a directory");
    }
    x->step = ASK;
    x->phase_ms = x->now_ms + MVM_DEVICE_WAIT_MS;
    return d->device == NULL;
}

/* A device below the other mount is not released, whatever is written above it. */
static void use_other(struct mvm_executor *x, const struct disk *d, int mounted)
{
    if (mounted == MVM_MOUNTED_OVER) {
        fail_because(x, d, "something else is mounted over it");
    } else if (x->config->require_devices) {
        fail_because(x, d, "something else is mounted there");
    } else {
        note_unused(x, d, " is not used: something else is mounted on ", "");
    }
}

static bool ask(struct mvm_executor *x, const struct disk *d)
{
    int r = x->port->mounted(x->ctx, d->dir, d->device);
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r < 0) {
        fail_mount(x, d);
    }
    x->step = r == MVM_MOUNTED_DEVICE ? UNMOUNT : MOUNT;
    if (r != MVM_MOUNTED_OTHER && r != MVM_MOUNTED_OVER) {
        return false;
    }
    use_other(x, d, r);
    return true;
}

/* True: the time for it is over. */
static bool waited(struct mvm_executor *x)
{
    if (x->now_ms >= x->phase_ms || x->cancelled) {
        return true;
    }
    x->step = AWAIT_DEVICE;
    mvm_executor_wait(x, x->now_ms + MVM_DEVICE_POLL_MS);
    return false;
}

/* There may be another mount below. A process of a killed agent's build that uses it may be about
 * to end. */
static bool unmount(struct mvm_executor *x, const struct disk *d)
{
    int r = x->port->unmount(x->ctx, d->dir);
    if (mvm_executor_later(x, r) || (r == MVM_PORT_BUSY && !waited(x))) {
        return false;
    }
    if (r < 0) {
        fail_mount(x, d);
    }
    x->step = ASK;
    return false;
}

static bool is_absent(struct mvm_executor *x, const struct disk *d)
{
    if (!waited(x)) {
        return false;
    }
    if (x->config->require_devices) {
        fail_mount(x, d);
    } else {
        note_unused(x, d, " is absent, ", " is used as it is");
    }
    return true;
}

static bool mount_disk(struct mvm_executor *x, const struct disk *d)
{
    int r = x->port->mount(x->ctx, d->device, d->dir, d->read_only);
    if (mvm_executor_later(x, r)) {
        return false;
    }
    if (r == MVM_PORT_NOT_FOUND) {
        return is_absent(x, d);
    }
    if (r == MVM_PORT_BUSY && !waited(x)) {
        return false; /* an abandoned mount may just have completed */
    }
    if (r < 0) {
        fail_mount(x, d);
    }
    *d->mounted = r >= 0;
    return true;
}

static bool await_device(struct mvm_executor *x)
{
    if (x->now_ms < x->wake_ms) { /* a cancel ends the wait, too */
        mvm_executor_wait(x, x->wake_ms);
    } else {
        x->step = ASK;
    }
    return false;
}

/* One step. True: the directory can be used, or the job has failed. */
static bool attach(struct mvm_executor *x, const struct disk *d)
{
    bool done = false;
    switch (x->step) {
    case MAKE_DIR:
        done = make_dir(x, d);
        break;
    case ASK:
        done = ask(x, d);
        break;
    case UNMOUNT:
        done = unmount(x, d);
        break;
    case MOUNT:
        done = mount_disk(x, d);
        break;
    default:
        done = await_device(x);
        break;
    }
    return done || x->failed;
}

enum mvm_executor_state mvm_executor_mount_out(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    const struct disk disk = {c->out_device, c->out_dir, false, &x->out_mounted};
    if (mvm_executor_paths_fit(x) && !attach(x, &disk)) {
        return x->state;
    }
    x->out_ready = !x->failed;
    return x->failed ? MVM_EXECUTOR_SYNC : MVM_EXECUTOR_MOUNT_IN;
}

enum mvm_executor_state mvm_executor_mount_in(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    const struct disk disk = {c->in_device, c->in_dir, true, &x->in_mounted};
    if (x->cancelled && !x->asking) {
        mvm_executor_fail_cancelled(x);
    } else if (x->wants_in && !attach(x, &disk)) {
        return x->state;
    }
    return x->failed ? MVM_EXECUTOR_SYNC : MVM_EXECUTOR_NIX;
}
