/*
 * Process 1 of a pid namespace, as a container's first process is, on a machine that goes on:
 * nothing of the machine is mounted over, unmounted, made read-only or named. The machine is a root
 * in memory with mounts and a name of its own, which the agent shares.
 */
#define _GNU_SOURCE
#include "support.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

static char root[E2E_PATH_CAP];
static pid_t agent; /* as seen from outside */

/* Exit statuses of the machine: what was wrong after the agent's end. */
enum { FINE = 0, UNUSABLE = 100, COVERED, UNMOUNTED, READ_ONLY, RENAMED, NO_EXIT };

/* ---- the machine ---- */

static bool make_dirs(const char *path)
{
    char part[3 * E2E_PATH_CAP];
    for (const char *at = path; (at = strchr(at + 1, '/')) != NULL;) {
        snprintf(part, sizeof part, "%s%.*s", root, (int)(at - path), path);
        mkdir(part, 0755);
    }
    snprintf(part, sizeof part, "%s%s", root, path);
    return mkdir(part, 0755) == 0 || e2e_exists(part);
}

/* Has a directory of this machine in that one, under the same name. */
static bool share(const char *path)
{
    char to[3 * E2E_PATH_CAP];
    snprintf(to, sizeof to, "%s%s", root, path);
    return !e2e_exists(path) ||
           (make_dirs(path) && mount(path, to, NULL, MS_BIND | MS_REC, NULL) == 0);
}

static void put(const char *path)
{
    FILE *f = fopen(path, "w");
    if (f != NULL) {
        fputs("precious", f);
        fclose(f);
    }
}

static bool enter_machine(const char *programs)
{
    static const char name[] = "the-machine";
    static const char *const shared[] = {"/usr", "/bin", "/lib", "/lib64", "/dev"};
    bool good = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                mount("none", root, "tmpfs", 0, NULL) == 0;
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        good = good && share(shared[i]);
    }
    good = good && share(programs) && share(e2e_path(".")) && make_dirs("/proc") &&
           make_dirs("/run") && make_dirs("/data") && chroot(root) == 0 && chdir("/") == 0 &&
           mount("proc", "/proc", "proc", 0, NULL) == 0 &&
           mount("none", "/data", "ramfs", 0, NULL) == 0 && sethostname(name, sizeof name - 1) == 0;
    put("/run/precious");
    put("/data/precious");
    return good && e2e_exists("/data/precious");
}

static int judge(int status)
{
    struct statvfs st;
    char name[64] = "";
    gethostname(name, sizeof name);
    return !e2e_exists("/run/precious")                             ? COVERED
           : !e2e_exists("/data/precious")                          ? UNMOUNTED
           : statvfs("/", &st) != 0 || (st.f_flag & ST_RDONLY) != 0 ? READ_ONLY
           : strcmp(name, "the-machine") != 0                       ? RENAMED
           : !WIFEXITED(status)                                     ? NO_EXIT
                                                                    : WEXITSTATUS(status);
}

static void be_agent(void)
{
    char listen[E2E_PATH_CAP + 8];
    const char *program = e2e_program("mvm-builder-agent");
    snprintf(listen, sizeof listen, "unix:%s", e2e_path("sock"));
    freopen(e2e_path("messages"), "w", stderr);
    execl(program, program, "--listen", listen, "--out-dir", e2e_path("out"), "--out-dev", "none",
          NULL);
    _exit(127);
}

/* A process that is the machine; `agent` runs in it as process 1 of a namespace. */
static pid_t start(void)
{
    int report[2];
    char programs[E2E_PATH_CAP];
    snprintf(programs, sizeof programs, "%s", e2e_program("."));
    snprintf(root, sizeof root, "%s", e2e_path("root"));
    e2e_make_dir(root);
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t machine = e2e_fork();
    if (machine == 0) {
        int status = 0;
        if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS) < 0 || !enter_machine(programs)) {
            _exit(UNUSABLE);
        }
        pid_t pid = fork();
        if (pid == 0) {
            be_agent();
        }
        (void)!write(report[1], &pid, sizeof pid);
        waitpid(pid, &status, 0);
        _exit(judge(status));
    }
    close(report[1]);
    if (read(report[0], &agent, sizeof agent) != sizeof agent) {
        close(report[0]);
        E2E_SKIP("no namespaces of mounts and processes");
    }
    close(report[0]);
    return machine;
}

static bool accepts(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void assert_ends_in_order(int sig)
{
    pid_t machine = start();
    assert_true(e2e_until(accepts, e2e_path("sock"), E2E_PATIENCE_MS));
    kill(agent, sig);
    int status = e2e_wait(machine, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), FINE);
    assert_int_equal(rmdir(root), 0);
}

static void the_machine_around_a_container_stays_as_it_was(void **state)
{
    (void)state;
    assert_ends_in_order(SIGTERM);
    const char *messages = e2e_read(e2e_path("messages")).bytes;
    assert_non_null(strstr(messages, "/build-in is read from /dev/vdc, unless --in-dev none"));
    assert_null(strstr(messages, "ending the machine"));
}

/* busybox's halt and poweroff; systemd's halt, poweroff and reboot, by the numbers they have on the
 * wire: not every libc's SIGRTMIN is the same. */
static void what_other_inits_are_asked_with_ends_it(void **state)
{
    (void)state;
    static const int signals[] = {SIGUSR1, SIGUSR2, 37, 38, 39};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_ends_in_order(signals[i]);
        assert_non_null(
            strstr(e2e_read(e2e_path("messages")).bytes, "stopping: halt, poweroff or reboot\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(the_machine_around_a_container_stays_as_it_was),
        E2E_TEST(what_other_inits_are_asked_with_ends_it),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
