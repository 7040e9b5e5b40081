#define _GNU_SOURCE
#include "power.h"
#include "log.h"
#include "small_files.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINGER_MS = 200,                 /* a port may still be sending the last bytes */
    GRACE_MS = 1000,                 /* from SIGTERM to SIGKILL, and from there on */
    DISKS_MS = MVM_DISK_PATIENCE_MS, /* for disks to be written and unmounted */
    ROUND_MS = 10,
};

static void sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* Signals every process and reaps those that end, until none is left or the time is over. */
static void signal_all(int sig)
{
    kill(-1, sig);
    for (int ms = 0; ms < GRACE_MS; ms += ROUND_MS) {
        pid_t pid;
        do {
            pid = waitpid(-1, NULL, WNOHANG);
        } while (pid > 0);
        if (pid < 0 && errno == ECHILD) {
            return;
        }
        sleep_ms(ROUND_MS);
    }
}

/* ---- disks ---- */

static bool read_path(struct mvm_text field, char *path, size_t cap)
{
    struct mvm_writer w;
    mvm_writer_init(&w, path, cap);
    mvm_posix_add_unescaped(&w, field);
    return !w.cut;
}

static bool holds_data(struct mvm_text type)
{
    static const char *const without[] = {"rootfs", "proc",    "sysfs",  "devtmpfs",
                                          "devpts", "cgroup2", "cgroup", "tmpfs"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        if (mvm_text_equal(type, without[i])) {
            return false;
        }
    }
    return true;
}

/* Counts the mounts that hold data, the root apart, in the order they were made. The path of number
 * `n`, from 1 on, into `path`. */
static size_t find_mount(size_t n, char *path, size_t cap)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    size_t count = 0;
    if (!mvm_posix_lines_open(&l, AT_FDCWD, "/proc/self/mounts")) {
        return 0;
    }
    while (mvm_posix_lines_next(&l, &line)) {
        mvm_posix_cut(&line, ' ');
        struct mvm_text dir = mvm_posix_cut(&line, ' ');
        if (holds_data(mvm_posix_cut(&line, ' ')) && !mvm_text_equal(dir, "/") && ++count == n &&
            !read_path(dir, path, cap)) {
            path[0] = '\0';
        }
    }
    mvm_posix_lines_close(&l);
    return count;
}

static void unmount_all(void)
{
    char path[MVM_PATH_MAX];
    for (size_t n = find_mount(0, path, sizeof path); n > 0; n--) {
        path[0] = '\0';
        find_mount(n, path, sizeof path);
        if (umount2(path, UMOUNT_NOFOLLOW) < 0) {
            struct mvm_log_line line;
            const char *why = mvm_posix_error_text(errno);
            mvm_log_begin(&line, "cannot unmount ");
            mvm_writer_add3(&line.w, path, ": ", why);
            mvm_log_end(&line);
        }
    }
    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY,
          NULL); /* fails harmlessly for a root in memory */
}

/* In a process of its own: one that waits for a disk that hangs cannot be ended. */
static void release_disks(void)
{
    pid_t pid = mvm_posix_fork();
    if (pid <= 0) {
        sync();
        unmount_all();
        sync();
    }
    if (pid == 0) {
        _exit(0);
    }
    int ms = 0;
    while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
        if (ms >= DISKS_MS) {
            mvm_log("a disk does not answer: it is not unmounted", NULL, NULL);
            return;
        }
        sleep_ms(ROUND_MS);
        ms += ROUND_MS;
    }
}

/* ---- power ---- */

void mvm_power_end(enum mvm_power how, bool contained)
{
    static const struct {
        const char *name;
        int command;
    } ways[] = {
        [MVM_POWER_OFF] = {"power off", (int)RB_POWER_OFF},
        [MVM_POWER_REBOOT] = {"reboot", (int)RB_AUTOBOOT},
        [MVM_POWER_HALT] = {"halt", (int)RB_HALT_SYSTEM},
    };
    sleep_ms(LINGER_MS);
    signal_all(SIGTERM);
    signal_all(SIGKILL);
    if (!contained) {
        release_disks();
    }
    if (contained && how != MVM_POWER_REBOOT) {
        return; /* with an exit status: reboot(2) would be reported as killed by SIGINT */
    }
    mvm_log("ending the machine: ", ways[how].name, NULL);
    reboot(ways[how].command);
    mvm_log("cannot end the machine: ", mvm_posix_error_text(errno), NULL);
}
