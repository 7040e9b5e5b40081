/* Frames that are not requests, and requests that are refused, sent to the real agent. */
#include "support.h"

enum { MARGIN = 64 };

/* The agent's message about a bad line, and that the next line on that connection is handled. */
static void assert_refused(struct e2e_conn *c, const char *line, size_t len, const char *what,
                           unsigned at)
{
    char expected[128];
    e2e_say_bytes(c, line, len);
    e2e_say(c, "\n");
    struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
    snprintf(expected, sizeof expected, "parse error: %s at byte %u", what, at);
    if (f.kind != MVM_MESSAGE_ERR || strcmp(f.text.bytes, expected) != 0) {
        fail_msg("%.60s: expected %s, got %.300s", line, expected, f.line.bytes);
    }
    e2e_ping(c, E2E_PATIENCE_MS);
}

#define FIELDS_REST ",\"attr\":\"a\"}}"

static void a_line_that_is_not_a_request_gets_one_parse_error_and_the_next_one_works(void **state)
{
    static const struct {
        const char *line;
        const char *what;
        unsigned at;
    } cases[] = {
        {"hello", "unexpected character", 0},
        {"{\"Build\":{\"flake_ref\":\"f\";", "unexpected character", 25},
        {"{\"Build\":{\"flake_ref\":\"f\"", "unexpected end", 25},
        {"\"Ping\" \"Ping\"", "characters after the value", 7},
        {"\"Ping\\x\"", "bad escape in a string", 6},
        {"\"Ping\x01\"", "control character in a string", 5},
        {"\"\\ud800\"", "lone surrogate in a string", 7},
        {"\"Pung\"", "unknown variant", 0},
        {"\"Pong\"", "unknown variant", 0},
        {"{\"Shell\":{}}", "unknown variant", 1},
        {"\"Build\"", "variant without its fields", 0},
        {"{\"Ping\":1}", "variant has no fields", 8},
        {"7", "neither a name nor an object with one member", 0},
        {"{\"Build\":{\"flake_ref\":\"f\"}}", "missing field attr", 25},
        {"{\"Build\":{\"attr\":\"a\"}}", "missing field flake_ref", 20},
        {"{\"Build\":{\"flake_ref\":1" FIELDS_REST, "wrong type of flake_ref", 22},
        {"{\"Build\":{\"flake_ref\":\"f\",\"attr\":null}}", "wrong type of attr", 33},
        {"{\"Build\":{\"timeout_secs\":-1,\"flake_ref\":\"f\"" FIELDS_REST,
         "wrong type of timeout_secs", 25},
        {"{\"Build\":{\"timeout_secs\":1.5,\"flake_ref\":\"f\"" FIELDS_REST,
         "wrong type of timeout_secs", 25},
        {"{\"Build\":{\"flake_ref\":\"f\",\"flake_ref\":\"f\"" FIELDS_REST,
         "duplicate field flake_ref", 26},
        {"{\"Build\":[\"f\",\"a\",1,null,null,2]}", "more elements than fields", 30},
        {"\"Pi\xffng\"", "string is not UTF-8", 3},
        {"\xef\xbb\xbf\"Ping\"", "unexpected character", 0},
    };
    (void)state;
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(c, cases[i].line, strlen(cases[i].line), cases[i].what, cases[i].at);
    }
}

static void a_line_cut_anywhere_gets_one_error_and_the_next_one_works(void **state)
{
    static const char line[] = "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\"}}";
    (void)state;
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    for (size_t len = 1; len < sizeof line - 1; len++) {
        char expected[64];
        e2e_say_bytes(c, line, len);
        e2e_say(c, "\n");
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        snprintf(expected, sizeof expected, "parse error: unexpected end at byte %zu", len);
        assert_int_equal(f.kind, MVM_MESSAGE_ERR);
        assert_string_equal(f.text.bytes, expected);
        e2e_ping(c, E2E_PATIENCE_MS);
    }
}

/* A Ping padded to `len` bytes. */
static const char *padded_ping(size_t len)
{
    static char line[MVM_REQUEST_FRAME_MAX + MARGIN];
    memset(line, ' ', len);
    memcpy(line, "\"Ping\"", 6);
    line[len] = '\0';
    return line;
}

static void a_frame_at_its_limit_is_taken_and_one_past_it_refused(void **state)
{
    (void)state;
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say(c, padded_ping(MVM_REQUEST_FRAME_MAX));
    e2e_say(c, "\n");
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    assert_refused(c, padded_ping(MVM_REQUEST_FRAME_MAX + 1), MVM_REQUEST_FRAME_MAX + 1,
                   "frame too long", MVM_REQUEST_FRAME_MAX);
}

