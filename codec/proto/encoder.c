/*
 * Messages → length-prefixed protobuf. Where the room holds the frame, nanopb writes it there. Else
 * it writes the whole frame each time, into a stream that lets through only the part that the room
 * is for: what was written already is counted, what comes later stops it. So nothing is buffered
 * and any room will do; a frame is some ten writes to such a stream, most of one or two bytes.
 */
#include "mvm_proto.h"
#include "mvm_utf8.h"
#include "tables.h"
#include <pb_encode.h>
#include <string.h>

/* The part [from, to) of a frame, wanted at `out`. */
struct window {
    uint8_t *out;
    size_t at; /* position in the frame */
    size_t from;
    size_t to;
};

static bool write_window(pb_ostream_t *stream, const pb_byte_t *bytes, size_t len)
{
    struct window *w = stream->state;
    size_t begin = w->at > w->from ? w->at : w->from;
    size_t end = w->at + len < w->to ? w->at + len : w->to;
    if (begin < end) {
        memcpy(w->out + (begin - w->from), bytes + (begin - w->at), end - begin);
    }
    w->at += len;
    return w->at < w->to; /* false ends the encoding: the room is full */
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* The next stretch of a text as it goes out: well-formed characters, or one U+FFFD for a maximal
 * subpart of what is no UTF-8. A protobuf string must be sound; peers refuse the message else. */
static struct mvm_text next_stretch(struct mvm_text *left)
{
    size_t sound = 0;
    while (sound < left->len) {
        int n = mvm_utf8_next((const uint8_t *)left->bytes + sound, left->len - sound);
        if (n > 0) {
            sound += (size_t)n;
            continue;
        }
        if (sound > 0) {
            break;
        }
        size_t bad = n < 0 ? (size_t)-n : left->len;
        left->bytes += bad;
        left->len -= bad;
        return (struct mvm_text){"\xef\xbf\xbd", 3};
    }
    struct mvm_text stretch = {left->bytes, sound};
    left->bytes += sound;
    left->len -= sound;
    return stretch;
}

static bool write_string(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct mvm_text *text = *arg;
    struct mvm_text left = *text;
    uint64_t len = 0;
    while (left.len > 0) {
        len += next_stretch(&left).len;
    }
    if (!pb_encode_tag_for_field(stream, field) || !pb_encode_varint(stream, len)) {
        return false;
    }
    left = *text;
    while (left.len > 0) {
        struct mvm_text stretch = next_stretch(&left);
        if (!pb_write(stream, (const pb_byte_t *)stretch.bytes, stretch.len)) {
            return false;
        }
    }
    return true;
}

static bool write_bytes(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct mvm_text *text = *arg;
    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, (const pb_byte_t *)text->bytes, text->len);
}

/* proto3 leaves an empty text out, unless it is optional and there. */
static pb_callback_t writes(const struct mvm_text *text, const struct mvm_field *field)
{
    union {
        const struct mvm_text *text;
        void *arg;
    } borrowed = {text}; /* nanopb's arguments are not const; write_* only read */
    bool there = field->presence == MVM_PRESENCE_OPTIONAL ? text->bytes != NULL : text->len > 0;
    if (!there) {
        return (pb_callback_t){.arg = NULL};
    }
    return (pb_callback_t){
        .funcs.encode = field->type == MVM_TYPE_BYTES ? write_bytes : write_string,
        .arg = borrowed.arg,
    };
}

/* ---- messages ------------------------------------------------------------------------------- */

/* What is not a text. */
static void give_value(union mvm_proto_parts *parts, struct mvm_message *m, unsigned at)
{
    const struct mvm_field *field = &mvm_fields[at];
    switch ((enum mvm_type)field->type) {
    case MVM_TYPE_TIMEOUT:
        *mvm_proto_has(parts, at) = m->build.has_timeout;
        *mvm_proto_number(parts, at) = m->build.timeout_secs;
        break;
    case MVM_TYPE_SIZE:
        *mvm_proto_has(parts, at) = m->build.has_source;
        *mvm_proto_number(parts, at) = m->build.source_size;
        break;
    case MVM_TYPE_FLAG:
        *mvm_proto_has(parts, at) = *mvm_flag_field(m, field) != MVM_FLAG_ABSENT;
        *mvm_proto_flag(parts, at) = *mvm_flag_field(m, field) == MVM_FLAG_TRUE;
        break;
    case MVM_TYPE_NUMBER:
        *mvm_proto_number(parts, at) = *mvm_number_field(m, field);
        break;
    case MVM_TYPE_TEXT:
    case MVM_TYPE_BYTES:
        *mvm_proto_text(parts, at) = writes(mvm_text_field(m, field), field);
        break;
    }
}

