/*
 * The messages of the wire: what a host may ask, what an agent may answer. Plain data; texts are
 * borrowed, each place that hands one out says for how long.
 */
#ifndef MVM_MESSAGE_H
#define MVM_MESSAGE_H

#include "mvm_text.h"

enum mvm_kind {
    /* requests */
    MVM_MESSAGE_BUILD, /* answered by Log*, then one Ok or Err */
    MVM_MESSAGE_PING,  /* answered by Pong */
    /* responses */
    MVM_MESSAGE_OK,
    MVM_MESSAGE_ERR,
    MVM_MESSAGE_LOG,
    MVM_MESSAGE_PONG,
};

struct mvm_build {
    struct mvm_text flake_ref; /* up to MVM_FLAKE_REF_MAX bytes */
    struct mvm_text attr;      /* up to MVM_ATTR_MAX bytes */
    bool has_timeout;
    uint64_t timeout_secs; /* where has_timeout; 0: no limit */
};

struct mvm_message {
    enum mvm_kind kind;
    union {
        struct mvm_build build; /* BUILD */
        struct mvm_text text;   /* OK: out_path · ERR: message · LOG: line */
    };
};

/* Which half of the messages one side of a connection receives. */
enum mvm_direction {
    MVM_DIRECTION_REQUESTS,  /* an agent decodes these */
    MVM_DIRECTION_RESPONSES, /* a host decodes these */
};

#endif
