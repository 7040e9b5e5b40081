/*
 * JSON tokens → messages. The parser (mvm_json.h) knows JSON, this file knows which value may
 * stand where. Before each token it says where the next string would go: a key that matters to
 * `key`, a field's value to the field buffer, all else nowhere.
 */
#include "mvm_decoder.h"
#include <string.h>

enum stage {
    TOP,      /* the frame's value */
    VARIANT,  /* the only key of the outer object */
    CONTENT,  /* the variant's value */
    MEMBERS,  /* a key of the variant's object, or its end */
    MEMBER,   /* the value of a field, by name */
    IGNORED,  /* the value of an unknown field, down to its end */
    ELEMENTS, /* the value of a field, by position, or the array's end */
    CLOSE,    /* the end of the outer object */
    COMPLETE, /* the message is whole: only the newline may follow */
    SKIP,     /* refused: up to the newline */
};

/* The messages as serde's derived code has them, by enum mvm_kind. */
static const struct variant {
    char name[6];
    uint8_t fields;
    uint8_t required; /* bit n: field n must be there */
    const char *field[3];
} variants[] = {
    [MVM_BUILD] = {"Build", 3, 3, {"flake_ref", "attr", "timeout_secs"}},
    [MVM_PING] = {"Ping", 0, 0, {NULL}},
    [MVM_OK] = {"Ok", 1, 1, {"out_path"}},
    [MVM_ERR] = {"Err", 1, 1, {"message"}},
    [MVM_LOG] = {"Log", 1, 1, {"line"}},
    [MVM_PONG] = {"Pong", 0, 0, {NULL}},
};

enum { FLAKE_REF = 0, ATTR = 1, TIMEOUT = 2 };

static void begin_frame(struct mvm_decoder *d)
{
    mvm_json_init(&d->json);
    mvm_json_keep(&d->json, d->key, sizeof d->key);
    d->stage = TOP;
    d->seen = 0;
    d->fields_len = 0;
}

void mvm_decoder_init(struct mvm_decoder *d, enum mvm_direction direction, char *fields, size_t cap)
{
    memset(d, 0, sizeof *d);
    d->direction = (uint8_t)direction;
    d->fields = fields;
    d->fields_cap = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX;
    begin_frame(d);
}

static const struct variant *variant_of(const struct mvm_decoder *d)
{
    return &variants[d->message.kind];
}

/* ---- refusing ---- */

static enum mvm_decoder_status refuse(struct mvm_decoder *d, enum mvm_decoder_error error)
{
    d->stage = SKIP;
    d->error = error;
    d->json_error = MVM_JSON_FINE;
    d->field = NULL;
    d->error_at = d->json.offset > 0 ? d->json.offset - 1 : 0;
    return MVM_DECODER_BAD_FRAME;
}

static enum mvm_decoder_status refuse_field(struct mvm_decoder *d, enum mvm_decoder_error error,
                                            unsigned index)
{
    refuse(d, error);
    d->field = variant_of(d)->field[index];
    return MVM_DECODER_BAD_FRAME;
}

static enum mvm_decoder_status refuse_json(struct mvm_decoder *d)
{
    refuse(d, MVM_DECODER_JSON);
    d->json_error = d->json.error;
    d->error_at = d->json.offset;
    return MVM_DECODER_BAD_FRAME;
}

/* ---- the variant ---- */

static bool key_is(const struct mvm_decoder *d, const char *name)
{
    return !d->json.overflow && mvm_text_equal(d->json.text, name);
}

/* The name just read, as a message of this direction. */
static bool find_variant(struct mvm_decoder *d)
{
    unsigned first = d->direction == MVM_REQUESTS ? MVM_BUILD : MVM_OK;
    unsigned last = d->direction == MVM_REQUESTS ? MVM_PING : MVM_PONG;
    for (unsigned kind = first; kind <= last; kind++) {
        if (key_is(d, variants[kind].name)) {
            memset(&d->message, 0, sizeof d->message);
            d->message.kind = (enum mvm_kind)kind;
            return true;
        }
    }
    return false;
}

