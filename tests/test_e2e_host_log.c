/* mvm-builder build --log FILE: what is in the file, and what is reported if it cannot be
 * written. */
#define _GNU_SOURCE
#include "support.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { STATUS_OK, STATUS_ERR, STATUS_USAGE, STATUS_NO_CONNECTION, STATUS_OUTPUT };

static char address[E2E_PATH_CAP + 16];
static const char *file;

static void start(const char *body)
{
    e2e_write_nix(body);
    snprintf(address, sizeof address, "unix:%s", e2e_path("a.sock"));
    file = e2e_path("log");
    E2E_AGENT("a");
}

#define BUILD(...) E2E_TOOL(address, "build", "flake", "attr", __VA_ARGS__)

static void assert_exit(const struct e2e_result *r, int status)
{
    if (!WIFEXITED(r->status) || WEXITSTATUS(r->status) != status) {
        fail_msg("status %x instead of %d, stderr: %s", (unsigned)r->status, status, r->err);
    }
}

static void assert_in_file(const char *bytes, size_t len)
{
    struct mvm_text text = e2e_read(file);
    assert_int_equal(text.len, len);
    assert_memory_equal(text.bytes, bytes, len);
}

/* ---- what is in it ---- */

static void the_log_is_in_the_file_and_on_stderr_and_nothing_else_is(void **state)
{
    (void)state;
    start("echo one; sleep 0.1; printf '\\nthree\\r\\n'; exit 3");
    const struct e2e_result *r = BUILD("--log", file);
    assert_exit(r, STATUS_ERR);
    assert_memory_equal(r->err, "one\n\nthree\nmvm-builder: nix build failed", 39);
    assert_in_file("one\n\nthree\n", 11); /* not the reason of the failure */
}

/* Blank lines of the build are lines, heartbeats are not. */
static void blank_lines_are_in_it_and_heartbeats_are_not(void **state)
{
    (void)state;
    start("echo one; echo; echo; sleep 2.5; echo two; exit 3");
    snprintf(address, sizeof address, "unix:%s", e2e_path("b.sock"));
    E2E_AGENT("b", "--heartbeat", "1");
    assert_exit(BUILD("--log", file), STATUS_ERR);
    assert_in_file("one\n\n\ntwo\n", 10);
}

static void its_bytes_are_those_that_came(void **state)
{
    static const char json[] = "\033[31mred\033[m \xef\xbf\xbd\xc3\xa4\n";
    static const char proto[] = "\033[31mred\033[m \377\xc3\xa4\n";
    (void)state;
    start("printf '\\033[31mred\\033[m \\377\\303\\244\\n'; exit 3");
    assert_exit(BUILD("--log", file), STATUS_ERR);
    assert_in_file(json, sizeof json - 1);
    assert_exit(BUILD("--log", file, "--wire", "proto"), STATUS_ERR);
    assert_in_file(proto, sizeof proto - 1);
}

static void a_long_log_is_in_it_whole(void **state)
{
    (void)state;
    start("seq 100000; exit 3");
    assert_exit(BUILD("--log", file), STATUS_ERR);
    const char *at = e2e_read(file).bytes;
    for (long i = 1; i <= 100000; i++) {
        char *end;
        assert_int_equal(strtol(at, &end, 10), i);
        assert_int_equal(*end, '\n');
        at = end + 1;
    }
    assert_int_equal(*at, '\0');
}

static void what_was_in_it_is_gone(void **state)
{
    (void)state;
    start("echo new; exit 3");
    e2e_write_text(file, "an old log that was longer\n");
    assert_exit(BUILD("--log", file), STATUS_ERR);
    assert_in_file("new\n", 4);
}

static void beside_json_frames_it_has_the_lines(void **state)
{
    (void)state;
    start("echo one; exit 3");
    const struct e2e_result *r = BUILD("--json", "--log", file);
    assert_exit(r, STATUS_ERR);
    assert_int_equal(r->err_len, 0);
    assert_in_file("one\n", 4);
}

static bool has_begin(const char *path)
{
    return e2e_exists(path) && strstr(e2e_read(path).bytes, "begin\n") != NULL;
}

static void lines_are_in_it_as_they_come(void **state)
{
    (void)state;
    start("echo begin; sleep 60");
    pid_t tool = e2e_fork();
    if (tool == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execl(e2e_program("mvm-builder"), "mvm-builder", "--to", address, "build", "f", "a",
              "--log", file, (char *)NULL);
        _exit(127);
    }
    assert_true(e2e_until(has_begin, file, E2E_PATIENCE_MS));
    e2e_end(tool, SIGINT);
    assert_in_file("begin\n", 6);
}

