/* One connection: received bytes through its wire's decoder, messages through its encoder. */
#include "mvm_session.h"
#include <string.h>

/* ---- the two wires ---- */

static void begin_decoding(struct mvm_session *s)
{
    const struct mvm_session_memory *m = &s->memory;
    if (s->wire == MVM_WIRE_PROTO) {
        mvm_proto_decoder_init(&s->proto_decoder, s->direction, m->fields, m->fields_cap);
    } else {
        mvm_decoder_init(&s->json_decoder, s->direction, m->fields, m->fields_cap);
    }
}

static void begin_wire(struct mvm_session *s, enum mvm_wire wire)
{
    s->wire = wire;
    begin_decoding(s);
    if (wire == MVM_WIRE_PROTO) {
        s->proto_encoder = (struct mvm_proto_encoder){.busy = false};
    } else {
        mvm_encoder_init(&s->json_encoder);
    }
}

static enum mvm_decoder_status decode(struct mvm_session *s, const uint8_t *bytes, size_t len,
                                      size_t *used)
{
    return s->wire == MVM_WIRE_PROTO ? mvm_proto_decoder_push(&s->proto_decoder, bytes, len, used)
                                     : mvm_decoder_push(&s->json_decoder, bytes, len, used);
}

static enum mvm_decoder_status end_decoding(struct mvm_session *s)
{
    return s->wire == MVM_WIRE_PROTO ? mvm_proto_decoder_finish(&s->proto_decoder)
                                     : mvm_decoder_finish(&s->json_decoder);
}

static const struct mvm_message *decoded(const struct mvm_session *s)
{
    return s->wire == MVM_WIRE_PROTO ? &s->proto_decoder.message : &s->json_decoder.message;
}

static size_t encode(struct mvm_session *s, uint8_t *out, size_t cap)
{
    return s->wire == MVM_WIRE_PROTO ? mvm_proto_encoder_pull(&s->proto_encoder, out, cap)
                                     : mvm_encoder_pull(&s->json_encoder, out, cap);
}

/* ---- life ---- */

void(mvm_session_init)(struct mvm_session *s, enum mvm_direction direction,
                       const struct mvm_session_memory *memory)
{
    memset(s, 0, sizeof *s);
    s->memory = *memory;
    s->direction = direction;
    begin_wire(s, MVM_WIRE_OPEN);
}

void mvm_session_speak(struct mvm_session *s, enum mvm_wire wire)
{
    begin_wire(s, wire);
}

/* ---- transport side ---- */

/* Received bytes are not moved: they are decoded before more are read, except those that wait until
 * the peer reads its answers, which is not urgent. */
uint8_t *mvm_session_room(struct mvm_session *s, size_t *cap)
{
    if (s->receive_start == s->receive_end) {
        s->receive_start = s->receive_end = 0;
    }
    *cap = s->peer_ended ? 0 : s->memory.receive_cap - s->receive_end;
    return *cap > 0 ? s->memory.receive + s->receive_end : NULL;
}

void mvm_session_received(struct mvm_session *s, size_t len)
{
    if (len <= s->memory.receive_cap - s->receive_end) {
        s->receive_end += len;
    }
}

void mvm_session_peer_ended(struct mvm_session *s)
{
    s->peer_ended = true;
}

void mvm_session_peer_changed(struct mvm_session *s)
{
    if (s->receive_start < s->receive_end) {
        return;
    }
    if (mvm_session_broken(s)) {
        s->peer_ended = s->finished = false;
    }
    if (mvm_session_can_send(s)) {
        begin_wire(s, MVM_WIRE_OPEN);
    } else {
        begin_decoding(s);
    }
}

void mvm_session_restart(struct mvm_session *s)
{
    s->receive_start = s->receive_end = 0;
    s->send_start = s->send_end = 0;
    begin_wire(s, MVM_WIRE_OPEN);
}

const uint8_t *mvm_session_bytes(const struct mvm_session *s, size_t *len)
{
    *len = s->send_end - s->send_start;
    return *len > 0 ? s->memory.send + s->send_start : NULL;
}

/* Encodes into the send buffer's first `cap` bytes. */
static void fill(struct mvm_session *s, size_t cap)
{
    if (s->send_end < cap) {
        s->send_end += encode(s, s->memory.send + s->send_end, cap - s->send_end);
    }
}

static size_t small_cap(const struct mvm_session *s)
{
    return s->small_cap > 0 ? s->small_cap : s->memory.send_cap;
}