static enum mvm_decoder_status take_top(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_OBJECT) {
        mvm_json_keep(&d->json, d->key, sizeof d->key);
        d->stage = VARIANT;
        return MVM_DECODER_PARTIAL;
    }
    if (token != MVM_JSON_STRING) {
        return refuse(d, MVM_DECODER_NOT_A_MESSAGE);
    }
    if (!find_variant(d)) {
        return refuse(d, MVM_DECODER_UNKNOWN_VARIANT);
    }
    if (variant_of(d)->fields > 0) {
        return refuse(d, MVM_DECODER_NEEDS_FIELDS);
    }
    d->stage = COMPLETE;
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status take_variant(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_KEY) {
        return refuse(d, MVM_DECODER_NOT_A_MESSAGE); /* {} */
    }
    if (!find_variant(d)) {
        return refuse(d, MVM_DECODER_UNKNOWN_VARIANT);
    }
    d->stage = CONTENT;
    return MVM_DECODER_PARTIAL;
}

/* ---- fields ---- */

static void expect_key(struct mvm_decoder *d)
{
    mvm_json_keep(&d->json, d->key, sizeof d->key);
    d->stage = MEMBERS;
}

static void expect_value(struct mvm_decoder *d, unsigned index)
{
    static const uint32_t limits[] = {MVM_FLAKE_REF_MAX, MVM_ATTR_MAX};
    uint32_t room = d->fields_cap - d->fields_len;
    if (d->message.kind == MVM_BUILD && index < TIMEOUT && room > limits[index]) {
        room = limits[index];
    }
    d->field_index = (uint8_t)index;
    mvm_json_keep(&d->json, d->fields + d->fields_len, room);
}

static struct mvm_text *text_of(struct mvm_message *m, unsigned index)
{
    if (m->kind != MVM_BUILD) {
        return &m->text;
    }
    return index == FLAKE_REF ? &m->build.flake_ref : &m->build.attr;
}

