/* Directories as mount points: what is mounted on them, mounting, and letting go. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* <linux/fs.h> is not there with every libc. */
#ifndef BLKROGET
#define BLKROGET _IO(0x12, 94)
#endif

static const unsigned long mount_flags = MS_NOSUID | MS_NODEV;

/* ---- make_dir ---- */

static int fail_not_directory(struct mvm_posix *p)
{
    mvm_posix_fail(p, "mkdir", ENOTDIR);
    return MVM_PORT_NOT_DIRECTORY;
}

/* Makes `path` and what is missing above it; the slashes in it are cut and put back. */
static int make_with_parents(char *path)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            int r = mkdir(path, 0755);
            *at = '/';
            if (r < 0 && errno != EEXIST) {
                return errno;
            }
        }
    }
    return mkdir(path, 0755) < 0 && errno != EEXIST ? errno : 0;
}

int mvm_posix_make_dir(void *ctx, const char *dir)
{
    struct mvm_posix *p = ctx;
    struct stat st;
    if (stat(dir, &st) == 0) {
        return S_ISDIR(st.st_mode) ? 0 : fail_not_directory(p);
    }
    char path[MVM_PATH_MAX];
    struct mvm_writer w;
    mvm_writer_init(&w, path, sizeof path);
    mvm_writer_add(&w, dir);
    if (w.cut || w.len == 0) {
        mvm_posix_fail(p, "mkdir", w.cut ? ENAMETOOLONG : ENOENT);
        return MVM_PORT_FAILED;
    }
    int err = make_with_parents(path);
    if (err == ENOTDIR) {
        return fail_not_directory(p);
    }
    /* What stands in the way may be a link that leads nowhere, which mkdir takes for a success. */
    if (err == 0 && (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))) {
        return fail_not_directory(p);
    }
    if (err != 0) {
        mvm_posix_fail(p, "mkdir", err);
        return MVM_PORT_FAILED;
    }
    return 0;
}

/* ---- is_mounted ---- */

/* The mount an open file is on, by the kernel's number for it; 0: cannot be told. */
static uint64_t mount_of(int fd)
{
    static const char key[] = "mnt_id:\t";
    char path[48];
    struct mvm_writer w;
    struct mvm_posix_lines l;
    struct mvm_text line;
    uint64_t number = 0;
    mvm_writer_init(&w, path, sizeof path);
    mvm_writer_add(&w, "/proc/self/fdinfo/");
    mvm_writer_add_u64(&w, (uint64_t)fd);
    if (!mvm_posix_lines_open(&l, AT_FDCWD, path)) {
        return 0;
    }
    errno = ENOTSUP; /* a kernel before 3.15 */
    while (number == 0 && mvm_posix_lines_next(&l, &line)) {
        if (mvm_text_begins(line, key)) {
            size_t skip = sizeof key - 1;
            number = mvm_posix_number((struct mvm_text){line.bytes + skip, line.len - skip});
        }
    }
    mvm_posix_lines_close(&l);
    return number;
}

