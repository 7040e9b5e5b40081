/*
 * The last lines of a log, in memory of fixed size, to be shown again.
 */
#ifndef MVM_TAIL_H
#define MVM_TAIL_H

#include "sink.h"

/* Lines that are kept; earlier ones are dropped. */
#define MVM_TAIL_LINES 10

/* Bytes that are kept of each. Past it: " [… N bytes more]". The cut is before a UTF-8 character
 * or a colour that would be left incomplete, and thus sometimes some bytes earlier. */
#define MVM_TAIL_LINE_MAX 512

struct mvm_tail {
    size_t count; /* lines held */
    size_t next;  /* where the next one goes */
    struct {
        size_t len; /* bytes held */
        size_t more;
        char bytes[MVM_TAIL_LINE_MAX];
    } lines[MVM_TAIL_LINES];
};

void mvm_tail_init(struct mvm_tail *t);

void mvm_tail_add(struct mvm_tail *t, struct mvm_text line);

/* Writes them for a terminal, oldest first: two spaces, the line as visible.h shows it, an end to
 * its colours, a newline. */
void mvm_tail_show(const struct mvm_tail *t, struct mvm_sink *sink);

#endif
