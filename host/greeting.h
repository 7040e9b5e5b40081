/*
 * Every conversation begins with our Hello. On a line without connections (a serial line, or a Unix
 * socket that is the other end of one) everything before the answer with our nonce is dropped: it
 * was for an earlier client. An agent without Hello answers Err, and its answers have no ids; on a
 * serial line everything up to the Pong of our own Ping is then dropped.
 */
#ifndef MVM_GREETING_H
#define MVM_GREETING_H

#include "conversation.h"

/* Connects, at the latest by `until_ms`, and exchanges Hello. For that, and for each `ask`, the
 * agent has `answer_ms` (MVM_NEVER: any time). ARRIVED: c->agent is known; if it has Hello,
 * c->session.message holds it until the next call. Otherwise as `next`, or UNCONNECTED. */
enum mvm_arrival mvm_conversation_open(struct mvm_conversation *c, uint64_t until_ms,
                                       uint64_t answer_ms);

#endif
