/* Messages → JSON lines: the bytes, which do not depend on the room. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "mvm_encoder.h"
#include "test_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Each pull's room ends at a guard page, the text at another. */
static size_t encode(const struct mvm_message *m, size_t room, char *out, size_t cap)
{
    struct mvm_encoder e;
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, m);
    size_t len = 0;
    while (!mvm_encoder_idle(&e)) {
        uint8_t *at = guard_end(0, room);
        size_t written = mvm_encoder_pull(&e, at, room);
        assert_true(written > 0 && written <= room && len + written <= cap);
        assert_true(written == room || mvm_encoder_idle(&e));
        memcpy(out + len, at, written);
        len += written;
    }
    assert_int_equal(mvm_encoder_pull(&e, guard_end(0, 1), 1), 0);
    return len;
}

enum { ROOMY = 64 }; /* more than a frame needs to be written by one pull */

static void check(const struct mvm_message *m, const char *expected)
{
    size_t len = strlen(expected);
    for (size_t room = 1; room <= len + ROOMY; room++) {
        char out[4096];
        assert_int_equal(encode(m, room, out, sizeof out), len);
        assert_memory_equal(out, expected, len);
    }
}

static void check_log(const char *bytes, size_t len, const char *expected_line)
{
    char expected[2048];
    struct mvm_writer w;
    mvm_writer_init(&w, expected, sizeof expected);
    mvm_writer_add(&w, "{\"Log\":{\"line\":\"");
    mvm_writer_add(&w, expected_line);
    mvm_writer_add(&w, "\"}}\n");
    struct mvm_message m = {.kind = MVM_MESSAGE_LOG,
                            .text = {(const char *)guard_copy(1, bytes, len), len}};
    check(&m, expected);
}

static struct mvm_message with_text(enum mvm_kind kind, const char *text)
{
    return (struct mvm_message){.kind = kind, .text = mvm_text_from(text)};
}

static struct mvm_message build(const char *flake_ref, const char *attr, bool has_timeout,
                                uint64_t timeout_secs)
{
    return (struct mvm_message){.kind = MVM_MESSAGE_BUILD,
                                .build = {.flake_ref = mvm_text_from(flake_ref),
                                          .attr = mvm_text_from(attr),
                                          .has_timeout = has_timeout,
                                          .timeout_secs = timeout_secs}};
}

static void each_message_has_its_form(void **state)
{
    (void)state;
    const struct {
        struct mvm_message message;
        const char *expected;
    } cases[] = {
        {{.kind = MVM_MESSAGE_PING}, "\"Ping\"\n"},
        {{.kind = MVM_MESSAGE_PONG}, "\"Pong\"\n"},
        {with_text(MVM_MESSAGE_OK, "/nix/store/x"), "{\"Ok\":{\"out_path\":\"/nix/store/x\"}}\n"},
        {with_text(MVM_MESSAGE_ERR, "it failed"), "{\"Err\":{\"message\":\"it failed\"}}\n"},
        {with_text(MVM_MESSAGE_LOG, "a line"), "{\"Log\":{\"line\":\"a line\"}}\n"},
        {with_text(MVM_MESSAGE_LOG, ""), "{\"Log\":{\"line\":\"\"}}\n"},
        {build("/build-in", "a.b", true, 1800),
         "{\"Build\":{\"flake_ref\":\"/build-in\",\"attr\":\"a.b\",\"timeout_secs\":1800}}\n"},
        {build("", "", true, 0),
         "{\"Build\":{\"flake_ref\":\"\",\"attr\":\"\",\"timeout_secs\":0}}\n"},
        {build("f", "a", false, 7),
         "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"timeout_secs\":null}}\n"},
        {build("\"", "\n", true, UINT64_MAX), "{\"Build\":{\"flake_ref\":\"\\\"\",\"attr\":\"\\n\","
                                              "\"timeout_secs\":18446744073709551615}}\n"},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        check(&cases[n].message, cases[n].expected);
    }
}

static void a_text_without_bytes_may_be_null(void **state)
{
    (void)state;
    struct mvm_message m = {.kind = MVM_MESSAGE_LOG, .text = {NULL, 0}};
    check(&m, "{\"Log\":{\"line\":\"\"}}\n");
}

