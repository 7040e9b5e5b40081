/*
 * What is always true of a parser, a decoder, an encoder, a writer, between two calls: predicates
 * in plain C. Each harness takes any state for which one holds, makes one step with any input, and
 * has it hold again. They are strong enough for that, and no stronger than needed: they say what
 * memory safety leans on.
 *
 * A state's number is here under a name with its machine's prefix; the harness that includes a
 * machine's .c asserts that the numbers are the same.
 * Enumerations are signed to CBMC, hence the casts.
 */
#ifndef MVM_INVARIANT_H
#define MVM_INVARIANT_H

#include "json_template.h"
#include "mvm_decoder.h"
#include "mvm_encoder.h"

/* Whether memory is there, as CBMC knows it. */
#define CAN_READ(bytes, len)  __CPROVER_r_ok(bytes, len)
#define CAN_WRITE(bytes, len) __CPROVER_w_ok(bytes, len)

/* A bool made from unknown memory may hold any byte; a real one holds two. */
static inline bool mvm_is_bool(const bool *b)
{
    return *(const uint8_t *)b <= 1;
}

static inline bool mvm_utf8_invariant(const struct mvm_utf8 *u)
{
    return u->missing <= 3 && (u->missing == 0 || (u->low >= 0x80 && u->high <= 0xbf));
}

