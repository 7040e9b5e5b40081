#define _GNU_SOURCE /* O_CLOEXEC */
#include "display.h"
#include "advice.h"
#include "control.h"
#include "mvm_encoder.h"
#include "visible.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- writing ---- */

/* Without colours. */
static void add_untrusted(struct mvm_sink *sink, bool is_terminal, struct mvm_text text)
{
    if (is_terminal) {
        mvm_sink_add_visible(sink, text, false);
    } else {
        mvm_sink_add(sink, text);
    }
}

/* What a build has printed, on stderr. */
static void add_printed(struct mvm_display *d, struct mvm_text text)
{
    if (d->err_is_terminal && d->status.colours) {
        mvm_sink_add_visible(&d->err, text, true);
    } else {
        add_untrusted(&d->err, d->err_is_terminal, text);
    }
}

static void begin_message(struct mvm_display *d)
{
    mvm_status_plain(&d->status);
    mvm_sink_add_string(&d->err, "mvm-builder: ");
}

void mvm_display_tell(struct mvm_display *d, const char *const parts[])
{
    begin_message(d);
    for (size_t i = 0; parts[i] != NULL; i++) {
        add_untrusted(&d->err, d->err_is_terminal, mvm_text_from(parts[i]));
    }
    mvm_sink_add_string(&d->err, "\n");
}

static void flush(struct mvm_display *d)
{
    mvm_sink_flush(&d->log);
    if (d->log.error != 0 && !d->log_error_told) {
        d->log_error_told = true;
        MVM_DISPLAY_TELL(d, "cannot write to ", d->log_path, ": ", strerror(d->log.error),
                         "; the log is not in it from there on");
    }
    mvm_sink_flush(&d->err);
    d->err.error = d->err.error == EINTR ? 0 : d->err.error; /* what follows may be accepted */
    mvm_sink_flush(&d->out);
}

static uint64_t tick(void *ctx)
{
    struct mvm_display *d = ctx;
    mvm_status_draw(&d->status);
    flush(d);
    return mvm_status_deadline(&d->status);
}

/* ---- life ---- */

void mvm_display_init(struct mvm_display *d, bool json, struct mvm_waiter *w)
{
    d->json = json;
    d->out_is_terminal = isatty(STDOUT_FILENO) == 1;
    d->err_is_terminal = isatty(STDERR_FILENO) == 1;
    d->log_path = NULL;
    d->log_error_told = false;
    d->held_len = 0;
    mvm_sink_init(&d->out, STDOUT_FILENO, w);
    mvm_sink_init(&d->err, STDERR_FILENO, w);
    mvm_sink_init(&d->log, -1, w);
    mvm_status_init(&d->status, &d->err, !json);
    mvm_phase_init(&d->phase);
    mvm_tail_init(&d->tail);
    w->tick = tick;
    w->tick_ctx = d;
}

/* The file is opened before the build begins, since a build without its log is of little use. A
 * FIFO without a reader is an error. */
bool mvm_display_open_log(struct mvm_display *d, const char *path)
{
    d->log_path = path;
    d->log.fd = open(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0666);
    if (d->log.fd < 0) {
        MVM_DISPLAY_TELL(d, "--log ", path, ": ", strerror(errno),
                         errno == ENXIO ? "; a FIFO needs a reader" : "");
    }
    return d->log.fd >= 0;
}

/* Of no effect on what is not a regular file. */
bool mvm_display_begin_log(struct mvm_display *d)
{
    bool empty = d->log.fd < 0 || ftruncate(d->log.fd, 0) == 0 || errno == EINVAL;
    if (!empty) {
        MVM_DISPLAY_TELL(d, "--log ", d->log_path, ": ", strerror(errno));
    }
    return empty;
}

bool mvm_display_finish(struct mvm_display *d)
{
    flush(d);
    if (d->log.fd >= 0 && close(d->log.fd) < 0 && d->log.error == 0) {
        d->log.error = errno;
        flush(d); /* a file system that reports late, such as NFS */
    }
    mvm_status_finish(&d->status);
    flush(d);
    if (d->out.error != 0) {
        MVM_DISPLAY_TELL(d, "cannot write to stdout: ", strerror(d->out.error));
        flush(d);
    }
    return (d->out.error | d->log.error) == 0;
}

/* ---- the status line ---- */

void mvm_display_start(struct mvm_display *d, const char *what)
{
    mvm_status_start(&d->status, what);
}

void mvm_display_change(struct mvm_display *d, const char *what)
{
    d->status.heard_ms = 0;
    mvm_status_change(&d->status, what, (struct mvm_text){NULL, 0});
}

static void show_phase(struct mvm_display *d)
{
    char text[MVM_STATUS_DETAIL_MAX + 1];
    struct mvm_writer w;
    if (!d->status.on_terminal) {
        return;
    }
    mvm_writer_init(&w, text, sizeof text);
    mvm_phase_add_detail(&d->phase, &w);
    mvm_status_progress(&d->status, mvm_phase_title(&d->phase), (struct mvm_text){text, w.len},
                        mvm_phase_permille(&d->phase));
}

