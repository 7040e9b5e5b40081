/* The protobuf wire: frames cut anywhere and in any room, limits, bad frames. */
#include "mvm_proto.h"
#include "proto_schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char fields[MVM_REQUEST_FIELDS_CAP];
static uint8_t wire[1 << 17];
static struct mvm_proto_decoder decoder;

static struct mvm_text text(const char *s)
{
    return mvm_text_from(s);
}

/* Each kind, with texts that are absent, empty, long, not ASCII, and any bytes. */
static const struct mvm_message samples[] = {
    {.kind = MVM_MESSAGE_BUILD,
     .build = {.flake_ref = {"/build-in", 9},
               .attr = {"a.b", 3},
               .has_timeout = true,
               .timeout_secs = 1800}},
    {.kind = MVM_MESSAGE_BUILD,
     .build = {.flake_ref = {"path:/x?dir=\xc3\xa9", 14},
               .attr = {"", 0},
               .has_timeout = false,
               .timeout_secs = 0}},
    {.kind = MVM_MESSAGE_BUILD,
     .build = {.flake_ref = {".", 1},
               .attr = {"x", 1},
               .has_timeout = true,
               .timeout_secs = UINT64_MAX}},
    {.kind = MVM_MESSAGE_BUILD,
     .build = {.flake_ref = {".", 1}, .attr = {"x", 1}, .has_timeout = true, .timeout_secs = 0}},
    {.kind = MVM_MESSAGE_PING},
    {.kind = MVM_MESSAGE_OK, .text = {"/nix/store/x", 12}},
    {.kind = MVM_MESSAGE_ERR, .text = {"no", 2}},
    {.kind = MVM_MESSAGE_LOG, .text = {"a\0\xff\x1b[0m", 7}},
    {.kind = MVM_MESSAGE_LOG, .text = {"", 0}},
    {.kind = MVM_MESSAGE_PONG},
    {.kind = MVM_MESSAGE_BUILD,
     .id = {"0123456789abcdef", 16},
     .build = {.flake_ref = {".", 1},
               .attr = {"x", 1},
               .has_timeout = true,
               .timeout_secs = 1,
               .keep = MVM_FLAG_TRUE}},
    {.kind = MVM_MESSAGE_BUILD, .id = {"", 0}, .build = {.keep = MVM_FLAG_FALSE}},
    {.kind = MVM_MESSAGE_HELLO},
    {.kind = MVM_MESSAGE_HELLO, .hello = {.nonce = {"n", 1}}},
    {.kind = MVM_MESSAGE_JOIN, .id = {"0123456789abcdef", 16}},
    {.kind = MVM_MESSAGE_CANCEL, .id = {"\xc3\xa9", 2}},
    {.kind = MVM_MESSAGE_OK, .text = {"/nix/store/x", 12}, .id = {"i", 1}},
    {.kind = MVM_MESSAGE_ERR, .text = {"no", 2}, .id = {"i", 1}},
    {.kind = MVM_MESSAGE_ERR, .text = {"no", 2}, .refusal = {{"r", 1}, {"id_conflict", 11}}},
    {.kind = MVM_MESSAGE_ERR, .id = {"i", 1}, .refusal = {{"r", 1}, {"", 0}}},
    {.kind = MVM_MESSAGE_LOG, .text = {"l\xff", 2}, .id = {"i", 1}, .beat = MVM_FLAG_FALSE},
    {.kind = MVM_MESSAGE_LOG, .text = {"", 0}, .beat = MVM_FLAG_TRUE},
    {.kind = MVM_MESSAGE_WELCOME},
    {.kind = MVM_MESSAGE_WELCOME, .hello = {{"n", 1}, {"a 1", 3}, {"b", 1}, {"ids join", 8}}},
    {.kind = MVM_MESSAGE_CANCELLED, .text = {"ended", 5}, .id = {"i", 1}},
    {.kind = MVM_MESSAGE_STREAM_BUILD,
     .id = {"i", 1},
     .build = {{"sub", 3}, {"x", 1}, true, 60, MVM_FLAG_TRUE, true, UINT64_MAX}},
    {.kind = MVM_MESSAGE_STREAM_BUILD,
     .id = {"i", 1},
     .build = {{".", 1}, {"x", 1}, .timeout_secs = 0}},
    {.kind = MVM_MESSAGE_SOURCE,
     .id = {"i", 1},
     .text = {"\0\xff\n", 3},
     .bulk = {.offset = 1u << 31, .last = MVM_FLAG_TRUE}},
    {.kind = MVM_MESSAGE_SOURCE, .id = {"i", 1}, .bulk = {.last = MVM_FLAG_FALSE}},
    {.kind = MVM_MESSAGE_GET,
     .id = {"i", 1},
     .bulk = {{"rootfs.ext4", 11}, UINT64_MAX, 1, MVM_FLAG_ABSENT}},
    {.kind = MVM_MESSAGE_DROP, .id = {"i", 1}},
    {.kind = MVM_MESSAGE_WANT, .id = {"i", 1}, .bulk = {.length = 65536}},
    {.kind = MVM_MESSAGE_ARTIFACT,
     .id = {"i", 1},
     .text = {"data", 4},
     .bulk = {{"vmlinux", 7}, 4096, 0, MVM_FLAG_TRUE}},
    {.kind = MVM_MESSAGE_ARTIFACT, .id = {"i", 1}, .bulk = {{"vmlinux", 7}, 0, 0, 0}},
    {.kind = MVM_MESSAGE_OK,
     .text = {"/nix/store/x", 12},
     .id = {"i", 1},
     .artifacts = {"\x1a\x05\x0a\x01k\x10\x07\x1a\x07\x0a\x02rt\x10\x80\x01", 16}},
};

