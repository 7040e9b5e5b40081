#define _GNU_SOURCE
#include "init_root.h"
#include "init_device.h"
#include "init_mounts.h"
#include "log.h"
#include "system.h"
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char new_root[] = "/mvm-root";

static const char cannot_use[] = "cannot use the root file system on ";

static bool fail(const char *device, const char *why)
{
    return mvm_init_fail(cannot_use, device, why);
}

static bool mount_new_root(const char *device, const char *type)
{
    if (mkdir(new_root, 0755) < 0 && errno != EEXIST) {
        return fail(device, mvm_posix_error_text(errno));
    }
    struct mvm_posix_kmsg log;
    mvm_posix_kmsg_open(&log);
    bool mounted = mount(device, new_root, type, 0, NULL) == 0 ||
                   ((errno == EACCES || errno == EROFS) &&
                    mount(device, new_root, type, MS_RDONLY, NULL) == 0);
    if (!mounted) {
        mvm_init_fail_mount(cannot_use, device, type, errno, &log);
    }
    mvm_posix_kmsg_close(&log);
    return mounted;
}

/* With a root on which these cannot be made no client would reach the machine. */
static bool has_mount_points(const char *device)
{
    static const char *const dirs[] = {"/proc", "/sys", "/dev"};
    char path[sizeof new_root + 8], why[80];
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        mvm_text_join(path, sizeof path, new_root, dirs[i], "");
        if (access(path, F_OK) < 0 && mkdir(path, 0755) < 0) {
            mvm_text_join(why, sizeof why, dirs[i],
                          " cannot be made: ", mvm_posix_error_text(errno));
            umount2(new_root, MNT_DETACH);
            return fail(device, why);
        }
    }
    return true;
}

static bool enter(void)
{
    return chdir(new_root) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 &&
           chdir("/") == 0;
}

bool mvm_init_root(const char *device)
{
    int fd = mvm_init_device_open(device);
    if (fd < 0) {
        return fail(device, mvm_posix_error_text(errno));
    }
    const char *type = mvm_posix_superblock_type(fd);
    close(fd);
    if (type == NULL) {
        return fail(device, "no file system found");
    }
    if (!mount_new_root(device, type) || !has_mount_points(device)) {
        return false;
    }
    mvm_init_mounts_undo();
    bool entered = enter();
    int error = errno;
    mvm_init_mounts(false);
    if (!entered) {
        return fail(device, mvm_posix_error_text(error));
    }
    mvm_log("the root file system is on ", device, NULL);
    return true;
}
