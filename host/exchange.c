#include "exchange.h"
#include "deadline.h"
#include "greeting.h"
#include "mvm_category.h"
#include "quote.h"
#include "store_path.h"
#include <string.h>

void mvm_exchange_init(struct mvm_exchange *x, struct mvm_conversation *c,
                       const struct mvm_message *request, uint64_t retry_ms, uint64_t silence_ms)
{
    memset(x, 0, sizeof *x);
    x->conversation = c;
    x->request = *request;
    x->retry_ms = retry_ms;
    x->silence_ms = silence_ms;
    x->backoff_ms = MVM_HOST_RETRY_FIRST_MS;
    x->give_up_ms = mvm_clock_after(retry_ms);
    x->pending_err_ms = MVM_NEVER;
}

static bool is_join(const struct mvm_exchange *x)
{
    return x->request.kind == MVM_MESSAGE_JOIN;
}

static bool is_stream(const struct mvm_exchange *x)
{
    return x->request.kind == MVM_MESSAGE_STREAM_BUILD;
}

static bool is_ours(const struct mvm_exchange *x, struct mvm_text id)
{
    return id.bytes != NULL && id.len == x->request.id.len &&
           memcmp(id.bytes, x->request.id.bytes, id.len) == 0;
}

/* Whether what has this id is of the build. Ids that are not in use have no meaning, but on a
 * serial line another client may use them. */
static bool is_of_build(const struct mvm_exchange *x, struct mvm_text id)
{
    return x->named ? is_ours(x, id)
                    : id.bytes == NULL || !mvm_conversation_on_serial(x->conversation);
}

static void set_note(struct mvm_conversation *c, const char *text)
{
    struct mvm_writer note;
    mvm_writer_init(&note, c->note, sizeof c->note);
    mvm_writer_add(&note, text);
    mvm_writer_finish(&note);
}

/* ---- ends ---- */

static enum mvm_exchange_event end(struct mvm_exchange *x, enum mvm_exchange_event event)
{
    x->state = MVM_EXCHANGE_ENDED;
    x->message = &x->conversation->session.message;
    x->answered = event == MVM_EXCHANGE_OK || event == MVM_EXCHANGE_ERR;
    return event;
}

static enum mvm_exchange_event fail(struct mvm_exchange *x, enum mvm_arrival how)
{
    x->failure = how;
    return end(x, MVM_EXCHANGE_FAILED);
}

static enum mvm_exchange_event refuse(struct mvm_exchange *x, const char *why)
{
    mvm_conversation_set_why(x->conversation, why);
    return end(x, MVM_EXCHANGE_UNABLE);
}

/* ---- a lost connection ---- */

/* A build that was accepted is joined again if it outlives its connection. One that was perhaps not
 * accepted is requested again: a request with a known id is refused. */
static bool may_retry(const struct mvm_exchange *x, enum mvm_arrival how)
{
    if (x->retry_ms == 0 || how == MVM_CONVERSATION_BROKEN || mvm_clock_ms() >= x->give_up_ms) {
        return false;
    }
    return !x->sent || (x->named && (!x->accepted || x->kept || is_join(x)));
}

/* Handles a loss of the connection. Only the first of consecutive losses is reported. */
static enum mvm_exchange_event lose(struct mvm_exchange *x, enum mvm_arrival how)
{
    if (how == MVM_CONVERSATION_SIGNALLED) {
        return MVM_EXCHANGE_SIGNALLED;
    }
    if (!x->trying) {
        x->give_up_ms = mvm_clock_after(x->retry_ms);
        x->backoff_ms = MVM_HOST_RETRY_FIRST_MS;
    }
    if (!may_retry(x, how)) {
        return fail(x, how);
    }
    x->split = x->split || (x->source_at > 0 && !x->built);
    mvm_conversation_close(x->conversation, true);
    x->state = MVM_EXCHANGE_CONNECTING;
    x->try_ms = mvm_clock_after(x->backoff_ms);
    x->backoff_ms =
        x->backoff_ms * 2 < MVM_HOST_RETRY_MAX_MS ? x->backoff_ms * 2 : MVM_HOST_RETRY_MAX_MS;
    x->trying = true;
    x->failure = how;
    return MVM_EXCHANGE_RETRYING;
}

