#define _GNU_SOURCE
#include "streams.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BOTH = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND, FIRST_PORT = 1 << 30 };

static struct queue *to_guest(struct streams *s)
{
    return &s->vhost->queues[QUEUE_TO_GUEST];
}

static uint32_t buffered(const struct stream *one)
{
    return one->received - one->forwarded;
}

static uint32_t credit(const struct stream *one)
{
    return one->peer_alloc - (one->sent - one->peer_forwarded);
}

static void leave(struct stream *one)
{
    if (one->fd >= 0) {
        close(one->fd);
        one->fd = -1;
    }
}

static void release(struct stream *one)
{
    leave(one);
    one->state = STREAM_FREE;
}

/* Ends the stream for both sides. */
static void reset(struct stream *one)
{
    leave(one);
    one->state = STREAM_LEFT;
    one->reset_due = true;
}

bool streams_add(struct streams *s, int fd, uint64_t cid)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct stream *one = &s->all[i];
        if (one->state == STREAM_FREE) {
            memset(one, 0, offsetof(struct stream, buffer));
            one->state = STREAM_GREETING;
            one->fd = fd;
            one->cid = cid;
            one->host_port = FIRST_PORT + s->next_port++;
            return true;
        }
    }
    return false;
}

void streams_drop(struct streams *s)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        if (s->all[i].state != STREAM_FREE) {
            release(&s->all[i]);
        }
    }
    s->strays_len = 0;
}

/* ---- to the guest ---- */

static void put(struct streams *s, struct stream *one, uint16_t op, uint32_t flags,
                const void *body, uint32_t len)
{
    struct virtio_vsock_hdr head = {
        .src_cid = one->cid,
        .dst_cid = s->vhost->guest_cid,
        .src_port = one->host_port,
        .dst_port = one->guest_port,
        .len = len,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .flags = flags,
        .buf_alloc = BUFFER,
        .fwd_cnt = one->forwarded,
    };
    queue_put(to_guest(s), &s->vhost->memory, &head, sizeof head, body, len);
    one->told = one->forwarded;
    one->sent += len;
}

/* One packet that carries no data, if one is due. */
static bool put_control(struct streams *s, struct stream *one)
{
    if (one->request_due) {
        one->request_due = false;
        put(s, one, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
    } else if (one->reset_due) {
        put(s, one, VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
        release(one);
    } else if (one->shutdown_due != 0) {
        put(s, one, VIRTIO_VSOCK_OP_SHUTDOWN, one->shutdown_due, NULL, 0);
        one->shutdown_due = 0;
    } else if (one->credit_due) {
        one->credit_due = false;
        put(s, one, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
    } else {
        return false;
    }
    return true;
}

/* The host program has shut down its half, or closed. */
static void host_ended(struct streams *s, struct stream *one, uint64_t now_ms)
{
    one->host_ended = true;
    if (s->manners.half_close) {
        one->shutdown_due = VIRTIO_VSOCK_SHUTDOWN_SEND;
        return;
    }
    one->shutdown_due = BOTH;
    one->state = STREAM_LEFT;
    one->kill_ms = now_ms + KILL_MS;
}

static void host_failed(struct streams *s, struct stream *one)
{
    if (s->manners.hide_reset) {
        leave(one);
    } else {
        reset(one);
    }
}

static bool may_read(const struct stream *one)
{
    return one->state == STREAM_OPEN && one->fd >= 0 && !one->host_ended && credit(one) > 0 &&
           (one->guest_ended & VIRTIO_VSOCK_SHUTDOWN_RCV) == 0;
}

/* One packet of data, if the host program has written some and the guest has room. */
static bool put_data(struct streams *s, struct stream *one, size_t room, uint64_t now_ms)
{
    if (!may_read(one)) {
        return false;
    }
    size_t most = room - sizeof(struct virtio_vsock_hdr);
    most = most < credit(one) ? most : credit(one);
    most = most < BUFFER ? most : BUFFER;
    if (one->line_len > 0) { /* what came with CONNECT; shorter than any buffer */
        put(s, one, VIRTIO_VSOCK_OP_RW, 0, one->line, (uint32_t)one->line_len);
        one->line_len = 0;
        return true;
    }
    ssize_t n = recv(one->fd, s->packet.body, most, MSG_DONTWAIT);
    if (n > 0) {
        put(s, one, VIRTIO_VSOCK_OP_RW, 0, s->packet.body, (uint32_t)n);
        return true;
    }
    if (n == 0) {
        host_ended(s, one, now_ms);
        return true;
    }
    if (errno != EAGAIN && errno != EINTR) {
        host_failed(s, one);
        return true;
    }
    return false;
}

static bool put_stray(struct streams *s)
{
    if (s->strays_len == 0) {
        return false;
    }
    queue_put(to_guest(s), &s->vhost->memory, &s->strays[--s->strays_len], sizeof s->strays[0],
              NULL, 0);
    return true;
}

/* Returns whether anything was sent. */
static bool send_to_guest(struct streams *s, uint64_t now_ms)
{
    bool any = false;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct stream *one = &s->all[i];
        size_t room;
        while (one->state != STREAM_FREE &&
               (room = queue_room(to_guest(s), &s->vhost->memory)) > 0 &&
               (put_control(s, one) || put_data(s, one, room, now_ms))) {
            any = true;
        }
    }
    while (queue_room(to_guest(s), &s->vhost->memory) > 0 && put_stray(s)) {
        any = true;
    }
    return any;
}

/* ---- from the guest ---- */

static struct stream *stream_of(struct streams *s, const struct virtio_vsock_hdr *h)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct stream *one = &s->all[i];
        if (one->state > STREAM_GREETING && one->cid == h->dst_cid &&
            one->host_port == h->dst_port && one->guest_port == h->src_port) {
            return one;
        }
    }
    return NULL;
}

