/* mvm-builder's hello, cancel and join, and how ping, wait and build end with peers that are not
 * agents. */
#define _GNU_SOURCE
#include "mvm_session.h"
#include "support_host.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ID "0123456789abcdef"

/* ---- hello ---- */

static void hello_shows_what_the_agent_is(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("hello");
    host_welcome(host_accept(), "ids new");
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), "agent:    played 1.0\nboot:     b1\nfeatures: ids new\n");
}

static void hello_with_json_is_the_frame(void **state)
{
    char expected[256];
    (void)state;
    host_listen("a.sock");
    host_start("--json", "hello");
    host_welcome(host_accept(), "ids");
    assert_int_equal(host_finish(), HOST_OK);
    snprintf(expected, sizeof expected,
             "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"played 1.0\",\"boot\":\"b1\","
             "\"features\":\"ids\"}}\n",
             host_nonce());
    assert_string_equal(host_out(), expected);
}

static void an_agent_without_hello_ends_hello_cancel_and_join_with_1(void **state)
{
    static const char *const words[][3] = {{"hello"}, {"cancel", ID}, {"join", ID}};
    static const char *const says[] = {"this agent has no Hello: parse error: unknown variant",
                                       "this agent cannot cancel a build by its id: parse error",
                                       "this agent cannot join a build"};
    (void)state;
    host_listen("a.sock");
    for (size_t i = 0; i < 3; i++) {
        host_start_words(words[i]);
        host_refuse_hello(host_accept());
        assert_int_equal(host_finish(), HOST_ERR);
        assert_string_equal(host_out(), "");
        host_assert_err_has(says[i]);
    }
}

static void each_field_of_hello_is_on_one_line(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("hello");
    host_welcome(host_accept(), "ids\\nfeatures: all\\u001b[1A");
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), "agent:    played 1.0\nboot:     b1\n"
                                    "features: ids^Jfeatures: all^[[1A\n");
}

/* ---- cancel ---- */

static void cancel_prints_what_the_build_was_doing(void **state)
{
    static const struct {
        const char *was;
        int status;
    } cases[] = {{"waiting", HOST_OK},
                 {"running", HOST_OK},
                 {"staging", HOST_OK},
                 {"ended", HOST_OK},
                 {"unknown", HOST_ERR}};
    char expected[32];
    (void)state;
    host_listen("a.sock");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        host_start("cancel", ID);
        struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
        assert_string_equal(host_await_request(c, "{\"Cancel\""),
                            "{\"Cancel\":{\"id\":\"" ID "\"}}");
        host_say(c, "{\"Cancelled\":{\"id\":\"another-build-01\",\"was\":\"running\"}}");
        host_say(c, "{\"Cancelled\":{\"id\":\"" ID "\",\"was\":\"%s\"}}", cases[i].was);
        assert_int_equal(host_finish(), cases[i].status);
        snprintf(expected, sizeof expected, "%s\n", cases[i].was);
        assert_string_equal(host_out(), expected);
    }
}

/* ---- the real agent ---- */

static const char *start_agent(const char *body)
{
    e2e_write_nix(body);
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    E2E_AGENT("a");
    return host_address;
}

static void a_build_is_cancelled_by_its_id(void **state)
{
    (void)state;
    start_agent("export MARK=tool-cancelled; echo begin; sleep 60");
    host_start("build", "f", "a", "--id", ID);
    host_await_err("begin\n");
    const struct e2e_result *r = E2E_TOOL(host_address, "cancel", ID);
    assert_int_equal(WEXITSTATUS(r->status), HOST_OK);
    assert_string_equal(r->out, "running\n");
    assert_int_equal(host_finish(), HOST_ERR);
    host_assert_err_has("\nmvm-builder: build cancelled");
    host_assert_err_has("\nmvm-builder: the build was cancelled: it can be started again\n");
    e2e_assert_none_left("MARK=tool-cancelled", E2E_PATIENCE_MS);
    r = E2E_TOOL(host_address, "cancel", "no-such-build-0001");
    assert_int_equal(WEXITSTATUS(r->status), HOST_ERR);
    assert_string_equal(r->out, "unknown\n");
}

