/*
 * What the agent says of its own doings: one plain line on stderr for each. Control characters come
 * out as '?', so that no request can paint on a terminal.
 *
 * Logging never waits. What stderr does not take now, a terminal that is stopped or a pipe that is
 * not read, waits in a small buffer; lines that find no room there are dropped and counted, and the
 * count is logged as soon as there is room. The flags of the descriptor are left alone, for other
 * processes share them.
 */
#ifndef MVM_LOG_H
#define MVM_LOG_H

#include "mvm_text.h"

enum {
    MVM_LOG_CAP = 1024,         /* bytes of a line; past it: it ends with " [cut]" */
    MVM_LOG_WAITING_CAP = 4096, /* bytes that wait for room; past it: lines are dropped */
};

struct mvm_log_line {
    struct mvm_writer w; /* add to it between begin and end */
    char text[MVM_LOG_CAP];
};

void mvm_log_begin(struct mvm_log_line *l, const char *what);
void mvm_log_end(struct mvm_log_line *l);

/* `what``name``why` in one line; each but the first may be NULL. */
void mvm_log(const char *what, const char *name, const char *why);

/* Where to wait for room, while something waits for it; -1: nothing does. */
int mvm_log_fd(void);

/* Writes what waits, as much as there is room for. */
void mvm_log_flush(void);

/* Writes all of it, however long that takes, unless that fails: for what was asked for on the
 * command line, such as the help. */
void mvm_log_write(int fd, struct mvm_text text);

#endif
