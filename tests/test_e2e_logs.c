/* What a build prints, byte by byte, on its way to the client and into build.log. */
#include "support.h"
#include <sys/stat.h>

#define ENDED "nix build failed (exit status: 3): "

enum { LONG_LEN = 9 * 1165084 }; /* 10 MiB of a pattern of nine bytes */

static struct e2e_conn *start_build(const char *body)
{
    char script[4096];
    snprintf(script, sizeof script, "%s\nexit 3", body);
    e2e_write_nix(script);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "flake", "x", "");
    return c;
}

static struct mvm_text build_log(void)
{
    return e2e_read(e2e_path("a.out/build.log"));
}

/* ---- lines as they are on the wire ---- */

static void lines_cross_the_wire_as_they_should(void **state)
{
    static const struct {
        const char *printf_format;
        const char *line; /* as JSON */
    } cases[] = {
        {"plain\\n", "plain"},
        {"\\n", ""},
        {"quote \" and backslash \\\\\\n", "quote \\\" and backslash \\\\"},
        {"dos\\r\\n", "dos"},
        {"two\\r\\r\\n", "two\\r"},
        {"in the\\rmiddle\\n", "in the\\rmiddle"},
        {"\\r\\n", ""},
        {"tab\\tbell\\abackspace\\b\\n", "tab\\tbell\\u0007backspace\\b"},
        {"\\033[1;31mred\\033[0m\\n", "\\u001b[1;31mred\\u001b[0m"},
        {"a\\000b\\000\\n", "a\\u0000b\\u0000"},
        {"delete \\177\\n", "delete \x7f"},
        {"\\303\\244\\342\\202\\254\\360\\237\\230\\200\\n",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"bad \\377 byte\\n", "bad \xef\xbf\xbd byte"},
        {"overlong \\300\\257\\n", "overlong \xef\xbf\xbd\xef\xbf\xbd"},
        {"cut \\342\\202\\n", "cut \xef\xbf\xbd"},
        {"cut \\360\\237\\230x\\n", "cut \xef\xbf\xbdx"},
        {"surrogate \\355\\240\\200\\n", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"no newline", "no newline"},
    };
    (void)state;
    char body[4096] = "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(body + strlen(body), sizeof body - strlen(body), "printf '%s'\n",
                 cases[i].printf_format);
    }
    struct e2e_conn *c = start_build(body);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        snprintf(expected, sizeof expected, "{\"Log\":{\"line\":\"%s\"}}", cases[i].line);
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        assert_string_equal(f.line.bytes, expected);
    }
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

static void build_log_holds_what_was_printed_byte_by_byte(void **state)
{
    static const char printed[] = "a\0b\r\n\xff\xfe\n\x1b[1mx\r\n\n\nlast";
    (void)state;
    struct e2e_conn *c =
        start_build("printf 'a\\000b\\r\\n\\377\\376\\n\\033[1mx\\r\\n\\n\\nlast'");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    struct mvm_text log = build_log();
    assert_int_equal(log.len, sizeof printed - 1);
    assert_memory_equal(log.bytes, printed, sizeof printed - 1);
}

/* ---- long ones ---- */

static void a_line_at_the_limit_is_one_frame_and_one_byte_more_makes_two(void **state)
{
    (void)state;
    char body[256];
    snprintf(body, sizeof body,
             "printf '%%0%dd\\r\\n' 0; printf '%%0%dd\\n' 0; echo between; printf '%%0%dd' 0",
             MVM_LOG_LINE_MAX, MVM_LOG_LINE_MAX + 1, MVM_LOG_LINE_MAX);
    struct e2e_conn *c = start_build(body);
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).text.len, MVM_LOG_LINE_MAX);
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).text.len, MVM_LOG_LINE_MAX);
    assert_string_equal(e2e_frame(c, E2E_PATIENCE_MS).text.bytes, "0");
    assert_string_equal(e2e_frame(c, E2E_PATIENCE_MS).text.bytes, "between");
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).text.len, MVM_LOG_LINE_MAX);
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

static void ten_megabytes_without_a_newline_come_in_pieces_that_join(void **state)
{
    static const char pattern[] = "\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac";
    (void)state;
    char body[256];
    snprintf(body, sizeof body, "yes '%s' | tr -d '\\n' | head -c %d", pattern, LONG_LEN);
    struct e2e_conn *c = start_build(body);
    size_t len = 0;
    while (len < LONG_LEN) {
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        assert_in_range(f.text.len, 1, MVM_LOG_LINE_MAX);
        assert_int_not_equal(f.text.bytes[0] & 0xc0, 0x80); /* cut between characters */
        for (size_t i = 0; i < f.text.len; i++) {
            if (f.text.bytes[i] != pattern[(len + i) % 9]) {
                fail_msg("byte %zu of the line is not what was printed", len + i);
            }
        }
        len += f.text.len;
    }
    assert_int_equal(len, LONG_LEN);
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    struct mvm_text log = build_log();
    assert_int_equal(log.len, LONG_LEN);
    for (size_t i = 0; i < log.len; i++) {
        if (log.bytes[i] != pattern[i % 9]) {
            fail_msg("byte %zu of build.log is not what was printed", i);
        }
    }
}