void mvm_display_follow(struct mvm_display *d)
{
    show_phase(d);
    mvm_status_received(&d->status);
}

void mvm_display_move(struct mvm_display *d, enum mvm_phase_kind kind, const char *name,
                      uint64_t done, uint64_t total)
{
    mvm_status_received(&d->status);
    mvm_phase_move(&d->phase, kind, name, done, total, mvm_clock_ms());
    show_phase(d);
}

/* ---- frames ---- */

static void add_escape(struct mvm_display *d, uint32_t number)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[] = {'\\',
                           'u',
                           digits[number >> 12 & 15],
                           digits[number >> 8 & 15],
                           digits[number >> 4 & 15],
                           digits[number & 15],
                           0};
    mvm_sink_add_string(&d->out, escape);
}

/* JSON for a terminal: control characters that JSON may have unescaped are escaped, too. */
static void add_json_visible(struct mvm_display *d, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        d->held[d->held_len++] = (char)bytes[i];
        struct mvm_text held = {d->held, d->held_len};
        int32_t number = mvm_control_number(held);
        if (number > ' ') { /* those of C0 are escaped in JSON, but for a frame's newline */
            add_escape(d, (uint32_t)number);
        } else if (mvm_control_may_begin(held)) {
            continue;
        } else {
            mvm_sink_add(&d->out, held);
        }
        d->held_len = 0;
    }
}

void mvm_display_frame(struct mvm_display *d, const struct mvm_message *m)
{
    uint8_t part[512];
    struct mvm_encoder e;
    if (!d->json) {
        return;
    }
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, m);
    while (!mvm_encoder_idle(&e)) {
        size_t n = mvm_encoder_pull(&e, part, sizeof part);
        if (d->out_is_terminal) {
            add_json_visible(d, part, n);
        } else {
            mvm_sink_add(&d->out, (struct mvm_text){(const char *)part, n});
        }
    }
}

void mvm_display_json(struct mvm_display *d, struct mvm_text line)
{
    if (d->json) {
        mvm_sink_add(&d->out, line);
        mvm_sink_add_string(&d->out, "\n");
    }
}

/* ---- the log ---- */

/* A heartbeat is not a line of the build. Agents without the mark send an empty line for one. */
static bool is_heartbeat(const struct mvm_message *m)
{
    return m->beat == MVM_FLAG_TRUE || (m->id.bytes == NULL && m->text.len == 0);
}

void mvm_display_log(struct mvm_display *d, const struct mvm_message *m)
{
    struct mvm_text line = m->text;
    mvm_status_received(&d->status);
    mvm_display_frame(d, m);
    if (is_heartbeat(m)) {
        return;
    }
    if (d->log.fd >= 0) {
        mvm_sink_add(&d->log, line);
        mvm_sink_add_string(&d->log, "\n");
    }
    if (d->json) {
        return;
    }
    bool in_status = mvm_phase_parse(&d->phase, line, mvm_clock_ms()) && d->status.on_terminal;
    show_phase(d);
    if (!in_status) {
        mvm_tail_add(&d->tail, line);
        mvm_status_clear(&d->status);
        add_printed(d, line);
        mvm_sink_add_string(&d->err, "\n");
    }
}

/* ---- its end ---- */

/* On a terminal alone: elsewhere there is no status line to replace. */
static void sum_up(struct mvm_display *d, const char *what, const char *rest)
{
    char text[32];
    struct mvm_writer w;
    if (d->status.on_terminal) {
        mvm_writer_init(&w, text, sizeof text);
        mvm_status_add_time(&d->status, &w);
        MVM_DISPLAY_TELL(d, what, text, rest);
    }
}

/* A log in a file or a pipe is complete, so its last lines are not repeated. */
void mvm_display_failure(struct mvm_display *d)
{
    sum_up(d, "failed after ", d->tail.count > 0 ? "; the last lines of the log:" : "");
    if (d->status.on_terminal) {
        mvm_tail_show(&d->tail, &d->err);
    }
}

void mvm_display_answer(struct mvm_display *d, struct mvm_text line)
{
    if (!d->json) {
        mvm_status_clear(&d->status);
        add_untrusted(&d->out, d->out_is_terminal, line);
        mvm_sink_add_string(&d->out, "\n");
    }
}

void mvm_display_ok(struct mvm_display *d, struct mvm_text store_path)
{
    sum_up(d, "done in ", "");
    mvm_display_answer(d, store_path);
}

void mvm_display_err(struct mvm_display *d, const struct mvm_message *m)
{
    mvm_display_frame(d, m);
    if (d->json) {
        return;
    }
    begin_message(d);
    add_printed(d, m->text.len > 0 ? m->text
                                   : mvm_text_from("the agent answers Err without a reason"));
    if (d->status.colours && m->text.len > 0 &&
        memchr(m->text.bytes, '\033', m->text.len) != NULL) {
        mvm_sink_add_string(&d->err, MVM_VISIBLE_RESET); /* it may be the end of what is printed */
    }
    mvm_sink_add_string(&d->err, "\n");
    const char *advice = mvm_advice(m->refusal.category);
    if (advice[0] != '\0') {
        MVM_DISPLAY_TELL(d, advice);
    }
}
