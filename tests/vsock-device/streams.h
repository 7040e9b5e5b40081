/*
 * The vsock device (virtio 1.2, section 5.10) between two sides: packets of the guest's driver,
 * and Unix sockets of host programs that ask for a port in the guest, as Firecracker has it:
 * `CONNECT N\n`, answered by `OK M\n` or by a close. Streams begin on the host alone.
 */
#ifndef TESTS_VSOCK_DEVICE_STREAMS_H
#define TESTS_VSOCK_DEVICE_STREAMS_H

#include "vhost.h"
#include <linux/virtio_vsock.h>

enum {
    STREAMS_MAX = 256,
    BUFFER = 64 * 1024, /* of what the guest has sent and the host program has not read */
    LINE_MAX_BYTES = 32,
    STRAYS_MAX = 64,
    REQUEST_MS = 60000, /* for the guest's answer to a request; Firecracker has 2 s, and a busy
                         * machine may need more */
    KILL_MS = 2000,     /* for a host program to read what is left after the guest has closed */
};

/* Differences between monitors; all false: Firecracker. */
struct manners {
    bool half_close;    /* half-closes are passed on; else the host's counts as a close, and the
                           guest's is ignored */
    bool ok_guest_port; /* OK names the guest's port, not the host's */
    bool hide_reset;    /* a host program that closed with bytes unread: the guest gets no reset */
    bool swallow;       /* bytes in the same write as CONNECT are lost */
};

enum stream_state {
    STREAM_FREE,
    STREAM_GREETING,  /* CONNECT has not been read yet */
    STREAM_REQUESTED, /* the guest has not answered */
    STREAM_OPEN,
    STREAM_LEFT, /* the host program has closed, and the guest is notified */
};

struct stream {
    enum stream_state state;
    int fd; /* the host program's; -1: gone */
    uint64_t cid;
    uint32_t host_port;
    uint32_t guest_port;
    char line[LINE_MAX_BYTES]; /* CONNECT, and then what came with it */
    size_t line_len;

    /* Packets due to the guest. */
    bool request_due, credit_due, reset_due;
    uint32_t shutdown_due; /* flags */

    /* To the guest: its credit. */
    uint32_t peer_alloc, peer_forwarded, sent;
    bool host_ended;

    /* From the guest: a ring of BUFFER bytes. */
    uint32_t received, forwarded, told;
    uint32_t guest_ended; /* flags of its shutdown */
    uint64_t kill_ms;     /* 0: never */
    uint8_t buffer[BUFFER];
};

struct packet {
    struct virtio_vsock_hdr head;
    uint8_t body[BUFFER];
};

struct streams {
    struct vhost *vhost;
    struct manners manners;
    uint32_t next_port;
    struct stream all[STREAMS_MAX];
    struct virtio_vsock_hdr strays[STRAYS_MAX]; /* resets of streams that do not exist */
    size_t strays_len;
    struct packet packet;
};

/* A host program has connected; for the guest it comes from `cid`. False: too many. */
bool streams_add(struct streams *s, int fd, uint64_t cid);

/* Moves bytes in both directions, and ends closed streams. */
void streams_step(struct streams *s, uint64_t now_ms);

/* The events of poll(2) to wait for on a stream's descriptor. */
short streams_events(const struct streams *s, const struct stream *one);

/* When streams_step has something to do without an event; UINT64_MAX: never. */
uint64_t streams_deadline(const struct streams *s);

/* The machine has ended. */
void streams_drop(struct streams *s);

#endif
