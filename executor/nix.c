/* NIX: opens build.log, finds nix and starts it. */
#include "internal.h"

enum { OPEN_LOG, FIND, START };

static void fail_to_start(struct mvm_executor *x, int r)
{
    bool absent = r == MVM_PORT_NOT_FOUND;
    enum mvm_category category = absent ? MVM_CATEGORY_NIX_NOT_FOUND : MVM_CATEGORY_INTERNAL;
    struct mvm_writer w;
    if (mvm_executor_fail(x, category, &w)) {
        mvm_writer_add3(&w, absent ? "nix not found: " : "nix build failed (",
                        x->port->reason(x->ctx), absent ? ": " : "): ");
        mvm_executor_add_command(x, &w);
        mvm_writer_finish(&w);
    }
    x->port->close_build(x->ctx);
}

/* Logs what the port cannot guarantee for the build that was started. */
static void note_limits(struct mvm_executor *x)
{
    const char *limits = x->port->limits != NULL ? x->port->limits(x->ctx) : NULL;
    if (limits != NULL) {
        struct mvm_writer w = mvm_executor_note(x);
        mvm_writer_add(&w, limits);
        mvm_executor_noted(x, &w);
    }
}

/* The build's time limit starts here: nix's work counts, the disk work before it does not. */
static enum mvm_executor_state start(struct mvm_executor *x)
{
    mvm_executor_make_command(x);
    mvm_executor_output_reset(x);
    mvm_nix_result_reset(&x->result);
    if (!x->has_source) { /* else it began with the source */
        mvm_executor_set_deadline(x);
    }
    x->exited = false;
    x->peeked_ms = x->now_ms;
    x->exit = (struct mvm_exit){false, 255};
    int r = x->port->spawn(x->ctx, x->argv);
    if (r < 0) {
        fail_to_start(x, r);
        return MVM_EXECUTOR_LOGFILE;
    }
    note_limits(x);
    return MVM_EXECUTOR_RUN;
}

enum mvm_executor_state mvm_executor_nix(struct mvm_executor *x)
{
    int r;
    if (x->step == OPEN_LOG && x->stream) {
        r = 0; /* there is no disk to keep it on */
    } else if (x->step == OPEN_LOG) {
        r = mvm_executor_log_open(x);
    } else if (x->step == FIND) {
        r = x->port->find_nix(x->ctx, x->nix, sizeof x->nix);
    } else {
        return start(x);
    }
    if (mvm_executor_later(x, r)) {
        return x->state;
    }
    if (r < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_NIX_NOT_FOUND, "nix not found", "");
    }
    x->step++;
    return x->failed ? MVM_EXECUTOR_LOGFILE : x->state;
}
