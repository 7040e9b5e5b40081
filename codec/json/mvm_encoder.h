/*
 * Messages → JSON lines, byte for byte what serde_json 1.0 writes, newline included. A pull
 * encoder: it writes into whatever room there is, down to one byte, and goes on later.
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

/* The longest thing that is not copied from somewhere: a number of 64 bits. */
#define MVM_ENCODER_PIECE_CAP MVM_TEXT_DECIMAL_CAP

struct mvm_encoder {
    struct mvm_message message;
    /* the encoder's own */
    size_t text_at;     /* bytes of the step's text that are done with */
    uint8_t step;       /* encoder.c has the steps; 0: idle */
    uint8_t literal_at; /* bytes of the step's literal that are written */
    uint8_t piece_at;   /* likewise of the piece */
    uint8_t piece_len;
    uint8_t piece[MVM_ENCODER_PIECE_CAP]; /* an escape, a character or a number */
};

/* An encoder with nothing to write. Zero-initialising does the same. */
void mvm_encoder_init(struct mvm_encoder *e);

/* Begins a message; the encoder must be idle. The texts are borrowed until it is idle again. */
void mvm_encoder_start(struct mvm_encoder *e, const struct mvm_message *m);

/* Writes what fits into out[0 … cap-1] and returns how many bytes: 0 only where cap is 0 or the
 * encoder is idle. Each call with room makes progress. Work: linear in what it returns. */
size_t mvm_encoder_pull(struct mvm_encoder *e, uint8_t *out, size_t cap);

/* Whether the last message has been written whole. */
bool mvm_encoder_idle(const struct mvm_encoder *e);

#ifdef __cplusplus
}
#endif

#endif