enum { SAMPLES = sizeof samples / sizeof samples[0] };

static enum mvm_direction direction_of(const struct mvm_message *m)
{
    bool is_request = m->kind <= MVM_MESSAGE_CANCEL ||
                      (m->kind >= MVM_MESSAGE_STREAM_BUILD && m->kind <= MVM_MESSAGE_DROP);
    return is_request ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
}

static size_t encode(const struct mvm_message *m, uint8_t *out, size_t room)
{
    struct mvm_proto_encoder e;
    size_t at = 0;
    mvm_proto_encoder_start(&e, m);
    while (!mvm_proto_encoder_idle(&e)) {
        size_t n = mvm_proto_encoder_pull(&e, out + at, room);
        assert_in_range(n, 1, room);
        at += n;
    }
    return at;
}

static void begin(enum mvm_direction direction)
{
    mvm_proto_decoder_init(&decoder, direction, fields, sizeof fields);
}

/* Pushes everything, `step` bytes at a time; returns the last status, and counts all. */
static enum mvm_decoder_status push(const uint8_t *bytes, size_t len, size_t step, int *said)
{
    enum mvm_decoder_status last = MVM_DECODER_PARTIAL;
    *said = 0;
    while (len > 0) {
        size_t used = 0;
        size_t n = step < len ? step : len;
        enum mvm_decoder_status status = mvm_proto_decoder_push(&decoder, bytes, n, &used);
        assert_in_range(used, 1, n);
        if (status != MVM_DECODER_PARTIAL) {
            last = status;
            ++*said;
        }
        bytes += used;
        len -= used;
    }
    return last;
}

static enum mvm_decoder_status push_once(const uint8_t *bytes, size_t len)
{
    int said;
    enum mvm_decoder_status status = push(bytes, len, len, &said);
    assert_int_equal(said, 1);
    return status;
}

static void assert_text(struct mvm_text got, struct mvm_text want)
{
    assert_int_equal(got.len, want.len);
    if (want.len > 0) {
        assert_memory_equal(got.bytes, want.bytes, want.len);
    }
}

static void assert_optional(struct mvm_text got, struct mvm_text want)
{
    assert_int_equal(got.bytes != NULL, want.bytes != NULL);
    assert_text(got, want);
}

static bool is_bulk(enum mvm_kind kind)
{
    return kind == MVM_MESSAGE_SOURCE || kind == MVM_MESSAGE_GET || kind == MVM_MESSAGE_WANT ||
           kind == MVM_MESSAGE_ARTIFACT;
}

static void assert_same_list(struct mvm_text got, struct mvm_text want)
{
    struct mvm_artifact_item a, b;
    bool more;
    do {
        more = mvm_proto_next_artifact(&want, &b);
        assert_int_equal(mvm_proto_next_artifact(&got, &a), more);
        assert_text(a.name, b.name);
        assert_true(a.size == b.size);
    } while (more);
}

