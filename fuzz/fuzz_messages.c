/*
 * Any message through both wires, in any room and any cut: it comes out as it went in. Texts that
 * are no UTF-8 come out mended, and both wires mend them alike; a Log crosses the protobuf wire
 * unharmed.
 */
#include "fuzz.h"
#include "mvm_proto.h"
#include "mvm_utf8.h"
#include <string.h>

enum { FRAME_CAP = 8192, FIELDS_CAP = 4096 };

static uint8_t frame[FRAME_CAP];

static bool is_request(const struct mvm_message *m)
{
    return m->kind == MVM_MESSAGE_BUILD || m->kind == MVM_MESSAGE_PING;
}

static struct mvm_text take_text(const uint8_t **data, size_t *size)
{
    struct mvm_text text = {"", 0};
    if (*size > 0) {
        size_t len = **data;
        len = len < *size - 1 ? len : *size - 1;
        text = (struct mvm_text){(const char *)*data + 1, len};
        *data += len + 1;
        *size -= len + 1;
    }
    return text;
}

static struct mvm_message take_message(const uint8_t **data, size_t *size, struct fuzz_dice *dice)
{
    struct mvm_message m = {.kind = (enum mvm_kind)fuzz_throw(dice, MVM_MESSAGE_PONG + 1)};
    if (m.kind == MVM_MESSAGE_BUILD) {
        m.build.flake_ref = take_text(data, size);
        m.build.attr = take_text(data, size);
        m.build.has_timeout = fuzz_throw(dice, 2) == 0;
        if (m.build.has_timeout) {
            m.build.timeout_secs = (uint64_t)fuzz_throw(dice, 1u << 16) << fuzz_throw(dice, 64);
        }
    } else if (m.kind == MVM_MESSAGE_OK || m.kind == MVM_MESSAGE_ERR || m.kind == MVM_MESSAGE_LOG) {
        m.text = take_text(data, size);
    }
    return m;
}

/* ---- the wires ---- */

static size_t to_json(const struct mvm_message *m, struct fuzz_dice *dice)
{
    struct mvm_encoder e;
    size_t len = 0;
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, m);
    while (!mvm_encoder_idle(&e)) {
        size_t n = mvm_encoder_pull(&e, frame + len, fuzz_step(dice));
        FUZZ_CHECK(n > 0);
        len += n;
    }
    return len;
}

static size_t to_protobuf(const struct mvm_message *m, struct fuzz_dice *dice)
{
    struct mvm_proto_encoder e;
    size_t len = 0;
    mvm_proto_encoder_start(&e, m);
    while (!mvm_proto_encoder_idle(&e)) {
        size_t n = mvm_proto_encoder_pull(&e, frame + len, fuzz_step(dice));
        FUZZ_CHECK(n > 0);
        len += n;
    }
    return len;
}

static struct mvm_message from_json(size_t len, enum mvm_direction direction, char *fields,
                                    struct fuzz_dice *dice)
{
    struct mvm_decoder d;
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    size_t used;
    mvm_decoder_init(&d, direction, fields, FIELDS_CAP);
    for (size_t at = 0; at < len; at += used) {
        size_t n = fuzz_step(dice);
        FUZZ_CHECK(status == MVM_DECODER_PARTIAL);
        status = mvm_decoder_push(&d, frame + at, n < len - at ? n : len - at, &used);
    }
    FUZZ_CHECK(status == MVM_DECODER_MESSAGE);
    return d.message;
}

static struct mvm_message from_protobuf(size_t len, enum mvm_direction direction, char *fields,
                                        struct fuzz_dice *dice)
{
    struct mvm_proto_decoder d;
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    size_t used;
    mvm_proto_decoder_init(&d, direction, fields, FIELDS_CAP);
    for (size_t at = 0; at < len; at += used) {
        size_t n = fuzz_step(dice);
        FUZZ_CHECK(status == MVM_DECODER_PARTIAL);
        status = mvm_proto_decoder_push(&d, frame + at, n < len - at ? n : len - at, &used);
    }
    FUZZ_CHECK(status == MVM_DECODER_MESSAGE);
    return d.message;
}

/* ---- the same ---- */

static bool is_utf8(struct mvm_text text)
{
    struct mvm_utf8 state = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (!mvm_utf8_check(&state, (uint8_t)text.bytes[i])) {
            return false;
        }
    }
    return mvm_utf8_whole(&state);
}

static void same_text(struct mvm_text json, struct mvm_text protobuf, struct mvm_text was)
{
    FUZZ_CHECK(json.len == protobuf.len &&
               (json.len == 0 || memcmp(json.bytes, protobuf.bytes, json.len) == 0));
    if (is_utf8(was)) {
        FUZZ_CHECK(json.len == was.len &&
                   (was.len == 0 || memcmp(json.bytes, was.bytes, was.len) == 0));
    } else {
        FUZZ_CHECK(is_utf8(json));
    }
}

static void same_build(const struct mvm_build *json, const struct mvm_build *protobuf,
                       const struct mvm_build *was)
{
    same_text(json->flake_ref, protobuf->flake_ref, was->flake_ref);
    same_text(json->attr, protobuf->attr, was->attr);
    FUZZ_CHECK(json->has_timeout == was->has_timeout && protobuf->has_timeout == was->has_timeout);
    if (was->has_timeout) {
        FUZZ_CHECK(json->timeout_secs == was->timeout_secs);
        FUZZ_CHECK(protobuf->timeout_secs == was->timeout_secs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char fields[2][FIELDS_CAP];
    struct fuzz_dice dice = fuzz_dice_from(&data, &size);
    struct mvm_message was = take_message(&data, &size, &dice);
    enum mvm_direction direction =
        is_request(&was) ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
    struct mvm_message json = from_json(to_json(&was, &dice), direction, fields[0], &dice);
    struct mvm_message protobuf =
        from_protobuf(to_protobuf(&was, &dice), direction, fields[1], &dice);

    FUZZ_CHECK(json.kind == was.kind && protobuf.kind == was.kind);
    if (was.kind == MVM_MESSAGE_BUILD) {
        same_build(&json.build, &protobuf.build, &was.build);
    } else if (was.kind == MVM_MESSAGE_LOG) {
        same_text(json.text, json.text, was.text);
        FUZZ_CHECK(protobuf.text.len == was.text.len);
        FUZZ_CHECK(was.text.len == 0 ||
                   memcmp(protobuf.text.bytes, was.text.bytes, was.text.len) == 0);
    } else if (was.kind == MVM_MESSAGE_OK || was.kind == MVM_MESSAGE_ERR) {
        same_text(json.text, protobuf.text, was.text);
    }
    return 0;
}
