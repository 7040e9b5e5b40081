/* What is escaped, and how; a block at a time gives the same as a byte at a time. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "mvm_escape.h"
#include "mvm_json.h"
#include "mvm_utf8.h"
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

/* What is consumed gives the same as the slow version, within the room. */
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

/* Its purpose: with vectors and enough room, it escapes most of such a text. */
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

/* Rooms of each size, ending at a guard page, for texts of the longest escapes. */
static void no_room_is_overrun_by_text_full_of_escapes(void **state)
{
    (void)state;
    static const uint8_t fillers[] = {'\x1b', '"'};
    for (size_t n = 0; n < sizeof fillers; n++) {
        for (size_t cap = 0; cap <= OUT_MAX; cap++) {
            uint8_t bytes[TEXT_MAX];
            memset(bytes, fillers[n], sizeof bytes);
            check_copy(bytes, sizeof bytes, cap);
        }
    }
}

/* ---- and back ---- */

/* The escape at from[0 … len-1] decoded; its length; 0: it is not one, or that of a surrogate. */
static size_t unescape_slowly(uint8_t *to, size_t *made, const uint8_t *from, size_t len)
{
    unsigned unit = 0;
    if (len < 2 || from[0] != '\\') {
        return 0;
    }
    to[0] = (uint8_t)mvm_escape_meaning(from[1]);
    *made = 1;
    if (to[0] != 0) {
        return 2;
    }
    for (size_t n = 2; n < 6; n++) {
        if (n >= len || mvm_hex_digit(from[n]) == MVM_NO_HEX_DIGIT) {
            return 0;
        }
        unit = unit << 4 | mvm_hex_digit(from[n]);
    }
    *made = mvm_utf8_put(to, unit);
    return from[1] != 'u' || (unit >= 0xd800 && unit < 0xe000) ? 0 : 6;
}

/* Whatever is consumed is a valid prefix of the text, and its result is that of the slow way. */
static size_t check_back(const uint8_t *bytes, size_t len, size_t cap)
{
    uint8_t expected[TEXT_MAX];
    const uint8_t *from = guard_copy(0, bytes, len);
    uint8_t *to = guard_end(1, cap);
    size_t used, at = 0, expected_len = 0;
    size_t made = mvm_unescape_copy(to, cap, from, len, &used);
    assert_true(used <= len && made <= cap);
    while (at < used) {
        size_t one = 1;
        expected[expected_len] = bytes[at];
        if (is_escaped(bytes[at]) || bytes[at] >= 0x80) {
            size_t n = unescape_slowly(expected + expected_len, &one, bytes + at, len - at);
            assert_true(n > 0);
            at += n - 1;
        }
        expected_len += one;
        at++;
    }
    assert_int_equal(at, used);
    assert_int_equal(made, expected_len);
    assert_memory_equal(to, expected, made);
    return used;
}

static size_t random_escapes(uint64_t *seed, uint8_t *bytes)
{
    static const char *const parts[] = {
        "a",    "plain",   "\\n",     "\\\"", "\\\\",    "\\/", "\\u001b", "\\u00e9", "\\u20AC",
        "\\\\", "\\ud83d", "\\udc00", "\\x",  "\\u12g4", "\"",  "\n",      "\xc3\xa9"};
    size_t wanted = guard_random(seed, TEXT_MAX + 1), len = 0;
    uint32_t kinds = guard_random(seed, 2) == 0 ? 10 : sizeof parts / sizeof *parts;
    while (len < wanted) {
        const char *part = parts[guard_random(seed, kinds)];
        size_t n = strlen(part) < wanted - len ? strlen(part) : wanted - len;
        memcpy(bytes + len, part, n);
        len += n;
    }
    return len;
}

static void escapes_go_back_as_one_after_the_other(void **state)
{
    (void)state;
    uint64_t seed = 6;
    size_t used = 0;
    for (size_t round = 0; round < 50000; round++) {
        uint8_t bytes[TEXT_MAX];
        size_t len = random_escapes(&seed, bytes);
        used += check_back(bytes, len, guard_random(&seed, TEXT_MAX + 1));
    }
#if defined(__SSE2__) || defined(__ARM_NEON)
    assert_true(used > 100000);
#else
    assert_int_equal(used, 0);
#endif
}

