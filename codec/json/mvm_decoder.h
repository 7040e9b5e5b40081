/*
 * JSON lines → messages. A push decoder: any number of bytes in, at most one message out a call,
 * the same messages however the bytes were cut. Accepts and refuses exactly what serde_json 1.0
 * does on the externally tagged enums
 *
 *     enum Request {
 *         Build { flake_ref: String, attr: String, timeout_secs: Option<u64>,
 *                 id?: String, keep?: bool },
 *         Ping, Hello { nonce?: String }, Join { id: String }, Cancel { id: String },
 *     }
 *     enum Response {
 *         Ok { out_path: String, id?: String },
 *         Err { message: String, id?: String, refused?: String, category?: String },
 *         Log { line: String, id?: String, beat?: bool },
 *         Pong, Hello { nonce?: String, agent: String, boot: String, features: String },
 *         Cancelled { id: String, was: String },
 *     }
 *
 * (x?: T is #[serde(default, skip_serializing_if = "Option::is_none")] x: Option<T>) read line by
 * line, but for the limits of mvm_limits.h. It keeps the fields, not the line. The caller owns all
 * memory, and there is nothing to close. Between frames a decoder may be moved: it goes on with the
 * field buffer that init was given, which must stay where it is. It carries nothing from one frame
 * to the next, so that for another buffer it is just initialised again.
 *
 *     struct mvm_decoder d;
 *     char fields[MVM_REQUEST_FIELDS_CAP];
 *     mvm_decoder_init(&d, MVM_DIRECTION_REQUESTS, fields, sizeof fields);
 *     while (len > 0) {
 *         size_t used;
 *         switch (mvm_decoder_push(&d, bytes, len, &used)) {
 *         case MVM_DECODER_MESSAGE:   … d.message …       break;
 *         case MVM_DECODER_BAD_FRAME: … d.error, d.error_at …  break;
 *         case MVM_DECODER_PARTIAL:   break;
 *         }
 *         bytes += used, len -= used;
 *     }
 */
#ifndef MVM_DECODER_H
#define MVM_DECODER_H

#include "mvm_json.h"
#include "mvm_limits.h"
#include "mvm_message.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_decoder_status {
    MVM_DECODER_PARTIAL = 0, /* every byte was used; no frame is complete */
    MVM_DECODER_MESSAGE = 1, /* `message` holds one; its texts stay until the next push or finish */
    MVM_DECODER_BAD_FRAME = 2, /* said once a frame, as soon as it is known; what is left of the
                                * frame is skipped by the next pushes, then decoding goes on */
    MVM_DECODER_BROKEN = 3,    /* the protobuf wire alone: as BAD_FRAME, but where the next frame
                                * begins is not known. Said once; all further bytes are skipped */
};

enum mvm_decoder_error {
    MVM_DECODER_FINE = 0,
    MVM_DECODER_JSON,            /* no JSON text: `json_error` says why */
    MVM_DECODER_NOT_A_MESSAGE,   /* neither a string nor an object with one member */
    MVM_DECODER_UNKNOWN_VARIANT, /* of this direction */
    MVM_DECODER_NEEDS_FIELDS,    /* "Build" alone: a variant that has fields */
    MVM_DECODER_NO_FIELDS,       /* a value other than null for a variant that has none */
    MVM_DECODER_WRONG_TYPE,      /* of the field `field`, or of a variant's value */
    MVM_DECODER_MISSING_FIELD,   /* `field` */
    MVM_DECODER_DUPLICATE_FIELD, /* `field` */
    MVM_DECODER_EXTRA_ELEMENT,   /* an array longer than the variant has fields */
    MVM_DECODER_FIELD_TOO_LONG,  /* `field` is over its limit, or over the field buffer */
    MVM_DECODER_FRAME_TOO_LONG,  /* MVM_REQUEST_FRAME_MAX, MVM_RESPONSE_FRAME_MAX */
    /* the protobuf wire alone, see mvm_proto.h */
    MVM_DECODER_NO_PREFIX,    /* a frame that begins with neither 00 nor 01; BROKEN */
    MVM_DECODER_COMPRESSED,   /* the flag says so; no compression was agreed on */
    MVM_DECODER_NOT_PROTOBUF, /* malformed, or a field of another wire type than the schema's */
    MVM_DECODER_NOT_UTF8,     /* in the string `field` */
    MVM_DECODER_CUT_SHORT,    /* the stream ended inside the frame */
};

/* What a field buffer must hold for no field to be refused below its limit. A message's fields
 * share it. Out_path, message and line have no limit of their own: what the other fields leave.
 * RESPONSE_FIELDS_CAP has room for a line each of whose bytes has become U+FFFD, and for an Err's
 * other fields, of which there are the most beside a long text; a Hello takes less. */
#define MVM_REQUEST_FIELDS_CAP (MVM_FLAKE_REF_MAX + MVM_ATTR_MAX + MVM_ID_MAX + MVM_PROTO_SLACK)
#define MVM_RESPONSE_FIELDS_CAP                                                                    \
    (3 * MVM_LOG_LINE_MAX + 2 * MVM_ID_MAX + MVM_WORD_MAX + MVM_PROTO_SLACK)

/* The longest name that a message knows, "timeout_secs". */
#define MVM_DECODER_NAME_CAP 12

/* Read the first five, the last four of them after BAD_FRAME; the rest is the decoder's own. */
struct mvm_decoder {
    struct mvm_message message; /* after MESSAGE */
    enum mvm_decoder_error error;
    enum mvm_json_error json_error; /* where error is MVM_DECODER_JSON */
    const char *field;              /* static name of the field concerned, or NULL */
    uint32_t error_at; /* byte in the frame, from 0: the one that is no JSON, the first one over the
                        * limit, or where the token begins that no message has there */
    struct mvm_json json;
    char *fields;
    uint32_t fields_cap;
    uint32_t fields_len; /* bytes of `fields` that this frame has filled */
    uint8_t direction;
    uint8_t state;                   /* decoder.c has the states */
    uint8_t at;                      /* index of the field whose value comes next */
    uint8_t seen;                    /* bit n: the variant's field n has come */
    char name[MVM_DECODER_NAME_CAP]; /* of the variant or field, as it comes */
};

/* `fields[0 … cap-1]`, never NULL, holds decoded fields; it must stay as long as the decoder is
 * used. */
void mvm_decoder_init(struct mvm_decoder *d, enum mvm_direction direction, char *fields,
                      size_t cap);
#define mvm_decoder_init(...) (mvm_limits_of_codec_match(), mvm_decoder_init(__VA_ARGS__))

/* Takes up to `len` bytes; `*used` says how many, in every case. Never 0 where len > 0. */
enum mvm_decoder_status mvm_decoder_push(struct mvm_decoder *d, const uint8_t *bytes, size_t len,
                                         size_t *used);

/* The stream has ended: a last frame counts without its newline, as BufRead::lines has it. */
enum mvm_decoder_status mvm_decoder_finish(struct mvm_decoder *d);

/*
 * After BAD_FRAME: one line for people, "parse error: unknown variant at byte 1" and the like:
 * what, which field, and at which byte. It fits 160 bytes.
 */
void mvm_decoder_explain(const struct mvm_decoder *d, struct mvm_writer *w);

/* The same from the parts, for the other wire's decoder. `field` may be NULL. */
void mvm_decoder_error_explain(enum mvm_decoder_error error, enum mvm_json_error json_error,
                               const char *field, uint32_t at, struct mvm_writer *w);

#ifdef __cplusplus
}
#endif

#endif