static inline bool mvm_writer_invariant(const struct mvm_writer *w)
{
    return w->cap >= 1 && CAN_WRITE(w->buf, w->cap) && w->len < w->cap && mvm_is_bool(&w->cut);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

enum mvm_json_state {
    JSON_BLANK,
    JSON_FIRST_KEY,
    JSON_NEXT,
    JSON_NEXT_VALUE,
    JSON_FIRST_VALUE,
    JSON_NEXT_KEY,
    JSON_COLON,
    JSON_DONE,
    JSON_STRING,
    JSON_ESCAPE,
    JSON_HEX,
    JSON_LOW_HALF,
    JSON_LOW_HALF_U,
    JSON_LITERAL,
    JSON_MINUS,
    JSON_ZERO,
    JSON_INTEGER,
    JSON_POINT,
    JSON_FRACTION,
    JSON_EXPONENT_MARK,
    JSON_EXPONENT_SIGN,
    JSON_EXPONENT,
    JSON_NO_JSON,
};

static inline bool mvm_json_in_string(const struct mvm_json *j)
{
    return j->state >= JSON_STRING && j->state <= JSON_LOW_HALF_U;
}

/* In the middle of a string, a literal or a number that is a value, not a key. */
static inline bool mvm_json_in_value(const struct mvm_json *j)
{
    return j->state >= JSON_STRING && j->state < JSON_NO_JSON &&
           !(mvm_json_in_string(j) && j->token == MVM_JSON_KEY);
}

static inline bool mvm_json_in_key(const struct mvm_json *j)
{
    return mvm_json_in_string(j) && j->token == MVM_JSON_KEY;
}

static inline bool mvm_json_is_object(const struct mvm_json *j, unsigned level)
{
    return (j->nesting[level / 8] >> level % 8 & 1) != 0;
}

/* What is open fits what may come. */
static inline bool mvm_json_nesting_invariant(const struct mvm_json *j)
{
    if (j->depth > MVM_JSON_DEPTH) {
        return false;
    }
    switch (j->state) {
    case JSON_BLANK:
    case JSON_DONE:
        return j->depth == 0;
    case JSON_NEXT_VALUE:
    case JSON_NEXT:
        return j->depth > 0;
    case JSON_FIRST_VALUE:
        return j->depth > 0 && !mvm_json_is_object(j, j->depth - 1u);
    case JSON_FIRST_KEY:
    case JSON_NEXT_KEY:
    case JSON_COLON:
        return j->depth > 0 && mvm_json_is_object(j, j->depth - 1u);
    default:
        return !mvm_json_in_key(j) || (j->depth > 0 && mvm_json_is_object(j, j->depth - 1u));
    }
}

static inline bool mvm_json_string_invariant(const struct mvm_json *j)
{
    if (j->token != MVM_JSON_KEY && j->token != MVM_JSON_STRING) {
        return false;
    }
    if (j->place != NULL && (j->text.bytes != j->place || j->text.len > j->place_cap)) {
        return false;
    }
    if (j->state != JSON_STRING && j->utf8.missing != 0) {
        return false;
    }
    if (j->state == JSON_HEX && (j->count > 3 || j->unit >> 4 * j->count != 0)) {
        return false;
    }
    bool half = j->state == JSON_LOW_HALF || j->state == JSON_LOW_HALF_U;
    bool leading = j->surrogate >= 0xd800 && j->surrogate <= 0xdbff && j->place != NULL;
    return half ? leading : j->surrogate == 0 || (j->state == JSON_HEX && leading);
}

static inline bool mvm_json_literal_invariant(const struct mvm_json *j)
{
    unsigned len = j->token == MVM_JSON_FALSE ? 5 : 4;
    return j->token >= MVM_JSON_TRUE && j->token <= MVM_JSON_NULL && j->count >= 1 &&
           j->count < len;
}

/* The place for the next string is there. */
static inline bool mvm_json_place_invariant(const struct mvm_json *j)
{
    return j->place == NULL || CAN_WRITE(j->place, j->place_cap);
}

/* All but the place. */
static inline bool mvm_json_rest_invariant(const struct mvm_json *j)
{
    if (j->state > JSON_NO_JSON || (unsigned)j->error > MVM_JSON_ENDED ||
        !mvm_is_bool(&j->overflow) || !mvm_is_bool(&j->is_u64)) {
        return false;
    }
    if (j->state == JSON_NO_JSON) {
        return j->error != MVM_JSON_FINE;
    }
    if (j->error != MVM_JSON_FINE || !mvm_json_nesting_invariant(j) ||
        !mvm_utf8_invariant(&j->utf8)) {
        return false;
    }
    if (mvm_json_in_string(j)) {
        return mvm_json_string_invariant(j);
    }
    return j->utf8.missing == 0 && j->surrogate == 0 &&
           (j->state != JSON_LITERAL || mvm_json_literal_invariant(j));
}

static inline bool mvm_json_invariant(const struct mvm_json *j)
{
    return mvm_json_rest_invariant(j) && (j->state == JSON_NO_JSON || mvm_json_place_invariant(j));
}

/* ---- the decoder ---------------------------------------------------------------------------- */

enum mvm_decoder_state {
    DECODER_START,
    DECODER_VARIANT,
    DECODER_NOTHING,
    DECODER_FIELDS,
    DECODER_NAME,
    DECODER_VALUE,
    DECODER_IGNORED,
    DECODER_ELEMENT,
    DECODER_CLOSE,
    DECODER_END,
    DECODER_SKIPPED,
};

/* The variant's fields are numbers first_field … end_field - 1. */
static inline unsigned mvm_decoder_first_field(const struct mvm_decoder *d)
{
    return mvm_variants[d->message.kind].first;
}

static inline unsigned mvm_decoder_end_field(const struct mvm_decoder *d)
{
    return mvm_decoder_first_field(d) + (unsigned)mvm_variants[d->message.kind].count;
}

static inline bool mvm_decoder_has_fields(const struct mvm_decoder *d)
{
    return mvm_variants[d->message.kind].count > 0;
}

/* The next string or key goes where names go. */
static inline bool mvm_decoder_keeps_name(const struct mvm_decoder *d)
{
    return d->json.place == d->name && d->json.place_cap == MVM_DECODER_NAME_CAP;
}

/* The next string goes into what is left of the field buffer, or nowhere if it is not a field's. */
static inline bool mvm_decoder_keeps_field(const struct mvm_decoder *d)
{
    if (d->at >= mvm_decoder_end_field(d) || !mvm_is_text(&mvm_fields[d->at])) {
        return d->json.place == NULL;
    }
    return d->json.place == d->fields + d->fields_len &&
           d->json.place_cap <= d->fields_cap - d->fields_len;
}

/* A field's text: not come yet, or in the part of the field buffer that is filled. */
static inline bool mvm_decoder_owns(const struct mvm_decoder *d, const struct mvm_text *text)
{
    if (text->bytes == NULL) {
        return text->len == 0;
    }
    return __CPROVER_same_object(text->bytes, d->fields) && text->bytes >= d->fields &&
           text->len <= d->fields_len &&
           (size_t)(text->bytes - d->fields) <= d->fields_len - text->len;
}

static inline bool mvm_is_flag(const uint8_t *flag)
{
    return *flag <= MVM_FLAG_TRUE;
}

static inline bool mvm_decoder_field_invariant(const struct mvm_decoder *d, unsigned at)
{
    struct mvm_message *m = (struct mvm_message *)&d->message; /* to read */
    const struct mvm_field *field = &mvm_fields[at];
    if (mvm_is_text(field)) {
        return mvm_decoder_owns(d, mvm_text_field(m, field));
    }
    return field->type == MVM_TYPE_FLAG ? mvm_is_flag(mvm_flag_field(m, field))
                                        : mvm_is_bool(&m->build.has_timeout);
}

static inline bool mvm_decoder_message_invariant(const struct mvm_decoder *d)
{
    const enum mvm_direction direction = (enum mvm_direction)d->direction;
    const unsigned kind = (unsigned)d->message.kind;
    if (kind < (unsigned)mvm_first_kind(direction) || kind > (unsigned)mvm_last_kind(direction)) {
        return false;
    }
    for (unsigned at = mvm_decoder_first_field(d); at < mvm_decoder_end_field(d); at++) {
        if (!mvm_decoder_field_invariant(d, at)) {
            return false;
        }
    }
    return true;
}

/* Levels 0 … depth - 1 are open, all of them objects but for the last, which may be an array. */
static inline bool mvm_decoder_levels(const struct mvm_decoder *d, unsigned depth, bool object)
{
    const struct mvm_json *j = &d->json;
    return j->depth == depth && (depth < 1 || mvm_json_is_object(j, 0) == (depth > 1 || object)) &&
           (depth < 2 || mvm_json_is_object(j, 1) == object);
}

/* A value comes next or is coming: of a member whose key has come. */
static inline bool mvm_decoder_at_value(const struct mvm_decoder *d)
{
    const struct mvm_json *j = &d->json;
    return j->state == JSON_COLON || j->state == JSON_NEXT_VALUE || mvm_json_in_value(j);
}

/* What the decoder waits for is what the parser can bring. */
static inline bool mvm_decoder_state_invariant(const struct mvm_decoder *d)
{
    const struct mvm_json *j = &d->json;
    switch (d->state) {
    case DECODER_START:
        return j->state == JSON_BLANK ||
               (j->depth == 0 && mvm_json_in_value(j) && mvm_decoder_keeps_name(d));
    case DECODER_VARIANT:
        return mvm_decoder_levels(d, 1, true) && mvm_decoder_keeps_name(d) &&
               (j->state == JSON_FIRST_KEY || mvm_json_in_key(j));
    case DECODER_NOTHING:
        return mvm_decoder_levels(d, 1, true) && mvm_decoder_at_value(d) && j->place == NULL &&
               !mvm_decoder_has_fields(d);
    case DECODER_FIELDS:
        return mvm_decoder_levels(d, 1, true) && mvm_decoder_at_value(d) && j->place == NULL &&
               mvm_decoder_has_fields(d);
    case DECODER_NAME:
        return mvm_decoder_levels(d, 2, true) && mvm_decoder_keeps_name(d) &&
               mvm_decoder_has_fields(d) &&
               (j->state == JSON_FIRST_KEY || j->state == JSON_NEXT || j->state == JSON_NEXT_KEY ||
                mvm_json_in_key(j));
    case DECODER_VALUE:
        return mvm_decoder_levels(d, 2, true) && mvm_decoder_at_value(d) &&
               mvm_decoder_keeps_field(d) && mvm_decoder_has_fields(d) &&
               d->at >= mvm_decoder_first_field(d) && d->at < mvm_decoder_end_field(d);
    case DECODER_IGNORED:
        return j->depth >= 2 && mvm_json_is_object(j, 0) && mvm_json_is_object(j, 1) &&
               j->place == NULL && mvm_decoder_has_fields(d) && j->state != JSON_NO_JSON &&
               (j->depth > 2 || mvm_decoder_at_value(d));
    case DECODER_ELEMENT:
        return mvm_decoder_levels(d, 2, false) && mvm_decoder_keeps_field(d) &&
               mvm_decoder_has_fields(d) && d->at >= mvm_decoder_first_field(d) &&
               d->at <= mvm_decoder_end_field(d) &&
               (j->state == JSON_FIRST_VALUE || j->state == JSON_NEXT_VALUE ||
                j->state == JSON_NEXT || mvm_json_in_value(j));
    case DECODER_CLOSE:
        return mvm_decoder_levels(d, 1, true) && (j->place == NULL || mvm_decoder_keeps_name(d)) &&
               (j->state == JSON_NEXT || j->state == JSON_NEXT_KEY || mvm_json_in_key(j));
    case DECODER_END:
        return j->state == JSON_DONE;
    default: /* DECODER_SKIPPED */
        return true;
    }
}

/* Bytes of the longest frame of the decoder's direction. */
static inline uint32_t mvm_decoder_frame_max(const struct mvm_decoder *d)
{
    return d->direction == MVM_DIRECTION_REQUESTS ? MVM_REQUEST_FRAME_MAX : MVM_RESPONSE_FRAME_MAX;
}

static inline bool mvm_decoder_invariant(const struct mvm_decoder *d)
{
    if (d->direction > MVM_DIRECTION_RESPONSES || d->state > DECODER_SKIPPED || d->fields == NULL ||
        !CAN_WRITE(d->fields, d->fields_cap) || d->fields_len > d->fields_cap ||
        (unsigned)d->message.kind >= MVM_JSON_KINDS || (unsigned)d->error > MVM_DECODER_CUT_SHORT) {
        return false;
    }
    if (d->state == DECODER_SKIPPED) {
        return true;
    }
    if (d->json.offset > mvm_decoder_frame_max(d) || !mvm_decoder_state_invariant(d)) {
        return false;
    }
    if (d->state >= DECODER_NOTHING && !mvm_decoder_message_invariant(d)) {
        return false;
    }
    if (d->state <= DECODER_FIELDS && (d->fields_len != 0 || d->seen != 0)) {
        return false;
    }
    /* Before a frame begins the place is void: the decoder may have moved since it was set. */
    return d->json.state == JSON_BLANK ? mvm_json_rest_invariant(&d->json)
                                       : mvm_json_invariant(&d->json);
}

/* ---- the encoder ---------------------------------------------------------------------------- */

static inline bool mvm_text_invariant(const struct mvm_text *text)
{
    return text->bytes == NULL ? text->len == 0 : CAN_READ(text->bytes, text->len);
}

static inline bool mvm_message_field_invariant(struct mvm_message *m, unsigned at)
{
    const struct mvm_field *field = &mvm_fields[at];
    if (mvm_is_text(field)) {
        return mvm_text_invariant(mvm_text_field(m, field));
    }
    return field->type == MVM_TYPE_FLAG ? mvm_is_flag(mvm_flag_field(m, field))
                                        : mvm_is_bool(&m->build.has_timeout);
}

/* Whether this wire has such messages, and the fields are there. */
static inline bool mvm_message_invariant(const struct mvm_message *message)
{
    struct mvm_message *m = (struct mvm_message *)message; /* to read */
    if ((unsigned)m->kind >= MVM_JSON_KINDS || mvm_first_steps[m->kind] == 0) {
        return false;
    }
    const struct mvm_variant *variant = &mvm_variants[m->kind];
    for (unsigned at = variant->first; at < variant->first + (unsigned)variant->count; at++) {
        if (!mvm_message_field_invariant(m, at)) {
            return false;
        }
    }
    return true;
}

/* The text that the step ends with; NULL if it has none. */
static inline const struct mvm_text *mvm_encoder_text(const struct mvm_encoder *e)
{
    const struct mvm_step *step = &mvm_steps[e->step];
    if (step->field >= MVM_JSON_FIELDS || !mvm_is_text(&mvm_fields[step->field])) {
        return NULL;
    }
    return mvm_text_field((struct mvm_message *)&e->message, &mvm_fields[step->field]);
}

/* Bytes of the step that are beyond its literal: its text and the quote. */
static inline size_t mvm_encoder_text_end(const struct mvm_encoder *e)
{
    const struct mvm_text *text = mvm_encoder_text(e);
    return text != NULL ? text->len + 1 : 0;
}

/* How far the step is, in a message that is as it should be. */
static inline bool mvm_encoder_progress_invariant(const struct mvm_encoder *e)
{
    const struct mvm_step *step = &mvm_steps[e->step];
    if (e->piece_at > e->piece_len || e->piece_len > MVM_ENCODER_PIECE_CAP ||
        e->literal_at > step->len || e->text_at > mvm_encoder_text_end(e)) {
        return false;
    }
    if (e->literal_at < step->len && (e->piece_at != e->piece_len || e->text_at != 0)) {
        return false; /* what follows the literal has not begun */
    }
    return mvm_encoder_text(e) == NULL || e->text_at < mvm_encoder_text_end(e) ||
           e->piece_at == e->piece_len;
}

static inline bool mvm_encoder_invariant(const struct mvm_encoder *e)
{
    if (e->piece_at > e->piece_len || e->piece_len > MVM_ENCODER_PIECE_CAP ||
        e->step >= MVM_STEPS) {
        return false;
    }
    return e->step == 0
               ? e->piece_at == e->piece_len
               : (unsigned)e->message.kind == mvm_steps[e->step].kind &&
                     mvm_message_invariant(&e->message) && mvm_encoder_progress_invariant(e);
}

#endif