/* ---- asking ---- */

static enum mvm_exchange_event send_request(struct mvm_exchange *x)
{
    struct mvm_message m = x->request;
    x->source_at = x->credit = 0;
    x->listed = x->conversation->feeding = false;
    x->getting = NULL;
    x->joins = is_join(x) || x->accepted;
    if (x->joins) {
        m = (struct mvm_message){.kind = MVM_MESSAGE_JOIN, .id = x->request.id};
    } else {
        m.id = x->named ? m.id : (struct mvm_text){NULL, 0};
        m.build.keep = x->kept ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
        x->resent = x->sent;
    }
    enum mvm_arrival how = mvm_conversation_send(x->conversation, &m);
    x->sent = true;
    x->heard_ms = mvm_clock_ms();
    x->pending_err_ms = MVM_NEVER;
    x->state = MVM_EXCHANGE_FOLLOWING;
    return how == MVM_CONVERSATION_ARRIVED ? MVM_EXCHANGE_ASKED : lose(x, how);
}

/* A reason why this agent cannot take a StreamBuild; NULL: it can. */
static const char *lacks(const struct mvm_exchange *x)
{
    const struct mvm_agent_abilities *a = &x->conversation->agent;
    if (!a->ids || !a->artifacts) {
        return "this agent does not give out artifacts over the connection: --output needs one "
               "that "
               "does";
    }
    return x->request.build.has_source && !a->source
               ? "this agent does not take a flake over the connection: send: needs one that does"
               : NULL;
}

/* Whether this agent supports the request; reports what it lacks. */
static enum mvm_exchange_event prepare(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    x->named = c->agent.ids;
    if (is_stream(x) && lacks(x) != NULL) {
        return refuse(x, lacks(x));
    }
    if ((is_join(x) || x->accepted) && !(c->agent.ids && c->agent.join)) {
        return refuse(x, "this agent cannot join a build");
    }
    if (x->sent && !c->agent.ids) {
        return refuse(x, "the agent was replaced by one without ids: what became of the build is "
                         "not known");
    }
    if (!is_join(x) && !x->sent) {
        x->kept = x->request.build.keep == MVM_FLAG_TRUE && c->agent.ids && c->agent.keep &&
                  c->agent.join;
        if (x->request.build.keep == MVM_FLAG_TRUE && !x->kept) {
            set_note(c, "this agent cannot keep a build: a lost connection ends it");
        }
    }
    return send_request(x);
}

/* The Hello of a busy agent may take as long as the build's own frames. An agent with protobuf
 * answers at any time. */
static enum mvm_exchange_event open_and_ask(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    uint64_t until_ms = x->trying ? x->give_up_ms : MVM_NEVER;
    uint64_t answer_ms = x->silence_ms;
    if (mvm_waiter_wait(c->waiter, -1, 0, x->try_ms, NULL) == MVM_WAKE_SIGNAL) {
        return MVM_EXCHANGE_SIGNALLED;
    }
    if (c->wire == MVM_WIRE_PROTO || mvm_conversation_on_serial(c) || x->retry_ms > 0) {
        answer_ms = answer_ms < MVM_HOST_ANSWER_MS ? answer_ms : MVM_HOST_ANSWER_MS;
    }
    enum mvm_arrival how = mvm_conversation_open(c, until_ms, answer_ms);
    return how == MVM_CONVERSATION_ARRIVED ? prepare(x) : lose(x, how);
}

/* ---- following ---- */

static bool has_category(const struct mvm_message *m, enum mvm_category category)
{
    return m->kind == MVM_MESSAGE_ERR &&
           mvm_text_equal(m->refusal.category, mvm_category_word(category));
}

bool mvm_exchange_is_cancelled(const struct mvm_exchange *x)
{
    return has_category(x->message, MVM_CATEGORY_CANCELLED);
}

/* A Build that was sent twice can meet itself: the first was accepted, and its frames were lost. */
static bool may_be_met_again(const struct mvm_exchange *x, const struct mvm_message *m)
{
    return !x->joins && x->resent && x->conversation->agent.join &&
           has_category(m, MVM_CATEGORY_ID_CONFLICT);
}

