/*
 * The protobuf wire: gRPC's length-prefixed message (a byte 00, the length as u32 big-endian, the
 * message of mvm.proto), by nanopb. Binary-safe: a Log line crosses with any bytes.
 *
 * The decoder collects one message in the caller's field buffer; the texts of the decoded message
 * point into it. A length over the buffer is an error for that frame alone, whose bytes are
 * skipped. After a length over MVM_PROTO_REQUEST_MAX or MVM_RESPONSE_FRAME_MAX, or a frame that
 * begins with neither 00 nor 01, the stream is broken: close the connection. Standard protobuf
 * rules apply: unknown fields are skipped, the last value of a repeated field counts, an absent
 * text is empty. The encoder needs no buffer: it fills whatever room there is with the next part of
 * the frame.
 *
 * Used like mvm_decoder.h and mvm_encoder.h, with the same statuses. No heap, no recursion beyond
 * the two levels of the schema.
 */
#ifndef MVM_PROTO_H
#define MVM_PROTO_H

#include "mvm_decoder.h"
#include "mvm_message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this build has nanopb (make PROTOBUF=no omits it). Without it sessions decode every
 * connection as JSON lines, and the functions below have no effect. */
extern const bool mvm_proto_present;

/* Bytes before a message: the compressed flag, always 0, and its length. */
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
    uint32_t have; /* bytes of prefix or message received so far */
    uint8_t direction;
    uint8_t state;
    bool compressed;
};

/* `fields[0 … cap-1]` holds one message; a longer one is a bad frame. */
void mvm_proto_decoder_init(struct mvm_proto_decoder *d, enum mvm_direction direction, char *fields,
                            size_t cap);
#define mvm_proto_decoder_init(...)                                                                \
    (mvm_limits_of_codec_match(), mvm_proto_decoder_init(__VA_ARGS__))
enum mvm_decoder_status mvm_proto_decoder_push(struct mvm_proto_decoder *d, const uint8_t *bytes,
                                               size_t len, size_t *used);

/* Whether BROKEN was returned: nothing more will be decoded. */
bool mvm_proto_decoder_broken(const struct mvm_proto_decoder *d);

/* Ends the stream; BAD_FRAME if it ended inside a frame. */
enum mvm_decoder_status mvm_proto_decoder_finish(struct mvm_proto_decoder *d);

/* One of the artifacts that an Ok lists. */
struct mvm_artifact_item {
    struct mvm_text name; /* up to MVM_WORD_MAX bytes */
    uint64_t size;        /* bytes */
};

/* Bytes of an item in a list, at most. */
enum { MVM_PROTO_ITEM_CAP = MVM_WORD_MAX + 16 };

/* Bytes of a frame besides its texts: the prefix and 6 for the outer tag and length, aligned to the
 * end of that space; then 6 for each text, 11 for each of two numbers, 2 for a flag. */
enum {
    MVM_PROTO_TEXTS_MAX = 4,
    MVM_PROTO_HEAD_CAP = MVM_PROTO_PREFIX + 6,
    MVM_PROTO_SKELETON_CAP = MVM_PROTO_HEAD_CAP + 6 * MVM_PROTO_TEXTS_MAX + 2 * 11 + 2,
};

/* Where in a frame a text goes. */
struct mvm_proto_gap {
    uint32_t len;  /* of the text as encoded */
    uint8_t at;    /* in the skeleton */
    uint8_t field; /* schema.h's number */
};

struct mvm_proto_encoder {
    struct mvm_message message;
    /* the encoder's own */
    size_t text_at;      /* bytes of the gap's text that are encoded, or are in `part` */
    const uint8_t *part; /* its next bytes: valid UTF-8, or a replacement */
    size_t part_left;
    struct mvm_proto_gap gaps[MVM_PROTO_TEXTS_MAX];
    uint8_t skeleton[MVM_PROTO_SKELETON_CAP]; /* the frame without its texts */
    uint8_t skeleton_len;
    uint8_t skeleton_at; /* bytes of it that are written */
    uint8_t gaps_len;
    uint8_t gap; /* the next one */
    bool busy;
    uint8_t item[MVM_PROTO_ITEM_CAP]; /* of an Ok's list, as encoded */
};

/* The texts of `m`, below 4 GiB together, are borrowed until the encoder is idle. */
void mvm_proto_encoder_start(struct mvm_proto_encoder *e, const struct mvm_message *m);
size_t mvm_proto_encoder_pull(struct mvm_proto_encoder *e, uint8_t *out, size_t cap);
bool mvm_proto_encoder_idle(const struct mvm_proto_encoder *e);

/* ---- the list of artifacts in an Ok ---- */

/* Writes one item to `out`; consecutive items are the `artifacts` of an Ok. Returns the item's
 * length; 0: it does not fit `cap` or its name is too long. */
size_t mvm_proto_add_artifact(uint8_t *out, size_t cap, const struct mvm_artifact_item *item);

/* Removes the first item from the `artifacts` of an Ok, decoded or not; its name points into the
 * same memory. False: the list is empty. */
bool mvm_proto_next_artifact(struct mvm_text *list, struct mvm_artifact_item *item);

/* Whether a connection that begins with this byte uses this wire: a JSON text begins with neither
 * 00 nor the 01 of a compressed message, which is refused as such. */
static inline bool mvm_proto_begins(uint8_t byte)
{
    return mvm_proto_present && byte <= 1; /* COVERAGE: fixed in a build; both are tested */
}

MVM_LAYOUT_OF(struct mvm_proto_decoder, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
