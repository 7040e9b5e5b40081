/*
 * Where clients come from. A listener that cannot be had, or is lost, is tried again every second
 * and said once: the agent goes on. Only an inherited descriptor is never tried again: its number
 * might be somebody else's by then. All descriptors are close-on-exec and do not block.
 */
#ifndef MVM_LISTEN_H
#define MVM_LISTEN_H

#include "options.h"
#include <sys/stat.h>

enum mvm_listener_state {
    MVM_LISTENER_DOWN,    /* to be opened at retry_ms */
    MVM_LISTENER_UP,      /* `fd` listens */
    MVM_LISTENER_SERVING, /* `fd` is, or was handed over as, a connection of its own */
    MVM_LISTENER_OVER,    /* nothing comes from here any more */
};

enum {
    MVM_RETRY_MS = 1000, /* between two tries to open a listener */
    MVM_PAUSE_MS = 100,  /* after an accept that failed, while all slots are taken, and between
                          * two looks at a serial port whose host is away */
};

struct mvm_listener {
    const struct mvm_address *address;
    enum mvm_listener_state state;
    int fd;
    bool said;         /* that it is down; OVER: that it could not be had */
    bool said_accept;  /* that accept fails */
    bool pending;      /* UP: connections may be waiting */
    bool vsock;        /* UP: peers have a CID */
    uint64_t retry_ms; /* DOWN: when to open it; UP: no accept before this */
    dev_t dev;         /* of the unix socket's name, to be removed in the end */
    ino_t ino;
};

/* To be called for each before the agent opens anything of its own: an inherited descriptor that
 * is not there is OVER at once. */
void mvm_listener_init(struct mvm_listener *l, const struct mvm_address *address);

/* Opens it. True: UP, or SERVING with a connection in `fd`. False: still DOWN, the reason said. */
bool mvm_listener_open(struct mvm_listener *l, uint64_t now_ms);

/* Says that it is there, once it also is watched. */
void mvm_listener_say_up(struct mvm_listener *l);

/* Its descriptor is of no use and not ours any more: back to DOWN, or OVER where it was inherited.
 */
void mvm_listener_lost(struct mvm_listener *l, const char *why, uint64_t now_ms);

/* A connection from an allowed peer; -1: none now, see `pending` and `retry_ms`. */
int mvm_listener_accept(struct mvm_listener *l, const struct mvm_options *options, uint64_t now_ms);

/* Whether a connection waits to be accepted. */
bool mvm_listener_waits(const struct mvm_listener *l);

/* Closes it and removes its unix socket, if that is still the one it made. */
void mvm_listener_close(struct mvm_listener *l);

#endif