/* An id that the caller gave can be another build's, whose answer or client this one would take. */
static bool is_met_again(const struct mvm_exchange *x, const struct mvm_message *m)
{
    return x->renews && may_be_met_again(x, m);
}

bool mvm_exchange_may_be_ours(const struct mvm_exchange *x)
{
    return !x->renews && may_be_met_again(x, x->message);
}

/* The agent cancels a build whose source came in part over a connection that was lost. It is begun
 * again, as another build. */
static bool is_cut(const struct mvm_exchange *x, const struct mvm_message *m)
{
    return x->renews && x->split && has_category(m, MVM_CATEGORY_CANCELLED);
}

static enum mvm_exchange_event renew(struct mvm_exchange *x)
{
    if (!mvm_id_make(x->renewed)) {
        return end(x, MVM_EXCHANGE_ERR);
    }
    x->request.id = mvm_text_from(x->renewed);
    x->accepted = x->sent = x->split = false;
    return send_request(x);
}

/* A parse error carries no id. It is about our Build if that is never accepted. */
static void hold_err(struct mvm_exchange *x, const struct mvm_message *m)
{
    struct mvm_writer text;
    if (x->accepted || x->pending_err_ms != MVM_NEVER || !mvm_text_begins(m->text, "parse error")) {
        return;
    }
    mvm_writer_init(&text, x->pending_err_text, sizeof x->pending_err_text);
    mvm_writer_add_text(&text, m->text);
    x->pending_err =
        (struct mvm_message){.kind = MVM_MESSAGE_ERR, .text = mvm_writer_finish(&text)};
    x->pending_err_ms = mvm_clock_after(MVM_HOST_ACCEPT_MS);
}

static bool on_err(struct mvm_exchange *x, enum mvm_exchange_event *event)
{
    const struct mvm_message *m = &x->conversation->session.message;
    if (x->named && is_ours(x, m->id) && is_cut(x, m)) {
        *event = renew(x);
        return *event != MVM_EXCHANGE_ASKED;
    }
    if (is_of_build(x, m->id)) {
        *event = end(x, MVM_EXCHANGE_ERR);
        return true;
    }
    if (x->named && is_ours(x, m->refusal.refused)) {
        if (is_met_again(x, m)) {
            x->accepted = true;
            *event = send_request(x);
            return *event != MVM_EXCHANGE_ASKED;
        }
        *event = end(x, MVM_EXCHANGE_ERR);
        return true;
    }
    if (m->id.bytes == NULL && m->refusal.refused.bytes == NULL) {
        hold_err(x, m);
    }
    return false;
}

static enum mvm_exchange_event reject_ok(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    struct mvm_writer why;
    mvm_writer_init(&why, c->why, sizeof c->why);
    mvm_writer_add(&why, "its Ok does not name a store path: ");
    mvm_quote_add(&why, c->session.message.text);
    mvm_writer_finish(&why);
    return fail(x, MVM_CONVERSATION_BROKEN);
}

/* A build that was joined has had its source over an earlier connection. */
static bool is_early(const struct mvm_exchange *x)
{
    const struct mvm_build *build = &x->request.build;
    return is_stream(x) && !x->joins && build->has_source && x->source_at < build->source_size;
}

static enum mvm_exchange_event on_ok(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    if (!mvm_is_store_path(c->session.message.text)) {
        return reject_ok(x);
    }
    if (is_early(x)) {
        mvm_conversation_set_why(c, "its Ok came before all of the source was sent");
        return fail(x, MVM_CONVERSATION_BROKEN);
    }
    if (!is_stream(x)) {
        return end(x, MVM_EXCHANGE_OK);
    }
    x->message = &c->session.message;
    x->trying = x->trying && x->built; /* the same Ok again brings nothing new */
    x->built = x->listed = x->accepted = true;
    c->feeding = false;
    x->credit = 0;
    return MVM_EXCHANGE_OK;
}

/* ---- bulk ---- */

static enum mvm_exchange_event on_artifact(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    const struct mvm_message *m = &c->session.message;
    if (x->getting == NULL || !mvm_text_equal(m->bulk.name, x->getting)) {
        mvm_conversation_set_why(c, "bytes of an artifact that was not asked for");
        return fail(x, MVM_CONVERSATION_BROKEN);
    }
    x->message = m;
    x->trying = false;
    x->getting = m->bulk.last == MVM_FLAG_TRUE ? NULL : x->getting;
    return MVM_EXCHANGE_ARTIFACT;
}

