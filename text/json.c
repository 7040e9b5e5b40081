/*
 * The parser: a state, a bit for each open level, and one function for each family of states.
 * Each consumes some bytes and returns a token, an error, or PARTIAL to be called for the next
 * byte.
 */
#include "mvm_escape.h"
#include "mvm_json.h"
#include "mvm_run.h"
#include <string.h>

enum json_state {
    BLANK = MVM_JSON_STATE_BLANK,         /* only white space so far */
    FIRST_KEY = MVM_JSON_STATE_FIRST_KEY, /* a key, or the end of the object */
    NEXT = MVM_JSON_STATE_NEXT,           /* a comma, or the end of what is open */
    NEXT_VALUE,                           /* a value must come */
    FIRST_VALUE,                          /* a value, or the end of the array */
    NEXT_KEY,                             /* a key must come */
    COLON,
    DONE, /* the value is whole: nothing but white space may come */
    /* in the middle of a token from here on */
    STRING,
    ESCAPE,   /* after the backslash */
    HEX,      /* in the four digits */
    LOW_HALF, /* after a leading surrogate: \ of the other half */
    LOW_HALF_U,
    LITERAL,
    MINUS, /* numbers, by what came last */
    ZERO,
    INTEGER,
    POINT,
    FRACTION,
    EXPONENT_MARK,
    EXPONENT_SIGN,
    EXPONENT,
    NO_JSON,
};

_Static_assert(MVM_JSON_DEPTH <= UINT8_MAX, "depth is a byte");

static const char literals[][6] = {"true", "false", "null"};

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

void(mvm_json_init)(struct mvm_json *j)
{
    memset(j, 0, offsetof(struct mvm_json, nesting));
}

static enum mvm_json_token fail(struct mvm_json *j, enum mvm_json_error error)
{
    j->error = error;
    j->state = NO_JSON;
    return MVM_JSON_ERROR;
}

static enum mvm_json_token go_on(struct mvm_json *j, enum json_state state)
{
    j->state = (uint8_t)state;
    return MVM_JSON_PARTIAL;
}

/* ---- structure ------------------------------------------------------------------------------ */

static bool in_object(const struct mvm_json *j)
{
    unsigned level = j->depth - 1u;
    return (j->nesting[level / 8] >> level % 8 & 1) != 0;
}

static enum mvm_json_token end_value(struct mvm_json *j, enum mvm_json_token token)
{
    j->state = j->depth > 0 ? NEXT : DONE;
    return token;
}

static enum mvm_json_token open_level(struct mvm_json *j, bool object)
{
    if (j->depth == MVM_JSON_DEPTH) {
        return fail(j, MVM_JSON_TOO_DEEP);
    }
    uint8_t *byte = &j->nesting[j->depth / 8];
    unsigned bit = 1u << j->depth % 8;
    *byte = (uint8_t)(object ? *byte | bit : *byte & ~bit);
    j->depth++;
    j->state = object ? FIRST_KEY : FIRST_VALUE;
    return object ? MVM_JSON_OBJECT : MVM_JSON_ARRAY;
}

static enum mvm_json_token close_level(struct mvm_json *j, uint8_t byte)
{
    bool object = in_object(j);
    if (byte != (object ? '}' : ']')) {
        return fail(j, MVM_JSON_UNEXPECTED);
    }
    j->depth--;
    return end_value(j, object ? MVM_JSON_OBJECT_END : MVM_JSON_ARRAY_END);
}

static enum mvm_json_token begin_string(struct mvm_json *j, enum mvm_json_token token)
{
    j->token = (uint8_t)token;
    j->text = (struct mvm_text){j->place, 0};
    j->overflow = false;
    return go_on(j, STRING);
}

static enum mvm_json_token begin_literal(struct mvm_json *j, enum mvm_json_token token)
{
    j->token = (uint8_t)token;
    j->count = 1;
    return go_on(j, LITERAL);
}