static void a_frame_of_many_megabytes_is_skipped_as_it_streams_by(void **state)
{
    static char block[1 << 16];
    (void)state;
    pid_t agent = E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    long before = e2e_status_kib(agent, "VmRSS:");
    memset(block, 'x', sizeof block);
    e2e_say(c, "\"");
    for (int i = 0; i < 512; i++) {
        e2e_say_bytes(c, block, sizeof block);
    }
    e2e_say(c, "\"\n");
    e2e_assert_err(c, "parse error: ", E2E_PATIENCE_MS);
    e2e_ping(c, E2E_PATIENCE_MS);
    assert_in_range(e2e_status_kib(agent, "VmRSS:"), 1, before + 1024 + E2E_SANITIZER_KIB);
}

/* A Build with fields of these lengths. */
static void say_long_build(struct e2e_conn *c, size_t flake_len, size_t attr_len)
{
    static char flake[MVM_FLAKE_REF_MAX + 2], attr[MVM_ATTR_MAX + 2];
    memset(flake, 'f', flake_len);
    memset(attr, 'a', attr_len);
    flake[flake_len] = attr[attr_len] = '\0';
    e2e_say_build(c, flake, attr, "");
}

static void fields_at_their_limits_reach_nix_and_one_past_them_is_refused(void **state)
{
    (void)state;
    e2e_write_nix("echo ${#installable}; exit 3");
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    say_long_build(c, MVM_FLAKE_REF_MAX, MVM_ATTR_MAX);
    char both[16];
    snprintf(both, sizeof both, "%d", MVM_FLAKE_REF_MAX + 1 + MVM_ATTR_MAX);
    e2e_await_line(c, both);
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);

    say_long_build(c, MVM_FLAKE_REF_MAX + 1, 1);
    assert_string_equal(e2e_assert_err(c, "parse error: ", E2E_PATIENCE_MS),
                        "parse error: flake_ref too long at byte 22");
    say_long_build(c, 1, MVM_ATTR_MAX + 1);
    assert_string_equal(e2e_assert_err(c, "parse error: ", E2E_PATIENCE_MS),
                        "parse error: attr too long at byte 33");
    e2e_ping(c, E2E_PATIENCE_MS);
}

/* A Build with an unknown field of so many nested arrays. */
static void say_nested(struct e2e_conn *c, int levels)
{
    char text[1024] = "{\"Build\":{\"x\":";
    size_t len = strlen(text);
    memset(text + len, '[', (size_t)levels);
    memset(text + len + levels, ']', (size_t)levels);
    strcpy(text + len + 2 * levels, ",\"flake_ref\":\"f\",\"attr\":\"a\"}}\n");
    e2e_say(c, text);
}

static void nesting_at_its_limit_is_taken_and_one_past_it_refused(void **state)
{
    (void)state;
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    say_nested(c, MVM_NESTING_MAX);
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    say_nested(c, MVM_NESTING_MAX + 1);
    assert_string_equal(e2e_assert_err(c, "parse error: ", E2E_PATIENCE_MS),
                        "parse error: nested too deep at byte 142");
    e2e_ping(c, E2E_PATIENCE_MS);
}

