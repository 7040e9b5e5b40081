/* Files of builds without disks: sources to remove, artifacts to read. The worker's side. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- trees ---- */

/* Removes the files in the directory `path`. 1: it has a directory, whose name was appended to
 * `path`; 0: it is empty; -1: errno. */
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
        r = errno == EISDIR || errno == EPERM ? 1 : -1;
        if (r > 0) {
            mvm_writer_add3(&w, "/", name, "");
            errno = ENAMETOOLONG;
            r = w.cut ? -1 : 1;
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
        r = r < 0 && (errno == EISDIR || errno == EPERM) ? remove_below(below, sizeof below) : r;
    }
    if (r < 0 && errno != ENOENT) {
        mvm_posix_fail(p, "remove", errno);
        return MVM_PORT_FAILED;
    }
    return 0;
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
    memcpy(r->path, path, strlen(path) + 1);
    return r->fd;
}

static int64_t fail_read(struct mvm_posix *p, const char *call)
{
    mvm_posix_fail(p, call, errno);
    return MVM_PORT_SOURCE_FAILED;
}

/* A file system without holes reports one at the file's end. */
int64_t mvm_posix_read_data(struct mvm_posix *p, struct mvm_posix_reading *r, const char *within,
                            const char *path, uint64_t *offset, char *buf, size_t cap)
{
    ssize_t n;
    int fd = open_reading(p, r, within, path);
    if (fd < 0) {
        return fd;
    }
    off_t data = lseek(fd, (off_t)*offset, SEEK_DATA);
    if (data < 0 && errno != EINVAL) {
        return errno == ENXIO ? 0 : fail_read(p, "lseek");
    }
    if (data >= 0) {
        off_t hole = lseek(fd, data, SEEK_HOLE);
        *offset = (uint64_t)data;
        cap = hole > data && (uint64_t)(hole - data) < cap ? (size_t)(hole - data) : cap;
    }
    do {
        n = pread(fd, buf, cap, (off_t)*offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? fail_read(p, "read") : n;
}
