/* What epoll reports, recorded where it is used. */
#define _GNU_SOURCE
#include "server_internal.h"
#include <sys/epoll.h>

enum { EVENTS = 64 };

static void record(struct mvm_server *s, const struct epoll_event *e)
{
    size_t index = e->data.u32 & 0xffff;
    switch ((enum mvm_server_source)(e->data.u32 - index)) {
    case MVM_SOURCE_CONNECTION:
        mvm_server_connection_event(&s->connections[index], e->events);
        break;
    case MVM_SOURCE_LISTENER:
        s->listeners[index].pending = true;
        break;
    case MVM_SOURCE_NAMES:
        mvm_server_unix_read_names(s);
        break;
    case MVM_SOURCE_CALLER:
        s->caller_ready = true;
        break;
    case MVM_SOURCE_WAKE:
    case MVM_SOURCE_BUILD: /* the step that follows checks all */
        break;
    }
}

bool mvm_server_events(struct mvm_server *s, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(s->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        record(s, &events[i]);
    }
    return n == EVENTS;
}
