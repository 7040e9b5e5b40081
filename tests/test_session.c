/* One connection: bytes in, messages out, messages in, bytes out, whatever the buffers. */
#include "mvm_session.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BUILD_A                                                                                    \
    "{\"Build\":{\"flake_ref\":\"/build-in\",\"attr\":\"packages.x.a\",\"timeout_secs\":7}}\n"
#define BUILD_B "{\"Build\":{\"flake_ref\":\"github:a/b\",\"attr\":\"c\"}}\n"
#define PING    "\"Ping\"\n"
#define PONG    "\"Pong\"\n"

enum { BUFFER_CAP = 32768 };

static struct mvm_session session;
static uint8_t receive_buffer[BUFFER_CAP];
static uint8_t send_buffer[BUFFER_CAP];
static char fields[MVM_RESPONSE_FIELDS_CAP];

static void begin(enum mvm_direction direction, size_t receive_cap, size_t send_cap)
{
    struct mvm_session_memory memory = {
        .receive = receive_buffer,
        .receive_cap = receive_cap,
        .send = send_buffer,
        .send_cap = send_cap,
        .fields = fields,
        .fields_cap = sizeof fields,
    };
    mvm_session_init(&session, direction, &memory);
}

/* Inserts as much of `bytes` as there is room for and returns the rest. */
static const char *feed(const char *bytes)
{
    size_t cap, len = strlen(bytes);
    uint8_t *room = mvm_session_room(&session, &cap);
    if (len > cap) {
        len = cap;
    }
    if (len > 0) {
        memcpy(room, bytes, len);
        mvm_session_received(&session, len);
    }
    return bytes + len;
}

/* Feeds `*bytes` until there is an event. */
static enum mvm_session_event next_of(const char **bytes)
{
    for (;;) {
        enum mvm_session_event event = mvm_session_next(&session);
        if (event != MVM_SESSION_NOTHING || **bytes == '\0') {
            return event;
        }
        const char *left = feed(*bytes);
        assert_ptr_not_equal(left, *bytes);
        *bytes = left;
    }
}

/* Takes up to `max` bytes from the session, appended to out[0 … *len-1]. */
static size_t drain(char *out, size_t *len, size_t max)
{
    size_t n;
    const uint8_t *bytes = mvm_session_bytes(&session, &n);
    if (n > max) {
        n = max;
    }
    if (n > 0) {
        memcpy(out + *len, bytes, n);
        mvm_session_sent(&session, n);
    }
    *len += n;
    return n;
}

static void assert_text(struct mvm_text text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.len);
}

static void assert_build_a(void)
{
    assert_int_equal(session.message.kind, MVM_MESSAGE_BUILD);
    assert_text(session.message.build.flake_ref, "/build-in");
    assert_text(session.message.build.attr, "packages.x.a");
    assert_true(session.message.build.has_timeout);
    assert_int_equal(session.message.build.timeout_secs, 7);
}

static void send_kind(enum mvm_kind kind, const char *text)
{
    struct mvm_message m = {.kind = kind};
    if (text != NULL) {
        m.text = mvm_text_from(text);
    }
    mvm_session_send(&session, &m);
}

static void a_fresh_session_has_room_and_nothing_else(void **state)
{
    (void)state;
    size_t len;
    begin(MVM_DIRECTION_REQUESTS, 100, 100);
    assert_ptr_equal(mvm_session_room(&session, &len), receive_buffer);
    assert_int_equal(len, 100);
    assert_null(mvm_session_bytes(&session, &len));
    assert_int_equal(len, 0);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    assert_true(mvm_session_can_send(&session));
    assert_true(mvm_session_flushed(&session));
    assert_false(mvm_session_ended(&session));
}

static void frames_are_the_same_through_a_receive_buffer_of_any_size(void **state)
{
    (void)state;
    for (size_t cap = 1; cap < 200; cap++) {
        const char *bytes = BUILD_A PING BUILD_B;
        begin(MVM_DIRECTION_REQUESTS, cap, 100);
        assert_int_equal(next_of(&bytes), MVM_SESSION_MESSAGE);
        assert_build_a();
        assert_int_equal(next_of(&bytes), MVM_SESSION_MESSAGE);
        assert_int_equal(session.message.kind, MVM_MESSAGE_PING);
        assert_int_equal(next_of(&bytes), MVM_SESSION_MESSAGE);
        assert_int_equal(session.message.kind, MVM_MESSAGE_BUILD);
        assert_text(session.message.build.flake_ref, "github:a/b");
        assert_false(session.message.build.has_timeout);
        assert_int_equal(next_of(&bytes), MVM_SESSION_NOTHING);
        assert_string_equal(bytes, "");
    }
}

