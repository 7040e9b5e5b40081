/* What is valid UTF-8, and runs of unescaped bytes. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "mvm_run.h"
#include "mvm_utf8.h"
#include "test_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static int next_of(const char *bytes)
{
    return mvm_utf8_next(guard_copy(0, bytes, strlen(bytes)), strlen(bytes));
}

static void next_returns_the_length_of_the_first_character(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int next;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xec\xbf\xbf", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbfz", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf3\xbf\xbf\xbf", 4},
        {"\xf4\x8f\xbf\xbfz", 4},
        /* not a first byte */
        {"\x80", -1},
        {"\xbf", -1},
        {"\xc0\x80", -1},
        {"\xc1\xbf", -1},
        {"\xf5\x80\x80\x80", -1},
        {"\xff", -1},
        /* a first byte followed by something else */
        {"\xc3(", -1},
        {"\xc3\xc3", -1},
        {"\xe2\x82(", -2},
        {"\xe2(", -1},
        {"\xf0\x9f\x9a(", -3},
        {"\xf0\x9f(", -2},
        /* overlong, a surrogate, past the last code point: the second byte is already wrong */
        {"\xe0\x9f\xbf", -1},
        {"\xed\xa0\x80", -1},
        {"\xf0\x8f\xbf\xbf", -1},
        {"\xf4\x90\x80\x80", -1},
        /* cut short */
        {"\xc3", 0},
        {"\xe2", 0},
        {"\xe2\x82", 0},
        {"\xf0", 0},
        {"\xf0\x9f", 0},
        {"\xf4\x8f\xbf", 0},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        assert_int_equal(next_of(cases[n].bytes), cases[n].next);
    }
}

/* The encoding of each code point, by the definition. */
static size_t encode(uint8_t *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t at = len; at-- > 1; code >>= 6) {
        to[at] = (uint8_t)(0x80 | (code & 0x3f));
    }
    to[0] = (uint8_t)((0xf00u >> len) | code);
    return len;
}

static void every_code_point_but_the_surrogates_is_well_formed(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110400; code++) {
        uint8_t bytes[4];
        size_t len = encode(bytes, code);
        bool sound = (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff;
        int next = mvm_utf8_next(bytes, len);
        if (sound ? next != (int)len : next != -1) {
            fail_msg("U+%04X: %d", code, next);
        }
    }
}

static unsigned count_whole(const uint8_t *bytes, size_t len)
{
    return mvm_utf8_next(bytes, len) == (int)len;
}

/* There are as many valid sequences as code points, so no other is accepted. */
static void nothing_else_is_well_formed(void **state)
{
    (void)state;
    static const uint8_t last[] = {0x00, 0x7f, 0x80,
                                   0xbf, 0xc0, 0xff}; /* two of them are continuation bytes */
    unsigned two = 0, three = 0, four = 0;
    for (uint32_t n = 0; n < 1u << 16; n++) {
        uint8_t bytes[] = {(uint8_t)(n >> 8), (uint8_t)n, 0, 0};
        two += count_whole(bytes, 2);
        for (size_t a = 0; a < sizeof last; a++) {
            bytes[2] = last[a];
            three += count_whole(bytes, 3);
            for (size_t b = 0; b < sizeof last; b++) {
                bytes[3] = last[b];
                four += count_whole(bytes, 4);
            }
        }
    }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, (0x10000 - 0x800 - 0x800) / 64 * 2);
    assert_int_equal(four, 0x100000 / (64 * 64) * 4);
}

static void the_validator_agrees_with_next(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[4];
        static const uint8_t edges[] = {0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2,
                                        0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xf0, 0xf1, 0xf4, 0xf5};
        for (int n = 0; n < 4; n++) {
            bytes[n] = edges[guard_random(&seed, sizeof edges)];
        }
        int next = mvm_utf8_next(bytes, 4);
        struct mvm_utf8 u = {0};
        int good = 0;
        do {
            if (!mvm_utf8_check(&u, bytes[good])) {
                break;
            }
            good++;
        } while (!mvm_utf8_whole(&u));
        assert_int_equal(next, good > 0 && mvm_utf8_whole(&u) ? good : good == 0 ? -1 : -good);
    }
}

