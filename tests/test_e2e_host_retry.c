/* mvm-builder build --retry: a build survives a lost connection. */
#define _GNU_SOURCE
#include "support_host.h"
#include <sys/wait.h>

static void assert_ok(void)
{
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), HOST_STORE_PATH "\n");
}

/* A build that is kept, and one line of it. */
static struct e2e_conn *begun(void)
{
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "20");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    assert_non_null(strstr(host_await_request(c, "{\"Build\":"), ",\"keep\":true}}"));
    host_say(c, "{\"Log\":{\"line\":\"\",\"id\":\"%s\",\"beat\":true}}", host_id());
    host_say_log(c, "one");
    host_await_err("one\n");
    return c;
}

/* ---- a build that was accepted is joined ---- */

static void a_lost_connection_is_made_again_and_the_build_joined(void **state)
{
    char first[128];
    (void)state;
    struct e2e_conn *c = begun();
    strcpy(first, host_id());
    for (int i = 0; i < 3; i++) {
        e2e_close(c);
        c = host_welcome(host_accept(), HOST_FEATURES);
        host_accept_join(c);
        assert_string_equal(host_id(), first);
    }
    host_say_log(c, "two");
    host_say_ok(c);
    assert_ok();
    host_assert_err_has("one\nmvm-builder: connection lost: the agent's side closed it; trying "
                        "again for 20 s\n");
    host_assert_err_has("\ntwo\n");
}

static void a_connection_lost_inside_a_frame_is_lost_and_not_broken(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    e2e_say(c, "{\"Log\":{\"line\":\"tw");
    e2e_close(c);
    c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_join(c);
    host_say_ok(c);
    assert_ok();
    host_assert_err_has("connection lost: the agent's side closed it; trying again for 20 s\n");
}

static void an_agent_that_is_away_for_a_while_is_waited_for(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    host_stop_listening();
    e2e_close(c);
    host_await_err("trying again");
    e2e_sleep_ms(700);
    host_listen("a.sock");
    c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_join(c);
    host_say_ok(c);
    assert_ok();
    assert_null(strstr(strstr(host_err(), "trying again") + 1, "trying again")); /* reported once */
}

static void silence_is_as_good_as_a_lost_connection(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "20", "--silence", "4");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_join(c);
    host_say_ok(c);
    assert_ok();
    host_assert_err_has("connection lost: nothing heard from the agent for 4 s; trying again");
}

/* ---- one that was not accepted is requested again ---- */

static void a_build_that_was_not_accepted_is_sent_again(void **state)
{
    char first[128];
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "20");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    strcpy(first, host_id());
    e2e_close(c);
    c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    assert_string_equal(host_id(), first);
    host_say_ok(c);
    assert_ok();
}

static void one_that_was_accepted_unseen_is_joined(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "20");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    e2e_close(c);
    c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    host_say(c, "{\"Err\":{\"message\":\"known\",\"refused\":\"%s\",\"category\":\"id_conflict\"}}",
             host_id());
    host_accept_join(c);
    host_say_ok(c);
    assert_ok();
}

/* It may be another build, also one that another client follows. */
static void one_whose_id_was_given_is_not_joined_for_its_id_alone(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        host_listen("a.sock");
        host_start("build", "f", "a", "--retry", "20", "--id", "my.build_no-0001",
                   json ? "--json" : NULL);
        struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
        host_await_request(c, "{\"Build\":");
        e2e_close(c);
        c = host_welcome(host_accept(), HOST_FEATURES);
        host_await_request(c, "{\"Build\":");
        host_say(c,
                 "{\"Err\":{\"message\":\"known\",\"refused\":\"%s\","
                 "\"category\":\"id_conflict\"}}",
                 host_id());
        assert_int_equal(host_finish(), HOST_ERR);
        host_assert_err_has(
            "mvm-builder: it may be this build, from before the connection was lost: "
            "mvm-builder join my.build_no-0001 comes back to it, cancel ends it\n");
        host_stop_listening();
    }
}

/* Another client's build of the same id is not joined. */
static void an_id_that_was_in_use_before_is_refused(void **state)
{
    (void)state;
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    host_start("build", "f", "a", "--retry", "20", "--id", "my.build_no-0001");
    host_await_err("no connection: connect: No such file or directory; trying again for 20 s\n");
    host_listen("a.sock");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    host_say(c, "{\"Err\":{\"message\":\"known\",\"refused\":\"%s\",\"category\":\"id_conflict\"}}",
             host_id());
    assert_int_equal(host_finish(), HOST_ERR);
    host_assert_err_lacks("it may be this build");
}

/* ---- what is not retried ---- */

