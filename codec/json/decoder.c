/*
 * The parser gives tokens; here a state says what each may be. The schema says which variants and
 * fields there are.
 */
#include "mvm_decoder.h"
#include "schema.h"
#include <string.h>

enum state {
    START,   /* of a frame: the variant's name alone, or an object with one member */
    VARIANT, /* the name of that member */
    NOTHING, /* null, the value of a variant without fields */
    FIELDS,  /* an object or an array, the value of one that has some */
    NAME,    /* a field's name, or the end of the fields */
    VALUE,   /* that field's value */
    IGNORED, /* in an unknown field's value */
    ELEMENT, /* the next field's value, or the end of the array */
    CLOSE,   /* the end of the outer object */
    END,     /* the message is whole: the parser lets nothing more through */
    SKIPPED, /* refused: what is left of the frame is dropped */
};

static const struct mvm_variant *variant_of(const struct mvm_decoder *d)
{
    return &mvm_variants[d->message.kind];
}

/* One past the index of the variant's last field. */
static unsigned fields_end(const struct mvm_decoder *d)
{
    return variant_of(d)->first + (unsigned)variant_of(d)->count;
}

static void keep_name(struct mvm_decoder *d)
{
    mvm_json_keep(&d->json, d->name, sizeof d->name);
}

static void begin_frame(struct mvm_decoder *d)
{
    mvm_json_init(&d->json);
    d->field = NULL;
    d->fields_len = 0;
    d->seen = 0;
    d->state = START;
}

void(mvm_decoder_init)(struct mvm_decoder *d, enum mvm_direction direction, char *fields_place,
                       size_t cap)
{
    memset(d, 0, sizeof *d);
    d->direction = (uint8_t)direction;
    d->fields = fields_place;
    d->fields_cap = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX;
    begin_frame(d);
}

/* ---- tokens --------------------------------------------------------------------------------- */

static enum mvm_decoder_error go_to(struct mvm_decoder *d, enum state state)
{
    d->state = (uint8_t)state;
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error expect_name(struct mvm_decoder *d)
{
    keep_name(d);
    return go_to(d, NAME);
}

/* The value of field `at`, which may be one past an array's last. */
static enum mvm_decoder_error expect_value(struct mvm_decoder *d, unsigned at, enum state state)
{
    d->at = (uint8_t)at;
    if (at < fields_end(d) && mvm_is_text(&mvm_fields[at])) {
        uint32_t room = d->fields_cap - d->fields_len;
        uint32_t max = mvm_fields[at].max;
        mvm_json_keep(&d->json, d->fields + d->fields_len, room < max ? room : max);
    } else {
        mvm_json_drop(&d->json);
    }
    return go_to(d, state);
}

/* Whether the key or string that has just come is `name`. */
static bool named(const struct mvm_decoder *d, const char *name, size_t len)
{
    return d->json.text.len == len && !d->json.overflow && memcmp(d->name, name, len) == 0;
}

static enum mvm_decoder_error take_variant(struct mvm_decoder *d)
{
    enum mvm_direction direction = (enum mvm_direction)d->direction;
    unsigned kind = mvm_first_kind(direction);
    while (!named(d, mvm_variants[kind].name, mvm_variants[kind].name_len)) {
        if (kind == mvm_last_kind(direction)) {
            return MVM_DECODER_UNKNOWN_VARIANT;
        }
        kind++;
    }
    d->message = (struct mvm_message){.kind = (enum mvm_kind)kind};
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error take_message(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_OBJECT) {
        keep_name(d);
        return go_to(d, VARIANT);
    }
    if (token != MVM_JSON_STRING) {
        return MVM_DECODER_NOT_A_MESSAGE;
    }
    enum mvm_decoder_error error = take_variant(d);
    if (error == MVM_DECODER_FINE && variant_of(d)->count > 0) {
        return MVM_DECODER_NEEDS_FIELDS;
    }
    d->state = END;
    return error;
}

static enum mvm_decoder_error take_member(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_KEY) {
        return MVM_DECODER_NOT_A_MESSAGE;
    }
    enum mvm_decoder_error error = take_variant(d);
    d->state = variant_of(d)->count > 0 ? FIELDS : NOTHING;
    return error;
}

