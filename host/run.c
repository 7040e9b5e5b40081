/* What every command begins and ends with. */
#include "run.h"

void mvm_run_show_note(struct mvm_run *r)
{
    struct mvm_conversation *c = &r->conversation;
    if (c->note[0] != '\0') {
        MVM_DISPLAY_TELL(&r->display, c->note);
        c->note[0] = '\0';
    }
}

int mvm_run_fail(struct mvm_run *r, enum mvm_arrival how)
{
    struct mvm_display *d = &r->display;
    const char *why = r->conversation.why;
    switch (how) {
    case MVM_SIGNALLED:
        MVM_DISPLAY_TELL(d, "interrupted");
        return MVM_EXIT_SIGNAL + r->waiter.signal;
    case MVM_UNCONNECTED:
        MVM_DISPLAY_TELL(d, "no connection to ", r->options->address, ": ", why);
        break;
    case MVM_LATE:
        MVM_DISPLAY_TELL(d, "no answer from ", r->options->address, ": ", why);
        break;
    case MVM_BROKEN:
        MVM_DISPLAY_TELL(d, "cannot read the answer of ", r->options->address, ": ", why);
        break;
    case MVM_LOST:
    case MVM_ARRIVED:
        MVM_DISPLAY_TELL(d, "connection lost before the answer: ", why);
        break;
    }
    return MVM_EXIT_NO_CONNECTION;
}

static int run_command(struct mvm_run *r)
{
    switch (r->options->command) {
    case MVM_HOST_BUILD:
    case MVM_HOST_JOIN:
        return mvm_run_build(r);
    case MVM_HOST_CANCEL:
        return mvm_run_cancel(r);
    case MVM_HOST_HELLO:
        return mvm_run_hello(r);
    case MVM_HOST_WAIT:
        return mvm_run_wait(r);
    case MVM_HOST_PING:
    case MVM_HOST_HELP:
    case MVM_HOST_VERSION:
        break;
    }
    return mvm_run_ping(r);
}

int mvm_run(struct mvm_run *r, const struct mvm_host_options *options)
{
    r->options = options;
    mvm_display_init(&r->display, options->json, &r->waiter);
    mvm_conversation_init(&r->conversation, &options->peer, options->wire, &r->waiter);
    int status = run_command(r);
    mvm_conversation_close(&r->conversation, true);
    mvm_run_show_note(r);
    bool whole = mvm_display_finish(&r->display);
    return status == MVM_EXIT_OK && !whole ? MVM_EXIT_OUTPUT : status;
}
