/*
 * The real nix: agent and host tool over a Unix socket, building a flake that is one raw
 * derivation, without nixpkgs and without a network.
 */
#define _GNU_SOURCE
#include "support.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Attributes: `ok` makes an image, `bad` fails, `slow` takes a minute in processes known by MARK.
 * The input makes nix want a lock file. */
static const char flake_nix[] =
    "{\n"
    "  inputs.text = { url = \"path:%s\"; flake = false; };\n"
    "  outputs = { self, text }:\n"
    "    let\n"
    "      make = kind: derivation {\n"
    "        name = \"e2e-${kind}\"; system = \"%s\";\n"
    "        builder = \"${self}/sh\"; args = [ \"${self}/build.sh\" ];\n"
    "        busybox = \"${self}/busybox\"; inherit kind text; mark = \"%s\";\n"
    "      };\n"
    "    in { packages.%s = { ok = make \"ok\"; bad = make \"bad\"; slow = make \"slow\"; }; };\n"
    "}\n";

static const char build_sh[] = "echo 'to stdout'\n"
                               "echo 'to stderr' >&2\n"
                               "case $kind in\n"
                               "bad) echo 'it cannot be'; exit 5;;\n"
                               "slow) echo begin; $busybox sleep 60;;\n"
                               "esac\n"
                               "$busybox mkdir $out\n"
                               "$busybox cp $text/kernel $out/kernel\n"
                               "echo 'a rootfs' >$out/rootfs\n";

static char mark[E2E_PATH_CAP + 16];
static char attr[128];
static char address[E2E_PATH_CAP + 8];
static char system_name[64];
static char nix_program[E2E_PATH_CAP];

static const char *attribute(const char *kind)
{
    snprintf(attr, sizeof attr, "packages.%s.%s", system_name, kind);
    return attr;
}

static void make_flake(const char *dir)
{
    char text[2048];
    e2e_make_dir(e2e_path("text"));
    e2e_write_text(e2e_path("text/kernel"), "a kernel\n");
    e2e_make_dir(dir);
    snprintf(mark, sizeof mark, "e2e-mark-%s", e2e_path("mark"));
    snprintf(text, sizeof text, flake_nix, e2e_path("text"), system_name, mark, system_name);
    char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/flake.nix", dir);
    e2e_write_text(path, text);
    snprintf(path, sizeof path, "%s/build.sh", dir);
    e2e_write_text(path, build_sh);
    const char *copy =
        "set -e; cp \"$(command -v busybox)\" \"$1/busybox\"; cp \"$1/busybox\" \"$1/sh\"";
    assert_int_equal(E2E_RUN("sh", "-c", copy, "sh", dir)->status, 0);
}

/* A store that this account may write to, or nix's daemon; see scripts/nix-ready. */
static bool nix_can_build(void)
{
    return access("/nix/var/nix/daemon-socket/socket", W_OK) == 0 || geteuid() == 0 ||
           access("/nix/var/nix", W_OK) == 0;
}

/* A flake, and an agent with the real nix. */
static const char *start(void)
{
    if (!nix_can_build()) {
        E2E_SKIP("/nix is not this account's, and nix's daemon does not run");
    }
    if (!e2e_have("nix") || !e2e_have("busybox")) {
        E2E_SKIP("no nix (package nix-bin) or no busybox (package busybox-static)");
    }
    const struct e2e_result *found = E2E_RUN("sh", "-c", "command -v nix");
    assert_in_range(found->out_len, 2, sizeof nix_program - 1);
    memcpy(nix_program, found->out, found->out_len - 1);
    const struct e2e_result *machine = E2E_RUN("uname", "-m");
    snprintf(system_name, sizeof system_name, "%.*s-linux", (int)machine->out_len - 1,
             machine->out);
    make_flake(e2e_path("flake"));
    snprintf(address, sizeof address, "unix:%s", e2e_path("a.sock"));
    static char flake[E2E_PATH_CAP + 8];
    snprintf(flake, sizeof flake, "path:%s", e2e_path("flake"));
    return flake;
}

/* nix's sandbox needs user namespaces, which containers and chroots lack: true or false, as nix
 * writes them. */
static const char *sandbox(void)
{
    static const char *answer;
    if (answer == NULL) {
        bool possible = E2E_RUN("unshare", "--user", "--map-root-user", "true")->status == 0;
        answer = possible ? "true" : "false";
        if (!possible) {
            fprintf(stderr, "no user namespaces on this machine: nix builds without its sandbox\n");
        }
    }
    return answer;
}

static void start_agent(void)
{
    setenv("HOME", e2e_path("home"), 1);
    e2e_make_dir(e2e_path("home"));
    E2E_AGENT("a", "--nix", nix_program, "--nix-option", "substitute", "false", "--nix-option",
              "sandbox", sandbox());
}

