/* mvm-builder accepts only frames of its own build, and only valid ones. */
#define _GNU_SOURCE
#include "support_host.h"

/* A Build that an agent with ids has accepted. */
static struct e2e_conn *accepted(void)
{
    host_listen("a.sock");
    host_start("build", "f", "a");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    return c;
}

static void assert_ok(void)
{
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), HOST_STORE_PATH "\n");
}

/* ---- ids ---- */

static void a_build_has_a_fresh_id_of_32_digits(void **state)
{
    char first[128];
    (void)state;
    struct e2e_conn *c = accepted();
    strcpy(first, host_id());
    assert_int_equal(strlen(first), 32);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    host_say_ok(c);
    assert_ok();
    host_stop_listening();
    host_say_ok(accepted());
    assert_ok();
    assert_string_not_equal(first, host_id());
}

static void an_id_that_is_given_is_used_and_keep_is_not_asked_for(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--id", "my.build_no-0001", "--timeout", "9");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    assert_string_equal(host_await_request(c, "{\"Build\":"),
                        "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secs\":9,"
                        "\"id\":\"my.build_no-0001\"}}");
    host_say_ok(c);
    assert_ok();
}

static void answers_to_others_are_ignored(void **state)
{
    (void)state;
    struct e2e_conn *c = accepted();
    host_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/stale\"}}");
    host_say(c, "{\"Err\":{\"message\":\"stale\"}}");
    host_say(c, "{\"Err\":{\"message\":\"parse error: stale\"}}");
    host_say(c, "{\"Log\":{\"line\":\"stale\"}}");
    host_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/stale\",\"id\":\"another-build-01\"}}");
    host_say(c, "{\"Err\":{\"message\":\"stale\",\"id\":\"another-build-01\"}}");
    host_say(c, "{\"Err\":{\"message\":\"stale\",\"refused\":\"another-build-01\"}}");
    host_say(c, "{\"Log\":{\"line\":\"stale\",\"id\":\"another-build-01\"}}");
    host_say(c, "\"Pong\"");
    host_say_log(c, "mine");
    host_say_ok(c);
    assert_ok();
    assert_string_equal(host_err(), "mine\n");
}

static void what_this_version_does_not_know_is_ignored(void **state)
{
    (void)state;
    struct e2e_conn *c = accepted();
    host_say(c, "{\"News\":{\"of\":[1,2,{\"x\":null}]}}");
    host_say(c, "\"Quiet\"");
    host_say(c, "{\"Log\":{\"line\":\"one\",\"id\":\"%s\",\"colour\":\"red\"}}", host_id());
    host_say(c, "{\"Err\":{\"message\":\"no\",\"id\":\"%s\",\"category\":\"brand_new\",\"x\":1}}",
             host_id());
    assert_int_equal(host_finish(), HOST_ERR);
    assert_string_equal(host_err(), "one\nmvm-builder: no\n");
}

static void a_refused_id_is_the_end(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    host_say(c, "{\"Err\":{\"message\":\"known\",\"refused\":\"%s\",\"category\":\"id_conflict\"}}",
             host_id());
    assert_int_equal(host_finish(), HOST_ERR);
    assert_string_equal(host_err(),
                        "mvm-builder: known\nmvm-builder: each build needs an id of its own\n");
}

/* It names no build, as the agent could not read the request. */
static void a_parse_error_is_the_answer_to_a_build_that_is_never_accepted(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_await_request(c, "{\"Build\":");
    host_say(c, "{\"Err\":{\"message\":\"nix build failed: of another build\"}}");
    host_say(c, "{\"Err\":{\"message\":\"parse error: flake_ref too long\"}}");
    assert_int_equal(host_finish(), HOST_ERR);
    assert_string_equal(host_err(), "mvm-builder: parse error: flake_ref too long\n");
}

static void an_err_without_a_reason_is_reported_to_have_none(void **state)
{
    (void)state;
    struct e2e_conn *c = accepted();
    host_say(c, "{\"Err\":{\"message\":\"\",\"id\":\"%s\"}}", host_id());
    assert_int_equal(host_finish(), HOST_ERR);
    assert_string_equal(host_err(), "mvm-builder: the agent answers Err without a reason\n");
}

