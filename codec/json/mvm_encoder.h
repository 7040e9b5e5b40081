/*
 * Messages → JSON lines, byte for byte what serde_json 1.0 writes, newline included. A pull
 * encoder: it fills whatever room there is, down to one byte, and resumes with the next call.
 *
 * Texts may hold any bytes: what is not UTF-8 goes out as U+FFFD, one for each maximal subpart
 * (see mvm_utf8.h). The protobuf wire carries the bytes unchanged.
 */
#ifndef MVM_ENCODER_H
#define MVM_ENCODER_H

#include "mvm_message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest output that is not a copy of a text or literal: a 64-bit number. */
#define MVM_ENCODER_PIECE_CAP MVM_TEXT_DECIMAL_CAP

struct mvm_encoder {
    struct mvm_message message;
    /* the encoder's own */
    size_t text_at;     /* bytes of the step's text that are encoded */
    uint8_t step;       /* see encoder.c; 0: idle */
    uint8_t literal_at; /* bytes of the step's literal that are written */
    uint8_t piece_at;   /* likewise of the piece */
    uint8_t piece_len;
    uint8_t piece[MVM_ENCODER_PIECE_CAP]; /* an escape, a character or a number */
};

/* An encoder with nothing to write. Zero-initialising does the same. */
void mvm_encoder_init(struct mvm_encoder *e);

/* Begins a message; the encoder must be idle. The texts are borrowed until it is idle again. */
void mvm_encoder_start(struct mvm_encoder *e, const struct mvm_message *m);

/* Writes what fits into out[0 … cap-1] and returns the number of bytes: 0 only if cap is 0 or the
 * encoder is idle. Work: linear in the result. */
size_t mvm_encoder_pull(struct mvm_encoder *e, uint8_t *out, size_t cap);

/* Whether the last message has been written completely. */
bool mvm_encoder_idle(const struct mvm_encoder *e);

MVM_LAYOUT_OF(struct mvm_encoder, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
