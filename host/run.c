/* Ping, wait and build: one question, and what comes until its answer. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* How the wait for a message ended. */
enum arrival {
    ARRIVED,
    LOST, /* `why_text` says how */
    LATE,
    SIGNALLED,
};

/* ---- telling ---- */

/* A line of our own on stderr. */
static void tell(struct mvm_run *r, const char *what, const char *rest)
{
    mvm_status_clear(&r->status);
    mvm_sink_add_string(&r->err, "mvm-builder: ");
    mvm_sink_add_string(&r->err, what);
    mvm_sink_add_string(&r->err, rest);
    mvm_sink_add_string(&r->err, "\n");
}

static void set_why(struct mvm_run *r, const char *call, int error)
{
    struct mvm_writer why;
    mvm_writer_init(&why, r->why_text, sizeof r->why_text);
    mvm_writer_add(&why, call);
    mvm_writer_add(&why, error != 0 ? ": " : "");
    mvm_writer_add(&why, error != 0 ? strerror(error) : "");
    mvm_writer_finish(&why);
}

/* A disk that is full is told of once, and the build goes on. */
static void flush_log(struct mvm_run *r)
{
    bool told = r->log.error != 0;
    if (r->log.fd >= 0) {
        mvm_sink_flush(&r->log);
    }
    if (r->log.error != 0 && !told) {
        set_why(r, r->options->log, r->log.error);
        tell(r, "the log goes no further in ", r->why_text);
    }
}

/* Kernel messages on a serial line, or an agent that is none: once is enough. */
static void tell_bad_frame(struct mvm_run *r)
{
    char text[256];
    struct mvm_writer w;
    if (r->bad_frame_told) {
        return;
    }
    r->bad_frame_told = true;
    mvm_writer_init(&w, text, sizeof text);
    mvm_session_explain(&r->session, &w);
    mvm_writer_finish(&w);
    tell(r, "skipped a line that is no message, and will skip others: ", text);
}

/* ---- moving bytes ---- */

static bool serial(const struct mvm_run *r)
{
    return r->options->peer.kind == MVM_PEER_SERIAL;
}