static void refuse(struct streams *s, const struct virtio_vsock_hdr *h)
{
    if (h->op != VIRTIO_VSOCK_OP_RST) {
        s->strays[s->strays_len++] = (struct virtio_vsock_hdr){
            .src_cid = h->dst_cid,
            .dst_cid = h->src_cid,
            .src_port = h->dst_port,
            .dst_port = h->src_port,
            .type = h->type,
            .op = VIRTIO_VSOCK_OP_RST,
        };
    }
}

static void opened(struct streams *s, struct stream *one)
{
    char line[LINE_MAX_BYTES];
    int len = snprintf(line, sizeof line, "OK %u\n",
                       s->manners.ok_guest_port ? one->guest_port : one->host_port);
    one->state = STREAM_OPEN;
    one->kill_ms = 0;
    if (send(one->fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len) {
        reset(one);
    }
}

static void keep(struct stream *one, const uint8_t *body, uint32_t len)
{
    if (len > BUFFER - buffered(one)) {
        die("the guest sends more than it has credit for");
    }
    for (uint32_t i = 0; i < len; i++) {
        one->buffer[one->received++ % BUFFER] = body[i];
    }
}

static void take(struct streams *s, const struct packet *p, uint64_t now_ms)
{
    const struct virtio_vsock_hdr *h = &p->head;
    struct stream *one = stream_of(s, h);
    if (one == NULL) {
        refuse(s, h);
        return;
    }
    one->peer_alloc = h->buf_alloc;
    one->peer_forwarded = h->fwd_cnt;
    switch ((enum virtio_vsock_op)h->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        if (one->state == STREAM_REQUESTED) {
            opened(s, one);
        }
        break;
    case VIRTIO_VSOCK_OP_RW:
        keep(one, p->body, h->len);
        break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        one->guest_ended |= h->flags;
        if (one->guest_ended == BOTH && one->kill_ms == 0) {
            one->kill_ms = now_ms + KILL_MS;
        }
        break;
    case VIRTIO_VSOCK_OP_RST:
        release(one);
        break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        one->credit_due = true;
        break;
    default: /* CREDIT_UPDATE: all of it is in the head */
        break;
    }
}

static bool take_from_guest(struct streams *s, uint64_t now_ms)
{
    struct queue *q = &s->vhost->queues[QUEUE_FROM_GUEST];
    bool any = false;
    ssize_t n;
    while (s->strays_len < STRAYS_MAX &&
           (n = queue_take(q, &s->vhost->memory, &s->packet, sizeof s->packet)) >= 0) {
        if ((size_t)n < sizeof s->packet.head ||
            (size_t)n - sizeof s->packet.head < s->packet.head.len) {
            die("a packet of %zd bytes", n);
        }
        take(s, &s->packet, now_ms);
        any = true;
    }
    return any;
}

/* ---- to and from host programs ---- */

/* Reads CONNECT. Bytes after it in the same write go to the guest, or are lost. */
static void greet(struct streams *s, struct stream *one, uint64_t now_ms)
{
    ssize_t n =
        recv(one->fd, one->line + one->line_len, sizeof one->line - one->line_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    one->line_len += n > 0 ? (size_t)n : 0;
    char *end = memchr(one->line, '\n', one->line_len);
    if (end == NULL) {
        if (n <= 0 || one->line_len == sizeof one->line) {
            release(one);
        }
        return;
    }
    *end = '\0';
    if (sscanf(one->line, "CONNECT %u", &one->guest_port) != 1 || !vhost_up(s->vhost)) {
        release(one);
        return;
    }
    size_t used = (size_t)(end + 1 - one->line);
    one->line_len = s->manners.swallow ? 0 : one->line_len - used;
    memmove(one->line, end + 1, one->line_len);
    one->state = STREAM_REQUESTED;
    one->request_due = true;
    one->kill_ms = now_ms + REQUEST_MS;
}

/* Writes what is buffered, then passes on the guest's half-close. */
static void forward(struct streams *s, struct stream *one)
{
    while (one->fd >= 0 && buffered(one) > 0) {
        uint32_t at = one->forwarded % BUFFER;
        uint32_t len = buffered(one) < BUFFER - at ? buffered(one) : BUFFER - at;
        ssize_t n = send(one->fd, one->buffer + at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (n < 0) {
            host_failed(s, one);
            return;
        }
        one->forwarded += (uint32_t)n;
    }
    if (one->forwarded - one->told >= BUFFER / 4) {
        one->credit_due = true;
    }
    if (s->manners.half_close && one->fd >= 0 && buffered(one) == 0 &&
        (one->guest_ended & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0) {
        shutdown(one->fd, SHUT_WR);
    }
}

static void step(struct streams *s, struct stream *one, uint64_t now_ms)
{
    if (one->state == STREAM_GREETING) {
        greet(s, one, now_ms);
    }
    if (one->state == STREAM_OPEN || one->state == STREAM_LEFT) {
        forward(s, one);
    }
    bool closed = one->guest_ended == BOTH && buffered(one) == 0;
    if (one->state > STREAM_GREETING && !one->reset_due &&
        (closed || (one->kill_ms != 0 && now_ms >= one->kill_ms))) {
        reset(one);
    }
}

void streams_step(struct streams *s, uint64_t now_ms)
{
    bool up = vhost_up(s->vhost);
    bool taken = up && take_from_guest(s, now_ms);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        if (s->all[i].state != STREAM_FREE) {
            step(s, &s->all[i], now_ms);
        }
    }
    bool sent = up && send_to_guest(s, now_ms);
    if (taken) {
        queue_notify(&s->vhost->queues[QUEUE_FROM_GUEST], &s->vhost->memory);
    }
    if (sent) {
        queue_notify(to_guest(s), &s->vhost->memory);
    }
}

short streams_events(const struct streams *s, const struct stream *one)
{
    bool room = queue_room(&s->vhost->queues[QUEUE_TO_GUEST], &s->vhost->memory) > 0;
    bool in = one->state == STREAM_GREETING || (room && may_read(one));
    return (short)((in ? POLLIN : 0) | (buffered(one) > 0 ? POLLOUT : 0));
}

uint64_t streams_deadline(const struct streams *s)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        const struct stream *one = &s->all[i];
        if (one->state != STREAM_FREE && one->kill_ms != 0 && !one->reset_due &&
            one->kill_ms < at) {
            at = one->kill_ms;
        }
    }
    return at;
}
