/* Frames in and out over a connection. */
#include "conversation.h"
#include "deadline.h"
#include "quote.h"
#include <poll.h>
#include <string.h>

#define HELLO       "{\"Hello\":{\"nonce\":\"" /* the beginning of our own */
#define NEEDS_PROTO ", which builds without disks need"

void mvm_conversation_init(struct mvm_conversation *c, const struct mvm_peer *peer,
                           enum mvm_wire wire, struct mvm_waiter *waiter)
{
    c->peer = peer;
    c->wire = wire;
    c->waiter = waiter;
    c->why[0] = c->note[0] = '\0';
    c->noise_noted = c->mixed_noted = c->needs_proto = false;
    mvm_connection_init(&c->connection);
}

bool mvm_conversation_on_serial(const struct mvm_conversation *c)
{
    return c->peer->kind == MVM_PEER_SERIAL;
}

void mvm_conversation_set_why(struct mvm_conversation *c, const char *text)
{
    struct mvm_writer why;
    mvm_writer_init(&why, c->why, sizeof c->why);
    mvm_writer_add(&why, text);
    mvm_writer_finish(&why);
}

/* ---- frames that cannot be read ---- */

static enum mvm_decoder_error frame_error(const struct mvm_conversation *c)
{
    return c->session.wire == MVM_WIRE_PROTO ? c->session.proto_decoder.error
                                             : c->session.json_decoder.error;
}

static void add_first(const struct mvm_conversation *c, struct mvm_writer *why)
{
    mvm_writer_add(why, "it answered something else: ");
    mvm_quote_add(why, (struct mvm_text){c->first, c->first_len});
}

/* On a serial line: kernel messages, or another client's frames. */
static void note_noise(struct mvm_conversation *c)
{
    struct mvm_writer note;
    if (c->noise_noted) {
        return;
    }
    c->noise_noted = true;
    mvm_writer_init(&note, c->note, sizeof c->note);
    mvm_writer_add(&note, "ignoring lines that are not messages (first: ");
    mvm_session_explain(&c->session, &note);
    mvm_writer_add(&note, ")");
    mvm_writer_finish(&note);
}

/* The length of a protobuf frame begins with a zero byte, as long as frames are below 16 MiB. */
bool mvm_conversation_is_with_another(const struct mvm_conversation *c)
{
    bool begins = c->wire == MVM_WIRE_PROTO
                      ? c->first[0] == '\0'
                      : !c->first_ended && (c->first[0] == '{' || c->first[0] == '"');
    return !c->spoken && c->first_len > 0 && !begins;
}

static void explain_broken(struct mvm_conversation *c)
{
    struct mvm_writer why;
    mvm_writer_init(&why, c->why, sizeof c->why);
    if (c->wire == MVM_WIRE_PROTO && (c->first[0] == '{' || c->first[0] == '"')) {
        mvm_writer_add(&why, "it answers in JSON: an agent without protobuf, or on a serial line");
        mvm_writer_add(&why, c->needs_proto ? "; builds without disks need protobuf"
                                            : "; use --wire json");
    } else if (c->wire == MVM_WIRE_PROTO && mvm_conversation_is_with_another(c)) {
        add_first(c, &why);
    } else {
        mvm_session_explain(&c->session, &why);
    }
    mvm_writer_finish(&why);
}

static bool is_too_long(enum mvm_decoder_error error)
{
    return error == MVM_DECODER_FRAME_TOO_LONG || error == MVM_DECODER_FIELD_TOO_LONG;
}

/* A frame over a limit is skipped if it cannot be the answer. Other agents send log lines of any
 * length; and what is named by an id over the limit is not ours, if ids are looked at. */
static bool may_skip_long(const struct mvm_conversation *c)
{
    const struct mvm_session *s = &c->session;
    bool json = s->wire != MVM_WIRE_PROTO;
    bool ids = c->agent.ids || mvm_conversation_on_serial(c);
    if (frame_error(c) == MVM_DECODER_FRAME_TOO_LONG) { /* its kind is known long before */
        return json && s->json_decoder.message.kind == MVM_MESSAGE_LOG;
    }
    struct mvm_text field = mvm_text_from(json ? s->json_decoder.field : s->proto_decoder.field);
    return mvm_text_equal(field, "line") ||
           (ids && (mvm_text_equal(field, "id") || mvm_text_equal(field, "refused")));
}

/* On a serial line: kernel messages, also in the middle of frames, and until the Hello is answered
 * anything that was for others. */
static bool is_noise(const struct mvm_conversation *c, enum mvm_decoder_error error)
{
    bool serial = mvm_conversation_on_serial(c);
    return is_too_long(error) && !(serial && c->greeting) ? may_skip_long(c) : serial;
}

/* True: the frame can be skipped. Unknown variants always are. On a connection all else is a frame,
 * and any other bad one may have been the answer. */