static void assert_message(const struct mvm_message *got, const struct mvm_message *want)
{
    assert_int_equal(got->kind, want->kind);
    if (want->kind == MVM_MESSAGE_BUILD || want->kind == MVM_MESSAGE_STREAM_BUILD) {
        assert_int_equal(got->build.has_source, want->build.has_source);
        assert_true(got->build.source_size == want->build.source_size);
        assert_text(got->build.flake_ref, want->build.flake_ref);
        assert_text(got->build.attr, want->build.attr);
        assert_int_equal(got->build.has_timeout, want->build.has_timeout);
        assert_true(got->build.timeout_secs == want->build.timeout_secs);
        assert_int_equal(got->build.keep, want->build.keep);
    } else if (want->kind == MVM_MESSAGE_WELCOME || want->kind == MVM_MESSAGE_HELLO) {
        assert_optional(got->hello.nonce, want->hello.nonce);
        assert_text(got->hello.agent, want->hello.agent);
        assert_text(got->hello.boot, want->hello.boot);
        assert_text(got->hello.features, want->hello.features);
    } else if (want->kind == MVM_MESSAGE_ERR) {
        assert_optional(got->refusal.refused, want->refusal.refused);
        assert_optional(got->refusal.category, want->refusal.category);
    } else if (want->kind == MVM_MESSAGE_LOG) {
        assert_int_equal(got->beat, want->beat);
    } else if (want->kind == MVM_MESSAGE_OK) {
        assert_same_list(got->artifacts, want->artifacts);
    } else if (is_bulk(want->kind)) {
        assert_text(got->bulk.name, want->bulk.name);
        assert_true(got->bulk.offset == want->bulk.offset);
        assert_true(got->bulk.length == want->bulk.length);
        assert_int_equal(got->bulk.last, want->bulk.last);
    }
    assert_text(got->text, want->text);
    assert_optional(got->id, want->id);
}

static void assert_goes_on(void)
{
    static const uint8_t ping[] = {0, 0, 0, 0, 2, 0x12, 0};
    static const uint8_t pong[] = {0, 0, 0, 0, 2, 0x22, 0};
    bool requests = decoder.direction == MVM_DIRECTION_REQUESTS;
    assert_int_equal(push_once(requests ? ping : pong, sizeof ping), MVM_DECODER_MESSAGE);
    assert_int_equal(decoder.message.kind, requests ? MVM_MESSAGE_PING : MVM_MESSAGE_PONG);
}

/* A frame with these message bytes. */
static size_t frame(const uint8_t *message, size_t len, uint8_t flag)
{
    const uint8_t prefix[] = {flag, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                              (uint8_t)len};
    memcpy(wire, prefix, sizeof prefix);
    if (len > 0) {
        memcpy(wire + sizeof prefix, message, len);
    }
    return sizeof prefix + len;
}

/* ---- valid frames ---- */

static void every_message_survives_any_cut_and_any_room(void **state)
{
    static uint8_t whole[256];
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len = encode(&samples[i], whole, sizeof whole);
        for (size_t room = 1; room <= len; room++) {
            int said;
            assert_int_equal(encode(&samples[i], wire, room), len);
            assert_memory_equal(wire, whole, len);
            begin(direction_of(&samples[i]));
            assert_int_equal(push(wire, len, room, &said), MVM_DECODER_MESSAGE);
            assert_int_equal(said, 1);
            assert_message(&decoder.message, &samples[i]);
        }
    }
}

static void text_that_is_not_utf8_is_replaced_except_in_log_lines(void **state)
{
    (void)state;
    struct mvm_message m = {.kind = MVM_MESSAGE_ERR, .text = {"a\xffz\xe2\x82", 5}};
    begin(MVM_DIRECTION_RESPONSES);
    assert_int_equal(push_once(wire, encode(&m, wire, 3)), MVM_DECODER_MESSAGE);
    assert_text(decoder.message.text, text("a\xef\xbf\xbdz\xef\xbf\xbd"));
}

static void unknown_fields_are_skipped(void **state)
{
    /* varint 15 · fixed64 14 · bytes 13 · fixed32 12, around and inside a Build */
    static const uint8_t message[] = {0x78, 0x05, 0x71, 1,    2, 3,    4, 5,    6, 7,
                                      8,    0x0a, 12,   0x6a, 2, 0xff, 0, 0x0a, 1, '.',
                                      0x12, 1,    'x',  0x78, 1, 0x65, 1, 2,    3, 4};
    (void)state;
    begin(MVM_DIRECTION_REQUESTS);
    assert_int_equal(push_once(wire, frame(message, sizeof message, 0)), MVM_DECODER_MESSAGE);
    assert_text(decoder.message.build.flake_ref, text("."));
    assert_text(decoder.message.build.attr, text("x"));
}

static void of_a_field_that_stands_twice_the_last_value_counts(void **state)
{
    static const uint8_t message[] = {0x0a, 6, 0x12, 1, 'x', 0x0a, 1, 'a',
                                      0x0a, 5, 0x0a, 1, 'b', 0x18, 9};
    (void)state;
    begin(MVM_DIRECTION_REQUESTS);
    assert_int_equal(push_once(wire, frame(message, sizeof message, 0)), MVM_DECODER_MESSAGE);
    assert_text(decoder.message.build.flake_ref, text("b"));
    assert_text(decoder.message.build.attr, text("x"));
    assert_true(decoder.message.build.has_timeout);
    assert_int_equal(decoder.message.build.timeout_secs, 9);
}

