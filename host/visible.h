/*
 * Untrusted text for a terminal: colours pass (the escape sequences SGR, "\033[…m"), and so
 * do tabs; every other control character is shown instead of sent, so that no log line moves the
 * cursor, sets a title or clipboard, or forges a line of ours, and neither do bidirectional
 * controls reorder one. C0 controls are shown as ^X, C1 and bidirectional controls and bytes that
 * are not UTF-8 as <9B> or <202E>, their number in hexadecimal.
 */
#ifndef MVM_VISIBLE_H
#define MVM_VISIBLE_H

#include "mvm_text.h"

/* Ends the colours of what was printed before. */
#define MVM_VISIBLE_RESET "\033[m"

/* The longest piece below. */
#define MVM_VISIBLE_CAP 8

/*
 * Removes one unit from the front of `rest`, which is not empty: a run of bytes that pass
 * unchanged, or one control character, whose form is written to `shown`. Returns what to print: a
 * slice of the text or of `shown`. `colours`: false to show SGR sequences, too.
 */
struct mvm_text mvm_visible_next(struct mvm_text *rest, bool colours, char shown[MVM_VISIBLE_CAP]);

/* The number of the control that `character`, a whole one in UTF-8, is: C1 or bidirectional
 * (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069); 0: another character. */
uint32_t mvm_visible_control(struct mvm_text character);

/* Whether these bytes, at least one, can be the beginning of such a control, and are not all of it.
 */
bool mvm_visible_may_be_control(struct mvm_text bytes);

#endif
