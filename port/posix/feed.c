/* Bytes from the executor to a process's stdin, a socket that spawn.c has made. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int mvm_posix_feed(void *ctx, const uint8_t *bytes, size_t len)
{
    struct mvm_posix *p = ctx;
    ssize_t n;
    if (p->feed < 0) {
        return mvm_posix_fail_text(p, "send", "its input has ended");
    }
    do {
        n = send(p->feed, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        mvm_posix_watch(p, MVM_POSIX_OF_FEED, p->feed, true);
        return MVM_PORT_LATER;
    }
    mvm_posix_watch_off(p, MVM_POSIX_OF_FEED);
    if (n < 0) {
        mvm_posix_fail(p, "send", errno);
        return MVM_PORT_FAILED;
    }
    return (int)n;
}

void mvm_posix_end_feed(void *ctx)
{
    struct mvm_posix *p = ctx;
    mvm_posix_watch_off(p, MVM_POSIX_OF_FEED);
    if (p->feed >= 0) {
        close(p->feed);
    }
    p->feed = -1;
}