static void of_two_kinds_the_last_one_counts_alone(void **state)
{
    static const uint8_t message[] = {0x0a, 3, 0x0a, 1, 'a', 0x12, 0};
    (void)state;
    begin(MVM_DIRECTION_RESPONSES); /* Ok, then Err without a text */
    assert_int_equal(push_once(wire, frame(message, sizeof message, 0)), MVM_DECODER_MESSAGE);
    assert_int_equal(decoder.message.kind, MVM_MESSAGE_ERR);
    assert_int_equal(decoder.message.text.len, 0);
}

/* 0x7b and 0x7c begin and end a group of number 15, 0x73 and 0x74 one of 14, 0x0b and 0x0c one that
 * has a text's number. */
static void groups_are_skipped(void **state)
{
    static const struct {
        uint8_t message[24];
        size_t len;
    } cases[] = {
        {{0x7b, 0x7c, 0x0a, 6, 0x0a, 1, 'f', 0x12, 1, 'a'}, 10},
        {{0x0a, 6, 0x0a, 1, 'f', 0x12, 1, 'a', 0x7b, 0x0a, 1, 'x', 0x7c}, 13},
        {{0x0a, 12, 0x7b, 0x73, 0x08, 1, 0x74, 0x7c, 0x0a, 1, 'f', 0x12, 1, 'a'}, 14},
        {{0x0a, 8, 0x0a, 1, 'f', 0x7b, 0x7c, 0x12, 1, 'a'}, 10},
        {{0x0a, 10, 0x0a, 1, 'f', 0x0b, 0x0c, 0x12, 1, 'a', 0x7b, 0x7c}, 12},
        {{0x0b, 0x0c, 0x0a, 3, 0x0a, 1, 'f', 0x0a, 5, 0x7b, 0x7c, 0x12, 1, 'a'}, 14},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(MVM_DIRECTION_REQUESTS);
        assert_int_equal(push_once(wire, frame(cases[i].message, cases[i].len, 0)),
                         MVM_DECODER_MESSAGE);
        assert_int_equal(decoder.message.kind, MVM_MESSAGE_BUILD);
        assert_text(decoder.message.build.flake_ref, text("f"));
        assert_text(decoder.message.build.attr, text("a"));
    }
}

static void groups_nest_up_to_the_limit(void **state)
{
    static uint8_t message[2 + 2 * (MVM_PROTO_GROUPS_MAX + 1)];
    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        size_t depth = MVM_PROTO_GROUPS_MAX + over;
        message[0] = 0x12;
        message[1] = 0;
        memset(message + 2, 0x7b, depth);
        memset(message + 2 + depth, 0x7c, depth);
        begin(MVM_DIRECTION_REQUESTS);
        assert_int_equal(push_once(wire, frame(message, 2 + 2 * depth, 0)),
                         over == 0 ? MVM_DECODER_MESSAGE : MVM_DECODER_BAD_FRAME);
        assert_goes_on();
    }
}

/* ---- invalid frames ---- */

struct bad {
    const char *name;
    uint8_t message[16];
    size_t len;
    uint8_t flag;
    enum mvm_decoder_error error;
};

