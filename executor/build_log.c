/*
 * build.log: what nix printed, byte for byte, on the output disk. It is written as the output
 * arrives, under its temporary name; LOGFILE makes it durable, also after a failed build. If the
 * disk cannot store it, the job fails, at the start if possible: a long build is not begun for
 * artifacts that cannot be stored.
 */
#include "internal.h"

int mvm_executor_log_open(struct mvm_executor *x)
{
    int r = x->port->open_log(x->ctx, mvm_executor_temporary(x, 0, MVM_BUILD_LOG));
    if (r < 0 && r != MVM_PORT_LATER) {
        mvm_executor_fail_copy(x, MVM_BUILD_LOG, x->port->reason(x->ctx));
        x->category = MVM_CATEGORY_MOUNT;  /* nothing is built yet */
        x->out_ready = r != MVM_PORT_BUSY; /* otherwise the files belong to another agent */
    }
    x->log_open = r >= 0;
    return r;
}

void mvm_executor_log_give_up(struct mvm_executor *x, const char *reason)
{
    struct mvm_writer w;
    mvm_writer_init(&w, x->log_reason, sizeof x->log_reason);
    mvm_writer_add(&w, reason);
    mvm_writer_finish(&w);
    x->log_failed = true;
    x->unlogged = 0;
}

bool mvm_executor_log_flush(struct mvm_executor *x)
{
    const struct mvm_output *o = &x->output[x->unlogged_of];
    while (x->unlogged > 0 && x->log_open) {
        int n = x->port->write_log(x->ctx, o->bytes + o->end - x->unlogged, x->unlogged);
        if (n == MVM_PORT_LATER) {
            return false;
        }
        bool too_much = n > 0 && (uint32_t)n > x->unlogged;
        if (n <= 0 || too_much) {
            mvm_executor_log_give_up(x, mvm_executor_reason(x, too_much));
            break;
        }
        x->unlogged -= (uint32_t)n;
    }
    x->unlogged = 0;
    return true;
}

/* From here on the time limit of disk work applies again. */
enum mvm_executor_state mvm_executor_logfile(struct mvm_executor *x)
{
    if (x->step == 0) {
        mvm_executor_set_deadline(x);
        x->step = 1;
    }
    if (x->log_open) {
        int r = x->port->close_log(x->ctx);
        if (mvm_executor_later(x, r)) {
            return x->state;
        }
        if (r < 0 && !x->log_failed) {
            mvm_executor_log_give_up(x, x->port->reason(x->ctx));
        }
        x->log_staged = true;
    }
    if (x->log_failed) {
        mvm_executor_fail_copy(x, MVM_BUILD_LOG, x->log_reason);
    }
    return x->failed ? MVM_EXECUTOR_RENAME : MVM_EXECUTOR_RESULT;
}
