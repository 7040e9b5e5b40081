/* Disks on loop devices in a private mount namespace, and store paths. */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { DISKS = 16, TRIES = 50, FROZEN = 2 };

static bool private_mounts;
static int loops[DISKS]; /* descriptors that hold the devices */
static int loops_len;
static int frozen[FROZEN]; /* descriptors of file systems */
static int frozen_len;
static char stores[DISKS][E2E_PATH_CAP];
static int stores_len;

/* Whether no program that tests run is in /nix. */
static bool is_elsewhere(void)
{
    char *shell = realpath("/bin/sh", NULL);
    bool elsewhere = shell != NULL && strncmp(shell, "/nix/", 5) != 0 && e2e_have("nix");
    free(shell);
    return elsewhere;
}

void e2e_disks_begin(void)
{
    private_mounts =
        unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
    mkdir("/nix", 0755);
    if (private_mounts && is_elsewhere()) {
        mount("tmpfs", "/nix", "tmpfs", 0, NULL); /* a private store */
    }
    mkdir("/nix/store", 0755);
}

/* Unmounts one mount in the test's directory, the agent's among them; false: there is none. */
static bool unmount_one(void)
{
    char *at = strstr((char *)e2e_read("/proc/self/mounts").bytes, e2e_path("%s", ""));
    if (at == NULL) {
        return false;
    }
    at[strcspn(at, " \n")] = '\0';
    return umount2(at, MNT_DETACH) == 0;
}

void e2e_disks_end(void)
{
    while (private_mounts && unmount_one()) {
    }
    while (loops_len > 0) {
        close(loops[--loops_len]);
    }
    while (stores_len > 0) {
        E2E_RUN("rm", "-rf", stores[--stores_len]);
    }
}

/* ---- disks that hang ---- */

static int try_to_freeze(int fd, const char *device)
{
    struct stat fs;
    struct stat dev;
    if (fstat(fd, &fs) < 0 || stat(device, &dev) < 0) {
        return errno;
    }
    if (!S_ISBLK(dev.st_mode)) {
        return ENOTBLK;
    }
    if (fs.st_dev != dev.st_rdev) {
        return ENODEV;
    }
    return ioctl(fd, FIFREEZE, 0) < 0 ? errno : 0;
}

int e2e_freeze(const char *mounted, const char *device)
{
    assert_true(frozen_len < FROZEN);
    int fd = open(mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? errno : try_to_freeze(fd, device);
    if (error == 0) {
        frozen[frozen_len++] = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    return error;
}

void e2e_thaw(void)
{
    while (frozen_len > 0) {
        int fd = frozen[--frozen_len];
        ioctl(fd, FITHAW, 0);
        close(fd);
    }
}

/* ---- loop devices ---- */

/* Attaches the image to a free loop device, which is freed with its last user; -1: there is
 * none. */
static int open_loop(const char *image, bool read_only, char *device, size_t cap)
{
    int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(image, flags);
    int loop = -1;
    for (int i = 0; i < TRIES && control >= 0 && file >= 0 && loop < 0; i++) {
        struct loop_config config = {
            .fd = (__u32)file,
            .info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0u),
        };
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) {
            break;
        }
        snprintf(device, cap, "/dev/loop%d", number);
        loop = open(device, flags);
        if (loop >= 0 &&
            ioctl(loop, LOOP_CONFIGURE, &config) < 0) { /* another process was faster */
            close(loop);
            loop = -1;
            e2e_sleep_ms(10);
        }
    }
    close(file);
    close(control);
    return loop;
}

static bool have_loops(void)
{
    char device[32];
    const char *image = e2e_path("probe.img");
    e2e_write(image, "", 0);
    assert_int_equal(truncate(image, 1 << 20), 0);
    int loop = open_loop(image, false, device, sizeof device);
    if (loop >= 0) {
        close(loop);
    }
    return loop >= 0;
}

void e2e_need_disks(void)
{
    if (!private_mounts) {
        E2E_SKIP("no private mounts (not root)");
    }
    if (!e2e_have("mkfs.ext4")) {
        E2E_SKIP("no mkfs.ext4 (package e2fsprogs)");
    }
    if (!have_loops()) {
        E2E_SKIP("no loop devices");
    }
}

const char *e2e_make_image(const char *name, unsigned kib, const char *from)
{
    char size[32];
    const char *path = e2e_path("%s", name);
    snprintf(size, sizeof size, "%uk", kib);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    const struct e2e_result *r = from == NULL
                                     ? E2E_RUN("mkfs.ext4", "-q", "-F", path, size)
                                     : E2E_RUN("mkfs.ext4", "-q", "-F", "-d", from, path, size);
    if (r->status != 0) {
        fail_msg("mkfs.ext4: %s", r->err);
    }
    return path;
}

const char *e2e_loop(const char *image, bool read_only)
{
    static char devices[DISKS][32];
    assert_true(loops_len < DISKS);
    int fd = open_loop(image, read_only, devices[loops_len], sizeof devices[0]);
    if (fd < 0) {
        fail_msg("no loop device for %s: %s", image, strerror(errno));
    }
    loops[loops_len] = fd;
    return devices[loops_len++];
}

const char *e2e_mount(const char *device, const char *name, bool read_only)
{
    const char *path = e2e_path("%s", name);
    const char *type = strcmp(device, "tmpfs") == 0 ? "tmpfs" : "ext4";
    e2e_make_dir(path);
    if (mount(device, path, type, read_only ? MS_RDONLY : 0, NULL) < 0) {
        fail_msg("mount %s: %s", device, strerror(errno));
    }
    return path;
}

void e2e_unmount(const char *path)
{
    if (umount2(path, 0) < 0) {
        fail_msg("umount %s: %s", path, strerror(errno));
    }
}

/* ---- store paths ---- */

const char *e2e_store_path(void)
{
    static unsigned number;
    assert_true(stores_len < DISKS);
    char *path = stores[stores_len];
    snprintf(path, E2E_PATH_CAP, "/nix/store/00000000000000000000000000000000-mvm-test-%d-%u",
             (int)getpid(), number++);
    if (mkdir(path, 0755) < 0) {
        E2E_SKIP("%s cannot be made: %s", path, strerror(errno));
    }
    return stores[stores_len++];
}

void e2e_write_store(const char *store_path, const char *name, const char *text)
{
    char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/%s", store_path, name);
    e2e_write_text(path, text);
}

const char *e2e_store_image(const char *kernel, const char *rootfs)
{
    const char *path = e2e_store_path();
    e2e_write_store(path, "kernel", kernel);
    e2e_write_store(path, "rootfs", rootfs);
    return path;
}