static bool may_skip_frame(struct mvm_conversation *c)
{
    enum mvm_decoder_error error = frame_error(c);
    if (mvm_session_broken(&c->session)) {
        explain_broken(c);
        return false;
    }
    if (error == MVM_DECODER_UNKNOWN_VARIANT) {
        return true;
    }
    if (is_noise(c, error)) {
        note_noise(c);
        return true;
    }
    if (c->greeting && c->wire == MVM_WIRE_JSON && !is_too_long(error)) {
        c->answer_until_ms = mvm_sooner(c->answer_until_ms, mvm_clock_after(MVM_HOST_ANSWER_MS));
        return true;
    }
    explain_broken(c);
    return false;
}

/* ---- moving bytes ---- */

/* For "it answered something else": the part of the first line that is quoted. A CR is the end of
 * a line, or of an empty one, too. */
static void keep_first(struct mvm_conversation *c, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && !c->first_ended; i++) {
        if (bytes[i] == '\n' || c->first_len == sizeof c->first) {
            c->first_ended = c->first_len > 0;
        } else if (bytes[i] != '\r') {
            c->first[c->first_len++] = (char)bytes[i];
        }
    }
}

/* False: the connection has ended, and `why` gives the reason. */
static bool receive(struct mvm_conversation *c)
{
    size_t cap;
    struct mvm_writer why;
    uint8_t *room = mvm_session_room(&c->session, &cap);
    if (room == NULL) {
        return true;
    }
    mvm_writer_init(&why, c->why, sizeof c->why);
    ptrdiff_t n = mvm_connection_read(&c->connection, room, cap, &why);
    if (n > 0) {
        keep_first(c, room, (size_t)n);
        mvm_session_received(&c->session, (size_t)n);
    }
    return n >= 0;
}

static void transmit(struct mvm_conversation *c)
{
    size_t len;
    const uint8_t *bytes = mvm_session_bytes(&c->session, &len);
    if (len > 0) {
        mvm_session_sent(&c->session, mvm_connection_write(&c->connection, bytes, len));
    }
}

/* Polls for reading only while there is room: a peer that sends and does not read must not make us
 * spin. */
static short wanted(struct mvm_conversation *c)
{
    size_t cap;
    short events = mvm_session_room(&c->session, &cap) != NULL ? POLLIN : 0;
    return mvm_session_flushed(&c->session) ? events : events | POLLOUT;
}

/* Waits, then reads and writes what is possible. */
static enum mvm_arrival move_bytes(struct mvm_conversation *c, uint64_t until_ms)
{
    short revents = 0;
    switch (mvm_waiter_wait(c->waiter, c->connection.fd, wanted(c), until_ms, &revents)) {
    case MVM_WAKE_SIGNAL:
        return MVM_CONVERSATION_SIGNALLED;
    case MVM_WAKE_TIME:
        return MVM_CONVERSATION_LATE;
    case MVM_WAKE_READY:
        break;
    }
    if ((revents & (POLLOUT | POLLHUP | POLLERR)) != 0) { /* what has failed accepts all */
        transmit(c);
    }
    if ((revents & ~POLLOUT) != 0 && !receive(c)) {
        mvm_session_peer_ended(&c->session);
    }
    return MVM_CONVERSATION_ARRIVED;
}

/* Our own Hello came back, before anything else. */
static bool is_echoed(const struct mvm_conversation *c)
{
    struct mvm_text first = {c->first, c->first_len};
    size_t start = sizeof HELLO - 1, len = strlen(c->nonce);
    return mvm_conversation_on_serial(c) && mvm_text_begins(first, HELLO) &&
           first.len >= start + len && memcmp(first.bytes + start, c->nonce, len) == 0;
}

void mvm_conversation_explain_late(struct mvm_conversation *c)
{
    struct mvm_writer why;
    mvm_writer_init(&why, c->why, sizeof c->why);
    bool met = c->spoken && !c->greeting; /* it is an agent, and is silent now */
    if (c->first_len == 0 || met) {
        mvm_writer_add(&why, "no answer in time");
        if (c->wire == MVM_WIRE_PROTO && !met) {
            mvm_writer_add(&why, "; an agent without protobuf never answers");
            mvm_writer_add(&why, c->needs_proto ? NEEDS_PROTO : ": use --wire json");
        }
    } else if (is_echoed(c)) {
        mvm_writer_add(&why, "the line echoes: what is sent comes back, and nothing else; it must "
                             "be raw, without echo, at its other end");
    } else {
        add_first(c, &why);
    }
    mvm_writer_finish(&why);
}

/* Reads and writes once. Bytes without a message do not extend the time. */
static enum mvm_arrival move_in_time(struct mvm_conversation *c, uint64_t until_ms, bool again)
{
    bool late = again && mvm_clock_ms() >= until_ms;
    enum mvm_arrival moved = late ? MVM_CONVERSATION_LATE : move_bytes(c, until_ms);
    if (moved == MVM_CONVERSATION_LATE) {
        mvm_conversation_explain_late(c);
    }
    return moved;
}

