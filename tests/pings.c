/*
 * Latencies of Pings while disks are slow or busy, too long for every check (bench/run-disks): an
 * idle agent to compare with, a disk of 1 MiB/s in each state of a job, and 10 GiB that are staged.
 * MVM_PINGS_DIR names a folder on a disk with room for 12 GiB.
 */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* Three names for one file, in each of two builds: 10.2 GiB, of which two sets and the source are
 * on the disk at a time. */
enum { IDLE_PINGS = 5000, BUILDS = 2, SOURCE_MIB = 1742, SLOW_BPS = 1 << 20 };

static char folder[E2E_PATH_CAP]; /* removed at the end */
static char throttled[64];        /* MAJOR:MINOR of a disk that was made slow */

/* ---- a slow disk ---- */

static const char *const rules[] = {"/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device",
                                    "/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device"};

static bool set_rules(unsigned bps)
{
    char text[96];
    bool set = true;
    int len = snprintf(text, sizeof text, "%s %u", throttled, bps);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        int fd = open(rules[i], O_WRONLY | O_CLOEXEC);
        set = set && fd >= 0 && write(fd, text, (size_t)len) == len;
        if (fd >= 0) {
            close(fd);
        }
    }
    return set;
}

/* The loop device of this test alone, whichever process writes to it. */
static void slow_down(const char *device)
{
    struct stat st;
    assert_int_equal(stat(device, &st), 0);
    assert_true(S_ISBLK(st.st_mode));
    snprintf(throttled, sizeof throttled, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (!set_rules(SLOW_BPS)) {
        E2E_SKIP("no blkio controller (cgroup v1) to slow a disk down");
    }
}

static int tear_down(void **state)
{
    if (throttled[0] != '\0') {
        set_rules(0);
        throttled[0] = '\0';
    }
    if (folder[0] != '\0') {
        E2E_RUN("rm", "-rf", "--one-file-system", folder);
        folder[0] = '\0';
    }
    return e2e_tear_down(state);
}

/* ---- measuring ---- */

/* A client that waits for `builds` answers in a row, all Ok; its exit status. */
static pid_t build_in_child(int builds)
{
    pid_t pid = e2e_fork();
    if (pid == 0) {
        struct e2e_conn *c = e2e_dial("a");
        for (int i = 0; i < builds; i++) {
            e2e_say_build_secs(c, "x", 3600);
            if (e2e_answer(c, 3600 * 1000).kind != MVM_MESSAGE_OK) {
                _exit(1);
            }
        }
        _exit(0);
    }
    return pid;
}

static bool has_exited(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0 || info.si_pid != 0;
}

/* Pings as long as the builds run. */
static void measure(const char *what, int builds)
{
    struct e2e_conn *c = e2e_dial("a");
    pid_t pid = build_in_child(builds);
    e2e_pings_begin();
    while (!has_exited(pid)) {
        e2e_pings_add(c);
    }
    e2e_pings_end(what);
    int status = e2e_wait(pid, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void idle(void **state)
{
    (void)state;
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    e2e_pings_begin();
    for (int i = 0; i < IDLE_PINGS; i++) {
        e2e_pings_add(c);
    }
    e2e_pings_end("idle");
}

/* Each build mounts, writes 6 MiB of log, stages 8 MiB and releases. */
static void a_slow_disk(void **state)
{
    static char image[4 << 20];
    char device[E2E_PATH_CAP];
    char nix[512];
    (void)state;
    e2e_need_disks();
    memset(image, 'i', sizeof image - 1);
    snprintf(nix, sizeof nix,
             "head -c 6291456 /dev/zero | tr '\\0' x | fold -w 8000 >&2; echo >&2; echo %s",
             e2e_store_image(image, image));
    e2e_write_nix(nix);
    snprintf(device, sizeof device, "%s", e2e_loop(e2e_make_image("d.img", 65536, NULL), false));
    E2E_AGENT("a", "--out-dev", device);
    slow_down(device);
    measure("the disk is slow (1 MiB/s): a whole build", 1);
}

static void make_dense(const char *path, unsigned mib)
{
    static char block[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < mib; i++) {
        memset(block, 'a' + (int)(i % 26), sizeof block);
        assert_int_equal(write(fd, block, sizeof block), (ssize_t)sizeof block);
    }
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

static void ten_gib(void **state)
{
    static const char *const names[] = {"rootfs.ext4", "initrd"};
    char path[2][2 * E2E_PATH_CAP];
    char nix[512];
    const char *on = getenv("MVM_PINGS_DIR");
    (void)state;
    if (on == NULL) {
        E2E_SKIP("MVM_PINGS_DIR is not set");
    }
    snprintf(folder, sizeof folder, "%s/pings-%d", on, (int)getpid());
    assert_int_equal(mkdir(folder, 0755), 0);
    const char *store = e2e_store_path();
    snprintf(path[0], sizeof path[0], "%s/vmlinux", store);
    make_dense(path[0], SOURCE_MIB);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path[1], sizeof path[1], "%s/%s", store, names[i]);
        assert_int_equal(link(path[0], path[1]), 0);
    }
    snprintf(nix, sizeof nix, "echo %s", store);
    e2e_write_nix(nix);
    E2E_AGENT("a", "--out-dir", folder);
    measure("10 GiB are staged", BUILDS);
}

#define PINGS_TEST(f) cmocka_unit_test_prestate_setup_teardown(f, e2e_set_up, tear_down, #f)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PINGS_TEST(idle),
        PINGS_TEST(a_slow_disk),
        PINGS_TEST(ten_gib),
    };
    setenv("MVM_TEST_SECS", "3600", 0);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