static void a_failure_s_category_is_put_into_words(void **state)
{
    (void)state;
    struct e2e_conn *c = accepted();
    host_say(c,
             "{\"Err\":{\"message\":\"nix build failed (signal: 9): nix\",\"id\":\"%s\","
             "\"category\":\"out_of_memory\"}}",
             host_id());
    assert_int_equal(host_finish(), HOST_ERR);
    assert_string_equal(host_err(), "mvm-builder: nix build failed (signal: 9): nix\n"
                                    "mvm-builder: out of memory in the VM: give it more\n");
}

static void json_has_the_frames_of_this_build_and_no_others(void **state)
{
    char expected[1024];
    (void)state;
    host_listen("a.sock");
    host_start("--json", "build", "f", "a");
    struct e2e_conn *c = host_welcome(host_accept(), HOST_FEATURES);
    host_accept_build(c);
    host_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/stale\"}}");
    host_say(c, "{\"News\":1}");
    host_say(c, "\"Pong\"");
    host_say(c, " {\"Log\" : {\"id\":\"%s\", \"line\":\"\\u0061\", \"new\":1}} ", host_id());
    host_say_ok(c);
    assert_int_equal(host_finish(), HOST_OK);
    snprintf(expected, sizeof expected,
             "{\"Log\":{\"line\":\"\",\"id\":\"%s\",\"beat\":true}}\n"
             "{\"Log\":{\"line\":\"a\",\"id\":\"%s\"}}\n"
             "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\",\"id\":\"%s\"}}\n",
             host_id(), host_id(), host_id());
    assert_string_equal(host_out(), expected);
    assert_string_equal(host_err(), "");
}

/* ---- answers that are not valid ---- */

static void a_final_answer_that_cannot_be_read_ends_with_3(void **state)
{
    static const char *const answers[] = {
        "{\"Ok\":{}}",
        "{\"Ok\":{\"out_path\":7}}",
        "{\"Ok\":{\"out_path\":\"/nix/store/x\",\"out_path\":\"/nix/store/x\"}}",
        "{\"Ok\":{\"out_path\":\"/nix/store/\xff\"}}",
        "{\"Ok\":{\"out_path\":\"/nix/store/x\"}",
        "{\"Err\":{}}",
        "{\"Err\":{\"message\":null}}",
        "Ok /nix/store/x",
        "[]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct e2e_conn *c = accepted();
        host_say(c, "%s", answers[i]);
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        assert_string_equal(host_out(), "");
        host_assert_err_has("cannot read the answer of unix:");
        host_stop_listening();
    }
}

static void an_answer_on_the_other_wire_ends_with_3(void **state)
{
    static const char proto[] = "\0\0\0\0\x10\x0a\x0e\x0a\x0c/nix/store/x";
    (void)state;
    struct e2e_conn *c = accepted();
    e2e_say_bytes(c, proto, sizeof proto - 1);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("cannot read the answer of unix:");
}

static void an_ok_without_a_store_path_ends_with_3_and_is_quoted(void **state)
{
    static const struct {
        const char *sent;
        const char *quoted;
    } cases[] = {
        {"", "\"\""},
        {"nix/store/x", "\"nix/store/x\""},
        {"/nix/store/x/kernel", "\"/nix/store/x/kernel\""},
        {"/nix/store/..", "\"/nix/store/..\""},
        {"/nix/store/x\\n/nix/store/y", "\"/nix/store/x^J/nix/store/y\""},
        {"/nix/store/x\\u001b]52;c;eA==\\u0007", "\"/nix/store/x^[]52;c;eA==^G\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct e2e_conn *c = accepted();
        host_say(c, "{\"Ok\":{\"out_path\":\"%s\",\"id\":\"%s\"}}", cases[i].sent, host_id());
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        assert_string_equal(host_out(), "");
        host_assert_err_has(cases[i].quoted);
        host_stop_listening();
    }
}

static void an_ok_of_100_kb_is_not_a_store_path(void **state)
{
    static char path[100001];
    (void)state;
    struct e2e_conn *c = accepted();
    memset(path, 'x', sizeof path - 1);
    host_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/%s\",\"id\":\"%s\"}}", path, host_id());
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("xxx\" [cut]\n");
    assert_true(strlen(host_err()) < 400);
}