/* False: nothing more will come. */
static bool receive(struct mvm_run *r)
{
    size_t cap;
    uint8_t *room = mvm_session_room(&r->session, &cap);
    if (room == NULL) {
        return true; /* what has come is taken when our request is out */
    }
    ssize_t n = read(r->connection.fd, room, cap);
    if (n > 0) {
        if (r->options->json && r->options->wire == MVM_WIRE_JSON) {
            mvm_sink_add(&r->out, (struct mvm_text){(const char *)room, (size_t)n});
        }
        mvm_session_received(&r->session, (size_t)n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    set_why(r, n == 0 ? "the agent's side closed it" : "read", n == 0 ? 0 : errno);
    return false;
}

/* An agent that has gone is noticed by reading: what it said before may still be there. */
static void transmit(struct mvm_run *r)
{
    size_t len;
    const uint8_t *bytes = mvm_session_bytes(&r->session, &len);
    ssize_t n = len > 0 ? write(r->connection.fd, bytes, len) : 0;
    if (n > 0) {
        mvm_session_sent(&r->session, (size_t)n);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        mvm_session_sent(&r->session, len);
    }
}

/* Shows what there is to show, waits, and moves what can be moved. */
static enum arrival move_bytes(struct mvm_run *r, uint64_t until_ms)
{
    mvm_status_draw(&r->status);
    mvm_sink_flush(&r->err);
    mvm_sink_flush(&r->out);
    flush_log(r);
    uint64_t draw_ms = mvm_status_deadline(&r->status);
    short revents = 0;
    short events = mvm_session_flushed(&r->session) ? POLLIN : POLLIN | POLLOUT;
    switch (mvm_waiter_wait(&r->waiter, r->connection.fd, events,
                            draw_ms < until_ms ? draw_ms : until_ms, &revents)) {
    case MVM_WAKE_SIGNAL:
        return SIGNALLED;
    case MVM_WAKE_TIME:
        return mvm_clock_ms() < until_ms ? ARRIVED : LATE;
    case MVM_WAKE_READY:
        break;
    }
    if ((revents & POLLOUT) != 0) {
        transmit(r);
    }
    if ((revents & ~POLLOUT) != 0 && !receive(r)) {
        mvm_session_peer_ended(&r->session);
    }
    return ARRIVED;
}

/* With --json, what came in other words than JSON. */
static void show_as_json(struct mvm_run *r)
{
    uint8_t part[512];
    struct mvm_encoder e;
    if (!r->options->json || r->options->wire == MVM_WIRE_JSON) {
        return;
    }
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, &r->session.message);
    while (!mvm_encoder_idle(&e)) {
        size_t n = mvm_encoder_pull(&e, part, sizeof part);
        mvm_sink_add(&r->out, (struct mvm_text){(const char *)part, n});
    }
}

static enum arrival next_message(struct mvm_run *r, uint64_t until_ms)
{
    for (;;) {
        switch (mvm_session_next(&r->session)) {
        case MVM_SESSION_MESSAGE:
            show_as_json(r);
            return ARRIVED;
        case MVM_SESSION_BAD_FRAME:
            tell_bad_frame(r);
            continue;
        case MVM_SESSION_ENDED:
            return LOST;
        case MVM_SESSION_NOTHING:
            break;
        }
        enum arrival moved = move_bytes(r, until_ms);
        if (moved != ARRIVED) {
            return moved;
        }
    }
}

/* ---- connections ---- */

static bool open_connection(struct mvm_run *r, uint64_t until_ms)
{
    const struct mvm_session_memory memory = {
        .receive = r->receive,
        .receive_cap = sizeof r->receive,
        .send = r->send,
        .send_cap = sizeof r->send,
        .fields = r->fields,
        .fields_cap = sizeof r->fields,
    };
    struct mvm_writer why;
    mvm_writer_init(&why, r->why_text, sizeof r->why_text);
    mvm_session_init(&r->session, MVM_RESPONSES, &memory);
    mvm_session_speak(&r->session, r->options->wire);
    mvm_sink_flush(&r->err);
    bool open = mvm_connection_open(&r->connection, &r->options->peer, &r->waiter, until_ms, &why);
    mvm_writer_finish(&why);
    return open;
}

/* What came last, once more, above what it came to. */
static void show_tail(struct mvm_run *r)
{
    mvm_status_clear(&r->status);
    mvm_tail_show(&r->tail, &r->err, r->status.on_terminal ? "\033[0m" : "");
}

/* What becomes of a build that was asked for. */
static const char *after_interrupt(const struct mvm_run *r)
{
    if (r->options->command != MVM_HOST_BUILD || r->connection.fd < 0) {
        return "";
    }
    return serial(r) ? "; on a serial line the build goes on" : "; the build is cancelled";
}

/* Without a message that it waited for, a command ends like this. */
static int give_up(struct mvm_run *r, enum arrival how)
{
    switch (how) {
    case SIGNALLED:
        tell(r, "interrupted", after_interrupt(r));
        return MVM_EXIT_SIGNAL + r->waiter.signal;
    case LATE:
        tell(r, "no answer in time from ", r->options->address);
        return MVM_EXIT_NO_CONNECTION;
    case LOST:
    case ARRIVED:
        break;
    }
    show_tail(r);
    tell(r, "connection lost before the answer: ", r->why_text);
    return MVM_EXIT_NO_CONNECTION;
}

static int not_connected(struct mvm_run *r)
{
    if (r->waiter.signal != 0) {
        return give_up(r, SIGNALLED);
    }
    mvm_status_clear(&r->status);
    mvm_sink_add_string(&r->err, "mvm-builder: no connection to ");
    mvm_sink_add_string(&r->err, r->options->address);
    mvm_sink_add_string(&r->err, ": ");
    mvm_sink_add_string(&r->err, r->why_text);
    mvm_sink_add_string(&r->err, "\n");
    return MVM_EXIT_NO_CONNECTION;
}

/* ---- ping ---- */

/* Sends a Ping and skips what comes until its Pong: on a serial line, what somebody else asked
 * for. ARRIVED: `r->session.message` is the Pong, or where the connection is ours alone, an Err. */
static enum arrival ask_ping(struct mvm_run *r, uint64_t until_ms)
{
    const struct mvm_message ping = {.kind = MVM_PING};
    mvm_session_send(&r->session, &ping);
    for (;;) {
        enum arrival how = next_message(r, until_ms);
        enum mvm_kind kind = r->session.message.kind;
        if (how != ARRIVED || kind == MVM_PONG || (kind == MVM_ERR && !serial(r))) {
            return how;
        }
    }
}

static int take_err(struct mvm_run *r)
{
    if (!r->options->json) {
        show_tail(r);
        mvm_sink_add_string(&r->err, "mvm-builder: ");
        mvm_sink_add(&r->err, r->session.message.text);
        mvm_sink_add_string(&r->err, "\n");
    }
    return MVM_EXIT_ERR;
}

static void tell_pong(struct mvm_run *r, uint64_t us)
{
    char text[64];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add(&w, "Pong in ");
    mvm_writer_add_u64(&w, us / 1000);
    mvm_writer_add(&w, us % 1000 < 100 ? ".0" : ".");
    mvm_writer_add_u64(&w, us % 1000 / 10);
    mvm_writer_add(&w, " ms\n");
    mvm_sink_add(&r->out, mvm_writer_finish(&w));
}

static int ping(struct mvm_run *r)
{
    if (!open_connection(r, MVM_NEVER)) {
        return not_connected(r);
    }
    uint64_t start_us = mvm_clock_us();
    enum arrival how = ask_ping(r, mvm_clock_ms() + MVM_PONG_MS);
    if (how != ARRIVED) {
        return give_up(r, how);
    }
    if (r->session.message.kind == MVM_ERR) {
        return take_err(r);
    }
    if (!r->options->json) {
        tell_pong(r, mvm_clock_us() - start_us);
    }
    return MVM_EXIT_OK;
}

/* ---- wait ---- */

static bool answers(struct mvm_run *r, uint64_t until_ms)
{
    uint64_t pong_ms = mvm_clock_ms() + MVM_WAIT_PONG_MS;
    if (!open_connection(r, until_ms)) {
        return false;
    }
    enum arrival how = ask_ping(r, pong_ms < until_ms ? pong_ms : until_ms);
    if (how == LATE) {
        set_why(r, "connected, but no answer came", 0);
    }
    mvm_connection_close(&r->connection);
    return how == ARRIVED && r->session.message.kind == MVM_PONG;
}

static int wait_for_agent(struct mvm_run *r)
{
    uint64_t until_ms = mvm_clock_ms() + r->options->for_secs * 1000;
    mvm_status_start(&r->status, "waiting for the agent");
    for (;;) {
        uint64_t next_ms = mvm_clock_ms() + MVM_WAIT_RETRY_MS;
        if (answers(r, until_ms)) {
            return MVM_EXIT_OK;
        }
        mvm_status_draw(&r->status);
        mvm_sink_flush(&r->err);
        mvm_waiter_wait(&r->waiter, -1, 0, next_ms < until_ms ? next_ms : until_ms, NULL);
        if (r->waiter.signal != 0 || mvm_clock_ms() >= until_ms) {
            return not_connected(r);
        }
    }
}

/* ---- build ---- */

static void add_line(struct mvm_sink *s, struct mvm_text line)
{
    mvm_sink_add(s, line);
    mvm_sink_add_string(s, "\n");
}

/* A line that tells how far a copy is becomes the status where there is one. */
static bool show_progress(struct mvm_run *r, struct mvm_text line)
{
    char detail[MVM_STATUS_DETAIL_CAP];
    struct mvm_writer w;
    if (!mvm_progress_take(&r->progress, line, mvm_clock_ms())) {
        return false;
    }
    mvm_writer_init(&w, detail, sizeof detail);
    mvm_progress_show(&r->progress, &w);
    mvm_status_change(&r->status, "staging", mvm_writer_finish(&w).bytes);
    return r->status.on_terminal;
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
    if (r->options->json || show_progress(r, line)) {
        return; /* printed as a frame · in the status */
    }
    if (r->tail.count == 0) {
        mvm_status_change(&r->status, "building", "");
    }
    mvm_tail_add(&r->tail, line);
    mvm_status_clear(&r->status);
    add_line(&r->err, line);
}

static int take_ok(struct mvm_run *r)
{
    if (!r->options->json) {
        mvm_sink_add(&r->out, r->session.message.text);
        mvm_sink_add_string(&r->out, "\n");
    }
    return MVM_EXIT_OK;
}

static int follow_build(struct mvm_run *r)
{
    for (;;) {
        enum arrival how = next_message(r, MVM_NEVER);
        if (how != ARRIVED) {
            return give_up(r, how);
        }
        switch (r->session.message.kind) {
        case MVM_LOG:
            take_log(r);
            break;
        case MVM_OK:
            return take_ok(r);
        case MVM_ERR:
            return take_err(r);
        case MVM_PONG:
        case MVM_PING: /* requests: a session of responses has none */
        case MVM_BUILD:
            break;
        }
    }
}

static int build(struct mvm_run *r)
{
    const struct mvm_message request = {
        .kind = MVM_BUILD,
        .build = {.flake_ref = mvm_text_from(r->options->flake),
                  .attr = mvm_text_from(r->options->attr),
                  .has_timeout = r->options->has_timeout,
                  .timeout_secs = r->options->timeout_secs},
    };
    mvm_status_start(&r->status, "connecting");
    mvm_status_draw(&r->status);
    if (!open_connection(r, MVM_NEVER)) {
        return not_connected(r);
    }
    if (serial(r)) {
        enum arrival how = ask_ping(r, mvm_clock_ms() + MVM_PONG_MS);
        if (how != ARRIVED) {
            return give_up(r, how);
        }
    }
    mvm_status_change(&r->status, "mounting", ""); /* until the first line comes */
    mvm_session_send(&r->session, &request);
    return follow_build(r);
}

/* ---- all ---- */

static int do_command(struct mvm_run *r)
{
    switch (r->options->command) {
    case MVM_HOST_BUILD:
        return build(r);
    case MVM_HOST_WAIT:
        return wait_for_agent(r);
    default:
        return ping(r);
    }
}

/* False: it has been told. */
static bool open_log(struct mvm_run *r)
{
    const char *path = r->options->log;
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    mvm_sink_init(&r->log, fd, &r->waiter);
    if (path != NULL && fd < 0) {
        set_why(r, path, errno);
        tell(r, "cannot write the log to ", r->why_text);
    }
    return path == NULL || fd >= 0;
}

int mvm_run(struct mvm_run *r, const struct mvm_host_options *options)
{
    r->options = options;
    r->connection.fd = -1;
    mvm_sink_init(&r->out, STDOUT_FILENO, &r->waiter);
    mvm_sink_init(&r->err, STDERR_FILENO, &r->waiter);
    mvm_status_init(&r->status, &r->err);
    int status = open_log(r) ? do_command(r) : MVM_EXIT_USAGE;
    mvm_connection_close(&r->connection);
    bool built = status == MVM_EXIT_OK && options->command == MVM_HOST_BUILD;
    mvm_status_finish(&r->status, built ? "done in" : NULL);
    flush_log(r);
    mvm_sink_flush(&r->err);
    mvm_sink_flush(&r->out);
    if (status == MVM_EXIT_OK && r->out.error != 0) {
        set_why(r, "stdout", r->out.error);
        tell(r, "cannot write to ", r->why_text);
        mvm_sink_flush(&r->err);
    }
    bool whole = r->out.error == 0 && r->log.error == 0;
    return status == MVM_EXIT_OK && !whole ? MVM_EXIT_ERR : status;
}