static bool is_root(int fd, int parent)
{
    struct stat a;
    struct stat b;
    return fstat(fd, &a) == 0 && fstat(parent, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* A mount point is on another mount than its parent; its device may be the same (a bind mount). */
static int compare_mounts(struct mvm_posix *p, int fd, int parent)
{
    uint64_t here = mount_of(fd);
    uint64_t above = here != 0 ? mount_of(parent) : 0;
    if (above == 0) {
        mvm_posix_fail(p, "/proc/self/fdinfo", errno);
        return MVM_PORT_FAILED;
    }
    return here != above || is_root(fd, parent) ? 1 : 0;
}

int mvm_posix_is_mounted(void *ctx, const char *dir)
{
    struct mvm_posix *p = ctx;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = parent >= 0 ? compare_mounts(p, fd, parent) : mvm_posix_fail(p, "open", errno);
    if (parent >= 0) {
        close(parent);
    }
    close(fd);
    return r;
}

/* ---- mount ---- */

struct device {
    const char *path;
    const char *type; /* NULL: no mark that is known */
    bool read_only;
};

static bool is_absent(int err)
{
    return err == ENOENT || err == ENXIO || err == ENODEV;
}

static int look_at_device(struct mvm_posix *p, struct device *d)
{
    struct stat st;
    int fd = open(d->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        int err = errno;
        mvm_posix_fail(p, "open", err);
        return is_absent(err) ? MVM_PORT_NOT_FOUND : MVM_PORT_FAILED;
    }
    int r = 0;
    if (fstat(fd, &st) < 0) {
        r = mvm_posix_fail(p, "stat", errno);
    } else if (!S_ISBLK(st.st_mode)) {
        r = mvm_posix_fail_text(p, "mount", "not a block device");
    } else {
        int protected = 0;
        d->read_only = ioctl(fd, BLKROGET, &protected) == 0 && protected != 0;
        d->type = mvm_posix_superblock_type(fd);
    }
    close(fd);
    return r;
}

static int try_type(const struct device *d, const char *dir, const char *type, unsigned long flags)
{
    return mount(d->path, dir, type, flags, NULL) < 0 ? errno : 0;
}

/* What mount(2) says of a file system that is not this type, or is not in the kernel. */
static bool is_other_type(int err)
{
    return err == EINVAL || err == ENODEV;
}

/* Tries every file system of the kernel that lives on a device. */
static int try_all(const struct device *d, const char *dir, unsigned long flags)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    int err = try_type(d, dir, "ext4", flags);
    if (!is_other_type(err) || !mvm_posix_lines_open(&l, AT_FDCWD, "/proc/filesystems")) {
        return err;
    }
    while (is_other_type(err) && mvm_posix_lines_next(&l, &line)) {
        char type[64];
        struct mvm_writer w;
        struct mvm_text nodev = mvm_posix_cut(&line, '\t');
        mvm_writer_init(&w, type, sizeof type);
        mvm_writer_add_text(&w, line);
        if (nodev.len == 0 && !w.cut && !mvm_text_equal(line, "ext4")) {
            err = try_type(d, dir, type, flags);
        }
    }
    mvm_posix_lines_close(&l);
    return err;
}

static int fail_to_mount(struct mvm_posix *p, const struct device *d, bool read_only, int err)
{
    if (d->type == NULL && is_other_type(err)) {
        return mvm_posix_fail_text(p, "mount", "no file system found");
    }
    if (err == ENODEV) {
        struct mvm_writer w;
        mvm_writer_init(&w, p->reason, sizeof p->reason);
        mvm_writer_add(&w, "mount: this kernel has no file system ");
        mvm_writer_add(&w, d->type);
        return MVM_PORT_FAILED;
    }
    if (d->read_only && !read_only && (err == EACCES || err == EROFS)) {
        return mvm_posix_fail_text(p, "mount", "the device is read-only");
    }
    int r = mvm_posix_fail(p, "mount", err);
    return r == MVM_PORT_BUSY ? r : MVM_PORT_FAILED;
}

int mvm_posix_mount(void *ctx, const char *device, const char *dir, bool read_only)
{
    struct mvm_posix *p = ctx;
    struct device d = {device, NULL, false};
    unsigned long flags = mount_flags | (read_only ? (unsigned long)MS_RDONLY : 0);
    int r = look_at_device(p, &d);
    if (r < 0) {
        return r;
    }
    int err = d.type != NULL ? try_type(&d, dir, d.type, flags) : try_all(&d, dir, flags);
    return err == 0 ? 0 : fail_to_mount(p, &d, read_only, err);
}

/* ---- letting go ---- */

int mvm_posix_sync_fs(void *ctx, const char *dir)
{
    struct mvm_posix *p = ctx;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    int r = syncfs(fd) < 0 ? mvm_posix_fail(p, "syncfs", errno) : 0;
    close(fd);
    return r;
}

/* A link is followed, as mount(2) followed it. */
int mvm_posix_unmount(void *ctx, const char *dir)
{
    struct mvm_posix *p = ctx;
    return umount2(dir, 0) < 0 ? mvm_posix_fail(p, "umount", errno) : 0;
}

int mvm_posix_remount_ro(void *ctx, const char *dir)
{
    struct mvm_posix *p = ctx;
    unsigned long flags = MS_REMOUNT | MS_RDONLY | mount_flags;
    return mount("none", dir, "none", flags, NULL) < 0 ? mvm_posix_fail(p, "remount", errno) : 0;
}
