/*
 * An incremental JSON parser (RFC 8259) that accepts exactly what serde_json 1.0 accepts.
 * Freestanding: no heap, no recursion; nesting takes one bit a level. It parses frames, nix's
 * --json output and the policy file.
 *
 * Push bytes, any number at a time; each call ends at the first token, or when the bytes are used
 * up. The tokens are the same however the bytes were cut.
 *
 * Strings and keys are unescaped into the buffer that the caller set before they began
 * (mvm_json_keep), or checked and dropped (mvm_json_drop). A kept string must be valid; a dropped
 * one may have lone surrogates in \u escapes, as serde_json's IgnoredAny allows. Either must be
 * UTF-8. The buffer is used for one string or key, whichever comes next; after it, dropping is the
 * default again. A token's `text` is valid until that memory is written again.
 *
 * Numbers: a token reports whether the value is an unsigned integer that fits 64 bits (`is_u64`,
 * `u64`); the values of other numbers are not decoded.
 */
#ifndef MVM_JSON_H
#define MVM_JSON_H

#include "mvm_limits.h"
#include "mvm_text.h"
#include "mvm_utf8.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_json_token {
    MVM_JSON_ERROR = -1,  /* see `error` and `offset`; final until init */
    MVM_JSON_PARTIAL = 0, /* every byte was used; no token is complete */
    MVM_JSON_OBJECT,
    MVM_JSON_OBJECT_END,
    MVM_JSON_ARRAY,
    MVM_JSON_ARRAY_END,
    MVM_JSON_KEY,    /* `text`, and `overflow` if it did not fit its buffer */
    MVM_JSON_STRING, /* likewise */
    MVM_JSON_NUMBER, /* `is_u64`, `u64` */
    MVM_JSON_TRUE,
    MVM_JSON_FALSE,
    MVM_JSON_NULL,
};

enum mvm_json_error {
    MVM_JSON_FINE = 0,
    MVM_JSON_UNEXPECTED, /* a byte that is not allowed here */
    MVM_JSON_BAD_ESCAPE, /* \ and a letter that JSON does not define, or \u without four digits */
    MVM_JSON_LONE_SURROGATE,
    MVM_JSON_CONTROL,  /* a control character inside a string */
    MVM_JSON_NOT_UTF8, /* RFC 3629 */
    MVM_JSON_TOO_DEEP, /* more than MVM_JSON_DEPTH levels */
    MVM_JSON_TRAILING, /* something after the value */
    MVM_JSON_ENDED,    /* the text ended inside the value (from finish alone) */
};

/* Those of json.c's states that the inline functions below test. */
enum { MVM_JSON_STATE_BLANK, MVM_JSON_STATE_FIRST_KEY, MVM_JSON_STATE_NEXT };

/* Levels of nesting that the parser supports: a frame's own two and an unknown value's. */
#define MVM_JSON_DEPTH (MVM_NESTING_MAX + 2)

/* Read the first seven fields; the rest is the parser's own. */
struct mvm_json {
    struct mvm_text text; /* of the last KEY or STRING; bytes NULL if it was dropped */
    uint64_t u64;         /* of the last NUMBER, if is_u64 */
    uint32_t offset;      /* bytes used since init; after an error, offset of the offending byte */
    uint32_t begun;       /* offset of the last token's first byte */
    enum mvm_json_error error;
    bool overflow; /* the last KEY or STRING was longer than its buffer */
    bool is_u64;
    uint8_t depth; /* levels open now */
    uint8_t state; /* see json.c */
    uint8_t token; /* the string, key or literal that is being read */
    uint8_t count; /* bytes read of the literal, or of the escape's digits */
    struct mvm_utf8 utf8;
    uint16_t unit;      /* the escape's code unit, as far as it was read */
    uint16_t surrogate; /* leading surrogate waiting for its other half, or 0 */
    uint32_t place_cap;
    char *place;                               /* NULL: drop */
    uint8_t nesting[(MVM_JSON_DEPTH + 7) / 8]; /* bit n: level n is an object */
};

void mvm_json_init(struct mvm_json *j);
#define mvm_json_init(...) (mvm_limits_of_codec_match(), mvm_json_init(__VA_ARGS__))

/* The next string or key goes to place[0 … cap-1], without a terminator. */
static inline void mvm_json_keep(struct mvm_json *j, char *place, size_t cap)
{
    j->place = place;
    j->place_cap = cap < UINT32_MAX ? cap & UINT32_MAX : UINT32_MAX; /* COVERAGE: buffers fit */
}

/* The next string or key is checked and dropped (the default). */
static inline void mvm_json_drop(struct mvm_json *j)
{
#ifdef __cplusplus
    j->place = nullptr;
#else
    j->place = NULL;
#endif
}

/*
 * Consumes bytes[0 … len-1] up to and including the one that completes a token (a number ends at
 * the byte after it, which is not consumed). Returns a token, PARTIAL or ERROR; sets `*used` to the
 * number of bytes consumed, in every case. Work: linear in *used.
 */
enum mvm_json_token mvm_json_push(struct mvm_json *j, const uint8_t *bytes, size_t len,
                                  size_t *used);

/*
 * As push, but consumes only characters of the current string or key that need no further state,
 * and its closing quote; stops before a control character or an error. `*used` may be 0.
 */
enum mvm_json_token mvm_json_push_run(struct mvm_json *j, const uint8_t *bytes, size_t len,
                                      size_t *used);

/* How many digits are at the front of bytes[0 … len-1]; they continue the decimal `*value`, and
 * `*fits` becomes false if it no longer fits. */
size_t mvm_json_digits(const uint8_t *bytes, size_t len, uint64_t *value, bool *fits);

/* Where a jump ends. */
enum mvm_json_point {
    MVM_JSON_AT_FIRST_KEY, /* after the brace that opens an object */
    MVM_JSON_AT_VALUE,     /* after a member's colon */
    MVM_JSON_AT_NEXT,      /* after a member's value */
    MVM_JSON_IN_STRING,    /* after the quote that begins a member's value */
};

/*
 * Puts the parser into the state that it would have after `len` bytes which the caller has found to
 * be valid here. `depth` levels are then open, up to eight, all of them objects. Only between
 * tokens; IN_STRING uses the buffer set for the next string or key.
 */
void mvm_json_jump(struct mvm_json *j, size_t len, uint8_t depth, enum mvm_json_point point);

/* Whether what comes next is an object's first key or its end … */
static inline bool mvm_json_at_first_key(const struct mvm_json *j)
{
    return j->state == MVM_JSON_STATE_FIRST_KEY;
}

/* … or, after an element or a member, a comma or the end. */
static inline bool mvm_json_at_next(const struct mvm_json *j)
{
    return j->state == MVM_JSON_STATE_NEXT;
}

/*
 * The text has ended. A top-level number that only its end completes is returned as NUMBER, once;
 * else PARTIAL: the value is complete (or there was nothing but white space: mvm_json_blank returns
 * true); ERROR with MVM_JSON_ENDED: the text ended inside the value.
 */
enum mvm_json_token mvm_json_finish(struct mvm_json *j);

/* Whether only white space (space, tab, CR, LF) was consumed since init. */
static inline bool mvm_json_blank(const struct mvm_json *j)
{
    return j->state == MVM_JSON_STATE_BLANK;
}

/* An English phrase for an error, static: "control character in a string". */
const char *mvm_json_error_text(enum mvm_json_error error);

MVM_LAYOUT_OF(struct mvm_json, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
