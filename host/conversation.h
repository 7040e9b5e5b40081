/*
 * The conversation with one agent: a connection, what the agent reported in its Hello, and frames
 * both ways. It does not know about terminals and files; messages for people are in `why` and
 * `note`.
 */
#ifndef MVM_CONVERSATION_H
#define MVM_CONVERSATION_H

#include "connection.h"
#include "identity.h"
#include "mvm_session.h"

/* How the wait for a message ended. */
enum mvm_arrival {
    MVM_CONVERSATION_ARRIVED,     /* c->session.message is it */
    MVM_CONVERSATION_ROOM,        /* c->feeding, and a message can be sent without waiting */
    MVM_CONVERSATION_UNCONNECTED, /* no connection was established; c->why gives the reason */
    MVM_CONVERSATION_LOST,        /* the connection has ended; likewise */
    MVM_CONVERSATION_BROKEN,      /* a frame that cannot be read; likewise */
    MVM_CONVERSATION_LATE,        /* the time is over, or another program has answered; likewise */
    MVM_CONVERSATION_SIGNALLED,
};

/* Bytes of one message for people about an agent. Past it: cut, with a mark. */
enum { MVM_WHY_CAP = 320 };

/* What an agent's Hello reported. All false: an agent without Hello. */
struct mvm_agent_abilities {
    bool hello;
    bool ids;
    bool cancel;
    bool join;
    bool keep;
    bool source;    /* the flake can be sent */
    bool artifacts; /* … and what was built fetched */
};

/* Some 16 MiB, touched only as far as the longest message needs: keep it static. */
struct mvm_conversation {
    const struct mvm_peer *peer;
    struct mvm_waiter *waiter;
    enum mvm_wire wire; /* JSON or PROTO */
    bool needs_proto;   /* set after init: it is PROTO, and nothing else will do */

    /* Of the present connection. */
    struct mvm_connection connection;
    struct mvm_session session;
    struct mvm_agent_abilities agent;
    bool feeding;             /* more is to be sent: `next` ends when there is room */
    bool greeting;            /* our Hello is not answered yet */
    uint64_t heard_ms;        /* when the last message arrived, or the connection was made */
    uint64_t answer_until_ms; /* MVM_NEVER or when the answer to a question is late */
    char nonce[MVM_ID_FRESH_LEN + 1];
    char first[MVM_HOST_QUOTE_MAX + 1]; /* the beginning of the first line, without CR */
    size_t first_len;
    bool first_ended;
    bool spoken; /* a message has come */

    char refusal[MVM_WHY_CAP]; /* an agent without Hello: the Err it answered */
    char why[MVM_WHY_CAP];     /* after an arrival that says so */
    char note[MVM_WHY_CAP];    /* something a person should know, once; "": nothing. Clear it */
    bool noise_noted;
    bool mixed_noted;

    uint8_t receive[262144];
    uint8_t send[32768];
    char fields[MVM_RESPONSE_FRAME_MAX]; /* another agent's Log may be of any length */
};

void mvm_conversation_init(struct mvm_conversation *c, const struct mvm_peer *peer,
                           enum mvm_wire wire, struct mvm_waiter *waiter);

bool mvm_conversation_on_serial(const struct mvm_conversation *c);

/* Begins to send a message; `next` continues. Waits until the one before is in the send
 * buffer. The texts are borrowed until the next message is sent or the conversation closed.
 * ARRIVED, or as next. */
enum mvm_arrival mvm_conversation_send(struct mvm_conversation *c, const struct mvm_message *m);

/* Waits for the next message, moving bytes both ways meanwhile. */
enum mvm_arrival mvm_conversation_next(struct mvm_conversation *c, uint64_t until_ms);

/* Sends `request` and skips messages until one of kind `answer` with the request's id, if it has
 * one. ARRIVED: that, or an Err which does not belong to a build. */
enum mvm_arrival mvm_conversation_ask(struct mvm_conversation *c, const struct mvm_message *request,
                                      enum mvm_kind answer);

/* Waits until everything sent is the connection's. ARRIVED, or as next. */
enum mvm_arrival mvm_conversation_flush(struct mvm_conversation *c, uint64_t until_ms);

/* `done`: the request was answered. Otherwise the other side is given time to notice. */
void mvm_conversation_close(struct mvm_conversation *c, bool done);

/* Connects and sends nothing; for greeting.h, which begins conversations. */
enum mvm_arrival mvm_conversation_connect(struct mvm_conversation *c, uint64_t until_ms);

/* Sets `why` to what arrived instead of the answer. */
void mvm_conversation_explain_late(struct mvm_conversation *c);

/* Whether bytes came, but no message, nor the beginning of one: another program is at the other
 * end. */
bool mvm_conversation_is_with_another(const struct mvm_conversation *c);

void mvm_conversation_set_why(struct mvm_conversation *c, const char *text);

#endif
