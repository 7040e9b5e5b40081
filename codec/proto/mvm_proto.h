/*
 * The protobuf wire: gRPC's length-prefixed message (a byte 00, the length as u32 big-endian, the
 * message of mvm.proto), by nanopb. Binary-safe: a Log line crosses with any bytes.
 *
 * The decoder gathers one message in the caller's field buffer and hands it out as pointers into
 * it. A length over the buffer is an error for that frame alone, whose bytes are skipped. After a
 * length over MVM_PROTO_REQUEST_MAX or MVM_RESPONSE_FRAME_MAX, or a frame that begins with neither
 * 00 nor 01, the stream is broken: close the connection. Standard protobuf rules hold: unknown
 * fields are skipped, of a field that stands twice the last value counts, an absent text is empty.
 * The encoder needs no buffer: it writes whatever part of the frame the room is for.
 *
 * Same use and same statuses as mvm_decoder.h and mvm_encoder.h. No heap, no recursion over the
 * two levels of the schema.
 */
#ifndef MVM_PROTO_H
#define MVM_PROTO_H

#include "mvm_decoder.h"
#include "mvm_message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this build has nanopb (make PROTOBUF=no leaves it out). Without it sessions take every
 * connection for JSON lines, and nothing below does anything. */
extern const bool mvm_proto_present;

/* Bytes in front of a message: the compressed flag, always 0, and its length. */
enum { MVM_PROTO_PREFIX = 5 };

struct mvm_proto_decoder {
    struct mvm_message message; /* after MESSAGE; texts in the field buffer until the next push */
    enum mvm_decoder_error error;
    const char *field;
    uint32_t error_at; /* byte in the frame, prefix included */
    /* the decoder's own */
    uint8_t *frame;
    size_t cap;
    uint32_t len;  /* of the message, from the prefix */
    uint32_t have; /* bytes of prefix or message that have come */
    uint8_t direction;
    uint8_t state;
    bool compressed;
};

/* `fields[0 … cap-1]` holds one message: no longer one is taken. */
void mvm_proto_decoder_init(struct mvm_proto_decoder *d, enum mvm_direction direction, char *fields,
                            size_t cap);
#define mvm_proto_decoder_init(...)                                                                \
    (mvm_limits_of_codec_match(), mvm_proto_decoder_init(__VA_ARGS__))
enum mvm_decoder_status mvm_proto_decoder_push(struct mvm_proto_decoder *d, const uint8_t *bytes,
                                               size_t len, size_t *used);

/* Whether BROKEN was returned: nothing more will be decoded. */
bool mvm_proto_decoder_broken(const struct mvm_proto_decoder *d);

/* The stream has ended; inside a frame that is a BAD_FRAME. */
enum mvm_decoder_status mvm_proto_decoder_finish(struct mvm_proto_decoder *d);

/* One of the artifacts that an Ok lists. */
struct mvm_artifact_item {
    struct mvm_text name; /* up to MVM_WORD_MAX bytes */
    uint64_t size;        /* bytes */
};

/* Bytes of an item in a list, at most. */
enum { MVM_PROTO_ITEM_CAP = MVM_WORD_MAX + 16 };

/* Bytes of a frame beside its texts: the prefix, with 6 of the outer tag and length, which end
 * where the rest begins; then 6 for each text, 11 for each of two numbers, 2 of a flag. */
enum {
    MVM_PROTO_TEXTS_MAX = 4,
    MVM_PROTO_HEAD_CAP = MVM_PROTO_PREFIX + 6,
    MVM_PROTO_SKELETON_CAP = MVM_PROTO_HEAD_CAP + 6 * MVM_PROTO_TEXTS_MAX + 2 * 11 + 2,
};

/* Where in a frame a text goes. */
struct mvm_proto_gap {
    uint32_t len;  /* of the text as it goes out */
    uint8_t at;    /* in the skeleton */
    uint8_t field; /* schema.h's number */
};

struct mvm_proto_encoder {
    struct mvm_message message;
    /* the encoder's own */
    size_t text_at;      /* bytes of the gap's text that are done with, or are in `part` */
    const uint8_t *part; /* what of it comes next: sound, or a replacement */
    size_t part_left;
    struct mvm_proto_gap gaps[MVM_PROTO_TEXTS_MAX];
    uint8_t skeleton[MVM_PROTO_SKELETON_CAP]; /* the frame without its texts */
    uint8_t skeleton_len;
    uint8_t skeleton_at; /* bytes of it that are written */
    uint8_t gaps_len;
    uint8_t gap; /* the next one */
    bool busy;
    uint8_t item[MVM_PROTO_ITEM_CAP]; /* of an Ok's list, as it goes out */
};

/* The texts of `m`, below 4 GiB together, are borrowed until the encoder is idle. */
void mvm_proto_encoder_start(struct mvm_proto_encoder *e, const struct mvm_message *m);
size_t mvm_proto_encoder_pull(struct mvm_proto_encoder *e, uint8_t *out, size_t cap);
bool mvm_proto_encoder_idle(const struct mvm_proto_encoder *e);

/* ---- the list of artifacts in an Ok ---- */

/* Writes one item to `out`; items one behind the other are `artifacts` of an Ok. Returns its
 * length; 0: it does not fit `cap` or its name is too long. */
size_t mvm_proto_add_artifact(uint8_t *out, size_t cap, const struct mvm_artifact_item *item);

/* Takes the next item off the front of `artifacts` of an Ok, decoded or not; its name is in the
 * same memory. False: there is no other. */
bool mvm_proto_next_artifact(struct mvm_text *list, struct mvm_artifact_item *item);

/* Whether a connection's first byte begins this wire: no JSON text begins with 00, nor with the 01
 * of a compressed message, which is refused as such. */
static inline bool mvm_proto_begins(uint8_t byte)
{
    return mvm_proto_present && byte <= 1; /* COVERAGE: fixed in a build; both are tested */
}

#ifdef __cplusplus
}
#endif

#endif