static void boundary_leaves_out_a_character_cut_short(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t boundary;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"ab", 2},
        {"a\xc3\xa9", 3},
        {"a\xc3", 1},
        {"a\xe2", 1},
        {"a\xe2\x82", 1},
        {"a\xe2\x82\xac", 4},
        {"a\xf0\x9f\x9a", 1},
        {"a\xf0\x9f\x9a\x80", 5},
        {"\xf0\x9f\x9a", 0},
        {"\xe2", 0},
        /* ill-formed bytes are not a character that could be cut */
        {"a\x80", 2},
        {"\x80", 1},
        {"\x80\x80", 2},
        {"\x80\x80\x80\x80\x80", 5},
        {"a\xe0\x80", 3},
        {"a\xff", 2},
        {"\xc3\xa9\x80", 3},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        size_t len = strlen(cases[n].bytes);
        size_t boundary = mvm_utf8_boundary(guard_copy(0, cases[n].bytes, len), len);
        assert_int_equal(boundary, cases[n].boundary);
    }
}

/* ---- plain runs ----------------------------------------------------------------------------- */

enum { RUN_MAX = 5 * 64 + 40 }; /* more than the widest vectors */

/* The length of the run by both versions, which agree and copy the same. */
static size_t run_of(const uint8_t *bytes, size_t len)
{
    size_t run = mvm_run_copy_portable(NULL, bytes, len);
    size_t (*const versions[])(uint8_t *, const uint8_t *, size_t) = {mvm_run_copy,
                                                                      mvm_run_copy_portable};
    for (size_t n = 0; n < 2; n++) {
        uint8_t *to = guard_end(1, len);
        assert_int_equal(versions[n](NULL, bytes, len), run);
        assert_int_equal(versions[n](to, bytes, len), run);
        assert_memory_equal(to, bytes, run);
    }
    return run;
}

static void each_byte_is_plain_or_stops_a_run(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
        uint8_t bytes[RUN_MAX];
        for (size_t at = 0; at < sizeof bytes; at++) {
            memset(bytes, 'a', sizeof bytes);
            bytes[at] = (uint8_t)byte;
            assert_int_equal(run_of(bytes, sizeof bytes), plain ? sizeof bytes : at);
        }
    }
}

/* A text of `len` bytes, of characters of one to four bytes; some are the first or last of those
 * whose second byte has its own bounds. */
