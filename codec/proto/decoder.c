/*
 * Length-prefixed protobuf → messages. The prefix is read byte by byte; the message is collected
 * and, when complete, parsed by nanopb, whose callbacks do not copy the texts.
 */
#include "mvm_proto.h"
#include "mvm_run.h"
#include "mvm_utf8.h"
#include "tables.h"
#include <pb_decode.h>
#include <string.h>

const bool mvm_proto_present = true;

enum framing {
    PREFIX,
    MESSAGE,
    SKIP_MESSAGE, /* refused by its prefix: its bytes are skipped */
    BROKEN,       /* framing is lost: all bytes are skipped */
};

void(mvm_proto_decoder_init)(struct mvm_proto_decoder *d, enum mvm_direction direction,
                             char *fields, size_t cap)
{
    memset(d, 0, sizeof *d);
    d->direction = (uint8_t)direction;
    d->frame = (uint8_t *)fields;
    d->cap = cap;
}

static enum mvm_decoder_status refuse(struct mvm_proto_decoder *d, enum mvm_decoder_error error,
                                      const char *field, uint32_t at)
{
    d->error = error;
    d->field = field;
    d->error_at = at;
    return MVM_DECODER_BAD_FRAME;
}

/* ---- a whole message ------------------------------------------------------------------------ */

static bool is_utf8(struct mvm_text text)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    size_t left = text.len;
    while (left > 0) {
        size_t run = mvm_run_copy(NULL, at, left);
        int n = run < left ? mvm_utf8_next(at + run, left - run) : 0;
        if (run < left && n <= 0) {
            return false;
        }
        at += run + (size_t)n;
        left -= run + (size_t)n;
    }
    return true;
}

/* The destination of a text, and the frame it must be in. */
struct slot {
    struct mvm_text *text;
    const uint8_t *frame;
    size_t frame_len;
};

/* A message while it is decoded: the tag of its kind, 0 for none, and what nanopb fills. */
struct decoding {
    struct mvm_proto_decoder *d;
    uint32_t tag;
    union mvm_proto_parts parts;
    struct slot slots[MVM_PROTO_TEXTS_MAX];
};

/* A text stays where it is: nanopb's stream over a buffer has its bytes at `state`. A field of
 * another wire type comes as a copy on nanopb's stack, outside of the frame. */
static bool keep_text(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct slot *slot = *arg;
    const uint8_t *at = stream->state;
    (void)field;
    if ((uintptr_t)at - (uintptr_t)slot->frame > slot->frame_len) {
        return false;
    }
    *slot->text = (struct mvm_text){(const char *)at, stream->bytes_left};
    return pb_read(stream, NULL, stream->bytes_left);
}

static void begin_kind(struct decoding *in, enum mvm_kind kind)
{
    const struct mvm_variant *variant = mvm_proto_variant(kind);
    struct mvm_message *m = &in->d->message;
    struct slot *slot = in->slots;
    *m = (struct mvm_message){.kind = kind};
    memset(&in->parts, 0, sizeof in->parts);
    in->tag = mvm_proto_kinds[kind].tag;
    const struct mvm_field *field = mvm_proto_field(variant->first);
    const unsigned end = variant->first + (unsigned)variant->count;
    for (unsigned at = variant->first; at < end; at++, field++) {
        if (mvm_is_text(field)) {
            *slot = (struct slot){mvm_text_field(m, field), in->d->frame, in->d->len};
            *mvm_proto_text(&in->parts, at) =
                (pb_callback_t){.funcs.decode = keep_text, .arg = slot};
            slot++;
        }
    }
}

/* The kind that a tag encodes. False: none that this side supports. */
static bool find_kind(enum mvm_direction direction, uint32_t tag, enum mvm_kind *kind)
{
    unsigned k = mvm_first_kind(direction);
    while (mvm_proto_kinds[k].tag != tag) {
        if (k == mvm_last_proto_kind(direction)) {
            return false;
        }
        k = k == mvm_last_kind(direction) ? mvm_first_proto_kind(direction) : k + 1;
    }
    *kind = (enum mvm_kind)k;
    return true;
}

/* Wire types that nanopb does not define. */
enum { GROUP_START = 3, GROUP_END = 4 };

/* Past the end of a group whose start has been read. */
static bool skip_group(pb_istream_t *stream, uint32_t number)
{
    uint32_t open[MVM_PROTO_GROUPS_MAX];
    size_t depth = 0;
    open[depth++] = number;
    while (depth > 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(stream, &type, &tag, &eof) || tag == 0) {
            return false;
        }
        if ((int)type == GROUP_START) {
            if (depth == MVM_PROTO_GROUPS_MAX) {
                return false;
            }
            open[depth++] = tag;
        } else if ((int)type == GROUP_END) {
            depth--;
            if (open[depth] != tag) {
                return false;
            }
        } else if (!pb_skip_field(stream, type)) {
            return false;
        }
    }
    return true;
}

static bool skip_field(pb_istream_t *stream, pb_wire_type_t type, uint32_t number)
{
    return (int)type == GROUP_START ? skip_group(stream, number) : pb_skip_field(stream, type);
}

