/*
 * Untrusted text for a terminal: colours pass (the escape sequences SGR, "\033[…m"), and so
 * do tabs; every other control character is shown instead of sent, so that no log line moves the
 * cursor, sets a title or clipboard, or forges a line of ours, and no bidirectional control
 * reorders a line (control.h). C0 controls are shown as ^X, C1 and bidirectional controls and bytes
 * that are not UTF-8 as <9B> or <202E>, their number in hexadecimal.
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

#endif