static void write_characters(uint8_t *bytes, size_t len, uint64_t *seed)
{
    static const char *const characters[4][5] = {
        {"a", "z", " ", "~", "\x7f"},
        {"\xc3\xa9", "\xc3\xa9", "\xd0\xa9", "\xc2\x80", "\xdf\xbf"},
        {"\xe2\x82\xac", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf"},
        {"\xf0\x9f\x9a\x80", "\xf0\x90\x80\x80", "\xf3\xbf\xbf\xbf", "\xf0\x9f\x9a\x80",
         "\xf4\x8f\xbf\xbf"},
    };
    size_t rare = guard_random(seed, 5);
    for (size_t at = 0; at < len;) {
        size_t size = 1 + guard_random(seed, 4);
        size = size <= len - at ? size : len - at;
        size_t which = guard_random(seed, 8) == 0 ? rare : 0;
        memcpy(bytes + at, characters[size - 1][which], size);
        at += size;
    }
}

static void the_fast_run_is_the_portable_one_at_every_length_and_stop(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (size_t len = 0; len <= RUN_MAX; len++) {
        for (size_t stop = 0; stop <= len; stop++) {
            uint8_t *bytes = guard_end(0, len);
            memset(bytes, 'a', len);
            if (stop < len) {
                bytes[stop] = (uint8_t) "\"\\\n\x80"[guard_random(&seed, 4)];
            }
            assert_int_equal(run_of(bytes, len), stop);
        }
    }
}

static void the_fast_run_is_the_portable_one_whatever_byte_is_changed(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (size_t round = 0; round < 20000; round++) {
        size_t len = guard_random(&seed, RUN_MAX);
        uint8_t *bytes = guard_end(0, len);
        write_characters(bytes, len, &seed);
        assert_int_equal(run_of(bytes, len), len);
        if (len > 0) {
            bytes[guard_random(&seed, (uint32_t)len)] = (uint8_t)guard_random(&seed, 256);
            run_of(bytes, len);
        }
    }
}

/* Every pair of bytes decides whether the sequence it begins is well formed: after a character, in
 * the first block of any width, or in a later one. */
static void the_fast_run_is_the_portable_one_for_every_beginning_of_a_character(void **state)
{
    (void)state;
    uint8_t bytes[160];
    for (unsigned pair = 0; pair < 65536; pair++) {
        for (size_t at = 17; at < 100; at += 64) {
            memset(bytes, '.', at);
            memcpy(bytes + at - 2, "\xc3\xa9", 2);
            bytes[at] = (uint8_t)(pair >> 8);
            bytes[at + 1] = (uint8_t)pair;
            for (size_t third = at + 2; third < at + 5; third++) {
                memset(bytes + third, 'z', sizeof bytes - third);
                run_of(bytes, sizeof bytes);
                bytes[third] = 0x80;
            }
        }
    }
}

/* Long enough for the code for long texts alone, at all distances between the two. */
static void the_fast_run_is_the_portable_one_in_long_texts(void **state)
{
    (void)state;
    enum { LONG = 3000 };
    uint64_t seed = 13;
    for (size_t round = 0; round < 3000; round++) {
        size_t len = 1000 + guard_random(&seed, LONG - 1000);
        size_t ascii = guard_random(&seed, 3) * 1000;
        uint8_t *bytes = guard_end(0, len);
        write_characters(bytes, len, &seed);
        memset(bytes, 'a', ascii < len ? ascii : len);
        while (ascii < len && (bytes[ascii] & 0xc0) == 0x80) {
            bytes[ascii++] = 'a'; /* the rest of a character */
        }
        assert_int_equal(run_of(bytes, len), len);
        bytes[guard_random(&seed, (uint32_t)len)] = (uint8_t)guard_random(&seed, 256);
        run_of(bytes, len);
    }
}

static void a_run_goes_on_over_whole_characters(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t run;
    } cases[] = {
        {"", 0},
        {"\xc3\xa9", 2},
        {"a\xc3\xa9z\xe2\x82\xac\xf0\x9f\x9a\x80.", 12},
        {"a\xc3\xa9\"", 3},
        {"a\xc3\xa9\n", 3},
        {"\xc3\xa9\\", 2},
        {"a\xc3", 1},
        {"a\xf0\x9f\x9a", 1},
        {"\xc3\xa9\x80", 2},
        {"0123456789abcdef\xe2\x82\xac\xed\xa0\x80", 19},
        {"0123456789abcdef\xc3\xa9, then sixteen and more of nothing but ASCII, then \xc3\xa9\n",
         71},
        {"0123456789abcdef\xe2\x82\xac: ni\xc3\xb1o \xf0\x9f\x9a\x80!\xed\xa0\x80 and more", 32},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        size_t len = strlen(cases[n].bytes);
        assert_int_equal(run_of(guard_copy(0, cases[n].bytes, len), len), cases[n].run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_returns_the_length_of_the_first_character),
        cmocka_unit_test(every_code_point_but_the_surrogates_is_well_formed),
        cmocka_unit_test(nothing_else_is_well_formed),
        cmocka_unit_test(the_validator_agrees_with_next),
        cmocka_unit_test(boundary_leaves_out_a_character_cut_short),
        cmocka_unit_test(each_byte_is_plain_or_stops_a_run),
        cmocka_unit_test(the_fast_run_is_the_portable_one_at_every_length_and_stop),
        cmocka_unit_test(the_fast_run_is_the_portable_one_whatever_byte_is_changed),
        cmocka_unit_test(the_fast_run_is_the_portable_one_for_every_beginning_of_a_character),
        cmocka_unit_test(the_fast_run_is_the_portable_one_in_long_texts),
        cmocka_unit_test(a_run_goes_on_over_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
