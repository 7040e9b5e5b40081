/* Serial lines: ttys, made raw, and virtio-serial ports. */
#define _GNU_SOURCE
#include "serial_line.h"
#include "server_internal.h"
#include "virtio_port.h"
#include <string.h>

static int prepare(int fd)
{
    if (mvm_serial_line_lock(fd) < 0) {
        errno = EBUSY;
        return -1;
    }
    return mvm_serial_line_make_raw(fd, NULL) < 0 && errno != ENOTTY ? -1 : 0;
}

int mvm_server_serial_open(const char *device)
{
    char path[MVM_VIRTIO_PORT_CAP];
    if (memchr(device, '/', strlen(device)) == NULL) {
        if (!mvm_virtio_port_find(device, path)) {
            errno = ENODEV;
            return -1;
        }
        device = path;
    }
    int fd = mvm_serial_line_open(device);
    return fd < 0 || prepare(fd) == 0 ? fd : mvm_server_fail_closing(fd);
}
