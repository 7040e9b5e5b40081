/*
 * The agent's own messages: plain lines on stderr. Control characters, bidirectional ones included,
 * are written as '?' (control.h), so that no request can control a terminal or reorder a line.
 *
 * Logging never waits. What stderr does not accept now, such as a stopped terminal or a pipe that
 * is not read, waits in a small buffer; lines that do not fit are dropped and counted, and the
 * count is logged as soon as there is room. So are lines that stderr refuses, as a full disk does:
 * a count comes before the first line that is accepted again. The descriptor's flags are not
 * changed: other processes share them. A file on a disk may block whatever its flags are: from
 * release to finish, a process of its own writes to it, and from start to release its lines wait.
 */
#ifndef MVM_LOG_H
#define MVM_LOG_H

#include "mvm_text.h"

enum {
    MVM_LOG_CAP = 1024,         /* bytes of a line; past it: it ends with " [cut]" */
    MVM_LOG_WAITING_CAP = 4096, /* bytes that wait for room; past it: lines are dropped */
};

/* Until `again` lines wait: stderr is about to become another file. */
void mvm_log_hold(void);
void mvm_log_again(void);

/* From now on logging does not wait, whatever stderr is. */
void mvm_log_start(void);

/* After start: writes lines for a file, by a process that takes as long to make as the rest of the
 * agent's start. Before the first build. */
void mvm_log_release(void);

/* The opposite: what was logged is written before this returns, unless the disk hangs. */
void mvm_log_finish(void);

struct mvm_log_line {
    struct mvm_writer w; /* add to it between begin and end */
    char text[MVM_LOG_CAP];
};

void mvm_log_begin(struct mvm_log_line *l, const char *what);
void mvm_log_end(struct mvm_log_line *l);

/* `what``name``why` in one line; each but the first may be NULL. */
void mvm_log(const char *what, const char *name, const char *why);

/* The descriptor to poll for room while lines wait; -1: none do. */
int mvm_log_fd(void);

/* Writes waiting lines, as much as there is room for. */
void mvm_log_flush(void);

#endif
