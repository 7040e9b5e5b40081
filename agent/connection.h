/*
 * One client's descriptor and what is known of it. The epoll set is edge-triggered, so each
 * connection is put into it once: `readable` and `writable` say what the kernel said last, and
 * hold until a call would block. A client that takes nothing, or has ended its half, thus costs
 * nothing, and that it has gone is noticed all the same.
 *
 * Room to write is asked for only while a write waits for it: else each client that reads what it
 * was sent would wake us for nothing.
 */
#ifndef MVM_CONNECTION_H
#define MVM_CONNECTION_H

#include "listen.h"
#include "mvm_scheduler.h"

enum mvm_connection_kind {
    MVM_CONNECTION_STREAM, /* end-of-file may be half a close: answers still go out */
    MVM_CONNECTION_VSOCK,  /* end-of-file means gone */
    MVM_CONNECTION_SERIAL, /* no connections: end-of-file means that nobody is there just now */
};

struct mvm_buffers {
    uint8_t receive[MVM_RECEIVE_CAP];
    uint8_t send[MVM_SEND_CAP];
    char fields[MVM_REQUEST_FIELDS_CAP];
};

struct mvm_connection {
    struct mvm_client *client;     /* NULL: a free slot */
    struct mvm_listener *listener; /* of a SERVING listener, which stands and falls with it */
    enum mvm_connection_kind kind;
    int fd;     /* -1: a serial port that is lost, until it can be opened again */
    bool awake; /* something has happened, or there is more to do; else it costs a look */
    bool socket;
    bool tty;
    bool readable;
    bool writable;
    bool ended;       /* the peer has ended its half, or all: what is left to read is the last */
    bool room_asked;  /* epoll is to say when there is room to write */
    bool hung_up;     /* both halves: what is left to read is the last */
    bool gone;        /* to be closed after the next step of the service */
    bool newline_due; /* serial: ends whatever was on the line before us */
    uint64_t look_ms; /* serial: when to look whether somebody is there again; 0: he is */
};

/* A fresh connection in `*c`, for a client whose session is attached already. */
void mvm_connection_init(struct mvm_connection *c, struct mvm_client *client, int fd,
                         struct mvm_listener *listener);

/* A serial port that was opened again. */
void mvm_connection_reopen(struct mvm_connection *c, int fd);

/* What epoll_wait(2) said. */
void mvm_connection_event(struct mvm_connection *c, uint32_t events);

/* At most one read, if there is something to read and room for it. */
void mvm_connection_read(struct mvm_connection *c, uint64_t now_ms);

/* At most one write of what there is. Returns whether the session can send again, and could not
 * before: the service has something to do. */
bool mvm_connection_write(struct mvm_connection *c, uint64_t now_ms);

/* Whether another read or write would get somewhere at once. */
bool mvm_connection_ready(struct mvm_connection *c);

#endif
