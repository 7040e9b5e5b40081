/*
 * Length-prefixed protobuf → messages. The prefix is read byte by byte; the message is gathered
 * and, when whole, taken apart by nanopb, whose callbacks leave the texts where they are.
 */
#include "mvm.pb.h"
#include "mvm_proto.h"
#include "mvm_utf8.h"
#include <pb_decode.h>
#include <string.h>

const bool mvm_proto_present = true;

enum state {
    PREFIX,
    MESSAGE,
    SKIP_MESSAGE, /* refused by its prefix: its bytes stream by */
    SKIP_LINE,    /* no frame of this wire: the peer seems to speak lines */
};

void mvm_proto_decoder_init(struct mvm_proto_decoder *d, enum mvm_direction direction, char *fields,
                            size_t cap)
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

static bool sound_utf8(struct mvm_text text)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    size_t left = text.len;
    while (left > 0) {
        int n = mvm_utf8_next(at, left);
        if (n <= 0) {
            return false;
        }
        at += n;
        left -= (size_t)n;
    }
    return true;
}

/* Where a text goes, and the message it must lie in. */
struct slot {
    struct mvm_text text;
    const uint8_t *message;
    size_t message_len;
};

/* The message being taken apart: its kind's tag, 0 for none, and what it holds. */
struct parts {
    uint32_t tag;
    struct slot first;
    struct slot second;
    bool has_timeout;
    uint64_t timeout_secs;
};

/* A text stays where it is: nanopb's stream over a buffer has its bytes at `state`. A field of
 * another wire type comes as a copy on nanopb's stack, outside of the message. */
static bool keep_text(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct slot *slot = *arg;
    const uint8_t *at = stream->state;
    (void)field;
    if ((uintptr_t)at - (uintptr_t)slot->message > slot->message_len) {
        return false;
    }
    slot->text = (struct mvm_text){(const char *)at, stream->bytes_left};
    return pb_read(stream, NULL, stream->bytes_left);
}

static pb_callback_t keeps(struct slot *slot)
{
    return (pb_callback_t){.funcs.decode = keep_text, .arg = slot};
}

static bool decode_build(pb_istream_t *stream, struct parts *parts)
{
    mvm_guest_v1_Build build = {
        .flake_ref = keeps(&parts->first),
        .attr = keeps(&parts->second),
        .has_timeout_secs = parts->has_timeout,
        .timeout_secs = parts->timeout_secs,
    };
    bool sound = pb_decode_ex(stream, mvm_guest_v1_Build_fields, &build, PB_DECODE_NOINIT);
    parts->has_timeout = build.has_timeout_secs;
    parts->timeout_secs = build.timeout_secs;
    return sound;
}

/* By kind: who is sent it, and how it stands in a Request or Response. */
static const struct kind {
    uint8_t direction;
    uint8_t tag;
    const pb_msgdesc_t *fields;
} kinds[] = {
    [MVM_MESSAGE_BUILD] = {MVM_DIRECTION_REQUESTS, mvm_guest_v1_Request_build_tag,
                           mvm_guest_v1_Build_fields},
    [MVM_MESSAGE_PING] = {MVM_DIRECTION_REQUESTS, mvm_guest_v1_Request_ping_tag,
                          mvm_guest_v1_Ping_fields},
    [MVM_MESSAGE_OK] = {MVM_DIRECTION_RESPONSES, mvm_guest_v1_Response_ok_tag,
                        mvm_guest_v1_Ok_fields},
    [MVM_MESSAGE_ERR] = {MVM_DIRECTION_RESPONSES, mvm_guest_v1_Response_err_tag,
                         mvm_guest_v1_Err_fields},
    [MVM_MESSAGE_LOG] = {MVM_DIRECTION_RESPONSES, mvm_guest_v1_Response_log_tag,
                         mvm_guest_v1_Log_fields},
    [MVM_MESSAGE_PONG] = {MVM_DIRECTION_RESPONSES, mvm_guest_v1_Response_pong_tag,
                          mvm_guest_v1_Pong_fields},
};

/* Ok, Err and Log hold one text each, Ping and Pong nothing. */
static bool decode_kind(pb_istream_t *stream, enum mvm_kind kind, struct parts *parts)
{
    if (kind == MVM_MESSAGE_BUILD) {
        return decode_build(stream, parts);
    }
    pb_callback_t text = keeps(&parts->first);
    return pb_decode_ex(stream, kinds[kind].fields, &text, PB_DECODE_NOINIT);
}

/* The kind that a tag stands for. False: for none that this end knows. */
static bool find_kind(enum mvm_direction direction, uint32_t tag, enum mvm_kind *kind)
{
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (kinds[k].direction == direction && kinds[k].tag == tag) {
            *kind = (enum mvm_kind)k;
            return true;
        }
    }
    return false;
}

/* A field of a request or response: one of its kinds, to be read by nanopb, or one to skip. Of a
 * kind that stands twice the parts are merged; of two kinds the last one counts alone. */
static bool decode_field(pb_istream_t *stream, enum mvm_direction direction, struct parts *parts,
                         enum mvm_kind *kind)
{
    pb_wire_type_t type;
    uint32_t tag;
    bool eof;
    if (!pb_decode_tag(stream, &type, &tag, &eof) || tag == 0) {
        return false;
    }
    if (!find_kind(direction, tag, kind)) {
        return pb_skip_field(stream, type);
    }
    pb_istream_t inner;
    if (type != PB_WT_STRING || !pb_make_string_substream(stream, &inner)) {
        return false;
    }
    if (parts->tag != tag) {
        parts->tag = tag;
        parts->first.text = parts->second.text = (struct mvm_text){NULL, 0};
        parts->has_timeout = false;
        parts->timeout_secs = 0;
    }
    return decode_kind(&inner, *kind, parts) && pb_close_string_substream(stream, &inner);
}

