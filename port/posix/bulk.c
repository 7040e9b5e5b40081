/* Files of builds without disks: sources to remove, artifacts to read. The worker's side. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPIED = 16384 };

/* ---- trees ---- */

/* errno stays: for a directory unlink(2) has those of files that cannot be removed. */
static bool is_directory(int dir, const char *name)
{
    struct stat st;
    int err = errno;
    bool is = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
    errno = err;
    return is;
}

/* Removes the files in the directory `path`. 1: it has a directory, whose name was appended to
 * `path`; 0: it is empty; -1: errno, of the file whose name was appended. */
static int empty_directory(char *path, size_t cap)
{
    struct mvm_posix_directory d;
    const char *name;
    int r = 0;
    if (!mvm_posix_directory_open(&d, AT_FDCWD, path)) {
        return -1;
    }
    while (r == 0 && (name = mvm_posix_directory_next(&d)) != NULL) {
        if (unlinkat(d.fd, name, 0) == 0 || errno == ENOENT) {
            continue;
        }
        struct mvm_writer w = {path, cap, strlen(path), false};
        r = is_directory(d.fd, name) ? 1 : -1;
        mvm_writer_add3(&w, "/", name, "");
        if (r > 0 && w.cut) {
            errno = ENAMETOOLONG;
            r = -1;
        }
    }
    int err = errno;
    mvm_posix_directory_close(&d);
    errno = err;
    return r;
}

/* Descends to a directory without directories, removes it, and ascends: the path is the stack.
 */
static int remove_below(char *path, size_t cap)
{
    size_t top = strlen(path);
    for (;;) {
        int r = empty_directory(path, cap);
        if (r < 0 || (r == 0 && rmdir(path) < 0)) {
            return -1;
        }
        if (r == 0 && strlen(path) == top) {
            return 0;
        }
        if (r == 0) {
            *strrchr(path, '/') = '\0';
        }
    }
}

int mvm_posix_remove_tree(struct mvm_posix *p, const char *path)
{
    char below[MVM_PATH_MAX];
    int r = -1;
    errno = ENAMETOOLONG;
    if (mvm_text_join(below, sizeof below, path, "", "")) {
        r = unlink(below);
        r = r < 0 && is_directory(AT_FDCWD, below) ? remove_below(below, sizeof below) : r;
    }
    return r < 0 && errno != ENOENT ? mvm_posix_fail_file(p, "remove", below) : 0;
}

/* ---- artifacts ---- */

int mvm_posix_file_size(struct mvm_posix *p, const char *within, const char *path, uint64_t *size)
{
    struct stat st;
    int fd = mvm_posix_open_source(p, within, path);
    if (fd < 0) {
        return fd;
    }
    int r = fstat(fd, &st) < 0 ? mvm_posix_fail(p, "stat", errno) : 0;
    *size = r == 0 ? (uint64_t)st.st_size : 0;
    close(fd);
    return r;
}

static int64_t fail_read(struct mvm_posix *p, const char *call)
{
    mvm_posix_fail(p, call, errno);
    return MVM_PORT_SOURCE_FAILED;
}

/* The file stays open from one call to the next. */
static int open_reading(struct mvm_posix *p, struct mvm_posix_reading *r, const char *within,
                        const char *path)
{
    if (r->fd >= 0 && strcmp(r->path, path) == 0) {
        return r->fd;
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    r->fd = mvm_posix_open_source(p, within, path);
    if (r->fd < 0) {
        int error = r->fd;
        r->fd = -1;
        return error;
    }
    if (fstat(r->fd, &r->before) < 0) {
        int error = (int)fail_read(p, "stat");
        close(r->fd);
        r->fd = -1;
        return error;
    }
    memcpy(r->path, path, strlen(path) + 1);
    r->data = r->hole = 0;
    return r->fd;
}

/* 0, or the failure. */
static int check_unchanged(struct mvm_posix *p, const struct mvm_posix_reading *r, uint64_t size)
{
    if ((uint64_t)r->before.st_size == size && mvm_posix_is_unchanged(r->fd, &r->before)) {
        return 0;
    }
    mvm_posix_fail_text(p, "read", "the file has changed");
    return MVM_PORT_SOURCE_FAILED;
}

/* Finds the data at or after `offset`. 1: found; 0: nothing is left but a hole. Asked once for each
 * run of data, since a file system may look at every page of it to answer. One without holes
 * reports a hole at the file's end. */
static int find_data(struct mvm_posix *p, struct mvm_posix_reading *r, uint64_t offset)
{
    if (offset >= r->data && offset < r->hole) {
        r->data = offset;
        return 1;
    }
    off_t data = lseek(r->fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno != EINVAL) {
        return errno == ENXIO ? 0 : (int)fail_read(p, "lseek");
    }
    off_t hole = data < 0 ? -1 : lseek(r->fd, data, SEEK_HOLE);
    r->data = data < 0 ? offset : (uint64_t)data;
    r->hole = hole > data ? (uint64_t)hole : UINT64_MAX;
    return 1;
}

/* For file systems and sandboxes without splice(2). Up to `cap` bytes, and what the pipe has room
 * for. */
static ssize_t copy_data(int fd, off_t at, int to, size_t cap)
{
    char bytes[COPIED];
    ssize_t n = pread(fd, bytes, cap < sizeof bytes ? cap : sizeof bytes, at);
    return n > 0 ? write(to, bytes, (size_t)n) : n;
}

/* The pages of the file themselves go into the pipe. */
static ssize_t splice_data(int fd, off_t at, int to, size_t cap)
{
    loff_t from = at;
    ssize_t n = splice(fd, &from, to, NULL, cap, SPLICE_F_NONBLOCK);
    bool unable = n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EPERM);
    return unable ? copy_data(fd, at, to, cap) : n;
}

int64_t mvm_posix_pass_data(struct mvm_posix *p, struct mvm_posix_reading *r, uint64_t size,
                            const char *within, const char *path, uint64_t *offset, int to,
                            size_t cap)
{
    ssize_t n;
    int fd = open_reading(p, r, within, path);
    int found = fd < 0 ? fd : check_unchanged(p, r, size);
    found = found < 0 ? found : find_data(p, r, *offset);
    if (found <= 0) {
        return found;
    }
    *offset = r->data;
    cap = r->hole - r->data < cap ? (size_t)(r->hole - r->data) : cap;
    do {
        n = splice_data(fd, (off_t)*offset, to, cap);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? fail_read(p, "read") : n;
}
