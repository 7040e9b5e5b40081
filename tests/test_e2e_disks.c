/* What Ok guarantees of the output disk, with the real agent: the disk is released, and its
 * contents were built. */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static const char *device;
static const char *store;

static void prepare(const char *before)
{
    char nix[512];
    e2e_need_disks();
    device = e2e_loop(e2e_make_image("disk.img", 16384, NULL), false);
    store = e2e_store_image("the kernel", "the rootfs");
    snprintf(nix, sizeof nix, "%s\necho building >&2; echo %s", before, store);
    e2e_write_nix(nix);
}

static bool is_there(const char *path)
{
    return e2e_exists(path);
}

/* Until the build runs. */
static void await_once(void)
{
    assert_true(e2e_until(is_there, e2e_path("nix.once"), E2E_PATIENCE_MS));
}

static struct e2e_conn *build(void)
{
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build_secs(c, "x", 60);
    return c;
}

/* An exclusive open fails while anything has it mounted. */
static bool is_released(void)
{
    int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void a_disk_that_a_killed_agent_has_mounted_is_released_before_ok(void **state)
{
    (void)state;
    prepare("[ -e \"$0.once\" ] || { touch \"$0.once\"; exec sleep 1000; }");
    pid_t pid = E2E_AGENT("a", "--out-dev", device);
    struct e2e_conn *c = build();
    await_once();
    assert_false(is_released());
    e2e_end(pid, SIGKILL);
    e2e_close(c);
    E2E_AGENT("a", "--out-dev", device);
    assert_string_equal(e2e_assert_ok(build(), E2E_PATIENCE_MS), store);
    assert_true(is_released());
}

static void a_disk_that_another_namespace_has_mounted_is_not_an_ok(void **state)
{
    (void)state;
    int ready[2];
    char byte;
    prepare("[ -e \"$0.once\" ] || { touch \"$0.once\"; "
            "while [ ! -e \"$0.go\" ]; do sleep 0.1; done; }");
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    E2E_AGENT("a", "--out-dev", device);
    struct e2e_conn *c = build();
    await_once();
    pid_t holder = e2e_fork();
    if (holder == 0) {
        unshare(CLONE_NEWNS);
        (void)!write(ready[1], "r", 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    e2e_write_text(e2e_path("nix.go"), "");
    const char *text = e2e_assert_err(c, "failed to release ", E2E_PATIENCE_MS);
    assert_non_null(strstr(text, "it is still in use"));
    e2e_end(holder, SIGKILL);
    e2e_assert_ok(build(), E2E_PATIENCE_MS);
    assert_true(is_released());
}

/* By an agent with another directory, which was killed. */
static void a_disk_that_is_mounted_elsewhere_fails_the_build_before_it_starts(void **state)
{
    (void)state;
    prepare("[ -e \"$0.once\" ] && touch \"$0.twice\" || { touch \"$0.once\"; exec sleep 1000; }");
    pid_t pid = E2E_AGENT("a", "--out-dev", device);
    struct e2e_conn *c = build();
    await_once();
    e2e_end(pid, SIGKILL);
    e2e_close(c);
    E2E_AGENT("b", "--out-dev", device);
    c = e2e_dial("b");
    e2e_say_build_secs(c, "x", 60);
    const char *text = e2e_assert_err(c, "mount ", E2E_PATIENCE_MS);
    assert_non_null(strstr(text, ": it is still in use: mounted on "));
    assert_non_null(strstr(text, "a.out"));
    assert_false(e2e_exists(e2e_path("nix.twice")));
}

static void a_mount_over_the_disk_is_not_an_ok_until_it_is_gone(void **state)
{
    (void)state;
    const char *over = "failed: something else is mounted over it";
    prepare("[ -e \"$0.once\" ] || { touch \"$0.once\"; mount -t tmpfs x \"$0.out\"; "
            "mount -t tmpfs x \"$0.out\"; }");
    assert_int_equal(symlink("a.out", e2e_path("nix.out")), 0);
    E2E_AGENT("a", "--out-dev", device);
    e2e_assert_err(build(), "failed to copy artifacts: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(e2e_assert_err(build(), "mount ", E2E_PATIENCE_MS), over));
    e2e_unmount(e2e_path("a.out"));
    e2e_unmount(e2e_path("a.out"));
    e2e_assert_ok(build(), E2E_PATIENCE_MS);
    assert_true(is_released());
}

static void a_disk_that_comes_half_a_second_late_is_used(void **state)
{
    (void)state;
    prepare("");
    const char *link = e2e_path("late");
    E2E_AGENT("a", "--out-dev", link);
    struct e2e_conn *c = build();
    e2e_sleep_ms(500);
    assert_int_equal(symlink(device, link), 0);
    e2e_assert_ok(c, E2E_PATIENCE_MS);
    const char *seen = e2e_mount(device, "seen", true);
    char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/vmlinux", seen);
    e2e_assert_file(path, "the kernel");
    e2e_unmount(seen);
}

static void a_directory_in_the_way_leaves_the_earlier_set(void **state)
{
    (void)state;
    prepare("");
    E2E_AGENT("a");
    e2e_make_dir(e2e_path("a.out"));
    e2e_write_text(e2e_path("a.out/vmlinux"), "old kernel");
    e2e_make_dir(e2e_path("a.out/rootfs.ext4"));
    const char *text =
        e2e_assert_err(build(), "failed to copy artifacts: rootfs.ext4: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(text, "Is a directory"));
    e2e_assert_file(e2e_path("a.out/vmlinux"), "old kernel");
}

static void a_link_out_of_the_store_is_not_followed(void **state)
{
    (void)state;
    char path[2 * E2E_PATH_CAP];
    prepare("");
    E2E_AGENT("a");
    snprintf(path, sizeof path, "%s/kernel", store);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    const char *text =
        e2e_assert_err(build(), "failed to copy artifacts: kernel: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(text, "it leads to /etc/passwd, which is not in /nix/store"));
    assert_false(e2e_exists(e2e_path("a.out/vmlinux")));
    assert_false(e2e_exists(e2e_path("a.out/.vmlinux.mvm-tmp")));
}

static void a_limit_on_the_size_of_files_is_an_error_and_the_agent_lives(void **state)
{
    (void)state;
    struct rlimit before;
    prepare("yes 'a line of the build' | head -n 20000");
    getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit limit = {65536, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    E2E_AGENT("a");
    setrlimit(RLIMIT_FSIZE, &before);
    const char *text =
        e2e_assert_err(build(), "failed to copy artifacts: build.log: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(text, "File too large"));
    e2e_ping(e2e_dial("a"), E2E_PATIENCE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_disk_that_a_killed_agent_has_mounted_is_released_before_ok),
        E2E_TEST(a_disk_that_another_namespace_has_mounted_is_not_an_ok),
        E2E_TEST(a_disk_that_is_mounted_elsewhere_fails_the_build_before_it_starts),
        E2E_TEST(a_mount_over_the_disk_is_not_an_ok_until_it_is_gone),
        E2E_TEST(a_disk_that_comes_half_a_second_late_is_used),
        E2E_TEST(a_directory_in_the_way_leaves_the_earlier_set),
        E2E_TEST(a_link_out_of_the_store_is_not_followed),
        E2E_TEST(a_limit_on_the_size_of_files_is_an_error_and_the_agent_lives),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
