/* Clients in a row on one serial line with the real agent: each gets the answer of its own build.
 */
#define _GNU_SOURCE
#include "support_host.h"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

/* A pty that is raw and held open; its name. */
static const char *make_end(int *master)
{
    struct termios t;
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(grantpt(*master), 0);
    assert_int_equal(unlockpt(*master), 0);
    int slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    tcgetattr(slave, &t);
    cfmakeraw(&t);
    tcsetattr(slave, TCSANOW, &t);
    return ptsname(*master);
}

static void copy_bytes(int from, int to)
{
    char bytes[4096];
    ssize_t n;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while ((n = read(from, bytes, sizeof bytes)) > 0 && write(to, bytes, (size_t)n) == n) {
    }
    _exit(0);
}

/* Starts an agent on one end of two connected ptys; the tool uses the other end. */
static void start_agent(const char *body)
{
    char agent_end[64];
    int masters[2];
    e2e_write_nix(body);
    snprintf(agent_end, sizeof agent_end, "serial:%s", make_end(&masters[0]));
    snprintf(host_address, sizeof host_address, "serial:%s", make_end(&masters[1]));
    for (int i = 0; i < 2; i++) {
        if (e2e_fork() == 0) {
            copy_bytes(masters[i], masters[1 - i]);
        }
    }
    close(masters[0]);
    close(masters[1]);
    E2E_AGENT("a", "--listen", agent_end);
    e2e_await_log("a", "listening on serial:");
}

/* Attribute "good" is built once the file "go" exists, "bad" fails, "slow" never ends. */
static const char *start_builds(void)
{
    static char body[1024];
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body,
             "echo begin $attr >&2\n"
             "case $attr in\n"
             "good) while [ ! -e \"$MVM_E2E/go\" ]; do sleep 0.1; done; echo %s ;;\n"
             "bad) echo of the bad one >&2; exit 7 ;;\n"
             "slow) export MARK=tool-line; sleep 60 ;;\n"
             "esac",
             store);
    start_agent(body);
    return store;
}

static void after_a_client_that_was_killed_the_next_one_gets_its_own_answer(void **state)
{
    (void)state;
    start_builds();
    pid_t first = host_start("build", "f", "good");
    host_await_err("begin good\n");
    e2e_end(first, SIGKILL);
    e2e_write_text(e2e_path("go"), "");
    for (int i = 0; i < 2; i++) {
        host_start("build", "f", "bad");
        assert_int_equal(host_finish(), HOST_ERR);
        assert_string_equal(host_out(), "");
        host_assert_err_has("nix build failed (exit status: 7)");
        host_assert_err_lacks("begin good");
    }
}

static void nor_does_an_earlier_failure_reach_a_build_that_succeeds(void **state)
{
    (void)state;
    const char *store = start_builds();
    e2e_write_text(e2e_path("go"), "");
    for (int i = 0; i < 3; i++) {
        pid_t first = host_start("build", "f", i == 0 ? "slow" : "bad");
        if (i == 0) {
            host_await_err("begin slow\n");
        }
        e2e_end(first, i == 1 ? SIGTERM : SIGKILL);
        host_start("build", "f", "good");
        assert_int_equal(host_finish(), HOST_OK);
        assert_int_equal(strncmp(host_out(), store, strlen(store)), 0);
        host_assert_err_lacks("of the bad one");
    }
    e2e_assert_none_left("MARK=tool-line", E2E_PATIENCE_MS);
}

static void ctrl_c_cancels_on_the_line(void **state)
{
    (void)state;
    start_builds();
    host_start("build", "f", "slow");
    host_await_err("begin slow\n");
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    host_assert_err_has("interrupted; the build is cancelled\n");
    e2e_assert_none_left("MARK=tool-line", E2E_PATIENCE_MS);
}

static void a_build_that_is_kept_is_joined_over_the_line(void **state)
{
    (void)state;
    const char *store = start_builds();
    pid_t first = host_start("build", "f", "good", "--id", "0123456789abcdef", "--retry", "5");
    host_await_err("begin good\n");
    e2e_end(first, SIGKILL);
    host_start("ping");
    assert_int_equal(host_finish(), HOST_OK);
    host_start("join", "0123456789abcdef");
    e2e_sleep_ms(300);
    e2e_write_text(e2e_path("go"), "");
    assert_int_equal(host_finish(), HOST_OK);
    assert_int_equal(strncmp(host_out(), store, strlen(store)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(after_a_client_that_was_killed_the_next_one_gets_its_own_answer),
        E2E_TEST(nor_does_an_earlier_failure_reach_a_build_that_succeeds),
        E2E_TEST(ctrl_c_cancels_on_the_line),
        E2E_TEST(a_build_that_is_kept_is_joined_over_the_line),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
