/* A byte at a time, but for runs of plain characters inside strings. */
#include "mvm_json.h"
#include "mvm_scan.h"
#include <string.h>

enum state {
    VALUE,       /* a value must begin */
    FIRST_VALUE, /* a value, or the end of an array just opened */
    FIRST_KEY,   /* a key, or the end of an object just opened */
    NEXT_KEY,    /* a key, after a comma */
    COLON,
    AFTER, /* after a value inside an array or object: a comma or its end */
    WHOLE, /* the text's value is complete: only white space */
    IN_KEY,
    IN_STRING,
    IN_LITERAL,
    MINUS, /* of a number: a digit must follow */
    ZERO,  /* a leading zero: no digit may follow */
    DIGITS,
    POINT, /* a digit must follow */
    FRACTION,
    EXPONENT, /* a sign or digit must follow */
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
    FAILED,
};

/* Progress inside an escape: 0 none, 1 behind the backslash, 2 to 5 hex digits to come from 4. */
enum { PLAIN = 0, BACKSLASH = 1, HEX = 2, HEX_LAST = 5 };

void mvm_json_init(struct mvm_json *j)
{
    memset(j, 0, sizeof *j);
    j->state = VALUE;
}

void mvm_json_keep(struct mvm_json *j, char *place, size_t cap)
{
    j->place = place;
    j->place_cap = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX;
}

void mvm_json_drop(struct mvm_json *j)
{
    j->place = NULL;
}

bool mvm_json_blank(const struct mvm_json *j)
{
    return j->state == VALUE && j->depth == 0;
}

static enum mvm_json_token fail(struct mvm_json *j, enum mvm_json_error error)
{
    j->state = FAILED;
    j->error = error;
    return MVM_JSON_ERROR;
}

/* ---- structure ---- */

static bool in_object(const struct mvm_json *j)
{
    unsigned level = j->depth - 1u;
    return (j->nesting[level / 8] & 1u << level % 8) != 0;
}

static void after_value(struct mvm_json *j)
{
    j->state = j->depth == 0 ? WHOLE : AFTER;
}

static enum mvm_json_token open(struct mvm_json *j, bool object)
{
    if (j->depth == MVM_JSON_DEPTH) {
        return fail(j, MVM_JSON_TOO_DEEP);
    }
    unsigned bit = 1u << (j->depth % 8);
    uint8_t *byte = &j->nesting[j->depth / 8];
    *byte = (uint8_t)(object ? *byte | bit : *byte & ~bit);
    j->depth++;
    j->state = object ? FIRST_KEY : FIRST_VALUE;
    return object ? MVM_JSON_OBJECT : MVM_JSON_ARRAY;
}

static enum mvm_json_token close(struct mvm_json *j, bool object)
{
    j->depth--;
    after_value(j);
    return object ? MVM_JSON_OBJECT_END : MVM_JSON_ARRAY_END;
}

/* ---- strings ---- */

static enum mvm_json_token begin_string(struct mvm_json *j, enum state state)
{
    j->state = (uint8_t)state;
    j->overflow = false;
    j->place_len = 0;
    return MVM_JSON_PARTIAL;
}

static void put(struct mvm_json *j, const uint8_t *bytes, size_t len)
{
    if (j->place == NULL || j->overflow) {
        return;
    }
    if (len > j->place_cap - j->place_len) {
        j->overflow = true;
        return;
    }
    memcpy(j->place + j->place_len, bytes, len);
    j->place_len += (uint32_t)len;
}

static enum mvm_json_token end_string(struct mvm_json *j)
{
    bool key = j->state == IN_KEY;
    j->text = (struct mvm_text){j->place, j->place_len};
    j->place = NULL;
    if (key) {
        j->state = COLON;
        return MVM_JSON_KEY;
    }
    after_value(j);
    return MVM_JSON_STRING;
}

