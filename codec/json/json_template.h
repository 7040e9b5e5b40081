/*
 * Frames exactly as serde_json writes them: for each kind a list of steps, each a literal and the
 * value that follows it. The encoder writes a frame step by step; the decoder skips a literal that
 * matches its input without parsing it.
 *
 * A literal's comma is left out if no field precedes it in its object. A text's closing quote
 * belongs to its step.
 */
#ifndef MVM_JSON_TEMPLATE_H
#define MVM_JSON_TEMPLATE_H

#include "schema.h"

/* What follows a literal: a field, by its number, or … */
enum {
    MVM_STEP_HEAD = MVM_JSON_FIELDS, /* nothing, then the fields' own steps */
    MVM_STEP_END,                    /* nothing: the frame is complete */
};

#define MVM_LITERAL_CAP 24

/* Zero-padded: it may be copied in whole words, also from its second byte on. A build for size does
 * not do that; its table has a name of its own, so that objects of the two builds do not link. */
#if defined(__OPTIMIZE_SIZE__)
#define mvm_steps mvm_short_steps
typedef const char *mvm_literal;
#else
typedef char mvm_literal[MVM_LITERAL_CAP + 1];
#endif

struct mvm_step {
    mvm_literal literal;
    uint8_t len;
    uint8_t kind;
    uint8_t field; /* or MVM_STEP_HEAD, MVM_STEP_END */
};

/* The steps of all kinds, and the index of each kind's first one; index 0 is unused. */
enum { MVM_STEPS = 1 + 6 + 1 + 3 + 2 + 2 + 3 + 5 + 4 + 1 + 6 + 3 };
extern const struct mvm_step mvm_steps[MVM_STEPS];
extern const uint8_t mvm_first_steps[MVM_KINDS];

#endif
