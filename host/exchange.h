/*
 * One exchange within a conversation: a Build, StreamBuild or Join, its log, its end. It recognises
 * its own answers, and reconnects after a lost connection. Kinds of exchange differ in what they
 * send and which messages they wait for.
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
    MVM_EXCHANGE_ASKED,    /* connected, and the request is on its way */
    MVM_EXCHANGE_LOG,      /* x->message */
    MVM_EXCHANGE_SOURCE,   /* STREAM_BUILD: more of the source may go, see mvm_exchange_source */
    MVM_EXCHANGE_OK,       /* x->message: a valid store path; the end, of a STREAM_BUILD that of the
                            * build: mvm_exchange_get is next, again after each loss */
    MVM_EXCHANGE_ARTIFACT, /* x->message: bytes of the artifact that was asked for */
    MVM_EXCHANGE_ERR,      /* x->message; the end */
    MVM_EXCHANGE_RETRYING, /* x->failure, conversation->why: next tries to connect again */
    MVM_EXCHANGE_FAILED,   /* likewise; the end */
    MVM_EXCHANGE_UNABLE,   /* it cannot be done by this agent, or by a Join: conversation->why; the
                              end */
    MVM_EXCHANGE_SIGNALLED, /* see interrupt */
};

/* What happens to the build after a signal. */
enum mvm_interruption {
    MVM_INTERRUPTION_NONE,      /* nothing was asked for */
    MVM_INTERRUPTION_CANCELLED, /* the agent has confirmed it */
    MVM_INTERRUPTION_LATE,      /* its artifacts were being put in place: it may succeed */
    MVM_INTERRUPTION_ENDED,     /* it had ended before */
    MVM_INTERRUPTION_UNKNOWN,   /* the agent does not know it */
    MVM_INTERRUPTION_ASKED,     /* the agent has not answered the Cancel */
    MVM_INTERRUPTION_CLOSED,    /* the end of the connection cancels it */
    MVM_INTERRUPTION_JOINED,    /* it continues if its first client or the agent had it kept */
    MVM_INTERRUPTION_LEFT,      /* it is kept and out of reach: it may continue */
    MVM_INTERRUPTION_SERIAL,    /* it continues: the line has no end, the agent no Cancel */
};

struct mvm_exchange {
    struct mvm_conversation *conversation;
    struct mvm_message request; /* BUILD, STREAM_BUILD or JOIN */
    uint64_t retry_ms;          /* how long to try to connect again; 0: not */
    uint64_t silence_ms;        /* without a frame for so long: lost; MVM_NEVER */
    uint64_t heard_ms;          /* when the last one of this build came, or the request was sent */

    uint64_t source_at; /* SOURCE: from where to continue; 0: from its beginning, maybe again */
    uint64_t credit;    /* … and for how many bytes */
    bool renews;        /* the id is this program's, fresh and random: no other client can have it,
                         * and another one can take its place. Set it after init */

    const struct mvm_message *message; /* see the events; until the next call */
    enum mvm_arrival failure;

    /* The exchange's own. */
    enum { MVM_EXCHANGE_CONNECTING, MVM_EXCHANGE_FOLLOWING, MVM_EXCHANGE_ENDED } state;
    bool named;    /* this agent's answers carry ids */
    bool sent;     /* the request was sent, over this connection or an earlier one */
    bool accepted; /* a frame of the build has arrived */
    bool kept;     /* the build outlives its connection */
    bool resent;   /* the Build was sent more than once */
    bool answered; /* the connection is no longer needed */
    bool built;    /* STREAM_BUILD: an Ok has come … */
    bool listed;   /* … over this connection */
    bool split;    /* a connection was lost with a part of the source sent */
    char renewed[MVM_ID_FRESH_LEN + 1];
    enum mvm_exchange_event end; /* of a build to be cancelled; ASKED: it has not come */
    const char *getting;         /* the artifact that was asked for; NULL: none */
    bool joins;                  /* the last request sent is a Join */
    bool trying;                 /* RETRYING was reported for the present loss */
    uint64_t try_ms;             /* when to connect next */
    uint64_t backoff_ms;
    uint64_t give_up_ms;
    uint64_t pending_err_ms; /* when `pending_err` becomes the answer; MVM_NEVER: there is none */
    struct mvm_message pending_err;
    char pending_err_text[MVM_MESSAGE_MAX];
};

/* `request` and its texts are borrowed: a BUILD, STREAM_BUILD or JOIN with its id. */
void mvm_exchange_init(struct mvm_exchange *x, struct mvm_conversation *c,
                       const struct mvm_message *request, uint64_t retry_ms, uint64_t silence_ms);

/* Continues until there is something to report. Do not call it after the end. */
enum mvm_exchange_event mvm_exchange_next(struct mvm_exchange *x);

/* After SOURCE: the next bytes, at most x->credit and MVM_BULK_DATA_MAX; borrowed until the next
 * event. */
void mvm_exchange_source(struct mvm_exchange *x, struct mvm_text data);

/* After the Ok of a STREAM_BUILD: asks for an artifact from `offset` to its end; `name` is borrowed
 * until the next one. Its last ARTIFACT has `last`. */
void mvm_exchange_get(struct mvm_exchange *x, const char *name, uint64_t offset, uint64_t length);

/* After ERR: whether the build that the agent has under the id may be this one, accepted before the
 * connection was lost. Only the caller of an id that it chose can know. */
bool mvm_exchange_may_be_ours(const struct mvm_exchange *x);

/* The artifacts are no longer needed: the end of a STREAM_BUILD after its Ok. */
void mvm_exchange_drop(struct mvm_exchange *x);

/* The other side broke the rules of what the caller watches; conversation->why says how. */
void mvm_exchange_reject(struct mvm_exchange *x);

/* After SIGNALLED: cancels the build, by its id if the agent can do that. Takes MVM_HOST_CANCEL_MS
 * at most, less if another signal comes. */
enum mvm_interruption mvm_exchange_interrupt(struct mvm_exchange *x);

/* After CANCELLED, LATE or ENDED of interrupt: the end of the build, OK or ERR with x->message, or
 * FAILED if its Ok is not valid. ASKED: it has not come within MVM_HOST_END_MS, or before the
 * connection was lost or another signal came. */
enum mvm_exchange_event mvm_exchange_await_end(struct mvm_exchange *x);

/* After OK or ERR: whether it was cancelled. */
bool mvm_exchange_is_cancelled(const struct mvm_exchange *x);

/* Closes the connection. */
void mvm_exchange_finish(struct mvm_exchange *x);

#endif
