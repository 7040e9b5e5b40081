/* Which wire a session speaks: chosen by the first byte, kept to the end, used for answers, too. */
#include "mvm_session.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Frames of the protobuf wire, by hand. */
#define PROTO_PING  "\0\0\0\0\2\x12\0"
#define PROTO_PONG  "\0\0\0\0\2\x22\0"
#define PROTO_BUILD "\0\0\0\0\x08\x0a\x06\x0a\1f\x12\1a"
#define JSON_PING   "\"Ping\"\n"
#define JSON_PONG   "\"Pong\"\n"

#define BYTES(literal) literal, sizeof(literal) - 1

static struct mvm_session s;
static uint8_t receive_buf[64];
static uint8_t send_buf[64];
static char fields[MVM_REQUEST_FIELDS_CAP];

static int begin(void **state)
{
    static const struct mvm_session_memory memory = {
        receive_buf, sizeof receive_buf, send_buf, sizeof send_buf, fields, sizeof fields};
    (void)state;
    mvm_session_init(&s, MVM_DIRECTION_REQUESTS, &memory);
    return 0;
}

static void come(const char *bytes, size_t len)
{
    size_t cap;
    uint8_t *room = mvm_session_room(&s, &cap);
    assert_true(cap >= len);
    memcpy(room, bytes, len);
    mvm_session_received(&s, len);
}

static void assert_kind(enum mvm_kind kind)
{
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_MESSAGE);
    assert_int_equal(s.message.kind, kind);
}

static void assert_bad(const char *why)
{
    char text[256] = "";
    struct mvm_writer w;
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_BAD_FRAME);
    mvm_writer_init(&w, text, sizeof text);
    mvm_session_explain(&s, &w);
    mvm_writer_finish(&w);
    assert_string_equal(text, why);
}

static void say(enum mvm_kind kind)
{
    struct mvm_message m = {.kind = kind};
    mvm_session_send(&s, &m);
}

static void assert_said(const char *bytes, size_t len)
{
    size_t n;
    const uint8_t *said = mvm_session_bytes(&s, &n);
    assert_int_equal(n, len);
    assert_memory_equal(said, bytes, len);
    mvm_session_sent(&s, n);
    assert_true(mvm_session_flushed(&s));
}

static void before_a_byte_has_come_json_is_spoken(void **state)
{
    (void)state;
    assert_int_equal(s.wire, MVM_WIRE_OPEN);
    say(MVM_MESSAGE_PONG);
    assert_said(BYTES(JSON_PONG));
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_NOTHING);
    assert_int_equal(s.wire, MVM_WIRE_OPEN);
}

static void the_first_byte_chooses_and_answers_are_in_kind(void **state)
{
    (void)state;
    come(BYTES(JSON_PING));
    assert_kind(MVM_MESSAGE_PING);
    assert_int_equal(s.wire, MVM_WIRE_JSON);
    say(MVM_MESSAGE_PONG);
    assert_said(BYTES(JSON_PONG));

    begin(NULL);
    come(BYTES(PROTO_BUILD PROTO_PING));
    assert_kind(MVM_MESSAGE_BUILD);
    assert_memory_equal(s.message.build.flake_ref.bytes, "f", 1);
    assert_int_equal(s.wire, mvm_proto_present ? MVM_WIRE_PROTO : MVM_WIRE_JSON);
    assert_kind(MVM_MESSAGE_PING);
    say(MVM_MESSAGE_PONG);
    assert_said(BYTES(PROTO_PONG));
}

static void a_line_amid_protobuf_breaks_the_session(void **state)
{
    (void)state;
    size_t cap;
    come(BYTES(PROTO_PING JSON_PING PROTO_PING));
    assert_kind(MVM_MESSAGE_PING);
    assert_false(mvm_session_broken(&s));
    assert_bad("parse error: not a length-prefixed message at byte 0");
    assert_true(mvm_session_broken(&s));
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_ENDED);
    assert_null(mvm_session_room(&s, &cap));
    say(MVM_MESSAGE_PONG);
    assert_said(BYTES(PROTO_PONG));
}

static void a_bad_line_does_not_break_the_session(void **state)
{
    (void)state;
    come(BYTES("x\n" JSON_PING));
    assert_bad("parse error: unexpected character at byte 0");
    assert_false(mvm_session_broken(&s));
    assert_kind(MVM_MESSAGE_PING);
}

static void a_protobuf_frame_amid_lines_is_part_of_a_bad_line(void **state)
{
    (void)state;
    come(BYTES(JSON_PING PROTO_PING "\n" JSON_PING));
    assert_kind(MVM_MESSAGE_PING);
    assert_bad("parse error: unexpected character at byte 0");
    assert_kind(MVM_MESSAGE_PING);
}

