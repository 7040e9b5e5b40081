/* Text of unknown origin for a terminal, and in a message of our own. */
#include "quote.h"
#include "visible.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char shown[4096];

static const char *show(const char *bytes, size_t len, bool colours)
{
    struct mvm_text rest = {bytes, len};
    char piece[MVM_VISIBLE_CAP];
    size_t at = 0;
    while (rest.len > 0) {
        size_t before = rest.len;
        struct mvm_text next = mvm_visible_next(&rest, colours, piece);
        assert_true(rest.len < before);
        memcpy(shown + at, next.bytes, next.len);
        at += next.len;
    }
    shown[at] = '\0';
    return shown;
}

static const struct {
    const char *text;
    const char *shown;
} cases[] = {
    {"plain text", "plain text"},
    {"a\tb", "a\tb"},
    {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
    /* colours */
    {"\033[31mred\033[m", "\033[31mred\033[m"},
    {"\033[1;38;5;9m", "\033[1;38;5;9m"},
    {"\033[4:3m", "\033[4:3m"},
    /* what resembles one */
    {"\033[31", "^[[31"},
    {"\033[", "^[["},
    {"\033", "^["},
    {"\033[?25lx", "^[[?25lx"},
    {"\033[2J", "^[[2J"},
    {"\033[>4;1m", "^[[>4;1m"},
    {"\033[31\033[32m", "^[[31\033[32m"},
    /* C0 and DEL */
    {"a\rb", "a^Mb"},
    {"a\bb\fc\vd", "a^Hb^Lc^Kd"},
    {"line\nline", "line^Jline"},
    {"\033]0;title\a", "^[]0;title^G"},
    {"\033]52;c;eA==\033\\", "^[]52;c;eA==^[\\"},
    {"\033c", "^[c"},
    {"\x7f", "^?"},
    /* C1, as UTF-8 and as single bytes */
    {"\xc2\x9b"
     "31mred",
     "<9B>31mred"},
    {"\xc2\x80\xc2\x9f\xc2\xa0", "<80><9F>\xc2\xa0"},
    {"\x9b"
     "2J",
     "<9B>2J"},
    /* bidirectional, and their neighbours */
    {"\xe2\x80\x8e\xe2\x80\x8f", "<200E><200F>"},
    {"\xd8\x9c\xd8\x9b", "<061C>\xd8\x9b"},
    {"a\xe2\x80\xaa\xe2\x80\xae"
     "b",
     "a<202A><202E>b"},
    {"\xe2\x81\xa6\xe2\x81\xa9", "<2066><2069>"},
    {"\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa9\xe2\x80\xaf",
     "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa9\xe2\x80\xaf"},
    {"\xe2\x81\xa5\xe2\x81\xaa\xe3\x80\x8e", "\xe2\x81\xa5\xe2\x81\xaa\xe3\x80\x8e"},
    {"\xff\xfe", "<FF><FE>"},
    {"\xe2\x82", "<E2><82>"},
    {"\xc2", "<C2>"},
};

static void colours_and_tabs_pass_and_other_controls_are_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(show(cases[i].text, strlen(cases[i].text), true), cases[i].shown);
    }
    assert_string_equal(show("a\0b", 3, true), "a^@b");
}

static void without_colours_those_are_shown_as_well(void **state)
{
    (void)state;
    assert_string_equal(show("\033[31mred\033[m", 11, false), "^[[31mred^[[m");
}

/* For every pair of bytes: only printable text, tabs and colours. */
static void no_control_character_passes_whatever_is_next_to_it(void **state)
{
    (void)state;
    for (int pair = 0; pair < 65536; pair++) {
        const char text[] = {'x', (char)(pair >> 8), (char)(pair & 255), 'x'};
        const char *at = show(text, sizeof text, true);
        for (; *at != '\0'; at++) {
            uint8_t byte = (uint8_t)*at;
            bool is_c1 = byte == 0xc2 && (uint8_t)at[1] < 0xa0;
            assert_true(byte == '\t' || (byte >= ' ' && byte != 0x7f && !is_c1));
        }
    }
}

static void assert_quoted(const char *text, size_t len, const char *expected)
{
    char quoted[1024];
    struct mvm_writer w;
    mvm_writer_init(&w, quoted, sizeof quoted);
    mvm_quote_add(&w, (struct mvm_text){text, len});
    assert_string_equal(quoted, expected);
}

static void a_quotation_is_on_one_line_and_has_its_limit(void **state)
{
    char text[MVM_HOST_QUOTE_MAX + 2], expected[MVM_HOST_QUOTE_MAX + 16];
    (void)state;
    assert_quoted("", 0, "\"\"");
    assert_quoted("a\n\033[31mb", 8, "\"a^J^[[31mb\"");
    memset(text, 'x', sizeof text);
    snprintf(expected, sizeof expected, "\"%.*s\"", MVM_HOST_QUOTE_MAX, text);
    assert_quoted(text, MVM_HOST_QUOTE_MAX, expected);
    strcat(expected, " [cut]");
    assert_quoted(text, MVM_HOST_QUOTE_MAX + 1, expected);
    memcpy(text + MVM_HOST_QUOTE_MAX - 1, "\xc3\xa4", 2); /* a character across the limit */
    snprintf(expected, sizeof expected, "\"%.*s\" [cut]", MVM_HOST_QUOTE_MAX - 1, text);
    assert_quoted(text, MVM_HOST_QUOTE_MAX + 1, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_and_tabs_pass_and_other_controls_are_shown),
        cmocka_unit_test(without_colours_those_are_shown_as_well),
        cmocka_unit_test(no_control_character_passes_whatever_is_next_to_it),
        cmocka_unit_test(a_quotation_is_on_one_line_and_has_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
