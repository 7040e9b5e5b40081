/*
 * What the agent says of its own doings: one plain line on stderr for each, by write(2). Control
 * characters come out as '?', so that no request can paint somebody's terminal.
 */
#ifndef MVM_LOG_H
#define MVM_LOG_H

#include "mvm_text.h"

enum { MVM_LOG_CAP = 1024 }; /* bytes of a line; past it: it ends with " [cut]" */

struct mvm_log_line {
    struct mvm_writer w; /* add to it between begin and end */
    char text[MVM_LOG_CAP];
};

void mvm_log_begin(struct mvm_log_line *l, const char *what);
void mvm_log_end(struct mvm_log_line *l);

/* `what``name``why` in one line; each but the first may be NULL. */
void mvm_log(const char *what, const char *name, const char *why);

/* Writes all of it, unless that fails: nobody could be told. */
void mvm_log_write(int fd, struct mvm_text text);

#endif