static void messages_are_the_same_through_a_send_buffer_of_any_size(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "one", "a \"quoted\" line", "tab\tand \xc3\xa9",
                                        "\x01"};
    static const char expected[] =
        "{\"Log\":{\"line\":\"\"}}\n{\"Log\":{\"line\":\"one\"}}\n"
        "{\"Log\":{\"line\":\"a \\\"quoted\\\" line\"}}\n"
        "{\"Log\":{\"line\":\"tab\\tand \xc3\xa9\"}}\n{\"Log\":{\"line\":\"\\u0001\"}}\n";
    for (size_t cap = 1; cap < sizeof expected + 2; cap++) {
        char out[sizeof expected] = "";
        size_t len = 0;
        begin(MVM_DIRECTION_REQUESTS, 1, cap);
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
            while (!mvm_session_can_send(&session)) {
                assert_true(drain(out, &len, 3) > 0);
            }
            send_kind(MVM_MESSAGE_LOG, lines[i]);
        }
        while (drain(out, &len, 5) > 0) {
        }
        assert_true(mvm_session_flushed(&session));
        assert_int_equal(session.sent, sizeof expected - 1);
        assert_string_equal(out, expected);
    }
}

static void one_byte_buffers_carry_requests_and_answers(void **state)
{
    (void)state;
    const char *bytes = PING PING PING;
    char out[64] = "";
    size_t len = 0;
    begin(MVM_DIRECTION_REQUESTS, 1, 1);
    for (int pings = 0; pings < 3;) {
        if (next_of(&bytes) == MVM_SESSION_MESSAGE) {
            pings++;
            send_kind(MVM_MESSAGE_PONG, NULL);
        }
        while (drain(out, &len, 1) > 0) {
        }
    }
    assert_string_equal(out, PONG PONG PONG);
}

