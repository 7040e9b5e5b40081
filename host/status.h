/*
 * The status line: what goes on and for how long, the last line of a terminal. It only exists
 * where stderr is one that can be written over (TERM is not "dumb"); elsewhere every call does
 * nothing.
 */
#ifndef MVM_STATUS_H
#define MVM_STATUS_H

#include "sink.h"

enum { MVM_STATUS_DETAIL_CAP = 96 };

struct mvm_status {
    struct mvm_sink *sink;
    const char *phase; /* NULL: no line is wanted */
    char detail[MVM_STATUS_DETAIL_CAP];
    bool on_terminal;
    bool shown;
    uint64_t since_ms;
    uint64_t redraw_ms; /* when the seconds change next */
};

void mvm_status_init(struct mvm_status *s, struct mvm_sink *sink);

/* From now on: `phase`, a literal, and the time since now. */
void mvm_status_start(struct mvm_status *s, const char *phase);

/* Another phase of the same, and more about it, "" or a copy is made. */
void mvm_status_change(struct mvm_status *s, const char *phase, const char *detail);

/* Draws the line if it is not there, or is another by now. As much of it as the terminal is wide.
 */
void mvm_status_draw(struct mvm_status *s);

/* Takes the line away, so that something else can be written; the next draw brings it back. */
void mvm_status_clear(struct mvm_status *s);

/* Takes it away for good. On a terminal a line "mvm-builder: DONE 1:23" takes its place, unless
 * `done` is NULL or nothing was started. */
void mvm_status_finish(struct mvm_status *s, const char *done);

/* When to draw again; MVM_NEVER: not. */
uint64_t mvm_status_deadline(const struct mvm_status *s);

#endif