/* ---- what goes wrong ---- */

static void a_file_that_cannot_be_opened_is_reported_before_any_request(void **state)
{
    char expected[E2E_PATH_CAP + 64];
    (void)state;
    start("echo never; exit 3");
    const char *const paths[] = {e2e_path("none/log"), e2e_path("a.out"), e2e_path("fifo"), ""};
    const char *const reasons[] = {"No such file or directory", "Is a directory",
                                   "No such device or address; a FIFO needs a reader",
                                   "No such file or directory"};
    e2e_make_dir(paths[1]);
    assert_int_equal(mkfifo(paths[2], 0600), 0); /* without a reader */
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct e2e_result *r = BUILD("--log", paths[i]);
        assert_exit(r, STATUS_USAGE);
        snprintf(expected, sizeof expected, "mvm-builder: --log %s: %s\n", paths[i], reasons[i]);
        assert_string_equal(r->err, expected);
    }
    assert_int_equal(e2e_count_in_log("a", "build started"), 0);
}

static void a_full_disk_is_reported_once_and_changes_only_the_exit_status(void **state)
{
    static const char told[] =
        "mvm-builder: cannot write to /dev/full: No space left on device; the log is not in it "
        "from there on\n";
    char body[512];
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body, "echo one; sleep 0.2; echo two; sleep 0.2; echo three; echo %s",
             store);
    start(body);
    const struct e2e_result *r = BUILD("--log", "/dev/full");
    assert_exit(r, STATUS_OUTPUT);
    const char *at = strstr(r->err, told);
    assert_non_null(at);
    assert_null(strstr(at + 1, told));
    assert_non_null(strstr(at, "three\n")); /* it continues */
    assert_memory_equal(r->out, store, strlen(store));
}

static void a_file_at_its_limit_is_reported_likewise(void **state)
{
    char command[3 * E2E_PATH_CAP];
    (void)state;
    start("seq 1000; exit 3");
    snprintf(command, sizeof command, "ulimit -f 1; exec '%s' --to '%s' build f a --log '%s'",
             e2e_program("mvm-builder"), address, file);
    const struct e2e_result *r = E2E_RUN("sh", "-c", command);
    assert_exit(r, STATUS_ERR);
    assert_non_null(strstr(r->err, ": File too large; the log is not in it from there on\n"));
    assert_non_null(strstr(r->err, "\n1000\n")); /* it continues */
}

static void a_build_that_fails_as_well_has_its_own_exit_status(void **state)
{
    (void)state;
    start("echo one; exit 3");
    const struct e2e_result *r = BUILD("--log", "/dev/full");
    assert_exit(r, STATUS_ERR);
    assert_non_null(strstr(r->err, "cannot write to /dev/full: No space left on device"));
}

static void a_stdout_that_cannot_be_written_is_reported_likewise(void **state)
{
    char command[3 * E2E_PATH_CAP];
    (void)state;
    start("exit 3");
    snprintf(command, sizeof command, "'%s' --to '%s' ping >/dev/full", e2e_program("mvm-builder"),
             address);
    const struct e2e_result *r = E2E_RUN("sh", "-c", command);
    assert_exit(r, STATUS_OUTPUT);
    assert_string_equal(r->err, "mvm-builder: cannot write to stdout: No space left on device\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(the_log_is_in_the_file_and_on_stderr_and_nothing_else_is),
        E2E_TEST(blank_lines_are_in_it_and_heartbeats_are_not),
        E2E_TEST(its_bytes_are_those_that_came),
        E2E_TEST(a_long_log_is_in_it_whole),
        E2E_TEST(what_was_in_it_is_gone),
        E2E_TEST(beside_json_frames_it_has_the_lines),
        E2E_TEST(lines_are_in_it_as_they_come),
        E2E_TEST(a_file_that_cannot_be_opened_is_reported_before_any_request),
        E2E_TEST(a_full_disk_is_reported_once_and_changes_only_the_exit_status),
        E2E_TEST(a_file_at_its_limit_is_reported_likewise),
        E2E_TEST(a_build_that_fails_as_well_has_its_own_exit_status),
        E2E_TEST(a_stdout_that_cannot_be_written_is_reported_likewise),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
