#define _GNU_SOURCE
#include "queue.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void die(const char *format, ...)
{
    va_list values;
    fputs("vsock-device: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

/* ---- addresses ---- */

static void *find(const struct memory *m, uint64_t address, uint64_t len, bool user)
{
    for (size_t i = 0; i < m->len; i++) {
        const struct region *r = &m->regions[i];
        uint64_t offset = address - (user ? r->user : r->guest);
        if (offset < r->size && len <= r->size - offset) {
            return r->at + offset;
        }
    }
    die("address %#llx is in no region of the guest's memory", (unsigned long long)address);
}

static struct vring_desc *descriptors(const struct queue *q, const struct memory *m)
{
    return find(m, q->desc_user, q->num * sizeof(struct vring_desc), true);
}

static struct vring_avail *available(const struct queue *q, const struct memory *m)
{
    return find(m, q->avail_user, sizeof(struct vring_avail) + q->num * sizeof(uint16_t), true);
}

static struct vring_used *used(const struct queue *q, const struct memory *m)
{
    return find(m, q->used_user,
                sizeof(struct vring_used) + q->num * sizeof(struct vring_used_elem), true);
}

/* ---- chains ---- */

/* The first descriptor of the next chain; -1: none. */
static int next_chain(const struct queue *q, const struct memory *m)
{
    if (q->kick < 0) {
        return -1;
    }
    const struct vring_avail *a = available(q, m);
    if (__atomic_load_n(&a->idx, __ATOMIC_ACQUIRE) == q->next) {
        return -1;
    }
    return a->ring[q->next % q->num];
}

/* The descriptor after `index`; -1: it was the last. `*left` counts down, against loops. */
static int following(const struct queue *q, const struct vring_desc *d, int index, uint32_t *left)
{
    if ((d[index].flags & VRING_DESC_F_INDIRECT) != 0) {
        die("an indirect descriptor, which was not negotiated");
    }
    if ((d[index].flags & VRING_DESC_F_NEXT) == 0) {
        return -1;
    }
    if (--*left == 0 || d[index].next >= q->num) {
        die("a chain of descriptors without an end");
    }
    return d[index].next;
}

static void give_back(struct queue *q, const struct memory *m, int chain, size_t len)
{
    struct vring_used *u = used(q, m);
    uint16_t idx = u->idx;
    u->ring[idx % q->num] = (struct vring_used_elem){.id = (uint32_t)chain, .len = (uint32_t)len};
    __atomic_store_n(&u->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
    q->next++;
}

size_t queue_room(const struct queue *q, const struct memory *m)
{
    int at = next_chain(q, m);
    if (at < 0) {
        return 0;
    }
    size_t room = 0;
    uint32_t left = q->num;
    for (const struct vring_desc *d = descriptors(q, m); at >= 0; at = following(q, d, at, &left)) {
        room += (d[at].flags & VRING_DESC_F_WRITE) != 0 ? d[at].len : 0;
    }
    return room;
}

/* Copies as much of `*bytes` as the descriptor has room for after `*filled`. */
static void fill(const struct vring_desc *d, const struct memory *m, size_t *filled,
                 const uint8_t **bytes, size_t *len)
{
    size_t n = d->len - *filled < *len ? d->len - *filled : *len;
    if (n > 0) {
        memcpy((uint8_t *)find(m, d->addr, d->len, false) + *filled, *bytes, n);
    }
    *filled += n;
    *bytes += n;
    *len -= n;
}

void queue_put(struct queue *q, const struct memory *m, const void *head, size_t head_len,
               const void *body, size_t body_len)
{
    int chain = next_chain(q, m);
    if (chain < 0) {
        die("a packet without a buffer of the driver's");
    }
    size_t total = head_len + body_len;
    const uint8_t *first = head, *second = body;
    uint32_t left = q->num;
    const struct vring_desc *d = descriptors(q, m);
    for (int at = chain; at >= 0; at = following(q, d, at, &left)) {
        size_t filled = 0;
        if ((d[at].flags & VRING_DESC_F_WRITE) == 0) {
            continue;
        }
        fill(&d[at], m, &filled, &first, &head_len);
        fill(&d[at], m, &filled, &second, &body_len);
    }
    if (head_len + body_len != 0) {
        die("a packet does not fit into the driver's buffer");
    }
    give_back(q, m, chain, total);
}

ssize_t queue_take(struct queue *q, const struct memory *m, void *bytes, size_t cap)
{
    int chain = next_chain(q, m);
    if (chain < 0) {
        return -1;
    }
    size_t len = 0;
    uint32_t left = q->num;
    const struct vring_desc *d = descriptors(q, m);
    for (int at = chain; at >= 0; at = following(q, d, at, &left)) {
        if (d[at].len > cap - len) {
            die("a packet of more than %zu bytes", cap);
        }
        memcpy((uint8_t *)bytes + len, find(m, d[at].addr, d[at].len, false), d[at].len);
        len += d[at].len;
    }
    give_back(q, m, chain, 0);
    return (ssize_t)len;
}

void queue_notify(const struct queue *q, const struct memory *m)
{
    uint64_t one = 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the used index before the driver's flags */
    if ((available(q, m)->flags & VRING_AVAIL_F_NO_INTERRUPT) == 0 && q->call >= 0 &&
        write(q->call, &one, sizeof one) < 0) {
        die("cannot interrupt the guest");
    }
}
