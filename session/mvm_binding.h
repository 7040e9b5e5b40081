/*
 * For languages that call C functions and do not read C headers: Python's ctypes and cffi, Rust,
 * Zig, Go. With these calls a binding needs no struct layouts to be a client of either wire, or the
 * agent's end of a connection: functions return the sizes, set and get the fields of a message, and
 * pass a session its buffers as plain arguments.
 *
 * Besides them a binding calls those of mvm_session.h, except mvm_session_init and
 * mvm_session_explain, which have a form without structs here. Codecs without a session, executor,
 * scheduler and server are configured by structs: a binding to these must declare them. To serve
 * builds without that, start mvm-builder-agent.
 *
 *     session = calloc(1, mvm_session_size())
 *     mvm_session_init_buffers(session, MVM_DIRECTION_RESPONSES, in, 4096, out, 4096, fields, cap)
 *     m = calloc(1, mvm_message_size())
 *     mvm_message_begin(m, MVM_MESSAGE_BUILD)
 *     mvm_message_put(m, MVM_FIELD_FLAKE_REF, "/build-in", 9)
 *     …
 *     mvm_session_send(session, m)
 *
 * docs/clients/ctypes_client.py is a whole client. Memory must be aligned for any object, as
 * malloc's is.
 */
#ifndef MVM_BINDING_H
#define MVM_BINDING_H

#include "mvm_executor.h"
#include "mvm_scheduler.h"
#include "mvm_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sizes, in bytes ---- */

size_t mvm_message_size(void);
size_t mvm_decoder_size(void);
size_t mvm_encoder_size(void);
size_t mvm_session_size(void);
size_t mvm_executor_size(void);
size_t mvm_scheduler_size(void);
size_t mvm_client_size(void);

/* Of a field buffer for the longest messages of that direction. */
size_t mvm_fields_cap(enum mvm_direction direction);

/* mvm_proto_present: whether this library has the protobuf wire. */
bool mvm_has_protobuf(void);

/* ---- sessions ---- */

/* mvm_session_init with the members of struct mvm_session_memory as arguments. Unlike it, this does
 * not check the limits that the caller was compiled with: the caller has none. */
void mvm_session_init_buffers(struct mvm_session *s, enum mvm_direction direction, uint8_t *receive,
                              size_t receive_cap, uint8_t *send, size_t send_cap, char *fields,
                              size_t fields_cap);

/* After MVM_SESSION_MESSAGE: the message. Its texts are valid until mvm_session_next. */
const struct mvm_message *mvm_session_message(const struct mvm_session *s);

/* After MVM_SESSION_BAD_FRAME: writes the error, NUL-terminated, at most `cap` - 1 bytes. Returns
 * its length. */
size_t mvm_session_explanation(const struct mvm_session *s, char *buf, size_t cap);

/* The members of struct mvm_session that its owner may read, … */
uint64_t mvm_session_get_sent(const struct mvm_session *s);
enum mvm_wire mvm_session_get_wire(const struct mvm_session *s);

/* … and those that it may set after init. */
void mvm_session_put_small_cap(struct mvm_session *s, size_t small_cap);
void mvm_session_put_json_alone(struct mvm_session *s, bool json_alone);

/* ---- messages ---- */

/* The texts of a message; mvm_message.h lists those of each kind. */
enum mvm_message_field {
    MVM_FIELD_TEXT = 0, /* out_path, message, line, was or data */
    MVM_FIELD_ID = 1,
    MVM_FIELD_FLAKE_REF = 2,
    MVM_FIELD_ATTR = 3,
    MVM_FIELD_NONCE = 4,
    MVM_FIELD_AGENT = 5,
    MVM_FIELD_BOOT = 6,
    MVM_FIELD_FEATURES = 7,
    MVM_FIELD_REFUSED = 8,
    MVM_FIELD_CATEGORY = 9,
    MVM_FIELD_NAME = 10, /* of an artifact */
};