static void assert_image(const struct e2e_result *r)
{
    if (r->status != 0) {
        fail_msg("status %d, stderr: %s", r->status, r->err);
    }
    assert_memory_equal(r->out, "/nix/store/", 11);
    assert_ptr_equal(strchr(r->out, '\n'), r->out + r->out_len - 1); /* nothing but the path */
    e2e_assert_file(e2e_path("a.out/vmlinux"), "a kernel\n");
    e2e_assert_file(e2e_path("a.out/rootfs.ext4"), "a rootfs\n");
    e2e_assert_file(e2e_path("a.out/fc-base.json"), "{\"note\":\"Base fc config placeholder\"}\n");
}

static void a_build_gives_log_on_stderr_path_on_stdout_and_artifacts(void **state)
{
    (void)state;
    const char *flake = start();
    start_agent();
    const struct e2e_result *r = E2E_TOOL(address, "build", flake, attribute("ok"));
    assert_image(r);
    assert_non_null(strstr(r->err, "> to stdout\n"));
    assert_non_null(strstr(r->err, "> to stderr\n"));
    assert_non_null(strstr(e2e_read(e2e_path("a.out/build.log")).bytes, "> to stderr\n"));
    assert_false(e2e_exists(e2e_path("flake/flake.lock")));
    char first[256] = "";
    snprintf(first, sizeof first - 1, "%.200s", r->out);
    r = E2E_TOOL(address, "build", flake, attribute("ok")); /* exists already */
    assert_image(r);
    assert_string_equal(r->out, first);
}

static void a_failing_build_passes_nix_s_own_lines_through(void **state)
{
    (void)state;
    const char *flake = start();
    start_agent();
    const struct e2e_result *r = E2E_TOOL(address, "build", flake, attribute("bad"));
    assert_int_equal(WEXITSTATUS(r->status), 1);
    assert_int_equal(r->out_len, 0);
    assert_non_null(strstr(r->err, "> it cannot be\n"));
    assert_non_null(strstr(r->err, "error: builder for '"));
    assert_non_null(strstr(r->err, "failed with exit code 5"));
    const char *last = strstr(r->err, "nix build failed (exit status: 1): ");
    assert_non_null(last);
    assert_ptr_equal(strchr(last, '\n'), r->err + r->err_len - 1);
    assert_non_null(strstr(e2e_read(e2e_path("a.out/build.log")).bytes, "failed with exit code 5"));
}

static void an_attribute_that_is_not_there_is_reported_by_nix(void **state)
{
    (void)state;
    const char *flake = start();
    start_agent();
    const struct e2e_result *r = E2E_TOOL(address, "build", flake, attribute("none"));
    assert_int_equal(WEXITSTATUS(r->status), 1);
    assert_non_null(strstr(r->err, "does not provide attribute"));
}

static void words_for_a_shell_are_nothing_to_nix(void **state)
{
    (void)state;
    start();
    start_agent();
    char trap[2 * E2E_PATH_CAP];
    snprintf(trap, sizeof trap, "path:%s$(touch %s);`touch %s`", e2e_path("flake"), e2e_path("hit"),
             e2e_path("hit"));
    assert_int_equal(WEXITSTATUS(E2E_TOOL(address, "build", trap, "x")->status), 1);
    snprintf(trap, sizeof trap, "x;$(touch %s)", e2e_path("hit"));
    assert_int_equal(WEXITSTATUS(E2E_TOOL(address, "build", "path:/nowhere", trap)->status), 1);
    assert_false(e2e_exists(e2e_path("hit")));
}

/* ---- an agent without options ---- */

static void start_with_empty_environment(const char *nix)
{
    const char *const env[] = {NULL};
    const char *const args[] = {"--listen",
                                address,
                                "--out-dir",
                                e2e_path("a.out"),
                                "--out-dev",
                                "none",
                                "--policy",
                                e2e_path("no-policy"),
                                "--nix",
                                nix,
                                "--nix-option",
                                "substitute",
                                "false",
                                "--nix-option",
                                "sandbox",
                                sandbox(),
                                "--stream-dir",
                                "none",
                                NULL};
    e2e_start_bare_agent("a", args, env);
    e2e_await_log("a", "listening on unix:");
}

static void an_empty_environment_is_enough_for_nix(void **state)
{
    (void)state;
    const char *flake = start();
    start_with_empty_environment(nix_program);
    assert_image(E2E_TOOL(address, "build", flake, attribute("ok")));
}

