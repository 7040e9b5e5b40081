/* Files: opening, reading, names. The worker's side; copies are in copy_file.c. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not every libc comes with <linux/fs.h>, and ioctl(3) may take an int for this. */
#ifndef FS_IOC_GETFLAGS
#define FS_IOC_GETFLAGS _IOR('f', 1, long)
#endif
enum { IMMUTABLE = 0x10, APPEND_ONLY = 0x20 };

/* ---- opening ---- */

static int fail_open(struct mvm_posix *p, int err)
{
    int r = mvm_posix_fail(p, "open", err);
    return err == ENOENT || err == ENOTDIR ? MVM_PORT_NOT_FOUND
           : r == MVM_PORT_FAILED          ? MVM_PORT_SOURCE_FAILED
                                           : r;
}

/* "/proc/self/fd/N" */
static void name_descriptor(char *path, size_t cap, int fd)
{
    struct mvm_writer w;
    mvm_writer_init(&w, path, cap);
    mvm_writer_add(&w, "/proc/self/fd/");
    mvm_writer_add_u64(&w, (uint64_t)fd);
}

/* Without /proc: `path` resolved by libc, if that leads to what is open. */
static bool resolve_name(int fd, const char *path, char resolved[MVM_PATH_MAX])
{
    struct stat opened;
    struct stat found;
    if (MVM_PATH_MAX < PATH_MAX || realpath(path, resolved) == NULL || fstat(fd, &opened) < 0 ||
        stat(resolved, &found) < 0) {
        return false;
    }
    errno = EAGAIN; /* it was replaced meanwhile */
    return opened.st_dev == found.st_dev && opened.st_ino == found.st_ino;
}

/* The path of what was opened as `path`, links resolved. */
static bool resolve(int fd, const char *path, char resolved[MVM_PATH_MAX])
{
    char link[48];
    name_descriptor(link, sizeof link, fd);
    ssize_t n = readlink(link, resolved, MVM_PATH_MAX - 1);
    if (n < 0) {
        return resolve_name(fd, path, resolved);
    }
    resolved[n] = '\0';
    errno = ENAMETOOLONG;
    return n < MVM_PATH_MAX - 1;
}

/* Whether what is open as `fd` is below the directory. */
static int check_within(struct mvm_posix *p, int fd, const char *name, const char *within)
{
    char dir[MVM_PATH_MAX];
    char path[MVM_PATH_MAX];
    int parent = open(within, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) {
        return fail_open(p, errno);
    }
    bool known = resolve(parent, within, dir) && resolve(fd, name, path);
    close(parent);
    if (!known) {
        mvm_posix_fail(p, "resolve", errno);
        return MVM_PORT_SOURCE_FAILED;
    }
    size_t len = strlen(dir);
    if (strncmp(path, dir, len) == 0 && path[len] == '/') {
        return 0;
    }
    struct mvm_writer w;
    mvm_writer_init(&w, p->reason, sizeof p->reason);
    mvm_writer_add3(&w, "it leads to ", path, ", which is not in ");
    mvm_writer_add(&w, within);
    mvm_writer_finish(&w);
    return MVM_PORT_SOURCE_FAILED;
}

static int check_regular(struct mvm_posix *p, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        mvm_posix_fail(p, "stat", errno);
        return MVM_PORT_SOURCE_FAILED;
    }
    if (!S_ISREG(st.st_mode)) {
        mvm_posix_fail_text(p, "open", "not a regular file");
        return MVM_PORT_NOT_REGULAR;
    }
    return 0;
}

/* Opens the file behind an O_PATH descriptor; without /proc by its path again. */
static int reopen(struct mvm_posix *p, int named, const char *path)
{
    char link[48];
    int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    name_descriptor(link, sizeof link, named);
    int fd = open(link, flags);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        fd = open(path, flags);
    }
    return fd >= 0 ? fd : fail_open(p, errno);
}

/* O_PATH does not open the file: no device is started, and no FIFO waits for its other end. */
int mvm_posix_open_source(struct mvm_posix *p, const char *within, const char *path)
{
    int named = open(path, O_PATH | O_CLOEXEC);
    if (named < 0) {
        return fail_open(p, errno);
    }
    int r = within != NULL ? check_within(p, named, path, within) : 0;
    if (r == 0) {
        r = check_regular(p, named);
    }
    if (r == 0) {
        r = reopen(p, named, path);
    }
    close(named);
    return r;
}

