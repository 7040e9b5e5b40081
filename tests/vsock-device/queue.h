/*
 * A virtqueue in the split layout (virtio 1.2, section 2.7) as the device sees it, and the guest's
 * memory, which QEMU shares by file descriptors. Little-endian hosts alone. A driver that breaks
 * the rules of the layout ends the program with a message: it is a test's device.
 */
#ifndef TESTS_VSOCK_DEVICE_QUEUE_H
#define TESTS_VSOCK_DEVICE_QUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Prints the reason and exits with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { REGIONS_MAX = 8 };

struct region {
    uint64_t guest; /* physical address in the guest */
    uint64_t user;  /* address in QEMU's process */
    uint64_t size;
    uint8_t *at; /* here */
    void *mapping;
    size_t mapping_len;
};

struct memory {
    struct region regions[REGIONS_MAX];
    size_t len;
};

struct queue {
    uint32_t num;                              /* descriptors; a power of two */
    uint64_t desc_user, avail_user, used_user; /* addresses in QEMU's process */
    uint16_t next;                             /* the next entry of the available ring */
    int kick, call;                            /* eventfds; kick -1: the queue is stopped */
};

/* Bytes that the next chain can hold; 0: the driver has offered none. */
size_t queue_room(const struct queue *q, const struct memory *m);

/* Fills the next chain with `head` and then `body`, which must fit, and returns it to the driver.
 */
void queue_put(struct queue *q, const struct memory *m, const void *head, size_t head_len,
               const void *body, size_t body_len);

/* Copies the next chain to `bytes` and returns it to the driver. -1: none. */
ssize_t queue_take(struct queue *q, const struct memory *m, void *bytes, size_t cap);

/* Interrupts the guest unless its driver asked for none. */
void queue_notify(const struct queue *q, const struct memory *m);

#endif
