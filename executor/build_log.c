/*
 * build.log: what nix printed, byte for byte, on the output disk. It is written as the output
 * comes, under its temporary name; LOGFILE makes it durable, also after a failed build. A disk that
 * cannot take it fails the job, at the start if it can be known then: nobody waits an hour for
 * artifacts that cannot be stored.
 */
#include "internal.h"

void mvm_executor_log_open(struct mvm_executor *x)
{
    x->log = x->port->open_new(x->ctx, mvm_executor_temporary(x, 0, "build.log"));
    if (x->log < 0) {
        x->log = -1;
        mvm_executor_fail_reason(x, MVM_CATEGORY_STAGING,
                                 "failed to copy artifacts: ", "build.log");
    }
}

static void give_up(struct mvm_executor *x)
{
    struct mvm_writer w;
    mvm_writer_init(&w, x->log_reason, sizeof x->log_reason);
    mvm_writer_add(&w, x->port->reason(x->ctx));
    mvm_writer_finish(&w);
    x->log_failed = true;
}

void mvm_executor_log_write(struct mvm_executor *x, const uint8_t *bytes, size_t len)
{
    while (len > 0 && !x->log_failed) {
        int n = x->port->write(x->ctx, x->log, bytes, len);
        if (n <= 0) {
            give_up(x);
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

/* The failure of a build comes before that of its log, which then is a Log line. */
static void tell(struct mvm_executor *x)
{
    bool first = !x->failed;
    struct mvm_writer w = first ? mvm_executor_fail(x, MVM_CATEGORY_STAGING) : mvm_executor_note(x);
    mvm_writer_add(&w, "failed to copy artifacts: build.log: ");
    mvm_writer_add(&w, x->log_reason);
    if (first) {
        mvm_writer_finish(&w);
    } else {
        mvm_executor_noted(x, &w);
    }
}

/* MVM_PORT_LATER, or 0: it lasts, or never will. */
static int make_last(struct mvm_executor *x)
{
    int r = x->log_failed ? 0 : x->port->sync_file(x->ctx, x->log);
    if (r == MVM_PORT_LATER) {
        return r;
    }
    if (r < 0) {
        give_up(x);
    }
    if (x->port->close(x->ctx, x->log) < 0 && !x->log_failed) {
        give_up(x);
    }
    x->log = -1;
    x->log_staged = true;
    return 0;
}

enum mvm_turn mvm_executor_logfile(struct mvm_executor *x)
{
    if (x->log >= 0 && make_last(x) == MVM_PORT_LATER) {
        x->wake_ms = UINT64_MAX;
        return MVM_TURN_WAIT;
    }
    mvm_executor_enter(x, MVM_EXECUTOR_RENAME);
    if (x->log_failed) {
        tell(x);
    }
    return x->log_staged ? MVM_TURN_YIELD : MVM_TURN_ON;
}