void mvm_exchange_source(struct mvm_exchange *x, struct mvm_text data)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_SOURCE, .text = data, .id = x->request.id};
    m.bulk.offset = x->source_at;
    x->source_at += data.len;
    x->credit -= data.len;
    m.bulk.last = x->source_at == x->request.build.source_size ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    x->conversation->feeding = x->credit > 0;
    mvm_session_send(&x->conversation->session, &m);
}

void mvm_exchange_get(struct mvm_exchange *x, const char *name, uint64_t offset, uint64_t length)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_GET, .id = x->request.id};
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = offset;
    m.bulk.length = length;
    x->getting = name;
    mvm_conversation_send(x->conversation, &m); /* `next` finds out what went wrong */
}

static enum mvm_arrival send_drop(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    const struct mvm_message m = {.kind = MVM_MESSAGE_DROP, .id = x->request.id};
    enum mvm_arrival how = mvm_conversation_send(c, &m);
    return how == MVM_CONVERSATION_ARRIVED ? mvm_conversation_flush(c, c->answer_until_ms) : how;
}

void mvm_exchange_drop(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    int signal = c->waiter->signal;
    c->waiter->signal = 0;
    c->answer_until_ms = mvm_clock_after(MVM_HOST_CANCEL_MS);
    if (x->state == MVM_EXCHANGE_FOLLOWING && send_drop(x) == MVM_CONVERSATION_SIGNALLED &&
        signal == 0) {
        signal = c->waiter->signal; /* the first one does not cut it short */
        c->waiter->signal = 0;
        mvm_conversation_flush(c, c->answer_until_ms);
    }
    c->waiter->signal = signal != 0 ? signal : c->waiter->signal;
    x->state = MVM_EXCHANGE_ENDED;
}

void mvm_exchange_reject(struct mvm_exchange *x)
{
    fail(x, MVM_CONVERSATION_BROKEN);
}

/* ---- cancelling ---- */

