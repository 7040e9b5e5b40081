/*
 * The existing agent's host, played here: it reaches the agent through a monitor's CONNECT relay,
 * polls every 400 ms on fresh connections, reads lines with a time limit, and mounts the output
 * disk while the agent still runs. It states what an agent must do to replace the existing one.
 */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    POLL_MS = 400,
    PONG_MS = 15000,
    CALM_MS = 1000,   /* how long nothing may change on the disk after Ok */
    SILENT_SECS = 10, /* time-out of a silent build */
    DEPTH_KIB = 4096, /* of the built root file system */
};

#define SYSTEMD_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ATTR         "packages.x86_64-linux.tenant-worker"

/* ---- a host's view of a line ---- */

/* The length of the UTF-8 character at `s`; 0: it is not one (RFC 3629). */
static size_t character(const unsigned char *s)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] >= 0x80 && (s[0] < 0xc2 || s[0] > 0xf4)) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : len;
}

/* The end of the JSON string whose inside begins at `s`: its closing quote. NULL: none. */
static const char *string_end(const char *s)
{
    while (*s != '"') {
        size_t len = character((const unsigned char *)s);
        if (len == 0 || (unsigned char)*s < 0x20) {
            return NULL;
        }
        if (*s == '\\') {
            len = s[1] == 'u' ? 6 : 2;
            if (strchr("\"\\/bfnrtu", s[1]) == NULL ||
                (len == 6 && strspn(s + 2, "0123456789abcdefABCDEF") < 4)) {
                return NULL;
            }
        }
        s += len;
    }
    return s;
}

/* Whether a line is one of Ok, Err, Log and Pong; checked by hand, not by the codec under test. */
static bool is_known(struct mvm_text line)
{
    static const char *const starts[] = {
        "{\"Ok\":{\"out_path\":\"",
        "{\"Err\":{\"message\":\"",
        "{\"Log\":{\"line\":\"",
    };
    if (strcmp(line.bytes, "\"Pong\"") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t len = strlen(starts[i]);
        if (strncmp(line.bytes, starts[i], len) == 0) {
            const char *end = string_end(line.bytes + len);
            return end != NULL && strcmp(end, "\"}}") == 0 && end + 3 == line.bytes + line.len;
        }
    }
    return false;
}

static void host_line(struct e2e_conn *c, struct mvm_text *line, int ms)
{
    if (!e2e_line(c, line, ms)) {
        fail_msg("the agent closed the connection");
    }
    if (!is_known(*line)) {
        fail_msg("a line that fails the host's build: %.300s", line->bytes);
    }
}

/* The readiness poll: a fresh connection, a Ping, and the first line back is Pong. */
static bool poll_once(void)
{
    struct mvm_text line;
    struct e2e_conn *c = e2e_dial("vsock");
    e2e_say(c, "CONNECT 21470\n");
    bool there = e2e_line(c, &line, PONG_MS);
    if (there) {
        assert_memory_equal(line.bytes, "OK ", 3);
        e2e_ping(c, PONG_MS);
    }
    e2e_close(c);
    return there;
}

static struct e2e_conn *host_build(const char *flake, unsigned secs)
{
    char more[64];
    struct e2e_conn *c = e2e_dial_relay("vsock");
    snprintf(more, sizeof more, ",\"timeout_secs\":%u", secs);
    e2e_say_build(c, flake, ATTR, more);
    return c;
}

/* ---- readiness ---- */

static void started_without_arguments_it_stays_and_ends_on_sigterm(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    const char *const env[] = {SYSTEMD_PATH, NULL};
    pid_t agent = e2e_start_bare_agent("bare", none, env);
    e2e_await_log("bare", "vsock:21470"); /* listening, or trying to */
    e2e_sleep_ms(1500);
    assert_int_equal(kill(agent, 0), 0);
    assert_int_equal(e2e_end(agent, SIGTERM), 0);
}

static void a_listener_that_cannot_be_opened_is_tried_again_from_inside(void **state)
{
    (void)state;
    char listen_on[E2E_PATH_CAP + 8];
    snprintf(listen_on, sizeof listen_on, "unix:%s", e2e_path("later/a.sock"));
    const char *const args[] = {"--listen", listen_on, "--stream-dir", "none", NULL};
    pid_t agent = e2e_start_bare_agent("bare", args, NULL);
    e2e_await_log("bare", "cannot listen on unix:");
    e2e_sleep_ms(1200);
    e2e_make_dir(e2e_path("later"));
    e2e_await_log("bare", "listening on unix:");
    e2e_ping(e2e_dial("later/a"), PONG_MS);
    e2e_assert_in_log("bare", "cannot listen", 1);
    assert_int_equal(e2e_end(agent, SIGTERM), 0);
}

