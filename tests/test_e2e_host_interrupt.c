/* Ctrl-C reports what the agent answers: the build is cancelled, or how it ended. */
#define _GNU_SOURCE
#include "support_stream.h"

#define CANCELLED "mvm-builder: interrupted; the build is cancelled\n"
#define LATE      "mvm-builder: interrupted; it may be too late to cancel the build\n"
#define ENDED     "mvm-builder: interrupted; the build had ended before\n"
#define SUCCEEDED "mvm-builder: it has succeeded: " HOST_STORE_PATH "\n"
#define NO_END                                                                                     \
    "mvm-builder: its end has not come, and the output disk may be in use: mvm-builder join "

/* A build whose Cancel has arrived; with --json stderr has no line to wait for. */
static struct e2e_conn *interrupted(const char *option)
{
    host_listen("a.sock");
    host_start("build", "f", "a", option);
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    kill(host_pid(), SIGINT);
    host_await_request(c, "{\"Cancel\":{\"id\":\"");
    return c;
}

static void say_was(struct e2e_conn *c, const char *was)
{
    host_say(c, "{\"Cancelled\":{\"id\":\"%s\",\"was\":\"%s\"}}", host_id(), was);
}

static void say_err(struct e2e_conn *c, const char *message, const char *category)
{
    host_say(c, "{\"Err\":{\"message\":\"%s\",\"id\":\"%s\",\"category\":\"%s\"}}", message,
             host_id(), category);
}

static void the_end_of_the_build_is_reported(void **state)
{
    static const struct {
        const char *was;
        const char *message; /* of an Err; NULL: Ok */
        const char *category;
        const char *reported;
    } cases[] = {
        {"waiting", "build cancelled", "cancelled", CANCELLED},
        {"running", "build cancelled", "cancelled", CANCELLED},
        {"running", "nix build failed: 1", "build_failed",
         CANCELLED "mvm-builder: nix build failed: 1\n"},
        {"running", NULL, NULL, CANCELLED SUCCEEDED},
        {"staging", "build cancelled", "cancelled",
         LATE "mvm-builder: build cancelled\n"
              "mvm-builder: the build was cancelled: it can be started again\n"},
        {"staging", NULL, NULL, LATE SUCCEEDED},
        {"purring", NULL, NULL, LATE SUCCEEDED},
        {"ended", NULL, NULL, ENDED SUCCEEDED},
        {"ended", "nix build failed: 1", "build_failed",
         ENDED "mvm-builder: nix build failed: 1\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct e2e_conn *c = interrupted(NULL);
        say_was(c, cases[i].was);
        host_say_log(c, "more");
        if (cases[i].message == NULL) {
            host_say_ok(c);
        } else {
            say_err(c, cases[i].message, cases[i].category);
        }
        assert_int_equal(host_finish(), HOST_INTERRUPTED);
        assert_string_equal(host_err(), cases[i].reported);
        assert_string_equal(host_out(), "");
        host_stop_listening();
    }
}

/* Its answer to the Cancel follows, or is lost. */
static void an_end_before_the_answer_to_the_cancel_is_reported(void **state)
{
    (void)state;
    for (int ok = 0; ok < 2; ok++) {
        struct e2e_conn *c = interrupted(NULL);
        if (ok) {
            host_say_ok(c);
        } else {
            say_err(c, "build cancelled", "cancelled");
        }
        assert_int_equal(host_finish(), HOST_INTERRUPTED);
        assert_string_equal(host_err(), ok ? ENDED SUCCEEDED : CANCELLED);
        host_stop_listening();
    }
}

static void a_disk_that_is_not_released_is_reported(void **state)
{
    (void)state;
    struct e2e_conn *c = interrupted(NULL);
    say_was(c, "running");
    say_err(c, "build cancelled; failed to release: umount: EBUSY", "release");
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    host_assert_err_has(CANCELLED
                        "mvm-builder: build cancelled; failed to release: umount: EBUSY\n"
                        "mvm-builder: do not trust the output disk: the VM still uses it, or "
                        "could not write all of it\n");
}

static void a_build_that_the_agent_does_not_know_has_no_end_to_wait_for(void **state)
{
    (void)state;
    struct e2e_conn *c = interrupted(NULL);
    say_was(c, "unknown");
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    assert_string_equal(host_err(), "mvm-builder: interrupted; the agent does not know the build, "
                                    "or not any more\n");
}

static void an_end_that_does_not_come_is_reported(void **state)
{
    (void)state;
    uint64_t since = e2e_now_ms();
    struct e2e_conn *c = interrupted(NULL);
    say_was(c, "staging");
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    assert_true(e2e_now_ms() - since >= 10000);
    host_assert_err_has(LATE NO_END);
}

static void another_ctrl_c_ends_the_wait_for_the_end(void **state)
{
    (void)state;
    struct e2e_conn *c = interrupted(NULL);
    say_was(c, "running");
    host_await_err(CANCELLED);
    uint64_t since = e2e_now_ms();
    kill(host_pid(), SIGTERM);
    assert_int_equal(host_finish(), HOST_INTERRUPTED); /* by the first */
    assert_true(e2e_now_ms() - since < 9000);
    host_assert_err_has(CANCELLED NO_END);
}

static void a_lost_connection_ends_the_wait_for_the_end(void **state)
{
    (void)state;
    struct e2e_conn *c = interrupted(NULL);
    say_was(c, "ended");
    e2e_close(c);
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    host_assert_err_has(ENDED NO_END);
}

static void an_ok_that_is_not_valid_is_no_success(void **state)
{
    (void)state;
    struct e2e_conn *c = interrupted(NULL);
    say_was(c, "staging");
    host_say(c, "{\"Ok\":{\"out_path\":\"/tmp\",\"id\":\"%s\"}}", host_id());
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    host_assert_err_has(LATE "mvm-builder: cannot read the answer of ");
}

static void json_has_the_end_of_the_build(void **state)
{
    char expected[512];
    (void)state;
    struct e2e_conn *c = interrupted("--json");
    say_was(c, "staging");
    host_say_ok(c);
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    snprintf(expected, sizeof expected,
             "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\",\"id\":\"%s\"}}\n", host_id());
    assert_non_null(strstr(host_out(), expected));
}

/* ---- without disks ---- */

static void an_ok_before_or_after_the_answer_is_dropped(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        stream_begin(NULL, NULL);
        kill(host_pid(), SIGINT);
        stream_await(MVM_MESSAGE_CANCEL);
        if (!early) {
            struct mvm_message m = stream_response(MVM_MESSAGE_CANCELLED);
            m.text = mvm_text_from("ended");
            stream_say(m);
            stream_await(MVM_MESSAGE_DROP);
        }
        STREAM_SAY_OK(stream_item("kernel", 10));
        stream_await(MVM_MESSAGE_DROP);
        assert_int_equal(host_finish(), HOST_INTERRUPTED);
        assert_string_equal(host_err(), ENDED "mvm-builder: it has succeeded: " HOST_STORE_PATH
                                              "; its artifacts are dropped\n");
        stream_assert_nothing_there();
        stream_lose();
        host_stop_listening();
    }
}

