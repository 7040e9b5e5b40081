/* The last lines of a log: which are kept, how much of each, and where a long one is cut. */
#include "tail.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MORE(n) "\033[m [\xe2\x80\xa6 " n " more]\n"

static struct mvm_tail tail;
static char shown[16384];

static int reset(void **state)
{
    (void)state;
    mvm_tail_init(&tail);
    return 0;
}

static void add(const char *line)
{
    mvm_tail_add(&tail, mvm_text_from(line));
}

static const char *show(void)
{
    static struct mvm_sink sink; /* its buffer holds all of it */
    mvm_sink_init(&sink, -1, NULL);
    mvm_tail_show(&tail, &sink);
    assert_true(sink.len < sizeof shown);
    memcpy(shown, sink.bytes, sink.len);
    shown[sink.len] = '\0';
    return shown;
}

/* What is shown of `line` without its spaces; nothing else is shown. */
static void assert_kept(const char *line, size_t len, const char *mark)
{
    reset(NULL);
    add(line);
    show();
    assert_memory_equal(shown, "  ", 2);
    assert_memory_equal(shown + 2, line, len);
    assert_string_equal(shown + 2 + len, mark);
}

static void no_lines_are_nothing(void **state)
{
    (void)state;
    assert_string_equal(show(), "");
}

static void the_last_ones_are_kept_in_order(void **state)
{
    char line[16], expected[256] = "";
    (void)state;
    for (int n = 1; n <= 3 * MVM_TAIL_LINES; n++) {
        snprintf(line, sizeof line, "%d", n);
        add(line);
        expected[0] = '\0';
        for (int i = n <= MVM_TAIL_LINES ? 1 : n - MVM_TAIL_LINES + 1; i <= n; i++) {
            size_t len = strlen(expected);
            snprintf(expected + len, sizeof expected - len, "  %d\033[m\n", i);
        }
        assert_string_equal(show(), expected);
    }
}

/* protobuf has no bytes for an empty text. The sanitizer sees the pointer. */
static void a_blank_line_without_bytes_is_kept(void **state)
{
    (void)state;
    add(NULL);
    add("b");
    assert_string_equal(show(), "  \033[m\n  b\033[m\n");
}

static void a_line_is_kept_whole_up_to_the_limit(void **state)
{
    static char line[MVM_TAIL_LINE_MAX + 1001];
    (void)state;
    memset(line, 'x', MVM_TAIL_LINE_MAX);
    assert_kept(line, MVM_TAIL_LINE_MAX, "\033[m\n");
    line[MVM_TAIL_LINE_MAX] = 'x';
    assert_kept(line, MVM_TAIL_LINE_MAX, MORE("1 byte"));
    memset(line, 'x', MVM_TAIL_LINE_MAX + 1000);
    assert_kept(line, MVM_TAIL_LINE_MAX, MORE("1000 bytes"));
}

static void a_cut_is_before_what_it_would_tear(void **state)
{
    static const struct {
        const char *around; /* crosses the limit */
        size_t before;      /* … with so many bytes before it */
        size_t kept;        /* of those */
    } cases[] = {
        {"\xc3\xa4", 1, 0},         {"\xe2\x82\xac", 1, 0},  {"\xe2\x82\xac", 2, 0},
        {"\xf0\x9f\x98\x80", 3, 0}, {"\xc3\xa4xx", 2, 2}, /* a whole character */
        {"\033[31mred", 1, 0},      {"\033[31mred", 2, 0},   {"\033[31mred", 4, 0},
        {"\033[31mred", 5, 5}, /* a whole colour sequence */
        {"\033[31mred", 7, 7},      {"\033[1m\033[3", 7, 4},
    };
    char line[MVM_TAIL_LINE_MAX + 64], mark[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t start = MVM_TAIL_LINE_MAX - cases[i].before;
        memset(line, 'x', start);
        snprintf(line + start, sizeof line - start, "%s%s", cases[i].around, "yyyyyyyy");
        size_t kept = start + cases[i].kept;
        snprintf(mark, sizeof mark, MORE("%zu bytes"), strlen(line) - kept);
        assert_kept(line, kept, mark);
    }
}

static void bytes_of_any_value_are_kept_and_shown(void **state)
{
    (void)state;
    mvm_tail_add(&tail, (struct mvm_text){"a\0\377\033b", 5});
    assert_string_equal(show(), "  a^@<FF>^[b\033[m\n");
}

/* Sequences that are shown are cut wherever the limit is. */
static void a_title_is_shown_and_not_sent(void **state)
{
    (void)state;
    add("\033]0;title\atext");
    assert_string_equal(show(), "  ^[]0;title^Gtext\033[m\n");
}

/* If no character begins there, any place is right. */
static void continuation_bytes_alone_are_cut_anywhere(void **state)
{
    char line[MVM_TAIL_LINE_MAX + 2];
    (void)state;
    memset(line, 'x', MVM_TAIL_LINE_MAX - 4);
    strcpy(line + MVM_TAIL_LINE_MAX - 4, "\x80\x80\x80\x80\x80");
    reset(NULL);
    add(line);
    assert_string_equal(show() + 2 + MVM_TAIL_LINE_MAX - 4, "<80><80><80><80>" MORE("1 byte"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_lines_are_nothing, reset),
        cmocka_unit_test_setup(the_last_ones_are_kept_in_order, reset),
        cmocka_unit_test_setup(a_blank_line_without_bytes_is_kept, reset),
        cmocka_unit_test_setup(a_line_is_kept_whole_up_to_the_limit, reset),
        cmocka_unit_test_setup(a_cut_is_before_what_it_would_tear, reset),
        cmocka_unit_test_setup(bytes_of_any_value_are_kept_and_shown, reset),
        cmocka_unit_test_setup(continuation_bytes_alone_are_cut_anywhere, reset),
        cmocka_unit_test_setup(a_title_is_shown_and_not_sent, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
