/* Files that are read: what is opened, which must be a regular file and may have to be in a
 * directory, links resolved. The worker's side. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
