/* Runs the command, from its beginning to its exit status. */
#include "run.h"

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
    r->display.phase.without_disks = r->conversation.needs_proto = options->output != NULL;
    int status = run_command(r);
    mvm_conversation_close(&r->conversation, true);
    mvm_run_show_note(r);
    bool whole = mvm_display_finish(&r->display);
    return status == MVM_EXIT_OK && !whole ? MVM_EXIT_OUTPUT : status;
}