static const struct bad bad_frames[] = {
    {"an empty message", {0}, 0, 0, MVM_DECODER_UNKNOWN_VARIANT},
    {"only an unknown field", {0x78, 1}, 2, 0, MVM_DECODER_UNKNOWN_VARIANT},
    {"compressed", {0x12, 0}, 2, 1, MVM_DECODER_COMPRESSED},
    {"compressed and empty", {0}, 0, 1, MVM_DECODER_COMPRESSED},
    {"a text as a varint", {0x0a, 2, 0x08, 1}, 4, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a text as a fixed32", {0x0a, 5, 0x0d, 1, 2, 3, 4}, 7, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a time-out as a text", {0x0a, 3, 0x1a, 1, 'x'}, 5, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a Build as a varint", {0x08, 1}, 2, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a varint of eleven bytes",
     {0x0a, 12, 0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
     14,
     0,
     MVM_DECODER_NOT_PROTOBUF},
    {"a group alone", {0x0b, 0x0c}, 2, 0, MVM_DECODER_UNKNOWN_VARIANT},
    {"a group without its end", {0x12, 0, 0x7b}, 3, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a group's end without its start", {0x12, 0, 0x7c}, 3, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a group with another's end", {0x12, 0, 0x7b, 0x74}, 4, 0, MVM_DECODER_NOT_PROTOBUF},
    {"the same in a Build", {0x0a, 2, 0x7b, 0x74}, 4, 0, MVM_DECODER_NOT_PROTOBUF},
    {"groups crossed", {0x12, 0, 0x7b, 0x73, 0x7c, 0x74}, 6, 0, MVM_DECODER_NOT_PROTOBUF},
    {"field number 0 in a group", {0x12, 0, 0x7b, 0x02, 0, 0x7c}, 6, 0, MVM_DECODER_NOT_PROTOBUF},
    {"field number 0", {0x02, 0}, 2, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a length past the end", {0x0a, 9, 0x0a, 1, 'x'}, 5, 0, MVM_DECODER_NOT_PROTOBUF},
    {"a text past its message", {0x0a, 3, 0x0a, 9, 'x'}, 5, 0, MVM_DECODER_NOT_PROTOBUF},
    {"flake_ref that is not UTF-8", {0x0a, 3, 0x0a, 1, 0xff}, 5, 0, MVM_DECODER_NOT_UTF8},
    {"attr that is not UTF-8", {0x0a, 3, 0x12, 1, 0xc3}, 5, 0, MVM_DECODER_NOT_UTF8},
};

static void a_bad_frame_is_refused_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_frames / sizeof bad_frames[0]; i++) {
        const struct bad *b = &bad_frames[i];
        size_t len = frame(b->message, b->len, b->flag);
        for (size_t step = 1; step <= len; step++) {
            int said;
            begin(MVM_DIRECTION_REQUESTS);
            enum mvm_decoder_status status = push(wire, len, step, &said);
            if (status != MVM_DECODER_BAD_FRAME || said != 1 || decoder.error != b->error) {
                fail_msg("%s: said %d, status %d, error %d", b->name, said, (int)status,
                         (int)decoder.error);
            }
            assert_goes_on();
        }
    }
}

static void responses_with_strings_that_are_not_utf8_are_refused(void **state)
{
    static const uint8_t ok[] = {0x0a, 3, 0x0a, 1, 0xff};
    static const uint8_t err[] = {0x12, 3, 0x0a, 1, 0xff};
    (void)state;
    begin(MVM_DIRECTION_RESPONSES);
    assert_int_equal(push_once(wire, frame(ok, sizeof ok, 0)), MVM_DECODER_BAD_FRAME);
    assert_string_equal(decoder.field, "out_path");
    assert_int_equal(push_once(wire, frame(err, sizeof err, 0)), MVM_DECODER_BAD_FRAME);
    assert_string_equal(decoder.field, "message");
    assert_goes_on();
}

static void a_frame_cut_short_by_the_end_is_refused(void **state)
{
    (void)state;
    size_t len = encode(&samples[0], wire, sizeof wire);
    for (size_t cut = 0; cut < len; cut++) {
        int said;
        begin(MVM_DIRECTION_REQUESTS);
        push(wire, cut, len, &said);
        assert_int_equal(said, 0);
        enum mvm_decoder_status status = mvm_proto_decoder_finish(&decoder);
        assert_int_equal(status, cut == 0 ? MVM_DECODER_PARTIAL : MVM_DECODER_BAD_FRAME);
        if (cut > 0) {
            assert_int_equal(decoder.error, MVM_DECODER_CUT_SHORT);
            assert_int_equal(decoder.error_at, cut);
        }
        assert_goes_on();
    }
}

static void a_flipped_bit_in_a_message_hurts_no_later_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len = encode(&samples[i], wire, sizeof wire);
        for (size_t bit = 8 * MVM_PROTO_PREFIX; bit < 8 * len; bit++) {
            int said;
            wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
            begin(direction_of(&samples[i]));
            push(wire, len, len, &said);
            assert_int_equal(said, 1);
            assert_goes_on();
            wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* Bytes that contain a frame and a line: nothing of them is decoded. */
static void assert_broken(void)
{
    static const uint8_t bytes[] = {0, 0, 0, 0, 2, 0x12, 0, '"', 'P', '\n', 0x0a, 0, 0, 0};
    int said;
    assert_true(mvm_proto_decoder_broken(&decoder));
    for (size_t step = 1; step <= sizeof bytes; step++) {
        push(bytes, sizeof bytes, step, &said);
        assert_int_equal(said, 0);
    }
    assert_int_equal(mvm_proto_decoder_finish(&decoder), MVM_DECODER_PARTIAL);
    assert_true(mvm_proto_decoder_broken(&decoder));
}

static void lost_framing_is_one_error_and_the_end_of_the_stream(void **state)
{
    (void)state;
    for (unsigned byte = 2; byte <= UINT8_MAX; byte++) {
        const uint8_t bytes[] = {0,    0, 0, 0, 2, 0x12, 0,    (uint8_t)byte,
                                 '\n', 0, 0, 0, 0, 2,    0x12, 0};
        int said;
        begin(MVM_DIRECTION_REQUESTS);
        assert_int_equal(push(bytes, 7, 1, &said), MVM_DECODER_MESSAGE);
        assert_false(mvm_proto_decoder_broken(&decoder));
        assert_int_equal(push(bytes + 7, sizeof bytes - 7, 1 + byte % 9, &said),
                         MVM_DECODER_BROKEN);
        assert_int_equal(said, 1);
        assert_int_equal(decoder.error, MVM_DECODER_NO_PREFIX);
        assert_broken();
    }
}

/* ---- limits ---- */

static size_t build_of(size_t flake_ref_len, size_t attr_len)
{
    static char ref[MVM_FLAKE_REF_MAX + 1];
    static char attr[MVM_ATTR_MAX + 1];
    memset(ref, 'r', sizeof ref);
    memset(attr, 'a', sizeof attr);
    struct mvm_message m = {.kind = MVM_MESSAGE_BUILD,
                            .build = {.flake_ref = {ref, flake_ref_len},
                                      .attr = {attr, attr_len},
                                      .has_timeout = true,
                                      .timeout_secs = UINT64_MAX}};
    return encode(&m, wire, sizeof wire);
}

static void fields_at_their_limits_are_taken_and_one_more_byte_is_not(void **state)
{
    (void)state;
    begin(MVM_DIRECTION_REQUESTS);
    assert_int_equal(push_once(wire, build_of(MVM_FLAKE_REF_MAX, MVM_ATTR_MAX)),
                     MVM_DECODER_MESSAGE);
    assert_int_equal(push_once(wire, build_of(MVM_FLAKE_REF_MAX + 1, 1)), MVM_DECODER_BAD_FRAME);
    assert_int_equal(decoder.error, MVM_DECODER_FIELD_TOO_LONG);
    assert_string_equal(decoder.field, "flake_ref");
    assert_int_equal(push_once(wire, build_of(1, MVM_ATTR_MAX + 1)), MVM_DECODER_BAD_FRAME);
    assert_int_equal(decoder.error, MVM_DECODER_FIELD_TOO_LONG);
    assert_string_equal(decoder.field, "attr");
    assert_goes_on();
}

static void a_message_as_long_as_the_buffer_is_taken_and_one_byte_more_is_skipped(void **state)
{
    static uint8_t message[MVM_REQUEST_FIELDS_CAP + 1];
    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        /* a Ping, and an unknown field that fills the rest */
        size_t len = MVM_REQUEST_FIELDS_CAP + over;
        size_t rest = len - 2 - 3;
        memset(message, 0, sizeof message);
        message[0] = 0x12;
        message[2] = 0x6a;
        message[3] = (uint8_t)(0x80 | (rest & 0x7f));
        message[4] = (uint8_t)(rest >> 7);
        begin(MVM_DIRECTION_REQUESTS);
        assert_int_equal(push_once(wire, frame(message, len, 0)),
                         over == 0 ? MVM_DECODER_MESSAGE : MVM_DECODER_BAD_FRAME);
        if (over > 0) {
            assert_int_equal(decoder.error, MVM_DECODER_FRAME_TOO_LONG);
        }
        assert_goes_on();
    }
}

static void a_list_of_artifacts_is_read_as_it_was_written(void **state)
{
    static const char *const names[] = {"vmlinux", "rootfs.ext4", "initrd"};
    uint8_t bytes[3 * MVM_PROTO_ITEM_CAP];
    size_t len = 0;
    struct mvm_artifact_item item;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        item = (struct mvm_artifact_item){text(names[i]), (uint64_t)i << 40};
        size_t n = mvm_proto_add_artifact(bytes + len, sizeof bytes - len, &item);
        assert_in_range(n, 1, MVM_PROTO_ITEM_CAP);
        len += n;
    }
    struct mvm_text list = {(const char *)bytes, len};
    for (size_t i = 0; i < 3; i++) {
        assert_true(mvm_proto_next_artifact(&list, &item));
        assert_true(mvm_text_equal(item.name, names[i]));
        assert_true(item.size == (uint64_t)i << 40);
    }
    assert_false(mvm_proto_next_artifact(&list, &item));
    assert_false(mvm_proto_next_artifact(&list, &item));
}

