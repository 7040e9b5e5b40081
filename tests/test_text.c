/* Slices, the writer that records what did not fit, values of command lines, ids, and the names of
 * artifacts. */
#include "id.h"
#include "mvm_artifact.h"
#include "mvm_limits.h"
#include "mvm_text.h"
#include "mvm_version.h"
#include "parse.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_slice_covers_a_string_without_its_terminator(void **state)
{
    (void)state;
    struct mvm_text text = mvm_text_from("abc");
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.bytes, "abc", 3);
    assert_int_equal(mvm_text_from("").len, 0);
    assert_int_equal(mvm_text_from(NULL).len, 0);
    assert_null(mvm_text_from(NULL).bytes);
}

static void equal_means_the_same_bytes_and_no_more(void **state)
{
    (void)state;
    assert_true(mvm_text_equal(mvm_text_from("build"), "build"));
    assert_false(mvm_text_equal(mvm_text_from("build"), "buil"));
    assert_false(mvm_text_equal(mvm_text_from("buil"), "build"));
    assert_false(mvm_text_equal(mvm_text_from("built"), "build"));
    assert_false(mvm_text_equal((struct mvm_text){"build\0", 6}, "build"));
    assert_true(mvm_text_equal((struct mvm_text){NULL, 0}, ""));
    assert_false(mvm_text_equal((struct mvm_text){NULL, 0}, "a"));
}

static void begins_looks_at_the_front_alone(void **state)
{
    (void)state;
    assert_true(mvm_text_begins(mvm_text_from("/nix/store/x"), "/nix/store/"));
    assert_true(mvm_text_begins(mvm_text_from("/nix"), "/nix"));
    assert_true(mvm_text_begins(mvm_text_from("/nix"), ""));
    assert_false(mvm_text_begins(mvm_text_from("/ni"), "/nix"));
    assert_false(mvm_text_begins(mvm_text_from(" /nix"), "/nix"));
    assert_true(mvm_text_begins((struct mvm_text){NULL, 0}, ""));
}

static void decimal_writes_every_size_of_number(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *digits;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {10, "10"},
                 {1800, "1800"},
                 {UINT64_MAX / 10, "1844674407370955161"},
                 {UINT64_MAX, "18446744073709551615"}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        char digits[MVM_TEXT_DECIMAL_CAP];
        struct mvm_text text = mvm_text_decimal(digits, cases[n].value);
        assert_true(mvm_text_equal(text, cases[n].digits));
    }
}

static void a_writer_appends_and_keeps_a_terminator(void **state)
{
    (void)state;
    char buf[32];
    memset(buf, 'x', sizeof buf);
    struct mvm_writer w;
    mvm_writer_init(&w, buf, sizeof buf);
    assert_string_equal(buf, "");
    mvm_writer_add(&w, "exit status: ");
    mvm_writer_add_u64(&w, 107);
    assert_string_equal(buf, "exit status: 107");
    mvm_writer_add_text(&w, (struct mvm_text){"abc", 2});
    mvm_writer_add_text(&w, (struct mvm_text){NULL, 0});
    assert_string_equal(buf, "exit status: 107ab");
    assert_int_equal(w.len, strlen(buf));
    struct mvm_text text = mvm_writer_finish(&w);
    assert_ptr_equal(text.bytes, buf);
    assert_int_equal(text.len, strlen(buf));
    assert_false(w.cut);
}

static void a_writer_takes_what_just_fits(void **state)
{
    (void)state;
    char buf[9];
    struct mvm_writer w;
    mvm_writer_init(&w, buf, sizeof buf);
    mvm_writer_add(&w, "12345678");
    assert_false(w.cut);
    assert_true(mvm_text_equal(mvm_writer_finish(&w), "12345678"));
}

static void one_byte_more_cuts_with_a_mark(void **state)
{
    (void)state;
    char buf[9];
    struct mvm_writer w;
    mvm_writer_init(&w, buf, sizeof buf);
    mvm_writer_add(&w, "123456789");
    assert_true(w.cut);
    assert_string_equal(buf, "12345678");
    assert_true(mvm_text_equal(mvm_writer_finish(&w), "12 [cut]"));
    assert_true(w.cut);
    assert_int_equal(w.len, 8);
}

