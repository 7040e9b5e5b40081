/* How far a copy of the agent's is, as its Log lines tell: "mvm: copying NAME: N bytes so far". */
#ifndef MVM_PROGRESS_H
#define MVM_PROGRESS_H

#include "mvm_text.h"

enum { MVM_PROGRESS_NAME_CAP = 64 };

struct mvm_progress {
    char name[MVM_PROGRESS_NAME_CAP]; /* "": none is told of yet */
    uint64_t bytes;
    uint64_t at_ms;
    uint64_t per_second; /* bytes, between the last two lines; 0: not known yet */
};

/* Whether the line is one of those; then it is taken. A zeroed struct is a fresh one. */
bool mvm_progress_take(struct mvm_progress *p, struct mvm_text line, uint64_t now_ms);

/* "NAME, 1.5 GiB, 310.2 MiB/s". */
void mvm_progress_show(const struct mvm_progress *p, struct mvm_writer *w);

#endif
