#define _GNU_SOURCE /* PIPE_BUF */
#include "sink.h"
#include "visible.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

void mvm_sink_init(struct mvm_sink *s, int fd, struct mvm_waiter *w)
{
    s->fd = fd;
    s->error = 0;
    s->waiter = w;
    s->len = 0;
}

static bool writable(const struct mvm_sink *s)
{
    struct pollfd fd = {.fd = s->fd, .events = POLLOUT};
    if (mvm_waiter_hold(s->waiter, s->fd, POLLOUT, MVM_NEVER) == MVM_WAKE_READY) {
        return true;
    }
    return poll(&fd, 1, 0) == 1;
}

void mvm_sink_flush(struct mvm_sink *s)
{
    size_t at = 0;
    while (at < s->len && s->error == 0 && writable(s)) {
        /* A pipe that is ready takes PIPE_BUF bytes without blocking, and may block for more. */
        size_t left = s->len - at;
        ssize_t n = write(s->fd, s->bytes + at, left < PIPE_BUF ? left : PIPE_BUF);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            s->error = errno;
        }
    }
    s->error = at < s->len && s->error == 0 ? EINTR : s->error;
    s->len = 0;
}

void mvm_sink_add(struct mvm_sink *s, struct mvm_text text)
{
    while (text.len > 0) {
        size_t room = sizeof s->bytes - s->len;
        size_t n = text.len < room ? text.len : room;
        memcpy(s->bytes + s->len, text.bytes, n);
        s->len += n;
        text.bytes += n;
        text.len -= n;
        if (s->len == sizeof s->bytes) {
            mvm_sink_flush(s);
        }
    }
}

void mvm_sink_add_string(struct mvm_sink *s, const char *string)
{
    mvm_sink_add(s, mvm_text_from(string));
}

void mvm_sink_add_visible(struct mvm_sink *s, struct mvm_text text, bool colours)
{
    char shown[MVM_VISIBLE_CAP];
    while (text.len > 0) {
        mvm_sink_add(s, mvm_visible_next(&text, colours, shown));
    }
}
