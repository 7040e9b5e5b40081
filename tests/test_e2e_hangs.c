/*
 * Real disks that hang: an output disk whose own disk is frozen (FIFREEZE), in each state of a job.
 * Pings are answered meanwhile, an idle agent uses no processor time, and the build continues with
 * the thaw, or ends with its time-out. MVM_PINGS_REPORT names a file to which each state's
 * latencies are appended.
 */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { TRIES = 20, BUSY_MS = 20000 }; /* for a busy machine */
enum { PINGS = 200, PINGS_MS = 2000, KIB_OUTER = 98304, KIB_INNER = 65536, SLOWEST_MS = 5000 };

/* The agent's output disk: an ext4 in a file on another ext4, and the outer one is frozen. */
static const char *outer;
static char outer_device[E2E_PATH_CAP];
static char device[E2E_PATH_CAP];
static char out[E2E_PATH_CAP];
static pid_t agent;

static void start(const char *nix)
{
    const char *none = e2e_make_image("outer.img", KIB_OUTER, NULL);
    snprintf(outer_device, sizeof outer_device, "%s", e2e_loop(none, false));
    outer = e2e_mount(outer_device, "outer", false);
    snprintf(out, sizeof out, "%s", e2e_path("a.out"));
    char image[E2E_PATH_CAP];
    snprintf(image, sizeof image, "%s", e2e_make_image("inner.img", KIB_INNER, NULL));
    const struct e2e_result *r = E2E_RUN("cp", "--sparse=never", image, outer);
    assert_int_equal(r->status, 0);
    snprintf(image, sizeof image, "%s/inner.img", outer);
    snprintf(device, sizeof device, "%s", e2e_loop(image, false));
    assert_int_equal(E2E_RUN("sync", "-f", outer)->status, 0);
    e2e_write_nix(nix);
    agent = E2E_AGENT("a", "--out-dev", device, "--out-dir", out, "--heartbeat", "1");
}

/* The agent's only child that is not nix. */
static pid_t worker(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)agent, (int)agent);
    for (int i = 0; i < 1000; i++) {
        int pid = atoi(e2e_read(path).bytes);
        if (pid > 0) {
            return pid;
        }
        e2e_sleep_ms(5);
    }
    fail_msg("the agent has no worker");
    return -1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void ping_while(const char *what)
{
    struct e2e_conn *c = e2e_dial("a");
    uint64_t until = e2e_now_ms() + PINGS_MS; /* an agent that is stopped ends soon */
    e2e_pings_begin();
    for (int i = 0; i < PINGS && (i == 0 || e2e_now_ms() < until); i++) {
        e2e_pings_add(c);
    }
    e2e_close(c);
    assert_true(e2e_pings_end(what) < (double)SLOWEST_MS);
}

static struct e2e_conn *build(unsigned secs)
{
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build_secs(c, "x", secs);
    return c;
}

static bool is_blocked(const char *stat_path)
{
    const char *state = strrchr(e2e_read(stat_path).bytes, ')');
    return state != NULL && state[1] == ' ' && state[2] == 'D';
}

/* Waits until the worker waits for a disk. */
static void await_blocked(void)
{
    char stat_path[32];
    snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", (int)worker());
    assert_true(e2e_until(is_blocked, stat_path, E2E_PATIENCE_MS));
}

static struct timespec begun; /* files of an earlier build are older */

static bool is_new(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_mtim.tv_sec >= begun.tv_sec;
}

static bool is_mounted(const char *path)
{
    return strstr(e2e_read("/proc/self/mounts").bytes, path) != NULL;
}

/* Waits for a short-lived state of a build. */
static bool catch (bool (*ready)(const char *), const char *about)
{
    uint64_t until = e2e_now_ms() + 6000;
    while (!ready(about)) {
        if (e2e_now_ms() >= until) {
            return false;
        }
    }
    return true;
}

/* Builds, stops the worker once `ready` is true, freezes the disk, and continues the worker, which
 * then blocks. */
static struct e2e_conn *build_and_freeze(bool (*ready)(const char *), const char *about,
                                         const char *path, const char *on)
{
    for (int i = 0; i < TRIES; i++) {
        e2e_sleep_ms(i > 0 ? 1000 : 0);
        clock_gettime(CLOCK_REALTIME, &begun);
        struct e2e_conn *c = build(60);
        pid_t pid = worker();
        if (catch (ready, about)) {
            kill(pid, SIGSTOP);
            int error = e2e_freeze(path, on);
            kill(pid, SIGCONT);
            assert_true(error == 0 || error == ENODEV); /* the build was done with the disk */
            if (error == 0) {
                e2e_sleep_ms(50);
                return c;
            }
        }
        e2e_assert_ok(c, E2E_PATIENCE_MS);
        e2e_close(c);
    }
    fail_msg("%s was never seen", about);
    return NULL;
}

