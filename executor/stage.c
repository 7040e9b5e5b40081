/*
 * COPY and RENAME: artifacts from the store to the output disk. Each is copied to a temporary name
 * in slices and made durable; only when all are, each gets its name by rename(2). So at any
 * moment a name is absent, the old file, or the new one, whole, and a failed copy leaves the
 * earlier set as it was.
 */
#include "internal.h"
#include <string.h>

enum need {
    REQUIRED,
    OPTIONAL,  /* absent from the build: removed from the disk, or an old one would be taken for it
                */
    DEFAULTED, /* absent from the build: `fallback` is written */
};

struct artifact {
    const char *target;
    const char *sources[2]; /* first that is there and a regular file */
    enum need need;
};

static const struct artifact artifacts[] = {
    {"vmlinux", {"kernel", "vmlinux"}, REQUIRED},
    {"rootfs.ext4", {"rootfs", "rootfs.ext4"}, REQUIRED},
    {"initrd", {"initrd", NULL}, OPTIONAL},
    {"fc-base.json", {"fc-base.json", NULL}, DEFAULTED},
};

enum { ARTIFACTS = sizeof artifacts / sizeof artifacts[0] };

static const char fallback[] = "{\"note\":\"Base fc config placeholder\"}\n";

static const char failed_copy[] = "failed to copy artifacts: ";

/* Those below a store path fit where the longest of them does. */
_Static_assert(MVM_STORE_PATH_MAX + sizeof "/fc-base.json" <= MVM_PATH_MAX,
               "artifacts in a store path");

bool mvm_executor_paths_fit(struct mvm_executor *x)
{
    static const char longest[] = "/.fc-base.json.mvm-tmp";
    if (strlen(x->config->out_dir) + sizeof longest <= MVM_PATH_MAX) {
        return true;
    }
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_MOUNT);
    mvm_writer_add(&w, x->config->out_dir);
    mvm_writer_add(&w, ": path too long");
    mvm_writer_finish(&w);
    return false;
}

const char *mvm_executor_path(struct mvm_executor *x, int slot, const char *dir, const char *name)
{
    mvm_text_join(x->path[slot], sizeof x->path[slot], dir, "/", name);
    return x->path[slot];
}

const char *mvm_executor_temporary(struct mvm_executor *x, int slot, const char *name)
{
    struct mvm_writer w;
    mvm_writer_init(&w, x->path[slot], sizeof x->path[slot]);
    mvm_writer_add3(&w, x->config->out_dir, "/.", name);
    mvm_writer_add(&w, ".mvm-tmp");
    return x->path[slot];
}

/* ---- COPY ---- */

static bool passed_over(int r)
{
    return r == MVM_PORT_NOT_FOUND || r == MVM_PORT_NOT_REGULAR;
}

/* None of an artifact's sources will do: says what is the matter with each. */
static void fail_missing(struct mvm_executor *x, const struct artifact *a, const int results[2])
{
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_STAGING);
    mvm_writer_add(&w, failed_copy);
    for (int i = 0; i < 2 && a->sources[i] != NULL; i++) {
        mvm_writer_add(&w, i == 0 ? "" : "; ");
        mvm_writer_add(&w, a->sources[i]);
        mvm_writer_add(&w,
                       results[i] == MVM_PORT_NOT_FOUND ? ": not found" : ": not a regular file");
    }
    mvm_writer_add(&w, " in ");
    mvm_writer_add(&w, x->store_path);
    mvm_writer_finish(&w);
}

enum source { OPENED, ABSENT, FAILED };

/* Opens an artifact's source as `from`. */
static enum source open_source(struct mvm_executor *x, const struct artifact *a)
{
    int results[2] = {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_FOUND};
    for (int i = 0; i < 2 && a->sources[i] != NULL; i++) {
        const char *path = mvm_executor_path(x, 0, x->store_path, a->sources[i]);
        results[i] = x->port->open_read(x->ctx, path, &x->size);
        if (results[i] >= 0) {
            x->from = results[i];
            return OPENED;
        }
        if (!passed_over(results[i])) {
            mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, a->sources[i]);
            return FAILED;
        }
    }
    if (a->need != REQUIRED && results[0] == MVM_PORT_NOT_FOUND) {
        return ABSENT;
    }
    fail_missing(x, a, results);
    return FAILED;
}

/* The small text that stands in for an artifact the build did not make. */
static void write_fallback(struct mvm_executor *x, const struct artifact *a)
{
    const uint8_t *at = (const uint8_t *)fallback;
    size_t left = sizeof fallback - 1;
    while (left > 0) {
        int n = x->port->write(x->ctx, x->to, at, left);
        if (n <= 0) {
            mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, a->target);
            return;
        }
        at += n;
        left -= (size_t)n;
    }
}

static void begin_artifact(struct mvm_executor *x, const struct artifact *a)
{
    enum source source = open_source(x, a);
    if (source == FAILED) {
        return;
    }
    if (source == ABSENT && a->need == OPTIONAL) {
        x->artifact++;
        return;
    }
    x->progress = MVM_EXECUTOR_STAGING;
    x->copied = 0;
    x->told_ms = x->now_ms;
    x->to = x->port->open_new(x->ctx, mvm_executor_temporary(x, 1, a->target));
    if (x->to < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, a->target);
        return;
    }
    x->staged = (uint8_t)(x->staged | 1u << x->artifact);
    if (source == ABSENT) {
        write_fallback(x, a);
    }
}

