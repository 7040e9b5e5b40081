/* A job's failure, and the executor's own lines in its log. */
#include "internal.h"
#include <string.h>

bool mvm_executor_fail(struct mvm_executor *x, enum mvm_category category, struct mvm_writer *w)
{
    if (x->failed) {
        return false;
    }
    x->failed = true;
    x->category = category;
    mvm_writer_init(w, x->message, sizeof x->message);
    return true;
}

const char *mvm_executor_reason(const struct mvm_executor *x, bool too_much)
{
    return too_much ? "the port returned more than was asked for" : x->port->reason(x->ctx);
}

void mvm_executor_fail_reason(struct mvm_executor *x, enum mvm_category category, const char *what,
                              const char *name)
{
    struct mvm_writer w;
    if (mvm_executor_fail(x, category, &w)) {
        mvm_writer_add3(&w, what, name, ": ");
        mvm_writer_add(&w, x->port->reason(x->ctx));
        mvm_writer_finish(&w);
    }
}

/* Leaves the message, cut if need be, with `room` bytes behind it. */
static struct mvm_writer continue_message(struct mvm_executor *x, size_t room)
{
    struct mvm_writer w = {x->message, sizeof x->message - room, strlen(x->message), false};
    w.cut = w.len >= w.cap;
    mvm_writer_finish(&w);
    return (struct mvm_writer){x->message, sizeof x->message, w.len, false};
}

void mvm_executor_fail_release(struct mvm_executor *x, const char *reason)
{
    static const char what[] = "; failed to release ";
    const char *dir = x->config->out_dir;
    struct mvm_writer w;
    x->unreleased = true;
    if (mvm_executor_fail(x, MVM_CATEGORY_RELEASE, &w)) {
        mvm_writer_add(&w, what + 2);
    } else if (x->category != MVM_CATEGORY_RELEASE) {
        size_t room = sizeof what + strlen(dir) + 2 + strlen(reason);
        w = continue_message(x, room < sizeof x->message / 2 ? room : sizeof x->message / 2);
        mvm_writer_add(&w, what);
        x->category = MVM_CATEGORY_RELEASE;
    } else {
        return;
    }
    mvm_writer_add3(&w, dir, ": ", reason);
    mvm_writer_finish(&w);
}

bool mvm_executor_begin_fail_copy(struct mvm_executor *x, struct mvm_writer *w)
{
    bool first = mvm_executor_fail(x, MVM_CATEGORY_STAGING, w);
    if (!first) {
        *w = mvm_executor_note(x);
    }
    mvm_writer_add(w, "failed to copy artifacts: ");
    return first;
}

void mvm_executor_fail_copy(struct mvm_executor *x, const char *name, const char *reason)
{
    struct mvm_writer w;
    bool first = mvm_executor_begin_fail_copy(x, &w);
    mvm_writer_add3(&w, name, ": ", reason);
    if (first) {
        mvm_writer_finish(&w);
    } else {
        mvm_executor_noted(x, &w);
    }
}

bool mvm_executor_fail_stopped(struct mvm_executor *x, bool cancelled, struct mvm_writer *w)
{
    if (!mvm_executor_fail(x, cancelled ? MVM_CATEGORY_CANCELLED : MVM_CATEGORY_TIMEOUT, w)) {
        return false;
    }
    if (cancelled) {
        mvm_writer_add(w, "build cancelled: ");
    } else {
        mvm_writer_add(w, "nix build timed out after ");
        mvm_writer_add_u64(w, x->timeout_secs);
        mvm_writer_add(w, " s: ");
    }
    return true;
}

void mvm_executor_fail_cancelled(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (mvm_executor_fail(x, MVM_CATEGORY_CANCELLED, &w)) {
        mvm_writer_add(&w, "build cancelled");
    }
}

struct mvm_writer mvm_executor_note(struct mvm_executor *x)
{
    struct mvm_writer w;
    mvm_writer_init(&w, x->note, sizeof x->note);
    mvm_writer_add(&w, "mvm: ");
    return w;
}

void mvm_executor_noted(struct mvm_executor *x, const struct mvm_writer *w)
{
    struct mvm_writer done = *w;
    x->text = mvm_writer_finish(&done);
    x->pending = MVM_EXECUTOR_PENDING_NOTE;
}
