/*
 * Copies files in pieces and syncs them. If both files are on a file system that can reflink, the
 * copy is one reflink; else runs of data are copied one by one, and holes left out. Large runs go
 * from the source's pages to the disk without a copy in between; the rest of them, and all if that
 * is not supported, by sendfile(2).
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not every libc comes with <linux/fs.h>. */
#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

enum {
    BUFFER = 16384,
    PAGE = 4096,            /* no disk or file system of today needs more alignment */
    DIRECT_LEAST = 1 << 20, /* write-back merges small runs */
};

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

/* ---- transfer methods: > 0 so many; 0: the source has none there ---- */

/* Lets the disk read whole pages of the source directly. This process never touches them, so those
 * that are gone or cannot be read fail the call and raise no signal. */
static int64_t directly(const struct mvm_posix_work *w, int64_t len)
{
    int64_t n = -1;
    len &= -PAGE;
    if (len < DIRECT_LEAST || fcntl(w->to, F_SETFL, O_DIRECT) < 0) {
        return n;
    }
    void *pages = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, w->from, w->at);
    if (pages != MAP_FAILED) { /* it fails if `at` is within a page */
        n = write(w->to, pages, (size_t)len);
        munmap(pages, (size_t)len);
    }
    fcntl(w->to, F_SETFL, 0); /* other writes are not aligned */
    return n;
}

static int64_t through_buffer(struct mvm_posix_work *w, int64_t len)
{
    char buf[BUFFER];
    ssize_t n;
    ssize_t written;
    do {
        n = read(w->from, buf, (size_t)least(len, BUFFER));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return work_failed(w, "read");
    }
    if (n == 0) {
        return 0;
    }
    do {
        errno = EIO; /* nothing accepted, and no error set */
        written = write(w->to, buf, (size_t)n);
    } while (written < 0 && errno == EINTR);
    return written > 0 ? written : work_failed(w, "write");
}

/* An offset that the target's file system cannot have is refused as if it were none. */
static bool seek_target(const struct mvm_posix_work *w)
{
    bool done = lseek(w->to, w->at, SEEK_SET) >= 0;
    errno = errno == EINVAL ? EFBIG : errno;
    return done;
}

/* A method that fails leaves the offsets unchanged; the next one is tried; the last one's error is
 * reported.
 */
static int64_t move(struct mvm_posix_work *w, int64_t len)
{
    if (lseek(w->from, w->at, SEEK_SET) < 0 || !seek_target(w)) {
        return work_failed(w, "lseek");
    }
    int64_t n = directly(w, len);
    if (n <= 0) {
        n = sendfile(w->to, w->from, NULL, (size_t)len);
    }
    return n > 0 ? n : through_buffer(w, len);
}

/* Starts write-back of a piece, so that the disk works meanwhile and the sync at the end has little
 * left to do. If a file system does not support that, only time is lost. */
static int64_t write_back(struct mvm_posix_work *w, int64_t len)
{
    if (sync_file_range(w->to, w->at, len, SYNC_FILE_RANGE_WRITE) == 0 || errno == ENOSYS ||
        errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP || errno == EINTR) {
        return len;
    }
    /* Must be checked here: the kernel reports an error once for each open file. */
    return work_failed(w, "sync_file_range");
}

/* ---- the pieces of a copy ---- */

/* A hole at the end does not yet count in the target's size. */
static int64_t end_here(struct mvm_posix_work *w)
{
    return ftruncate(w->to, w->at) < 0 ? work_failed(w, "ftruncate") : 0;
}

static int64_t copy_data(struct mvm_posix_work *w, int64_t len)
{
    int64_t n = move(w, len);
    if (n == 0) {
        return end_here(w);
    }
    return n > 0 ? write_back(w, n) : n;
}

/* The next run of data or hole. A file system without holes reports one run of data. */
static int64_t step(struct mvm_posix_work *w, int64_t end)
{
    int64_t data = lseek(w->from, w->at, SEEK_DATA);
    if (data < 0) {
        data = errno == ENXIO ? end : w->at;
    }
    if (data > w->at) {
        return least(data, end) - w->at;
    }
    int64_t hole = lseek(w->from, w->at, SEEK_HOLE);
    return copy_data(w, least((hole > w->at ? least(hole, end) : end) - w->at, w->max));
}

/* Makes the target share the source's blocks, or copies the next piece. */
static int64_t clone_or_step(struct mvm_posix_work *w, int64_t size)
{
    if (w->at == 0) {
        w->end = size;
        if (ioctl(w->to, FICLONE, w->from) == 0) {
            return size;
        }
    }
    /* Of a source that grows the original size is copied, of one that shrinks what is left. */
    int64_t end = least(w->end, size);
    return w->at < end ? step(w, end) : end_here(w);
}

int64_t mvm_posix_copy_piece(struct mvm_posix_work *w)
{
    struct stat st;
    if (fstat(w->from, &st) < 0) {
        return work_failed(w, "stat");
    }
    int64_t n = clone_or_step(w, st.st_size);
    w->at += n;
    return n;
}

/* fdatasync(2) includes the metadata that is needed to read the file back: its size and extents. */
int64_t mvm_posix_sync_piece(struct mvm_posix_work *w)
{
    return fdatasync(w->to) < 0 ? work_failed(w, "fdatasync") : 0;
}