/* The fields of a kind, without groups, which nanopb does not support: it gets the bytes between
 * them. */
static bool decode_between_groups(pb_istream_t *inner, struct decoding *in, enum mvm_kind kind)
{
    pb_istream_t fields = *inner;
    while (inner->bytes_left > 0) {
        size_t left = inner->bytes_left;
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(inner, &type, &tag, &eof) || !skip_field(inner, type, tag)) {
            return false;
        }
        if ((int)type == GROUP_START) {
            fields.bytes_left -= left;
            if (!pb_decode_ex(&fields, mvm_proto_kinds[kind].fields, &in->parts,
                              PB_DECODE_NOINIT)) {
                return false;
            }
            fields = *inner;
        }
    }
    return pb_decode_ex(&fields, mvm_proto_kinds[kind].fields, &in->parts, PB_DECODE_NOINIT);
}

/* Groups are so rare that they are looked for only in what nanopb refuses. */
static bool decode_fields(pb_istream_t *inner, struct decoding *in, enum mvm_kind kind)
{
    pb_istream_t again = *inner;
    if (pb_decode_ex(inner, mvm_proto_kinds[kind].fields, &in->parts, PB_DECODE_NOINIT)) {
        return true;
    }
    *inner = again;
    return decode_between_groups(inner, in, kind);
}

/* A field of a request or response: one of its kinds, to be read by nanopb, or one to skip. Of a
 * kind that occurs twice the parts are merged; of two kinds only the last one counts. */
static bool decode_field(pb_istream_t *stream, struct decoding *in)
{
    pb_wire_type_t type;
    uint32_t tag;
    bool eof;
    enum mvm_kind kind;
    if (!pb_decode_tag(stream, &type, &tag, &eof) || tag == 0) {
        return false;
    }
    if ((int)type == GROUP_START || !find_kind((enum mvm_direction)in->d->direction, tag, &kind)) {
        return skip_field(stream, type, tag);
    }
    pb_istream_t inner;
    if (type != PB_WT_STRING || !pb_make_string_substream(stream, &inner)) {
        return false;
    }
    if (in->tag != tag) {
        begin_kind(in, kind);
    }
    if (kind == MVM_MESSAGE_OK) {
        in->d->message.artifacts = (struct mvm_text){inner.state, inner.bytes_left};
    }
    return decode_fields(&inner, in, kind) && pb_close_string_substream(stream, &inner);
}

static uint8_t flag_of(bool has, bool value)
{
    return has ? value ? MVM_FLAG_TRUE : MVM_FLAG_FALSE : MVM_FLAG_ABSENT;
}

/* What is not a text. */
static void keep_value(struct mvm_message *m, union mvm_proto_parts *parts, unsigned at,
                       const struct mvm_field *field)
{
    switch ((enum mvm_type)field->type) {
    case MVM_TYPE_TIMEOUT:
        m->build.has_timeout = *mvm_proto_has(parts, at);
        m->build.timeout_secs = *mvm_proto_number(parts, at);
        break;
    case MVM_TYPE_SIZE:
        m->build.has_source = *mvm_proto_has(parts, at);
        m->build.source_size = *mvm_proto_number(parts, at);
        break;
    case MVM_TYPE_FLAG:
        *mvm_flag_field(m, field) = flag_of(*mvm_proto_has(parts, at), *mvm_proto_flag(parts, at));
        break;
    case MVM_TYPE_NUMBER:
        *mvm_number_field(m, field) = *mvm_proto_number(parts, at);
        break;
    case MVM_TYPE_TEXT: /* kept where it is, by keep_text */
    case MVM_TYPE_BYTES:
        break;
    }
}

static void keep_values(struct decoding *in)
{
    const struct mvm_variant *variant = mvm_proto_variant(in->d->message.kind);
    const struct mvm_field *field = mvm_proto_field(variant->first);
    const unsigned end = variant->first + (unsigned)variant->count;
    for (unsigned at = variant->first; at < end; at++, field++) {
        keep_value(&in->d->message, &in->parts, at, field);
    }
}

/* A request or response. nanopb's own oneof, with a callback for its kinds (submsg_callback),
 * decodes the same with twice the instructions of a Log, and half as many again of a Build. */
static bool decode_frame(pb_istream_t *stream, struct decoding *in)
{
    while (stream->bytes_left > 0) {
        if (!decode_field(stream, in)) {
            return false;
        }
    }
    keep_values(in);
    return true;
}

/* Whether a text of the message is too long or, unlike a line, must be UTF-8 and is not. */
static enum mvm_decoder_status check_texts(struct mvm_proto_decoder *d)
{
    const struct mvm_variant *variant = mvm_proto_variant(d->message.kind);
    const struct mvm_field *field = mvm_proto_field(variant->first);
    const unsigned end = variant->first + (unsigned)variant->count;
    for (unsigned at = variant->first; at < end; at++, field++) {
        if (!mvm_is_text(field)) {
            continue;
        }
        struct mvm_text text = *mvm_text_field(&d->message, field);
        if (text.len > field->max) {
            return refuse(d, MVM_DECODER_FIELD_TOO_LONG, field->name, MVM_PROTO_PREFIX);
        }
        if (field->type == MVM_TYPE_TEXT && !is_utf8(text)) {
            return refuse(d, MVM_DECODER_NOT_UTF8, field->name, MVM_PROTO_PREFIX);
        }
    }
    return MVM_DECODER_MESSAGE;
}