static enum mvm_json_token begin_number(struct mvm_json *j, uint8_t byte)
{
    j->is_u64 = byte != '-';
    j->u64 = (uint64_t)byte - '0';
    return go_on(j, byte == '-' ? MINUS : byte == '0' ? ZERO : INTEGER);
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static enum mvm_json_token begin_value(struct mvm_json *j, uint8_t byte)
{
    switch (byte) {
    case '{':
        return open_level(j, true);
    case '[':
        return open_level(j, false);
    case '"':
        return begin_string(j, MVM_JSON_STRING);
    case 't':
        return begin_literal(j, MVM_JSON_TRUE);
    case 'f':
        return begin_literal(j, MVM_JSON_FALSE);
    case 'n':
        return begin_literal(j, MVM_JSON_NULL);
    default:
        return is_digit(byte) || byte == '-' ? begin_number(j, byte) : fail(j, MVM_JSON_UNEXPECTED);
    }
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* A byte between two tokens. */
static enum mvm_json_token accept_structure(struct mvm_json *j, uint8_t byte)
{
    switch (j->state) {
    case BLANK:
    case NEXT_VALUE:
        return begin_value(j, byte);
    case FIRST_VALUE:
        return byte == ']' ? close_level(j, byte) : begin_value(j, byte);
    case FIRST_KEY:
        if (byte == '}') {
            return close_level(j, byte);
        }
        break;
    case NEXT_KEY:
        break;
    case COLON:
        return byte == ':' ? go_on(j, NEXT_VALUE) : fail(j, MVM_JSON_UNEXPECTED);
    case NEXT:
        if (byte == ',') {
            return go_on(j, in_object(j) ? NEXT_KEY : NEXT_VALUE);
        }
        return close_level(j, byte);
    default: /* DONE */
        return fail(j, MVM_JSON_TRAILING);
    }
    return byte == '"' ? begin_string(j, MVM_JSON_KEY) : fail(j, MVM_JSON_UNEXPECTED);
}

/* ---- strings -------------------------------------------------------------------------------- */

static void store(struct mvm_json *j, const uint8_t *bytes, size_t len)
{
    if (j->place == NULL) {
        return;
    }
    size_t room = j->place_cap - j->text.len;
    if (len > room) {
        len = room;
        j->overflow = true;
    }
    memcpy(j->place + j->text.len, bytes, len);
    j->text.len += len;
}

/* Consumes the plain bytes at the front of bytes[0 … len-1], and returns their number. */
static size_t store_run(struct mvm_json *j, const uint8_t *bytes, size_t len)
{
    if (j->place == NULL) {
        return mvm_run_copy(NULL, bytes, len);
    }
    size_t room = j->place_cap - j->text.len;
    size_t cap = len < room ? len : room;
    size_t run = mvm_run_copy((uint8_t *)j->place + j->text.len, bytes, cap);
    j->text.len += run;
    if (len > room) { /* what does not fit may be plain, too */
        size_t rest = mvm_run_copy(NULL, bytes + run, len - run);
        store(j, bytes + run, rest);
        run += rest;
    }
    return run;
}

static void store_character(struct mvm_json *j, uint32_t code)
{
    uint8_t bytes[4];
    store(j, bytes, mvm_utf8_put(bytes, code));
}

static enum mvm_json_token end_string(struct mvm_json *j)
{
    j->place = NULL;
    if (j->token == MVM_JSON_KEY) {
        j->state = COLON;
        return MVM_JSON_KEY;
    }
    return end_value(j, MVM_JSON_STRING);
}

/* Unescapes text with many escapes: true if some bytes were consumed. */
static bool store_escapes(struct mvm_json *j, struct input *in)
{
    size_t used = 0;
    if (j->place != NULL && in->at < in->end && *in->at == '\\') {
        j->text.len +=
            mvm_unescape_copy((uint8_t *)j->place + j->text.len, j->place_cap - j->text.len, in->at,
                              (size_t)(in->end - in->at), &used);
        in->at += used;
    }
    return used > 0;
}

/* The front of the input that needs no state but STRING, and the quote that ends the string. */
static enum mvm_json_token read_run(struct mvm_json *j, struct input *in)
{
    do {
        in->at += store_run(j, in->at, (size_t)(in->end - in->at));
    } while (store_escapes(j, in));
    if (in->at < in->end && *in->at == '"') {
        in->at++;
        return end_string(j);
    }
    return MVM_JSON_PARTIAL;
}

static enum mvm_json_token read_string(struct mvm_json *j, struct input *in)
{
    if (mvm_utf8_whole(&j->utf8)) {
        enum mvm_json_token token = read_run(j, in);
        if (token != MVM_JSON_PARTIAL || in->at == in->end) {
            return token;
        }
        if (*in->at == '\\') {
            in->at++;
            return go_on(j, ESCAPE);
        }
        if (*in->at < ' ') {
            return fail(j, MVM_JSON_CONTROL);
        }
    }
    /* a character that is ill formed, or that the end of these bytes or of the last cuts in two */
    if (!mvm_utf8_check(&j->utf8, *in->at)) {
        return fail(j, MVM_JSON_NOT_UTF8);
    }
    store(j, in->at, 1);
    in->at++;
    return MVM_JSON_PARTIAL;
}

static enum mvm_json_token accept_escape(struct mvm_json *j, uint8_t byte)
{
    if (byte == 'u') {
        j->unit = 0;
        j->count = 0;
        return go_on(j, HEX);
    }
    uint8_t meaning = (uint8_t)mvm_escape_meaning(byte);
    if (meaning == '\0') {
        return fail(j, MVM_JSON_BAD_ESCAPE);
    }
    store(j, &meaning, 1);
    return go_on(j, STRING);
}

static bool is_leading(uint16_t unit)
{
    return (unit & 0xfc00) == 0xd800;
}

static bool is_trailing(uint16_t unit)
{
    return (unit & 0xfc00) == 0xdc00;
}

/* After the fourth digit. A dropped string's units are not checked. */
static enum mvm_json_token end_escape(struct mvm_json *j)
{
    if (j->place == NULL) {
        return go_on(j, STRING);
    }
    if (is_trailing(j->unit) != (j->surrogate != 0)) {
        return fail(j, MVM_JSON_LONE_SURROGATE);
    }
    if (is_leading(j->unit)) {
        j->surrogate = j->unit;
        return go_on(j, LOW_HALF);
    }
    uint32_t code = j->unit;
    if (j->surrogate != 0) {
        code = 0x10000 + ((j->surrogate & 0x3ffu) << 10 | (j->unit & 0x3ffu));
        j->surrogate = 0;
    }
    store_character(j, code);
    return go_on(j, STRING);
}

static enum mvm_json_token accept_hex(struct mvm_json *j, uint8_t byte)
{
    unsigned digit = mvm_hex_digit(byte);
    if (digit == MVM_NO_HEX_DIGIT) {
        return fail(j, MVM_JSON_BAD_ESCAPE);
    }
    j->unit = (uint16_t)((unsigned)j->unit << 4 | digit);
    j->count++;
    return j->count < 4 ? MVM_JSON_PARTIAL : end_escape(j);
}

static enum mvm_json_token accept_low_half(struct mvm_json *j, uint8_t byte)
{
    if (byte != (j->state == LOW_HALF ? '\\' : 'u')) {
        return fail(j, MVM_JSON_LONE_SURROGATE);
    }
    if (j->state == LOW_HALF) {
        return go_on(j, LOW_HALF_U);
    }
    return accept_escape(j, byte);
}

/* ---- literals and numbers ------------------------------------------------------------------- */

static enum mvm_json_token accept_literal(struct mvm_json *j, uint8_t byte)
{
    const char *literal = literals[j->token - MVM_JSON_TRUE];
    if (byte != (uint8_t)literal[j->count]) {
        return fail(j, MVM_JSON_UNEXPECTED);
    }
    j->count++;
    return literal[j->count] != '\0' ? MVM_JSON_PARTIAL
                                     : end_value(j, (enum mvm_json_token)j->token);
}

size_t mvm_json_digits(const uint8_t *bytes, size_t len, uint64_t *value, bool *fits)
{
    uint64_t sum = *value;
    size_t n = 0;
    for (; n < len && is_digit(bytes[n]); n++) {
        unsigned digit = bytes[n] - (unsigned)'0';
        if (sum >= UINT64_MAX / 10 && (sum > UINT64_MAX / 10 || digit > UINT64_MAX % 10)) {
            *fits = false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return n;
}

enum number_byte { NUMBER_ZERO, NUMBER_DIGIT, NUMBER_POINT, NUMBER_E, NUMBER_SIGN, NUMBER_OTHER };

static enum number_byte number_byte(uint8_t byte)
{
    if (is_digit(byte)) {
        return byte == '0' ? NUMBER_ZERO : NUMBER_DIGIT;
    }
    if (byte == '.') {
        return NUMBER_POINT;
    }
    if (byte == 'e' || byte == 'E') {
        return NUMBER_E;
    }
    return byte == '+' || byte == '-' ? NUMBER_SIGN : NUMBER_OTHER;
}

/* The next state, by state and byte; DONE: the number has ended before the byte. */
static const uint8_t number_next[][NUMBER_OTHER + 1] = {
    /*                           0         1-9       .       e E            + -            other */
    [MINUS - MINUS] = {ZERO, INTEGER, NO_JSON, NO_JSON, NO_JSON, NO_JSON},
    [ZERO - MINUS] = {DONE, DONE, POINT, EXPONENT_MARK, DONE, DONE},
    [INTEGER - MINUS] = {INTEGER, INTEGER, POINT, EXPONENT_MARK, DONE, DONE},
    [POINT - MINUS] = {FRACTION, FRACTION, NO_JSON, NO_JSON, NO_JSON, NO_JSON},
    [FRACTION - MINUS] = {FRACTION, FRACTION, DONE, EXPONENT_MARK, DONE, DONE},
    [EXPONENT_MARK - MINUS] = {EXPONENT, EXPONENT, NO_JSON, NO_JSON, EXPONENT_SIGN, NO_JSON},
    [EXPONENT_SIGN - MINUS] = {EXPONENT, EXPONENT, NO_JSON, NO_JSON, NO_JSON, NO_JSON},
    [EXPONENT - MINUS] = {EXPONENT, EXPONENT, DONE, DONE, DONE, DONE},
};

static enum mvm_json_token read_number(struct mvm_json *j, struct input *in)
{
    if (j->state == INTEGER) {
        in->at += mvm_json_digits(in->at, (size_t)(in->end - in->at), &j->u64, &j->is_u64);
        if (in->at == in->end) {
            return MVM_JSON_PARTIAL;
        }
    }
    enum json_state next = (enum json_state)number_next[j->state - MINUS][number_byte(*in->at)];
    if (next == NO_JSON) {
        return fail(j, MVM_JSON_UNEXPECTED);
    }
    if (next == DONE) {
        return end_value(j, MVM_JSON_NUMBER);
    }
    if (next == INTEGER) { /* after a minus */
        return go_on(j, next);
    }
    j->is_u64 = false;
    in->at++;
    return go_on(j, next);
}

/* ---- the driver ----------------------------------------------------------------------------- */

static enum mvm_json_token accept_single(struct mvm_json *j, uint8_t byte)
{
    switch (j->state) {
    case ESCAPE:
        return accept_escape(j, byte);
    case HEX:
        return accept_hex(j, byte);
    case LOW_HALF:
    case LOW_HALF_U:
        return accept_low_half(j, byte);
    case LITERAL:
        return accept_literal(j, byte);
    default:
        return accept_structure(j, byte);
    }
}

enum mvm_json_token mvm_json_push(struct mvm_json *j, const uint8_t *bytes, size_t len,
                                  size_t *used)
{
    struct input in = {bytes, len > 0 ? bytes + len : bytes};
    enum mvm_json_token token = j->state == NO_JSON ? MVM_JSON_ERROR : MVM_JSON_PARTIAL;
    while (token == MVM_JSON_PARTIAL && in.at < in.end) {
        if (j->state == STRING) {
            token = read_string(j, &in);
        } else if (j->state >= MINUS) {
            token = read_number(j, &in);
        } else if (j->state > DONE || !is_space(*in.at)) {
            if (j->state <= DONE) {
                j->begun = j->offset + (uint32_t)(in.at - bytes);
            }
            token = accept_single(j, *in.at);
            in.at += token == MVM_JSON_ERROR ? 0 : 1;
        } else {
            in.at++;
        }
    }
    *used = (size_t)(in.at - bytes);
    j->offset += (uint32_t)*used;
    return token;
}

enum mvm_json_token mvm_json_push_run(struct mvm_json *j, const uint8_t *bytes, size_t len,
                                      size_t *used)
{
    struct input in = {bytes, len > 0 ? bytes + len : bytes};
    enum mvm_json_token token = MVM_JSON_PARTIAL;
    if (j->state == STRING && mvm_utf8_whole(&j->utf8)) {
        token = read_run(j, &in);
    }
    *used = (size_t)(in.at - bytes);
    j->offset += (uint32_t)*used;
    return token;
}

void mvm_json_jump(struct mvm_json *j, size_t len, uint8_t depth, enum mvm_json_point point)
{
    j->begun = j->offset + (uint32_t)len - 1;
    j->offset += (uint32_t)len;
    j->nesting[0] |= (uint8_t)((1u << depth) - 1);
    j->depth = depth;
    if (point == MVM_JSON_IN_STRING) {
        begin_string(j, MVM_JSON_STRING);
    } else {
        static const uint8_t states[] = {[MVM_JSON_AT_FIRST_KEY] = FIRST_KEY,
                                         [MVM_JSON_AT_VALUE] = NEXT_VALUE,
                                         [MVM_JSON_AT_NEXT] = NEXT};
        j->state = states[point];
    }
}

enum mvm_json_token mvm_json_finish(struct mvm_json *j)
{
    if (j->state == BLANK || j->state == DONE) {
        return MVM_JSON_PARTIAL;
    }
    bool number = j->state >= MINUS && j->state < NO_JSON &&
                  number_next[j->state - MINUS][NUMBER_OTHER] == DONE;
    if (number && j->depth == 0) {
        return end_value(j, MVM_JSON_NUMBER);
    }
    return j->state == NO_JSON ? MVM_JSON_ERROR : fail(j, MVM_JSON_ENDED);
}