static void a_build_that_another_client_joined_is_left_to_it(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    host_say(c, "{\"Err\":{\"message\":\"moved away\",\"id\":\"%s\",\"category\":\"moved\"}}",
             host_id());
    e2e_close(c);
    assert_int_equal(host_finish(), HOST_ERR);
    host_assert_no_connection(100);
    host_assert_err_has(
        "mvm-builder: moved away\nmvm-builder: another client has joined the build");
}

static void a_build_that_the_agent_does_not_know_any_more_is_not_begun_again(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    e2e_close(c);
    c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Join\":");
    host_say(c,
             "{\"Err\":{\"message\":\"no such build\",\"refused\":\"%s\","
             "\"category\":\"unknown_id\"}}",
             host_id());
    assert_int_equal(host_finish(), HOST_ERR);
    host_assert_no_connection(100);
    host_assert_err_has("mvm-builder: no such build\n");
    host_assert_err_has("nothing was built again\n");
}

static void after_its_time_it_gives_up_and_says_how_to_come_back(void **state)
{
    char expected[256];
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "1");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    host_stop_listening();
    uint64_t since = e2e_now_ms();
    e2e_close(c);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    assert_in_range(e2e_now_ms() - since, 900, E2E_PATIENCE_MS);
    snprintf(expected, sizeof expected, "the build may go on: mvm-builder join %s ", host_id());
    host_assert_err_has(expected);
}

/* The agent may have accepted it. */
static void so_it_does_for_a_build_whose_acceptance_was_not_seen(void **state)
{
    char expected[256];
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "1");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    host_stop_listening();
    e2e_close(c);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    snprintf(expected, sizeof expected, "the build may go on: mvm-builder join %s ", host_id());
    host_assert_err_has(expected);
}

static void an_invalid_answer_is_not_requested_again(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    host_say(c, "{\"Ok\":{}}");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_no_connection(100);
}

static void without_retry_a_lost_connection_is_the_end(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    e2e_close(c);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    assert_string_equal(host_err(), "mvm-builder: connection lost before the answer: the agent's "
                                    "side closed it\n");
}

static void an_agent_that_cannot_keep_is_reported_and_not_asked_again(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--retry", "20");
    struct e2e_conn *c = host_welcome(host_accept(), "ids cancel");
    assert_null(strstr(host_await_request(c, "{\"Build\":"), "keep"));
    host_say_log(c, "one");
    e2e_close(c);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("mvm-builder: this agent cannot keep a build: a lost connection ends it\n");
    host_assert_no_connection(100);
}

/* ---- signals ---- */

static void ctrl_c_cancels_a_build_that_is_kept(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    assert_int_equal(kill(host_pid(), SIGINT), 0);
    host_await_request(c, "{\"Cancel\":{\"id\":\"");
    host_say(c, "{\"Cancelled\":{\"id\":\"%s\",\"was\":\"running\"}}", host_id());
    host_say(c,
             "{\"Err\":{\"message\":\"build cancelled\",\"id\":\"%s\",\"category\":\"cancelled\"}}",
             host_id());
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    host_assert_err_has("interrupted; the build is cancelled\n");
}

/* The connection of a build that is not kept may not end it either: see --keep-building. */
static void ctrl_c_cancels_a_build_that_the_agent_keeps(void **state)
{
    (void)state;
    e2e_write_nix("export MARK=kept; echo begin >&2; sleep 60");
    E2E_AGENT("a", "--keep-building");
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    host_start("build", "f", "a");
    host_await_err("begin\n");
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    host_assert_err_has("interrupted; the build is cancelled\n");
    e2e_await_log("a", "build failed: build cancelled");
    e2e_assert_none_left("MARK=kept", 0);
}

static void ctrl_c_ends_the_connection_of_an_agent_that_cannot_cancel(void **state)
{
    static const char *const features[] = {"", "ids join keep"};
    (void)state;
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        host_listen("a.sock");
        host_start("build", "f", "a");
        struct e2e_conn *c = host_welcome(host_accept(), features[i]);
        host_await_request(c, "{\"Build\":");
        kill(host_pid(), SIGINT);
        struct mvm_text line;
        assert_false(e2e_line(c, &line, E2E_PATIENCE_MS));
        assert_int_equal(host_finish(), HOST_INTERRUPTED);
        host_assert_err_has("interrupted; the end of the connection cancels the build\n");
        host_stop_listening();
    }
}

static void ctrl_c_does_not_wait_for_an_agent_that_is_silent(void **state)
{
    (void)state;
    begun();
    uint64_t since = e2e_now_ms();
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    assert_in_range(e2e_now_ms() - since, 0, 20000);
    host_assert_err_has("interrupted; the agent was asked to cancel the build\n"
                        "mvm-builder: the build may go on: mvm-builder join ");
}

