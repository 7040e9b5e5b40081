#define _GNU_SOURCE
#include "init_mounts.h"
#include "init_device.h"
#include "system.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    const char *dir;
    const char *type;
    unsigned long flags;
    const char *data;
};

/* In this order: each needs those before it. All that is in memory may fill up, and the machine
 * must go on: half of the memory each, which is the kernel's default, is more than there is. */
static const struct place places[] = {
    {"/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
    {"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
    {"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=10%"},
    {"/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=50%"},
    {"/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=10%"},
    {"/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
};

enum { PLACES_LEN = sizeof places / sizeof places[0] };

static const struct {
    const char *target;
    const char *name;
} links[] = {
    {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
};

static int errors[PLACES_LEN]; /* an errno for each; 0: mounted */

/* A mount point is on another device than its parent directory. */
static bool is_mounted(const char *dir)
{
    char parent[64];
    struct stat here, above;
    mvm_text_join(parent, sizeof parent, dir, "/..", "");
    return stat(dir, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

static int mount_place(const struct place *p, bool spare)
{
    /* A root file system that cannot be written may still have the directory. */
    if (mkdir(p->dir, 0755) < 0 && errno != EEXIST && errno != EROFS) {
        return errno;
    }
    if (is_mounted(p->dir) ||
        (spare && strcmp(p->type, "tmpfs") == 0 && access(p->dir, W_OK) == 0)) {
        return 0;
    }
    bool done = mount(p->type, p->dir, p->type, p->flags, p->data) == 0 || errno == EBUSY;
    return done ? 0 : errno;
}

void mvm_init_mounts(bool spare)
{
    for (size_t i = 0; i < PLACES_LEN; i++) {
        errors[i] = mount_place(&places[i], spare);
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        (void)!symlink(links[i].target, links[i].name); /* it exists, or /dev is read-only */
    }
}

void mvm_init_mounts_undo(void)
{
    for (size_t i = PLACES_LEN; i > 0; i--) {
        umount2(places[i - 1].dir, MNT_DETACH | UMOUNT_NOFOLLOW); /* whatever is open stays open */
    }
}

void mvm_init_mounts_say(void)
{
    for (size_t i = 0; i < PLACES_LEN; i++) {
        if (errors[i] != 0) {
            mvm_init_fail("cannot mount ", places[i].dir, mvm_posix_error_text(errors[i]));
        }
    }
}
