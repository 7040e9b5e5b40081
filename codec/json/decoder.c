/*
 * The parser returns tokens; the state here determines which ones are allowed. The schema defines
 * the variants and fields.
 */
#include "json_template.h"
#include "mvm_decoder.h"
#include "mvm_run.h"
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
    if (!mvm_json_blank(&d->json) || d->json.offset != 0) {
        (mvm_json_init)(&d->json); /* in brackets: init has compared the limits, for its caller */
    }
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

/* Bytes that a text may have: its limit, or what the fields before it have left. */
static uint32_t text_cap(const struct mvm_decoder *d, const struct mvm_field *field)
{
    uint32_t room = d->fields_cap - d->fields_len;
    return room < field->max ? room : field->max;
}

/* The value of field `at`, which may be one past an array's last. */
static enum mvm_decoder_error expect_value(struct mvm_decoder *d, unsigned at, enum state state)
{
    d->at = (uint8_t)at;
    if (at < fields_end(d) && mvm_is_text(&mvm_fields[at])) {
        mvm_json_keep(&d->json, d->fields + d->fields_len, text_cap(d, &mvm_fields[at]));
    } else {
        mvm_json_drop(&d->json);
    }
    return go_to(d, state);
}

/* Whether the last key or string is `name`. */
static bool named(const struct mvm_decoder *d, const char *name, size_t len)
{
    return d->json.text.len == len && !d->json.overflow && memcmp(d->name, name, len) == 0;
}

static void begin_message(struct mvm_decoder *d, enum mvm_kind kind)
{
    const struct mvm_text none = {NULL, 0};
    struct mvm_message *m = &d->message;
    m->kind = kind;
    m->text = none; /* separately: a chain of assignments copies what was just stored */
    m->id = none;
    m->hello = (struct mvm_hello){none, none, none, none};
    m->build.flake_ref = none;
    m->build.attr = none;
    m->build.has_timeout = false;
    m->build.timeout_secs = 0;
    m->build.keep = MVM_FLAG_ABSENT;
    m->build.has_source = false;
}

static enum mvm_decoder_error accept_variant(struct mvm_decoder *d)
{
    enum mvm_direction direction = (enum mvm_direction)d->direction;
    unsigned kind = mvm_first_kind(direction);
    while (!named(d, mvm_variants[kind].name, mvm_variants[kind].name_len)) {
        if (kind == mvm_last_kind(direction)) {
            return MVM_DECODER_UNKNOWN_VARIANT;
        }
        kind++;
    }
    begin_message(d, (enum mvm_kind)kind);
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error accept_message(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_OBJECT) {
        keep_name(d);
        return go_to(d, VARIANT);
    }
    if (token != MVM_JSON_STRING) {
        return MVM_DECODER_NOT_A_MESSAGE;
    }
    enum mvm_decoder_error error = accept_variant(d);
    if (error == MVM_DECODER_FINE && variant_of(d)->count > 0) {
        return MVM_DECODER_NEEDS_FIELDS;
    }
    d->state = END;
    return error;
}

static enum mvm_decoder_error accept_member(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_KEY) {
        return MVM_DECODER_NOT_A_MESSAGE;
    }
    enum mvm_decoder_error error = accept_variant(d);
    d->state = variant_of(d)->count > 0 ? FIELDS : NOTHING;
    return error;
}

static enum mvm_decoder_error accept_fields(struct mvm_decoder *d, enum mvm_json_token token)
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
    return (d->seen & mvm_fields[at].bit) != 0;
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
    d->seen |= mvm_fields[at].bit;
    return expect_value(d, at, VALUE);
}

static enum mvm_decoder_error accept_name(struct mvm_decoder *d, enum mvm_json_token token)
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

static void store_timeout(struct mvm_decoder *d, uint64_t secs)
{
    d->message.build.has_timeout = true;
    d->message.build.timeout_secs = secs;
}