/* Other agents' Logs may be of any length. */
static void a_log_line_that_is_too_long_is_skipped_and_that_is_reported(void **state)
{
    static char part[1 << 20];
    (void)state;
    struct e2e_conn *c = accepted();
    memset(part, 'x', sizeof part);
    e2e_say(c, "{\"Log\":{\"line\":\"");
    for (int i = 0; i < 17; i++) {
        e2e_say_bytes(c, part, sizeof part);
    }
    host_say(c, "\"}}");
    host_say_log(c, "one");
    host_say_ok(c);
    assert_ok();
    host_assert_err_has("mvm-builder: ignoring lines that are not messages (first: parse error: ");
    host_assert_err_has("too long");
    host_assert_err_has("\none\n");
}

/* It may be the answer, also if it is of another kind than could be ours. */
static void an_answer_over_a_limit_ends_with_3_and_what_is_too_long_is_named(void **state)
{
    char answer[256];
    static const struct {
        const char *features;
        const char *start;
        int len;
        const char *field;
    } cases[] = {
        {HOST_FEATURES, "{\"Err\":{\"message\":\"no\",\"category\":\"", 33, "category"},
        {HOST_FEATURES, "{\"Cancelled\":{\"was\":\"", 33, "was"},
        {"", "{\"Err\":{\"message\":\"no\",\"id\":\"", 65, "id"},
        {"", "{\"Ok\":{\"out_path\":\"/nix/store/x\",\"id\":\"", 65, "id"},
        {"", "{\"Err\":{\"message\":\"no\",\"refused\":\"", 65, "refused"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        host_listen("a.sock");
        host_start("build", "f", "a");
        struct e2e_conn *c = host_welcome(host_accept(), cases[i].features);
        host_await_request(c, "{\"Build\":");
        snprintf(answer, sizeof answer, "%s%0*d\"}}", cases[i].start, cases[i].len, 0);
        host_say(c, "%s", answer);
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        snprintf(answer, sizeof answer, ": parse error: %s too long at byte ", cases[i].field);
        host_assert_err_has(answer);
        host_assert_err_lacks("ignoring");
        host_stop_listening();
    }
}

static void an_err_over_16_mib_ends_with_3(void **state)
{
    static const char start[] = "{\"Err\":{\"message\":\"";
    static char part[1 << 20];
    (void)state;
    struct e2e_conn *c = accepted();
    memset(part, 'x', sizeof part);
    e2e_say(c, start);
    for (size_t left = MVM_RESPONSE_FRAME_MAX - strlen(start), len; left > 0; left -= len) {
        len = left < sizeof part ? left : sizeof part;
        e2e_say_bytes(c, part, len);
    }
    assert_true(host_runs());
    host_say(c, "x");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has(": parse error: frame too long");
    host_assert_err_lacks("ignoring");
}

static void a_hello_over_a_limit_ends_with_3(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("ping");
    struct e2e_conn *c = host_accept();
    host_await_request(c, "{\"Hello\":");
    host_say(c,
             "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"%065d\",\"boot\":\"b\",\"features\":\"\"}}",
             host_nonce(), 0);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("cannot read the answer of ");
    host_assert_err_has(": parse error: agent too long at byte ");
}

static void an_id_over_the_limit_is_another_s_if_ids_are_in_use(void **state)
{
    (void)state;
    struct e2e_conn *c = accepted();
    host_say(c, "{\"Err\":{\"message\":\"no\",\"id\":\"%065d\"}}", 0);
    host_say(c, "{\"Err\":{\"message\":\"no\",\"refused\":\"%065d\"}}", 0);
    host_say_ok(c);
    assert_ok();
}

/* ---- agents without Hello ---- */

/* What it names cannot be this build's id, which it was not given. */
static void an_id_of_an_agent_without_ids_is_not_looked_at(void **state)
{
    (void)state;
    for (int ok = 0; ok < 2; ok++) {
        host_listen("a.sock");
        host_start("build", "f", "a");
        struct e2e_conn *c = host_refuse_hello(host_accept());
        host_await_request(c, "{\"Build\":");
        host_say(c, "{\"Log\":{\"line\":\"one\",\"id\":\"x\"}}");
        host_say(c, ok ? "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\",\"id\":\"x\"}}"
                       : "{\"Err\":{\"message\":\"no\",\"id\":\"x\"}}");
        assert_int_equal(host_finish(), ok ? HOST_OK : HOST_ERR);
        assert_string_equal(host_out(), ok ? HOST_STORE_PATH "\n" : "");
        assert_string_equal(host_err(), ok ? "one\n" : "one\nmvm-builder: no\n");
        host_stop_listening();
    }
    host_listen("a.sock");
    host_start("ping");
    struct e2e_conn *c = host_refuse_hello(host_accept());
    host_await_request(c, "\"Ping\"");
    host_say(c, "{\"Err\":{\"message\":\"no\",\"id\":\"x\"}}");
    assert_int_equal(host_finish(), HOST_ERR);
    assert_string_equal(host_err(), "mvm-builder: no\n");
}

static void an_agent_without_hello_is_served_as_before(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--id", "my.build_no-0001");
    struct e2e_conn *c = host_refuse_hello(host_accept());
    assert_string_equal(host_await_request(c, "{\"Build\":"),
                        "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secs\":null}}");
    host_say(c, "{\"Log\":{\"line\":\"one\"}}");
    host_say(c, "{\"Log\":{\"line\":\"\"}}"); /* a heartbeat */
    host_say(c, "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\"}}");
    assert_ok();
    assert_string_equal(host_err(), "one\n");
}

static void an_agent_that_hangs_up_on_hello_is_asked_again_without(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a");
    struct e2e_conn *c = host_accept();
    host_await_request(c, "{\"Hello\":");
    host_pause(); /* so that the Err and the end come at once */
    host_say(c, HOST_PARSE_ERROR);
    e2e_close(c);
    host_continue();
    c = host_accept();
    host_await_request(c, "{\"Build\":{\"flake_ref\":\"f\"");
    host_say(c, "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\"}}");
    assert_ok();
}

/* A Unix socket can lead to a serial line. */
static void an_err_of_an_earlier_client_is_not_the_answer_to_hello(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a");
    struct e2e_conn *c = host_accept();
    host_await_request(c, "{\"Hello\":");
    host_say(
        c,
        HOST_PARSE_ERROR
        "\n{\"Hello\":{\"nonce\":\"another\",\"agent\":\"x\",\"boot\":\"x\",\"features\":\"\"}}\n"
        "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"x\",\"boot\":\"x\",\"features\":\"ids\"}}",
        host_nonce());
    host_accept_build(c);
    assert_int_equal(strlen(host_id()), 32);
    host_say_ok(c);
    assert_ok();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_build_has_a_fresh_id_of_32_digits),
        E2E_TEST(an_id_that_is_given_is_used_and_keep_is_not_asked_for),
        E2E_TEST(answers_to_others_are_ignored),
        E2E_TEST(what_this_version_does_not_know_is_ignored),
        E2E_TEST(a_refused_id_is_the_end),
        E2E_TEST(a_parse_error_is_the_answer_to_a_build_that_is_never_accepted),
        E2E_TEST(an_err_without_a_reason_is_reported_to_have_none),
        E2E_TEST(a_failure_s_category_is_put_into_words),
        E2E_TEST(json_has_the_frames_of_this_build_and_no_others),
        E2E_TEST(a_final_answer_that_cannot_be_read_ends_with_3),
        E2E_TEST(an_answer_on_the_other_wire_ends_with_3),
        E2E_TEST(an_ok_without_a_store_path_ends_with_3_and_is_quoted),
        E2E_TEST(an_ok_of_100_kb_is_not_a_store_path),
        E2E_TEST(a_log_line_that_is_too_long_is_skipped_and_that_is_reported),
        E2E_TEST(an_answer_over_a_limit_ends_with_3_and_what_is_too_long_is_named),
        E2E_TEST(an_err_over_16_mib_ends_with_3),
        E2E_TEST(a_hello_over_a_limit_ends_with_3),
        E2E_TEST(an_id_over_the_limit_is_another_s_if_ids_are_in_use),
        E2E_TEST(an_id_of_an_agent_without_ids_is_not_looked_at),
        E2E_TEST(an_agent_without_hello_is_served_as_before),
        E2E_TEST(an_agent_that_hangs_up_on_hello_is_asked_again_without),
        E2E_TEST(an_err_of_an_earlier_client_is_not_the_answer_to_hello),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
