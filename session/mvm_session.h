/*
 * One connection, over any byte stream. A session does no I/O: it provides a buffer for received
 * bytes and the bytes to send, with an acknowledge call for each. No callbacks, no copy in between;
 * back-pressure is a full buffer.
 *
 *     transport side                                program side
 *     room = mvm_session_room(&s, &cap)             mvm_session_next(&s)   → a message in s.message
 *     n = read(fd, room, cap)                       mvm_session_can_send(&s)
 *     mvm_session_received(&s, n)                   mvm_session_send(&s, &answer)
 *     bytes = mvm_session_bytes(&s, &len)
 *     n = write(fd, bytes, len)
 *     mvm_session_sent(&s, n)
 *
 * The caller owns the struct and its three buffers; they must stay valid as long as the session is
 * used. There is nothing to close. Receive and send buffers may be as small as one byte.
 */
#ifndef MVM_SESSION_H
#define MVM_SESSION_H

#include "mvm_decoder.h"
#include "mvm_encoder.h"
#include "mvm_proto.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's memory. `fields`: see mvm_decoder.h, MVM_REQUEST_FIELDS_CAP and
 * MVM_RESPONSE_FIELDS_CAP. */
struct mvm_session_memory {
    uint8_t *receive;
    size_t receive_cap; /* ≥ 1 */
    uint8_t *send;
    size_t send_cap; /* ≥ 1 */
    char *fields;
    size_t fields_cap;
};

enum mvm_session_event {
    MVM_SESSION_NOTHING = 0, /* no complete frame yet; or can_send is false: see next */
    MVM_SESSION_MESSAGE,     /* in `message`; its texts are valid until next is called again */
    MVM_SESSION_BAD_FRAME,   /* see mvm_session_explain; decoding resumes with the next frame */
    MVM_SESSION_ENDED,       /* the peer's half has ended and all its frames were returned */
};

/* The encoding of a connection's frames. Its first received byte selects it; the session sends the
 * same, and a later frame of the other wire is a bad frame. */
enum mvm_wire {
    MVM_WIRE_OPEN, /* nothing was received yet; what is sent before is JSON */
    MVM_WIRE_JSON,
    MVM_WIRE_PROTO,
};

/* Read `message`, `sent` and `wire`, set `small_cap` and `json_alone`; the rest is the session's
 * own. Fields read on every idle pass come first, for cache locality. */
struct mvm_session {
    uint64_t sent;        /* bytes handed to the transport since init */
    size_t receive_start; /* received bytes not yet decoded: [start, end) */
    size_t receive_end;
    size_t send_start; /* encoded bytes not yet sent: [start, end) */
    size_t send_end;
    bool peer_ended;
    bool finished; /* … and the decoder was finished, and every frame returned */
    enum mvm_wire wire;
    enum mvm_direction direction;
    size_t small_cap; /* the owner may set it after init: how much of the send buffer messages other
                       * than Artifact fill; 0: all */
    bool
        json_alone; /* likewise: no first byte selects the protobuf wire. For serial lines, on
                     * which  anything may come first, and the end of a frame must be found again */
    struct mvm_message message; /* after MESSAGE */
    struct mvm_session_memory memory;
    union {
        struct mvm_encoder json_encoder;
        struct mvm_proto_encoder proto_encoder;
    };
    union {
        struct mvm_decoder json_decoder;
        struct mvm_proto_decoder proto_decoder;
    };
};

/* `direction`: the messages to receive. An agent's session receives MVM_DIRECTION_REQUESTS. */
void mvm_session_init(struct mvm_session *s, enum mvm_direction direction,
                      const struct mvm_session_memory *memory);
#define mvm_session_init(...) (mvm_limits_of_codec_match(), mvm_session_init(__VA_ARGS__))

/* Selects the wire for a side that sends first, right after init: MVM_WIRE_JSON or, in a build that
 * has it (mvm_proto_present), MVM_WIRE_PROTO. */
void mvm_session_speak(struct mvm_session *s, enum mvm_wire wire);

/* ---- transport side ---- */

/* The buffer for received bytes, and its size in `*cap`; NULL and 0: no room, do not read. */
uint8_t *mvm_session_room(struct mvm_session *s, size_t *cap);

/* The first `len` bytes of it were received. More than there is room for, such as a read's -1 that
 * was not looked at: the call is ignored. */
void mvm_session_received(struct mvm_session *s, size_t len);

/* End of file: no more bytes will be received. What was received is still decoded, and answers are
 * still sent. */
void mvm_session_peer_ended(struct mvm_session *s);

/* For a transport without connections (a serial line), when another peer may send from now on: an
 * incomplete frame is dropped, unless received bytes still wait for next. A broken stream is
 * decoded again. What is to be sent stays. */
void mvm_session_peer_changed(struct mvm_session *s);

/* For a transport without connections that has lost its peer: drops everything received and
 * everything not yet sent. The next byte received selects the wire again. */
void mvm_session_restart(struct mvm_session *s);

/* The bytes to send next, and their number in `*len`; NULL and 0: none. They do not move until
 * mvm_session_sent; messages sent meanwhile are appended. Send them in few large pieces: thousands
 * of small messages may collect here between two calls. */
const uint8_t *mvm_session_bytes(const struct mvm_session *s, size_t *len);

/* The transport has sent the first `len` of them. More than there are: the call is ignored. */
void mvm_session_sent(struct mvm_session *s, size_t len);

/* ---- program side ---- */

/* The next event. A session of requests returns NOTHING while can_send is false: each request can
 * be answered when it is returned, and a peer that does not read is not read from. A session of
 * responses owes no answers and decodes while it sends, so that two peers that both send more than
 * their buffers hold never wait for each other. */
enum mvm_session_event mvm_session_next(struct mvm_session *s);

/* The same even if can_send is false, for a program that queues its answers. */
enum mvm_session_event mvm_session_decode(struct mvm_session *s);

/* False: decode would return NOTHING, as for most sessions most of the time. */
bool mvm_session_has_input(const struct mvm_session *s);

/* After BAD_FRAME: writes "parse error: …", for people. */
void mvm_session_explain(const struct mvm_session *s, struct mvm_writer *w);

/* After BAD_FRAME: whether the start of the next frame is unknown (protobuf wire only). Nothing
 * more is decoded, and the peer's half counts as ended: send the Err, then close the connection. */
bool mvm_session_broken(const struct mvm_session *s);

/* Whether the peer's half has ended and next has returned all its frames. */
bool mvm_session_ended(const struct mvm_session *s);

/* Whether a message may be sent now: the last one is completely in the send buffer. */
bool mvm_session_can_send(const struct mvm_session *s);

/* Encodes a message, as much as there is room for; the rest follows as bytes are sent. Call it only
 * if can_send is true. The message's texts are borrowed until can_send is true again. */
void mvm_session_send(struct mvm_session *s, const struct mvm_message *m);

/* Whether everything sent has been handed to the transport. */
bool mvm_session_flushed(const struct mvm_session *s);

MVM_LAYOUT_OF(struct mvm_session, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