/* The result is never longer than the text: a room of that size suffices. */
static void no_room_is_overrun_on_the_way_back(void **state)
{
    (void)state;
    static const char *const fillers[] = {"\\n",
                                          "a\\n",
                                          "\\u001b",
                                          "aaaaaaaaaaaaaaa\\n",
                                          "aaaaaaaaaaaaaa\\u20ac",
                                          "aaaaaaaaaaaaa\\n",
                                          "aaaaaaaaa\\u20ac"};
    for (size_t n = 0; n < sizeof fillers / sizeof *fillers; n++) {
        uint8_t bytes[TEXT_MAX];
        for (size_t at = 0; at < sizeof bytes; at++) {
            bytes[at] = (uint8_t)fillers[n][at % strlen(fillers[n])];
        }
        for (size_t len = 0; len <= sizeof bytes; len++) {
            for (size_t cap = 0; cap <= 160; cap++) {
                check_back(bytes, len, cap);
            }
        }
    }
}

static void each_byte_at_each_place_goes_back_or_ends_the_copy(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 136; at++) {
            uint8_t bytes[160];
            memset(bytes, '\\', sizeof bytes);
            bytes[at] = (uint8_t)byte;
            check_back(bytes, sizeof bytes, OUT_MAX);
        }
    }
}

/* With vectors, escapes in a string do not go through the parser's states. */
static void a_run_of_a_string_goes_on_over_its_escapes(void **state)
{
    (void)state;
    char place[512];
    static const uint8_t text[] =
        "\"one\\ntwo and three\\tfour, five; and six\\\"seven \\u00e9 eight nine ten"
        " eleven twelve thirteen fourteen fifteen sixteen seventeen"
        " eighteen nineteen twenty, and as much again as the widest blocks of a processor need to"
        " find a whole one of them in here: twenty-one twenty-two twenty-three twenty-four\"";
    struct mvm_json j;
    size_t used;
    mvm_json_init(&j);
    mvm_json_keep(&j, place, sizeof place);
    assert_int_equal(mvm_json_push(&j, text, 1, &used), MVM_JSON_PARTIAL);
    enum mvm_json_token token = mvm_json_push_run(&j, text + 1, sizeof text - 2, &used);
#if defined(__AVX512BW__)
    (void)token;
    assert_true(used > 4);
#elif defined(__SSE2__) || defined(__ARM_NEON)
    assert_int_equal(token, MVM_JSON_STRING);
    assert_int_equal(used, sizeof text - 2);
#else
    assert_int_equal(token, MVM_JSON_PARTIAL);
    assert_int_equal(used, 3);
#endif
}

static void letters_and_digits_mean_what_json_says(void **state)
{
    (void)state;
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; byte++) {
        const char *letter = byte != 0 ? strchr(letters, (int)byte) : NULL;
        const char *digit = byte != 0 ? strchr(digits, (int)byte) : NULL;
        const char *capital = byte != 0 ? strchr(capitals, (int)byte) : NULL;
        unsigned value = digit != NULL     ? (unsigned)(digit - digits)
                         : capital != NULL ? (unsigned)(capital - capitals)
                                           : MVM_NO_HEX_DIGIT;
        assert_int_equal(mvm_escape_meaning((uint8_t)byte),
                         letter != NULL ? meanings[letter - letters] : '\0');
        assert_int_equal(mvm_hex_digit((uint8_t)byte), value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_serde_s),
        cmocka_unit_test(a_copy_is_what_byte_after_byte_gives),
        cmocka_unit_test(each_byte_at_each_place_is_copied_or_ends_the_copy),
        cmocka_unit_test(a_text_full_of_escapes_goes_by_blocks_where_there_are_vectors),
        cmocka_unit_test(no_room_is_overrun_by_text_full_of_escapes),
        cmocka_unit_test(escapes_go_back_as_one_after_the_other),
        cmocka_unit_test(no_room_is_overrun_on_the_way_back),
        cmocka_unit_test(each_byte_at_each_place_goes_back_or_ends_the_copy),
        cmocka_unit_test(a_run_of_a_string_goes_on_over_its_escapes),
        cmocka_unit_test(letters_and_digits_mean_what_json_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