static enum mvm_decoder_status take_timeout(struct mvm_decoder *d, enum mvm_json_token token)
{
    struct mvm_build *b = &d->message.build;
    if (token == MVM_JSON_NUMBER && d->json.is_u64) {
        b->has_timeout = true;
        b->timeout_secs = d->json.u64;
    } else if (token != MVM_JSON_NULL) {
        return refuse_field(d, MVM_DECODER_WRONG_TYPE, TIMEOUT);
    }
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status take_text(struct mvm_decoder *d, enum mvm_json_token token)
{
    unsigned index = d->field_index;
    if (token != MVM_JSON_STRING) {
        return refuse_field(d, MVM_DECODER_WRONG_TYPE, index);
    }
    if (d->json.overflow) {
        return refuse_field(d, MVM_DECODER_FIELD_TOO_LONG, index);
    }
    *text_of(&d->message, index) = d->json.text;
    d->fields_len += (uint32_t)d->json.text.len;
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status take_field(struct mvm_decoder *d, enum mvm_json_token token)
{
    d->seen = (uint8_t)(d->seen | 1u << d->field_index);
    bool timeout = d->message.kind == MVM_BUILD && d->field_index == TIMEOUT;
    return timeout ? take_timeout(d, token) : take_text(d, token);
}

static enum mvm_decoder_status end_fields(struct mvm_decoder *d, unsigned required)
{
    for (unsigned i = 0; i < variant_of(d)->fields; i++) {
        if ((required & ~(unsigned)d->seen & 1u << i) != 0) {
            return refuse_field(d, MVM_DECODER_MISSING_FIELD, i);
        }
    }
    d->stage = CLOSE;
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status take_content(struct mvm_decoder *d, enum mvm_json_token token)
{
    bool unit = variant_of(d)->fields == 0;
    if (unit && token == MVM_JSON_NULL) {
        d->stage = CLOSE;
    } else if (unit) {
        return refuse(d, MVM_DECODER_NO_FIELDS);
    } else if (token == MVM_JSON_OBJECT) {
        expect_key(d);
    } else if (token == MVM_JSON_ARRAY) {
        d->stage = ELEMENTS;
        expect_value(d, 0);
    } else {
        return refuse(d, MVM_DECODER_WRONG_TYPE);
    }
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status take_key(struct mvm_decoder *d, enum mvm_json_token token)
{
    const struct variant *v = variant_of(d);
    if (token == MVM_JSON_OBJECT_END) {
        return end_fields(d, v->required);
    }
    for (unsigned i = 0; i < v->fields; i++) {
        if (!key_is(d, v->field[i])) {
            continue;
        }
        if ((d->seen & 1u << i) != 0) {
            return refuse_field(d, MVM_DECODER_DUPLICATE_FIELD, i);
        }
        d->stage = MEMBER;
        expect_value(d, i);
        return MVM_DECODER_PARTIAL;
    }
    d->stage = IGNORED;
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status take_member(struct mvm_decoder *d, enum mvm_json_token token)
{
    enum mvm_decoder_status status = take_field(d, token);
    if (status == MVM_DECODER_PARTIAL) {
        expect_key(d);
    }
    return status;
}

static enum mvm_decoder_status take_element(struct mvm_decoder *d, enum mvm_json_token token)
{
    unsigned fields = variant_of(d)->fields;
    if (token == MVM_JSON_ARRAY_END && d->json.depth == 1) {
        return end_fields(d, (1u << fields) - 1); /* an array has no optional ones */
    }
    if (d->field_index == fields) {
        return refuse(d, MVM_DECODER_EXTRA_ELEMENT);
    }
    enum mvm_decoder_status status = take_field(d, token);
    if (status == MVM_DECODER_PARTIAL) {
        expect_value(d, d->field_index + 1u);
    }
    return status;
}

/* ---- the driver ---- */

static enum mvm_decoder_status take_token(struct mvm_decoder *d, enum mvm_json_token token)
{
    switch ((enum stage)d->stage) {
    case TOP:
        return take_top(d, token);
    case VARIANT:
        return take_variant(d, token);
    case CONTENT:
        return take_content(d, token);
    case MEMBERS:
        return take_key(d, token);
    case MEMBER:
        return take_member(d, token);
    case IGNORED:
        if (d->json.depth == 2 && token != MVM_JSON_KEY) {
            expect_key(d);
        }
        return MVM_DECODER_PARTIAL;
    case ELEMENTS:
        return take_element(d, token);
    case CLOSE:
        if (token != MVM_JSON_OBJECT_END) {
            return refuse(d, MVM_DECODER_NOT_A_MESSAGE);
        }
        d->stage = COMPLETE;
        return MVM_DECODER_PARTIAL;
    case COMPLETE:
    case SKIP:
        break;
    }
    return MVM_DECODER_PARTIAL;
}

static uint32_t frame_max(const struct mvm_decoder *d)
{
    return d->direction == MVM_REQUESTS ? MVM_REQUEST_FRAME_MAX : MVM_RESPONSE_FRAME_MAX;
}

/* Bytes of one frame, without its newline. Returns at the first thing to report. */
static enum mvm_decoder_status take_bytes(struct mvm_decoder *d, const uint8_t *bytes, size_t len)
{
    size_t room = frame_max(d) - d->json.offset;
    bool over = len > room;
    size_t left = over ? room : len;
    while (left > 0) {
        size_t used;
        enum mvm_json_token token = mvm_json_push(&d->json, bytes, left, &used);
        if (token == MVM_JSON_ERROR) {
            return refuse_json(d);
        }
        if (token != MVM_JSON_PARTIAL) {
            enum mvm_decoder_status status = take_token(d, token);
            if (status != MVM_DECODER_PARTIAL) {
                return status;
            }
        }
        bytes += used;
        left -= used;
    }
    if (over) {
        refuse(d, MVM_DECODER_FRAME_TOO_LONG);
        d->error_at = frame_max(d);
        return MVM_DECODER_BAD_FRAME;
    }
    return MVM_DECODER_PARTIAL;
}

static enum mvm_decoder_status end_frame(struct mvm_decoder *d)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    if (d->stage == COMPLETE) {
        status = MVM_DECODER_MESSAGE;
    } else if (d->stage != SKIP && !mvm_json_blank(&d->json)) {
        enum mvm_json_token token = mvm_json_finish(&d->json);
        status = token == MVM_JSON_ERROR ? refuse_json(d) : take_token(d, token);
    }
    begin_frame(d);
    return status;
}

enum mvm_decoder_status mvm_decoder_push(struct mvm_decoder *d, const uint8_t *bytes, size_t len,
                                         size_t *used)
{
    size_t at = 0;
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    while (at < len && status == MVM_DECODER_PARTIAL) {
        const uint8_t *newline = memchr(bytes + at, '\n', len - at);
        size_t end = newline != NULL ? (size_t)(newline - bytes) : len;
        if (d->stage != SKIP) {
            status = take_bytes(d, bytes + at, end - at);
        }
        if (status != MVM_DECODER_PARTIAL || newline == NULL) {
            at = end;
            break;
        }
        status = end_frame(d);
        at = end + 1;
    }
    *used = at;
    return status;
}

enum mvm_decoder_status mvm_decoder_finish(struct mvm_decoder *d)
{
    return end_frame(d);
}
