/* What comes and goes over a connection, and what is told of it. */
#include "exchange.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* ---- telling ---- */

void mvm_run_tell(struct mvm_run *r, const char *const parts[])
{
    mvm_status_plain(&r->status);
    mvm_sink_add_string(&r->err, "mvm-builder: ");
    for (size_t i = 0; parts[i] != NULL; i++) {
        mvm_sink_add_string(&r->err, parts[i]);
    }
    mvm_sink_add_string(&r->err, "\n");
}

void mvm_run_set_why(struct mvm_run *r, const char *call, int error)
{
    struct mvm_writer why;
    mvm_writer_init(&why, r->why_text, sizeof r->why_text);
    mvm_writer_add(&why, call);
    mvm_writer_add(&why, error != 0 ? ": " : "");
    mvm_writer_add(&why, error != 0 ? strerror(error) : "");
    mvm_writer_finish(&why);
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
    MVM_RUN_TELL(r, "skipped a line that is no message, and will skip others: ", text);
}

void mvm_run_flush(struct mvm_run *r)
{
    mvm_sink_flush(&r->log);
    if (r->log.error != 0 && !r->log_error_told) {
        r->log_error_told = true;
        MVM_RUN_TELL(r, "cannot write to ", r->options->log, ": ", strerror(r->log.error),
                     "; the log is not in it from there on");
    }
    mvm_sink_flush(&r->err);
    mvm_sink_flush(&r->out);
}

/* ---- moving bytes ---- */

bool mvm_run_on_serial(const struct mvm_run *r)
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
    mvm_run_set_why(r, n == 0 ? "the agent's side closed it" : "read", n == 0 ? 0 : errno);
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
static enum mvm_arrival move_bytes(struct mvm_run *r, uint64_t until_ms)
{
    mvm_status_draw(&r->status);
    mvm_run_flush(r);
    short revents = 0;
    short events = mvm_session_flushed(&r->session) ? POLLIN : POLLIN | POLLOUT;
    switch (mvm_waiter_wait(&r->waiter, r->connection.fd, events, until_ms, &revents)) {
    case MVM_WAKE_SIGNAL:
        return MVM_SIGNALLED;
    case MVM_WAKE_TIME:
        return MVM_LATE;
    case MVM_WAKE_READY:
        break;
    }
    if ((revents & POLLOUT) != 0) {
        transmit(r);
    }
    if ((revents & ~POLLOUT) != 0 && !receive(r)) {
        mvm_session_peer_ended(&r->session);
    }
    return MVM_ARRIVED;
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

enum mvm_arrival mvm_run_next(struct mvm_run *r, uint64_t until_ms)
{
    for (;;) {
        switch (mvm_session_next(&r->session)) {
        case MVM_SESSION_MESSAGE:
            show_as_json(r);
            return MVM_ARRIVED;
        case MVM_SESSION_BAD_FRAME:
            tell_bad_frame(r);
            continue;
        case MVM_SESSION_ENDED:
            return MVM_LOST;
        case MVM_SESSION_NOTHING:
            break;
        }
        enum mvm_arrival moved = move_bytes(r, until_ms);
        if (moved != MVM_ARRIVED) {
            return moved;
        }
    }
}

/* ---- connections ---- */

bool mvm_run_open(struct mvm_run *r, uint64_t until_ms)
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
    mvm_session_init(&r->session, MVM_DIRECTION_RESPONSES, &memory);
    mvm_session_speak(&r->session, r->options->wire);
    mvm_status_draw(&r->status);
    mvm_run_flush(r);
    bool open = mvm_connection_open(&r->connection, &r->options->peer, &r->waiter, until_ms, &why);
    mvm_writer_finish(&why);
    return open;
}

enum mvm_arrival mvm_run_ping(struct mvm_run *r, uint64_t until_ms)
{
    const struct mvm_message ping = {.kind = MVM_MESSAGE_PING};
    mvm_session_send(&r->session, &ping);
    for (;;) {
        enum mvm_arrival how = mvm_run_next(r, until_ms);
        enum mvm_kind kind = r->session.message.kind;
        if (how != MVM_ARRIVED || kind == MVM_MESSAGE_PONG ||
            (kind == MVM_MESSAGE_ERR && !mvm_run_on_serial(r))) {
            return how;
        }
    }
}

/* ---- ends ---- */

static int interrupted(struct mvm_run *r)
{
    if (!r->asked) {
        MVM_RUN_TELL(r, "interrupted");
    } else if (mvm_run_on_serial(r)) {
        MVM_RUN_TELL(r, "interrupted; the build goes on: a serial line has no end to cancel it by");
    } else {
        MVM_RUN_TELL(r, "interrupted; the end of the connection cancels the build");
    }
    return MVM_EXIT_SIGNAL + r->waiter.signal;
}

int mvm_run_give_up(struct mvm_run *r, enum mvm_arrival how)
{
    switch (how) {
    case MVM_SIGNALLED:
        return interrupted(r);
    case MVM_LATE:
        MVM_RUN_TELL(r, "no answer in time from ", r->options->address);
        return MVM_EXIT_NO_CONNECTION;
    case MVM_LOST:
    case MVM_ARRIVED:
        break;
    }
    MVM_RUN_TELL(r, "connection lost before the answer: ", r->why_text);
    return MVM_EXIT_NO_CONNECTION;
}

int mvm_run_not_connected(struct mvm_run *r)
{
    if (r->waiter.signal != 0) {
        return interrupted(r);
    }
    MVM_RUN_TELL(r, "no connection to ", r->options->address, ": ", r->why_text);
    return MVM_EXIT_NO_CONNECTION;
}

int mvm_run_refused(struct mvm_run *r)
{
    if (!r->options->json) {
        mvm_status_plain(&r->status);
        mvm_sink_add_string(&r->err, "mvm-builder: ");
        mvm_sink_add(&r->err, r->session.message.text);
        mvm_sink_add_string(&r->err, "\n");
    }
    return MVM_EXIT_ERR;
}
