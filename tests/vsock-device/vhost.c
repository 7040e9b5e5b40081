#define _GNU_SOURCE
#include "vhost.h"
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum request {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    SET_VRING_ERR = 14,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    SET_VRING_ENABLE = 18, /* ignored: both queues are in use from their first kick on */
    GET_CONFIG = 24,
};

enum { VERSION = 1, REPLY = 1 << 2, PROTOCOL_FEATURES_BIT = 30, CONFIG_BIT = 9, NO_FD = 1 << 8 };

struct head {
    uint32_t request;
    uint32_t flags;
    uint32_t size;
};

struct state {
    uint32_t index;
    uint32_t num;
};

struct addresses {
    uint32_t index;
    uint32_t flags;
    uint64_t desc, used, avail, log;
};

struct table {
    uint32_t len;
    uint32_t padding;
    struct {
        uint64_t guest, size, user, offset;
    } regions[REGIONS_MAX];
};

struct config {
    uint32_t offset, size, flags;
    uint8_t bytes[256];
};

struct message {
    struct head head;
    union {
        uint64_t number;
        struct state state;
        struct addresses addresses;
        struct table table;
        struct config config;
        uint8_t bytes[512];
    } body;
    int fds[REGIONS_MAX];
    size_t fds_len;
};

/* ---- bytes ---- */

static bool read_all(int fd, void *bytes, size_t len)
{
    return len == 0 || recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

static bool read_message(int fd, struct message *m)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(REGIONS_MAX * sizeof(int))];
    } control;
    struct iovec part = {&m->head, sizeof m->head};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    memset(m, 0, sizeof *m);
    if (recvmsg(fd, &h, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof m->head) {
        return false;
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        m->fds_len = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(m->fds, CMSG_DATA(c), m->fds_len * sizeof(int));
    }
    if (m->head.size > sizeof m->body) {
        die("a vhost-user message of %u bytes", m->head.size);
    }
    return read_all(fd, &m->body, m->head.size);
}

static void reply(int fd, struct message *m, uint32_t size)
{
    m->head.flags = VERSION | REPLY;
    m->head.size = size;
    struct iovec parts[] = {{&m->head, sizeof m->head}, {&m->body, size}};
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = sendmsg(fd, &h, MSG_NOSIGNAL);
    if (n != (ssize_t)(sizeof m->head + size) && errno != EPIPE) {
        die("cannot answer QEMU: %s", strerror(errno));
    }
}

static void reply_number(int fd, struct message *m, uint64_t number)
{
    m->body.number = number;
    reply(fd, m, sizeof number);
}

/* ---- memory and queues ---- */

static void release_memory(struct memory *m)
{
    for (size_t i = 0; i < m->len; i++) {
        munmap(m->regions[i].mapping, m->regions[i].mapping_len);
    }
    m->len = 0;
}

static void set_memory(struct memory *memory, struct message *m)
{
    const struct table *t = &m->body.table;
    release_memory(memory);
    if (t->len > REGIONS_MAX || t->len != m->fds_len) {
        die("%u regions of memory with %zu descriptors", t->len, m->fds_len);
    }
    for (size_t i = 0; i < t->len; i++) {
        struct region *r = &memory->regions[memory->len++];
        *r = (struct region){
            .guest = t->regions[i].guest, .user = t->regions[i].user, .size = t->regions[i].size};
        r->mapping_len = t->regions[i].size + t->regions[i].offset;
        r->mapping = mmap(NULL, r->mapping_len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[i], 0);
        if (r->mapping == MAP_FAILED) {
            die("mmap: %s", strerror(errno));
        }
        r->at = (uint8_t *)r->mapping + t->regions[i].offset;
        close(m->fds[i]);
    }
}

static struct queue *queue_of(struct vhost *v, uint32_t index)
{
    if (index >= QUEUES) {
        die("queue %u, of %d", index, QUEUES);
    }
    return &v->queues[index];
}

