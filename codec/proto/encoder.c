/*
 * Messages → length-prefixed protobuf. nanopb writes the frame once, into a buffer of the
 * encoder's, but leaves out the bytes of texts and notes where they go. What is written is that
 * buffer with the texts in between, from the caller's memory: into any room, and each byte once.
 */
#include "mvm_proto.h"
#include "mvm_run.h"
#include "mvm_utf8.h"
#include "tables.h"
#include <pb_encode.h>
#include <string.h>

/* ---- texts ---------------------------------------------------------------------------------- */

static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */

/* How many bytes at the front of a text are well-formed characters. */
static size_t sound_len(const uint8_t *bytes, size_t len)
{
    size_t sound = 0;
    while (sound < len) {
        sound += mvm_run_copy(NULL, bytes + sound, len - sound);
        int n = sound < len ? mvm_utf8_next(bytes + sound, len - sound) : 0;
        if (n <= 0) {
            break;
        }
        sound += (size_t)n;
    }
    return sound;
}

/* The length of the ill-formed maximal subpart at the front of a text. */
static size_t unsound_len(const uint8_t *bytes, size_t len)
{
    int n = mvm_utf8_next(bytes, len);
    return n < 0 ? (size_t)-n : len;
}

/* Bytes of a string as encoded. Peers refuse a message with a string that is not UTF-8, so each
 * ill-formed maximal subpart is replaced. */
static size_t string_len(const struct mvm_text *text)
{
    const uint8_t *bytes = (const uint8_t *)text->bytes;
    size_t at = 0, total = 0;
    while (at < text->len) {
        size_t sound = sound_len(bytes + at, text->len - at);
        at += sound;
        total += sound;
        if (at < text->len) {
            at += unsound_len(bytes + at, text->len - at);
            total += sizeof replacement;
        }
    }
    return total;
}

/* ---- the frame without its texts ------------------------------------------------------------ */

/* nanopb's output: at most MVM_PROTO_SKELETON_CAP bytes. */
static bool write_skeleton(pb_ostream_t *stream, const pb_byte_t *bytes, size_t len)
{
    struct mvm_proto_encoder *e = stream->state;
    memcpy(e->skeleton + e->skeleton_len, bytes, len);
    e->skeleton_len = (uint8_t)(e->skeleton_len + len);
    return true;
}

static bool leave_gap(pb_ostream_t *stream, struct mvm_proto_gap *gap)
{
    const struct mvm_proto_encoder *e = stream->state;
    gap->at = e->skeleton_len;
    stream->bytes_written += gap->len;
    return true;
}

/* A text's tag and length, and a gap for its bytes. */
static bool write_text(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    struct mvm_proto_gap *gap = *arg;
    return pb_encode_tag_for_field(stream, field) && pb_encode_varint(stream, gap->len) &&
           leave_gap(stream, gap);
}

/* The list of an Ok is one gap: its items have tags and lengths of their own. */
static bool write_artifacts(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    (void)field;
    return leave_gap(stream, *arg);
}

static pb_callback_t add_gap(struct mvm_proto_encoder *e, unsigned field, size_t len,
                             bool (*write)(pb_ostream_t *, const pb_field_t *, void *const *))
{
    struct mvm_proto_gap *gap = &e->gaps[e->gaps_len++];
    *gap = (struct mvm_proto_gap){.field = (uint8_t)field, .len = (uint32_t)len};
    return (pb_callback_t){.funcs.encode = write, .arg = gap};
}

/* proto3 omits an empty text, unless it is optional and present. */
static pb_callback_t add_text(struct mvm_proto_encoder *e, unsigned at)
{
    const struct mvm_field *field = mvm_proto_field(at);
    const struct mvm_text *text = mvm_text_field(&e->message, field);
    bool there = field->presence == MVM_PRESENCE_OPTIONAL ? text->bytes != NULL : text->len > 0;
    if (!there) {
        return (pb_callback_t){.arg = NULL};
    }
    size_t len = field->type == MVM_TYPE_BYTES ? text->len : string_len(text);
    return add_gap(e, at, len, write_text);
}

static void add_field(struct mvm_proto_encoder *e, union mvm_proto_parts *parts, unsigned at)
{
    const struct mvm_field *field = mvm_proto_field(at);
    struct mvm_message *m = &e->message;
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
        *mvm_proto_text(parts, at) = add_text(e, at);
        break;
    }
}

/* The next item of an Ok's list, from byte `*at` of it on: its length as encoded; 0: the end. A
 * list that was decoded is the whole Ok, of which only the items are sent. */
static size_t next_item(const struct mvm_text *artifacts, size_t *at, uint8_t *bytes)
{
    struct mvm_artifact_item item;
    if (*at == artifacts->len) {
        return 0;
    }
    struct mvm_text list = {artifacts->bytes + *at, artifacts->len - *at};
    bool there = mvm_proto_next_artifact(&list, &item);
    *at = artifacts->len - list.len;
    return there ? mvm_proto_add_artifact(bytes, MVM_PROTO_ITEM_CAP, &item) : 0;
}

static pb_callback_t add_artifacts(struct mvm_proto_encoder *e)
{
    size_t at = 0, total = 0, len = 0;
    do {
        len = next_item(&e->message.artifacts, &at, e->item);
        total += len;
    } while (len > 0);
    return total > 0 ? add_gap(e, MVM_FIELDS, total, write_artifacts)
                     : (pb_callback_t){.arg = NULL};
}

/* The frame's prefix, and the tag and length of its message of `len` bytes, end where that begins.
 */