static void nothing_is_added_behind_a_cut(void **state)
{
    (void)state;
    char buf[12];
    struct mvm_writer w;
    mvm_writer_init(&w, buf, sizeof buf);
    mvm_writer_add(&w, "1234567");
    mvm_writer_add(&w, "890123");
    mvm_writer_add(&w, "z");
    mvm_writer_add(&w, "");
    assert_string_equal(buf, "12345678901");
    assert_true(mvm_text_equal(mvm_writer_finish(&w), "12345 [cut]"));
}

static void the_mark_fits_the_smallest_buffer(void **state)
{
    (void)state;
    char buf[8];
    struct mvm_writer w;
    mvm_writer_init(&w, buf, sizeof buf);
    mvm_writer_add(&w, "123456789");
    assert_true(mvm_text_equal(mvm_writer_finish(&w), "1 [cut]"));
}

static void the_mark_never_cuts_a_character_in_two(void **state)
{
    (void)state;
    char buf[12];
    struct mvm_writer w;
    mvm_writer_init(&w, buf, sizeof buf);
    mvm_writer_add(&w, "ab\xf0\x9f\x9a\x80zzzzzzz");
    assert_true(mvm_text_equal(mvm_writer_finish(&w), "ab [cut]"));
}

static void a_prefix_is_followed_by_the_rest(void **state)
{
    (void)state;
    const char *text = "unix:/run/a";
    assert_ptr_equal(mvm_parse_prefix(text, "unix:"), text + 5);
    assert_ptr_equal(mvm_parse_prefix(text, text), text + 11);
    assert_ptr_equal(mvm_parse_prefix(text, ""), text);
    assert_null(mvm_parse_prefix(text, "unit:"));
    assert_null(mvm_parse_prefix(text, "univ:"));
    assert_null(mvm_parse_prefix(text, "vnix:"));
    assert_null(mvm_parse_prefix("unix", "unix:"));
    assert_null(mvm_parse_prefix("zunix:", "unix:"));
}

static void a_number_is_decimal_and_up_to_its_maximum(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        enum mvm_number result;
        uint64_t value;
    } cases[] = {
        {"0", 0, MVM_NUMBER_FINE, 0},
        {"007", 7, MVM_NUMBER_FINE, 7},
        {"8", 7, MVM_NUMBER_LARGE, 0},
        {"10", 9, MVM_NUMBER_LARGE, 0},
        {"9876543210", UINT64_MAX, MVM_NUMBER_FINE, 9876543210},
        {"18446744073709551615", UINT64_MAX, MVM_NUMBER_FINE, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, MVM_NUMBER_LARGE, 0},
        {"99999999999999999999999", UINT64_MAX, MVM_NUMBER_LARGE, 0},
        {"100000000000000000000001", 1, MVM_NUMBER_LARGE, 0},
        {"100000000000000000000001x", 1, MVM_NUMBER_NONE, 0},
        {"", 9, MVM_NUMBER_NONE, 0},
        {"-1", 9, MVM_NUMBER_NONE, 0},
        {" 1", 9, MVM_NUMBER_NONE, 0},
        {"1/", 99, MVM_NUMBER_NONE, 0},
        {"1:", 99, MVM_NUMBER_NONE, 0},
        {"0x1", 99, MVM_NUMBER_NONE, 0},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        const bool fine = cases[n].result == MVM_NUMBER_FINE;
        uint64_t value = 5;
        uint32_t small = 5;
        assert_int_equal(mvm_parse_u64(cases[n].text, cases[n].max, &value), cases[n].result);
        assert_int_equal(value, fine ? cases[n].value : 5);
        if (cases[n].max <= UINT32_MAX) {
            uint32_t max = (uint32_t)cases[n].max;
            assert_int_equal(mvm_parse_u32(cases[n].text, max, &small), cases[n].result);
            assert_int_equal(small, fine ? cases[n].value : 5);
        }
    }
}

static void a_path_is_not_empty_and_fits(void **state)
{
    (void)state;
    assert_null(mvm_parse_path("/ab", 4));
    assert_string_equal(mvm_parse_path("/ab", 3), "path too long");
    assert_string_equal(mvm_parse_path("", 4), "no path");
}

