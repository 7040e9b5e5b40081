/*
 * The build's two output pipes.
 *
 * A writer faster than the reader blocks on a full pipe, and each read would wake it to print no
 * more than that read took: from one processor of a virtual machine to another this costs more than
 * all else about the bytes. So while a build floods a pipe, all that it holds is moved in one call
 * into a pipe of our own, without copying (splice(2)), and read from there.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Capacity of a pipe: a build should not block because a host is slow for a moment. Without
 * privilege the kernel may allow less, which is acceptable. */
enum { PIPE_SIZE = 256 * 1024 };

void mvm_posix_output_none(struct mvm_posix_output *o)
{
    *o = (struct mvm_posix_output){.fd = -1, .store = {-1, -1}};
}

int mvm_posix_output_open(struct mvm_posix_output *o, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    o->fd = ends[0];
    *theirs = ends[1];
    fcntl(o->fd, F_SETPIPE_SZ, PIPE_SIZE);
    return fcntl(o->fd, F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

void mvm_posix_output_close(struct mvm_posix_output *o)
{
    const int all[] = {o->fd, o->store[0], o->store[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] >= 0) {
            close(all[i]);
        }
    }
    mvm_posix_output_none(o);
}

/* Empties the pipe into the store. If that is not possible, the pipe is read directly. */
static void empty_into_store(struct mvm_posix_output *o)
{
    if (o->store[0] < 0 && pipe2(o->store, O_CLOEXEC) == 0) {
        fcntl(o->store[0], F_SETPIPE_SZ, PIPE_SIZE);
    }
    ssize_t n = splice(o->fd, NULL, o->store[1], NULL, PIPE_SIZE, SPLICE_F_NONBLOCK);
    o->stored = n > 0 ? (size_t)n : 0;
}

int mvm_posix_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    struct mvm_posix *p = ctx;
    struct mvm_posix_output *o = &p->output[stream];
    if (o->fd < 0) {
        return MVM_PORT_END;
    }
    if (o->floods && o->stored == 0) {
        empty_into_store(o);
    }
    bool stored = o->stored > 0;
    ssize_t n;
    do {
        n = read(stored ? o->store[0] : o->fd, buf, cap);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? 0 : mvm_posix_fail(p, "read", errno);
    }
    o->stored -= stored ? (size_t)n : 0;
    o->floods = (size_t)n == cap;
    return n > 0 ? (int)n : MVM_PORT_END;
}
