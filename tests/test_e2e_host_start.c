/* Starting mvm-builder without descriptors, with signals ignored. */
#define _GNU_SOURCE
#include "support_host.h"
#include <fcntl.h>
#include <sys/wait.h>

static void start_agent(const char *body)
{
    e2e_write_nix(body);
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    E2E_AGENT("a");
}

/* Runs the tool with redirections of a shell; the exit status. */
static const struct e2e_result *by_shell(const char *words, const char *redirections)
{
    char command[4 * E2E_PATH_CAP];
    snprintf(command, sizeof command, "exec '%s' --to '%s' %s %s", e2e_program("mvm-builder"),
             host_address, words, redirections);
    return E2E_RUN("sh", "-c", command);
}

static int status_of(const struct e2e_result *r)
{
    if (!WIFEXITED(r->status)) {
        fail_msg("ended by signal %d", WTERMSIG(r->status));
    }
    return WEXITSTATUS(r->status);
}

/* ---- descriptors ---- */

static void a_ping_without_a_stdout_ends_with_4(void **state)
{
    (void)state;
    start_agent("exit 3");
    const struct e2e_result *r = by_shell("ping", ">&-");
    assert_int_equal(status_of(r), HOST_OUTPUT);
    assert_string_equal(r->err, "mvm-builder: cannot write to stdout: Bad file descriptor\n");
    assert_int_equal(status_of(by_shell("wait --for 9", ">&-")), HOST_OK); /* prints nothing */
    r = by_shell("--help", ">/dev/full");
    assert_int_equal(status_of(r), HOST_OUTPUT);
    assert_string_equal(r->err, "mvm-builder: cannot write to stdout: No space left on device\n");
    assert_int_equal(status_of(by_shell("--help", ">&-")), HOST_OUTPUT);
}

static void a_store_path_without_a_stdout_ends_with_4(void **state)
{
    char body[512];
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body, "echo one >&2; echo %s", store);
    start_agent(body);
    assert_int_equal(status_of(by_shell("build f a", "<&- >&-")), HOST_OUTPUT);
    assert_int_equal(status_of(by_shell("build f a", "<&- >&- 2>&-")), HOST_OUTPUT);
}

static void a_stderr_that_is_closed_is_silent(void **state)
{
    char body[512], expected[E2E_PATH_CAP + 1];
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body, "seq 1000 >&2; echo %s", store);
    start_agent(body);
    snprintf(expected, sizeof expected, "%s\n", store);
    for (int i = 0; i < 2; i++) {
        const struct e2e_result *r = by_shell("build f a", i == 0 ? "2>&-" : "<&- 2>&-");
        assert_int_equal(status_of(r), HOST_OK);
        assert_string_equal(r->out, expected);
    }
    e2e_assert_in_log("a", "build started", 2); /* no line became a request */
}

/* ---- memory ---- */

static void a_limit_of_64_mib_of_address_space_is_enough(void **state)
{
    char command[4 * E2E_PATH_CAP];
    (void)state;
    if (E2E_SANITIZER_KIB > 0) {
        E2E_SKIP("a sanitizer needs more");
    }
    start_agent("exit 3");
    snprintf(command, sizeof command, "ulimit -v 65536; exec '%s' --to '%s' ping",
             e2e_program("mvm-builder"), host_address);
    const struct e2e_result *r = E2E_RUN("sh", "-c", command);
    assert_int_equal(status_of(r), HOST_OK);
    assert_memory_equal(r->out, "Pong", 4);
}

/* ---- signals ---- */

/* As nohup starts it. */
static pid_t start_ignoring(int sig)
{
    void (*before)(int) = signal(sig, SIG_IGN);
    pid_t pid = host_start("build", "f", "a");
    signal(sig, before);
    return pid;
}

static void a_signal_that_was_ignored_at_the_start_stays_ignored(void **state)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};
    (void)state;
    start_agent("echo begin; while [ ! -e \"$MVM_E2E/go\" ]; do sleep 0.1; done; exit 3");
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        unlink(e2e_path("go"));
        pid_t pid = start_ignoring(signals[i]);
        host_await_err("begin\n");
        kill(pid, signals[i]);
        e2e_sleep_ms(200);
        assert_true(host_runs());
        e2e_write_text(e2e_path("go"), "");
        assert_int_equal(host_finish(), HOST_ERR);
        host_assert_err_lacks("interrupted");
    }
}

static void the_others_still_end_it(void **state)
{
    (void)state;
    start_agent("echo begin; sleep 60");
    start_ignoring(SIGHUP);
    host_await_err("begin\n");
    assert_int_equal(host_end(SIGTERM), 128 + SIGTERM);
    host_assert_err_has("interrupted; the build is cancelled\n");
}

/* A pipe that has no room. */
static int full_pipe(int *reader)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], "", 1) == 1) {
    }
    *reader = ends[0];
    return ends[1];
}

static pid_t start_into(int out)
{
    const char *err = e2e_path("tool.err");
    e2e_write_text(err, "");
    pid_t pid = e2e_fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(open(err, O_WRONLY | O_APPEND), STDERR_FILENO);
        execl(e2e_program("mvm-builder"), "mvm-builder", "--to", host_address, "build", "f", "a",
              (char *)NULL);
        _exit(127);
    }
    close(out);
    return pid;
}

static void a_store_path_that_an_interruption_has_lost_is_exit_4(void **state)
{
    int reader;
    struct mvm_text line;
    (void)state;
    host_listen("a.sock");
    pid_t pid = start_into(full_pipe(&reader));
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    host_say_ok(c);
    assert_false(e2e_line(c, &line, E2E_PATIENCE_MS)); /* closed: only its output is left */
    int status = e2e_end(pid, SIGINT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HOST_OUTPUT);
    host_assert_err_has("mvm-builder: cannot write to stdout: Interrupted system call\n");
    close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_ping_without_a_stdout_ends_with_4),
        E2E_TEST(a_store_path_without_a_stdout_ends_with_4),
        E2E_TEST(a_stderr_that_is_closed_is_silent),
        E2E_TEST(a_limit_of_64_mib_of_address_space_is_enough),
        E2E_TEST(a_signal_that_was_ignored_at_the_start_stays_ignored),
        E2E_TEST(the_others_still_end_it),
        E2E_TEST(a_store_path_that_an_interruption_has_lost_is_exit_4),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