static void a_build_that_was_left_is_joined_by_its_id(void **state)
{
    char body[512];
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body,
             "echo one >&2; while [ ! -e %s ]; do sleep 0.1; done; echo two >&2; echo %s",
             e2e_path("go"), store);
    start_agent(body);
    pid_t first = host_start("build", "f", "a", "--id", ID, "--retry", "9");
    host_await_err("one\n");
    e2e_end(first, SIGKILL);
    host_start("join", ID);
    e2e_sleep_ms(200);
    e2e_write_text(e2e_path("go"), "");
    assert_int_equal(host_finish(), HOST_OK);
    assert_int_equal(strncmp(host_out(), store, strlen(store)), 0);
    /* Again: the answer is kept. */
    const struct e2e_result *r = E2E_TOOL(host_address, "join", ID);
    assert_int_equal(WEXITSTATUS(r->status), HOST_OK);
    assert_int_equal(strncmp(r->out, store, strlen(store)), 0);
}

static void an_interrupted_join_does_not_promise_that_the_build_goes_on(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("join", ID);
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_join(c);
    host_say_log(c, "one");
    host_await_err("one\n");
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    host_assert_err_has("mvm-builder: interrupted; the build goes on if it is kept (--retry, "
                        "--keep-building), else it ends\n");
}

static void a_client_that_joins_takes_the_build_over(void **state)
{
    (void)state;
    start_agent("echo begin; sleep 60");
    pid_t first = host_start("build", "f", "a", "--id", ID, "--retry", "9");
    host_await_err("begin\n");
    char copy[E2E_PATH_CAP];
    snprintf(copy, sizeof copy, "%s", e2e_path("first.err"));
    rename(e2e_path("tool.err"), copy); /* it is still the first client's */
    host_start("join", ID);
    assert_int_equal(WEXITSTATUS(e2e_wait(first, E2E_PATIENCE_MS)), HOST_ERR);
    assert_non_null(strstr(e2e_read(copy).bytes, "another client has joined the build"));
    E2E_TOOL(host_address, "cancel", ID);
    assert_int_equal(host_finish(), HOST_ERR);
}

/* ---- peers that are something else ---- */

static void wait_says_what_an_agent_that_answers_err_said(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("wait", "--for", "0");
    struct e2e_conn *c = host_accept();
    host_await_request(c, "{\"Hello\":");
    host_say(c, "{\"Err\":{\"message\":\"not today\"}}");
    host_await_request(c, "\"Ping\"");
    host_say(c, "{\"Err\":{\"message\":\"not today either\"}}");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("connected, but it answers Err: not today either\n");
}

static void a_peer_that_answers_something_else_is_quoted(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("wait", "--for", "0");
    struct e2e_conn *c = host_accept();
    host_say(c, "SSH-2.0-OpenSSH_9.2\r");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("it answered something else: \"SSH-2.0-OpenSSH_9.2\"\n");
    host_assert_err_lacks("no answer in time");
}

static void wait_says_that_an_err_was_empty(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("wait", "--for", "0");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "\"Ping\"");
    host_say(c, "{\"Err\":{\"message\":\"\"}}");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("connected, but it answers Err without a reason\n");
}

static void json_of_wait_is_the_frame_of_the_answer(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("--json", "wait", "--for", "9");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "\"Ping\"");
    host_say(c, "\"Pong\"");
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), "\"Pong\"\n");
}

/* The beginning of a frame is that of an agent that was lost. */
static void a_peer_that_answers_something_else_and_hangs_up_is_quoted(void **state)
{
    static const struct {
        const char *answer;
        const char *why;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n",
         "it answered something else: \"HTTP/1.1 400 Bad Request\"\n"},
        {"\r\n\r\nlogin:", "it answered something else: \"login:\"\n"},
        {"no", "it answered something else: \"no\"\n"},
        {"{\"Hello\":{\"non", "connection lost before the answer: the agent's side closed it\n"},
        {"", "connection lost before the answer: the agent's side closed it\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        host_listen("a.sock");
        host_start("ping");
        struct e2e_conn *c = host_accept();
        host_await_request(c, "{\"Hello\":");
        e2e_say(c, cases[i].answer);
        e2e_close(c);
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        host_assert_err_has(cases[i].why);
        host_stop_listening();
    }
}