static void each_control_character_is_escaped(void **state)
{
    (void)state;
    static const char *const escapes[] = {
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
        "\\b",     "\\t",     "\\n",     "\\u000b", "\\f",     "\\r",     "\\u000e", "\\u000f",
        "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
        "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
    };
    for (unsigned byte = 0; byte < 0x20; byte++) {
        char text[3] = {'a', (char)byte, 'z'};
        char expected[16];
        struct mvm_writer w;
        mvm_writer_init(&w, expected, sizeof expected);
        mvm_writer_add(&w, "a");
        mvm_writer_add(&w, escapes[byte]);
        mvm_writer_add(&w, "z");
        check_log(text, sizeof text, expected);
    }
}

static void quote_and_backslash_are_escaped_and_nothing_else_is(void **state)
{
    (void)state;
    check_log("\"\\", 2, "\\\"\\\\");
    check_log(" /'<>&\x7f", 7, " /'<>&\x7f");
    check_log("\xe2\x80\xa8\xef\xbb\xbf", 6, "\xe2\x80\xa8\xef\xbb\xbf");
    check_log("0123456789abcdef\"0123456789abcdef0123456789abcdef\n", 50,
              "0123456789abcdef\\\"0123456789abcdef0123456789abcdef\\n");
}

static void characters_go_out_as_they_are(void **state)
{
    (void)state;
    static const char text[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80z\xf4\x8f\xbf\xbf";
    check_log(text, strlen(text), text);
}

#define FFFD "\xef\xbf\xbd"

static void each_maximal_subpart_becomes_one_replacement_character(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *expected;
    } cases[] = {
        {"\xff", FFFD},
        {"\x80\x80", FFFD FFFD},
        {"a\xc3", "a" FFFD},
        {"\xc3(", FFFD "("},
        {"\xe2\x82", FFFD},
        {"\xe2\x82z", FFFD "z"},
        {"\xf0\x9f\x9a", FFFD},
        {"\xf0\x9f\x9a\"", FFFD "\\\""},
        {"\xf0\x9f\xf0\x9f\x9a\x80", FFFD "\xf0\x9f\x9a\x80"},
        /* neither overlong forms nor surrogates nor bytes past the end have a subpart over one
         * byte: the second is already wrong */
        {"\xc0\x80", FFFD FFFD},
        {"\xe0\x80\x80", FFFD FFFD FFFD},
        {"\xed\xa0\x80", FFFD FFFD FFFD},
        {"\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD},
        {"\xf5\x80", FFFD FFFD},
        /* the example of the Unicode standard, table 3-8 */
        {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64",
         "a" FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d"},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        check_log(cases[n].bytes, strlen(cases[n].bytes), cases[n].expected);
    }
}

static void an_encoder_is_idle_before_and_after(void **state)
{
    (void)state;
    struct mvm_encoder e = {0};
    uint8_t out[64];
    assert_true(mvm_encoder_idle(&e));
    assert_int_equal(mvm_encoder_pull(&e, out, sizeof out), 0);
    memset(&e, 0xaa, sizeof e);
    mvm_encoder_init(&e);
    assert_true(mvm_encoder_idle(&e));
    struct mvm_message ping = {.kind = MVM_MESSAGE_PING};
    mvm_encoder_start(&e, &ping);
    assert_false(mvm_encoder_idle(&e));
    assert_int_equal(mvm_encoder_pull(&e, NULL, 0), 0);
    assert_int_equal(mvm_encoder_pull(&e, out, 6), 6);
    assert_false(mvm_encoder_idle(&e));
    assert_int_equal(mvm_encoder_pull(&e, out, 1), 1);
    assert_true(mvm_encoder_idle(&e));
}

static void a_frame_begun_in_little_room_goes_on_in_plenty(void **state)
{
    (void)state;
    static const char expected[] = "{\"Log\":{\"line\":\"a line\\tof some bytes\"}}\n";
    const struct mvm_message log = with_text(MVM_MESSAGE_LOG, "a line\tof some bytes");
    for (size_t first = 1; first < sizeof expected; first++) {
        struct mvm_encoder e = {0};
        char out[256];
        mvm_encoder_start(&e, &log);
        size_t len = mvm_encoder_pull(&e, (uint8_t *)out, first);
        len += mvm_encoder_pull(&e, (uint8_t *)out + len, sizeof out - len);
        assert_true(mvm_encoder_idle(&e));
        assert_int_equal(len, sizeof expected - 1);
        assert_memory_equal(out, expected, len);
    }
}

static void messages_follow_each_other(void **state)
{
    (void)state;
    const struct mvm_message messages[] = {build("f\n", "a", true, 12),
                                           with_text(MVM_MESSAGE_LOG, "\x01"),
                                           {.kind = MVM_MESSAGE_PONG},
                                           with_text(MVM_MESSAGE_OK, "\xff")};
    for (size_t room = 1; room < 40; room++) {
        struct mvm_encoder e = {0};
        char out[256];
        size_t len = 0;
        for (size_t n = 0; n < 4; n++) {
            mvm_encoder_start(&e, &messages[n]);
            while (!mvm_encoder_idle(&e)) {
                len += mvm_encoder_pull(&e, (uint8_t *)out + len, room);
            }
        }
        out[len] = '\0';
        assert_string_equal(
            out,
            "{\"Build\":{\"flake_ref\":\"f\\n\",\"attr\":\"a\",\"timeout_secs\":12}}\n"
            "{\"Log\":{\"line\":\"\\u0001\"}}\n\"Pong\"\n{\"Ok\":{\"out_path\":\"" FFFD "\"}}\n");
    }
}

static void any_bytes_encode_the_same_whatever_the_room(void **state)
{
    (void)state;
    uint64_t seed = 13;
    static const char odd[] = "\"\\\n\x1b\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80\xed\xff\xc0";
    for (int round = 0; round < 20000; round++) {
        char text[80], whole[512], pieces[512];
        size_t len = guard_random(&seed, sizeof text);
        for (size_t at = 0; at < len; at++) {
            text[at] = guard_random(&seed, 3) != 0 ? 'a' : odd[guard_random(&seed, sizeof odd - 1)];
        }
        struct mvm_message m = {.kind = MVM_MESSAGE_ERR,
                                .text = {(const char *)guard_copy(1, text, len), len}};
        size_t expected = encode(&m, sizeof whole, whole, sizeof whole);
        size_t room = 1 + guard_random(&seed, 30);
        assert_int_equal(encode(&m, room, pieces, sizeof pieces), expected);
        assert_memory_equal(pieces, whole, expected);
        room = expected + guard_random(&seed, ROOMY);
        assert_int_equal(encode(&m, room, pieces, sizeof pieces), expected);
        assert_memory_equal(pieces, whole, expected);
    }
}

/* A message without any optional text, and no room. */
static void no_bytes_may_be_no_pointer(void **state)
{
    (void)state;
    for (unsigned kind = MVM_MESSAGE_BUILD; kind <= MVM_MESSAGE_CANCELLED; kind++) {
        struct mvm_encoder e;
        uint8_t out[256];
        const struct mvm_message m = {.kind = (enum mvm_kind)kind};
        mvm_encoder_init(&e);
        mvm_encoder_start(&e, &m);
        assert_int_equal(mvm_encoder_pull(&e, NULL, 0), 0);
        assert_true(mvm_encoder_pull(&e, out, sizeof out) > 0);
        assert_true(mvm_encoder_idle(&e));
        mvm_encoder_start(&e, &m);
        while (!mvm_encoder_idle(&e)) {
            assert_int_equal(mvm_encoder_pull(&e, out, 1), 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bytes_may_be_no_pointer),
        cmocka_unit_test(each_message_has_its_form),
        cmocka_unit_test(a_text_without_bytes_may_be_null),
        cmocka_unit_test(each_control_character_is_escaped),
        cmocka_unit_test(quote_and_backslash_are_escaped_and_nothing_else_is),
        cmocka_unit_test(characters_go_out_as_they_are),
        cmocka_unit_test(each_maximal_subpart_becomes_one_replacement_character),
        cmocka_unit_test(an_encoder_is_idle_before_and_after),
        cmocka_unit_test(a_frame_begun_in_little_room_goes_on_in_plenty),
        cmocka_unit_test(messages_follow_each_other),
        cmocka_unit_test(any_bytes_encode_the_same_whatever_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