static enum mvm_interruption interruption_of(struct mvm_text was)
{
    static const struct {
        const char *was;
        enum mvm_interruption what;
    } words[] = {
        {"waiting", MVM_INTERRUPTION_CANCELLED},
        {"running", MVM_INTERRUPTION_CANCELLED},
        {"ended", MVM_INTERRUPTION_ENDED},
        {"unknown", MVM_INTERRUPTION_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (mvm_text_equal(was, words[i].was)) {
            return words[i].what;
        }
    }
    return MVM_INTERRUPTION_LATE; /* staging, or a word that is not known here */
}

/* Whether the message that has arrived is the end of the build. */
static bool is_end(struct mvm_exchange *x)
{
    const struct mvm_message *m = &x->conversation->session.message;
    if (m->kind == MVM_MESSAGE_ERR && (is_ours(x, m->id) || is_ours(x, m->refusal.refused))) {
        x->end = end(x, MVM_EXCHANGE_ERR);
    } else if (m->kind == MVM_MESSAGE_OK && is_ours(x, m->id)) {
        x->end = on_ok(x);
    }
    return x->end != MVM_EXCHANGE_ASKED;
}

/* Skips messages until the build's end or, before the Cancel is answered, that answer. */
static enum mvm_arrival await_end(struct mvm_exchange *x, bool answered)
{
    struct mvm_conversation *c = x->conversation;
    const struct mvm_message *m = &c->session.message;
    while (mvm_clock_ms() < c->answer_until_ms) { /* also if other messages keep coming */
        enum mvm_arrival how = mvm_conversation_next(c, c->answer_until_ms);
        if (how != MVM_CONVERSATION_ARRIVED || is_end(x) ||
            (!answered && m->kind == MVM_MESSAGE_CANCELLED && is_ours(x, m->id))) {
            return how;
        }
    }
    return MVM_CONVERSATION_LATE;
}

static enum mvm_interruption cancel(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    const struct mvm_message m = {.kind = MVM_MESSAGE_CANCEL, .id = x->request.id};
    enum mvm_interruption what = MVM_INTERRUPTION_ASKED;
    int signal = c->waiter->signal;
    c->waiter->signal = 0;
    c->feeding = false;
    c->answer_until_ms = mvm_clock_after(MVM_HOST_CANCEL_MS);
    x->end = MVM_EXCHANGE_ASKED;
    enum mvm_arrival how = mvm_conversation_send(c, &m);
    how = how == MVM_CONVERSATION_ARRIVED ? await_end(x, false) : how;
    if (x->end != MVM_EXCHANGE_ASKED) {
        what = mvm_exchange_is_cancelled(x) ? MVM_INTERRUPTION_CANCELLED : MVM_INTERRUPTION_ENDED;
    } else if (how == MVM_CONVERSATION_ARRIVED) {
        what = interruption_of(c->session.message.text);
    }
    if (is_stream(x) && what != MVM_INTERRUPTION_ASKED && x->end != MVM_EXCHANGE_ERR) {
        send_drop(x); /* of an Ok that has come, or is on its way */
    }
    c->waiter->signal = signal;
    return what;
}

enum mvm_exchange_event mvm_exchange_await_end(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    int signal = c->waiter->signal;
    if (x->end == MVM_EXCHANGE_ASKED) {
        c->waiter->signal = 0;
        c->answer_until_ms = mvm_clock_after(MVM_HOST_END_MS);
        await_end(x, true);
        if (x->built) { /* after the Drop that came before */
            send_drop(x);
        }
        c->waiter->signal = signal;
    }
    return x->end;
}

/* ---- messages ---- */

/* The client that has the source has lost its build to this Join: the build would wait in vain. */
static enum mvm_exchange_event give_up_join(struct mvm_exchange *x)
{
    if (x->conversation->agent.cancel) {
        cancel(x);
    }
    return refuse(x, "it waits for its source, which join cannot send");
}

static bool on_want(struct mvm_exchange *x, bool ours, enum mvm_exchange_event *event)
{
    const struct mvm_build *build = &x->request.build;
    uint64_t left = build->has_source ? build->source_size - x->source_at - x->credit : 0;
    uint64_t more = x->conversation->session.message.bulk.length;
    if (ours && is_join(x)) {
        *event = give_up_join(x);
        return true;
    }
    if (!ours || !is_stream(x)) {
        return false;
    }
    x->accepted = true;
    x->trying = false;
    if (!x->built) {
        x->credit += more < left ? more : left;
        x->conversation->feeding = x->credit > 0;
    }
    return false;
}

/* One Hello has two answers: the line returns the agent's own frames to it, which begin the
 * connection anew each time. */
static bool on_welcome(struct mvm_exchange *x, enum mvm_exchange_event *event)
{
    struct mvm_conversation *c = x->conversation;
    if (!mvm_conversation_on_serial(c) ||
        !mvm_text_equal(c->session.message.hello.nonce, c->nonce)) {
        return false;
    }
    mvm_conversation_set_why(c,
                             "the line echoes: the agent receives what it sends; it must be raw, "
                             "without echo, at its other end");
    *event = fail(x, MVM_CONVERSATION_BROKEN);
    return true;
}

static void on_log(struct mvm_exchange *x, const struct mvm_message *m, bool ours)
{
    x->message = m;
    x->accepted = x->accepted || ours;
    x->trying = x->trying && !ours;
}

/* False: the message is not ours, or leads to no event. */
static bool on_message(struct mvm_exchange *x, enum mvm_exchange_event *event)
{
    const struct mvm_message *m = &x->conversation->session.message;
    bool ours = is_of_build(x, m->id);
    x->heard_ms = ours ? x->conversation->heard_ms : x->heard_ms;
    switch (m->kind) {
    case MVM_MESSAGE_LOG:
        on_log(x, m, ours);
        *event = MVM_EXCHANGE_LOG;
        return ours;
    case MVM_MESSAGE_OK:
        ours = ours && !x->listed;
        *event = ours ? on_ok(x) : MVM_EXCHANGE_LOG;
        return ours;
    case MVM_MESSAGE_ERR:
        return on_err(x, event);
    case MVM_MESSAGE_WANT:
        return on_want(x, ours, event);
    case MVM_MESSAGE_ARTIFACT:
        ours = ours && is_stream(x);
        *event = ours ? on_artifact(x) : MVM_EXCHANGE_LOG;
        return ours;
    case MVM_MESSAGE_WELCOME:
        return on_welcome(x, event);
    case MVM_MESSAGE_PONG:
    case MVM_MESSAGE_CANCELLED:
    case MVM_MESSAGE_PING: /* requests: a session of responses has none */
    case MVM_MESSAGE_BUILD:
    case MVM_MESSAGE_HELLO:
    case MVM_MESSAGE_JOIN:
    case MVM_MESSAGE_CANCEL:
    case MVM_MESSAGE_STREAM_BUILD:
    case MVM_MESSAGE_SOURCE:
    case MVM_MESSAGE_GET:
    case MVM_MESSAGE_DROP:
        break;
    }
    return false;
}

static enum mvm_exchange_event on_silence(struct mvm_exchange *x)
{
    struct mvm_conversation *c = x->conversation;
    struct mvm_writer why;
    if (mvm_clock_ms() >= x->pending_err_ms) {
        enum mvm_exchange_event event = end(x, MVM_EXCHANGE_ERR);
        x->message = &x->pending_err;
        return event;
    }
    mvm_writer_init(&why, c->why, sizeof c->why);
    mvm_writer_add(&why, "nothing heard from the agent for ");
    mvm_writer_add_u64(&why, x->silence_ms / 1000);
    mvm_writer_add(&why, " s");
    mvm_writer_finish(&why);
    return lose(x, MVM_CONVERSATION_LATE);
}

/* An agent without ids may send no heartbeats, so its silence has no meaning. What it sends to
 * others on a serial line is no sign of our build. */
static uint64_t deadline(const struct mvm_exchange *x)
{
    uint64_t since_ms = x->heard_ms;
    uint64_t until_ms = MVM_NEVER;
    if (x->named && x->silence_ms < MVM_NEVER - since_ms) {
        until_ms = since_ms + x->silence_ms;
    }
    return mvm_sooner(x->pending_err_ms, until_ms);
}

static enum mvm_exchange_event follow(struct mvm_exchange *x)
{
    for (;;) {
        enum mvm_exchange_event event;
        enum mvm_arrival how = mvm_conversation_next(x->conversation, deadline(x));
        if (how == MVM_CONVERSATION_ROOM) {
            return MVM_EXCHANGE_SOURCE;
        }
        if (how == MVM_CONVERSATION_LATE) {
            return on_silence(x);
        }
        if (how != MVM_CONVERSATION_ARRIVED) {
            return lose(x, how);
        }
        if (on_message(x, &event)) {
            return event;
        }
    }
}

enum mvm_exchange_event mvm_exchange_next(struct mvm_exchange *x)
{
    for (;;) {
        bool told = x->trying;
        enum mvm_exchange_event event =
            x->state == MVM_EXCHANGE_CONNECTING ? open_and_ask(x) : follow(x);
        if (event != MVM_EXCHANGE_RETRYING || !told) {
            return event;
        }
    }
}

/* ---- interruption ---- */

enum mvm_interruption mvm_exchange_interrupt(struct mvm_exchange *x)
{
    bool connected = x->state == MVM_EXCHANGE_FOLLOWING;
    bool serial = mvm_conversation_on_serial(x->conversation);
    if (x->built) {
        mvm_exchange_drop(x);
        return MVM_INTERRUPTION_NONE;
    }
    if (!x->sent) {
        return MVM_INTERRUPTION_NONE;
    }
    if (is_join(x)) {
        return MVM_INTERRUPTION_JOINED;
    }
    /* Also a build that is not kept, since the agent may keep every build (--keep-building). */
    if (connected && x->named && x->conversation->agent.cancel) {
        return cancel(x);
    }
    if (serial) {
        return MVM_INTERRUPTION_SERIAL;
    }
    return x->kept ? MVM_INTERRUPTION_LEFT : MVM_INTERRUPTION_CLOSED;
}

void mvm_exchange_finish(struct mvm_exchange *x)
{
    mvm_conversation_close(x->conversation, x->answered || !x->sent);
}
