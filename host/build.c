/* The command build: the request, its log, its answer. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "exchange.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- the log ---- */

/* Before anything is asked for: a build of an hour whose log has no place to go helps nobody. A
 * FIFO without a reader is refused, not waited for. */
static bool open_log(struct mvm_run *r)
{
    const char *path = r->options->log;
    if (path == NULL) {
        return true;
    }
    r->log.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0666);
    if (r->log.fd < 0) {
        MVM_RUN_TELL(r, "--log ", path, ": ", strerror(errno));
    }
    return r->log.fd >= 0;
}

static void show_phase(struct mvm_run *r)
{
    char text[MVM_STATUS_DETAIL_MAX + 1];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_phase_add_detail(&r->phase, &w);
    mvm_status_change(&r->status, mvm_phase_title(&r->phase), (struct mvm_text){text, w.len});
}

static void add_line(struct mvm_sink *sink, struct mvm_text line)
{
    mvm_sink_add(sink, line);
    mvm_sink_add_string(sink, "\n");
}

static void take_log(struct mvm_run *r)
{
    struct mvm_text line = r->session.message.text;
    if (line.len == 0) {
        return; /* a heartbeat */
    }
    if (r->log.fd >= 0) {
        add_line(&r->log, line);
    }
    if (r->options->json) {
        return; /* printed as a frame */
    }
    bool in_status = mvm_phase_take(&r->phase, line, mvm_clock_ms()) && r->status.on_terminal;
    show_phase(r);
    if (!in_status) {
        mvm_tail_add(&r->tail, line);
        mvm_status_clear(&r->status);
        add_line(&r->err, line);
    }
}

/* ---- its end ---- */

/* On a terminal alone: elsewhere there is no line to take the status line's place. */
static void sum_up(struct mvm_run *r, const char *what, const char *rest)
{
    char text[32];
    struct mvm_writer w;
    if (r->status.on_terminal) {
        mvm_writer_init(&w, text, sizeof text);
        mvm_status_add_time(&r->status, &w);
        MVM_RUN_TELL(r, what, text, rest);
    }
}

/* Before the words that say why. A log in a file or a pipe stands there whole, and is not repeated
 * in it. */
static void sum_up_failure(struct mvm_run *r)
{
    sum_up(r, "failed after ", r->tail.count > 0 ? "; the last lines of the log:" : "");
    if (r->status.on_terminal) {
        mvm_tail_show(&r->tail, &r->err);
    }
}

static int take_ok(struct mvm_run *r)
{
    sum_up(r, "done in ", "");
    if (!r->options->json) {
        add_line(&r->out, r->session.message.text);
    }
    return MVM_EXIT_OK;
}

static int take_failure(struct mvm_run *r)
{
    sum_up_failure(r);
    return mvm_run_refused(r);
}

static int take_loss(struct mvm_run *r, enum mvm_arrival how)
{
    if (how != MVM_SIGNALLED) {
        sum_up_failure(r);
    }
    return mvm_run_give_up(r, how);
}

/* ---- all of it ---- */

static int follow(struct mvm_run *r)
{
    for (;;) {
        enum mvm_arrival how = mvm_run_next(r, MVM_NEVER);
        if (how != MVM_ARRIVED) {
            return take_loss(r, how);
        }
        switch (r->session.message.kind) {
        case MVM_MESSAGE_LOG:
            take_log(r);
            break;
        case MVM_MESSAGE_OK:
            return take_ok(r);
        case MVM_MESSAGE_ERR:
            return take_failure(r);
        case MVM_MESSAGE_PONG:
        case MVM_MESSAGE_PING: /* requests: a session of responses has none */
        case MVM_MESSAGE_BUILD:
        case MVM_MESSAGE_HELLO:
        case MVM_MESSAGE_JOIN:
        case MVM_MESSAGE_CANCEL:
        case MVM_MESSAGE_WELCOME:
        case MVM_MESSAGE_CANCELLED:
            break;
        }
    }
}

int mvm_run_build(struct mvm_run *r)
{
    const struct mvm_message request = {
        .kind = MVM_MESSAGE_BUILD,
        .build = {.flake_ref = mvm_text_from(r->options->flake),
                  .attr = mvm_text_from(r->options->attr),
                  .has_timeout = r->options->has_timeout,
                  .timeout_secs = r->options->timeout_secs},
    };
    if (!open_log(r)) {
        return MVM_EXIT_USAGE;
    }
    mvm_status_start(&r->status, "connecting");
    if (!mvm_run_open(r, MVM_NEVER)) {
        return mvm_run_not_connected(r);
    }
    if (mvm_run_on_serial(r)) {
        enum mvm_arrival how = mvm_run_ping(r, mvm_clock_ms() + MVM_PONG_MS);
        if (how != MVM_ARRIVED) {
            return mvm_run_give_up(r, how);
        }
    }
    r->asked = true;
    show_phase(r);
    mvm_session_send(&r->session, &request);
    return follow(r);
}
