/*
 * Long tests, for make soak: a thousand cancels, a thousand kills during staging, pings during a
 * gigabyte's copy, ten thousand connections, gigabytes of log. MVM_SOAK_PERCENT does less of each.
 */
#define _GNU_SOURCE
#include "rng.h"
#include "support.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

static struct rng rng = {.state = 1};

static int times(int all)
{
    const char *percent = getenv("MVM_SOAK_PERCENT");
    int n = percent != NULL ? all * atoi(percent) / 100 : all;
    return n > 0 ? n : 1;
}

static int count_open(pid_t pid)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

/* ---- cancels ---- */

static void cancels_at_any_moment_leave_nothing(void **state)
{
    const int cancels = times(1000);
    char mark[32];
    (void)state;
    snprintf(mark, sizeof mark, "soak%d", (int)getpid());
    e2e_write_nix("export MARK=\"$attr\"; echo begin\n"
                  "while :; do (setsid sh -c 'sleep 9 & sleep 9' &); sleep 9 & done");
    pid_t agent = E2E_AGENT("a");
    e2e_ping(e2e_dial("a"), E2E_PATIENCE_MS);
    int open_before = count_open(agent);
    for (int i = 0; i < cancels; i++) {
        struct e2e_conn *c = e2e_dial("a");
        e2e_say_build(c, "f", mark, "");
        if (rng_one_in(&rng, 2)) {
            e2e_await_line(c, "begin");
        }
        e2e_sleep_ms((int)rng_below(&rng, 30));
        e2e_close(c);
        e2e_assert_none_left(mark, E2E_PATIENCE_MS);
    }
    e2e_sleep_ms(100);
    assert_int_equal(e2e_count_zombies(agent), 0);
    assert_int_equal(count_open(agent), open_before);
    e2e_write_nix("exit 3");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "f", "a", "");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    print_message("%d cancels\n", cancels);
}

/* ---- kills ---- */

enum { IMAGE_BYTES = 3000001 };

static const char *make_image_of(char letter)
{
    static char bytes[IMAGE_BYTES + 1];
    memset(bytes, letter, IMAGE_BYTES);
    return e2e_store_image(bytes, bytes);
}

/* Absent, or all of one letter and as long as it was. */
static char letter_of(const char *path)
{
    if (!e2e_exists(path)) {
        return '-';
    }
    struct mvm_text file = e2e_read(path);
    if (file.len != IMAGE_BYTES || memcmp(file.bytes, file.bytes + 1, IMAGE_BYTES - 1) != 0) {
        fail_msg("%s is incomplete: %zu bytes", path, file.len);
    }
    return file.bytes[0];
}

static void a_kill_in_mid_staging_leaves_whole_files(void **state)
{
    static const char *const names[] = {"vmlinux", "rootfs.ext4"};
    const int kills = times(1000);
    int seen[128] = {0};
    char script[512];
    (void)state;
    e2e_need_disks();
    const char *dir = e2e_mount(e2e_loop(e2e_make_image("disk", 32768, NULL), false), "out", false);
    const char *images[] = {make_image_of('a'), make_image_of('b')};
    snprintf(script, sizeof script, "cat %s", e2e_path("which"));
    e2e_write_nix(script);
    unsigned whole_ms = 0; /* what a build takes here: the first one is not killed before its end */
    for (int i = 0; i <= kills; i++) {
        e2e_write_text(e2e_path("which"), images[i % 2]);
        pid_t agent = E2E_AGENT("a", "--out-dir", dir);
        struct e2e_conn *c = e2e_dial("a");
        uint64_t begun = e2e_now_ms();
        e2e_say_build(c, "f", "a", "");
        if (i == 0) {
            e2e_assert_ok(c, E2E_PATIENCE_MS);
            whole_ms = (unsigned)(e2e_now_ms() - begun) + 1;
        } else {
            e2e_sleep_ms((int)rng_below(&rng, 2 * whole_ms));
        }
        e2e_end(agent, SIGKILL);
        e2e_close(c);
        for (int n = 0; n < 2; n++) {
            char path[E2E_PATH_CAP];
            snprintf(path, sizeof path, "%s/%s", dir, names[n]);
            seen[(int)letter_of(path)]++;
        }
    }
    print_message("%d kills; files: %d absent, %d of one build, %d of the other\n", kills,
                  seen['-'], seen['a'], seen['b']);
    assert_true(kills < 100 || (seen['a'] > 0 && seen['b'] > 0));
}

/* ---- connections ---- */

