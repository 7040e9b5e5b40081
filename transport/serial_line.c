#define _GNU_SOURCE
#include "serial_line.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int mvm_serial_line_open(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode))) {
        return fd;
    }
    close(fd);
    errno = ENOTTY;
    return -1;
}

int mvm_serial_line_lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -1 : 0;
}

void mvm_serial_line_unlock(int fd)
{
    flock(fd, LOCK_UN);
}

int mvm_serial_line_make_raw(int fd, struct termios *saved)
{
    struct termios t;
    if (tcgetattr(fd, &t) < 0) {
        return -1;
    }
    if (saved != NULL) {
        *saved = t;
    }
    t.c_iflag = 0;
    t.c_oflag = 0;
    t.c_lflag = 0;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB | HUPCL)) | CS8 | CREAD | CLOCAL;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    /* TCSAFLUSH would first wait for unsent bytes, which a host that is away does not read. */
    if (tcsetattr(fd, TCSANOW, &t) < 0) {
        return -1;
    }
    tcflush(fd, TCIOFLUSH);
    return 0;
}
