/*
 * What the loop waits for. The epoll set is edge-triggered: each descriptor is put into it once,
 * and what is known of it holds until a call would block.
 */
#ifndef MVM_WATCH_H
#define MVM_WATCH_H

#include "loop.h"

/* What an event is about; the index of a listener or connection in the low half. */
enum mvm_source {
    MVM_SOURCE_BUILD = 0,
    MVM_SOURCE_SIGNAL = 1 << 16,
    MVM_SOURCE_LISTENER = 2 << 16,
    MVM_SOURCE_CONNECTION = 3 << 16,
};

/* Watches a descriptor for reading; `tag` is its source, with an index. False: errno. */
bool mvm_watch(struct mvm_agent *a, int fd, size_t tag);

/* Watches the descriptor that a connection has, or is about to get. False: errno. */
bool mvm_watch_connection(struct mvm_agent *a, const struct mvm_connection *c, int fd);

/* To be called after writes: has epoll say when there is room, from a write that found none until
 * all is written. Where that cannot be asked for the connection is `gone`. */
void mvm_watch_room(struct mvm_agent *a, struct mvm_connection *c);

/* Makes a->port: the Linux port, with a watch on the build's descriptors, which come and go inside
 * it. */
void mvm_watch_port(struct mvm_agent *a);

#endif
