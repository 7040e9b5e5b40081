/*
 * The back end's side of vhost-user (QEMU's docs/interop/vhost-user.rst): memory, queues and
 * configuration arrive as messages on a Unix socket, with descriptors beside them.
 */
#ifndef TESTS_VSOCK_DEVICE_VHOST_H
#define TESTS_VSOCK_DEVICE_VHOST_H

#include "queue.h"

/* The device's queues; QEMU serves the event queue itself. */
enum { QUEUE_TO_GUEST, QUEUE_FROM_GUEST, QUEUES };

struct vhost {
    int fd; /* -1: no QEMU is connected */
    uint64_t guest_cid;
    struct memory memory;
    struct queue queues[QUEUES];
};

/* A QEMU has connected. */
void vhost_begin(struct vhost *v, int fd);

/* Handles one message. False: QEMU has closed the connection; its resources are released. */
bool vhost_receive(struct vhost *v);

/* Whether the guest's driver has set the device up. */
bool vhost_up(const struct vhost *v);

#endif