static void an_item_fits_its_room_or_is_not_written(void **state)
{
    char name[MVM_WORD_MAX + 1];
    uint8_t bytes[MVM_PROTO_ITEM_CAP];
    (void)state;
    memset(name, 'n', sizeof name);
    struct mvm_artifact_item item = {{name, MVM_WORD_MAX}, UINT64_MAX};
    size_t len = mvm_proto_add_artifact(bytes, sizeof bytes, &item);
    assert_in_range(len, MVM_WORD_MAX, sizeof bytes);
    for (size_t cap = 0; cap < len; cap++) {
        assert_int_equal(mvm_proto_add_artifact(bytes, cap, &item), 0);
    }
    item.name.len++;
    assert_int_equal(mvm_proto_add_artifact(bytes, sizeof bytes, &item), 0);
}

static void a_broken_list_ends(void **state)
{
    static const char *const lists[] = {"\x1a",
                                        "\x1a\x7f",
                                        "\x1a\x02\x0a\x05",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "\x1a\x02\x12\x01",
                                        "\x1c"};
    struct mvm_artifact_item item;
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct mvm_text list = text(lists[i]);
        while (mvm_proto_next_artifact(&list, &item)) {
        }
        assert_int_equal(list.len, 0);
    }
}

static void a_length_over_any_frame_s_is_lost_framing(void **state)
{
    static const struct {
        enum mvm_direction direction;
        uint32_t max;
    } sides[] = {{MVM_DIRECTION_REQUESTS, MVM_PROTO_REQUEST_MAX},
                 {MVM_DIRECTION_RESPONSES, MVM_RESPONSE_FRAME_MAX}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const uint32_t max = sides[i].max;
        const uint32_t lengths[] = {max + 1, 0x80000000u, UINT32_MAX};
        for (size_t n = 0; n < 3; n++) {
            for (uint8_t flag = 0; flag <= 1; flag++) {
                begin(sides[i].direction);
                frame(NULL, 0, flag);
                for (unsigned at = 1; at < 5; at++) {
                    wire[at] = (uint8_t)(lengths[n] >> 8 * (4 - at));
                }
                assert_int_equal(push_once(wire, 5), MVM_DECODER_BROKEN);
                assert_int_equal(decoder.error, MVM_DECODER_FRAME_TOO_LONG);
                assert_broken();
            }
        }
    }
}

