/* What phases make of a job: its next state, its failure, its own lines in the log. */
#include "internal.h"

void mvm_executor_enter(struct mvm_executor *x, enum mvm_executor_state state)
{
    x->state = state;
}

struct mvm_writer mvm_executor_fail(struct mvm_executor *x, enum mvm_category category)
{
    struct mvm_writer w;
    /* A second failure writes into the note's room, where nobody looks. */
    if (x->failed) {
        mvm_writer_init(&w, x->note, sizeof x->note);
    } else {
        mvm_writer_init(&w, x->message, sizeof x->message);
        x->category = category;
    }
    x->failed = true;
    return w;
}

void mvm_executor_fail_cancelled(struct mvm_executor *x)
{
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_CANCELLED);
    mvm_writer_add(&w, "build cancelled");
}

void mvm_executor_fail_reason(struct mvm_executor *x, enum mvm_category category, const char *what,
                              const char *name)
{
    const char *reason = x->port->reason(x->ctx);
    struct mvm_writer w = mvm_executor_fail(x, category);
    mvm_writer_add3(&w, what, name, ": ");
    mvm_writer_add(&w, reason);
    mvm_writer_finish(&w);
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
    x->pending = MVM_PENDING_NOTE;
}
