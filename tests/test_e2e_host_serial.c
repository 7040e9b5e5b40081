/* mvm-builder on a serial line, which has no connections: what an earlier client left there, noise,
 * and agents with and without Hello. */
#define _GNU_SOURCE
#include "support_host.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static void assert_ok(void)
{
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), HOST_STORE_PATH "\n");
}

/* Everything that an earlier client's build, Ping and broken request can have left. */
#define STALE                                                                                      \
    "e\":\"cut\"}}\n"                                                                              \
    "{\"Log\":{\"line\":\"stale\"}}\n" HOST_PARSE_ERROR "\n"                                       \
    "\"Pong\"\n"                                                                                   \
    "{\"Hello\":{\"nonce\":\"another\",\"agent\":\"x\",\"boot\":\"x\",\"features\":\"\"}}\n"       \
    "{\"Hello\":{\"agent\":\"x\",\"boot\":\"x\",\"features\":\"\"}}\n"                             \
    "{\"Ok\":{\"out_path\":\"/nix/store/stale\"}}\n"                                               \
    "{\"Err\":{\"message\":\"stale\"}}\n"

/* That and the answer to Hello, in one write: a line that is quiet between them would be taken for
 * one of an agent without Hello. */
static void say_stale_and_welcome(struct e2e_conn *c, const char *features)
{
    host_say(c,
             STALE "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"x\",\"boot\":\"x\","
                   "\"features\":\"%s\"}}",
             host_nonce(), features);
}

static void what_an_earlier_client_left_is_dropped(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("build", "f", "a");
    host_await_request(c, "{\"Hello\":");
    say_stale_and_welcome(c, HOST_FEATURES);
    host_await_request(c, "\"Ping\""); /* the parse error could have been about our Hello */
    host_say(c, "\"Pong\"");
    host_accept_build(c);
    host_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/stale\"}}");
    host_say_log(c, "mine");
    host_say_ok(c);
    assert_ok();
    host_assert_err_has("mine\n");
    host_assert_err_lacks("stale");
    host_assert_err_lacks("cannot be told");
}

static void with_an_agent_without_hello_all_up_to_the_own_pong_is_dropped(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("build", "f", "a");
    host_await_request(c, "{\"Hello\":");
    host_say(c, STALE HOST_PARSE_ERROR "\n{\"Ok\":{\"out_path\":\"/nix/store/stale\"}}\n\"Pong\"");
    host_await_request(c, "\"Ping\"");
    host_await_request(c, "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secs\":null}}");
    host_say(c, "{\"Log\":{\"line\":\"mine\"}}");
    host_say(c, "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\"}}");
    assert_ok();
    host_assert_err_has(
        "mvm-builder: this agent has no Hello: on a serial line its answers to this "
        "client cannot be distinguished from those to others\n");
    host_assert_err_lacks("stale");
}

static void noise_between_frames_is_reported_once(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("build", "f", "a");
    host_welcome(c, HOST_FEATURES);
    host_accept_build(c);
    host_say(c, "[   12.345678] random: crng init done");
    host_say_log(c, "one");
    host_say(c, "[   12.345679] and more");
    host_say(c, "{\"Ok\":{}}"); /* on a line: perhaps another client's */
    host_say_ok(c);
    assert_ok();
    host_assert_err_has("mvm-builder: ignoring lines that are not messages (first: parse error: ");
    assert_null(strstr(strstr(host_err(), "ignoring") + 1, "ignoring"));
}

static void json_has_no_noise_and_nothing_of_the_greeting(void **state)
{
    char expected[512];
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("--json", "build", "f", "a");
    host_await_request(c, "{\"Hello\":");
    say_stale_and_welcome(c, "ids");
    host_await_request(c, "\"Ping\"");
    host_say(c, "\"Pong\"");
    host_accept_build(c);
    host_say(c, "kernel: noise");
    host_say_ok(c);
    e2e_say(c, "{\"Log\":{\"line\":\"unfin"); /* after the end */
    assert_int_equal(host_finish(), HOST_OK);
    snprintf(expected, sizeof expected,
             "{\"Log\":{\"line\":\"\",\"id\":\"%s\",\"beat\":true}}\n"
             "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\",\"id\":\"%s\"}}\n",
             host_id(), host_id());
    assert_string_equal(host_out(), expected);
}