enum mvm_arrival mvm_conversation_next(struct mvm_conversation *c, uint64_t until_ms)
{
    bool again = false;
    for (;;) {
        switch (mvm_session_next(&c->session)) {
        case MVM_SESSION_MESSAGE:
            c->heard_ms = mvm_clock_ms();
            c->spoken = true;
            return MVM_CONVERSATION_ARRIVED;
        case MVM_SESSION_BAD_FRAME:
            if (mvm_session_ended(&c->session)) {
                return MVM_CONVERSATION_LOST; /* inside a frame */
            }
            if (!may_skip_frame(c)) {
                return MVM_CONVERSATION_BROKEN;
            }
            if (c->greeting) { /* may_skip_frame brings it nearer */
                until_ms = mvm_sooner(until_ms, c->answer_until_ms);
            }
            continue;
        case MVM_SESSION_ENDED:
            return MVM_CONVERSATION_LOST;
        case MVM_SESSION_NOTHING:
            break;
        }
        if (c->feeding && mvm_session_can_send(&c->session)) {
            return MVM_CONVERSATION_ROOM;
        }
        enum mvm_arrival moved = move_in_time(c, until_ms, again);
        if (moved != MVM_CONVERSATION_ARRIVED) {
            return moved;
        }
        again = true;
    }
}

enum mvm_arrival mvm_conversation_send(struct mvm_conversation *c, const struct mvm_message *m)
{
    while (!mvm_session_can_send(&c->session)) {
        enum mvm_arrival moved = move_bytes(c, c->answer_until_ms);
        if (moved != MVM_CONVERSATION_ARRIVED) {
            return moved;
        }
    }
    mvm_session_send(&c->session, m);
    return MVM_CONVERSATION_ARRIVED;
}

enum mvm_arrival mvm_conversation_flush(struct mvm_conversation *c, uint64_t until_ms)
{
    enum mvm_arrival moved = MVM_CONVERSATION_ARRIVED;
    while (moved == MVM_CONVERSATION_ARRIVED && !mvm_session_flushed(&c->session)) {
        moved = mvm_session_ended(&c->session) ? MVM_CONVERSATION_LOST : move_bytes(c, until_ms);
    }
    return moved;
}

/* ---- questions ---- */

static bool is_same(struct mvm_text a, struct mvm_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

/* Whether the message that has arrived answers `request`. On a serial line without Hello an Err
 * can be another client's. An id has a meaning only if ids are in use. */
static bool is_answer(const struct mvm_conversation *c, const struct mvm_message *request,
                      enum mvm_kind answer)
{
    const struct mvm_message *m = &c->session.message;
    if (m->kind == MVM_MESSAGE_ERR) {
        return mvm_conversation_on_serial(c) ? m->id.bytes == NULL && c->agent.hello
                                             : m->id.bytes == NULL || !c->agent.ids;
    }
    return m->kind == answer && (request->id.bytes == NULL || is_same(m->id, request->id));
}

enum mvm_arrival mvm_conversation_ask(struct mvm_conversation *c, const struct mvm_message *request,
                                      enum mvm_kind answer)
{
    enum mvm_arrival how = mvm_conversation_send(c, request);
    while (how == MVM_CONVERSATION_ARRIVED) {
        how = mvm_conversation_next(c, c->answer_until_ms);
        if (how != MVM_CONVERSATION_ARRIVED || is_answer(c, request, answer)) {
            return how;
        }
        if (mvm_clock_ms() >= c->answer_until_ms) {
            mvm_conversation_explain_late(c); /* other messages kept coming */
            return MVM_CONVERSATION_LATE;
        }
    }
    return how;
}

/* ---- connections ---- */

static void begin_session(struct mvm_conversation *c)
{
    const struct mvm_session_memory memory = {
        .receive = c->receive,
        .receive_cap = sizeof c->receive,
        .send = c->send,
        .send_cap = sizeof c->send,
        .fields = c->fields,
        .fields_cap = sizeof c->fields,
    };
    mvm_session_init(&c->session, MVM_DIRECTION_RESPONSES, &memory);
    mvm_session_speak(&c->session, c->wire);
    c->agent = (struct mvm_agent_abilities){.hello = false};
    c->feeding = false;
    c->first_len = 0;
    c->first_ended = c->spoken = false;
    c->first[0] = '\0';
}

enum mvm_arrival mvm_conversation_connect(struct mvm_conversation *c, uint64_t until_ms)
{
    struct mvm_writer why;
    mvm_writer_init(&why, c->why, sizeof c->why);
    mvm_connection_close(&c->connection);
    begin_session(c);
    bool open = mvm_connection_open(&c->connection, c->peer, c->waiter, until_ms, &why);
    mvm_writer_finish(&why);
    if (!open) {
        return c->waiter->signal != 0 ? MVM_CONVERSATION_SIGNALLED : MVM_CONVERSATION_UNCONNECTED;
    }
    c->heard_ms = mvm_clock_ms();
    return MVM_CONVERSATION_ARRIVED;
}

void mvm_conversation_close(struct mvm_conversation *c, bool done)
{
    if (done) {
        mvm_connection_close(&c->connection);
    } else {
        mvm_connection_abandon(&c->connection);
    }
}
