/* Files: opening, reading and writing, names. Copies and syncs are in aside.c. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ENXIO is what a socket gives; a path that goes through a file leads to nothing. */
static int fail_open(struct mvm_posix *p, int err)
{
    int r = mvm_posix_fail(p, "open", err);
    if (err == ENXIO) {
        return MVM_PORT_NOT_REGULAR;
    }
    return err == ENOTDIR ? MVM_PORT_NOT_FOUND : r;
}

/* O_NONBLOCK: a FIFO nobody writes to must not hold us up before we can see what it is. */
int mvm_posix_open_read(void *ctx, const char *path, uint64_t *size)
{
    struct mvm_posix *p = ctx;
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return fail_open(p, errno);
    }
    int r = 0;
    if (fstat(fd, &st) < 0) {
        r = mvm_posix_fail(p, "stat", errno);
    } else if (!S_ISREG(st.st_mode)) {
        mvm_posix_fail_text(p, "open", "not a regular file");
        r = MVM_PORT_NOT_REGULAR;
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    *size = (uint64_t)st.st_size;
    return mvm_posix_handle_keep(p, fd);
}

/* What stands under the name goes first: it may be a link, and who reads the old file keeps it. */
int mvm_posix_open_new(void *ctx, const char *path)
{
    struct mvm_posix *p = ctx;
    if (unlink(path) < 0 && errno != ENOENT) {
        return mvm_posix_fail(p, "unlink", errno);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    /* Whatever the umask; a file system without modes may refuse. By the system call, for some
     * libcs' function knows kinds of descriptors that this is none of. */
    syscall(SYS_fchmod, fd, 0644);
    return mvm_posix_handle_keep(p, fd);
}

int mvm_posix_read(void *ctx, int handle, uint8_t *buf, size_t cap)
{
    struct mvm_posix *p = ctx;
    int fd = mvm_posix_handle(p, handle);
    if (fd < 0) {
        return MVM_PORT_FAILED;
    }
    ssize_t n;
    do {
        n = read(fd, buf, cap);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? mvm_posix_fail(p, "read", errno) : (int)n;
}

int mvm_posix_write(void *ctx, int handle, const uint8_t *bytes, size_t len)
{
    struct mvm_posix *p = ctx;
    int fd = mvm_posix_handle(p, handle);
    if (fd < 0) {
        return MVM_PORT_FAILED;
    }
    ssize_t n;
    do {
        n = write(fd, bytes, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? mvm_posix_fail(p, "write", errno) : (int)n;
}

/* After EINTR the descriptor is gone too, on Linux. */
int mvm_posix_close(void *ctx, int handle)
{
    struct mvm_posix *p = ctx;
    int fd = mvm_posix_handle(p, handle);
    if (fd < 0) {
        return MVM_PORT_FAILED;
    }
    if (!mvm_posix_aside_release(p, handle)) {
        return MVM_PORT_LATER;
    }
    p->handles[handle] = -1;
    return close(fd) < 0 && errno != EINTR ? mvm_posix_fail(p, "close", errno) : 0;
}

int mvm_posix_rename(void *ctx, const char *from, const char *to)
{
    struct mvm_posix *p = ctx;
    return rename(from, to) < 0 ? mvm_posix_fail(p, "rename", errno) : 0;
}

int mvm_posix_remove(void *ctx, const char *path)
{
    struct mvm_posix *p = ctx;
    return unlink(path) < 0 ? mvm_posix_fail(p, "unlink", errno) : 0;
}

int mvm_posix_sync_dir(void *ctx, const char *dir)
{
    struct mvm_posix *p = ctx;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    int r = fsync(fd) < 0 ? mvm_posix_fail(p, "fsync", errno) : 0;
    close(fd);
    return r;
}
