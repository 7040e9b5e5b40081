#define _GNU_SOURCE
#include "init_store.h"
#include "init_device.h"
#include "log.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* <linux/ext4.h>, spelled out: not every libc comes with the kernel's headers. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

enum {
    E2FSCK_FAILED = 4, /* bits from here on: errors are left, or it could not run */
    EMPTY_BYTES = 1 << 20,
    PIECE = 4096,
};

static const char staging[] = "/run/mvm-store"; /* where the disk is until it is complete */
static const char nix_dir[] = "/nix";

static bool fail(const char *device, const char *why)
{
    return mvm_init_device_fail("cannot use the store on ", device, why);
}

static bool fail_errno(const char *device)
{
    return fail(device, mvm_posix_error_text(errno));
}

/* ---- programs of the root file system ---- */

static _Noreturn void exec(const char *const argv[])
{
    static const char *const dirs[] = {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/",
                                       "/run/current-system/sw/bin/"};
    static const char *const environment[] = {"PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        char path[64];
        if (mvm_text_join(path, sizeof path, dirs[i], argv[0], "")) {
            execve(path, (char *const *)argv, (char *const *)environment);
        }
    }
    _exit(127);
}

/* Runs a program to its end: its exit status; 127 if there is none, 128 if a signal ended it. */
static int run(const char *const argv[])
{
    int status;
    pid_t pid = mvm_posix_fork();
    if (pid == 0) {
        exec(argv);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return 127;
        }
    }
    return pid < 0 ? 127 : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* ---- the file system ---- */

static bool is_empty(int fd)
{
    char piece[PIECE];
    for (off_t at = 0; at < EMPTY_BYTES; at += PIECE) {
        ssize_t n = pread(fd, piece, sizeof piece, at);
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] != 0) {
                return false;
            }
        }
        if (n < 0) {
            return false;
        }
    }
    return true;
}

static bool format(const char *device)
{
    const char *const mkfs[] = {"mkfs.ext4", "-q", "-L", "mvm-store", device, NULL};
    mvm_log("the store's disk is empty: formatting ", device, NULL);
    return run(mkfs) == 0 || fail(device, "mkfs.ext4 failed, or is not there");
}

/* Quick if it is clean; else replays the journal and repairs what is safe to repair. */
static bool check(const char *device)
{
    const char *const e2fsck[] = {"e2fsck", "-p", device, NULL};
    int status = run(e2fsck);
    return (status < E2FSCK_FAILED) ||
           fail(device, status == 127 ? "there is no e2fsck" : "e2fsck leaves errors");
}

/* Makes or checks it. `*size` is the disk's, in bytes. */
static bool prepare(const char *device, uint64_t *size)
{
    int fd = mvm_init_device_open(device);
    if (fd < 0) {
        return fail_errno(device);
    }
    const char *type = mvm_posix_superblock_type(fd);
    bool empty = type == NULL && is_empty(fd);
    off_t end = lseek(fd, 0, SEEK_END);
    close(fd);
    if (end <= 0) {
        return fail(device, "not a disk");
    }
    *size = (uint64_t)end;
    if (empty) {
        return format(device);
    }
    if (type == NULL || strcmp(type, "ext4") != 0) {
        return fail(device, "it holds something other than an ext4 file system");
    }
    return check(device);
}

/* Grows the file system on a disk that was made larger. A failure does not stop the start.
 */
static void grow(const char *device, uint64_t size)
{
    struct statvfs fs;
    int fd = open(staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t blocks;
    if (fd < 0 || fstatvfs(fd, &fs) < 0 || fs.f_bsize == 0) {
        fail_errno(device);
    } else if ((blocks = size / fs.f_bsize) > 0 && ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks) < 0) {
        mvm_init_device_fail("cannot grow the store on ", device, mvm_posix_error_text(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* A new store begins as a copy of the root file system's. The name that marks it as complete is
 * created last: an interrupted copy is made again. */
static bool seed(const char *device)
{
    static const char mark[] = "/run/mvm-store/.mvm-store";
    const char *const cp[] = {"cp", "-a", "/nix/.", staging, NULL};
    if (access(mark, F_OK) == 0) {
        return true;
    }
    if (run(cp) != 0) {
        return fail(device, "cannot copy the root's own /nix to it");
    }
    sync();
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return fail_errno(device);
    }
    close(fd);
    return true;
}

static bool mount_store(const char *device, uint64_t size)
{
    if ((mkdir(nix_dir, 0755) < 0 && errno != EEXIST) ||
        (mkdir(staging, 0700) < 0 && errno != EEXIST) ||
        mount(device, staging, "ext4", MS_NODEV, NULL) < 0) {
        return fail_errno(device);
    }
    grow(device, size);
    bool done =
        seed(device) && (mount(staging, nix_dir, NULL, MS_MOVE, NULL) == 0 || fail_errno(device));
    if (!done) {
        umount2(staging, 0);
    }
    return done;
}

/* ---- nix's limits ---- */

static bool has_option(const struct mvm_options *o, const char *name)
{
    for (size_t i = 0; i < o->executor.nix_options_len; i++) {
        if (strcmp(o->nix_options[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* `text` is the option's value, in static memory. */
static void add_option(struct mvm_options *o, const char *name, char *text, size_t cap,
                       uint64_t value)
{
    struct mvm_writer w;
    if (has_option(o, name) || o->executor.nix_options_len == MVM_NIX_OPTIONS_MAX) {
        return;
    }
    mvm_writer_init(&w, text, cap);
    mvm_writer_add_u64(&w, value);
    o->nix_options[o->executor.nix_options_len++] = (struct mvm_nix_option){name, text};
}

bool mvm_init_store(struct mvm_options *o)
{
    static char min_free[24], max_free[24];
    uint64_t size = 0;
    if (!prepare(o->store, &size) || !mount_store(o->store, size)) {
        return false;
    }
    add_option(o, "min-free", min_free, sizeof min_free, size / 10);
    add_option(o, "max-free", max_free, sizeof max_free, size / 4);
    mvm_log("the nix store is on ", o->store, NULL);
    return true;
}