void mvm_session_sent(struct mvm_session *s, size_t len)
{
    if (len > s->send_end - s->send_start) {
        return;
    }
    s->send_start += len;
    s->sent += len;
    if (s->send_start == s->send_end) {
        s->send_start = s->send_end = 0;
        if (!mvm_session_can_send(s)) {
            fill(s, small_cap(s));
        }
    }
}

/* ---- program side ---- */

static enum mvm_session_event event_of(struct mvm_session *s, enum mvm_decoder_status status)
{
    if (status == MVM_DECODER_BROKEN) { /* what else comes is as if it had not */
        s->receive_start = s->receive_end;
        s->peer_ended = true;
    }
    if (status != MVM_DECODER_MESSAGE) {
        return MVM_SESSION_BAD_FRAME;
    }
    s->message = *decoded(s);
    return MVM_SESSION_MESSAGE;
}

/* By the first byte. False: the encoder is in use, and is not the one that the byte asks for. */
static bool choose_wire(struct mvm_session *s)
{
    if (s->json_alone || !mvm_proto_begins(s->memory.receive[s->receive_start])) {
        s->wire = MVM_WIRE_JSON; /* as it has been all along */
        return true;
    }
    if (!mvm_session_can_send(s)) {
        return false;
    }
    begin_wire(s, MVM_WIRE_PROTO);
    return true;
}

static enum mvm_session_event next_frame(struct mvm_session *s)
{
    while (s->receive_start < s->receive_end) {
        size_t used;
        enum mvm_decoder_status status = decode(s, s->memory.receive + s->receive_start,
                                                s->receive_end - s->receive_start, &used);
        s->receive_start += used;
        if (status != MVM_DECODER_PARTIAL) {
            return event_of(s, status);
        }
    }
    if (s->peer_ended && !s->finished) {
        s->finished = true;
        enum mvm_decoder_status status = end_decoding(s);
        if (status != MVM_DECODER_PARTIAL) {
            return event_of(s, status);
        }
    }
    return s->finished ? MVM_SESSION_ENDED : MVM_SESSION_NOTHING;
}

bool mvm_session_has_input(const struct mvm_session *s)
{
    return s->receive_start < s->receive_end || s->peer_ended;
}

enum mvm_session_event mvm_session_decode(struct mvm_session *s)
{
    if (!mvm_session_has_input(s)) {
        return MVM_SESSION_NOTHING;
    }
    if (s->wire == MVM_WIRE_OPEN && s->receive_start < s->receive_end && !choose_wire(s)) {
        return MVM_SESSION_NOTHING;
    }
    return next_frame(s);
}

enum mvm_session_event mvm_session_next(struct mvm_session *s)
{
    if (s->direction == MVM_DIRECTION_REQUESTS && !mvm_session_can_send(s)) {
        return MVM_SESSION_NOTHING;
    }
    return mvm_session_decode(s);
}

void mvm_session_explain(const struct mvm_session *s, struct mvm_writer *w)
{
    if (s->wire == MVM_WIRE_PROTO) {
        const struct mvm_proto_decoder *d = &s->proto_decoder;
        mvm_decoder_error_explain(d->error, MVM_JSON_FINE, d->field, d->error_at, w);
    } else {
        mvm_decoder_explain(&s->json_decoder, w);
    }
}

bool mvm_session_broken(const struct mvm_session *s)
{
    return s->wire == MVM_WIRE_PROTO && mvm_proto_decoder_broken(&s->proto_decoder);
}

bool mvm_session_ended(const struct mvm_session *s)
{
    return s->finished;
}

bool mvm_session_can_send(const struct mvm_session *s)
{
    return s->wire == MVM_WIRE_PROTO ? mvm_proto_encoder_idle(&s->proto_encoder)
                                     : mvm_encoder_idle(&s->json_encoder);
}

void mvm_session_send(struct mvm_session *s, const struct mvm_message *m)
{
    if (s->wire == MVM_WIRE_PROTO) {
        mvm_proto_encoder_start(&s->proto_encoder, m);
    } else {
        mvm_encoder_start(&s->json_encoder, m);
    }
    fill(s, m->kind == MVM_MESSAGE_ARTIFACT ? s->memory.send_cap : small_cap(s));
}

/* The encoder has nothing then: fill gives an empty buffer whatever is left. */
bool mvm_session_flushed(const struct mvm_session *s)
{
    return s->send_start == s->send_end;
}