static void put_code_point(struct mvm_json *j, uint32_t c)
{
    uint8_t b[4];
    if (c < 0x80) {
        b[0] = (uint8_t)c;
        put(j, b, 1);
    } else if (c < 0x800) {
        b[0] = (uint8_t)(0xc0 | c >> 6);
        b[1] = (uint8_t)(0x80 | (c & 0x3f));
        put(j, b, 2);
    } else if (c < 0x10000) {
        b[0] = (uint8_t)(0xe0 | c >> 12);
        b[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        b[2] = (uint8_t)(0x80 | (c & 0x3f));
        put(j, b, 3);
    } else {
        b[0] = (uint8_t)(0xf0 | c >> 18);
        b[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        b[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        b[3] = (uint8_t)(0x80 | (c & 0x3f));
        put(j, b, 4);
    }
}

/* A code unit of a kept string is whole: pairs must match. */
static enum mvm_json_token end_unit(struct mvm_json *j)
{
    uint16_t unit = j->unit;
    bool trailing = unit >= 0xdc00 && unit <= 0xdfff;
    j->escape = PLAIN;
    if (j->place == NULL) {
        return MVM_JSON_PARTIAL;
    }
    if (trailing != (j->surrogate != 0)) {
        return fail(j, MVM_JSON_LONE_SURROGATE);
    }
    if (trailing) {
        put_code_point(j, 0x10000u + ((uint32_t)(j->surrogate - 0xd800) << 10) + (unit - 0xdc00u));
        j->surrogate = 0;
    } else if (unit >= 0xd800 && unit <= 0xdbff) {
        j->surrogate = unit;
    } else {
        put_code_point(j, unit);
    }
    return MVM_JSON_PARTIAL;
}

static int hex(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static enum mvm_json_token escape_byte(struct mvm_json *j, uint8_t byte)
{
    static const char names[] = "\"\\/bfnrt";
    static const uint8_t values[] = {'"', '\\', '/', '\b', '\f', '\n', '\r', '\t'};
    if (j->escape >= HEX) {
        int digit = hex(byte);
        if (digit < 0) {
            return fail(j, MVM_JSON_BAD_ESCAPE);
        }
        j->unit = (uint16_t)(j->unit << 4 | digit);
        return j->escape++ == HEX_LAST ? end_unit(j) : MVM_JSON_PARTIAL;
    }
    if (byte == 'u') {
        j->unit = 0;
        j->escape = HEX;
        return MVM_JSON_PARTIAL;
    }
    if (j->surrogate != 0) {
        return fail(j, MVM_JSON_LONE_SURROGATE);
    }
    const char *at = memchr(names, byte, sizeof names - 1);
    if (at == NULL) {
        return fail(j, MVM_JSON_BAD_ESCAPE);
    }
    j->escape = PLAIN;
    put(j, &values[at - names], 1);
    return MVM_JSON_PARTIAL;
}

static enum mvm_json_token string_byte(struct mvm_json *j, uint8_t byte)
{
    if (!mvm_utf8_whole(&j->utf8) || byte >= 0x80) {
        if (j->escape != PLAIN) {
            return fail(j, MVM_JSON_BAD_ESCAPE);
        }
        if (j->surrogate != 0) {
            return fail(j, MVM_JSON_LONE_SURROGATE);
        }
        if (!mvm_utf8_check(&j->utf8, byte)) {
            return fail(j, MVM_JSON_NOT_UTF8);
        }
        put(j, &byte, 1);
        return MVM_JSON_PARTIAL;
    }
    if (j->escape != PLAIN) {
        return escape_byte(j, byte);
    }
    if (byte == '\\') {
        j->escape = BACKSLASH;
        return MVM_JSON_PARTIAL;
    }
    if (j->surrogate != 0) {
        return fail(j, MVM_JSON_LONE_SURROGATE);
    }
    if (byte == '"') {
        return end_string(j);
    }
    if (byte < 0x20) {
        return fail(j, MVM_JSON_CONTROL);
    }
    put(j, &byte, 1);
    return MVM_JSON_PARTIAL;
}

/* How many bytes can be taken at one go: a run inside a string, in no half-done thing. */
static size_t take_run(struct mvm_json *j, const uint8_t *bytes, size_t len)
{
    if ((j->state != IN_STRING && j->state != IN_KEY) || j->escape != PLAIN || j->surrogate != 0 ||
        !mvm_utf8_whole(&j->utf8)) {
        return 0;
    }
    size_t run = mvm_scan_plain(bytes, len);
    put(j, bytes, run);
    return run;
}

/* ---- numbers ---- */

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* One more digit of an integer; past 64 bits it is a number, but no u64. */
static void add_digit(struct mvm_json *j, uint8_t byte)
{
    uint64_t digit = (uint64_t)(byte - '0');
    if (j->u64 > (UINT64_MAX - digit) / 10) {
        j->is_u64 = false;
    }
    j->u64 = j->u64 * 10 + digit;
}

static enum mvm_json_token begin_number(struct mvm_json *j, uint8_t byte)
{
    j->is_u64 = byte != '-';
    j->u64 = byte == '-' ? 0 : (uint64_t)(byte - '0');
    j->state = byte == '-' ? MINUS : byte == '0' ? ZERO : DIGITS;
    return MVM_JSON_PARTIAL;
}

/* Whether the number goes on with this byte; `j->state` follows. */
static bool number_goes_on(struct mvm_json *j, uint8_t byte)
{
    bool digit = is_digit(byte);
    bool exponent = byte == 'e' || byte == 'E';
    enum state next = FAILED;
    switch ((enum state)j->state) {
    case MINUS:
        next = !digit ? FAILED : byte == '0' ? ZERO : DIGITS;
        break;
    case ZERO:
    case DIGITS:
        if (digit && j->state == DIGITS) {
            add_digit(j, byte);
            return true;
        }
        next = byte == '.' ? POINT : exponent ? EXPONENT : FAILED;
        break;
    case POINT:
    case FRACTION:
        next = digit ? FRACTION : exponent && j->state == FRACTION ? EXPONENT : FAILED;
        break;
    case EXPONENT:
        next = digit ? EXPONENT_DIGITS : byte == '+' || byte == '-' ? EXPONENT_SIGN : FAILED;
        break;
    case EXPONENT_SIGN:
    case EXPONENT_DIGITS:
        next = digit ? EXPONENT_DIGITS : FAILED;
        break;
    case VALUE:
    case FIRST_VALUE:
    case FIRST_KEY:
    case NEXT_KEY:
    case COLON:
    case AFTER:
    case WHOLE:
    case IN_KEY:
    case IN_STRING:
    case IN_LITERAL:
    case FAILED:
        break;
    }
    if (next == FAILED) {
        return false;
    }
    if (next != ZERO && next != DIGITS) {
        j->is_u64 = false;
    }
    j->state = (uint8_t)next;
    return true;
}

static bool number_may_end(const struct mvm_json *j)
{
    return j->state == ZERO || j->state == DIGITS || j->state == FRACTION ||
           j->state == EXPONENT_DIGITS;
}

/* A leading zero with a digit behind it is no number that ends here. */
static enum mvm_json_token end_number(struct mvm_json *j, uint8_t behind)
{
    if (!number_may_end(j) || (j->state == ZERO && is_digit(behind))) {
        return fail(j, MVM_JSON_UNEXPECTED);
    }
    after_value(j);
    return MVM_JSON_NUMBER;
}

/* ---- literals ---- */

static const struct {
    char rest[5];
    int8_t token;
} literals[] = {
    {"rue", MVM_JSON_TRUE},
    {"alse", MVM_JSON_FALSE},
    {"ull", MVM_JSON_NULL},
};

static enum mvm_json_token begin_literal(struct mvm_json *j, uint8_t which)
{
    j->state = IN_LITERAL;
    j->literal = (uint8_t)(which << 4);
    return MVM_JSON_PARTIAL;
}

static enum mvm_json_token literal_byte(struct mvm_json *j, uint8_t byte)
{
    unsigned which = j->literal >> 4;
    unsigned at = j->literal & 15u;
    if (byte != (uint8_t)literals[which].rest[at]) {
        return fail(j, MVM_JSON_UNEXPECTED);
    }
    j->literal++;
    if (literals[which].rest[at + 1] != '\0') {
        return MVM_JSON_PARTIAL;
    }
    after_value(j);
    return (enum mvm_json_token)literals[which].token;
}

/* ---- between tokens ---- */

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static enum mvm_json_token begin_value(struct mvm_json *j, uint8_t byte)
{
    switch (byte) {
    case '{':
        return open(j, true);
    case '[':
        return open(j, false);
    case '"':
        return begin_string(j, IN_STRING);
    case 't':
        return begin_literal(j, 0);
    case 'f':
        return begin_literal(j, 1);
    case 'n':
        return begin_literal(j, 2);
    default:
        if (byte == '-' || is_digit(byte)) {
            return begin_number(j, byte);
        }
        return fail(j, MVM_JSON_UNEXPECTED);
    }
}

static enum mvm_json_token after_byte(struct mvm_json *j, uint8_t byte)
{
    bool object = in_object(j);
    if (byte == ',') {
        j->state = object ? NEXT_KEY : VALUE;
        return MVM_JSON_PARTIAL;
    }
    if (byte == (object ? '}' : ']')) {
        return close(j, object);
    }
    return fail(j, MVM_JSON_UNEXPECTED);
}

static enum mvm_json_token structure_byte(struct mvm_json *j, uint8_t byte)
{
    if (is_space(byte)) {
        return MVM_JSON_PARTIAL;
    }
    if (j->state == AFTER) {
        return after_byte(j, byte);
    }
    if (j->state == WHOLE) {
        return fail(j, MVM_JSON_TRAILING);
    }
    if (j->state == COLON && byte == ':') {
        j->state = VALUE;
        return MVM_JSON_PARTIAL;
    }
    if (j->state == FIRST_VALUE && byte == ']') {
        return close(j, false);
    }
    if (j->state == FIRST_KEY && byte == '}') {
        return close(j, true);
    }
    if (j->state == VALUE || j->state == FIRST_VALUE) {
        return begin_value(j, byte);
    }
    if (j->state != COLON && byte == '"') {
        return begin_string(j, IN_KEY);
    }
    return fail(j, MVM_JSON_UNEXPECTED);
}

/* ---- the driver ---- */

static enum mvm_json_token take_byte(struct mvm_json *j, uint8_t byte)
{
    if (j->state == IN_STRING || j->state == IN_KEY) {
        return string_byte(j, byte);
    }
    return j->state == IN_LITERAL ? literal_byte(j, byte) : structure_byte(j, byte);
}

static bool in_number(const struct mvm_json *j)
{
    return j->state >= MINUS && j->state <= EXPONENT_DIGITS;
}

enum mvm_json_token mvm_json_push(struct mvm_json *j, const uint8_t *bytes, size_t len,
                                  size_t *used)
{
    size_t i = 0;
    enum mvm_json_token token = j->state == FAILED ? MVM_JSON_ERROR : MVM_JSON_PARTIAL;
    while (i < len && token == MVM_JSON_PARTIAL) {
        i += take_run(j, bytes + i, len - i);
        if (i == len) {
            break;
        }
        if (in_number(j) && !number_goes_on(j, bytes[i])) {
            token = end_number(j, bytes[i]);
            break;
        }
        if (!in_number(j)) {
            token = take_byte(j, bytes[i]);
        }
        if (token == MVM_JSON_ERROR) {
            break;
        }
        i++;
    }
    *used = i;
    j->offset += (uint32_t)i;
    return token;
}

enum mvm_json_token mvm_json_finish(struct mvm_json *j)
{
    if (j->state == FAILED) {
        return MVM_JSON_ERROR;
    }
    if (j->depth == 0 && number_may_end(j)) {
        after_value(j);
        return MVM_JSON_NUMBER;
    }
    if (j->state == WHOLE || mvm_json_blank(j)) {
        return MVM_JSON_PARTIAL;
    }
    return fail(j, MVM_JSON_ENDED);
}