static enum mvm_decoder_error take_fields(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_OBJECT) {
        return expect_name(d);
    }
    if (token == MVM_JSON_ARRAY) {
        return expect_value(d, variant_of(d)->first, ELEMENT);
    }
    return MVM_DECODER_WRONG_TYPE;
}

static enum mvm_decoder_error refuse_field(struct mvm_decoder *d, unsigned at,
                                           enum mvm_decoder_error error)
{
    d->field = mvm_fields[at].name;
    return error;
}

static bool is_seen(const struct mvm_decoder *d, unsigned at)
{
    return (d->seen >> (at - variant_of(d)->first) & 1) != 0;
}

static enum mvm_decoder_error end_fields(struct mvm_decoder *d)
{
    for (unsigned at = variant_of(d)->first; at < fields_end(d); at++) {
        if (mvm_fields[at].presence == MVM_PRESENCE_REQUIRED && !is_seen(d, at)) {
            return refuse_field(d, at, MVM_DECODER_MISSING_FIELD);
        }
    }
    return go_to(d, CLOSE);
}

/* An array may end before its optional fields. */
static enum mvm_decoder_error end_elements(struct mvm_decoder *d)
{
    for (unsigned at = d->at; at < fields_end(d); at++) {
        if (mvm_fields[at].presence != MVM_PRESENCE_OPTIONAL) {
            return refuse_field(d, at, MVM_DECODER_MISSING_FIELD);
        }
    }
    return go_to(d, CLOSE);
}

static enum mvm_decoder_error expect_member(struct mvm_decoder *d, unsigned at)
{
    d->seen = (uint8_t)(d->seen | 1u << (at - variant_of(d)->first));
    return expect_value(d, at, VALUE);
}

static enum mvm_decoder_error take_name(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_KEY) {
        return end_fields(d);
    }
    for (unsigned at = variant_of(d)->first; at < fields_end(d); at++) {
        if (named(d, mvm_fields[at].name, mvm_fields[at].name_len)) {
            return is_seen(d, at) ? refuse_field(d, at, MVM_DECODER_DUPLICATE_FIELD)
                                  : expect_member(d, at);
        }
    }
    return go_to(d, IGNORED);
}

static enum mvm_decoder_error take_timeout(struct mvm_decoder *d, enum mvm_json_token token)
{
    struct mvm_build *build = &d->message.build;
    if (token != MVM_JSON_NUMBER || !d->json.is_u64) {
        return refuse_field(d, d->at, MVM_DECODER_WRONG_TYPE);
    }
    build->has_timeout = true;
    build->timeout_secs = d->json.u64;
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error take_flag(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_TRUE && token != MVM_JSON_FALSE) {
        return refuse_field(d, d->at, MVM_DECODER_WRONG_TYPE);
    }
    *mvm_flag_field(&d->message, &mvm_fields[d->at]) =
        token == MVM_JSON_TRUE ? MVM_FLAG_TRUE : MVM_FLAG_FALSE;
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error take_text(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_STRING) {
        return refuse_field(d, d->at, MVM_DECODER_WRONG_TYPE);
    }
    if (d->json.overflow) {
        return refuse_field(d, d->at, MVM_DECODER_FIELD_TOO_LONG);
    }
    *mvm_text_field(&d->message, &mvm_fields[d->at]) = d->json.text;
    d->fields_len += (uint32_t)d->json.text.len;
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error take_value(struct mvm_decoder *d, enum mvm_json_token token)
{
    const struct mvm_field *field = &mvm_fields[d->at];
    if (token == MVM_JSON_NULL && field->presence != MVM_PRESENCE_REQUIRED) {
        return MVM_DECODER_FINE;
    }
    if (field->type == MVM_TYPE_TIMEOUT) {
        return take_timeout(d, token);
    }
    return field->type == MVM_TYPE_FLAG ? take_flag(d, token) : take_text(d, token);
}

static enum mvm_decoder_error take_member_value(struct mvm_decoder *d, enum mvm_json_token token)
{
    enum mvm_decoder_error error = take_value(d, token);
    expect_name(d);
    return error;
}

static enum mvm_decoder_error take_element(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_ARRAY_END) {
        return end_elements(d);
    }
    if (d->at == fields_end(d)) {
        return MVM_DECODER_EXTRA_ELEMENT;
    }
    enum mvm_decoder_error error = take_value(d, token);
    return error != MVM_DECODER_FINE ? error : expect_value(d, d->at + 1u, ELEMENT);
}

