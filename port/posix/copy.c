/*
 * Copies by pieces: a reflink of the whole where both files are on a file system that can do it;
 * else one run of data after the other by sendfile(2), and holes left out. And making them last.
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

enum { BUFFER = 16384 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t work_failed(struct mvm_posix_work *w, const char *call)
{
    w->call = call;
    w->err = errno;
    return -1;
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

static int64_t through_buffer(struct mvm_posix_work *w, int64_t len)
{
    char buf[BUFFER];
    int64_t done = 0;
    while (done < len) {
        ssize_t n = read(w->from, buf, (size_t)least(len - done, BUFFER));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return work_failed(w, "read");
        }
        if (n == 0) {
            break;
        }
        if (write_all(w->to, buf, n) < 0) {
            return work_failed(w, "write");
        }
        done += n;
    }
    return done;
}

/* > 0 bytes moved; 0: the source has none there any more. */
static int64_t move(struct mvm_posix_work *w, int64_t len)
{
    ssize_t n;
    do {
        n = sendfile(w->to, w->from, NULL, (size_t)len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
        return through_buffer(w, len);
    }
    return n < 0 ? work_failed(w, "sendfile") : n;
}

/* Sends a piece on its way to the disk, so that the disk works meanwhile and the sync at the end
 * finds little left to do. A file system that cannot be asked for that loses nothing but time. */
static int64_t write_back(struct mvm_posix_work *w, int64_t at, int64_t len)
{
    if (sync_file_range(w->to, at, len, SYNC_FILE_RANGE_WRITE) == 0 || errno == ENOSYS ||
        errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP || errno == EINTR) {
        return len;
    }
    /* Said here or never: the kernel reports an error once for each open file. */
    return work_failed(w, "sync_file_range");
}

/* ---- the pieces of a copy ---- */

struct copy {
    struct mvm_posix_work *w;
    int64_t at;  /* position in the source */
    int64_t put; /* position in the target */
};

/* Makes the target share the source's blocks. False: that cannot be. */
static bool clone_whole(const struct copy *c)
{
    struct stat st;
    return c->at == 0 && c->put == 0 && c->w->end > 0 && fstat(c->w->to, &st) == 0 &&
           st.st_size == 0 && ioctl(c->w->to, FICLONE, c->w->from) == 0;
}

/* Moves both positions on over what needs no copying. */
static int64_t skip(const struct copy *c, int64_t len)
{
    if (lseek(c->w->from, c->at + len, SEEK_SET) < 0 ||
        lseek(c->w->to, c->put + len, SEEK_SET) < 0) {
        return work_failed(c->w, "lseek");
    }
    return len;
}

/* A hole at the end has left no mark in the target yet but its position. */
static int64_t end_at_source(const struct copy *c)
{
    struct stat st;
    if (fstat(c->w->to, &st) < 0) {
        return work_failed(c->w, "stat");
    }
    return st.st_size < c->put && ftruncate(c->w->to, c->put) < 0 ? work_failed(c->w, "ftruncate")
                                                                  : 0;
}

static int64_t copy_data(const struct copy *c, int64_t len)
{
    int64_t n =
        lseek(c->w->from, c->at, SEEK_SET) < 0 ? work_failed(c->w, "lseek") : move(c->w, len);
    if (n == 0) {
        return end_at_source(c);
    }
    return n > 0 ? write_back(c->w, c->put, n) : n;
}

/* The next run of data or hole. A file system that knows no holes has data all the way. */
static int64_t step(const struct copy *c, int64_t end)
{
    int64_t data = lseek(c->w->from, c->at, SEEK_DATA);
    if (data < 0) {
        data = errno == ENXIO ? end : c->at;
    }
    if (data > c->at) {
        return skip(c, least(data, end) - c->at);
    }
    int64_t hole = lseek(c->w->from, c->at, SEEK_HOLE);
    int64_t len = hole > c->at ? least(hole, end) - c->at : end - c->at;
    return copy_data(c, least(len, c->w->max));
}

int64_t mvm_posix_copy_piece(struct mvm_posix_work *w)
{
    struct stat st;
    struct copy c = {w, lseek(w->from, 0, SEEK_CUR), lseek(w->to, 0, SEEK_CUR)};
    if (c.at < 0 || c.put < 0 || fstat(w->from, &st) < 0) {
        return work_failed(w, "lseek");
    }
    if (!w->begun) {
        w->begun = true;
        w->end = st.st_size;
        if (clone_whole(&c)) {
            return skip(&c, w->end);
        }
    }
    /* A source that grows is copied as it was at the beginning, one that shrinks as it is. */
    int64_t end = least(w->end, st.st_size);
    return c.at < end ? step(&c, end) : end_at_source(&c);
}

/* fdatasync(2) leaves out nothing that is needed to read the file back: its size and where its
 * bytes are belong to it. */
int64_t mvm_posix_sync_piece(struct mvm_posix_work *w)
{
    return fdatasync(w->to) < 0 ? work_failed(w, "fdatasync") : 0;
}
