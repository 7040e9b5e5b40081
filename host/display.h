/*
 * What a person or a script sees: the log on stderr and in a file, the store path or the frames on
 * stdout, and on a terminal a status line and the last lines again after a failure. It does not
 * know about sockets.
 *
 * On a terminal nothing from the agent is trusted, see visible.h. Elsewhere, and in the log's file,
 * lines are written exactly as received.
 */
#ifndef MVM_DISPLAY_H
#define MVM_DISPLAY_H

#include "mvm_message.h"
#include "phase.h"
#include "sink.h"
#include "status.h"
#include "tail.h"

struct mvm_display {
    bool json; /* frames on stdout, and no log or answer otherwise */
    bool out_is_terminal;
    bool err_is_terminal;
    struct mvm_sink out;
    struct mvm_sink err;
    struct mvm_sink log; /* fd -1: no file */
    const char *log_path;
    bool log_error_told;
    char held[3]; /* the first bytes of what can be a control in a frame */
    size_t held_len;
    struct mvm_status status;
    struct mvm_phase phase;
    struct mvm_tail tail;
};

/* Takes over w's tick: whenever the program waits, everything is written and the status line is
 * up to date. */
void mvm_display_init(struct mvm_display *d, bool json, struct mvm_waiter *w);

/* Opens the log's file, before any request is sent; what it has stays. False: reported. */
bool mvm_display_open_log(struct mvm_display *d, const char *path);

/* Empties the log's file, if there is one. To be called when nothing else can refuse the request.
 * False: reported. */
bool mvm_display_begin_log(struct mvm_display *d);

/* One of the tool's own messages on stderr, from several parts. */
void mvm_display_tell(struct mvm_display *d, const char *const parts[]);
#define MVM_DISPLAY_TELL(d, ...) mvm_display_tell(d, (const char *const[]){__VA_ARGS__, NULL})

/* What the status line shows from now on. */
void mvm_display_start(struct mvm_display *d, const char *what);
void mvm_display_change(struct mvm_display *d, const char *what);

/* The request was sent: from now on the agent's own log lines are shown as phases. */
void mvm_display_follow(struct mvm_display *d);

/* A frame; on stdout, with --json alone. */
void mvm_display_frame(struct mvm_display *d, const struct mvm_message *m);

void mvm_display_log(struct mvm_display *d, const struct mvm_message *m);

/* Bytes that the program moves itself: SENDING or FETCHING `name`, with a bar. */
void mvm_display_move(struct mvm_display *d, enum mvm_phase_kind kind, const char *name,
                      uint64_t done, uint64_t total);

/* A line on stdout, with --json alone. */
void mvm_display_json(struct mvm_display *d, struct mvm_text line);

/* How a build ended. */
void mvm_display_ok(struct mvm_display *d, struct mvm_text store_path);
void mvm_display_failure(struct mvm_display *d); /* before the words that give the reason */
void mvm_display_err(struct mvm_display *d, const struct mvm_message *m);

/* A line on stdout, unless frames are printed there. */
void mvm_display_answer(struct mvm_display *d, struct mvm_text line);

/* Writes and closes everything. True: nothing was lost that belongs on stdout or in the file. */
bool mvm_display_finish(struct mvm_display *d);

#endif
