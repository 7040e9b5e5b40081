/*
 * The frames as serde_json and our encoder write them: for each kind a list of steps, a literal and
 * what follows it. The encoder writes by it; the decoder takes by it what it finds whole.
 */
#ifndef MVM_FRAMES_H
#define MVM_FRAMES_H

#include "mvm_decoder.h"
#include "mvm_message.h"

enum mvm_then {
    MVM_THEN_END, /* nothing: the frame is whole */
    MVM_THEN_TEXT,
    MVM_THEN_FLAKE_REF,
    MVM_THEN_ATTR,
    MVM_THEN_TIMEOUT,
};

#define MVM_LITERAL_CAP 24

struct mvm_step {
    char literal[MVM_LITERAL_CAP]; /* zeros behind its end */
    uint8_t len;
    uint8_t then;
};

/* The steps of all kinds, and by kind the index of the first; 0 is none of them. */
enum { MVM_STEPS = 1 + 4 + 1 + 2 + 2 + 2 + 1 };
extern const struct mvm_step mvm_steps[MVM_STEPS];
extern const uint8_t mvm_first_steps[MVM_MESSAGE_PONG + 1];

/* The text of `m` that follows a step's literal: `then` is neither END nor TIMEOUT. */
static inline struct mvm_text *mvm_step_text(struct mvm_message *m, enum mvm_then then)
{
    if (then == MVM_THEN_TEXT) {
        return &m->text;
    }
    return then == MVM_THEN_FLAKE_REF ? &m->build.flake_ref : &m->build.attr;
}

/* Takes a frame that stands whole at the front of bytes[0 … len-1], newline included, and is
 * written just so, without escapes: `message` is set, the texts are in the field buffer. Returns
 * its length; or 0, and nothing is known of the frame. */
size_t mvm_decoder_take_whole(struct mvm_decoder *d, const uint8_t *bytes, size_t len);

#endif
