/*
 * The characters that a terminal obeys instead of showing them: the controls of C0 and C1, DEL, and
 * the bidirectional controls (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), which
 * show a line in another order than it has. Freestanding.
 */
#ifndef MVM_CONTROL_H
#define MVM_CONTROL_H

#include "mvm_text.h"
#include <stdbool.h>
#include <stdint.h>

/* The first number past C0, DEL and C1. */
#define MVM_CONTROL_BIDIRECTIONAL 0xa0

/* The number of the control that begins `text`, at least one byte, in UTF-8. Negative: it begins
 * with another character, or with bytes that are not UTF-8. */
int32_t mvm_control_number(struct mvm_text text);

/* Whether these bytes, at least one, can be the beginning of a control of several, and are not all
 * of it. */
bool mvm_control_may_begin(struct mvm_text bytes);

/* Writes '?' over each byte of a control, and over each that is not UTF-8. */
void mvm_control_mask(char *bytes, size_t len);

#endif
