/* The characters that a terminal obeys. */
#include "control.h"
#include "mvm_utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    int32_t first;
    int32_t last;
} controls[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},
                {0x200e, 0x200f}, {0x202a, 0x202e}, {0x2066, 0x2069}};

static bool is_listed(int32_t number)
{
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        if (number >= controls[i].first && number <= controls[i].last) {
            return true;
        }
    }
    return false;
}

static void each_control_is_found_and_no_other_character(void **state)
{
    (void)state;
    for (int32_t number = 0; number <= 0x10ffff; number++) {
        char bytes[5];
        if (number == 0xd800) {
            number = 0xe000; /* surrogates are not characters */
        }
        struct mvm_text text = {bytes, mvm_utf8_put((uint8_t *)bytes, (uint32_t)number)};
        bytes[text.len++] = 'x';
        assert_int_equal(mvm_control_number(text), is_listed(number) ? number : -1);
    }
}

static void bytes_that_are_not_a_character_are_not_a_control(void **state)
{
    (void)state;
    static const char *const bytes[] = {"\x80", "\x9b", "\xc2", "\xe2\x80", "\xe2\x81x", "\xff"};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        assert_true(mvm_control_number(mvm_text_from(bytes[i])) < 0);
    }
}

/* As in a stream that is shown as it arrives. */
static void each_part_of_a_control_may_begin_one_and_the_whole_does_not(void **state)
{
    (void)state;
    for (int32_t number = 0x80; number <= 0x2069; number++) {
        char bytes[4];
        size_t len = mvm_utf8_put((uint8_t *)bytes, (uint32_t)number);
        for (size_t part = 1; part < len && is_listed(number); part++) {
            assert_true(mvm_control_may_begin((struct mvm_text){bytes, part}));
        }
        assert_false(mvm_control_may_begin((struct mvm_text){bytes, len}));
    }
    assert_false(mvm_control_may_begin(mvm_text_from("a")));
    assert_false(mvm_control_may_begin(mvm_text_from("\xe2\x82")));
}

static void assert_masked(const char *text, const char *expected)
{
    char bytes[64];
    strcpy(bytes, text);
    mvm_control_mask(bytes, strlen(bytes));
    assert_string_equal(bytes, expected);
}

static void a_mask_hides_controls_and_bytes_that_are_not_utf_8(void **state)
{
    (void)state;
    assert_masked("", "");
    assert_masked("plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                  "plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_masked("a\tb\033[31mc\x7f", "a?b?[31mc?");
    assert_masked("a\xc2\x9b"
                  "b\xd8\x9c"
                  "c\xe2\x80\xae"
                  "d\xe2\x81\xa6",
                  "a??b??c???d???");
    assert_masked("\x9b"
                  "2J\xff\xe2\x80",
                  "?2J???");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_control_is_found_and_no_other_character),
        cmocka_unit_test(bytes_that_are_not_a_character_are_not_a_control),
        cmocka_unit_test(each_part_of_a_control_may_begin_one_and_the_whole_does_not),
        cmocka_unit_test(a_mask_hides_controls_and_bytes_that_are_not_utf_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