/* The old file is removed first: it may be a link, and its readers keep it. */
int mvm_posix_open_new(struct mvm_posix *p, const char *path)
{
    if (unlink(path) < 0 && errno != ENOENT) {
        mvm_posix_fail(p, "unlink", errno);
        return MVM_PORT_FAILED;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        mvm_posix_fail(p, "open", errno);
        return MVM_PORT_FAILED;
    }
    /* Independent of the umask; a file system without modes may refuse. By the system call, because
     * some libcs' function supports fewer kinds of descriptors. */
    syscall(SYS_fchmod, fd, 0644);
    return fd;
}

int mvm_posix_find_file(struct mvm_posix *p, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return fail_open(p, errno);
    }
    if (!S_ISREG(st.st_mode)) {
        mvm_posix_fail_text(p, "stat", "not a regular file");
        return MVM_PORT_NOT_REGULAR;
    }
    return 0;
}

/* ---- reading ---- */

/* Only a name that does not exist is NOT_FOUND, not a dangling link or a path through a file. */
static int open_to_read(struct mvm_posix *p, const char *path)
{
    struct stat st;
    int fd = mvm_posix_open_source(p, NULL, path);
    if (fd != MVM_PORT_NOT_FOUND) {
        return fd;
    }
    if (lstat(path, &st) == 0) {
        return mvm_posix_fail_text(p, "open", "it is a link that leads nowhere");
    }
    return errno == ENOENT ? fd : MVM_PORT_FAILED;
}

static void stop_reading(struct mvm_posix *p)
{
    if (p->worker.reading >= 0) {
        close(p->worker.reading);
    }
    p->worker.reading = -1;
}

/* The file stays open from its beginning to its end, even if its name is replaced meanwhile. */
int mvm_posix_read_file(struct mvm_posix *p, const char *path, uint64_t offset, char *buf,
                        size_t cap)
{
    ssize_t n;
    if (offset == 0) {
        stop_reading(p);
        int fd = open_to_read(p, path);
        if (fd < 0) {
            return fd == MVM_PORT_SOURCE_FAILED ? MVM_PORT_FAILED : fd;
        }
        p->worker.reading = fd;
    }
    do {
        n = pread(p->worker.reading, buf, cap, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    int r = n < 0 ? mvm_posix_fail(p, "read", errno) : (int)n;
    if (n <= 0) {
        stop_reading(p);
    }
    return r;
}

/* ---- writing, names ---- */

static int write_all(struct mvm_posix *p, int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        errno = EIO; /* if nothing is written and nothing said */
        ssize_t n = write(fd, text, len);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno != EINTR) {
            mvm_posix_fail(p, "write", errno);
            return MVM_PORT_FAILED;
        }
    }
    return fdatasync(fd) < 0 ? mvm_posix_fail(p, "fdatasync", errno) : 0;
}

int mvm_posix_put(struct mvm_posix *p, const char *path, const char *text)
{
    int fd = mvm_posix_open_new(p, path);
    if (fd < 0) {
        return fd;
    }
    int r = write_all(p, fd, text);
    if (close(fd) < 0 && r == 0 && errno != EINTR) {
        r = mvm_posix_fail(p, "close", errno);
    }
    return r;
}

/* File attributes that make rename(2) fail. */
static bool is_locked(const char *path)
{
    unsigned long flags = 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool locked = syscall(SYS_ioctl, fd, FS_IOC_GETFLAGS, &flags) == 0 &&
                  (flags & (IMMUTABLE | APPEND_ONLY)) != 0;
    close(fd);
    return locked;
}

int mvm_posix_replaceable(struct mvm_posix *p, const char *path)
{
    struct stat st;
    int err = 0;
    if (lstat(path, &st) < 0) {
        err = errno == ENOENT ? 0 : errno;
    } else if (S_ISDIR(st.st_mode)) {
        err = EISDIR;
    } else if (S_ISREG(st.st_mode) && is_locked(path)) {
        err = EPERM;
    }
    if (err != 0) {
        mvm_posix_fail(p, "rename", err);
        return MVM_PORT_FAILED;
    }
    return 0;
}

int mvm_posix_rename(struct mvm_posix *p, const char *from, const char *to)
{
    return rename(from, to) < 0 ? mvm_posix_fail(p, "rename", errno) : 0;
}

int mvm_posix_remove(struct mvm_posix *p, const char *path)
{
    return unlink(path) < 0 ? mvm_posix_fail(p, "unlink", errno) : 0;
}

int mvm_posix_sync_dir(struct mvm_posix *p, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    int r = fsync(fd) < 0 ? mvm_posix_fail(p, "fsync", errno) : 0;
    close(fd);
    return r;
}