static enum mvm_decoder_status decode_message(struct mvm_proto_decoder *d)
{
    struct decoding in = {.d = d, .tag = 0};
    pb_istream_t stream = pb_istream_from_buffer(d->frame, d->len);
    d->message = (struct mvm_message){.kind = MVM_MESSAGE_PING};
    if (!decode_frame(&stream, &in)) {
        uint32_t at = d->len - (uint32_t)stream.bytes_left;
        return refuse(d, MVM_DECODER_NOT_PROTOBUF, NULL, MVM_PROTO_PREFIX + at);
    }
    if (in.tag == 0) {
        return refuse(d, MVM_DECODER_UNKNOWN_VARIANT, NULL, MVM_PROTO_PREFIX);
    }
    return check_texts(d);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void begin_frame(struct mvm_proto_decoder *d)
{
    d->state = PREFIX;
    d->have = d->len = 0;
}

static enum mvm_decoder_status lose_framing(struct mvm_proto_decoder *d,
                                            enum mvm_decoder_error error, uint32_t at)
{
    refuse(d, error, NULL, at);
    d->state = BROKEN;
    return MVM_DECODER_BROKEN;
}

/* The prefix is complete. */
static enum mvm_decoder_status read_prefix(struct mvm_proto_decoder *d)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    uint32_t max =
        d->direction == MVM_DIRECTION_REQUESTS ? MVM_PROTO_REQUEST_MAX : MVM_RESPONSE_FRAME_MAX;
    d->state = MESSAGE;
    d->have = 0;
    if (d->len > max) {
        return lose_framing(d, MVM_DECODER_FRAME_TOO_LONG, 1);
    }
    if (d->compressed) {
        status = refuse(d, MVM_DECODER_COMPRESSED, NULL, 0);
    } else if (d->len > d->cap) {
        status = refuse(d, MVM_DECODER_FRAME_TOO_LONG, NULL, 1);
    }
    if (status != MVM_DECODER_PARTIAL) {
        d->state = SKIP_MESSAGE;
    }
    if (d->len == 0) {
        status = status == MVM_DECODER_PARTIAL ? decode_message(d) : status;
        begin_frame(d);
    }
    return status;
}

/* One byte of the prefix: the flag, then the length, most significant first. */
static enum mvm_decoder_status prefix_byte(struct mvm_proto_decoder *d, uint8_t byte)
{
    if (d->have == 0) {
        if (byte > 1) {
            return lose_framing(d, MVM_DECODER_NO_PREFIX, 0);
        }
        d->compressed = byte == 1;
        d->len = 0;
    } else {
        d->len = d->len << 8 | byte;
    }
    return ++d->have == MVM_PROTO_PREFIX ? read_prefix(d) : MVM_DECODER_PARTIAL;
}

/* Bytes of a message's body; `*used` of them are taken. */
static enum mvm_decoder_status body_bytes(struct mvm_proto_decoder *d, const uint8_t *bytes,
                                          size_t len, size_t *used)
{
    uint32_t missing = d->len - d->have;
    uint32_t n = len < missing ? (uint32_t)len : missing;
    if (d->state == MESSAGE) {
        memcpy(d->frame + d->have, bytes, n);
    }
    *used = n;
    d->have += n;
    if (d->have < d->len) {
        return MVM_DECODER_PARTIAL;
    }
    enum mvm_decoder_status status = d->state == MESSAGE ? decode_message(d) : MVM_DECODER_PARTIAL;
    begin_frame(d);
    return status;
}

enum mvm_decoder_status mvm_proto_decoder_push(struct mvm_proto_decoder *d, const uint8_t *bytes,
                                               size_t len, size_t *used)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    size_t at = 0;
    while (at < len && status == MVM_DECODER_PARTIAL) {
        size_t n = 1;
        if (d->state == PREFIX) {
            status = prefix_byte(d, bytes[at]);
        } else if (d->state == BROKEN) {
            n = len - at;
        } else {
            status = body_bytes(d, bytes + at, len - at, &n);
        }
        at += n;
    }
    *used = at;
    return status;
}

bool mvm_proto_decoder_broken(const struct mvm_proto_decoder *d)
{
    return d->state == BROKEN;
}

enum mvm_decoder_status mvm_proto_decoder_finish(struct mvm_proto_decoder *d)
{
    bool inside = d->state == MESSAGE || (d->state == PREFIX && d->have > 0);
    uint32_t at = d->state == MESSAGE ? MVM_PROTO_PREFIX + d->have : d->have;
    if (d->state != BROKEN) {
        begin_frame(d);
    }
    return inside ? refuse(d, MVM_DECODER_CUT_SHORT, NULL, at) : MVM_DECODER_PARTIAL;
}
