/*
 * The end of a machine whose disk hangs. Process 1 is this program in pid and mount namespaces of
 * its own, in a root in memory: there reboot(2) ends the namespace alone.
 */
#define _GNU_SOURCE
#include "power.h"
#include "support.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Moves the disk into a root in memory, and ends the "machine". Returns only if it must not. */
static void be_process_1(const char *root, const char *disk)
{
    char path[2][2 * E2E_PATH_CAP];
    snprintf(path[0], sizeof path[0], "%s/proc", root);
    snprintf(path[1], sizeof path[1], "%s/disk", root);
    if (getpid() != 1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", root, "tmpfs", 0, NULL) < 0 || mkdir(path[0], 0755) < 0 ||
        mkdir(path[1], 0755) < 0 || mount("proc", path[0], "proc", 0, NULL) < 0 ||
        mount(disk, path[1], NULL, MS_MOVE, NULL) < 0 || chroot(root) < 0 || chdir("/") < 0 ||
        access("/etc", F_OK) == 0) {
        return;
    }
    mvm_power_end(MVM_POWER_OFF, false);
}

/* A process that waits for it, and ends with the signal's number. */
static pid_t start(const char *root, const char *disk, int log)
{
    pid_t outer = e2e_fork();
    if (outer == 0) {
        int status = 0;
        dup2(log, STDERR_FILENO);
        close(log);
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
            _exit(126);
        }
        pid_t pid = fork();
        if (pid == 0) {
            be_process_1(root, disk);
            _exit(125);
        }
        close(STDERR_FILENO);
        waitpid(pid, &status, 0);
        _exit(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    return outer;
}

/* Reads the log until `text` came; false: not in time. */
static bool says(int log, const char *text, int ms)
{
    static char all[4096];
    size_t len = 0;
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    for (all[0] = '\0'; strstr(all, text) == NULL; all[len] = '\0') {
        struct pollfd p = {.fd = log, .events = POLLIN};
        ssize_t n = poll(&p, 1, 100) > 0 ? read(log, all + len, sizeof all - 1 - len) : 0;
        len += n > 0 ? (size_t)n : 0;
        if (e2e_now_ms() > until || (n == 0 && p.revents != 0)) {
            print_message("the log: %s\n", all);
            return false;
        }
    }
    return true;
}

static void a_machine_ends_though_a_disk_hangs(void **state)
{
    char path[2 * E2E_PATH_CAP];
    char device[E2E_PATH_CAP];
    char outer[E2E_PATH_CAP];
    int log[2];
    (void)state;
    e2e_need_disks();
    snprintf(device, sizeof device, "%s", e2e_loop(e2e_make_image("o.img", 98304, NULL), false));
    snprintf(outer, sizeof outer, "%s", e2e_mount(device, "outer", false));
    assert_int_equal(
        E2E_RUN("cp", "--sparse=never", e2e_make_image("i.img", 32768, NULL), outer)->status, 0);
    snprintf(path, sizeof path, "%s/i.img", outer);
    const char *disk = e2e_mount(e2e_loop(path, false), "inner", false);
    assert_int_equal(E2E_RUN("sync", "-f", outer)->status, 0);
    assert_int_equal(e2e_freeze(outer, device), 0);
    snprintf(path, sizeof path, "%s/dirty", disk);
    e2e_write_text(path, "not on the disk yet");
    e2e_make_dir(e2e_path("root"));
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    pid_t pid = start(e2e_path("root"), disk, log[1]);
    close(log[1]);
    bool ends =
        says(log[0], "a disk does not answer: it is not unmounted", 30000) && says(log[0], "", 10);
    e2e_thaw();
    close(log[0]);
    int status = e2e_wait(pid, 60000);
    assert_true(ends);
    assert_int_equal(WEXITSTATUS(status), SIGINT); /* what reboot(2) leaves of a namespace */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_machine_ends_though_a_disk_hangs),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
