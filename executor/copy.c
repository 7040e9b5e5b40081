/*
 * COPY: artifacts from the store to the output disk, each to a temporary name, durable when it is
 * complete. Then RENAME gives them their names: at any moment a name is absent, the complete old
 * file, or the complete new one.
 *
 * The output is below /nix/store, and so must be what its links lead to: a build decides what is in
 * its output, and this process may read more than the build may.
 */
#include "internal.h"
#include "store.h"

static bool is_ignored(int64_t r)
{
    return r == MVM_PORT_NOT_FOUND || r == MVM_PORT_NOT_REGULAR;
}

/* None of an artifact's sources is usable: reports what is wrong with each. */
static void fail_missing(struct mvm_executor *x, const struct mvm_artifact *a, int64_t last)
{
    struct mvm_writer w;
    bool second = a->sources[1] != NULL;
    const int64_t results[2] = {second ? x->first_result : last, last};
    (void)mvm_executor_begin_fail_copy(x, &w); /* copies end with the first failure */
    for (int i = 0; i < 2 && a->sources[i] != NULL; i++) {
        mvm_writer_add(&w, i == 0 ? "" : "; ");
        mvm_writer_add(&w, a->sources[i]);
        mvm_writer_add(&w,
                       results[i] == MVM_PORT_NOT_FOUND ? ": not found" : ": not a regular file");
    }
    mvm_writer_add(&w, " in ");
    mvm_writer_add(&w, x->store_path);
    mvm_writer_add(&w, x->elsewhere ? ", which nix reported but does not exist here" : "");
    mvm_writer_finish(&w);
}

static void next_artifact(struct mvm_executor *x)
{
    x->artifact++;
    x->step = 0;
    x->copied = 0;
    x->progress_logged_ms = x->now_ms;
}

static void mark_staged(struct mvm_executor *x)
{
    x->staged = (uint8_t)(x->staged | 1u << x->artifact);
}

static void note_progress(struct mvm_executor *x, const struct mvm_artifact *a)
{
    if (x->now_ms - x->progress_logged_ms < MVM_PROGRESS_MS) {
        return;
    }
    x->progress_logged_ms = x->now_ms;
    struct mvm_writer w = mvm_executor_note(x);
    mvm_writer_add3(&w, "staging ", a->target, ", ");
    mvm_writer_add_u64(&w, x->copied);
    mvm_writer_add(&w, " of ");
    mvm_writer_add_u64(&w, x->size);
    mvm_writer_add(&w, " bytes");
    mvm_executor_noted(x, &w);
}

/* The source cannot be used: the next one, the fallback, nothing, or failure. */
static void go_on_without(struct mvm_executor *x, const struct mvm_artifact *a, int64_t r)
{
    enum { FIRST, SECOND, FALLBACK };
    if (x->step == FIRST && a->sources[1] != NULL) {
        x->first_result = (int8_t)r;
        x->step = SECOND;
    } else if (a->need == MVM_NEED_REQUIRED || r != MVM_PORT_NOT_FOUND) {
        fail_missing(x, a, r);
    } else if (a->need == MVM_NEED_DEFAULT) {
        x->step = FALLBACK;
    } else {
        next_artifact(x);
    }
}

static void finish_copy(struct mvm_executor *x, const struct mvm_artifact *a)
{
    if (x->size == 0 && a->need == MVM_NEED_REQUIRED) {
        mvm_executor_fail_copy(x, a->sources[x->step], MVM_EXECUTOR_EMPTY);
    } else {
        next_artifact(x);
    }
}

static void copy_source(struct mvm_executor *x, const struct mvm_artifact *a)
{
    const char *source = a->sources[x->step];
    const char *from = mvm_executor_path(x, 0, x->store_path, source);
    const char *to = mvm_executor_temporary(x, 1, a->target);
    int64_t r = x->port->copy(x->ctx, MVM_STORE, from, to, &x->size);
    if (mvm_executor_later(x, r)) {
        return;
    }
    if (is_ignored(r)) {
        go_on_without(x, a, r);
        return;
    }
    mark_staged(x); /* also an incomplete file: it is to be removed */
    if (r < 0) {
        mvm_executor_fail_copy(x, r == MVM_PORT_SOURCE_FAILED ? source : a->target,
                               x->port->reason(x->ctx));
    } else if (r == 0) {
        finish_copy(x, a);
    } else {
        x->asking = true; /* the same copy continues */
        x->copied += (uint64_t)r;
        note_progress(x, a);
        x->pace = MVM_PACE_YIELD;
    }
}

static void write_fallback(struct mvm_executor *x, const struct mvm_artifact *a)
{
    int r = x->port->put(x->ctx, mvm_executor_temporary(x, 1, a->target), a->fallback);
    if (mvm_executor_later(x, r)) {
        return;
    }
    mark_staged(x);
    if (r < 0) {
        mvm_executor_fail_copy(x, a->target, x->port->reason(x->ctx));
    } else {
        next_artifact(x);
    }
}

/* A copy that is cancelled ends first: its files are on the disk that is released next. */
static bool stopped(struct mvm_executor *x)
{
    if (!x->cancelled) {
        return false;
    }
    if (x->asking) {
        mark_staged(x);
    }
    if (!x->asking || !mvm_executor_later(x, x->port->stop(x->ctx))) {
        mvm_executor_fail_cancelled(x);
    }
    return true;
}

enum mvm_executor_state mvm_executor_copy(struct mvm_executor *x)
{
    const struct mvm_artifact *a = &mvm_artifacts[x->artifact];
    if (x->progress != MVM_EXECUTOR_STAGING) {
        x->progress = MVM_EXECUTOR_STAGING;
        x->progress_logged_ms = x->now_ms;
    }
    if (!stopped(x)) {
        if (x->step < 2) {
            copy_source(x, a);
        } else {
            write_fallback(x, a);
        }
    }
    return x->failed || x->artifact == MVM_ARTIFACTS ? MVM_EXECUTOR_RENAME : x->state;
}