static void set_fd(int *fd, const struct message *m)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = (m->body.number & NO_FD) == 0 && m->fds_len == 1 ? m->fds[0] : -1;
}

static void set_addresses(struct vhost *v, const struct addresses *a)
{
    struct queue *q = queue_of(v, a->index);
    q->desc_user = a->desc;
    q->avail_user = a->avail;
    q->used_user = a->used;
}

/* Stops the queue, and returns where it was: a paused machine resumes from there. */
static void stop_queue(struct vhost *v, struct message *m)
{
    struct queue *q = queue_of(v, m->body.state.index);
    if (q->kick >= 0) {
        close(q->kick);
        q->kick = -1;
    }
    m->body.state.num = q->next;
    reply(v->fd, m, sizeof m->body.state);
}

/* The configuration space is the guest's CID. */
static void get_config(const struct vhost *v, struct message *m)
{
    struct config *c = &m->body.config;
    if (c->offset + (uint64_t)c->size > sizeof v->guest_cid) {
        die("configuration bytes %u to %u", c->offset, c->offset + c->size);
    }
    memcpy(c->bytes, (const uint8_t *)&v->guest_cid + c->offset, c->size);
    reply(v->fd, m, m->head.size);
}

/* ---- messages ---- */

static void handle(struct vhost *v, struct message *m)
{
    switch ((enum request)m->head.request) {
    case GET_FEATURES:
        reply_number(v->fd, m, 1ull << VIRTIO_F_VERSION_1 | 1ull << PROTOCOL_FEATURES_BIT);
        break;
    case GET_PROTOCOL_FEATURES:
        reply_number(v->fd, m, 1ull << CONFIG_BIT);
        break;
    case SET_FEATURES:
    case SET_PROTOCOL_FEATURES:
    case SET_OWNER:
    case SET_VRING_ENABLE:
        break;
    case SET_VRING_ERR:
        for (size_t i = 0; i < m->fds_len; i++) {
            close(m->fds[i]);
        }
        break;
    case SET_MEM_TABLE:
        set_memory(&v->memory, m);
        break;
    case SET_VRING_NUM:
        queue_of(v, m->body.state.index)->num = m->body.state.num;
        break;
    case SET_VRING_ADDR:
        set_addresses(v, &m->body.addresses);
        break;
    case SET_VRING_BASE:
        queue_of(v, m->body.state.index)->next = (uint16_t)m->body.state.num;
        break;
    case GET_VRING_BASE:
        stop_queue(v, m);
        break;
    case SET_VRING_KICK:
        set_fd(&queue_of(v, m->body.number & 0xff)->kick, m);
        break;
    case SET_VRING_CALL:
        set_fd(&queue_of(v, m->body.number & 0xff)->call, m);
        break;
    case GET_CONFIG:
        get_config(v, m);
        break;
    default:
        die("vhost-user request %u is not implemented", m->head.request);
    }
}

void vhost_begin(struct vhost *v, int fd)
{
    v->fd = fd;
    for (size_t i = 0; i < QUEUES; i++) {
        v->queues[i] = (struct queue){.kick = -1, .call = -1};
    }
}

static void end(struct vhost *v)
{
    close(v->fd);
    v->fd = -1;
    release_memory(&v->memory);
    for (size_t i = 0; i < QUEUES; i++) {
        struct message none = {.body.number = NO_FD};
        set_fd(&v->queues[i].kick, &none);
        set_fd(&v->queues[i].call, &none);
    }
}

bool vhost_receive(struct vhost *v)
{
    struct message m;
    if (!read_message(v->fd, &m)) {
        end(v);
        return false;
    }
    handle(v, &m);
    return true;
}

bool vhost_up(const struct vhost *v)
{
    return v->fd >= 0 && v->queues[QUEUE_TO_GUEST].kick >= 0 &&
           v->queues[QUEUE_FROM_GUEST].kick >= 0;
}
