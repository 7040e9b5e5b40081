/*
 * Text without a heap: a slice that somebody else owns, and a writer that fills a fixed buffer
 * and knows when it did not fit. Freestanding.
 */
#ifndef MVM_TEXT_H
#define MVM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `len` bytes at `bytes`, any values, no terminator. `bytes` may be NULL where `len` is 0. Who
 * made the slice says how long the bytes stay. */
struct mvm_text {
    const char *bytes;
    size_t len;
};

/* The slice over a NUL-terminated string, terminator excluded. */
struct mvm_text mvm_text_from(const char *string);

/* Whether both hold the same bytes. */
bool mvm_text_equal(struct mvm_text text, const char *string);

/* Whether `text` begins with `prefix`. */
bool mvm_text_begins(struct mvm_text text, const char *prefix);

/* Writes `value` in decimal at the end of `digits`; the slice is over those digits. */
#define MVM_TEXT_DECIMAL_CAP 20
struct mvm_text mvm_text_decimal(char digits[MVM_TEXT_DECIMAL_CAP], uint64_t value);

/*
 * Appends to `buf[0 … cap-1]` and keeps it NUL-terminated. What does not fit is left out whole
 * from that byte on, `cut` is set and stays set: nothing is shortened unseen.
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

/* Writes three strings, one behind the other, into `buf[0 … cap-1]`. False: they are cut. */
bool mvm_text_join(char *buf, size_t cap, const char *a, const char *b, const char *c);

/* Ends a message, once: where bytes were cut, overwrites the tail with " [cut]", behind a whole
 * UTF-8 character. `cap` must be at least 8 for the mark to fit. Returns the finished text, valid
 * as long as the buffer. */
struct mvm_text mvm_writer_finish(struct mvm_writer *w);

#ifdef __cplusplus
}
#endif

#endif
