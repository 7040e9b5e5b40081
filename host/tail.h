/* The last lines of a log, kept to be shown once more when it is over. */
#ifndef MVM_TAIL_H
#define MVM_TAIL_H

#include "sink.h"

enum {
    MVM_TAIL_LINES = 10,
    MVM_TAIL_LINE_CAP = 400, /* bytes kept of a line; of a longer one it is said how many are not */
};

/* A zeroed struct is an empty one. */
struct mvm_tail {
    uint64_t count; /* lines that have come */
    struct {
        uint32_t kept;
        uint64_t left_out; /* bytes behind those kept */
        char bytes[MVM_TAIL_LINE_CAP];
    } lines[MVM_TAIL_LINES]; /* line n is at n % MVM_TAIL_LINES */
};

void mvm_tail_add(struct mvm_tail *t, struct mvm_text line);

/* Writes them in order under a heading. Nothing where fewer lines than these have come: the log
 * itself is no longer. `reset` goes behind each, for colours that a line has begun. */
void mvm_tail_show(const struct mvm_tail *t, struct mvm_sink *s, const char *reset);

#endif
