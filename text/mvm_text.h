/*
 * Text without a heap: a slice of memory that is owned elsewhere, and a writer that fills a fixed
 * buffer and records whether anything did not fit. Freestanding.
 */
#ifndef MVM_TEXT_H
#define MVM_TEXT_H

#include "mvm_layout.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `len` bytes at `bytes`, any values, no terminator. `bytes` may be NULL if `len` is 0. The
 * function that returns a slice documents how long it is valid. */
struct mvm_text {
    const char *bytes;
    size_t len;
};

/* The slice over a NUL-terminated string, terminator excluded; NULL: no bytes, length 0. */
struct mvm_text mvm_text_from(const char *string);

/* Whether both hold the same bytes. */
bool mvm_text_equal(struct mvm_text text, const char *string);

/* Whether `text` begins with `prefix`. */
bool mvm_text_begins(struct mvm_text text, const char *prefix);

/* Writes `value` in decimal at the end of `digits`; the slice is over those digits. */
#define MVM_TEXT_DECIMAL_CAP 20
struct mvm_text mvm_text_decimal(char digits[MVM_TEXT_DECIMAL_CAP], uint64_t value);

/*
 * Appends to `buf[0 … cap-1]` and keeps it NUL-terminated. From the first byte that does not fit,
 * everything is left out and `cut` is set, for good: nothing is truncated silently.
 */
struct mvm_writer {
    char *buf;
    size_t cap; /* at least 1 */
    size_t len; /* without the terminator; less than cap */
    bool cut;
};

void mvm_writer_init(struct mvm_writer *w, char *buf, size_t cap);
void mvm_writer_add(struct mvm_writer *w, const char *string);
void mvm_writer_add3(struct mvm_writer *w, const char *a, const char *b, const char *c);
void mvm_writer_add_text(struct mvm_writer *w, struct mvm_text text);
void mvm_writer_add_u64(struct mvm_writer *w, uint64_t value); /* decimal */

/* Concatenates three strings in `buf[0 … cap-1]`. False: the result is cut. */
bool mvm_text_join(char *buf, size_t cap, const char *a, const char *b, const char *c);

/* Ends a message, once: if bytes were cut, overwrites the tail with " [cut]", after a whole UTF-8
 * character. `cap` must be at least 8 for the mark to fit. Returns the finished text, valid as long
 * as the buffer. */
struct mvm_text mvm_writer_finish(struct mvm_writer *w);

MVM_LAYOUT_OF(struct mvm_text, size_t);

#ifdef __cplusplus
}
#endif

#endif
