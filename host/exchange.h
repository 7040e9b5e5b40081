/*
 * One exchange within a conversation: a Build or a Join, its log, its end. It recognises its own
 * answers, and reconnects after a lost connection. Kinds of exchange differ in what they send and
 * which messages they wait for.
 *
 *     mvm_exchange_init(&x, &conversation, &request, …);
 *     for (;;) {
 *         switch (mvm_exchange_next(&x)) {
 *         case MVM_EXCHANGE_LOG: … x.message …
 */
#ifndef MVM_EXCHANGE_H
#define MVM_EXCHANGE_H

#include "conversation.h"

enum mvm_exchange_event {
    MVM_EXCHANGE_ASKED,     /* connected, and the request is on its way */
    MVM_EXCHANGE_LOG,       /* x->message */
    MVM_EXCHANGE_OK,        /* x->message: a valid store path; the end */
    MVM_EXCHANGE_ERR,       /* x->message; the end */
    MVM_EXCHANGE_RETRYING,  /* x->failure, conversation->why: next tries to connect again */
    MVM_EXCHANGE_FAILED,    /* likewise; the end */
    MVM_EXCHANGE_UNABLE,    /* the agent cannot do what was asked for: conversation->why; the end */
    MVM_EXCHANGE_SIGNALLED, /* see interrupt */
};

/* What happens to the build after a signal. */
enum mvm_interruption {
    MVM_INTERRUPTION_NONE,      /* nothing was asked for */
    MVM_INTERRUPTION_CANCELLED, /* the agent has confirmed it */
    MVM_INTERRUPTION_ASKED,     /* the agent has not answered the Cancel */
    MVM_INTERRUPTION_CLOSED,    /* the end of the connection cancels it */
    MVM_INTERRUPTION_LEFT,      /* it was joined, or is kept and out of reach: it may go on */
    MVM_INTERRUPTION_SERIAL,    /* it goes on: the line has no end, the agent no Cancel */
};

struct mvm_exchange {
    struct mvm_conversation *conversation;
    struct mvm_message request; /* BUILD or JOIN */
    uint64_t retry_ms;          /* how long to try to connect again; 0: not */
    uint64_t silence_ms;        /* without a frame for so long: lost; MVM_NEVER */

    const struct mvm_message *message; /* see the events; until the next call */
    enum mvm_arrival failure;

    /* The exchange's own. */
    enum { MVM_EXCHANGE_CONNECTING, MVM_EXCHANGE_FOLLOWING, MVM_EXCHANGE_ENDED } state;
    bool named;      /* this agent's answers carry ids */
    bool sent;       /* the request was sent, over this connection or an earlier one */
    bool accepted;   /* a frame of the build has arrived */
    bool kept;       /* the build outlives its connection */
    bool resent;     /* the Build was sent more than once */
    bool joins;      /* the last request sent is a Join */
    bool trying;     /* RETRYING was reported for the present loss */
    uint64_t try_ms; /* when to connect next */
    uint64_t backoff_ms;
    uint64_t give_up_ms;
    uint64_t doubt_ms; /* when `doubt` becomes the answer; MVM_NEVER: there is none */
    struct mvm_message doubt;
    char doubt_text[MVM_MESSAGE_MAX];
};

/* `request` and its texts are borrowed: a BUILD or JOIN with its id. */
void mvm_exchange_init(struct mvm_exchange *x, struct mvm_conversation *c,
                       const struct mvm_message *request, uint64_t retry_ms, uint64_t silence_ms);

/* Continues until there is something to report. Do not call it after the end. */
enum mvm_exchange_event mvm_exchange_next(struct mvm_exchange *x);

/* After SIGNALLED: cancels the build if closing the connection does not. Takes MVM_HOST_CANCEL_MS
 * at most, less if another signal comes. */
enum mvm_interruption mvm_exchange_interrupt(struct mvm_exchange *x);

/* Closes the connection. */
void mvm_exchange_finish(struct mvm_exchange *x);

#endif
