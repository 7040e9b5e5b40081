/* The end of a build by a signal, and the way back to one that goes on. */
#include "run.h"

static const char *const interruptions[] = {
    [MVM_INTERRUPTION_NONE] = "interrupted",
    [MVM_INTERRUPTION_CANCELLED] = "interrupted; the build is cancelled",
    [MVM_INTERRUPTION_LATE] = "interrupted; it may be too late to cancel the build",
    [MVM_INTERRUPTION_ENDED] = "interrupted; the build had ended before",
    [MVM_INTERRUPTION_UNKNOWN] = "interrupted; the agent does not know the build, or not any more",
    [MVM_INTERRUPTION_ASKED] = "interrupted; the agent was asked to cancel the build",
    [MVM_INTERRUPTION_CLOSED] = "interrupted; the end of the connection cancels the build",
    [MVM_INTERRUPTION_JOINED] =
        "interrupted; the build goes on if it is kept (--retry, --keep-building), else it ends",
    [MVM_INTERRUPTION_LEFT] = "interrupted; a build that is kept goes on",
    [MVM_INTERRUPTION_SERIAL] =
        "interrupted; the build goes on: a serial line has no end to cancel it by",
};

void mvm_run_show_id(struct mvm_run *r, const char *what)
{
    bool joinable = r->options->output == NULL;
    /* A build that was begun again has another id than the first. Both are strings. */
    MVM_DISPLAY_TELL(&r->display, what, ": mvm-builder ", joinable ? "join " : "cancel ",
                     r->exchange.request.id.bytes,
                     joinable ? " comes back to it, cancel ends it" : " ends it");
}

void mvm_run_show_way_back(struct mvm_run *r)
{
    const struct mvm_exchange *x = &r->exchange;
    if (x->kept && x->sent && !x->built) {
        mvm_run_show_id(r, "the build may go on");
    }
}

/* Of a build without disks the path is shown but not printed as a result: its artifacts are
 * dropped. */
static void show_success(struct mvm_run *r)
{
    const struct mvm_message *m = r->exchange.message;
    struct mvm_writer path;
    mvm_writer_init(&path, r->store_path, sizeof r->store_path);
    mvm_writer_add_text(&path, m->text);
    mvm_writer_finish(&path);
    MVM_DISPLAY_TELL(&r->display, "it has succeeded: ", r->store_path,
                     r->exchange.built ? "; its artifacts are dropped" : "");
    if (!r->exchange.built) {
        mvm_display_frame(&r->display, m);
    }
}

/* How a build ended that was to be cancelled. Its disk may be in use until it has, or longer.
 * `confirmed`: that it is cancelled was reported. */
static void show_end(struct mvm_run *r, bool confirmed)
{
    const struct mvm_exchange *x = &r->exchange;
    mvm_display_change(&r->display, "ending");
    enum mvm_exchange_event event = mvm_exchange_await_end(&r->exchange);
    if (event == MVM_EXCHANGE_OK) {
        show_success(r);
    } else if (event == MVM_EXCHANGE_ERR && confirmed && mvm_exchange_is_cancelled(x)) {
        mvm_display_frame(&r->display, x->message);
    } else if (event == MVM_EXCHANGE_ERR) {
        mvm_display_err(&r->display, x->message);
    } else if (event == MVM_EXCHANGE_FAILED) {
        mvm_run_fail(r, x->failure);
    } else {
        mvm_run_show_id(r, r->options->output != NULL
                               ? "its end has not come"
                               : "its end has not come, and the output disk may be in use");
    }
}

int mvm_run_interrupt(struct mvm_run *r)
{
    enum mvm_interruption what = mvm_exchange_interrupt(&r->exchange);
    MVM_DISPLAY_TELL(&r->display, interruptions[what]);
    if (what == MVM_INTERRUPTION_LEFT || what == MVM_INTERRUPTION_ASKED) {
        mvm_run_show_way_back(r);
    } else if (what == MVM_INTERRUPTION_CANCELLED || what == MVM_INTERRUPTION_LATE ||
               what == MVM_INTERRUPTION_ENDED) {
        show_end(r, what == MVM_INTERRUPTION_CANCELLED);
    }
    return MVM_EXIT_SIGNAL + r->waiter.signal;
}