/* The value is over when nothing is open but the message's two objects. */
static enum mvm_decoder_error take_ignored(struct mvm_decoder *d)
{
    return d->json.depth > 2 ? MVM_DECODER_FINE : expect_name(d);
}

static enum mvm_decoder_error take_json(struct mvm_decoder *d, enum mvm_json_token token)
{
    switch ((enum state)d->state) {
    case START:
        return take_message(d, token);
    case VARIANT:
        return take_member(d, token);
    case NOTHING:
        return token == MVM_JSON_NULL ? go_to(d, CLOSE) : MVM_DECODER_NO_FIELDS;
    case FIELDS:
        return take_fields(d, token);
    case NAME:
        return take_name(d, token);
    case VALUE:
        return take_member_value(d, token);
    case IGNORED:
        return take_ignored(d);
    case ELEMENT:
        return take_element(d, token);
    case CLOSE:
    case END: /* no token comes in these two */
    case SKIPPED:
    default:
        return token == MVM_JSON_OBJECT_END ? go_to(d, END) : MVM_DECODER_NOT_A_MESSAGE;
    }
}

/* ---- frames --------------------------------------------------------------------------------- */

static enum mvm_decoder_status refuse_at(struct mvm_decoder *d, enum mvm_decoder_error error,
                                         uint32_t at)
{
    d->error = error;
    d->error_at = at;
    d->json_error = d->json.error;
    d->state = SKIPPED;
    return MVM_DECODER_BAD_FRAME;
}

static enum mvm_decoder_status take(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_PARTIAL) {
        return MVM_DECODER_PARTIAL;
    }
    if (token == MVM_JSON_ERROR) {
        return refuse_at(d, MVM_DECODER_JSON, d->json.offset);
    }
    enum mvm_decoder_error error = take_json(d, token);
    return error == MVM_DECODER_FINE ? MVM_DECODER_PARTIAL : refuse_at(d, error, d->json.begun);
}

/* Bytes of one frame, without its newline. */
static enum mvm_decoder_status push_part(struct mvm_decoder *d, const uint8_t *bytes, size_t len)
{
    uint32_t max =
        d->direction == MVM_DIRECTION_REQUESTS ? MVM_REQUEST_FRAME_MAX : MVM_RESPONSE_FRAME_MAX;
    bool too_long = len > max - d->json.offset;
    if (too_long) {
        len = max - d->json.offset;
    }
    if (mvm_json_blank(&d->json)) {
        keep_name(d); /* here, not when the last frame ended: the decoder may have moved since */
    }
    while (len > 0) {
        size_t used;
        enum mvm_json_token token = mvm_json_push(&d->json, bytes, len, &used);
        enum mvm_decoder_status status = take(d, token);
        if (status != MVM_DECODER_PARTIAL) {
            return status;
        }
        bytes += used;
        len -= used;
    }
    return too_long ? refuse_at(d, MVM_DECODER_FRAME_TOO_LONG, max) : MVM_DECODER_PARTIAL;
}

enum mvm_decoder_status mvm_decoder_finish(struct mvm_decoder *d)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    if (d->state != SKIPPED && !mvm_json_blank(&d->json)) {
        status = take(d, mvm_json_finish(&d->json));
        if (status == MVM_DECODER_PARTIAL) {
            status = MVM_DECODER_MESSAGE;
        }
    }
    begin_frame(d);
    return status;
}

enum mvm_decoder_status mvm_decoder_push(struct mvm_decoder *d, const uint8_t *bytes, size_t len,
                                         size_t *used)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    size_t at = 0;
    while (status == MVM_DECODER_PARTIAL && at < len) {
        const uint8_t *newline = memchr(bytes + at, '\n', len - at);
        size_t end = newline != NULL ? (size_t)(newline - bytes) : len;
        if (d->state != SKIPPED) {
            status = push_part(d, bytes + at, end - at);
        }
        at = end;
        if (status == MVM_DECODER_PARTIAL && newline != NULL) {
            status = mvm_decoder_finish(d);
            at++;
        }
    }
    *used = at;
    return status;
}