static void ctrl_c_asks_for_a_cancel(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    pid_t tool = host_start("build", "f", "a");
    host_welcome(c, HOST_FEATURES);
    host_accept_build(c);
    host_say_log(c, "begin");
    host_await_err("begin\n");
    kill(tool, SIGINT);
    host_await_request(c, "{\"Cancel\":{\"id\":\"");
    host_say(c,
             "{\"Err\":{\"message\":\"build cancelled\",\"id\":\"%s\",\"category\":\"cancelled\"}}",
             host_id());
    host_say(c, "{\"Cancelled\":{\"id\":\"%s\",\"was\":\"running\"}}", host_id());
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    host_assert_err_has("\nmvm-builder: interrupted; the build is cancelled\n");
}

static void ctrl_c_says_if_the_build_goes_on(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("build", "f", "a");
    host_refuse_hello(c);
    host_await_request(c, "\"Ping\"");
    host_say(c, "\"Pong\"");
    host_await_request(c, "{\"Build\":");
    host_say(c, "{\"Log\":{\"line\":\"begin\"}}");
    host_await_err("begin\n");
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    host_assert_err_has(
        "interrupted; the build goes on: a serial line has no end to cancel it by\n");
}

static void a_ping_waits_for_its_own_pong(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("ping");
    host_await_request(c, "{\"Hello\":");
    say_stale_and_welcome(c, "ids");
    host_await_request(c, "\"Ping\"");
    host_say(c, "\"Pong\"");
    assert_int_equal(host_finish(), HOST_OK);
    assert_memory_equal(host_out(), "Pong in ", 8);
}

static void a_line_that_another_program_uses_is_left_alone(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    int other = open(host_address + strlen("serial:"), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    host_start("build", "f", "a");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("another program uses this line\n");
    close(other);
    host_start("ping");
    host_await_request(c, "{\"Hello\":"); /* the first of all requests */
}

/* It would be overwritten. */
static void a_file_in_place_of_a_line_is_left_alone(void **state)
{
    (void)state;
    e2e_write_text(e2e_path("disk"), "precious");
    assert_int_equal(mkfifo(e2e_path("fifo"), 0600), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(host_address, sizeof host_address, "serial:%s", e2e_path(i > 0 ? "fifo" : "disk"));
        host_start("ping");
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        host_assert_err_has(": not a tty or a virtio-serial port\n");
    }
    e2e_assert_file(e2e_path("disk"), "precious");
}

/* /dev/zero can be read at any time, and takes what is written. */
static void noise_without_end_on_a_line_does_not_extend_the_wait(void **state)
{
    (void)state;
    strcpy(host_address, "serial:/dev/zero");
    host_start("wait", "--for", "1");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("it answered something else: ");
}

/* The agent takes its own Hello for a request, and answers it. */
static void a_line_that_echoes_is_reported(void **state)
{
    (void)state;
    struct e2e_conn *c = host_pty();
    host_start("build", "f", "a");
    host_welcome(c, HOST_FEATURES);
    host_accept_build(c);
    host_say(c,
             "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"x\",\"boot\":\"x\",\"features\":\"ids\"}}",
             host_nonce());
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("the line echoes: the agent receives what it sends");
}

static void a_line_that_does_nothing_but_echo_is_reported(void **state)
{
    char bytes[4096];
    (void)state;
    struct e2e_conn *c = host_pty();
    if (e2e_fork() == 0) {
        for (ssize_t n; (n = read(c->fd, bytes, sizeof bytes)) > 0;) {
            n = write(c->fd, bytes, (size_t)n);
        }
        _exit(0);
    }
    host_start("wait", "--for", "0");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has(
        ": the line echoes: what is sent comes back, and nothing else; it must be ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(what_an_earlier_client_left_is_dropped),
        E2E_TEST(with_an_agent_without_hello_all_up_to_the_own_pong_is_dropped),
        E2E_TEST(noise_between_frames_is_reported_once),
        E2E_TEST(json_has_no_noise_and_nothing_of_the_greeting),
        E2E_TEST(ctrl_c_asks_for_a_cancel),
        E2E_TEST(ctrl_c_says_if_the_build_goes_on),
        E2E_TEST(a_ping_waits_for_its_own_pong),
        E2E_TEST(a_line_that_another_program_uses_is_left_alone),
        E2E_TEST(a_line_that_echoes_is_reported),
        E2E_TEST(a_line_that_does_nothing_but_echo_is_reported),
        E2E_TEST(a_file_in_place_of_a_line_is_left_alone),
        E2E_TEST(noise_without_end_on_a_line_does_not_extend_the_wait),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
