/* Serial lines: ttys made raw, and virtio-serial ports. */
#define _GNU_SOURCE
#include "server_internal.h"
#include "virtio_port.h"
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

/* Raw: bytes pass as they are, nothing is echoed, no signal comes from them. */
static int make_raw(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t) < 0) {
        return errno == ENOTTY ? 0 : -1;
    }
    t.c_iflag = 0;
    t.c_oflag = 0;
    t.c_lflag = 0;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB | HUPCL)) | CS8 | CREAD | CLOCAL;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSANOW, &t) < 0) {
        return -1;
    }
    tcflush(fd, TCIOFLUSH);
    return 0;
}

/* Two agents on one line would each get a part of the requests. */
static int take(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        errno = EBUSY;
        return -1;
    }
    return make_raw(fd);
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
    int fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 || take(fd) == 0 ? fd : mvm_server_fail_closing(fd);
}