static void a_frame_over_the_buffer_is_skipped_without_it(void **state)
{
    (void)state;
    const uint8_t prefix[] = {0, 0, (uint8_t)(MVM_PROTO_REQUEST_MAX >> 16),
                              (uint8_t)(MVM_PROTO_REQUEST_MAX >> 8),
                              (uint8_t)MVM_PROTO_REQUEST_MAX};
    int said;
    begin(MVM_DIRECTION_REQUESTS);
    assert_int_equal(push_once(prefix, 5), MVM_DECODER_BAD_FRAME);
    assert_int_equal(decoder.error, MVM_DECODER_FRAME_TOO_LONG);
    push(wire, MVM_PROTO_REQUEST_MAX, MVM_PROTO_REQUEST_MAX, &said);
    assert_int_equal(said, 0);
    assert_goes_on();
}

static void short_texts_at_their_limits_are_taken_and_one_more_byte_is_not(void **state)
{
    static char bytes[MVM_FEATURES_MAX + 1];
    memset(bytes, 'x', sizeof bytes);
    struct {
        const char *name;
        struct mvm_message m;
        struct mvm_text *text;
        size_t max;
    } cases[] = {
        {"id", {.kind = MVM_MESSAGE_BUILD}, &cases[0].m.id, MVM_ID_MAX},
        {"id", {.kind = MVM_MESSAGE_JOIN}, &cases[1].m.id, MVM_ID_MAX},
        {"id", {.kind = MVM_MESSAGE_CANCEL}, &cases[2].m.id, MVM_ID_MAX},
        {"nonce", {.kind = MVM_MESSAGE_HELLO}, &cases[3].m.hello.nonce, MVM_NONCE_MAX},
        {"id", {.kind = MVM_MESSAGE_OK}, &cases[4].m.id, MVM_ID_MAX},
        {"id", {.kind = MVM_MESSAGE_ERR}, &cases[5].m.id, MVM_ID_MAX},
        {"refused", {.kind = MVM_MESSAGE_ERR}, &cases[6].m.refusal.refused, MVM_ID_MAX},
        {"category", {.kind = MVM_MESSAGE_ERR}, &cases[7].m.refusal.category, MVM_WORD_MAX},
        {"id", {.kind = MVM_MESSAGE_LOG}, &cases[8].m.id, MVM_ID_MAX},
        {"nonce", {.kind = MVM_MESSAGE_WELCOME}, &cases[9].m.hello.nonce, MVM_NONCE_MAX},
        {"agent", {.kind = MVM_MESSAGE_WELCOME}, &cases[10].m.hello.agent, MVM_AGENT_MAX},
        {"boot", {.kind = MVM_MESSAGE_WELCOME}, &cases[11].m.hello.boot, MVM_BOOT_MAX},
        {"features", {.kind = MVM_MESSAGE_WELCOME}, &cases[12].m.hello.features, MVM_FEATURES_MAX},
        {"id", {.kind = MVM_MESSAGE_CANCELLED}, &cases[13].m.id, MVM_ID_MAX},
        {"was", {.kind = MVM_MESSAGE_CANCELLED}, &cases[14].m.text, MVM_WORD_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t over = 0; over <= 1; over++) {
            *cases[i].text = (struct mvm_text){bytes, cases[i].max + over};
            begin(direction_of(&cases[i].m));
            assert_int_equal(push_once(wire, encode(&cases[i].m, wire, sizeof wire)),
                             over == 0 ? MVM_DECODER_MESSAGE : MVM_DECODER_BAD_FRAME);
            if (over > 0) {
                assert_int_equal(decoder.error, MVM_DECODER_FIELD_TOO_LONG);
                assert_string_equal(decoder.field, cases[i].name);
            }
        }
    }
}