/* A request or response. nanopb would come to the same by way of each kind that it is not. */
static bool decode(pb_istream_t *stream, enum mvm_direction direction, struct parts *parts,
                   struct mvm_message *m)
{
    enum mvm_kind kind = MVM_MESSAGE_PING;
    while (stream->bytes_left > 0) {
        if (!decode_field(stream, direction, parts, &kind)) {
            return false;
        }
    }
    m->kind = kind;
    if (kind == MVM_MESSAGE_BUILD) {
        m->build = (struct mvm_build){
            .flake_ref = parts->first.text,
            .attr = parts->second.text,
            .has_timeout = parts->has_timeout,
            .timeout_secs = parts->timeout_secs,
        };
    } else {
        m->text = parts->first.text;
    }
    return true;
}

/* Which text of the message breaks a rule: too long, or no UTF-8. A Log's line may be any bytes. */
static enum mvm_decoder_status check_texts(struct mvm_proto_decoder *d)
{
    static const char *const names[] = {
        [MVM_MESSAGE_OK] = "out_path", [MVM_MESSAGE_ERR] = "message", [MVM_MESSAGE_LOG] = "line"};
    const struct mvm_message *m = &d->message;
    if (m->kind == MVM_MESSAGE_BUILD) {
        const struct mvm_build *b = &m->build;
        if (b->flake_ref.len > MVM_FLAKE_REF_MAX) {
            return refuse(d, MVM_DECODER_FIELD_TOO_LONG, "flake_ref", MVM_PROTO_PREFIX);
        }
        if (b->attr.len > MVM_ATTR_MAX) {
            return refuse(d, MVM_DECODER_FIELD_TOO_LONG, "attr", MVM_PROTO_PREFIX);
        }
        if (!sound_utf8(b->flake_ref) || !sound_utf8(b->attr)) {
            const char *name = sound_utf8(b->flake_ref) ? "attr" : "flake_ref";
            return refuse(d, MVM_DECODER_NOT_UTF8, name, MVM_PROTO_PREFIX);
        }
    } else if ((m->kind == MVM_MESSAGE_OK || m->kind == MVM_MESSAGE_ERR) && !sound_utf8(m->text)) {
        return refuse(d, MVM_DECODER_NOT_UTF8, names[m->kind], MVM_PROTO_PREFIX);
    }
    return MVM_DECODER_MESSAGE;
}

static enum mvm_decoder_status take_message(struct mvm_proto_decoder *d)
{
    const struct slot empty = {{NULL, 0}, d->frame, d->len};
    struct parts parts = {0, empty, empty, false, 0};
    pb_istream_t stream = pb_istream_from_buffer(d->frame, d->len);
    if (!decode(&stream, (enum mvm_direction)d->direction, &parts, &d->message)) {
        uint32_t at = d->len - (uint32_t)stream.bytes_left;
        return refuse(d, MVM_DECODER_NOT_PROTOBUF, NULL, MVM_PROTO_PREFIX + at);
    }
    if (parts.tag == 0) {
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

/* The prefix is whole. */
static enum mvm_decoder_status take_prefix(struct mvm_proto_decoder *d)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    d->state = MESSAGE;
    d->have = 0;
    if (d->compressed) {
        status = refuse(d, MVM_DECODER_COMPRESSED, NULL, 0);
    } else if (d->len > d->cap) {
        status = refuse(d, MVM_DECODER_FRAME_TOO_LONG, NULL, 1);
    }
    if (status != MVM_DECODER_PARTIAL) {
        d->state = SKIP_MESSAGE;
    }
    if (d->len == 0) {
        status = status == MVM_DECODER_PARTIAL ? take_message(d) : status;
        begin_frame(d);
    }
    return status;
}

/* One byte of the prefix: the flag, then the length, most significant first. */
static enum mvm_decoder_status prefix_byte(struct mvm_proto_decoder *d, uint8_t byte)
{
    if (d->have == 0) {
        if (byte > 1) {
            d->state = byte == '\n' ? PREFIX : SKIP_LINE;
            return refuse(d, MVM_DECODER_NO_PREFIX, NULL, 0);
        }
        d->compressed = byte == 1;
        d->len = 0;
    } else {
        d->len = d->len << 8 | byte;
    }
    return ++d->have == MVM_PROTO_PREFIX ? take_prefix(d) : MVM_DECODER_PARTIAL;
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
    enum mvm_decoder_status status = d->state == MESSAGE ? take_message(d) : MVM_DECODER_PARTIAL;
    begin_frame(d);
    return status;
}

static void skip_line(struct mvm_proto_decoder *d, const uint8_t *bytes, size_t len, size_t *used)
{
    const uint8_t *newline = memchr(bytes, '\n', len);
    *used = newline != NULL ? (size_t)(newline - bytes) + 1 : len;
    if (newline != NULL) {
        begin_frame(d);
    }
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
        } else if (d->state == SKIP_LINE) {
            skip_line(d, bytes + at, len - at, &n);
        } else {
            status = body_bytes(d, bytes + at, len - at, &n);
        }
        at += n;
    }
    *used = at;
    return status;
}

enum mvm_decoder_status mvm_proto_decoder_finish(struct mvm_proto_decoder *d)
{
    bool inside = d->state == MESSAGE || (d->state == PREFIX && d->have > 0);
    uint32_t at = d->state == MESSAGE ? MVM_PROTO_PREFIX + d->have : d->have;
    begin_frame(d);
    return inside ? refuse(d, MVM_DECODER_CUT_SHORT, NULL, at) : MVM_DECODER_PARTIAL;
}
