/*
 * The status line: what goes on and for how long, the last line of a terminal. It only exists
 * where stderr is one; elsewhere every call does nothing.
 */
#ifndef MVM_STATUS_H
#define MVM_STATUS_H

#include "sink.h"

struct mvm_status {
    struct mvm_sink *sink;
    const char *what; /* NULL: no line is wanted */
    bool on_terminal;
    bool shown;
    uint64_t since_ms;
    uint64_t redraw_ms; /* when the seconds change next */
};

void mvm_status_init(struct mvm_status *s, struct mvm_sink *sink);

/* From now on: `what` and the time since now. `what` is borrowed until finish. */
void mvm_status_start(struct mvm_status *s, const char *what);

/* Draws the line if it is not there or its time has changed. */
void mvm_status_draw(struct mvm_status *s);

/* Takes the line away, so that something else can be written; the next draw brings it back. */
void mvm_status_clear(struct mvm_status *s);

/* Takes it away for good. */
void mvm_status_finish(struct mvm_status *s);

/* When to draw again; MVM_NEVER: not. */
uint64_t mvm_status_deadline(const struct mvm_status *s);

#endif