static void polls_from_before_its_start_on_get_a_pong_first(void **state)
{
    (void)state;
    e2e_start_relay("vsock", "a");
    for (int i = 0; i < 3; i++) {
        assert_false(poll_once());
        e2e_sleep_ms(POLL_MS);
    }
    E2E_AGENT("a");
    for (int i = 0; i < 5; i++) {
        assert_true(poll_once());
        e2e_sleep_ms(POLL_MS);
    }
}

static void there_is_no_greeting(void **state)
{
    (void)state;
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a");
    e2e_assert_silent(e2e_dial_relay("vsock"), 1000);
}

static void polls_during_a_build_that_prints_get_a_pong_first(void **state)
{
    (void)state;
    e2e_write_nix("yes 'noise of a build that prints a lot' | head -n 400000; sleep 1; exit 3");
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a");
    struct e2e_conn *c = host_build("flake", 1800);
    struct mvm_text line;
    for (int i = 0; i < 5; i++) {
        assert_true(poll_once());
        for (int lines = 0; lines < 50000; lines++) {
            host_line(c, &line, 1800000);
        }
    }
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
}

static void a_request_in_the_same_write_as_connect_is_answered(void **state)
{
    (void)state;
    struct mvm_text line;
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("vsock");
    e2e_say(c, "CONNECT 21470\n" E2E_PING);
    assert_true(e2e_line(c, &line, PONG_MS));
    assert_memory_equal(line.bytes, "OK ", 3);
    assert_true(e2e_line(c, &line, PONG_MS));
    assert_string_equal(line.bytes, E2E_PONG);
}

/* ---- lines ---- */

static void every_line_is_a_frame_that_the_host_knows(void **state)
{
    (void)state;
    e2e_write_nix("printf 'a\\000b\\033[1m\\377\\376 \"q\" \\\\ \\303\\n\\r\\n\\n'; "
                  "head -c 100000 /dev/urandom; head -c 100000 /dev/urandom >&2; exit 3");
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a", "--heartbeat", "1");
    struct e2e_conn *c = host_build("flake", 1800);
    struct mvm_text line;
    do {
        host_line(c, &line, E2E_PATIENCE_MS);
    } while (strncmp(line.bytes, "{\"Err\":", 7) != 0);
    assert_non_null(strstr(line.bytes, "\"nix build failed (exit status: 3): "));
}

static void nix_s_own_lines_pass_untouched(void **state)
{
    static const char *const words[] = {
        "error: builder for '/nix/store/abc-x.drv' failed with exit code 2;",
        "       last 10 log lines:",
        "       > make: *** [Makefile:3: all] Error 1",
        "       For full logs, run 'nix log /nix/store/abc-x.drv'.",
        "error: flake 'path:/build-in' does not provide attribute 'packages.x86_64-linux.a'",
        "error: writing to file: No space left on device",
        "error: hash mismatch in fixed-output derivation '/nix/store/abc-src.drv':",
        "         specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "            got:    sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    };
    (void)state;
    char text[2048] = "";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", words[i]);
    }
    e2e_write_text(e2e_path("nix.says"), text);
    e2e_write_nix("cat \"$0.says\" >&2; exit 1");
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a");
    struct e2e_conn *c = host_build("flake", 1800);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        assert_string_equal(f.text.bytes, words[i]);
    }
    e2e_assert_err(c, "nix build failed (exit status: 1): ", E2E_PATIENCE_MS);
}

/* ---- time: each read waits as long as the build may take, and no longer ---- */

/* Reads until the Err; the longest that a read took, in ms. */
static int longest_silence(struct e2e_conn *c, int limit_ms)
{
    struct mvm_text line;
    int longest = 0;
    do {
        uint64_t since = e2e_now_ms();
        host_line(c, &line, limit_ms);
        int took = (int)(e2e_now_ms() - since);
        longest = took > longest ? took : longest;
    } while (strncmp(line.bytes, "{\"Err\":", 7) != 0);
    assert_non_null(strstr(line.bytes, "\"nix build timed out after "));
    return longest;
}

static void a_silent_build_s_frames_come_well_within_the_host_s_read_time_out(void **state)
{
    (void)state;
    e2e_write_nix("exec sleep 60");
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a"); /* with the default heartbeat */
    struct e2e_conn *c = host_build("flake", SILENT_SECS);
    assert_in_range(longest_silence(c, SILENT_SECS * 1000), 0, SILENT_SECS * 750);
}

static void so_they_do_while_a_stubborn_build_is_being_ended(void **state)
{
    (void)state;
    e2e_write_nix("trap '' TERM; sleep 60; sleep 60");
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a", "--heartbeat", "1");
    struct e2e_conn *c = host_build("flake", SILENT_SECS);
    assert_in_range(longest_silence(c, SILENT_SECS * 1000), 0, SILENT_SECS * 750);
}