static void make_head(struct mvm_proto_encoder *e, uint32_t len)
{
    uint8_t head[MVM_PROTO_HEAD_CAP] = {0};
    pb_ostream_t stream =
        pb_ostream_from_buffer(head + MVM_PROTO_PREFIX, sizeof head - MVM_PROTO_PREFIX);
    pb_encode_tag(&stream, PB_WT_STRING, mvm_proto_kinds[e->message.kind].tag);
    pb_encode_varint(&stream, len);
    len += (uint32_t)stream.bytes_written;
    for (unsigned at = 1; at < MVM_PROTO_PREFIX; at++) {
        head[at] = (uint8_t)(len >> 8 * (MVM_PROTO_PREFIX - 1 - at));
    }
    size_t head_len = MVM_PROTO_PREFIX + stream.bytes_written;
    e->skeleton_at = (uint8_t)(MVM_PROTO_HEAD_CAP - head_len);
    memcpy(e->skeleton + e->skeleton_at, head, head_len);
}

/* A request or response is one of its kinds: a tag, a length and that message. nanopb would try
 * each kind in turn, and measure the message first, with the same result. */
static void make_skeleton(struct mvm_proto_encoder *e)
{
    pb_ostream_t stream = {.callback = write_skeleton, .state = e, .max_size = SIZE_MAX};
    const struct mvm_variant *variant = mvm_proto_variant(e->message.kind);
    union mvm_proto_parts parts;
    e->gaps_len = e->gap = 0;
    e->skeleton_len = MVM_PROTO_HEAD_CAP;
    for (unsigned at = variant->first; at < variant->first + variant->count; at++) {
        add_field(e, &parts, at);
    }
    if (e->message.kind == MVM_MESSAGE_OK) {
        parts.ok.artifacts = add_artifacts(e);
    }
    pb_encode(&stream, mvm_proto_kinds[e->message.kind].fields, &parts);
    make_head(e, (uint32_t)stream.bytes_written);
}

/* ---- output --------------------------------------------------------------------------------- */

struct room {
    uint8_t *at;
    size_t left;
};

static size_t put(struct room *room, const void *bytes, size_t len)
{
    size_t n = len < room->left ? len : room->left;
    if (n > 0) { /* neither may be NULL + 0 */
        memcpy(room->at, bytes, n);
        room->at += n;
        room->left -= n;
    }
    return n;
}

static void next_string_part(struct mvm_proto_encoder *e, const struct mvm_text *text)
{
    const uint8_t *bytes = (const uint8_t *)text->bytes + e->text_at;
    size_t left = text->len - e->text_at;
    size_t sound = sound_len(bytes, left);
    e->part = sound > 0 ? bytes : replacement;
    e->part_left = sound > 0 ? sound : sizeof replacement;
    e->text_at += sound > 0 ? sound : unsound_len(bytes, left);
}

/* The next part of what fills a gap: bytes, a valid part of a string or the replacement for what is
 * not, an item. False: there is none. */
static bool next_part(struct mvm_proto_encoder *e, const struct mvm_proto_gap *gap)
{
    if (gap->field == MVM_FIELDS) {
        e->part = e->item;
        e->part_left = next_item(&e->message.artifacts, &e->text_at, e->item);
        return e->part_left > 0;
    }
    const struct mvm_field *field = mvm_proto_field(gap->field);
    const struct mvm_text *text = mvm_text_field(&e->message, field);
    if (e->text_at == text->len) {
        return false;
    }
    if (field->type == MVM_TYPE_TEXT) {
        next_string_part(e, text);
        return true;
    }
    e->part = (const uint8_t *)text->bytes;
    e->part_left = e->text_at = text->len;
    return true;
}

/* True: the gap is filled. */
static bool fill_gap(struct mvm_proto_encoder *e, const struct mvm_proto_gap *gap,
                     struct room *room)
{
    while (e->part_left > 0 || next_part(e, gap)) {
        size_t n = put(room, e->part, e->part_left);
        e->part += n;
        e->part_left -= n;
        if (e->part_left > 0) {
            return false;
        }
    }
    return true;
}

/* True: the frame is written. */
static bool put_frame(struct mvm_proto_encoder *e, struct room *room)
{
    while (e->gap < e->gaps_len) {
        const struct mvm_proto_gap *gap = &e->gaps[e->gap];
        e->skeleton_at = (uint8_t)(e->skeleton_at + put(room, e->skeleton + e->skeleton_at,
                                                        (size_t)(gap->at - e->skeleton_at)));
        if (e->skeleton_at < gap->at || !fill_gap(e, gap, room)) {
            return false;
        }
        e->gap++;
        e->text_at = 0;
    }
    e->skeleton_at = (uint8_t)(e->skeleton_at + put(room, e->skeleton + e->skeleton_at,
                                                    (size_t)(e->skeleton_len - e->skeleton_at)));
    return e->skeleton_at == e->skeleton_len;
}

void mvm_proto_encoder_start(struct mvm_proto_encoder *e, const struct mvm_message *m)
{
    mvm_message_copy(&e->message, m);
    e->text_at = 0;
    e->part_left = 0;
    e->busy = true;
    make_skeleton(e);
}

bool mvm_proto_encoder_idle(const struct mvm_proto_encoder *e)
{
    return !e->busy;
}

size_t mvm_proto_encoder_pull(struct mvm_proto_encoder *e, uint8_t *out, size_t cap)
{
    struct room room = {out, cap};
    e->busy = e->busy && !put_frame(e, &room);
    return cap - room.left;
}
