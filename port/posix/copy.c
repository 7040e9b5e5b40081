/*
 * Copies in slices: a reflink of the whole where both files are on a file system that can do it;
 * else one run of data after the other by sendfile(2), and holes left out. Each slice is sent on
 * its way to the disk at once and waited for some slices later: the loop is never held up by more
 * than the disk is behind, and the sync at the end finds little left to do.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* <linux/fs.h> is not there with every libc. */
#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

/* Bytes on their way to the disk at a time. */
enum { WINDOW = 8 << 20 };

enum { BUFFER = 16384 };

struct copy {
    struct mvm_posix *p;
    const struct mvm_posix_handle *from;
    struct mvm_posix_handle *to;
    int64_t at;  /* position in the source */
    int64_t put; /* position in the target */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- how bytes get across ---- */

/* Writes all of a piece: what was read from the source must not get lost. */
static int write_all(int fd, const char *bytes, ssize_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, (size_t)len);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? n : 0;
    }
    return 0;
}

static int64_t through_buffer(const struct copy *c, int64_t len)
{
    char buf[BUFFER];
    int64_t done = 0;
    while (done < len) {
        ssize_t n = read(c->from->fd, buf, (size_t)least(len - done, BUFFER));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return mvm_posix_fail(c->p, "read", errno);
        }
        if (n == 0) {
            break;
        }
        if (write_all(c->to->fd, buf, n) < 0) {
            return mvm_posix_fail(c->p, "write", errno);
        }
        done += n;
    }
    return done;
}

/* > 0 bytes moved; 0: the source has none there any more. */
static int64_t move(const struct copy *c, int64_t len)
{
    ssize_t n;
    do {
        n = sendfile(c->to->fd, c->from->fd, NULL, (size_t)len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
        return through_buffer(c, len);
    }
    return n < 0 ? mvm_posix_fail(c->p, "sendfile", errno) : n;
}

/* ---- write-back ---- */

/* 0 where the file system cannot be asked for it: then the sync at the end takes longer. */
static int sync_range(const struct copy *c, int64_t from, int64_t to, unsigned flags)
{
    if (sync_file_range(c->to->fd, from, to - from, flags) == 0 || errno == ENOSYS ||
        errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP || errno == EINTR) {
        return 0;
    }
    /* Said here or never: the kernel reports an error once for each open file. */
    return mvm_posix_fail(c->p, "sync_file_range", errno);
}

static int write_back(const struct copy *c)
{
    struct mvm_posix_handle *to = c->to;
    int r = sync_range(c, to->started, c->put, SYNC_FILE_RANGE_WRITE);
    to->started = c->put;
    int64_t due = c->put - WINDOW;
    if (r == 0 && due > to->waited) {
        r = sync_range(c, to->waited, due,
                       SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                           SYNC_FILE_RANGE_WAIT_AFTER);
        to->waited = due;
    }
    return r;
}

/* ---- the steps of a copy ---- */

/* Makes the target share the source's blocks. False: that cannot be. */
static bool clone_whole(const struct copy *c)
{
    struct stat st;
    return c->at == 0 && c->put == 0 && c->to->end > 0 && fstat(c->to->fd, &st) == 0 &&
           st.st_size == 0 && ioctl(c->to->fd, FICLONE, c->from->fd) == 0;
}

/* Moves both positions on over what needs no copying. */
static int64_t skip(const struct copy *c, int64_t len)
{
    if (lseek(c->from->fd, c->at + len, SEEK_SET) < 0 ||
        lseek(c->to->fd, c->put + len, SEEK_SET) < 0) {
        return mvm_posix_fail(c->p, "lseek", errno);
    }
    return len;
}

/* A hole at the end has left no mark in the target yet but its position. */
static int64_t end_at_source(const struct copy *c)
{
    struct stat st;
    if (fstat(c->to->fd, &st) < 0) {
        return mvm_posix_fail(c->p, "stat", errno);
    }
    if (st.st_size < c->put && ftruncate(c->to->fd, c->put) < 0) {
        return mvm_posix_fail(c->p, "ftruncate", errno);
    }
    c->to->begun = false;
    return 0;
}

static int64_t copy_data(const struct copy *c, int64_t len)
{
    int64_t n = lseek(c->from->fd, c->at, SEEK_SET) < 0 ? mvm_posix_fail(c->p, "lseek", errno)
                                                        : move(c, len);
    if (n == 0) {
        return end_at_source(c);
    }
    struct copy behind = *c;
    behind.put += n > 0 ? n : 0;
    return n > 0 && write_back(&behind) < 0 ? MVM_PORT_FAILED : n;
}

/* The next run of data or hole. A file system that knows no holes has data all the way. */
static int64_t step(const struct copy *c, int64_t end, uint32_t max)
{
    int64_t data = lseek(c->from->fd, c->at, SEEK_DATA);
    if (data < 0) {
        data = errno == ENXIO ? end : c->at;
    }
    if (data > c->at) {
        return skip(c, least(data, end) - c->at);
    }
    int64_t hole = lseek(c->from->fd, c->at, SEEK_HOLE);
    int64_t len = least(hole > c->at ? least(hole, end) - c->at : end - c->at, max);
    return copy_data(c, len);
}

int64_t mvm_posix_copy(void *ctx, int from, int to, uint32_t max)
{
    struct mvm_posix *p = ctx;
    struct copy c = {p, mvm_posix_handle(p, from), mvm_posix_handle(p, to), 0, 0};
    struct stat st;
    if (c.from == NULL || c.to == NULL) {
        return MVM_PORT_FAILED;
    }
    c.at = lseek(c.from->fd, 0, SEEK_CUR);
    c.put = lseek(c.to->fd, 0, SEEK_CUR);
    if (c.at < 0 || c.put < 0 || fstat(c.from->fd, &st) < 0) {
        return mvm_posix_fail(p, "lseek", errno);
    }
    if (!c.to->begun) {
        c.to->begun = true;
        c.to->end = st.st_size;
        if (clone_whole(&c)) {
            return skip(&c, c.to->end);
        }
    }
    /* A source that grows is copied as it was at the beginning, one that shrinks as it is. */
    int64_t end = least(c.to->end, st.st_size);
    return c.at < end ? step(&c, end, max) : end_at_source(&c);
}
