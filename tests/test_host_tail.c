/* The last lines of a log: which they are, and what is kept of each. */
#define _GNU_SOURCE
#include "tail.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct mvm_tail tail;
static char shown[16384];

static int reset(void **state)
{
    (void)state;
    memset(&tail, 0, sizeof tail);
    return 0;
}

static void add(const char *line)
{
    mvm_tail_add(&tail, mvm_text_from(line));
}

static void add_numbers(int from, int to)
{
    char text[16];
    for (int i = from; i <= to; i++) {
        snprintf(text, sizeof text, "line %d", i);
        add(text);
    }
}

static const char *show(const char *reset_colour)
{
    static struct mvm_sink sink;
    struct mvm_waiter waiter = {0};
    mvm_sink_init(&sink, -1, &waiter);
    mvm_tail_show(&tail, &sink, reset_colour);
    memcpy(shown, sink.bytes, sink.len);
    shown[sink.len] = '\0';
    return shown;
}

static void a_log_that_is_no_longer_is_not_shown_again(void **state)
{
    (void)state;
    assert_string_equal(show(""), "");
    add_numbers(1, MVM_TAIL_LINES);
    assert_string_equal(show(""), "");
}

static void of_a_longer_one_the_last_are_shown_in_order(void **state)
{
    (void)state;
    char expected[1024] = "mvm-builder: the last lines of the log:\n";
    add_numbers(1, 1000 + MVM_TAIL_LINES);
    for (int i = 1001; i <= 1000 + MVM_TAIL_LINES; i++) {
        sprintf(expected + strlen(expected), "  | line %d\n", i);
    }
    assert_string_equal(show(""), expected);
}

static void of_a_long_line_it_is_said_how_much_is_left_out(void **state)
{
    (void)state;
    char line[MVM_TAIL_LINE_CAP + 8];
    add_numbers(1, MVM_TAIL_LINES);
    memset(line, 'x', sizeof line);
    mvm_tail_add(&tail, (struct mvm_text){line, MVM_TAIL_LINE_CAP});
    assert_null(strstr(show(""), "[and"));
    mvm_tail_add(&tail, (struct mvm_text){line, MVM_TAIL_LINE_CAP + 1});
    assert_non_null(strstr(show(""), "x [and 1 bytes]\n"));
    memcpy(line + MVM_TAIL_LINE_CAP - 1, "\xc3\xa4", 2); /* a character across the border */
    mvm_tail_add(&tail, (struct mvm_text){line, MVM_TAIL_LINE_CAP + 1});
    assert_non_null(strstr(show(""), "x [and 2 bytes]\n"));
}

static void colours_end_with_their_line(void **state)
{
    (void)state;
    add_numbers(1, MVM_TAIL_LINES);
    add("\033[31mred");
    assert_non_null(strstr(show("\033[0m"), "  | \033[31mred\033[0m\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_log_that_is_no_longer_is_not_shown_again, reset),
        cmocka_unit_test_setup(of_a_longer_one_the_last_are_shown_in_order, reset),
        cmocka_unit_test_setup(of_a_long_line_it_is_said_how_much_is_left_out, reset),
        cmocka_unit_test_setup(colours_end_with_their_line, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