static const char *nix_script(const char *before)
{
    static char text[1024];
    static char rootfs[8 << 20];
    memset(rootfs, 'r', sizeof rootfs - 1);
    snprintf(text, sizeof text, "%secho building >&2; sleep 0.3; echo %s", before,
             e2e_store_image("kernel", rootfs));
    return text;
}

/* ---- the states ---- */

static void a_mount_that_hangs_holds_up_its_build_alone(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    assert_int_equal(e2e_freeze(outer, outer_device), 0);
    struct e2e_conn *c = build(60);
    e2e_sleep_ms(300);
    ping_while("the disk hangs: mounting");
    e2e_assert_idle(agent);
    e2e_thaw();
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

static void a_build_whose_log_hangs_waits_and_goes_on(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script("yes 'a line of the build, of which there are many' | head -n 40000; "));
    struct e2e_conn *c = build_and_freeze(is_mounted, out, out, device);
    ping_while("the disk hangs: writing build.log");
    e2e_thaw();
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

static void a_copy_that_hangs_holds_up_its_build_alone(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    struct e2e_conn *c =
        build_and_freeze(is_new, e2e_path("a.out/.rootfs.ext4.mvm-tmp"), out, device);
    ping_while("the disk hangs: copying");
    e2e_assert_idle(agent);
    e2e_thaw();
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

static void a_rename_that_hangs_holds_up_its_build_alone(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    struct e2e_conn *c = build_and_freeze(is_new, e2e_path("a.out/vmlinux"), out, device);
    ping_while("the disk hangs: renaming");
    e2e_assert_idle(agent);
    e2e_thaw();
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

static void a_release_that_hangs_holds_up_its_build_alone(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    struct e2e_conn *c = build_and_freeze(is_new, e2e_path("a.out/build.log"), outer, outer_device);
    ping_while("the disk hangs: releasing");
    e2e_assert_idle(agent);
    e2e_thaw();
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

/* ---- the end of it ---- */

/* The frozen disk is reported, its worker is abandoned, and the next build works after the thaw. */
static void a_time_out_is_answered_while_the_disk_hangs(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    assert_int_equal(e2e_freeze(outer, outer_device), 0);
    double begin = now();
    struct e2e_conn *c = build(2);
    pid_t hung = worker();
    const char *text =
        e2e_assert_err(c, "nix build timed out after 2 s: mounting ", E2E_PATIENCE_MS);
    assert_non_null(strstr(text, ": the disk does not answer"));
    assert_true(now() - begin < 2000 + MVM_DISK_PATIENCE_MS + BUSY_MS);
    e2e_assert_idle(agent);
    e2e_thaw();
    for (int i = 0; i < 300 && kill(hung, 0) == 0; i++) {
        e2e_sleep_ms(100); /* the agent is idle */
    }
    assert_int_equal(kill(hung, 0), -1);
    e2e_assert_ok(build(60), E2E_PATIENCE_MS);
}

static void a_cancel_is_answered_while_the_disk_hangs(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    assert_int_equal(e2e_freeze(outer, outer_device), 0);
    struct e2e_conn *gone = build(0);
    await_blocked();
    e2e_close(gone);
    double begin = now();
    struct e2e_conn *c = build(60); /* waits for the first, whose client has gone */
    e2e_sleep_ms(500);
    ping_while("the disk hangs: after a cancel");
    e2e_await_log("a", "build failed: build cancelled: mounting ");
    assert_true(now() - begin < MVM_DISK_PATIENCE_MS + BUSY_MS);
    e2e_thaw();
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

/* Its client gets an answer first, and so do clients that connect while it stops. */
static void an_agent_that_is_stopped_ends_while_the_disk_hangs(void **state)
{
    (void)state;
    e2e_need_disks();
    start(nix_script(""));
    assert_int_equal(e2e_freeze(outer, outer_device), 0);
    struct e2e_conn *c = build(60);
    await_blocked();
    double begin = now();
    kill(agent, SIGTERM);
    e2e_await_log("a", "stopping: SIGTERM");
    struct e2e_conn *late = build(60);
    ping_while("the disk hangs: stopping");
    e2e_assert_err(c, "", E2E_PATIENCE_MS);
    e2e_assert_err(late, "build rejected: the agent is stopping", E2E_PATIENCE_MS);
    int status = e2e_wait(agent, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_true(now() - begin < MVM_DISK_PATIENCE_MS + BUSY_MS);
    e2e_thaw();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_mount_that_hangs_holds_up_its_build_alone),
        E2E_TEST(a_build_whose_log_hangs_waits_and_goes_on),
        E2E_TEST(a_copy_that_hangs_holds_up_its_build_alone),
        E2E_TEST(a_rename_that_hangs_holds_up_its_build_alone),
        E2E_TEST(a_release_that_hangs_holds_up_its_build_alone),
        E2E_TEST(a_time_out_is_answered_while_the_disk_hangs),
        E2E_TEST(a_cancel_is_answered_while_the_disk_hangs),
        E2E_TEST(an_agent_that_is_stopped_ends_while_the_disk_hangs),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
