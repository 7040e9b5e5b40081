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
 * line, except for the limits of mvm_limits.h. It stores the fields, not the line. The caller owns
 * all memory, and there is nothing to close. Between frames a decoder may be moved, but its field
 * buffer must stay where it is. No state is carried from one frame to the next: to use another
 * buffer, initialise the decoder again.
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
    MVM_DECODER_PARTIAL = 0,   /* every byte was used; no frame is complete */
    MVM_DECODER_MESSAGE = 1,   /* in `message`; its texts are valid until the next push or finish */
    MVM_DECODER_BAD_FRAME = 2, /* returned once a frame, as early as possible; the next pushes skip
                                * the rest of the frame, then decoding resumes */
    MVM_DECODER_BROKEN = 3,    /* protobuf wire only: as BAD_FRAME, but the start of the next frame
                                * is unknown. Returned once; all further bytes are skipped */
};

enum mvm_decoder_error {
    MVM_DECODER_FINE = 0,
    MVM_DECODER_JSON,            /* not a JSON text: see `json_error` */
    MVM_DECODER_NOT_A_MESSAGE,   /* neither a string nor an object with one member */
    MVM_DECODER_UNKNOWN_VARIANT, /* of this direction */
    MVM_DECODER_NEEDS_FIELDS,    /* "Build" alone: a variant that has fields */
    MVM_DECODER_NO_FIELDS,       /* a value other than null for a variant that has none */
    MVM_DECODER_WRONG_TYPE,      /* of the field `field`, or of a variant's value */
    MVM_DECODER_MISSING_FIELD,   /* `field` */
    MVM_DECODER_DUPLICATE_FIELD, /* `field` */
    MVM_DECODER_EXTRA_ELEMENT,   /* an array longer than the variant has fields */
    MVM_DECODER_FIELD_TOO_LONG,  /* `field` is over its limit, or over the field buffer */
    MVM_DECODER_FRAME_TOO_LONG,  /* MVM_REQUEST_FRAME_MAX, MVM_RESPONSE_FRAME_MAX. message.kind is
                                  * valid if the variant was read */
    /* protobuf wire only, see mvm_proto.h */
    MVM_DECODER_NO_PREFIX,    /* a frame that begins with neither 00 nor 01; BROKEN */
    MVM_DECODER_COMPRESSED,   /* the flag is set, but no compression was agreed on */
    MVM_DECODER_NOT_PROTOBUF, /* malformed, or a field of another wire type than the schema's */
    MVM_DECODER_NOT_UTF8,     /* in the string `field` */
    MVM_DECODER_CUT_SHORT,    /* the stream ended inside the frame */
};

/* Size of a field buffer with which no field is refused below its limit. A message's fields share
 * it. Out_path, message and line have no limit of their own: they may use what the other fields
 * leave. RESPONSE_FIELDS_CAP has room for a line whose every byte became U+FFFD, and for the other
 * fields of an Err, which are the longest beside such a text; a Hello takes less. */
#define MVM_REQUEST_FIELDS_CAP (MVM_FLAKE_REF_MAX + MVM_ATTR_MAX + MVM_ID_MAX + MVM_PROTO_SLACK)
#define MVM_RESPONSE_FIELDS_CAP                                                                    \
    (3 * MVM_LOG_LINE_MAX + 2 * MVM_ID_MAX + MVM_WORD_MAX + MVM_PROTO_SLACK)

/* The longest name of a variant or field, "timeout_secs". */
#define MVM_DECODER_NAME_CAP 12

/* Read the first five, the last four of them after BAD_FRAME; the rest is the decoder's own. */
struct mvm_decoder {
    struct mvm_message message; /* after MESSAGE */
    enum mvm_decoder_error error;
    enum mvm_json_error json_error; /* if error is MVM_DECODER_JSON */
    const char *field;              /* static name of the field concerned, or NULL */
    uint32_t error_at; /* byte in the frame, from 0: the one that is not JSON, the first one over
                        * the limit, or the first of the unexpected token */
    struct mvm_json json;
    char *fields;
    uint32_t fields_cap;
    uint32_t fields_len; /* bytes of `fields` that this frame has filled */
    uint8_t direction;
    uint8_t state;                   /* see decoder.c */
    uint8_t at;                      /* index of the field whose value comes next */
    uint8_t seen;                    /* bit n: the variant's field n was decoded */
    char name[MVM_DECODER_NAME_CAP]; /* of the variant or field being decoded */
};

/* `fields[0 … cap-1]`, never NULL, holds decoded fields; it must stay valid as long as the decoder
 * is used. */
void mvm_decoder_init(struct mvm_decoder *d, enum mvm_direction direction, char *fields,
                      size_t cap);
#define mvm_decoder_init(...) (mvm_limits_of_codec_match(), mvm_decoder_init(__VA_ARGS__))

/* Consumes up to `len` bytes; `*used` is their number, in every case. Never 0 if len > 0. */
enum mvm_decoder_status mvm_decoder_push(struct mvm_decoder *d, const uint8_t *bytes, size_t len,
                                         size_t *used);

/* Ends the stream: a last frame needs no newline, as with BufRead::lines. */
enum mvm_decoder_status mvm_decoder_finish(struct mvm_decoder *d);

/*
 * After BAD_FRAME: one line for people, such as "parse error: unknown variant at byte 1": the
 * error, the field, and the byte. It fits 160 bytes.
 */
void mvm_decoder_explain(const struct mvm_decoder *d, struct mvm_writer *w);

/* The same from separate values, for the other wire's decoder. `field` may be NULL. */
void mvm_decoder_error_explain(enum mvm_decoder_error error, enum mvm_json_error json_error,
                               const char *field, uint32_t at, struct mvm_writer *w);

MVM_LAYOUT_OF(struct mvm_decoder, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
