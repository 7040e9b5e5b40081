/* The beginning of a conversation: our Hello, and the agent's answer. */
#include "greeting.h"
#include "deadline.h"
#include <string.h>

/* What was received so far. */
struct greeting {
    bool refused;        /* an Err that can be the answer to our Hello */
    bool pinged;         /* on a serial line: our own Ping is sent, */
    bool settling;       /* … and answered; elsewhere: as `refused` */
    uint64_t settled_ms; /* when settling is over, if it is never quiet */
};

/* Words with blanks between them. */
static bool has_word(struct mvm_text words, const char *word)
{
    size_t len = strlen(word);
    for (size_t at = 0; at + len <= words.len; at++) {
        const char *end = words.bytes + at + len;
        bool begins = at == 0 || words.bytes[at - 1] == ' ';
        bool ends = at + len == words.len || *end == ' ';
        if (begins && ends && memcmp(words.bytes + at, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static void store_hello(struct mvm_conversation *c)
{
    struct mvm_text features = c->session.message.hello.features;
    c->agent = (struct mvm_agent_abilities){
        .hello = true,
        .ids = has_word(features, "ids"),
        .cancel = has_word(features, "cancel"),
        .join = has_word(features, "join"),
        .keep = has_word(features, "keep"),
        .source = has_word(features, "source"),
        .artifacts = has_word(features, "artifacts"),
    };
}

/* An Err that names a build or request is that one's. */
static bool is_refusal(const struct mvm_message *m)
{
    return m->kind == MVM_MESSAGE_ERR && m->id.bytes == NULL && m->refusal.refused.bytes == NULL;
}

static enum mvm_arrival on_refusal(struct mvm_conversation *c, struct greeting *g)
{
    const struct mvm_message ping = {.kind = MVM_MESSAGE_PING};
    struct mvm_writer refusal;
    mvm_writer_init(&refusal, c->refusal, sizeof c->refusal);
    mvm_writer_add_text(&refusal, c->session.message.text);
    mvm_writer_finish(&refusal);
    g->refused = true;
    if (!mvm_conversation_on_serial(c)) {
        g->settling = true;
    } else if (!g->pinged) {
        g->pinged = true;
        return mvm_conversation_send(c, &ping);
    }
    return MVM_CONVERSATION_ARRIVED;
}

static enum mvm_arrival on_message(struct mvm_conversation *c, struct greeting *g)
{
    const struct mvm_message *m = &c->session.message;
    if (is_refusal(m)) {
        return on_refusal(c, g);
    }
    if (m->kind == MVM_MESSAGE_PONG && g->pinged) {
        g->settling = true;
    }
    return MVM_CONVERSATION_ARRIVED;
}

/* A serial line may have answers to others: there the nonce must be in the answer. */
static bool is_answered(const struct mvm_conversation *c)
{
    const struct mvm_message *m = &c->session.message;
    if (m->kind != MVM_MESSAGE_WELCOME) {
        return false;
    }
    return mvm_text_equal(m->hello.nonce, c->nonce) ||
           (m->hello.nonce.bytes == NULL && !mvm_conversation_on_serial(c));
}

/* Without Hello answers have nothing that names their build. */
static enum mvm_arrival continue_without_hello(struct mvm_conversation *c)
{
    if (mvm_conversation_on_serial(c) && !c->mixed_noted) {
        struct mvm_writer note;
        c->mixed_noted = true;
        mvm_writer_init(&note, c->note, sizeof c->note);
        mvm_writer_add(&note, "this agent has no Hello: on a serial line its answers to this "
                              "client cannot be distinguished from those to others");
        mvm_writer_finish(&note);
    }
    return MVM_CONVERSATION_ARRIVED;
}

static enum mvm_arrival await_answer(struct mvm_conversation *c, struct greeting *g)
{
    for (;;) {
        uint64_t until_ms = c->answer_until_ms;
        if (g->settling) {
            g->settled_ms = mvm_sooner(g->settled_ms, mvm_clock_after(MVM_HOST_SETTLE_MAX_MS));
            until_ms = mvm_sooner(g->settled_ms, mvm_clock_after(MVM_HOST_SETTLE_MS));
        }
        enum mvm_arrival how = mvm_conversation_next(c, until_ms);
        if (how == MVM_CONVERSATION_ARRIVED && is_answered(c)) {
            store_hello(c);
            return MVM_CONVERSATION_ARRIVED;
        }
        how = how == MVM_CONVERSATION_ARRIVED ? on_message(c, g) : how;
        bool over = mvm_clock_ms() >= until_ms; /* also if messages keep coming */
        if (how == MVM_CONVERSATION_ARRIVED && over) {
            mvm_conversation_explain_late(c);
            how = MVM_CONVERSATION_LATE;
        }
        if (how != MVM_CONVERSATION_ARRIVED) {
            return how;
        }
    }
}

static enum mvm_arrival greet(struct mvm_conversation *c, uint64_t until_ms)
{
    struct greeting g = {.settled_ms = MVM_NEVER};
    if (!mvm_id_make(c->nonce)) {
        mvm_conversation_set_why(c, "getrandom: no random bytes");
        return MVM_CONVERSATION_UNCONNECTED;
    }
    const struct mvm_message hello = {
        .kind = MVM_MESSAGE_HELLO,
        .hello = {.nonce = mvm_text_from(c->nonce)},
    };
    c->greeting = true;
    enum mvm_arrival how = mvm_conversation_send(c, &hello);
    how = how == MVM_CONVERSATION_ARRIVED ? await_answer(c, &g) : how;
    c->greeting = false;
    if (how == MVM_CONVERSATION_LATE && g.settling) {
        return continue_without_hello(c);
    }
    if (how == MVM_CONVERSATION_LOST && g.settling && !mvm_conversation_on_serial(c)) {
        return mvm_conversation_connect(c, until_ms); /* it hung up on Hello: continue without */
    }
    if (how == MVM_CONVERSATION_LOST && mvm_conversation_is_with_another(c)) {
        mvm_conversation_explain_late(c);
        return MVM_CONVERSATION_LATE;
    }
    return how;
}

enum mvm_arrival mvm_conversation_open(struct mvm_conversation *c, uint64_t until_ms,
                                       uint64_t answer_ms)
{
    enum mvm_arrival how = mvm_conversation_connect(c, until_ms);
    if (how != MVM_CONVERSATION_ARRIVED) {
        return how;
    }
    c->answer_until_ms = mvm_clock_after(answer_ms);
    return greet(c, until_ms);
}