static void connections_in_a_row_leave_nothing(void **state)
{
    const int many = times(10000);
    (void)state;
    e2e_write_nix("exit 3");
    pid_t agent = E2E_AGENT("a");
    int open_before = 0;
    long kib_before = 0;
    for (int i = 0; i <= many; i++) {
        struct e2e_conn *c = e2e_dial("a");
        e2e_ping(c, E2E_PATIENCE_MS);
        e2e_close(c);
        if (i == 0) {
            e2e_sleep_ms(1000);
            open_before = count_open(agent);
            kib_before = e2e_status_kib(agent, "RssAnon");
        }
    }
    e2e_sleep_ms(1000);
    assert_int_equal(count_open(agent), open_before);
    assert_true(e2e_status_kib(agent, "RssAnon") <= kib_before + 64);
    print_message("%d connections in a row\n", many);
}

static void a_thousand_at_once_are_all_served(void **state)
{
    enum { AT_ONCE = 1000 };
    static struct pollfd fds[AT_ONCE];
    int served = 0;
    (void)state;
    e2e_write_nix("exit 3");
    pid_t agent = E2E_AGENT("a");
    for (int i = 0; i < AT_ONCE; i++) {
        fds[i] = (struct pollfd){e2e_try_connect(e2e_path("a.sock")), POLLIN, 0};
        assert_true(fds[i].fd >= 0);
        assert_int_equal(write(fds[i].fd, E2E_PING, strlen(E2E_PING)), (ssize_t)strlen(E2E_PING));
    }
    uint64_t until = e2e_now_ms() + 60000;
    while (served < AT_ONCE) {
        assert_true(e2e_now_ms() < until);
        poll(fds, AT_ONCE, 100);
        for (int i = 0; i < AT_ONCE; i++) {
            char pong[sizeof E2E_PONG];
            if (fds[i].fd >= 0 && (fds[i].revents & POLLIN) != 0) {
                assert_int_equal(read(fds[i].fd, pong, sizeof pong), (ssize_t)strlen(E2E_PONG) + 1);
                assert_memory_equal(pong, E2E_PONG "\n", strlen(E2E_PONG) + 1);
                close(fds[i].fd);
                fds[i].fd = -1;
                served++;
            }
        }
    }
    e2e_sleep_ms(100);
    e2e_ping(e2e_dial("a"), E2E_PATIENCE_MS);
    assert_int_equal(e2e_count_zombies(agent), 0);
}

/* ---- pings ---- */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

enum { PINGS_MAX = 100000 };
static int ping_ms[PINGS_MAX];
static size_t pings;

static void ping_now(struct e2e_conn *c)
{
    if (pings < PINGS_MAX) {
        ping_ms[pings++] = e2e_ping(c, E2E_PATIENCE_MS);
    }
}

/* 99 of 100 were answered within `ms`. Prints the times and resets them. */
static void assert_pings_within(int ms)
{
    qsort(ping_ms, pings, sizeof ping_ms[0], by_number);
    int most = ping_ms[pings * 99 / 100];
    print_message("%zu pings: 99 of 100 within %d ms, all within %d ms\n", pings, most,
                  ping_ms[pings - 1]);
    pings = 0;
    assert_true(most <= ms);
}

/* ---- staging ---- */

static void fill_store(const char *store_path, const char *name, int mib)
{
    static uint8_t block[1 << 20];
    char path[E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/%s", store_path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    for (int i = 0; i < mib; i++) {
        memset(block, 1 + i % 255, sizeof block);
        assert_int_equal(write(fd, block, sizeof block), (ssize_t)sizeof block);
    }
    close(fd);
}

/* Whether the build still runs. */
static bool goes_on(struct e2e_conn *c)
{
    struct pollfd fd = {c->fd, POLLIN, 0};
    if (poll(&fd, 1, 0) == 0) {
        return true;
    }
    enum mvm_kind kind = e2e_frame(c, E2E_PATIENCE_MS).kind;
    assert_true(kind == MVM_MESSAGE_LOG || kind == MVM_MESSAGE_OK);
    return kind == MVM_MESSAGE_LOG;
}

static void pings_are_answered_between_the_slices_of_a_copy(void **state)
{
    const int mib = 10 + times(1000);
    char script[E2E_PATH_CAP];
    (void)state;
    const char *store_path = e2e_store_path();
    e2e_write_store(store_path, "kernel", "a kernel");
    fill_store(store_path, "rootfs", mib);
    snprintf(script, sizeof script, "echo %s", store_path);
    e2e_write_nix(script);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a"), *other = e2e_dial("a");
    uint64_t begun = e2e_now_ms();
    e2e_say_build(c, "f", "a", "");
    while (goes_on(c)) {
        ping_now(other);
        e2e_sleep_ms(1);
    }
    print_message("%d MiB in %d ms\n", mib, (int)(e2e_now_ms() - begun));
    assert_pings_within(100); /* other work on the machine and its disk is included */
}

/* ---- log ---- */

