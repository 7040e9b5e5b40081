/*
 * The messages of the protocol: a host's requests and an agent's responses. Plain data; texts are
 * borrowed, and each function that returns one documents for how long.
 *
 * An optional text is absent if its `bytes` are NULL; a text that is present and empty has bytes
 * and the length 0. A zeroed message has no optional field.
 */
#ifndef MVM_MESSAGE_H
#define MVM_MESSAGE_H

#include "mvm_text.h"

enum mvm_kind {
    /* requests */
    MVM_MESSAGE_BUILD,  /* answered by Log*, then one Ok or Err */
    MVM_MESSAGE_PING,   /* answered by Pong */
    MVM_MESSAGE_HELLO,  /* answered by the response Hello, MVM_MESSAGE_WELCOME */
    MVM_MESSAGE_JOIN,   /* answered as the build it names: Log*, then one Ok or Err */
    MVM_MESSAGE_CANCEL, /* answered by Cancelled */
    /* responses */
    MVM_MESSAGE_OK,
    MVM_MESSAGE_ERR,
    MVM_MESSAGE_LOG,
    MVM_MESSAGE_PONG,
    MVM_MESSAGE_WELCOME, /* "Hello" on the wire */
    MVM_MESSAGE_CANCELLED,
    /* protobuf wire only, builds without disks: requests … */
    MVM_MESSAGE_STREAM_BUILD, /* as BUILD; the artifacts are fetched by Get */
    MVM_MESSAGE_SOURCE,       /* bytes of the flake's archive, within what Want allowed */
    MVM_MESSAGE_GET,          /* answered by Artifact, one or more */
    MVM_MESSAGE_DROP,         /* the build's artifacts are no longer needed; no answer */
    /* … and responses */
    MVM_MESSAGE_WANT,     /* how many more bytes of the source may be sent */
    MVM_MESSAGE_ARTIFACT, /* bytes of an artifact */
};

/* An optional boolean field. */
enum mvm_flag {
    MVM_FLAG_ABSENT = 0,
    MVM_FLAG_FALSE,
    MVM_FLAG_TRUE,
};

struct mvm_build {
    struct mvm_text flake_ref; /* up to MVM_FLAKE_REF_MAX bytes */
    struct mvm_text attr;      /* up to MVM_ATTR_MAX bytes */
    bool has_timeout;
    uint64_t timeout_secs; /* if has_timeout; 0: no limit */
    uint8_t keep;          /* enum mvm_flag: the build outlives its connection */
    bool has_source;       /* STREAM_BUILD: the flake is in an archive that the client sends */
    uint64_t source_size;  /* if has_source; bytes */
};

struct mvm_hello {
    struct mvm_text nonce;    /* optional, both ways: the response repeats the request's */
    struct mvm_text agent;    /* WELCOME: name and version */
    struct mvm_text boot;     /* WELCOME: random at each start of the agent */
    struct mvm_text features; /* WELCOME: words separated by blanks */
};

struct mvm_refusal {
    struct mvm_text refused; /* optional: the id of a request that was refused; nothing has ended */
    struct mvm_text category; /* optional: mvm_category.h */
};

struct mvm_bulk {
    struct mvm_text name; /* GET, ARTIFACT: mvm_artifact.h */
    uint64_t offset;      /* SOURCE, GET, ARTIFACT: of the first byte */
    uint64_t length;      /* WANT: bytes allowed · GET: bytes asked for */
    uint8_t last;         /* SOURCE, ARTIFACT: enum mvm_flag: this is the last piece */
};

struct mvm_message {
    enum mvm_kind kind;
    struct mvm_text text; /* OK: out_path · ERR: message · LOG: line · CANCELLED: was ·
                           * SOURCE, ARTIFACT: data, up to MVM_BULK_DATA_MAX bytes */
    struct mvm_text id;   /* BUILD, OK, ERR, LOG: optional · all others that have one: always */
    union {
        struct mvm_build build;     /* BUILD, STREAM_BUILD */
        struct mvm_hello hello;     /* HELLO (nonce alone), WELCOME */
        struct mvm_refusal refusal; /* ERR */
        struct mvm_bulk bulk;       /* SOURCE, GET, WANT, ARTIFACT */
        struct mvm_text artifacts;  /* OK on the protobuf wire: a list, see mvm_proto.h */
        uint8_t beat;               /* LOG: enum mvm_flag: a heartbeat, not a line of the build */
    };
};

/* The messages that one side of a connection receives. */
enum mvm_direction {
    MVM_DIRECTION_REQUESTS,  /* an agent decodes these */
    MVM_DIRECTION_RESPONSES, /* a host decodes these */
};

MVM_LAYOUT_OF(struct mvm_message, uint64_t);

#endif