static void a_side_that_speaks_first_chooses(void **state)
{
    (void)state;
    mvm_session_speak(&s, MVM_WIRE_PROTO);
    say(MVM_MESSAGE_PING);
    assert_said(BYTES(PROTO_PING));
    come(BYTES(PROTO_PING));
    assert_kind(MVM_MESSAGE_PING);
    mvm_session_speak(&s, MVM_WIRE_JSON);
    say(MVM_MESSAGE_PING);
    assert_said(BYTES(JSON_PING));
}

static void a_new_peer_chooses_anew_once_the_old_one_has_its_answer(void **state)
{
    (void)state;
    come(BYTES(PROTO_PING));
    assert_kind(MVM_MESSAGE_PING);
    mvm_session_peer_changed(&s);
    assert_int_equal(s.wire, MVM_WIRE_OPEN);
    come(BYTES(JSON_PING));
    assert_kind(MVM_MESSAGE_PING);
    say(MVM_MESSAGE_PONG);
    assert_said(BYTES(JSON_PONG));
}

static void a_frame_longer_than_the_send_buffer_keeps_its_wire_over_a_new_peer(void **state)
{
    char line[100];
    uint8_t all[200];
    size_t have = 0;
    struct mvm_message log = {.kind = MVM_MESSAGE_LOG, .text = {line, sizeof line}};
    (void)state;
    memset(line, 'x', sizeof line);
    come(BYTES(PROTO_PING));
    assert_kind(MVM_MESSAGE_PING);
    mvm_session_send(&s, &log);
    assert_false(mvm_session_can_send(&s));
    mvm_session_peer_changed(&s);
    assert_int_equal(s.wire, MVM_WIRE_PROTO);
    while (!mvm_session_flushed(&s)) {
        size_t n;
        const uint8_t *bytes = mvm_session_bytes(&s, &n);
        assert_true(have + n <= sizeof all);
        memcpy(all + have, bytes, n);
        have += n;
        mvm_session_sent(&s, n);
    }
    assert_int_equal(have, 5 + 2 + 2 + sizeof line);
    assert_memory_equal(all, "\0\0\0\0\x68\x1a\x66\x0a\x64x", 10);
    assert_int_equal(all[have - 1], 'x');
}

static void a_frame_cut_by_the_end_is_bad_on_either_wire(void **state)
{
    (void)state;
    come(BYTES("\0\0\0\0\2\x12"));
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_NOTHING);
    mvm_session_peer_ended(&s);
    assert_bad("parse error: unexpected end at byte 6");
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_ENDED);

    begin(NULL);
    come(BYTES("\"Pin"));
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_NOTHING);
    mvm_session_peer_ended(&s);
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_BAD_FRAME);
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_ENDED);
}

/* A build without the protobuf wire treats everything as lines. */
static void without_protobuf_its_frames_are_bad_lines(void **state)
{
    (void)state;
    come(BYTES(PROTO_PING "\n" JSON_PING));
    assert_int_equal(mvm_session_next(&s), MVM_SESSION_BAD_FRAME);
    assert_kind(MVM_MESSAGE_PING);
    assert_int_equal(s.wire, MVM_WIRE_JSON);
}

int main(void)
{
    const struct CMUnitTest with[] = {
        cmocka_unit_test_setup(before_a_byte_has_come_json_is_spoken, begin),
        cmocka_unit_test_setup(the_first_byte_chooses_and_answers_are_in_kind, begin),
        cmocka_unit_test_setup(a_line_amid_protobuf_breaks_the_session, begin),
        cmocka_unit_test_setup(a_bad_line_does_not_break_the_session, begin),
        cmocka_unit_test_setup(a_protobuf_frame_amid_lines_is_part_of_a_bad_line, begin),
        cmocka_unit_test_setup(a_side_that_speaks_first_chooses, begin),
        cmocka_unit_test_setup(a_new_peer_chooses_anew_once_the_old_one_has_its_answer, begin),
        cmocka_unit_test_setup(a_frame_longer_than_the_send_buffer_keeps_its_wire_over_a_new_peer,
                               begin),
        cmocka_unit_test_setup(a_frame_cut_by_the_end_is_bad_on_either_wire, begin),
    };
    const struct CMUnitTest without[] = {
        cmocka_unit_test_setup(before_a_byte_has_come_json_is_spoken, begin),
        cmocka_unit_test_setup(a_protobuf_frame_amid_lines_is_part_of_a_bad_line, begin),
        cmocka_unit_test_setup(without_protobuf_its_frames_are_bad_lines, begin),
    };
    return mvm_proto_present ? cmocka_run_group_tests(with, NULL, NULL)
                             : cmocka_run_group_tests(without, NULL, NULL);
}