static enum mvm_decoder_error accept_timeout(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_NUMBER || !d->json.is_u64) {
        return refuse_field(d, d->at, MVM_DECODER_WRONG_TYPE);
    }
    store_timeout(d, d->json.u64);
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error accept_flag(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_TRUE && token != MVM_JSON_FALSE) {
        return refuse_field(d, d->at, MVM_DECODER_WRONG_TYPE);
    }
    *mvm_flag_field(&d->message, &mvm_fields[d->at]) =
        token == MVM_JSON_TRUE ? MVM_FLAG_TRUE : MVM_FLAG_FALSE;
    return MVM_DECODER_FINE;
}

static void store_text(struct mvm_decoder *d, const struct mvm_field *field, const char *bytes,
                       size_t len)
{
    struct mvm_text *text = mvm_text_field(&d->message, field);
    text->bytes = bytes;
    text->len = len;
    d->fields_len += (uint32_t)len;
}

static enum mvm_decoder_error accept_text(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token != MVM_JSON_STRING) {
        return refuse_field(d, d->at, MVM_DECODER_WRONG_TYPE);
    }
    if (d->json.overflow) {
        return refuse_field(d, d->at, MVM_DECODER_FIELD_TOO_LONG);
    }
    store_text(d, &mvm_fields[d->at], d->json.text.bytes, d->json.text.len);
    return MVM_DECODER_FINE;
}

static enum mvm_decoder_error accept_value(struct mvm_decoder *d, enum mvm_json_token token)
{
    const struct mvm_field *field = &mvm_fields[d->at];
    if (token == MVM_JSON_NULL && field->presence != MVM_PRESENCE_REQUIRED) {
        return MVM_DECODER_FINE;
    }
    if (field->type == MVM_TYPE_TIMEOUT) {
        return accept_timeout(d, token);
    }
    return field->type == MVM_TYPE_FLAG ? accept_flag(d, token) : accept_text(d, token);
}

static enum mvm_decoder_error accept_member_value(struct mvm_decoder *d, enum mvm_json_token token)
{
    enum mvm_decoder_error error = accept_value(d, token);
    expect_name(d);
    return error;
}

static enum mvm_decoder_error accept_element(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_ARRAY_END) {
        return end_elements(d);
    }
    if (d->at == fields_end(d)) {
        return MVM_DECODER_EXTRA_ELEMENT;
    }
    enum mvm_decoder_error error = accept_value(d, token);
    return error != MVM_DECODER_FINE ? error : expect_value(d, d->at + 1u, ELEMENT);
}

/* The value is over when nothing is open but the message's two objects. */
static enum mvm_decoder_error accept_ignored(struct mvm_decoder *d)
{
    return d->json.depth > 2 ? MVM_DECODER_FINE : expect_name(d);
}

static enum mvm_decoder_error accept_json(struct mvm_decoder *d, enum mvm_json_token token)
{
    switch ((enum state)d->state) { /* COVERAGE: each state has its case */
    case START:
        return accept_message(d, token);
    case VARIANT:
        return accept_member(d, token);
    case NOTHING:
        return token == MVM_JSON_NULL ? go_to(d, CLOSE) : MVM_DECODER_NO_FIELDS;
    case FIELDS:
        return accept_fields(d, token);
    case NAME:
        return accept_name(d, token);
    case IGNORED:
        return accept_ignored(d);
    case ELEMENT:
        return accept_element(d, token);
    case VALUE:   /* handled by the caller, … */
    case END:     /* … and no token comes … */
    case SKIPPED: /* … in these two */
    case CLOSE:
        break;
    }
    return token == MVM_JSON_OBJECT_END ? go_to(d, END) : MVM_DECODER_NOT_A_MESSAGE;
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

static enum mvm_decoder_status accept_token(struct mvm_decoder *d, enum mvm_json_token token)
{
    if (token == MVM_JSON_PARTIAL) {
        return MVM_DECODER_PARTIAL;
    }
    if (token == MVM_JSON_ERROR) {
        return refuse_at(d, MVM_DECODER_JSON, d->json.offset);
    }
    enum mvm_decoder_error error =
        d->state == VALUE ? accept_member_value(d, token) : accept_json(d, token);
    return error == MVM_DECODER_FINE ? MVM_DECODER_PARTIAL : refuse_at(d, error, d->json.begun);
}

/* What is left of a frame's limit. */
static size_t frame_room(const struct mvm_decoder *d)
{
    static const uint32_t max[] = {[MVM_DIRECTION_REQUESTS] = MVM_REQUEST_FRAME_MAX,
                                   [MVM_DIRECTION_RESPONSES] = MVM_RESPONSE_FRAME_MAX};
    return max[d->direction] - d->json.offset;
}

enum mvm_decoder_status mvm_decoder_finish(struct mvm_decoder *d)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    if (d->state != SKIPPED && !mvm_json_blank(&d->json)) {
        status = accept_token(d, mvm_json_finish(&d->json));
        if (status == MVM_DECODER_PARTIAL) {
            status = MVM_DECODER_MESSAGE;
        }
    }
    begin_frame(d);
    return status;
}