/* The list of an Ok, item by item, so that a list that was decoded can be encoded again. */
static bool write_artifacts(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    struct mvm_text list = *(const struct mvm_text *)*arg;
    struct mvm_artifact_item item;
    uint8_t bytes[MVM_PROTO_ITEM_CAP];
    (void)field;
    while (mvm_proto_next_artifact(&list, &item)) {
        size_t len = mvm_proto_add_artifact(bytes, sizeof bytes, &item);
        if (!pb_write(stream, bytes, len)) {
            return false;
        }
    }
    return true;
}

/* A request or response is one of its kinds: a tag, and that message behind its length. nanopb
 * would come to the same by way of each kind that it is not. */
static bool encode(pb_ostream_t *stream, struct mvm_message *m)
{
    const struct mvm_proto_kind *kind = &mvm_proto_kinds[m->kind];
    const struct mvm_variant *variant = &mvm_variants[m->kind];
    union mvm_proto_parts parts;
    for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
        give_value(&parts, m, at);
    }
    if (m->kind == MVM_MESSAGE_OK) {
        parts.ok.artifacts = (pb_callback_t){
            .funcs.encode = m->artifacts.len > 0 ? write_artifacts : NULL, .arg = &m->artifacts};
    }
    return pb_encode_tag(stream, PB_WT_STRING, kind->tag) &&
           pb_encode_submessage(stream, kind->fields, &parts);
}

/* ---- frames --------------------------------------------------------------------------------- */

void mvm_proto_encoder_start(struct mvm_proto_encoder *e, const struct mvm_message *m)
{
    e->message = *m;
    e->busy = true;
    e->done = e->len = 0;
}

bool mvm_proto_encoder_idle(const struct mvm_proto_encoder *e)
{
    return !e->busy;
}

static void put_prefix(pb_byte_t prefix[MVM_PROTO_PREFIX], uint32_t len)
{
    prefix[0] = 0;
    prefix[1] = (pb_byte_t)(len >> 24);
    prefix[2] = (pb_byte_t)(len >> 16);
    prefix[3] = (pb_byte_t)(len >> 8);
    prefix[4] = (pb_byte_t)len;
}

/* The whole frame at once: its length, or 0 where the room does not hold it. */
static size_t pull_whole(struct mvm_message *m, uint8_t *out, size_t cap)
{
    if (cap < MVM_PROTO_PREFIX) {
        return 0;
    }
    pb_ostream_t stream = pb_ostream_from_buffer(out + MVM_PROTO_PREFIX, cap - MVM_PROTO_PREFIX);
    if (!encode(&stream, m)) {
        return 0;
    }
    put_prefix(out, (uint32_t)stream.bytes_written);
    return MVM_PROTO_PREFIX + stream.bytes_written;
}

/* The next part, as long as the room. */
static size_t pull_part(struct mvm_proto_encoder *e, uint8_t *out, size_t cap)
{
    uint32_t left = e->len - e->done;
    uint32_t n = cap < left ? (uint32_t)cap : left;
    struct window w = {out, 0, e->done, (size_t)e->done + n};
    pb_ostream_t stream = {.callback = write_window, .state = &w, .max_size = SIZE_MAX};
    pb_byte_t prefix[MVM_PROTO_PREFIX];
    put_prefix(prefix, e->len - MVM_PROTO_PREFIX);
    if (write_window(&stream, prefix, sizeof prefix)) {
        encode(&stream, &e->message); /* ends early when the room is full */
    }
    e->done += n;
    return n;
}

size_t mvm_proto_encoder_pull(struct mvm_proto_encoder *e, uint8_t *out, size_t cap)
{
    if (!e->busy || cap == 0) {
        return 0;
    }
    size_t n = e->len == 0 ? pull_whole(&e->message, out, cap) : 0;
    if (n > 0) {
        e->busy = false;
        return n;
    }
    if (e->len == 0) {
        pb_ostream_t sizing = PB_OSTREAM_SIZING;
        encode(&sizing, &e->message);
        e->len = MVM_PROTO_PREFIX + (uint32_t)sizing.bytes_written;
    }
    n = pull_part(e, out, cap);
    e->busy = e->done < e->len;
    return n;
}