/* ---- disks: a machine of the agent's own ---- */

static const char *in_root(const char *path)
{
    return e2e_path("root%s", path);
}

static void bind_dir(const char *path)
{
    struct stat st;
    char target[E2E_PATH_CAP];
    if (lstat(path, &st) < 0) {
        return;
    }
    if (S_ISLNK(st.st_mode)) {
        ssize_t len = readlink(path, target, sizeof target - 1);
        assert_true(len > 0);
        target[len] = '\0';
        assert_int_equal(symlink(target, in_root(path)), 0);
        return;
    }
    e2e_make_dir(in_root(path));
    assert_int_equal(mount(path, in_root(path), NULL, MS_BIND | MS_REC, NULL), 0);
}

static void make_node(const char *path, const char *like)
{
    struct stat st;
    assert_int_equal(stat(like, &st), 0);
    assert_int_equal(mknod(in_root(path), st.st_mode, st.st_rdev), 0);
}

static void fill(const char *path, size_t len, unsigned seed)
{
    static char bytes[DEPTH_KIB * 1024];
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;
        bytes[i] = (char)(seed >> 16);
    }
    e2e_write(path, bytes, len);
}

/* A root file system without /build-out and /build-in, the disks as /dev/vdb and /dev/vdc, a stand-
 * in for nix on PATH, and the agent in the existing agent's place. */
static void make_machine(const char *out_device, const char *in_device)
{
    static const char *const dirs[] = {"/dev",       "/tmp",           "/root",
                                       "/nix",       "/nix/store",     "/nix/store/built",
                                       "/usr/local", "/usr/local/bin", "/run"};
    static const char *const binds[] = {"/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc"};
    e2e_mount("tmpfs", "root", false);
    for (size_t i = 0; i < sizeof binds / sizeof binds[0]; i++) {
        bind_dir(binds[i]);
    }
    assert_int_equal(mount("tmpfs", in_root("/usr/local"), "tmpfs", 0, NULL), 0);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        e2e_make_dir(in_root(dirs[i]));
    }
    make_node("/dev/null", "/dev/null");
    make_node("/dev/vdb", out_device);
    make_node("/dev/vdc", in_device);
    fill(in_root("/nix/store/built/kernel"), 300001, 1);
    fill(in_root("/nix/store/built/rootfs"), DEPTH_KIB * 1024, 2);
    e2e_write_nix("cat /build-in/flake.nix\n"
                  "touch /build-in/x 2>/dev/null || echo cannot write\n"
                  "env >&2; echo /nix/store/built");
    assert_int_equal(E2E_RUN("cp", "-p", e2e_path("nix"), in_root("/usr/local/bin/nix"))->status,
                     0);
    assert_int_equal(
        E2E_RUN("cp", e2e_program("mvm-builder-agent"), in_root("/usr/local/bin/mvm-builder-agent"))
            ->status,
        0);
}

/* As systemd would, but with a Unix socket instead of vsock. */
static pid_t start_in_machine(void)
{
    const char *root = in_root("");
    int log = open(e2e_path("machine.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        char *const argv[] = {"/usr/local/bin/mvm-builder-agent", "--listen", "unix:/a.sock", NULL};
        char *const env[] = {SYSTEMD_PATH, NULL};
        dup2(log, STDERR_FILENO);
        if (chroot(root) == 0 && chdir("/") == 0) {
            execve(argv[0], argv, env);
        }
        _exit(127);
    }
    close(log);
    e2e_await_log("machine", "listening on unix:/a.sock");
    return pid;
}

static uint64_t checksum(const char *path)
{
    struct mvm_text text = e2e_read(path);
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < text.len; i++) {
        sum = (sum ^ (unsigned char)text.bytes[i]) * 1099511628211u;
    }
    return sum;
}

static void assert_same(const char *a, const char *b)
{
    assert_true(checksum(a) == checksum(b));
}

/* Right after Ok, a second machine mounts the disk. It is read-only, so a journal that needs
 * replaying would fail the mount. */
static void look_at_disk(const char *image, const char *name)
{
    uint64_t at_ok = checksum(image);
    const char *seen = e2e_mount(e2e_loop(image, true), name, true);
    char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/vmlinux", seen);
    assert_same(path, in_root("/nix/store/built/kernel"));
    snprintf(path, sizeof path, "%s/rootfs.ext4", seen);
    assert_same(path, in_root("/nix/store/built/rootfs"));
    snprintf(path, sizeof path, "%s/fc-base.json", seen);
    e2e_assert_file(path, "{\"note\":\"Base fc config placeholder\"}\n");
    snprintf(path, sizeof path, "%s/build.log", seen);
    assert_non_null(strstr(e2e_read(path).bytes, "the flake\n"));
    e2e_sleep_ms(CALM_MS);
    assert_true(checksum(image) == at_ok); /* nothing is written after Ok */
    e2e_unmount(seen);
}