static void no_bytes_may_be_no_pointer(void **state)
{
    size_t used = 1;
    (void)state;
    begin(MVM_DIRECTION_REQUESTS);
    assert_int_equal(mvm_proto_decoder_push(&decoder, NULL, 0, &used), MVM_DECODER_PARTIAL);
    assert_int_equal(used, 0);
    for (unsigned kind = MVM_MESSAGE_BUILD; kind <= MVM_MESSAGE_ARTIFACT; kind++) {
        struct mvm_proto_encoder e;
        const struct mvm_message m = {.kind = (enum mvm_kind)kind};
        mvm_proto_encoder_start(&e, &m);
        assert_int_equal(mvm_proto_encoder_pull(&e, NULL, 0), 0);
        size_t len = mvm_proto_encoder_pull(&e, wire, sizeof wire);
        assert_int_equal(len, MVM_PROTO_PREFIX + 2);
        assert_true(mvm_proto_encoder_idle(&e));
        begin(direction_of(&m));
        assert_int_equal(push_once(wire, len), MVM_DECODER_MESSAGE);
        assert_int_equal(decoder.message.kind, kind);
    }
}

/* Every field of every kind at its limit: the encoder's buffers suffice. */
static void the_largest_frame_of_each_kind_fits_the_encoder(void **state)
{
    static char bytes[MVM_BULK_DATA_MAX];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (unsigned kind = MVM_MESSAGE_BUILD; kind <= MVM_MESSAGE_ARTIFACT; kind++) {
        const struct mvm_variant *variant = mvm_proto_variant(kind);
        struct mvm_message m = {.kind = (enum mvm_kind)kind};
        struct mvm_proto_encoder e;
        for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
            const struct mvm_field *field = mvm_proto_field(at);
            if (mvm_is_text(field)) {
                size_t len = field->max < sizeof bytes ? field->max : sizeof bytes;
                *mvm_text_field(&m, field) = (struct mvm_text){bytes, len};
            } else if (field->type == MVM_TYPE_FLAG) {
                *mvm_flag_field(&m, field) = MVM_FLAG_TRUE;
            } else {
                *mvm_number_field(&m, field) = UINT64_MAX;
                m.build.has_timeout |= field->type == MVM_TYPE_TIMEOUT;
                m.build.has_source |= field->type == MVM_TYPE_SIZE;
            }
        }
        mvm_proto_encoder_start(&e, &m);
        /* a length may need five bytes, and has three at most */
        assert_in_range(e.skeleton_len + 2u * e.gaps_len, MVM_PROTO_HEAD_CAP, sizeof e.skeleton);
        assert_in_range(e.gaps_len, 0, MVM_PROTO_TEXTS_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bytes_may_be_no_pointer),
        cmocka_unit_test(the_largest_frame_of_each_kind_fits_the_encoder),
        cmocka_unit_test(every_message_survives_any_cut_and_any_room),
        cmocka_unit_test(text_that_is_not_utf8_is_replaced_except_in_log_lines),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(of_a_field_that_stands_twice_the_last_value_counts),
        cmocka_unit_test(of_two_kinds_the_last_one_counts_alone),
        cmocka_unit_test(groups_are_skipped),
        cmocka_unit_test(groups_nest_up_to_the_limit),
        cmocka_unit_test(a_bad_frame_is_refused_alone),
        cmocka_unit_test(responses_with_strings_that_are_not_utf8_are_refused),
        cmocka_unit_test(a_frame_cut_short_by_the_end_is_refused),
        cmocka_unit_test(a_flipped_bit_in_a_message_hurts_no_later_frame),
        cmocka_unit_test(lost_framing_is_one_error_and_the_end_of_the_stream),
        cmocka_unit_test(fields_at_their_limits_are_taken_and_one_more_byte_is_not),
        cmocka_unit_test(a_message_as_long_as_the_buffer_is_taken_and_one_byte_more_is_skipped),
        cmocka_unit_test(a_list_of_artifacts_is_read_as_it_was_written),
        cmocka_unit_test(an_item_fits_its_room_or_is_not_written),
        cmocka_unit_test(a_broken_list_ends),
        cmocka_unit_test(a_length_over_any_frame_s_is_lost_framing),
        cmocka_unit_test(a_frame_over_the_buffer_is_skipped_without_it),
        cmocka_unit_test(short_texts_at_their_limits_are_taken_and_one_more_byte_is_not),
    };
    return cmocka_run_group_tests_name("the protobuf wire", tests, NULL, NULL);
}
