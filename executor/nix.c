/* NIX: opens build.log, which makes the output directory this job's, finds nix and starts it. */
#include "internal.h"
#include <string.h>

/* CLEAR + n: removes what an agent that was killed has left of artifact n. */
enum { OPEN_LOG, CLEAR, FIND = CLEAR + MVM_ARTIFACTS, START };

/* What cannot be removed would be in the way of a copy, when the build is done. */
static int clear(struct mvm_executor *x, unsigned n)
{
    const char *path = mvm_executor_temporary(x, 0, mvm_artifacts[n].target);
    int r = x->port->remove(x->ctx, path);
    if (r == MVM_PORT_NOT_FOUND) {
        return 0;
    }
    if (r < 0 && r != MVM_PORT_LATER) {
        mvm_executor_fail_copy(x, path + strlen(x->config->out_dir) + 1, x->port->reason(x->ctx));
        x->category = MVM_CATEGORY_MOUNT; /* nothing is built yet */
    }
    return r;
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
    if (!x->has_source) { /* else it began with the source */
        mvm_executor_set_deadline(x);
    }
    if (!mvm_executor_launch(x, x->port->spawn)) {
        return MVM_EXECUTOR_LOGFILE;
    }
    note_limits(x);
    return MVM_EXECUTOR_RUN;
}

enum mvm_executor_state mvm_executor_nix(struct mvm_executor *x)
{
    int r;
    if (x->step < FIND && x->stream) {
        r = 0; /* there is no disk to keep it on */
        x->step = FIND - 1;
    } else if (x->step == OPEN_LOG) {
        r = mvm_executor_log_open(x);
    } else if (x->step < FIND) {
        r = clear(x, (unsigned)(x->step - CLEAR));
    } else if (x->step == FIND && x->has_source) {
        r = 0; /* it was found to unpack the source */
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