static void home_path_and_tmpdir_are_set_where_they_are_not(void **state)
{
    static const char *const variables[] = {"HOME=/", "PATH=/", "TMPDIR=/"};
    (void)state;
    snprintf(address, sizeof address, "unix:%s", e2e_path("a.sock"));
    e2e_write_text(e2e_path("nix"),
                   "#!/bin/sh\n/usr/bin/tr '\\0' '\\n' </proc/$$/environ; exit 3\n");
    start_with_empty_environment(e2e_path("nix"));
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "flake", "x", "");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    struct mvm_text log = e2e_read(e2e_path("a.out/build.log"));
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        assert_non_null(strstr(log.bytes, variables[i]));
    }
}

static void what_is_set_is_left_alone(void **state)
{
    (void)state;
    snprintf(address, sizeof address, "unix:%s", e2e_path("a.sock"));
    e2e_write_text(e2e_path("nix"),
                   "#!/bin/sh\n/usr/bin/tr '\\0' '\\n' </proc/$$/environ; exit 3\n");
    const char *const env[] = {"HOME=/my/home", "PATH=/my/path", "TMPDIR=/my/tmp", "MINE=1", NULL};
    const char *const args[] = {"--listen",  address,          "--out-dir",    e2e_path("a.out"),
                                "--out-dev", "none",           "--nix",        e2e_path("nix"),
                                "--policy",  e2e_path("none"), "--stream-dir", "none",
                                NULL};
    e2e_start_bare_agent("a", args, env);
    e2e_await_log("a", "listening on unix:");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "flake", "x", "");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    struct mvm_text log = e2e_read(e2e_path("a.out/build.log"));
    for (int i = 0; env[i] != NULL; i++) {
        assert_non_null(strstr(log.bytes, env[i]));
    }
}

/* ---- the input disk ---- */

static void a_flake_on_a_read_only_disk_without_a_lock_file_builds(void **state)
{
    (void)state;
    e2e_need_disks();
    start();
    const char *image = e2e_make_image("in.img", 16384, e2e_path("flake"));
    const char *device = e2e_loop(image, true);
    setenv("HOME", e2e_path("home"), 1);
    e2e_make_dir(e2e_path("home"));
    E2E_AGENT("a", "--nix", nix_program, "--nix-option", "substitute", "false", "--nix-option",
              "sandbox", sandbox(), "--in-dev", device, "--in-dir", e2e_path("in"));
    assert_image(E2E_TOOL(address, "build", e2e_path("in"), attribute("ok")));
    assert_null(strstr(e2e_read("/proc/self/mounts").bytes, e2e_path("in"))); /* released */
}

/* ---- ending ---- */

static void a_time_out_ends_nix_s_builders(void **state)
{
    (void)state;
    const char *flake = start();
    start_agent();
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, flake, attribute("slow"), ",\"timeout_secs\":20");
    e2e_await_line(c, "e2e-slow> begin");
    assert_true(e2e_count_processes(mark) > 0);
    e2e_assert_err(c, "nix build timed out after 20 s: ", E2E_PATIENCE_MS);
    e2e_assert_none_left(mark, 0);
    assert_image(E2E_TOOL(address, "build", flake, attribute("ok"))); /* no lock is left either */
}

static void ctrl_c_ends_nix_s_builders(void **state)
{
    (void)state;
    const char *flake = start();
    start_agent();
    attribute("slow");
    pid_t tool = e2e_fork();
    if (tool == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDERR_FILENO);
        execl(e2e_program("mvm-builder"), "mvm-builder", "--to", address, "build", flake, attr,
              NULL);
        _exit(127);
    }
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    while (e2e_count_processes(mark) == 0 && e2e_now_ms() < until) {
        e2e_sleep_ms(20);
    }
    assert_true(e2e_count_processes(mark) > 0);
    assert_int_equal(WEXITSTATUS(e2e_end(tool, SIGINT)), 130);
    e2e_assert_none_left(mark, E2E_PATIENCE_MS);
    e2e_await_log("a", "build failed: build cancelled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_build_gives_log_on_stderr_path_on_stdout_and_artifacts),
        E2E_TEST(a_failing_build_passes_nix_s_own_lines_through),
        E2E_TEST(an_attribute_that_is_not_there_is_reported_by_nix),
        E2E_TEST(words_for_a_shell_are_nothing_to_nix),
        E2E_TEST(an_empty_environment_is_enough_for_nix),
        E2E_TEST(home_path_and_tmpdir_are_set_where_they_are_not),
        E2E_TEST(what_is_set_is_left_alone),
        E2E_TEST(a_flake_on_a_read_only_disk_without_a_lock_file_builds),
        E2E_TEST(a_time_out_ends_nix_s_builders),
        E2E_TEST(ctrl_c_ends_nix_s_builders),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
