#define _GNU_SOURCE
#include "init_root.h"
#include "init_mounts.h"
#include "log.h"
#include "mvm_limits.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUND_MS = 10 };

static const char new_root[] = "/mvm-root";

static bool fail(const char *device, const char *why)
{
    struct mvm_log_line line;
    mvm_log_begin(&line, "cannot use ");
    mvm_writer_add3(&line.w, device, " as root: ", why);
    mvm_log_end(&line);
    return false;
}

/* The open device; -1 with errno. Drivers find their devices while process 1 runs already. */
static int wait_for(const char *device)
{
    for (int ms = 0;; ms += ROUND_MS) {
        int fd = open(device, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 || (errno != ENOENT && errno != ENXIO) || ms >= MVM_ROOT_WAIT_MS) {
            return fd;
        }
        poll(NULL, 0, ROUND_MS);
    }
}

static bool mount_new_root(const char *device, const char *type)
{
    if (mkdir(new_root, 0755) < 0 && errno != EEXIST) {
        return fail(device, mvm_posix_error_text(errno));
    }
    if (mount(device, new_root, type, 0, NULL) == 0) {
        return true;
    }
    bool protected = errno == EACCES || errno == EROFS;
    return (protected && mount(device, new_root, type, MS_RDONLY, NULL) == 0) ||
           fail(device, mvm_posix_error_text(errno));
}

static bool enter(void)
{
    return chdir(new_root) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 &&
           chdir("/") == 0;
}

bool mvm_init_root(const char *device)
{
    int fd = wait_for(device);
    if (fd < 0) {
        return fail(device, mvm_posix_error_text(errno));
    }
    const char *type = mvm_posix_superblock_type(fd);
    close(fd);
    if (type == NULL) {
        return fail(device, "no file system found");
    }
    if (!mount_new_root(device, type)) {
        return false;
    }
    mvm_init_mounts_undo();
    bool entered = enter();
    int error = errno;
    mvm_init_mounts();
    if (!entered) {
        return fail(device, mvm_posix_error_text(error));
    }
    mvm_log("the root file system is on ", device, NULL);
    return true;
}
