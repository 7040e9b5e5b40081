#define _GNU_SOURCE
#include "serial.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static bool fail(struct mvm_writer *why, const char *call, int error)
{
    mvm_writer_add3(why, call, ": ", strerror(error));
    return false;
}

static bool make_raw(struct mvm_connection *c, struct mvm_writer *why)
{
    if (tcgetattr(c->fd, &c->saved) < 0) {
        return fail(why, "tcgetattr", errno);
    }
    struct termios raw = c->saved;
    cfmakeraw(&raw);
    raw.c_cflag |= CLOCAL | CREAD;
    /* Earlier bytes are not for us. */
    if (tcsetattr(c->fd, TCSAFLUSH, &raw) < 0) {
        return fail(why, "tcsetattr", errno);
    }
    c->is_tty = true;
    return true;
}

/* Two readers of one line would each get a part of the answers. Other programs that open lines
 * lock them in the same way; the lock ends with the process. */
static bool lock(struct mvm_connection *c, struct mvm_writer *why)
{
    if (flock(c->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        mvm_writer_add(why, "another program uses this line");
        return false;
    }
    return true; /* a device that has no locks is used without */
}

bool mvm_serial_open(struct mvm_connection *c, const char *path, struct mvm_waiter *w,
                     uint64_t until_ms, struct mvm_writer *why)
{
    c->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (c->fd < 0) {
        return fail(why, "open", errno);
    }
    if (!lock(c, why) || (isatty(c->fd) && !make_raw(c, why))) {
        return false;
    }
    if (mvm_waiter_wait(w, c->fd, POLLOUT, until_ms, NULL) != MVM_WAKE_READY) {
        mvm_writer_add(why, w->signal != 0 ? "interrupted" : "no answer in time");
        return false;
    }
    return write(c->fd, "\n", 1) == 1 || fail(why, "write", errno);
}
