/* The end of a build by a signal, and the way back to one that goes on. */
#include "run.h"

static const char *const interruptions[] = {
    [MVM_INTERRUPTION_NONE] = "interrupted",
    [MVM_INTERRUPTION_CANCELLED] = "interrupted; the build is cancelled",
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

int mvm_run_interrupt(struct mvm_run *r)
{
    enum mvm_interruption what = mvm_exchange_interrupt(&r->exchange);
    MVM_DISPLAY_TELL(&r->display, interruptions[what]);
    if (what == MVM_INTERRUPTION_LEFT || what == MVM_INTERRUPTION_ASKED) {
        mvm_run_show_way_back(r);
    }
    return MVM_EXIT_SIGNAL + r->waiter.signal;
}
