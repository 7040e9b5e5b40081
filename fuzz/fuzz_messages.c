/*
 * Any message through both wires, with buffers and pieces of any size: the result equals the input.
 * Texts that are not UTF-8 are repaired in the same way by both wires; a Log passes the protobuf
 * wire unchanged.
 */
#include "fuzz.h"
#include "mvm_proto.h"
#include "mvm_utf8.h"
#include "proto_schema.h"
#include <string.h>

enum { FRAME_CAP = 8192, FIELDS_CAP = 4096 };

static uint8_t frame[FRAME_CAP];

static bool is_request(const struct mvm_message *m)
{
    return m->kind <= mvm_last_kind(MVM_DIRECTION_REQUESTS) ||
           (m->kind >= mvm_first_proto_kind(MVM_DIRECTION_REQUESTS) &&
            m->kind <= mvm_last_proto_kind(MVM_DIRECTION_REQUESTS));
}

/* Some kinds exist only on the protobuf wire. */
static bool has_json(const struct mvm_message *m)
{
    return m->kind < (unsigned)MVM_JSON_KINDS;
}

/* As long as the field may be; of an optional one sometimes none. */
static struct mvm_text take_text(const uint8_t **data, size_t *size, const struct mvm_field *field,
                                 struct fuzz_dice *dice)
{
    struct mvm_text text = {"", 0};
    if (field->presence == MVM_PRESENCE_OPTIONAL && fuzz_throw(dice, 2) == 0) {
        return (struct mvm_text){NULL, 0};
    }
    if (*size > 0) {
        size_t max = field->max / 3; /* each byte may become three */
        size_t len = **data;
        len = len < *size - 1 ? len : *size - 1;
        len = len < max ? len : max;
        text = (struct mvm_text){(const char *)*data + 1, len};
        *data += len + 1;
        *size -= len + 1;
    }
    return text;
}

static uint64_t some_number(struct fuzz_dice *dice)
{
    return (uint64_t)fuzz_throw(dice, 1u << 16) << fuzz_throw(dice, 64);
}

static void take_field(struct mvm_message *m, const struct mvm_field *field, const uint8_t **data,
                       size_t *size, struct fuzz_dice *dice)
{
    switch ((enum mvm_type)field->type) {
    case MVM_TYPE_TEXT:
    case MVM_TYPE_BYTES:
        *mvm_text_field(m, field) = take_text(data, size, field, dice);
        break;
    case MVM_TYPE_TIMEOUT:
        m->build.has_timeout = fuzz_throw(dice, 2) == 0;
        m->build.timeout_secs = m->build.has_timeout ? some_number(dice) : 0;
        break;
    case MVM_TYPE_SIZE:
        m->build.has_source = fuzz_throw(dice, 2) == 0;
        m->build.source_size = m->build.has_source ? some_number(dice) : 0;
        break;
    case MVM_TYPE_FLAG:
        *mvm_flag_field(m, field) = (uint8_t)fuzz_throw(dice, MVM_FLAG_TRUE + 1);
        break;
    case MVM_TYPE_NUMBER:
        *mvm_number_field(m, field) = some_number(dice);
        break;
    }
}

static struct mvm_message take_message(const uint8_t **data, size_t *size, struct fuzz_dice *dice)
{
    struct mvm_message m = {.kind = (enum mvm_kind)fuzz_throw(dice, MVM_KINDS)};
    const struct mvm_variant *variant = mvm_proto_variant(m.kind);
    for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
        take_field(&m, mvm_proto_field(at), data, size, dice);
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

/* Unchanged, or repaired if this wire carries only UTF-8; absent stays absent. */
static void check_text(struct mvm_text text, struct mvm_text was, const struct mvm_field *field,
                       bool any_bytes)
{
    FUZZ_CHECK(field->presence != MVM_PRESENCE_OPTIONAL ||
               (text.bytes == NULL) == (was.bytes == NULL));
    if (any_bytes || is_utf8(was)) {
        FUZZ_CHECK(text.len == was.len);
        FUZZ_CHECK(was.len == 0 || memcmp(text.bytes, was.bytes, was.len) == 0);
    } else {
        FUZZ_CHECK(is_utf8(text));
    }
}

static void check_field(struct mvm_message *m, struct mvm_message *was,
                        const struct mvm_field *field, bool protobuf)
{
    switch ((enum mvm_type)field->type) {
    case MVM_TYPE_TEXT:
    case MVM_TYPE_BYTES:
        check_text(*mvm_text_field(m, field), *mvm_text_field(was, field), field,
                   protobuf && field->type == MVM_TYPE_BYTES);
        break;
    case MVM_TYPE_TIMEOUT:
        FUZZ_CHECK(m->build.has_timeout == was->build.has_timeout);
        FUZZ_CHECK(!was->build.has_timeout || m->build.timeout_secs == was->build.timeout_secs);
        break;
    case MVM_TYPE_SIZE:
        FUZZ_CHECK(m->build.has_source == was->build.has_source);
        FUZZ_CHECK(!was->build.has_source || m->build.source_size == was->build.source_size);
        break;
    case MVM_TYPE_FLAG:
        FUZZ_CHECK(*mvm_flag_field(m, field) == *mvm_flag_field(was, field));
        break;
    case MVM_TYPE_NUMBER:
        FUZZ_CHECK(*mvm_number_field(m, field) == *mvm_number_field(was, field));
        break;
    }
}

static void check_message(struct mvm_message *m, struct mvm_message *was, bool protobuf)
{
    const struct mvm_variant *variant = mvm_proto_variant(was->kind);
    FUZZ_CHECK(m->kind == was->kind);
    for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
        check_field(m, was, mvm_proto_field(at), protobuf);
    }
}

/* Both wires repair a text in the same way. */
static void check_mended(struct mvm_message *json, struct mvm_message *protobuf)
{
    const struct mvm_variant *variant = mvm_proto_variant(json->kind);
    for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
        if (mvm_proto_field(at)->type == MVM_TYPE_TEXT) {
            struct mvm_text a = *mvm_text_field(json, mvm_proto_field(at));
            struct mvm_text b = *mvm_text_field(protobuf, mvm_proto_field(at));
            FUZZ_CHECK(a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char fields[2][FIELDS_CAP];
    struct fuzz_dice dice = fuzz_dice_from(&data, &size);
    struct mvm_message was = take_message(&data, &size, &dice);
    enum mvm_direction direction =
        is_request(&was) ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
    struct mvm_message protobuf =
        from_protobuf(to_protobuf(&was, &dice), direction, fields[1], &dice);
    check_message(&protobuf, &was, true);
    if (has_json(&was)) {
        struct mvm_message json = from_json(to_json(&was, &dice), direction, fields[0], &dice);
        check_message(&json, &was, false);
        check_mended(&json, &protobuf);
    }
    return 0;
}
