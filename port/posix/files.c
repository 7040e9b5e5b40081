/* Files: reading, writing, names. The worker's side; copies are in copy_file.c. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* The old file is removed first: it may be a link, and its readers keep it. */
int mvm_posix_open_new(struct mvm_posix *p, const char *path)
{
    if (unlink(path) < 0 && errno != ENOENT) {
        return mvm_posix_fail_file(p, "unlink", path); /* the name is a temporary one */
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
        errno = EIO; /* if write(2) returns 0 */
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
    return mvm_posix_check_claim(p, path);
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