/* More of it may go, and the connection has no room until the agent reads. */
static void a_build_whose_source_is_on_its_way_is_cancelled(void **state)
{
    const struct mvm_message *request;
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", stream_source_folder(4000000), "a", "--all-files", "--output",
               stream_output);
    stream_welcome(STREAM_FEATURES);
    uint64_t size = stream_await(MVM_MESSAGE_STREAM_BUILD)->build.source_size;
    stream_say_beat();
    stream_say_want(size);
    stream_await(MVM_MESSAGE_SOURCE);
    e2e_sleep_ms(300);
    kill(host_pid(), SIGINT);
    do {
        request = stream_next();
        assert_non_null(request);
    } while (request->kind == MVM_MESSAGE_SOURCE);
    assert_int_equal(request->kind, MVM_MESSAGE_CANCEL);
    struct mvm_message m = stream_response(MVM_MESSAGE_CANCELLED);
    m.text = mvm_text_from("running");
    stream_say(m);
    stream_await(MVM_MESSAGE_DROP);
    m = stream_response(MVM_MESSAGE_ERR);
    m.text = mvm_text_from("build cancelled");
    m.refusal.category = mvm_text_from("cancelled");
    stream_say(m);
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    assert_string_equal(host_err(), CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(the_end_of_the_build_is_reported),
        E2E_TEST(an_end_before_the_answer_to_the_cancel_is_reported),
        E2E_TEST(a_disk_that_is_not_released_is_reported),
        E2E_TEST(a_build_that_the_agent_does_not_know_has_no_end_to_wait_for),
        E2E_TEST(an_end_that_does_not_come_is_reported),
        E2E_TEST(another_ctrl_c_ends_the_wait_for_the_end),
        E2E_TEST(a_lost_connection_ends_the_wait_for_the_end),
        E2E_TEST(an_ok_that_is_not_valid_is_no_success),
        E2E_TEST(json_has_the_end_of_the_build),
        E2E_TEST(an_ok_before_or_after_the_answer_is_dropped),
        E2E_TEST(a_build_whose_source_is_on_its_way_is_cancelled),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
