/* One connection: received bytes through the decoder, messages through the encoder. */
#include "mvm_session.h"
#include <string.h>

void mvm_session_init(struct mvm_session *s, enum mvm_direction direction,
                      const struct mvm_session_memory *memory)
{
    memset(s, 0, sizeof *s);
    s->memory = *memory;
    s->direction = direction;
    mvm_decoder_init(&s->decoder, direction, memory->fields, memory->fields_cap);
    mvm_encoder_init(&s->encoder);
}

/* ---- transport side ---- */

/* Bytes that have come are never moved: they are decoded before more are asked for, but for those
 * that wait until the peer takes its answers, and then there is no hurry. */
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
    s->receive_end += len;
}

void mvm_session_peer_ended(struct mvm_session *s)
{
    s->peer_ended = true;
}

void mvm_session_peer_changed(struct mvm_session *s)
{
    if (s->receive_start == s->receive_end) {
        mvm_decoder_init(&s->decoder, s->direction, s->memory.fields, s->memory.fields_cap);
    }
}

const uint8_t *mvm_session_bytes(const struct mvm_session *s, size_t *len)
{
    *len = s->send_end - s->send_start;
    return *len > 0 ? s->memory.send + s->send_start : NULL;
}

static void fill(struct mvm_session *s)
{
    s->send_end += mvm_encoder_pull(&s->encoder, s->memory.send + s->send_end,
                                    s->memory.send_cap - s->send_end);
}

void mvm_session_sent(struct mvm_session *s, size_t len)
{
    s->send_start += len;
    s->sent += len;
    if (s->send_start == s->send_end) {
        s->send_start = s->send_end = 0;
        fill(s);
    }
}

/* ---- program side ---- */

static enum mvm_session_event event_of(struct mvm_session *s, enum mvm_decoder_status status)
{
    if (status == MVM_DECODER_BAD_FRAME) {
        return MVM_SESSION_BAD_FRAME;
    }
    s->message = s->decoder.message;
    return MVM_SESSION_MESSAGE;
}

enum mvm_session_event mvm_session_next(struct mvm_session *s)
{
    if (!mvm_session_can_send(s)) {
        return MVM_SESSION_NOTHING;
    }
    while (s->receive_start < s->receive_end) {
        size_t used;
        enum mvm_decoder_status status =
            mvm_decoder_push(&s->decoder, s->memory.receive + s->receive_start,
                             s->receive_end - s->receive_start, &used);
        s->receive_start += used;
        if (status != MVM_DECODER_PARTIAL) {
            return event_of(s, status);
        }
    }
    if (s->peer_ended && !s->finished) {
        s->finished = true;
        enum mvm_decoder_status status = mvm_decoder_finish(&s->decoder);
        if (status != MVM_DECODER_PARTIAL) {
            return event_of(s, status);
        }
    }
    return s->finished ? MVM_SESSION_ENDED : MVM_SESSION_NOTHING;
}

void mvm_session_explain(const struct mvm_session *s, struct mvm_writer *w)
{
    mvm_decoder_explain(&s->decoder, w);
}

bool mvm_session_ended(const struct mvm_session *s)
{
    return s->finished;
}

bool mvm_session_can_send(const struct mvm_session *s)
{
    return mvm_encoder_idle(&s->encoder);
}

void mvm_session_send(struct mvm_session *s, const struct mvm_message *m)
{
    mvm_encoder_start(&s->encoder, m);
    fill(s);
}

/* The encoder has nothing then: fill gives an empty buffer whatever is left. */
bool mvm_session_flushed(const struct mvm_session *s)
{
    return s->send_start == s->send_end;
}