static void one_that_hangs_up_on_protobuf_is_quoted_too(void **state)
{
    static const char *const answers[] = {"no", "HTTP/1.1 400 Bad Request\r\n\r\n"};
    (void)state;
    if (!mvm_proto_present) {
        E2E_SKIP("no protobuf wire");
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        host_listen("a.sock");
        host_start("--wire", "proto", "ping");
        struct e2e_conn *c = host_accept();
        host_pause(); /* so that the answer and the end come together */
        e2e_say(c, answers[i]);
        e2e_close(c);
        host_continue();
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        host_assert_err_has("it answered something else: \"");
        host_stop_listening();
    }
}

static void wait_for_0_seconds_is_one_whole_attempt(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("wait", "--for", "0");
    struct e2e_conn *c = host_welcome(host_accept(), "");
    host_await_request(c, "\"Ping\"");
    e2e_sleep_ms(300);
    host_say(c, "\"Pong\"");
    assert_int_equal(host_finish(), HOST_OK);
    host_start("wait", "--for", "0");
    e2e_close(host_accept());
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_no_connection(200);
}

/* The monitor connects after more than an answer may take. */
static void the_time_for_an_answer_begins_with_the_connection(void **state)
{
    (void)state;
    host_listen("monitor");
    snprintf(host_address, sizeof host_address, "uds:%s:21470", e2e_path("monitor"));
    host_start("wait", "--for", "0");
    struct e2e_conn *c = host_accept();
    host_await_request(c, "CONNECT 21470");
    e2e_sleep_ms(2500);
    host_say(c, "OK 1");
    host_await_request(c, "{\"Hello\":");
    host_say(c, "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"x\",\"boot\":\"x\",\"features\":\"\"}}",
             host_nonce());
    host_await_request(c, "\"Ping\"");
    host_say(c, "\"Pong\"");
    assert_int_equal(host_finish(), HOST_OK);
}

static void protobuf_to_an_agent_without_it_ends_with_3_and_the_reason(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("--wire", "proto", "build", "f", "a");
    struct e2e_conn *c = host_accept();
    e2e_say(c, "{\"Err\":{\"message\":\"parse error: expected value at byte 0\"}}\n");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has(
        "it answers in JSON: an agent without protobuf, or on a serial line; use --wire json\n");
}

/* ---- silence ---- */

static void the_connection_of_an_agent_that_becomes_silent_is_dropped(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--silence", "4");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    for (int i = 0; i < 5; i++) { /* a heartbeat suffices */
        e2e_sleep_ms(900);
        host_say(c, "{\"Log\":{\"line\":\"\",\"id\":\"%s\",\"beat\":true}}", host_id());
    }
    assert_true(host_runs());
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("nothing heard from the agent for 4 s\n");
}

static void
the_connection_of_an_agent_that_is_silent_from_the_beginning_is_dropped_too(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--silence", "1");
    host_accept();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("no answer in time\n");
}

static void an_agent_that_answers_hello_and_then_nothing_is_not_something_else(void **state)
{
    static const char *const commands[][3] = {{"wait", "--for", "0"}, {"cancel", ID, NULL}};
    static const char *const requests[] = {"\"Ping\"", "{\"Cancel\":"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        host_listen("a.sock");
        host_start(commands[i][0], commands[i][1], commands[i][2]);
        struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
        host_await_request(c, requests[i]);
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        host_assert_err_has(": no answer in time\n");
        host_assert_err_lacks("something else");
        host_stop_listening();
    }
}

/* Sends a frame again and again, until the tool closes the connection. */
static void start_repeating(struct e2e_conn *c, const char *frame)
{
    if (e2e_fork() == 0) {
        while (send(c->fd, frame, strlen(frame), MSG_NOSIGNAL) > 0) {
            poll(NULL, 0, 20);
        }
        _exit(0);
    }
}

static void frames_of_other_builds_do_not_hide_an_agents_silence(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--silence", "3");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    start_repeating(c, "{\"Log\":{\"line\":\"x\",\"id\":\"another-build-01\"}}\n");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("nothing heard from the agent for 3 s\n");
}

