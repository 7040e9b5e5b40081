/* Mounting and releasing. The worker's side; what is mounted already is in mounted.c. */
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

int mvm_posix_make_path(char *path, mode_t mode)
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
    return mkdir(path, mode) < 0 && errno != EEXIST ? errno : 0;
}

int mvm_posix_make_dir(struct mvm_posix *p, const char *dir)
{
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
    int err = mvm_posix_make_path(path, 0755);
    if (err == 0 && stat(dir, &st) < 0) {
        err = errno == ENOENT ? ENOTDIR : errno; /* a dangling link exists, says mkdir */
    }
    if (err == ENOTDIR || (err == 0 && !S_ISDIR(st.st_mode))) {
        return fail_not_directory(p);
    }
    if (err != 0) {
        mvm_posix_fail(p, "mkdir", err);
        return MVM_PORT_FAILED;
    }
    return 0;
}

/* ---- mount ---- */

struct device {
    const char *path;
    const char *type; /* NULL: unknown */
    bool read_only;
};

static bool is_absent(int err)
{
    return err == ENOENT || err == ENXIO || err == ENODEV;
}

bool mvm_posix_device_is_read_only(int fd)
{
    int protected = 0;
    return ioctl(fd, BLKROGET, &protected) == 0 && protected != 0;
}

static int probe_device(struct mvm_posix *p, struct device *d)
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
        d->read_only = mvm_posix_device_is_read_only(fd);
        d->type = mvm_posix_superblock_type(fd);
    }
    close(fd);
    return r;
}

static int try_type(const struct device *d, const char *dir, const char *type, unsigned long flags)
{
    return mount(d->path, dir, type, flags, NULL) < 0 ? errno : 0;
}

/* The errnos of mount(2) for a file system of another type, or one that the kernel lacks. */
static bool is_other_type(int err)
{
    return err == EINVAL || err == ENODEV;
}

/* Tries every file system of the kernel that needs a device. */
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

/* A device that is mounted elsewhere can be mounted again, but never be released. */
int mvm_posix_mount(struct mvm_posix *p, const char *device, const char *dir, bool read_only)
{
    struct device d = {device, NULL, false};
    unsigned long flags = mount_flags | (read_only ? (unsigned long)MS_RDONLY : 0);
    int r = probe_device(p, &d);
    if (r >= 0 && !read_only && mvm_posix_released(p, device) == MVM_PORT_BUSY) {
        return MVM_PORT_BUSY;
    }
    if (r < 0) {
        return r;
    }
    struct mvm_posix_kmsg log;
    mvm_posix_kmsg_open(&log);
    int err = d.type != NULL ? try_type(&d, dir, d.type, flags) : try_all(&d, dir, flags);
    if (err == 0) {
        mvm_posix_kmsg_close(&log);
        return 0;
    }
    r = fail_to_mount(p, &d, read_only, err);
    if (d.type != NULL && err != EBUSY) {
        struct mvm_writer w = {p->reason, sizeof p->reason, strlen(p->reason), false};
        mvm_posix_explain_mount(&w, device, d.read_only, &log);
        mvm_writer_finish(&w);
    }
    mvm_posix_kmsg_close(&log);
    return r;
}

/* ---- releasing ---- */

int mvm_posix_sync_fs(struct mvm_posix *p, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    int r = syncfs(fd) < 0 ? mvm_posix_fail(p, "syncfs", errno) : 0;
    close(fd);
    return r;
}

/* A link is followed, as mount(2) followed it. */
int mvm_posix_unmount(struct mvm_posix *p, const char *dir)
{
    return umount2(dir, 0) < 0 ? mvm_posix_fail(p, "umount", errno) : 0;
}

int mvm_posix_remount_ro(struct mvm_posix *p, const char *dir)
{
    unsigned long flags = MS_REMOUNT | MS_RDONLY | mount_flags;
    return mount("none", dir, "none", flags, NULL) < 0 ? mvm_posix_fail(p, "remount", errno) : 0;
}

static int fail_in_use(struct mvm_posix *p, const char *device)
{
    struct mvm_writer w;
    mvm_writer_init(&w, p->reason, sizeof p->reason);
    mvm_writer_add3(&w, device, ": it is still in use: mounted ", "");
    if (!mvm_posix_add_mount_point(device, &w)) {
        mvm_writer_add(&w, "elsewhere, or in another mount namespace");
    }
    mvm_writer_finish(&w);
    return MVM_PORT_BUSY;
}

/* An exclusive open fails while the device's file system is mounted, in whichever namespace. */
int mvm_posix_released(struct mvm_posix *p, const char *device)
{
    int fd = open(device, O_RDONLY | O_EXCL | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    int err = errno;
    if (err == EBUSY) {
        return fail_in_use(p, device);
    }
    mvm_posix_fail(p, "open", err);
    return is_absent(err) ? MVM_PORT_NOT_FOUND : MVM_PORT_FAILED;
}