static void nothing_is_taken_while_an_answer_is_not_in_the_send_buffer(void **state)
{
    (void)state;
    char out[64] = "";
    size_t len = 0;
    begin(MVM_DIRECTION_REQUESTS, 64, 4);
    feed(PING PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    send_kind(MVM_MESSAGE_PONG, NULL);
    assert_false(mvm_session_can_send(&session));
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    assert_int_equal(drain(out, &len, 4), 4);
    assert_true(mvm_session_can_send(&session));
    assert_false(mvm_session_flushed(&session));
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
}

static void a_peer_that_does_not_read_is_not_read_from(void **state)
{
    (void)state;
    size_t cap;
    begin(MVM_DIRECTION_REQUESTS, 16, 1);
    feed(PING PING PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    send_kind(MVM_MESSAGE_PONG, NULL);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    assert_null(mvm_session_room(&session, &cap));
    assert_int_equal(cap, 0);
}

static void thousands_of_lines_leave_in_few_pieces(void **state)
{
    (void)state;
    static char out[20 * BUFFER_CAP];
    static char line[81];
    size_t len = 0, pieces = 0, lines = 0;
    memset(line, 'x', sizeof line - 1);
    begin(MVM_DIRECTION_REQUESTS, 1, BUFFER_CAP);
    while (lines < 5000) {
        while (lines < 5000 && mvm_session_can_send(&session)) {
            send_kind(MVM_MESSAGE_LOG, line);
            lines++;
        }
        pieces += drain(out, &len, BUFFER_CAP) > 0;
    }
    while (drain(out, &len, BUFFER_CAP) > 0) {
        pieces++;
    }
    assert_int_equal(len, 5000 * (80 + sizeof "{\"Log\":{\"line\":\"\"}}"));
    assert_in_range(pieces, 1, len / BUFFER_CAP + 1);
}

static void bytes_stay_where_they_are_until_they_are_sent(void **state)
{
    (void)state;
    size_t before, after;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    send_kind(MVM_MESSAGE_PONG, NULL);
    const uint8_t *bytes = mvm_session_bytes(&session, &before);
    send_kind(MVM_MESSAGE_PONG, NULL);
    assert_ptr_equal(mvm_session_bytes(&session, &after), bytes);
    assert_int_equal(after, 2 * before);
    mvm_session_sent(&session, 3);
    assert_ptr_equal(mvm_session_bytes(&session, &after), bytes + 3);
    assert_int_equal(after, 2 * before - 3);
}

/* A caller that does not look at the result of read(2) or write(2). */
static void more_bytes_than_there_are_or_have_room_change_nothing(void **state)
{
    (void)state;
    static const size_t wrong[] = {SIZE_MAX, SIZE_MAX - 8, 65};
    size_t cap, len;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    feed(PING);
    mvm_session_room(&session, &cap);
    assert_int_equal(cap, 64 - strlen(PING));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mvm_session_received(&session, wrong[i]);
        mvm_session_sent(&session, wrong[i]);
        mvm_session_room(&session, &cap);
        assert_int_equal(cap, 64 - strlen(PING));
    }
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    send_kind(MVM_MESSAGE_PONG, "");
    mvm_session_sent(&session, strlen(PONG) + 1);
    mvm_session_sent(&session, SIZE_MAX);
    assert_memory_equal(mvm_session_bytes(&session, &len), PONG, strlen(PONG));
    assert_int_equal(len, strlen(PONG));
    assert_int_equal(session.sent, 0);
}

static void a_bad_frame_is_reported_once_and_the_next_is_fine(void **state)
{
    (void)state;
    static const char *const bad[] = {"garbage\n", "{\"Build\":{}}\n", "\"Pong\"\n", "[1,2\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[160];
        struct mvm_writer w;
        begin(MVM_DIRECTION_REQUESTS, 256, 64);
        feed(bad[i]);
        feed(PING);
        assert_int_equal(mvm_session_next(&session), MVM_SESSION_BAD_FRAME);
        mvm_writer_init(&w, text, sizeof text);
        mvm_session_explain(&session, &w);
        assert_true(mvm_text_begins(mvm_writer_finish(&w), "parse error"));
        assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
        assert_int_equal(session.message.kind, MVM_MESSAGE_PING);
        assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    }
}

static void after_its_end_a_last_frame_counts_without_its_newline(void **state)
{
    (void)state;
    size_t cap;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    feed("\"Ping\"");
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    mvm_session_peer_ended(&session);
    assert_null(mvm_session_room(&session, &cap));
    assert_false(mvm_session_ended(&session));
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(session.message.kind, MVM_MESSAGE_PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_ENDED);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_ENDED);
    assert_true(mvm_session_ended(&session));
    send_kind(MVM_MESSAGE_PONG, NULL);
    assert_false(mvm_session_flushed(&session));
}

static void after_its_end_half_a_frame_is_a_bad_one(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    feed(PING "\"Pi");
    mvm_session_peer_ended(&session);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_false(mvm_session_ended(&session));
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_BAD_FRAME);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_ENDED);
}

static void an_end_between_frames_is_just_an_end(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    mvm_session_peer_ended(&session);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_ENDED);
}