static void in_its_place_it_builds_and_the_disk_is_whole_while_it_still_runs(void **state)
{
    (void)state;
    e2e_need_disks();
    e2e_make_dir(e2e_path("flake"));
    e2e_write_text(e2e_path("flake/flake.nix"), "the flake\n");
    const char *image = e2e_make_image("out.img", 16384, NULL);
    const char *out = e2e_loop(image, false);
    make_machine(out, e2e_loop(e2e_make_image("in.img", 1024, e2e_path("flake")), false));
    uint64_t input = checksum(e2e_path("in.img"));
    e2e_start_relay("vsock", "root/a");
    pid_t agent = start_in_machine();
    for (int i = 0; i < 2; i++) { /* a second build on the same disk is the same */
        assert_true(poll_once());
        struct e2e_conn *c = host_build("/build-in", 1800);
        e2e_await_line(c, "the flake");
        e2e_await_line(c, "cannot write");
        assert_string_equal(e2e_assert_ok(c, E2E_PATIENCE_MS), "/nix/store/built");
        look_at_disk(image, i == 0 ? "seen" : "seen-again");
        assert_true(poll_once());
    }
    assert_true(checksum(e2e_path("in.img")) == input); /* the input disk is the host's */
    assert_int_equal(e2e_end(agent, SIGTERM), 0);
}

static void a_failed_build_s_log_is_on_the_disk_too(void **state)
{
    (void)state;
    e2e_need_disks();
    e2e_write_nix("echo 'error: it does not work' >&2; exit 1");
    const char *image = e2e_make_image("out.img", 8192, NULL);
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a", "--out-dev", e2e_loop(image, false));
    struct e2e_conn *c = host_build("flake", 1800);
    e2e_assert_err(c, "nix build failed (exit status: 1): ", E2E_PATIENCE_MS);
    e2e_mount(e2e_loop(image, true), "seen", true);
    e2e_assert_file(e2e_path("seen/build.log"), "error: it does not work\n");
}

static void a_build_that_is_large_is_whole_at_the_moment_of_ok(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *store = e2e_store_path();
    char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/kernel", store);
    fill(path, DEPTH_KIB * 1024, 3);
    snprintf(path, sizeof path, "%s/rootfs", store);
    fill(path, DEPTH_KIB * 1024 - 1, 4);
    char body[512];
    snprintf(body, sizeof body, "echo %s", store);
    e2e_write_nix(body);
    const char *image = e2e_make_image("out.img", 16384, NULL);
    e2e_start_relay("vsock", "a");
    E2E_AGENT("a", "--out-dev", e2e_loop(image, false));
    struct e2e_conn *c = host_build("flake", 1800);
    e2e_assert_ok(c, E2E_PATIENCE_MS);
    /* What a host finds that cuts the power now: the image at this moment. */
    assert_int_equal(E2E_RUN("cp", image, e2e_path("copy.img"))->status, 0);
    assert_int_equal(E2E_RUN("e2fsck", "-fn", e2e_path("copy.img"))->status, 0);
    e2e_mount(e2e_loop(e2e_path("copy.img"), true), "seen", true);
    assert_same(e2e_path("seen/rootfs.ext4"), path);
    snprintf(path, sizeof path, "%s/kernel", store);
    assert_same(e2e_path("seen/vmlinux"), path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(started_without_arguments_it_stays_and_ends_on_sigterm),
        E2E_TEST(a_listener_that_cannot_be_opened_is_tried_again_from_inside),
        E2E_TEST(polls_from_before_its_start_on_get_a_pong_first),
        E2E_TEST(there_is_no_greeting),
        E2E_TEST(polls_during_a_build_that_prints_get_a_pong_first),
        E2E_TEST(a_request_in_the_same_write_as_connect_is_answered),
        E2E_TEST(every_line_is_a_frame_that_the_host_knows),
        E2E_TEST(nix_s_own_lines_pass_untouched),
        E2E_TEST(a_silent_build_s_frames_come_well_within_the_host_s_read_time_out),
        E2E_TEST(so_they_do_while_a_stubborn_build_is_being_ended),
        E2E_TEST(in_its_place_it_builds_and_the_disk_is_whole_while_it_still_runs),
        E2E_TEST(a_failed_build_s_log_is_on_the_disk_too),
        E2E_TEST(a_build_that_is_large_is_whole_at_the_moment_of_ok),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
