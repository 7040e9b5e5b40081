/* What is escaped, and how; a block at a time as a byte at a time. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "mvm_escape.h"
#include "mvm_plain.h"
#include "test_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 200, OUT_MAX = TEXT_MAX * MVM_ESCAPE_CAP };

static bool is_escaped(uint8_t byte)
{
    return byte < ' ' || byte == '"' || byte == '\\';
}

static void escapes_are_serde_s(void **state)
{
    (void)state;
    static const struct {
        uint8_t byte;
        const char *escape;
    } cases[] = {
        {'"', "\\\""},  {'\\', "\\\\"},  {'\b', "\\b"},   {'\t', "\\t"},
        {'\n', "\\n"},  {'\f', "\\f"},   {'\r', "\\r"},   {0, "\\u0000"},
        {7, "\\u0007"}, {11, "\\u000b"}, {27, "\\u001b"}, {31, "\\u001f"},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        uint8_t to[MVM_ESCAPE_CAP];
        size_t len = mvm_escape(to, cases[n].byte);
        assert_int_equal(len, strlen(cases[n].escape));
        assert_memory_equal(to, cases[n].escape, len);
    }
}

/* A byte at a time. */
static size_t escape_slowly(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
    for (size_t n = 0; n < len; n++) {
        if (is_escaped(from[n])) {
            at += mvm_escape(to + at, from[n]);
        } else {
            to[at++] = from[n];
        }
    }
    return at;
}

/* Whatever is taken comes out as it does slowly, and stays within the room. */
static size_t check_copy(const uint8_t *bytes, size_t len, size_t cap)
{
    uint8_t expected[OUT_MAX];
    const uint8_t *from = guard_copy(0, bytes, len);
    uint8_t *to = guard_end(1, cap);
    size_t used;
    size_t made = mvm_escape_copy(to, cap, from, len, &used);
    assert_true(used <= len && made <= cap && (used > 0) == (made > 0));
    assert_int_equal(made, escape_slowly(expected, from, used));
    assert_memory_equal(to, expected, made);
    return used;
}

static void a_copy_is_what_byte_after_byte_gives(void **state)
{
    (void)state;
    static const char alphabet[] = "abc \"\\\n\x1b\t";
    uint64_t seed = 5;
    for (size_t round = 0; round < 5000; round++) {
        uint8_t bytes[TEXT_MAX];
        size_t len = guard_random(&seed, TEXT_MAX + 1);
        size_t letters = 3 + guard_random(&seed, sizeof alphabet - 3);
        for (size_t at = 0; at < len; at++) {
            bytes[at] = (uint8_t)alphabet[guard_random(&seed, (uint32_t)letters)];
        }
        check_copy(bytes, len, guard_random(&seed, OUT_MAX + 1));
    }
}

static void each_byte_at_each_place_is_copied_or_ends_the_copy(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 136; at++) {
            uint8_t bytes[160];
            memset(bytes, '"', sizeof bytes);
            bytes[at] = (uint8_t)byte;
            size_t used = check_copy(bytes, sizeof bytes, OUT_MAX);
            assert_true(byte < 0x80 || used <= at);
        }
    }
}

/* What it is for: where there are vectors and room, most of such a text goes this way. */
static void a_text_full_of_escapes_goes_by_blocks_where_there_are_vectors(void **state)
{
    (void)state;
    uint8_t bytes[160];
    memset(bytes, '\x1b', sizeof bytes);
    size_t used = check_copy(bytes, sizeof bytes, OUT_MAX);
#if defined(__AVX512BW__)
    assert_int_equal(used, 64);
#elif defined(__AVX2__)
    assert_int_equal(used, 128);
#elif defined(__SSE2__) || defined(__ARM_NEON)
    assert_int_equal(used, 144);
#else
    assert_int_equal(used, 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_serde_s),
        cmocka_unit_test(a_copy_is_what_byte_after_byte_gives),
        cmocka_unit_test(each_byte_at_each_place_is_copied_or_ends_the_copy),
        cmocka_unit_test(a_text_full_of_escapes_goes_by_blocks_where_there_are_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
