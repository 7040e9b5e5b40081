/* A listener that cannot be opened, or has lost its descriptor. */
#include "server_internal.h"

void mvm_server_listener_down(struct mvm_server *s, struct mvm_server_listener *l, const char *what,
                              const char *why)
{
    bool inherited = l->address.kind == MVM_ADDRESS_FD;
    l->state = inherited ? MVM_LISTENER_OVER : MVM_LISTENER_DOWN;
    l->fd = -1;
    l->retry_ms = s->now_ms + MVM_LISTENER_RETRY_MS;
    if (!l->logged) {
        struct mvm_server_line line;
        mvm_server_say_begin(&line, what);
        mvm_writer_add3(&line.w, l->address.text, ": ", why);
        mvm_writer_add(&line.w, inherited ? "" : "; trying again every second");
        mvm_server_say_end(s, &line);
    }
    l->logged = true;
}
