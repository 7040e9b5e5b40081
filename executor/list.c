/*
 * LIST: which artifacts a build without disks has made. They stay in the store, where they are read
 * on request; the target of an artifact's link must be there, too.
 */
#include "internal.h"
#include "store.h"

/* The first step asks about the output itself, which may be a file; step n about name n - 1, up to
 * the last, which is that of such a file. */
static const char *question(struct mvm_executor *x)
{
    return x->step == 0 ? x->store_path
                        : mvm_executor_path(x, 0, x->store_path, mvm_artifact_name(x->step - 1u));
}

static void add(struct mvm_executor *x, unsigned name, uint64_t size)
{
    x->found[x->found_len++] = (struct mvm_artifact_found){size, (uint8_t)name};
}

static void fail_none(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (!mvm_executor_fail(x, MVM_CATEGORY_NO_OUTPUT, &w)) {
        return;
    }
    mvm_writer_add(&w, "nix build produced no artifact: ");
    mvm_writer_add(&w, x->store_path);
    mvm_writer_add(&w, x->elsewhere ? " is not on this machine" : " has none of");
    for (unsigned i = 0; !x->elsewhere && mvm_artifact_name(i) != NULL; i++) {
        mvm_writer_add3(&w, " ", mvm_artifact_name(i), "");
    }
    mvm_writer_finish(&w);
}

static enum mvm_executor_state end(struct mvm_executor *x)
{
    if (x->found_len == 0) {
        fail_none(x);
    }
    return MVM_EXECUTOR_SYNC;
}

static enum mvm_executor_state fail(struct mvm_executor *x, const char *reason)
{
    mvm_executor_fail_copy(x, x->step == 0 ? x->store_path : mvm_artifact_name(x->step - 1u),
                           reason);
    return end(x);
}

static unsigned name_of_file(void)
{
    unsigned i = 0;
    while (!mvm_artifact_is_whole_output(i)) {
        i++;
    }
    return i;
}

enum mvm_executor_state mvm_executor_list(struct mvm_executor *x)
{
    uint64_t size;
    if (x->cancelled && !x->asking) {
        mvm_executor_fail_cancelled(x);
        return end(x);
    }
    int r = x->port->file_size(x->ctx, MVM_STORE, question(x), &size);
    if (mvm_executor_later(x, r)) {
        return x->state;
    }
    if (r >= 0 && size == 0 && !(x->step > 0 && mvm_artifact_may_be_empty(x->step - 1u))) {
        return fail(x, MVM_EXECUTOR_EMPTY);
    }
    if (r >= 0) {
        add(x, x->step == 0 ? name_of_file() : x->step - 1u, size);
    } else if (x->step == 0 && r == MVM_PORT_NOT_FOUND) {
        x->elsewhere = true;
        return end(x);
    } else if (r != MVM_PORT_NOT_FOUND && r != MVM_PORT_NOT_REGULAR) {
        return fail(x, x->port->reason(x->ctx));
    }
    bool whole = r >= 0 && x->step == 0;
    x->step++;
    return whole || mvm_artifact_is_whole_output(x->step - 1u) ? end(x) : x->state;
}

unsigned mvm_executor_artifacts(const struct mvm_executor *x)
{
    return x->found_len;
}

const char *mvm_executor_artifact(const struct mvm_executor *x, unsigned index, uint64_t *size)
{
    *size = x->found[index].size;
    return mvm_artifact_name(x->found[index].name);
}