/* How far a copy is that takes its time. */
static void tell_progress(struct mvm_executor *x, const struct artifact *a)
{
    if (x->now_ms - x->told_ms < MVM_PROGRESS_MS) {
        return;
    }
    x->told_ms = x->now_ms;
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, "staging ", a->target, ", ");
    mvm_writer_add_u64(&w, x->copied);
    mvm_writer_add(&w, " of ");
    mvm_writer_add_u64(&w, x->size);
    mvm_writer_add(&w, " bytes");
    mvm_executor_noted(x, &w);
}

static enum mvm_turn wait_for_port(struct mvm_executor *x)
{
    x->wake_ms = UINT64_MAX;
    return MVM_TURN_WAIT;
}

/* False: the port has to end first what it is doing with it. */
static bool close_handle(struct mvm_executor *x, int *handle)
{
    if (*handle >= 0 && x->port->close(x->ctx, *handle) == MVM_PORT_LATER) {
        return false;
    }
    *handle = -1;
    return true;
}

static enum mvm_turn copy_slice(struct mvm_executor *x, const struct artifact *a)
{
    int64_t n = x->port->copy(x->ctx, x->from, x->to, MVM_STAGE_SLICE);
    if (n == MVM_PORT_LATER) {
        return wait_for_port(x);
    }
    if (n < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, a->target);
    } else if (n == 0) {
        close_handle(x, &x->from);
    } else {
        x->copied += (uint64_t)n;
        tell_progress(x, a);
    }
    return MVM_TURN_YIELD;
}

static enum mvm_turn finish_artifact(struct mvm_executor *x, const struct artifact *a)
{
    int r = x->port->sync_file(x->ctx, x->to);
    if (r == MVM_PORT_LATER) {
        return wait_for_port(x);
    }
    if (r < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, a->target);
    }
    int to = x->to;
    x->to = -1;
    if (x->port->close(x->ctx, to) < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, a->target);
    }
    x->artifact++;
    return MVM_TURN_YIELD;
}

static enum mvm_turn go_on_copying(struct mvm_executor *x)
{
    const struct artifact *a = &artifacts[x->artifact];
    if (x->from >= 0) {
        return copy_slice(x, a);
    }
    if (x->to >= 0) {
        return finish_artifact(x, a);
    }
    begin_artifact(x, a);
    return MVM_TURN_YIELD;
}

enum mvm_turn mvm_executor_copy(struct mvm_executor *x)
{
    if (x->cancelled) {
        mvm_executor_fail_cancelled(x);
    }
    enum mvm_turn turn = x->failed ? MVM_TURN_YIELD : go_on_copying(x);
    if (x->failed && !(close_handle(x, &x->from) && close_handle(x, &x->to))) {
        return wait_for_port(x);
    }
    if (x->failed || x->artifact == ARTIFACTS) {
        x->artifact = 0;
        mvm_executor_enter(x, MVM_EXECUTOR_LOGFILE);
    }
    return turn;
}

/* ---- RENAME ---- */

static void put_in_place(struct mvm_executor *x, const char *name)
{
    const char *from = mvm_executor_temporary(x, 0, name);
    const char *to = mvm_executor_path(x, 1, x->config->out_dir, name);
    if (x->port->rename(x->ctx, from, to) < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, name);
        x->port->remove(x->ctx, from);
    }
}

/* A temporary file nobody needs; where it cannot be removed, the next job replaces it. */
static void discard(struct mvm_executor *x, const char *name)
{
    x->port->remove(x->ctx, mvm_executor_temporary(x, 0, name));
}

static void remove_stale(struct mvm_executor *x, const char *name)
{
    int r = x->port->remove(x->ctx, mvm_executor_path(x, 0, x->config->out_dir, name));
    if (r < 0 && r != MVM_PORT_NOT_FOUND) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, name);
    }
}

/* What a job that went well did not stage was optional. */
static void place_artifact(struct mvm_executor *x, int i)
{
    bool staged = (x->staged & 1u << i) != 0;
    if (staged && x->failed) {
        discard(x, artifacts[i].target);
    } else if (staged) {
        put_in_place(x, artifacts[i].target);
    } else if (!x->failed) {
        remove_stale(x, artifacts[i].target);
    }
}

enum mvm_turn mvm_executor_rename(struct mvm_executor *x)
{
    if (!x->failed) {
        x->progress = MVM_EXECUTOR_PLACING;
    }
    for (int i = 0; i < ARTIFACTS; i++) {
        place_artifact(x, i);
    }
    if (x->log_staged && x->log_failed) {
        discard(x, "build.log");
    } else if (x->log_staged) {
        put_in_place(x, "build.log");
    }
    if (x->port->sync_dir(x->ctx, x->config->out_dir) < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING, failed_copy, x->config->out_dir);
    }
    mvm_executor_enter(x, MVM_EXECUTOR_SYNC);
    return MVM_TURN_YIELD;
}
