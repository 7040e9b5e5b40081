/*
 * The status line, the last line of a terminal: the current activity and for how long. It exists
 * only if stderr is a terminal and TERM is set and not "dumb"; else the calls have no effect. It is
 * not wider than the terminal, and colours that the log has set are reset before it.
 */
#ifndef MVM_STATUS_H
#define MVM_STATUS_H

#include "host_limits.h"
#include "sink.h"

/* Minimum interval between two draws. */
#define MVM_STATUS_REDRAW_MS 100

/* Bytes of what follows the time. Past it: cut without a mark, as at a narrow terminal's edge. */
#define MVM_STATUS_DETAIL_MAX 95

/* Columns of the bar, without its ends. */
#define MVM_STATUS_BAR_LEAST 4
#define MVM_STATUS_BAR_MOST  40

struct mvm_status {
    struct mvm_sink *sink;
    bool colours;     /* of the log pass: a terminal that resets them when it is asked to */
    bool on_terminal; /* … and that a line is wanted on */
    const char *what; /* NULL: no line is wanted */
    char detail[MVM_STATUS_DETAIL_MAX + 1];
    int permille; /* of the bar; -1: no bar */
    bool shown;   /* it is on the terminal */
    bool stale;   /* … with text that has changed since */
    uint64_t since_ms;
    uint64_t heard_ms; /* when the agent was last heard of; 0: that is not watched */
    uint64_t drawn_ms;
    uint64_t second_ms; /* when the seconds change next */
};

/* `wanted`: false: no line, even on a terminal. */
void mvm_status_init(struct mvm_status *s, struct mvm_sink *sink, bool wanted);

/* Shows `what` and the time since now. `what` is borrowed until finish. */
void mvm_status_start(struct mvm_status *s, const char *what);

/* Shows `what` and, after the time, `detail`, which is copied. The time is not reset. */
void mvm_status_change(struct mvm_status *s, const char *what, struct mvm_text detail);

/* The same, and a bar that fills the rest of the line, `permille` thousandths of it full; a
 * terminal that is too narrow for MVM_STATUS_BAR_LEAST columns of it has none. */
void mvm_status_progress(struct mvm_status *s, const char *what, struct mvm_text detail,
                         int permille);

/* The agent has sent something. From now on its silence is measured: after MVM_HOST_QUIET_MS the
 * line shows its length in place of the detail. */
void mvm_status_received(struct mvm_status *s);

/* Draws the line if a draw is due. */
void mvm_status_draw(struct mvm_status *s);

/* When the next draw is due; MVM_NEVER: none is. */
uint64_t mvm_status_deadline(const struct mvm_status *s);

/* Removes the line, so that the log can continue; a later draw restores it. */
void mvm_status_clear(struct mvm_status *s);

/* The same before a message of our own: the log's colours end. */
void mvm_status_plain(struct mvm_status *s);

/* Removes it for good. */
void mvm_status_finish(struct mvm_status *s);

/* Adds the time since start: M:SS or H:MM:SS. */
void mvm_status_add_time(const struct mvm_status *s, struct mvm_writer *w);

#endif