/* The number of a kind by its name, "Build" for MVM_MESSAGE_BUILD and so on, "StreamBuild" for
 * MVM_MESSAGE_STREAM_BUILD: numbers differ between releases. -1: this release has no such kind. */
int mvm_kind_by_name(const char *name);

/* Initialises a message of that kind, without fields. */
void mvm_message_begin(struct mvm_message *m, enum mvm_kind kind);

/* Sets a field to `len` bytes, which are borrowed as long as the message is used. False: a message
 * of this kind has no such field. */
bool mvm_message_put(struct mvm_message *m, enum mvm_message_field field, const char *bytes,
                     size_t len);

/* Sets a Build's time-out in seconds, 0 for none. False: the message is not a Build. */
bool mvm_message_put_timeout(struct mvm_message *m, uint64_t seconds);

/* Has a Build outlive its connection. False: the message is not a Build. */
bool mvm_message_put_keep(struct mvm_message *m, bool keep);

/* Marks a Log as a heartbeat, or leaves that out. False: the message is not a Log. */
bool mvm_message_put_beat(struct mvm_message *m, bool beat);

/* Has a StreamBuild announce a source, an archive of so many bytes. False: the message is not a
 * StreamBuild. */
bool mvm_message_put_source_size(struct mvm_message *m, uint64_t size);

/* Sets the artifacts of an Ok, a list of `len` bytes that mvm_artifact_write has made; borrowed as
 * a field is. False: the message is not an Ok. */
bool mvm_message_put_artifacts(struct mvm_message *m, const char *list, size_t len);

/* Writes an artifact to `out`; consecutive ones are a list. Returns how many bytes it takes; 0: it
 * does not fit `cap`, its name has more than MVM_WORD_MAX bytes, or this library has no protobuf
 * wire. */
size_t mvm_artifact_write(char *out, size_t cap, const char *name, size_t name_len, uint64_t size);

/* Sets the numbers of a Source, Get, Want or Artifact; each kind ignores those that it lacks.
 * False: the message is of another kind. */
bool mvm_message_put_bulk(struct mvm_message *m, uint64_t offset, uint64_t length, bool last);

enum mvm_kind mvm_message_kind(const struct mvm_message *m);

/* A field's bytes, which are not NUL-terminated, and their number in *len. NULL: it is absent, or a
 * message of this kind has no such field. */
const char *mvm_message_get(const struct mvm_message *m, enum mvm_message_field field, size_t *len);

/* Whether a Build has a time-out of its own; in *seconds. */
bool mvm_message_get_timeout(const struct mvm_message *m, uint64_t *seconds);

/* Whether a Build says if it is to outlive its connection; in *keep. */
bool mvm_message_get_keep(const struct mvm_message *m, bool *keep);

/* Whether a StreamBuild announces a source; its bytes in *size. */
bool mvm_message_get_source_size(const struct mvm_message *m, uint64_t *size);

/* The name of an Ok's artifact number `index`, from 0, which is not NUL-terminated, its length in
 * *len and the artifact's bytes in *size. NULL: the Ok has no more, or the message is of another
 * kind. Walks the list up to it. */
const char *mvm_message_get_artifact(const struct mvm_message *m, size_t index, size_t *len,
                                     uint64_t *size);

/* The numbers of a Source, Get, Want or Artifact. False: the message is of another kind. */
bool mvm_message_get_bulk(const struct mvm_message *m, uint64_t *offset, uint64_t *length,
                          bool *last);

/* Whether a Log is a heartbeat and not a line of the build. */
bool mvm_message_is_beat(const struct mvm_message *m);

/* ---- jobs ---- */

/* The text that goes with the last event of mvm_executor_step, and its length in *len. */
const char *mvm_executor_text(const struct mvm_executor *x, size_t *len);

#ifdef __cplusplus
}
#endif

#endif
