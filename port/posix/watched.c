/* The calls for a build that also arm and disarm the port's descriptor. */
#include "posix_internal.h"

int mvm_posix_read_watched(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    struct mvm_posix *p = ctx;
    enum mvm_posix_source of =
        stream == MVM_PORT_STDOUT ? MVM_POSIX_OF_STDOUT : MVM_POSIX_OF_STDERR;
    int n = mvm_posix_read_output(p, stream, buf, cap);
    if (n == 0) {
        mvm_posix_watch(p, of, p->output[stream].fd, false);
    } else {
        mvm_posix_watch_off(p, of);
    }
    return n;
}

int mvm_posix_poll_exit_watched(void *ctx, struct mvm_exit *e)
{
    struct mvm_posix *p = ctx;
    int r = mvm_posix_poll_exit(p, e);
    int fd = r == 0 ? mvm_posix_exit_fd(p, &p->awaited, p->pidfd) : -1;
    if (fd != p->watch.armed[MVM_POSIX_OF_EXIT]) {
        mvm_posix_watch_off(p, MVM_POSIX_OF_EXIT);
        mvm_posix_watch(p, MVM_POSIX_OF_EXIT, fd, false);
    }
    return r;
}

void mvm_posix_close_watched(void *ctx)
{
    struct mvm_posix *p = ctx;
    mvm_posix_watch_off(p, MVM_POSIX_OF_STDOUT);
    mvm_posix_watch_off(p, MVM_POSIX_OF_STDERR);
    mvm_posix_watch_off(p, MVM_POSIX_OF_EXIT);
    mvm_posix_close_build(p);
}