static void a_line_that_is_all_escapes_crosses_the_wire(void **state)
{
    (void)state;
    char body[128];
    snprintf(body, sizeof body,
             "head -c %d /dev/zero; echo; head -c %d /dev/zero | tr '\\0' '\\377'",
             MVM_LOG_LINE_MAX, MVM_LOG_LINE_MAX);
    struct e2e_conn *c = start_build(body);
    struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
    assert_int_equal(f.text.len, MVM_LOG_LINE_MAX);
    for (size_t i = 0; i < f.text.len; i++) {
        assert_int_equal(f.text.bytes[i], 0);
    }
    f = e2e_frame(c, E2E_PATIENCE_MS);
    assert_int_equal(f.text.len, 3 * MVM_LOG_LINE_MAX); /* U+FFFD for each */
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

/* ---- many ---- */

static void a_million_lines_reach_a_slow_reader_in_order_and_memory_stays(void **state)
{
    enum { LINES = 1000000, SETTLED = 100000, GROWTH_KIB = 256 };
    (void)state;
    e2e_write_nix("seq 1000000; exit 3");
    pid_t agent = E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    long settled = 0;
    e2e_say_build(c, "flake", "x", "");
    for (int i = 1; i <= LINES; i++) {
        char expected[48];
        struct mvm_text line;
        assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
        snprintf(expected, sizeof expected, "{\"Log\":{\"line\":\"%d\"}}", i);
        if (strcmp(line.bytes, expected) != 0) {
            fail_msg("expected line %d, got %.100s", i, line.bytes);
        }
        if (i % 10000 == 0) {
            e2e_sleep_ms(10); /* the pipe fills up, the build waits */
        }
        if (i == SETTLED) {
            e2e_sleep_ms(500);
            settled = e2e_status_kib(agent, "VmRSS:");
        }
    }
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    assert_in_range(e2e_status_kib(agent, "VmRSS:"), 1, settled + GROWTH_KIB + E2E_SANITIZER_KIB);
    struct mvm_text log = build_log();
    assert_int_equal(log.len, 6888896);
    char *at = (char *)log.bytes;
    for (int i = 1; i <= LINES; i++) {
        assert_int_equal(strtol(at, &at, 10), i);
        assert_int_equal(*at++, '\n');
    }
}

static void stdout_and_stderr_both_arrive_each_in_order(void **state)
{
    enum { LINES = 50000 };
    int next[2] = {1, 1};
    (void)state;
    struct e2e_conn *c = start_build("seq -f o%.0f 50000 & seq -f e%.0f 50000 >&2; wait");
    for (int i = 0; i < 2 * LINES; i++) {
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        int stream = f.text.bytes[0] == 'e';
        assert_int_equal(atoi(f.text.bytes + 1), next[stream]++);
    }
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    assert_int_equal(next[0], LINES + 1);
    assert_int_equal(next[1], LINES + 1);
}

static void the_last_words_of_a_build_always_come(void **state)
{
    (void)state;
    e2e_write_nix("seq 3000; echo out; echo err >&2; kill -9 $$");
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    for (int i = 0; i < 30; i++) {
        struct e2e_frame f;
        int lines = 0, out = 0, err = 0;
        e2e_say_build(c, "flake", "x", "");
        while ((f = e2e_frame(c, E2E_PATIENCE_MS)).kind == MVM_MESSAGE_LOG) {
            lines++;
            out += strcmp(f.text.bytes, "out") == 0;
            err += strcmp(f.text.bytes, "err") == 0;
        }
        assert_int_equal(f.kind, MVM_MESSAGE_ERR);
        assert_int_equal(lines, 3002);
        assert_int_equal(out, 1);
        assert_int_equal(err, 1);
    }
}

static void lines_come_as_they_are_printed(void **state)
{
    (void)state;
    /* One for each line: a reader that reopens it before the writer has closed it reads end-of-
     * file. */
    assert_int_equal(mkfifo(e2e_path("nix.first"), 0600), 0);
    assert_int_equal(mkfifo(e2e_path("nix.second"), 0600), 0);
    struct e2e_conn *c = start_build("echo one; read -r _ <\"$0.first\"; echo two >&2; "
                                     "read -r _ <\"$0.second\"");
    e2e_await_line(c, "one");
    e2e_write_text(e2e_path("nix.first"), "go\n");
    e2e_await_line(c, "two");
    e2e_write_text(e2e_path("nix.second"), "go\n");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(lines_cross_the_wire_as_they_should),
        E2E_TEST(build_log_holds_what_was_printed_byte_by_byte),
        E2E_TEST(a_line_at_the_limit_is_one_frame_and_one_byte_more_makes_two),
        E2E_TEST(ten_megabytes_without_a_newline_come_in_pieces_that_join),
        E2E_TEST(a_line_that_is_all_escapes_crosses_the_wire),
        E2E_TEST(a_million_lines_reach_a_slow_reader_in_order_and_memory_stays),
        E2E_TEST(stdout_and_stderr_both_arrive_each_in_order),
        E2E_TEST(the_last_words_of_a_build_always_come),
        E2E_TEST(lines_come_as_they_are_printed),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
