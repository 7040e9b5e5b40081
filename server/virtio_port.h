/*
 * A virtio-serial port by the name its host gave it. udev makes /dev/virtio-ports/NAME; without
 * udev, sysfs has the name of its /dev/vport*.
 */
#ifndef MVM_VIRTIO_PORT_H
#define MVM_VIRTIO_PORT_H

#include <stdbool.h>

enum { MVM_VIRTIO_PORT_CAP = 64 };

/* The device's path into `path`. False: no port of that name is there now. */
bool mvm_virtio_port_find(const char *name, char path[MVM_VIRTIO_PORT_CAP]);

#endif