static void ctrl_c_while_it_connects_again_ends_it(void **state)
{
    (void)state;
    struct e2e_conn *c = begun();
    host_stop_listening();
    e2e_close(c);
    host_await_err("trying again");
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    host_assert_err_has("interrupted; a build that is kept goes on\n"
                        "mvm-builder: the build may go on: mvm-builder join ");
}

/* ---- the real agent ---- */

static void a_monitor_that_is_restarted_loses_no_build(void **state)
{
    char body[512];
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body,
             "echo one >&2; while [ ! -e %s ]; do sleep 0.1; done; echo two >&2; echo %s",
             e2e_path("go"), store);
    e2e_write_nix(body);
    E2E_AGENT("a");
    pid_t relay = e2e_start_relay("vsock", "a");
    snprintf(host_address, sizeof host_address, "uds:%s:21470", e2e_path("vsock.sock"));
    host_start("build", "f", "a", "--retry", "20");
    host_await_err("one\n");
    e2e_end(relay, SIGKILL); /* its child ends with it */
    host_await_err("trying again");
    unlink(e2e_path("vsock.sock"));
    e2e_start_relay("vsock", "a");
    e2e_write_text(e2e_path("go"), "");
    assert_int_equal(host_finish(), HOST_OK);
    assert_int_equal(strncmp(host_out(), store, strlen(store)), 0);
}

/* The example of the manual, in a process group of its own. */
static pid_t start_script(void)
{
    char command[2048];
    snprintf(
        command, sizeof command,
        "sed -n '/^exec 9>lock/,/^exit/p' man/mvm-builder.1 | sed 's/\\\\e/\\\\/g' >'%s/script' && "
        "cd '%s' && ln -sf '%s' mvm-builder && "
        "MVM_BUILDER_TO='%s' PATH=.:$PATH exec sh script >>said 2>&1",
        e2e_path("."), e2e_path("."), e2e_program("mvm-builder"), host_address);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        setpgid(0, 0);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    setpgid(pid, pid);
    return pid;
}

static void the_script_of_the_manual_comes_back_to_its_build(void **state)
{
    (void)state;
    e2e_write_nix("echo begin >&2; while [ ! -e \"$MVM_E2E/go\" ]; do sleep 0.1; done; exit 3");
    E2E_AGENT("a");
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    pid_t script = start_script();
    e2e_await_log("a", "build started");
    assert_int_equal(kill(-script, SIGKILL), 0);
    assert_true(WIFSIGNALED(e2e_wait(script, E2E_PATIENCE_MS)));
    assert_true(e2e_exists(e2e_path("id")));
    script = start_script();
    e2e_sleep_ms(300);
    e2e_write_text(e2e_path("go"), "");
    int status = e2e_wait(script, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HOST_ERR);
    assert_non_null(strstr(e2e_read(e2e_path("said")).bytes, "nix build failed (exit status: 3)"));
    assert_false(e2e_exists(e2e_path("id")));
    e2e_assert_in_log("a", "build started", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_lost_connection_is_made_again_and_the_build_joined),
        E2E_TEST(a_connection_lost_inside_a_frame_is_lost_and_not_broken),
        E2E_TEST(an_agent_that_is_away_for_a_while_is_waited_for),
        E2E_TEST(silence_is_as_good_as_a_lost_connection),
        E2E_TEST(a_build_that_was_not_accepted_is_sent_again),
        E2E_TEST(one_that_was_accepted_unseen_is_joined),
        E2E_TEST(one_whose_id_was_given_is_not_joined_for_its_id_alone),
        E2E_TEST(an_id_that_was_in_use_before_is_refused),
        E2E_TEST(a_build_that_another_client_joined_is_left_to_it),
        E2E_TEST(a_build_that_the_agent_does_not_know_any_more_is_not_begun_again),
        E2E_TEST(after_its_time_it_gives_up_and_says_how_to_come_back),
        E2E_TEST(so_it_does_for_a_build_whose_acceptance_was_not_seen),
        E2E_TEST(an_invalid_answer_is_not_requested_again),
        E2E_TEST(without_retry_a_lost_connection_is_the_end),
        E2E_TEST(an_agent_that_cannot_keep_is_reported_and_not_asked_again),
        E2E_TEST(ctrl_c_cancels_a_build_that_is_kept),
        E2E_TEST(ctrl_c_cancels_a_build_that_the_agent_keeps),
        E2E_TEST(ctrl_c_ends_the_connection_of_an_agent_that_cannot_cancel),
        E2E_TEST(ctrl_c_does_not_wait_for_an_agent_that_is_silent),
        E2E_TEST(ctrl_c_while_it_connects_again_ends_it),
        E2E_TEST(the_script_of_the_manual_comes_back_to_its_build),
        E2E_TEST(a_monitor_that_is_restarted_loses_no_build),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