/* ---- frames that follow the template --------------------------------------------------------- */

struct input {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *limit;    /* how far the frame may reach, without its newline; up to `end` */
    const uint8_t *line_end; /* the next newline, or the end; NULL or before `at`: not known yet */
};

/* In VALUE: a text's characters or a number's digits, without a search for the end of the line. */
static enum mvm_decoder_status push_run(struct mvm_decoder *d, struct input *in)
{
    size_t used;
    enum mvm_json_token token =
        mvm_json_push_run(&d->json, in->at, (size_t)(in->limit - in->at), &used);
    in->at += used;
    return accept_token(d, token);
}

#if !defined(__OPTIMIZE_SIZE__)
enum { DEPTH = 2 }; /* of a frame's fields: its own object, and theirs */

static inline uint64_t word_at(const void *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* As memcmp(3) == 0, inline: literals are short, and the call would cost more than the comparison.
 * The last word overlaps the one before. */
static inline bool is_same(const uint8_t *at, const char *literal, size_t len)
{
    size_t n = 0;
    if (len < sizeof(uint64_t)) {
        while (n < len && at[n] == (uint8_t)literal[n]) {
            n++;
        }
        return n == len;
    }
    const size_t last = len - sizeof(uint64_t);
    for (; n < last; n += sizeof(uint64_t)) {
        if (word_at(at + n) != word_at(literal + n)) {
            return false;
        }
    }
    return word_at(at + last) == word_at(literal + last);
}

/* Whether the input at `at` continues with a step's literal, without its comma if `bare`. */
static bool is_next(const struct input *in, const uint8_t *at, const struct mvm_step *step,
                    unsigned bare)
{
    size_t len = step->len - bare;
    return (size_t)(in->limit - at) >= len && is_same(at, step->literal + bare, len);
}

/* The same for the step that ends the frame: its newline may be beyond the limit. */
static bool is_end_next(const struct input *in, const uint8_t *at, const struct mvm_step *step)
{
    size_t len = step->len;
    return (size_t)(in->limit - at) >= len - 1 && (size_t)(in->end - at) >= len &&
           is_same(at, step->literal, len);
}

/* The step that matches the input at `at`, from `step` on in its kind; NULL: none. Literals differ
 * in their third byte. */
static const struct mvm_step *next_step(const struct input *in, const uint8_t *at,
                                        const struct mvm_step *step, unsigned bare)
{
    if (in->end - at < 3) {
        return NULL;
    }
    for (; step->field != MVM_STEP_END; step++) {
        if (step->literal[2 + bare] == (char)at[2]) {
            return is_next(in, at, step, bare) ? step : NULL;
        }
    }
    return is_end_next(in, at, step) ? step : NULL;
}

/* The first step of the kind that the input seems to be, by its third byte, in which kinds differ,
 * too. NULL: none. */
static const struct mvm_step *first_step(const struct mvm_decoder *d, const struct input *in)
{
    unsigned last = mvm_last_kind((enum mvm_direction)d->direction);
    if (in->end - in->at < 3) {
        return NULL;
    }
    for (unsigned kind = mvm_first_kind((enum mvm_direction)d->direction); kind <= last; kind++) {
        const struct mvm_step *step = &mvm_steps[mvm_first_steps[kind]];
        if (step->literal[2] == (char)in->at[2]) {
            return step;
        }
    }
    return NULL;
}

/* The first step that may match the input; NULL: no step begins at the decoder's position. */
static const struct mvm_step *enter_template(struct mvm_decoder *d, const struct input *in,
                                             unsigned *bare)
{
    *bare = 0;
    if (d->state == START && d->json.offset == 0) {
        const struct mvm_step *step = first_step(d, in);
        if (step != NULL) {
            begin_message(d, (enum mvm_kind)step->kind);
        }
        return step;
    }
    if (d->state != NAME) {
        return NULL;
    }
    *bare = mvm_json_at_first_key(&d->json);
    return *bare == 1 || mvm_json_at_next(&d->json)
               ? &mvm_steps[mvm_first_steps[d->message.kind]] + 1
               : NULL;
}

static bool is_complete(const struct mvm_decoder *d)
{
    unsigned required = variant_of(d)->required;
    return (d->seen & required) == required;
}

/* A text without an escape, and its closing quote: how many bytes, or 0 if it is another, or not
 * all here. */
static size_t follow_text(struct mvm_decoder *d, const uint8_t *at, const uint8_t *limit,
                          const struct mvm_field *field)
{
    char *place = d->fields + d->fields_len;
    size_t cap = text_cap(d, field);
    size_t len = (size_t)(limit - at);
    size_t run = mvm_run_copy((uint8_t *)place, at, len < cap ? len : cap);
    if (run == len || at[run] != '"') {
        return 0;
    }
    store_text(d, field, place, run);
    return run + 1;
}

/* A whole number, likewise. */
static size_t follow_number(struct mvm_decoder *d, const uint8_t *at, const uint8_t *limit)
{
    size_t len = (size_t)(limit - at);
    uint64_t value = 0;
    bool fits = true;
    size_t run = len > 0 && *at != '0' ? mvm_json_digits(at, len, &value, &fits) : 0;
    if (run == 0 || run == len || !fits || (at[run] != ',' && at[run] != '}')) {
        return 0;
    }
    store_timeout(d, value);
    return run;
}

static size_t follow_value(struct mvm_decoder *d, const uint8_t *at, const uint8_t *limit,
                           const struct mvm_field *field)
{
    if (mvm_is_text(field)) {
        return follow_text(d, at, limit, field);
    }
    return field->type == MVM_TYPE_TIMEOUT ? follow_number(d, at, limit) : 0;
}

/* The value of a field: pushed, after the parser has advanced by `behind` bytes. */
static enum mvm_decoder_status push_value(struct mvm_decoder *d, struct input *in, unsigned field,
                                          size_t behind)
{
    expect_value(d, field, VALUE);
    mvm_json_jump(&d->json, behind, DEPTH,
                  mvm_is_text(&mvm_fields[field]) ? MVM_JSON_IN_STRING : MVM_JSON_AT_VALUE);
    return push_run(d, in);
}

/* Moves the parser to the place, between two tokens, at which the input left the template. */
static void leave_template(struct mvm_decoder *d, struct input *in, const uint8_t *at,
                           unsigned bare)
{
    if (at > in->at) {
        expect_name(d);
        mvm_json_jump(&d->json, (size_t)(at - in->at), DEPTH,
                      bare == 1 ? MVM_JSON_AT_FIRST_KEY : MVM_JSON_AT_NEXT);
        in->at = at;
    }
}

/* Follows the template as far as the input matches, then puts the parser into the state that
 * pushing these bytes would. Meanwhile `in->at` is the parser's position. */
static enum mvm_decoder_status follow(struct mvm_decoder *d, struct input *in)
{
    unsigned bare;
    const uint8_t *at = in->at;
    const struct mvm_step *step = enter_template(d, in, &bare);
    for (; step != NULL && (step = next_step(in, at, step, bare)) != NULL; step++) {
        if (step->field < MVM_JSON_FIELDS) {
            const struct mvm_field *field = &mvm_fields[step->field];
            if ((d->seen & field->bit) != 0) {
                break;
            }
            d->seen |= field->bit;
            at += step->len - bare;
            size_t len = follow_value(d, at, in->limit, field);
            if (len == 0) {
                size_t behind = (size_t)(at - in->at);
                in->at = at;
                return push_value(d, in, step->field, behind);
            }
            at += len;
            bare = 0;
        } else if (step->field == MVM_STEP_HEAD) {
            at += step->len;
            bare = 1;
        } else if (is_complete(d)) {
            in->at = at + step->len;
            begin_frame(d);
            return MVM_DECODER_MESSAGE;
        } else {
            break;
        }
    }
    leave_template(d, in, at, bare);
    return MVM_DECODER_PARTIAL;
}
#else
/* A kilobyte less: the parser does it all. */
static enum mvm_decoder_status follow(struct mvm_decoder *d, struct input *in)
{
    (void)d, (void)in;
    return MVM_DECODER_PARTIAL;
}
#endif

/* ---- push ----------------------------------------------------------------------------------- */

/* Bytes of one line, up to the end of a token. */
static enum mvm_decoder_status push_part(struct mvm_decoder *d, struct input *in)
{
    bool too_long = in->line_end > in->limit;
    size_t used;
    if (mvm_json_blank(&d->json)) {
        keep_name(d); /* here, not when the last frame ended: the decoder may have moved since */
    }
    const uint8_t *end = too_long ? in->limit : in->line_end;
    enum mvm_decoder_status status =
        accept_token(d, mvm_json_push(&d->json, in->at, (size_t)(end - in->at), &used));
    in->at += used;
    if (status == MVM_DECODER_PARTIAL && too_long && in->at == end) {
        status = refuse_at(d, MVM_DECODER_FRAME_TOO_LONG, d->json.offset);
    }
    return status;
}

/* Up to the end of a token, or of the line; or the newline. */
static enum mvm_decoder_status push_line(struct mvm_decoder *d, struct input *in)
{
    if (in->line_end == NULL || in->line_end < in->at) {
        const uint8_t *newline = memchr(in->at, '\n', (size_t)(in->end - in->at));
        in->line_end = newline != NULL ? newline : in->end;
    }
    if (in->at == in->line_end) {
        in->at++;
        return mvm_decoder_finish(d);
    }
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    if (d->state != SKIPPED) {
        status = push_part(d, in);
    }
    if (d->state == SKIPPED) {
        in->at = in->line_end;
    }
    return status;
}

enum mvm_decoder_status mvm_decoder_push(struct mvm_decoder *d, const uint8_t *bytes, size_t len,
                                         size_t *used)
{
    enum mvm_decoder_status status = MVM_DECODER_PARTIAL;
    struct input in = {.at = bytes, .end = len > 0 ? bytes + len : bytes, .line_end = NULL};
    while (status == MVM_DECODER_PARTIAL && in.at < in.end) {
        const uint8_t *before = in.at;
        size_t room = frame_room(d);
        in.limit = (size_t)(in.end - in.at) < room ? in.end : in.at + room;
        status = d->state == VALUE ? push_run(d, &in) : follow(d, &in);
        if (status == MVM_DECODER_PARTIAL && in.at == before) {
            status = push_line(d, &in);
        }
    }
    *used = (size_t)(in.at - bytes);
    return status;
}
