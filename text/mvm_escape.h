/*
 * JSON's escapes, as serde_json 1.0 writes them: a backslash and a letter where JSON has one, else
 * \u00 and two small hex digits. Freestanding.
 */
#ifndef MVM_ESCAPE_H
#define MVM_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#define MVM_ESCAPE_CAP 6

/* The escape of `byte`, a quote, a backslash or a control character: how many bytes it has. Writes
 * all of to[0 … 5]. */
size_t mvm_escape(uint8_t to[MVM_ESCAPE_CAP], uint8_t byte);

/*
 * Text in which much is to be escaped, sixteen bytes or more at a time: as many at the front of
 * from[0 … len-1] as are ASCII, hold something to escape, and have room in to[0 … cap-1] come what
 * may. `*used` says how many bytes of the text that was, the result how many were written; more of
 * `to` may be overwritten. Both are 0 where there is no such front, and on machines without
 * vectors.
 */
size_t mvm_escape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used);

/* What a backslash and this letter stand for; NUL: nothing. */
char mvm_escape_meaning(uint8_t letter);

/* 0 to 15, or MVM_NO_HEX_DIGIT. */
enum { MVM_NO_HEX_DIGIT = 16 };
unsigned mvm_hex_digit(uint8_t digit);

/*
 * The way back: as many bytes at the front of from[0 … len-1] as are ASCII or sound escapes, other
 * than of surrogates, and have room in to[0 … cap-1]. `*used` says how many bytes of `from` that
 * was, the result how many were written; more of `to` may be overwritten. Stops early, and without
 * cause; on machines without vectors always at the first byte.
 */
size_t mvm_unescape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used);

#endif