static void answers_to_another_hello_do_not_extend_the_wait(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--silence", "4");
    struct e2e_conn *c = host_accept();
    start_repeating(
        c, "{\"Hello\":{\"nonce\":\"z\",\"agent\":\"x\",\"boot\":\"x\",\"features\":\"ids\"}}\n");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("it answered something else: \"{\"Hello\":");
}

/* Without a limit of its own it would wait as long as for a busy agent. */
static void a_build_waits_for_another_program_no_longer_than_for_an_answer(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--silence", "0");
    struct e2e_conn *c = host_accept();
    host_say(c, "HTTP/1.1 400 Bad Request\r");
    assert_int_equal(WEXITSTATUS(e2e_wait(host_pid(), 2 * E2E_PATIENCE_MS)), HOST_NO_CONNECTION);
    host_assert_err_has("it answered something else: \"HTTP/1.1 400 Bad Request\"\n");
}

static void an_agent_without_heartbeats_may_be_silent(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--silence", "3");
    struct e2e_conn *c = host_refuse_hello(host_accept());
    host_await_request(c, "{\"Build\":");
    e2e_sleep_ms(4000);
    assert_true(host_runs());
    host_say(c, "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\"}}");
    assert_int_equal(host_finish(), HOST_OK);
}

/* Its requests do not fit the socket, and its answers are ready to be read. */
static void a_peer_that_talks_and_does_not_read_costs_no_processor_time(void **state)
{
    static char flake[100000];
    (void)state;
    memset(flake, '"', sizeof flake - 1); /* two bytes in JSON */
    host_listen("a.sock");
    host_start("build", flake, flake);
    struct e2e_conn *c = host_accept();
    int small = 4096;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    host_welcome(c, HOST_FEATURES);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    for (uint64_t until = e2e_now_ms() + 1000; e2e_now_ms() < until; e2e_sleep_ms(10)) {
        static const char frame[] = "{\"Log\":{\"line\":\"talk\"}}\n";
        for (int i = 0; i < 1000 && write(c->fd, frame, sizeof frame - 1) > 0; i++) {
        }
    }
    e2e_assert_idle(host_pid());
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(hello_shows_what_the_agent_is),
        E2E_TEST(each_field_of_hello_is_on_one_line),
        E2E_TEST(hello_with_json_is_the_frame),
        E2E_TEST(an_agent_without_hello_ends_hello_cancel_and_join_with_1),
        E2E_TEST(cancel_prints_what_the_build_was_doing),
        E2E_TEST(a_build_is_cancelled_by_its_id),
        E2E_TEST(a_build_that_was_left_is_joined_by_its_id),
        E2E_TEST(an_interrupted_join_does_not_promise_that_the_build_goes_on),
        E2E_TEST(a_client_that_joins_takes_the_build_over),
        E2E_TEST(wait_says_what_an_agent_that_answers_err_said),
        E2E_TEST(a_peer_that_answers_something_else_is_quoted),
        E2E_TEST(wait_says_that_an_err_was_empty),
        E2E_TEST(json_of_wait_is_the_frame_of_the_answer),
        E2E_TEST(a_peer_that_answers_something_else_and_hangs_up_is_quoted),
        E2E_TEST(one_that_hangs_up_on_protobuf_is_quoted_too),
        E2E_TEST(wait_for_0_seconds_is_one_whole_attempt),
        E2E_TEST(the_time_for_an_answer_begins_with_the_connection),
        E2E_TEST(protobuf_to_an_agent_without_it_ends_with_3_and_the_reason),
        E2E_TEST(the_connection_of_an_agent_that_becomes_silent_is_dropped),
        E2E_TEST(the_connection_of_an_agent_that_is_silent_from_the_beginning_is_dropped_too),
        E2E_TEST(an_agent_that_answers_hello_and_then_nothing_is_not_something_else),
        E2E_TEST(frames_of_other_builds_do_not_hide_an_agents_silence),
        E2E_TEST(answers_to_another_hello_do_not_extend_the_wait),
        E2E_TEST(a_build_waits_for_another_program_no_longer_than_for_an_answer),
        E2E_TEST(an_agent_without_heartbeats_may_be_silent),
        E2E_TEST(a_peer_that_talks_and_does_not_read_costs_no_processor_time),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