/* Reads numbered lines from *next on, up to `bytes` of them or the end. */
static bool read_lines(struct e2e_conn *c, unsigned long *next, unsigned long last, long bytes)
{
    while (bytes > 0 && *next <= last) {
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        if (f.text.len > 0) {
            assert_true(strtoul(f.text.bytes, NULL, 10) == *next);
            ++*next;
            bytes -= (long)f.text.len;
        }
    }
    return *next <= last;
}

static void gigabytes_of_log_reach_a_slow_reader_and_memory_stays(void **state)
{
    const unsigned long last = (unsigned long)times(8192) * 1048576 / 100; /* lines of 100 bytes */
    unsigned long next = 1;
    char script[128];
    (void)state;
    snprintf(script, sizeof script, "exec seq -f '%%099.0f' 1 %lu", last);
    e2e_write_nix(script);
    pid_t agent = E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a"), *other = e2e_dial("a");
    e2e_say_build(c, "f", "a", ",\"timeout_secs\":0");
    read_lines(c, &next, last, 1 << 20);
    long kib_before = e2e_status_kib(agent, "RssAnon");
    for (int second = 0; second < 20; second++) { /* 1 MiB a second */
        uint64_t until = e2e_now_ms() + 1000;
        read_lines(c, &next, last, 1 << 20);
        while (e2e_now_ms() < until) {
            ping_now(other);
            e2e_sleep_ms(10);
        }
    }
    for (int i = 0; i < 300; i++) { /* nothing, for three seconds */
        ping_now(other);
        e2e_sleep_ms(10);
    }
    while (read_lines(c, &next, last, 8 << 20)) { /* as fast as it can */
        ping_now(other);
    }
    e2e_assert_err(c, "nix build produced no store path", E2E_PATIENCE_MS);
    assert_true(next == last + 1);
    assert_true(e2e_status_kib(agent, "RssAnon") <= kib_before + 64);
    print_message("%lu lines; anonymous memory %ld KiB\n", last, kib_before);
    assert_pings_within(10);
}

/* ---- a disk that freezes ---- */

/* Freezes the device's file system for a second, ten times a minute, until `stop` exists. */
static void freeze_now_and_then(const char *dir, const char *device, const char *stop)
{
    for (unsigned i = 0; !e2e_exists(stop); i++) {
        e2e_sleep_ms(100);
        if (i % 50 != 0) {
            continue;
        }
        if (e2e_freeze(dir, device) == 0) {
            e2e_sleep_ms(1000);
            e2e_thaw();
        }
    }
}

static void a_disk_that_freezes_now_and_then_loses_nothing(void **state)
{
    (void)state;
    char nix[512];
    char device[E2E_PATH_CAP];
    e2e_need_disks();
    snprintf(device, sizeof device, "%s", e2e_loop(e2e_make_image("disk.img", 65536, NULL), false));
    const char *store = e2e_store_image("the kernel", "the rootfs");
    snprintf(nix, sizeof nix, "seq 50000 >&2; sleep 0.3; echo %s", store);
    e2e_write_nix(nix);
    pid_t agent = E2E_AGENT("a", "--out-dev", device);
    pid_t freezer = e2e_fork();
    if (freezer == 0) {
        freeze_now_and_then(e2e_path("a.out"), device, e2e_path("stop"));
        _exit(0);
    }
    uint64_t until = e2e_now_ms() + 1000 * (uint64_t)times(600);
    struct e2e_conn *c = e2e_dial("a");
    unsigned builds = 0;
    int before = 0;
    do {
        e2e_say_build_secs(c, "x", 120);
        assert_string_equal(e2e_assert_ok(c, 60000), store);
        before = builds++ == 0 ? count_open(agent) : before;
    } while (e2e_now_ms() < until);
    e2e_write_text(e2e_path("stop"), "");
    assert_int_equal(e2e_wait(freezer, E2E_PATIENCE_MS), 0);
    assert_int_equal(count_open(agent), before);
    assert_int_equal(e2e_count_zombies(agent), 0);
    const char *seen = e2e_mount(device, "seen", true);
    char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/rootfs.ext4", seen);
    e2e_assert_file(path, "the rootfs");
    snprintf(path, sizeof path, "%s/.build.log.mvm-tmp", seen);
    assert_false(e2e_exists(path));
    e2e_unmount(seen);
    print_message("%u builds\n", builds);
}

/* soak [PATTERN]: the tests whose names match; without one: all */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(cancels_at_any_moment_leave_nothing),
        E2E_TEST(a_kill_in_mid_staging_leaves_whole_files),
        E2E_TEST(pings_are_answered_between_the_slices_of_a_copy),
        E2E_TEST(connections_in_a_row_leave_nothing),
        E2E_TEST(a_thousand_at_once_are_all_served),
        E2E_TEST(a_disk_that_freezes_now_and_then_loses_nothing),
        E2E_TEST(gigabytes_of_log_reach_a_slow_reader_and_memory_stays),
    };
    setenv("MVM_TEST_SECS", "7200", 0);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
