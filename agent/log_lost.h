/* Lines of the log that were lost, until their count is in the log. */
#ifndef MVM_LOG_LOST_H
#define MVM_LOG_LOST_H

#include "mvm_text.h"

enum { MVM_LOG_LOST_CAP = 160 }; /* bytes of the line that reports them */

struct mvm_log_lost {
    uint64_t lines;
    int error; /* why the last one was lost, an errno; 0: stderr was not read */
    bool cut;  /* the log ends within a line */
};

/* Counts the lines that end in these bytes. */
void mvm_log_lost_add(struct mvm_log_lost *lost, const char *bytes, size_t len, int error);

/* What is written before the next line, into `text` of MVM_LOG_LOST_CAP bytes: the end of a line
 * that was cut, and the count. Its length; 0: nothing was lost. */
size_t mvm_log_lost_report(const struct mvm_log_lost *lost, char *text);

#endif
