#define _GNU_SOURCE
#include "serial.h"
#include "serial_line.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static bool fail(struct mvm_writer *why, const char *call, int error)
{
    mvm_writer_add3(why, call, ": ", strerror(error));
    return false;
}

static bool prepare(struct mvm_connection *c, struct mvm_writer *why)
{
    if (mvm_serial_line_lock(c->fd) < 0) {
        mvm_writer_add(why, "another program uses this line");
        return false;
    }
    c->is_tty = mvm_serial_line_make_raw(c->fd, &c->saved) == 0;
    return c->is_tty || errno == ENOTTY || fail(why, "tcsetattr", errno);
}

bool mvm_serial_open(struct mvm_connection *c, const char *path, struct mvm_waiter *w,
                     uint64_t until_ms, struct mvm_writer *why)
{
    c->fd = mvm_serial_line_open(path);
    if (c->fd < 0 && errno == ENOTTY) {
        mvm_writer_add(why, "not a tty or a virtio-serial port");
        return false;
    }
    if (c->fd < 0) {
        return fail(why, "open", errno);
    }
    if (!prepare(c, why)) {
        return false;
    }
    if (mvm_waiter_wait(w, c->fd, POLLOUT, until_ms, NULL) != MVM_WAKE_READY) {
        mvm_writer_add(why, w->signal != 0 ? "interrupted" : "no answer in time");
        return false;
    }
    return write(c->fd, "\n", 1) == 1 || fail(why, "write", errno);
}
