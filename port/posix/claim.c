/*
 * The claim of a job on its output directory: the worker has it open, from the mount on, and locks
 * it before it makes a file there. The lock keeps the jobs of other agents out, whose files have
 * the same names; the open directory keeps them from unmounting the disk, which they would take for
 * that of an agent that was killed. It ends with the worker.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_claim(struct mvm_posix *p)
{
    if (p->worker.claim >= 0) {
        close(p->worker.claim);
    }
    p->worker.claim = -1;
}

static int fail_claimed(struct mvm_posix *p)
{
    mvm_posix_fail_text(p, "in use", "another agent builds in this directory");
    return MVM_PORT_BUSY;
}

static bool is_claim(const struct mvm_posix *p, const char *dir)
{
    struct stat a;
    struct stat b;
    return p->worker.claim >= 0 && fstat(p->worker.claim, &a) == 0 && stat(dir, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The directory of a file. */
static void directory_of(const char *path, char dir[MVM_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    struct mvm_writer w;
    mvm_writer_init(&w, dir, MVM_PATH_MAX);
    mvm_writer_add_text(&w, (struct mvm_text){path, slash != NULL ? (size_t)(slash - path) : 0});
    mvm_writer_add(&w, slash != NULL ? "/" : ".");
}

/* Between its mount and its open directory another agent may have unmounted it. */
int mvm_posix_mount_claimed(struct mvm_posix *p, const char *device, const char *dir)
{
    int r = mvm_posix_mount(p, device, dir, false);
    if (r < 0) {
        return r;
    }
    close_claim(p);
    p->worker.claim = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return mvm_posix_mounted(p, dir, device) == MVM_MOUNTED_NOTHING ? fail_claimed(p) : 0;
}

/* A file system without locks has none. A worker that was abandoned may hold this agent's own. */
int mvm_posix_claim(struct mvm_posix *p, const char *file)
{
    char dir[MVM_PATH_MAX];
    directory_of(file, dir);
    if (!is_claim(p, dir)) {
        close_claim(p);
        p->worker.claim = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    bool claimed = flock(p->worker.claim, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    return claimed && !p->worker.hung_claims ? fail_claimed(p) : 0;
}

int mvm_posix_check_claim(struct mvm_posix *p, const char *file)
{
    char dir[MVM_PATH_MAX];
    directory_of(file, dir);
    if (p->worker.claim < 0) {
        return 0;
    }
    if (!is_claim(p, dir)) {
        return mvm_posix_fail_text(p, "rename",
                                   "another directory has the name since the build began");
    }
    int fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    bool is_mount_point = mvm_posix_mount_of(fd) != mvm_posix_mount_of(p->worker.claim);
    close(fd);
    return is_mount_point ? mvm_posix_fail(p, "rename", EBUSY) : 0;
}

/* An open directory would keep its file system mounted. */
void mvm_posix_drop_claim(struct mvm_posix *p, const char *dir)
{
    if (is_claim(p, dir)) {
        close_claim(p);
    }
}
