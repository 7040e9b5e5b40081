/*
 * JSON's escapes, as serde_json 1.0 writes them: a backslash and a letter if JSON has one, else
 * \u00 and two small hex digits. Freestanding.
 */
#ifndef MVM_ESCAPE_H
#define MVM_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#define MVM_ESCAPE_CAP 6

/* Writes the escape of `byte`, which is a quote, a backslash or a control character, and returns
 * its length. All of to[0 … 5] is overwritten. */
size_t mvm_escape(uint8_t to[MVM_ESCAPE_CAP], uint8_t byte);

/*
 * Escapes text with many bytes to escape, sixteen or more at a time. Handles the longest prefix of
 * from[0 … len-1] that is ASCII, has something to escape in each block, and is sure to fit
 * to[0 … cap-1]. Sets `*used` to the bytes read and returns the bytes written; more of `to` may be
 * overwritten. Both are 0 if there is no such prefix, and on machines without vectors.
 */
size_t mvm_escape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used);

/* The character that a backslash and this letter encode; NUL: none. */
char mvm_escape_meaning(uint8_t letter);

/* 0 to 15, or MVM_NO_HEX_DIGIT. */
enum { MVM_NO_HEX_DIGIT = 16 };
unsigned mvm_hex_digit(uint8_t digit);

/*
 * The reverse: unescapes a prefix of from[0 … len-1] that is ASCII and valid escapes, other than of
 * surrogates, and fits to[0 … cap-1]. Sets `*used` to the bytes read and returns the bytes written;
 * more of `to` may be overwritten. May stop before the longest such prefix ends; on machines
 * without vectors always at the first byte.
 */
size_t mvm_unescape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used);

#endif