static void a_new_peer_does_not_inherit_half_a_frame(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    feed("{\"Build\":{\"fla");
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    mvm_session_peer_changed(&session);
    feed(PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(session.message.kind, MVM_MESSAGE_PING);
}

static void frames_that_wait_survive_a_change_of_peers(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    feed("\"Pi");
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    feed("ng\"\n");
    mvm_session_peer_changed(&session);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(session.message.kind, MVM_MESSAGE_PING);
}

static void a_host_reads_responses_by_the_same_code(void **state)
{
    (void)state;
    const char *bytes =
        "{\"Log\":{\"line\":\"hi\"}}\n{\"Ok\":{\"out_path\":\"/nix/store/x\"}}\n" PONG;
    begin(MVM_DIRECTION_RESPONSES, 5, 64);
    assert_int_equal(next_of(&bytes), MVM_SESSION_MESSAGE);
    assert_int_equal(session.message.kind, MVM_MESSAGE_LOG);
    assert_text(session.message.text, "hi");
    assert_int_equal(next_of(&bytes), MVM_SESSION_MESSAGE);
    assert_int_equal(session.message.kind, MVM_MESSAGE_OK);
    assert_text(session.message.text, "/nix/store/x");
    assert_int_equal(next_of(&bytes), MVM_SESSION_MESSAGE);
    assert_int_equal(session.message.kind, MVM_MESSAGE_PONG);
}

/* ---- two sessions ---- */

enum { SMALL = 8, REQUESTS = 20 };

static uint8_t small_buffers[4][SMALL];
static char more_fields[MVM_REQUEST_FIELDS_CAP];

static void begin_small(struct mvm_session *s, enum mvm_direction direction, int side, char *memory)
{
    struct mvm_session_memory m = {.receive = small_buffers[2 * side],
                                   .receive_cap = SMALL,
                                   .send = small_buffers[2 * side + 1],
                                   .send_cap = SMALL,
                                   .fields = memory,
                                   .fields_cap = MVM_REQUEST_FIELDS_CAP};
    mvm_session_init(s, direction, &m);
}

static bool carry(struct mvm_session *from, struct mvm_session *to)
{
    size_t len, cap;
    const uint8_t *bytes = mvm_session_bytes(from, &len);
    uint8_t *room = mvm_session_room(to, &cap);
    len = len < cap ? len : cap;
    if (len == 0) {
        return false;
    }
    memcpy(room, bytes, len);
    mvm_session_received(to, len);
    mvm_session_sent(from, len);
    return true;
}

/* A host that sends its requests one after the other, each longer than all buffers together, to an
 * agent whose answers are as long. */
static void two_sessions_never_wait_for_each_other(void **state)
{
    (void)state;
    static struct mvm_session host;
    struct mvm_message request = {.kind = MVM_MESSAGE_BUILD}, answer = {.kind = MVM_MESSAGE_LOG};
    unsigned asked = 0, answered = 0;
    bool moved = true;
    request.build.flake_ref = answer.text = mvm_text_from("a text of more bytes than all buffers");
    request.build.attr = mvm_text_from("a");
    begin_small(&session, MVM_DIRECTION_REQUESTS, 0, fields);
    begin_small(&host, MVM_DIRECTION_RESPONSES, 1, more_fields);
    while (moved) {
        moved = false;
        if (asked < REQUESTS && mvm_session_can_send(&host)) {
            mvm_session_send(&host, &request);
            asked++;
        }
        while (mvm_session_next(&host) == MVM_SESSION_MESSAGE) {
            answered++;
        }
        if (mvm_session_next(&session) == MVM_SESSION_MESSAGE) {
            mvm_session_send(&session, &answer);
        }
        moved = carry(&host, &session) || moved;
        moved = carry(&session, &host) || moved;
    }
    assert_int_equal(asked, REQUESTS);
    assert_int_equal(answered, REQUESTS);
}

static void a_program_that_queues_its_answers_decodes_on(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS, 64, 1);
    feed(PING PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    send_kind(MVM_MESSAGE_PONG, NULL);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
    assert_int_equal(mvm_session_decode(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(mvm_session_decode(&session), MVM_SESSION_NOTHING);
}

/* The first byte chooses the encoder, too, and the other one is in use. */
static void the_wire_does_not_change_amid_a_message(void **state)
{
    (void)state;
    size_t cap;
    if (!mvm_proto_present) {
        skip();
    }
    begin(MVM_DIRECTION_REQUESTS, 64, 1);
    send_kind(MVM_MESSAGE_PONG, NULL);
    memcpy(mvm_session_room(&session, &cap), "\0\0\0\0\2\x12\0", 7);
    mvm_session_received(&session, 7);
    assert_int_equal(mvm_session_decode(&session), MVM_SESSION_NOTHING);
    for (size_t i = 1; i < sizeof PONG - 1; i++) {
        mvm_session_sent(&session, 1);
    }
    assert_int_equal(mvm_session_decode(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(session.wire, MVM_WIRE_PROTO);
}

static void a_session_of_json_alone_takes_no_byte_for_the_other_wire(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS, 64, 64);
    session.json_alone = true;
    size_t cap;
    memcpy(mvm_session_room(&session, &cap), "\0\0\0\0\2\x12\0\n", 8);
    mvm_session_received(&session, 8);
    feed(PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_BAD_FRAME);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(session.wire, MVM_WIRE_JSON);
}

static void a_restart_drops_what_came_and_what_was_to_go(void **state)
{
    (void)state;
    size_t len;
    begin(MVM_DIRECTION_REQUESTS, 64, 4);
    feed(PING "\"Pi");
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    send_kind(MVM_MESSAGE_PONG, NULL);
    mvm_session_restart(&session);
    assert_null(mvm_session_bytes(&session, &len));
    assert_true(mvm_session_can_send(&session));
    feed(PING);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_MESSAGE);
    assert_int_equal(mvm_session_next(&session), MVM_SESSION_NOTHING);
}

/* Room that is there for artifacts is memory that lines need not touch. */
static void all_but_artifacts_leave_the_rest_of_the_send_buffer_untouched(void **state)
{
    (void)state;
    enum { LINES_CAP = 100 };
    static char text[1000];
    size_t len;
    if (!mvm_proto_present) {
        skip();
    }
    memset(text, 'x', sizeof text);
    begin(MVM_DIRECTION_REQUESTS, 100, BUFFER_CAP);
    mvm_session_speak(&session, MVM_WIRE_PROTO);
    session.small_cap = LINES_CAP;
    struct mvm_message log = {.kind = MVM_MESSAGE_LOG, .text = {text, sizeof text}};
    mvm_session_send(&session, &log);
    assert_false(mvm_session_can_send(&session));
    for (size_t sent = 0; !mvm_session_can_send(&session); sent += len) {
        assert_true(sent < sizeof text);
        mvm_session_bytes(&session, &len);
        assert_int_equal(len, LINES_CAP);
        mvm_session_sent(&session, len);
    }
    struct mvm_message artifact = {.kind = MVM_MESSAGE_ARTIFACT,
                                   .text = {text, sizeof text},
                                   .id = mvm_text_from("0123456789abcdef")};
    artifact.bulk.name = mvm_text_from("rootfs.ext4");
    mvm_session_send(&session, &artifact);
    assert_true(mvm_session_can_send(&session));
    mvm_session_send(&session, &log); /* not before the artifact is out */
    assert_false(mvm_session_can_send(&session));
    mvm_session_bytes(&session, &len);
    assert_in_range(len, sizeof text, sizeof text + LINES_CAP);
    mvm_session_sent(&session, len);
    mvm_session_bytes(&session, &len);
    assert_int_equal(len, LINES_CAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_session_has_room_and_nothing_else),
        cmocka_unit_test(frames_are_the_same_through_a_receive_buffer_of_any_size),
        cmocka_unit_test(messages_are_the_same_through_a_send_buffer_of_any_size),
        cmocka_unit_test(one_byte_buffers_carry_requests_and_answers),
        cmocka_unit_test(nothing_is_taken_while_an_answer_is_not_in_the_send_buffer),
        cmocka_unit_test(a_peer_that_does_not_read_is_not_read_from),
        cmocka_unit_test(thousands_of_lines_leave_in_few_pieces),
        cmocka_unit_test(bytes_stay_where_they_are_until_they_are_sent),
        cmocka_unit_test(all_but_artifacts_leave_the_rest_of_the_send_buffer_untouched),
        cmocka_unit_test(more_bytes_than_there_are_or_have_room_change_nothing),
        cmocka_unit_test(a_bad_frame_is_reported_once_and_the_next_is_fine),
        cmocka_unit_test(after_its_end_a_last_frame_counts_without_its_newline),
        cmocka_unit_test(after_its_end_half_a_frame_is_a_bad_one),
        cmocka_unit_test(an_end_between_frames_is_just_an_end),
        cmocka_unit_test(a_new_peer_does_not_inherit_half_a_frame),
        cmocka_unit_test(frames_that_wait_survive_a_change_of_peers),
        cmocka_unit_test(a_host_reads_responses_by_the_same_code),
        cmocka_unit_test(two_sessions_never_wait_for_each_other),
        cmocka_unit_test(a_program_that_queues_its_answers_decodes_on),
        cmocka_unit_test(the_wire_does_not_change_amid_a_message),
        cmocka_unit_test(a_session_of_json_alone_takes_no_byte_for_the_other_wire),
        cmocka_unit_test(a_restart_drops_what_came_and_what_was_to_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
