/* Reports of a conversation's notes and failures. */
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
    case MVM_CONVERSATION_SIGNALLED:
        MVM_DISPLAY_TELL(d, "interrupted");
        return MVM_EXIT_SIGNAL + r->waiter.signal;
    case MVM_CONVERSATION_UNCONNECTED:
        MVM_DISPLAY_TELL(d, "no connection to ", r->options->address, ": ", why);
        break;
    case MVM_CONVERSATION_LATE:
        MVM_DISPLAY_TELL(d, "no answer from ", r->options->address, ": ", why);
        break;
    case MVM_CONVERSATION_BROKEN:
        MVM_DISPLAY_TELL(d, "cannot read the answer of ", r->options->address, ": ", why);
        break;
    case MVM_CONVERSATION_LOST:
    case MVM_CONVERSATION_ARRIVED:
    case MVM_CONVERSATION_ROOM:
        MVM_DISPLAY_TELL(d,
                         r->exchange.built ? "connection lost before the artifacts were fetched: "
                                           : "connection lost before the answer: ",
                         why);
        break;
    }
    return MVM_EXIT_NO_CONNECTION;
}