static void an_id_is_16_to_64_letters_digits_dots_and_strokes(void **state)
{
    (void)state;
    static const char most[] = "azAZ09._-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
    static const char others[] = "/:;@[`{^ +,\n\x7f\xc3";
    char id[MVM_ID_MIN];
    assert_true(mvm_id_valid((struct mvm_text){most, MVM_ID_MIN}));
    assert_true(mvm_id_valid((struct mvm_text){most, MVM_ID_MAX}));
    assert_true(strlen(most) > MVM_ID_MAX);
    assert_false(mvm_id_valid((struct mvm_text){most, MVM_ID_MAX + 1}));
    assert_false(mvm_id_valid((struct mvm_text){most, MVM_ID_MIN - 1}));
    assert_false(mvm_id_valid((struct mvm_text){NULL, 0}));
    for (size_t n = 0; n < sizeof others; n++) { /* NUL, too */
        memcpy(id, most, sizeof id);
        id[n % sizeof id] = others[n];
        assert_false(mvm_id_valid((struct mvm_text){id, sizeof id}));
    }
}

static void an_id_is_written_as_two_digits_a_byte(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x9a, 0xf0, 0xff};
    char id[] = "--------!";
    mvm_id_write(id, bytes, sizeof bytes);
    assert_string_equal(id, "009af0ff");
}

static void artifacts_have_eleven_names_and_the_last_is_a_whole_output(void **state)
{
    (void)state;
    static const char *const names[] = {
        "vmlinux",         "kernel",     "Image",  "bzImage",      "rootfs.ext4", "rootfs",
        "rootfs.squashfs", "rootfs.img", "initrd", "fc-base.json", "image",
    };
    enum { NAMES = sizeof names / sizeof names[0] };
    for (unsigned n = 0; n < NAMES; n++) {
        assert_string_equal(mvm_artifact_name(n), names[n]);
        assert_true(strlen(names[n]) < MVM_ARTIFACT_NAME_CAP);
        assert_true(mvm_artifact_known(names[n]));
        assert_int_equal(mvm_artifact_is_whole_output(n), n == NAMES - 1);
        assert_int_equal(mvm_artifact_may_be_empty(n), n == 8 || n == 9);
    }
    assert_false(mvm_artifact_may_be_empty(NAMES));
    assert_null(mvm_artifact_name(NAMES));
    assert_null(mvm_artifact_name(UINT_MAX));
    assert_false(mvm_artifact_known("vmlinu"));
    assert_false(mvm_artifact_known("build.log"));
    assert_false(mvm_artifact_known(""));
}

static void each_artifact_has_a_meaning(void **state)
{
    (void)state;
    unsigned n = 0;
    for (; mvm_artifact_name(n) != NULL; n++) {
        assert_non_null(mvm_artifact_meaning(n));
        if (strcmp(mvm_artifact_name(n), "initrd") == 0) {
            assert_string_equal(mvm_artifact_meaning(n), "an initial RAM disk");
        }
    }
    assert_null(mvm_artifact_meaning(n));
    assert_null(mvm_artifact_meaning(UINT_MAX));
}

static void the_version_and_its_number_are_one_release(void **state)
{
    (void)state;
    int major, minor, patch;
    assert_string_equal(mvm_version(), MVM_VERSION);
    assert_int_equal(sscanf(mvm_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    assert_int_equal(mvm_version_number(), major * 10000 + minor * 100 + patch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_covers_a_string_without_its_terminator),
        cmocka_unit_test(equal_means_the_same_bytes_and_no_more),
        cmocka_unit_test(begins_looks_at_the_front_alone),
        cmocka_unit_test(decimal_writes_every_size_of_number),
        cmocka_unit_test(a_writer_appends_and_keeps_a_terminator),
        cmocka_unit_test(a_writer_takes_what_just_fits),
        cmocka_unit_test(one_byte_more_cuts_with_a_mark),
        cmocka_unit_test(nothing_is_added_behind_a_cut),
        cmocka_unit_test(the_mark_fits_the_smallest_buffer),
        cmocka_unit_test(the_mark_never_cuts_a_character_in_two),
        cmocka_unit_test(a_prefix_is_followed_by_the_rest),
        cmocka_unit_test(a_number_is_decimal_and_up_to_its_maximum),
        cmocka_unit_test(a_path_is_not_empty_and_fits),
        cmocka_unit_test(an_id_is_16_to_64_letters_digits_dots_and_strokes),
        cmocka_unit_test(an_id_is_written_as_two_digits_a_byte),
        cmocka_unit_test(artifacts_have_eleven_names_and_the_last_is_a_whole_output),
        cmocka_unit_test(each_artifact_has_a_meaning),
        cmocka_unit_test(the_version_and_its_number_are_one_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