static void bad_lines_of_one_client_do_not_affect_another(void **state)
{
    (void)state;
    e2e_write_nix("echo begin; sleep 0.5; echo end; exit 3");
    E2E_AGENT("a");
    struct e2e_conn *builder = e2e_dial("a"), *bad = e2e_dial("a"), *other = e2e_dial("a");
    e2e_say_build(builder, "f", "a", "");
    e2e_await_line(builder, "begin");
    for (int i = 0; i < 100; i++) {
        e2e_say(bad, "{\"Build\":\n\xff\xfe\n");
        e2e_ping(other, E2E_PATIENCE_MS);
        e2e_assert_err(bad, "parse error", E2E_PATIENCE_MS);
        e2e_assert_err(bad, "parse error", E2E_PATIENCE_MS);
    }
    e2e_await_line(builder, "end");
    e2e_assert_err(builder, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
}

/* ---- requests that are refused ---- */

static void a_request_that_is_unfit_for_a_command_line_starts_nothing(void **state)
{
    static const struct {
        const char *flake;
        const char *attr;
        const char *message;
    } cases[] = {
        {"", "a", "invalid flake_ref: "},
        {"-f", "a", "invalid flake_ref: "},
        {"--help", "a", "invalid flake_ref: "},
        {"f#a", "a", "invalid flake_ref: "},
        {"#", "a", "invalid flake_ref: "},
        {"f\\u0000g", "a", "invalid flake_ref: "},
        {"f\\ng", "a", "invalid flake_ref: "},
        {"f\\u001bg", "a", "invalid flake_ref: "},
        {"f\\u007fg", "a", "invalid flake_ref: "},
        {"f", "", "invalid attr: "},
        {"f", "-a", "invalid attr: "},
        {"f", "a\\u0000b", "invalid attr: "},
        {"f", "a\\nb", "invalid attr: "},
        {"f", "a\\rb", "invalid attr: "},
        {"f", "a\\u007f", "invalid attr: "},
    };
    (void)state;
    E2E_AGENT("a", "--nix", e2e_path("nix-that-marks"));
    char text[2 * E2E_PATH_CAP];
    snprintf(text, sizeof text, "#!/bin/sh\n: >'%s'\nexit 3\n", e2e_path("mark"));
    e2e_write_text(e2e_path("nix-that-marks"), text);
    assert_int_equal(E2E_RUN("chmod", "755", e2e_path("nix-that-marks"))->status, 0);
    struct e2e_conn *c = e2e_dial("a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        e2e_say_build(c, cases[i].flake, cases[i].attr, "");
        e2e_assert_err(c, cases[i].message, E2E_PATIENCE_MS);
    }
    assert_false(e2e_exists(e2e_path("mark")));
    e2e_say_build(c, "f", "a", ""); /* the mark's presence shows that something was started */
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    assert_true(e2e_exists(e2e_path("mark")));
}

static bool ends_with(struct mvm_text text, const char *end)
{
    size_t len = strlen(end) + 1; /* with its NUL */
    return text.len >= len && memcmp(text.bytes + text.len - len, end, len) == 0;
}

static void what_a_shell_would_act_on_reaches_nix_as_plain_text(void **state)
{
    static const struct {
        const char *flake; /* as JSON has it … */
        const char *attr;
        const char *argument; /* … and as nix gets it */
    } cases[] = {
        {"$(touch hit)", "a", "$(touch hit)#a"},
        {"`touch hit`", "a", "`touch hit`#a"},
        {"f; touch hit;", "a", "f; touch hit;#a"},
        {"f", "a; touch hit", "f#a; touch hit"},
        {"f", "$(touch hit)`touch hit`", "f#$(touch hit)`touch hit`"},
        {"f && touch hit | touch hit > hit", "a", "f && touch hit | touch hit > hit#a"},
        {"a b  c", "d e", "a b  c#d e"},
        {"f?ref=x&rev=y", "a.\\\"b c\\\".'d'", "f?ref=x&rev=y#a.\"b c\".'d'"},
        {"../f/*", "~${HOME}", "../f/*#~${HOME}"},
        {"f", "a#b", "f#a#b"},
        {"\\u00fcml\\u00e4ut", "\\ud83d\\ude00", "\xc3\xbcml\xc3\xa4ut#\xf0\x9f\x98\x80"},
    };
    (void)state;
    e2e_write_nix("printf '%s\\0' \"$@\" >\"$0.argv\"; exit 3");
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char end[256];
        e2e_say_build(c, cases[i].flake, cases[i].attr, "");
        e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
        struct mvm_text argv = e2e_read(e2e_path("nix.argv"));
        snprintf(end, sizeof end, "%s", cases[i].argument);
        assert_true(ends_with(argv, end));
        size_t before = argv.len - strlen(end) - 1;
        assert_true(before >= 3 && memcmp(argv.bytes + before - 3, "--", 3) == 0);
    }
    assert_false(e2e_exists("hit"));
    assert_false(e2e_exists(e2e_path("hit")));
    assert_false(e2e_exists("/hit"));
}

static void assert_arguments(const char *const words[], size_t len)
{
    struct mvm_text argv = e2e_read(e2e_path("nix.argv"));
    const char *at = argv.bytes;
    for (size_t i = 0; i < len; i++) {
        assert_true(at < argv.bytes + argv.len);
        assert_string_equal(at, words[i]);
        at += strlen(at) + 1;
    }
    assert_ptr_equal(at, argv.bytes + argv.len);
}

static void nix_gets_exactly_these_arguments(void **state)
{
    static const char *const words[] = {"--extra-experimental-features",
                                        "nix-command flakes",
                                        "build",
                                        "-L",
                                        "--no-link",
                                        "--json",
                                        "--no-write-lock-file",
                                        "--option",
                                        "substitute",
                                        "false",
                                        "--option",
                                        "x y",
                                        "$(z)",
                                        "--",
                                        "path:/f#packages.x86_64-linux.tenant-worker"};
    (void)state;
    e2e_write_nix("printf '%s\\0' \"$@\" >\"$0.argv\"; exit 3");
    E2E_AGENT("a", "--nix-option", "substitute", "false", "--nix-option", "x y", "$(z)");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "path:/f", "packages.x86_64-linux.tenant-worker", "");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    assert_arguments(words, sizeof words / sizeof words[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_line_that_is_not_a_request_gets_one_parse_error_and_the_next_one_works),
        E2E_TEST(a_line_cut_anywhere_gets_one_error_and_the_next_one_works),
        E2E_TEST(a_frame_at_its_limit_is_taken_and_one_past_it_refused),
        E2E_TEST(a_frame_of_many_megabytes_is_skipped_as_it_streams_by),
        E2E_TEST(fields_at_their_limits_reach_nix_and_one_past_them_is_refused),
        E2E_TEST(nesting_at_its_limit_is_taken_and_one_past_it_refused),
        E2E_TEST(bad_lines_of_one_client_do_not_affect_another),
        E2E_TEST(a_request_that_is_unfit_for_a_command_line_starts_nothing),
        E2E_TEST(what_a_shell_would_act_on_reaches_nix_as_plain_text),
        E2E_TEST(nix_gets_exactly_these_arguments),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
