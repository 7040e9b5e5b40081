/*
 * One connection, over anything that moves bytes. It never does I/O: it offers room for bytes
 * from the transport and bytes for the transport, with an acknowledge call for each. No callback,
 * no copy in between, and back-pressure is simply no room.
 *
 *     transport side                                program side
 *     room = mvm_session_room(&s, &cap)             mvm_session_next(&s)   → a message in s.message
 *     n = read(fd, room, cap)                       mvm_session_can_send(&s)
 *     mvm_session_received(&s, n)                   mvm_session_send(&s, &answer)
 *     bytes = mvm_session_bytes(&s, &len)
 *     n = write(fd, bytes, len)
 *     mvm_session_sent(&s, n)
 *
 * The caller owns the struct and its three buffers; they must stay as long as the session is used.
 * There is nothing to close. Any buffer works, down to one byte of receive or send buffer.
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
    MVM_SESSION_MESSAGE,     /* `message`; its texts stay until next is called again */
    MVM_SESSION_BAD_FRAME,   /* mvm_session_explain says what was wrong; the next frame is fine */
    MVM_SESSION_ENDED,       /* the peer's half has ended and every frame of it has been taken */
};

/* How a connection's frames are written down. Its first byte tells; a session answers in kind, and
 * a frame of the other wire later on is a bad frame. */
enum mvm_wire {
    MVM_WIRE_OPEN, /* nothing has come yet; JSON for what goes out before */
    MVM_WIRE_JSON,
    MVM_WIRE_PROTO,
};

/* Read `message`, `sent` and `wire`; the rest is the session's own. What is looked at of a session
 * that has nothing to do stands first, and together. */
struct mvm_session {
    uint64_t sent;        /* bytes handed to the transport since init */
    size_t receive_start; /* received bytes not yet decoded: [start, end) */
    size_t receive_end;
    size_t send_start; /* encoded bytes not yet sent: [start, end) */
    size_t send_end;
    bool peer_ended;
    bool finished; /* the decoder has been told so, and every frame is taken */
    enum mvm_wire wire;
    enum mvm_direction direction;
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

/* `direction`: which messages come in. An agent's session takes MVM_DIRECTION_REQUESTS. */
void mvm_session_init(struct mvm_session *s, enum mvm_direction direction,
                      const struct mvm_session_memory *memory);
#define mvm_session_init(...) (mvm_limits_of_codec_match(), mvm_session_init(__VA_ARGS__))

/* Chooses the wire for a side that speaks first, right after init: MVM_WIRE_JSON or, in a build
 * that has it (mvm_proto_present), MVM_WIRE_PROTO. */
void mvm_session_speak(struct mvm_session *s, enum mvm_wire wire);

/* ---- transport side ---- */

/* Where received bytes may be put, and up to how many; NULL and 0: no room, do not read. */
uint8_t *mvm_session_room(struct mvm_session *s, size_t *cap);
void mvm_session_received(struct mvm_session *s, size_t len);

/* No more bytes will come (end of file). What came is still decoded, answers still go out. */
void mvm_session_peer_ended(struct mvm_session *s);

/* The transport has no connections (a serial line), and another peer may send from now on: a frame
 * that has begun is dropped, unless bytes still wait to be taken by next. A broken stream
 * is read again. What is to be sent stays. */
void mvm_session_peer_changed(struct mvm_session *s);

/* A transport without connections has lost its peer: drops everything received and everything not
 * yet sent. The next byte chooses the wire again. */
void mvm_session_restart(struct mvm_session *s);

/* The bytes to send next, and how many; NULL and 0: none. They stay where they are until
 * mvm_session_sent; messages sent meanwhile come behind them. Send few and large pieces: thousands
 * of small messages gather here between two looks. */
const uint8_t *mvm_session_bytes(const struct mvm_session *s, size_t *len);

/* The transport took the first `len` of them. */
void mvm_session_sent(struct mvm_session *s, size_t len);

/* ---- program side ---- */

/* The next event. A session of requests returns NOTHING while can_send is false: each request can
 * be answered when it is returned, and a peer that does not read is not read from. A session of
 * responses owes no answers and decodes while it sends, so that two peers that both send more than
 * their buffers hold never wait for each other. */
enum mvm_session_event mvm_session_next(struct mvm_session *s);

/* The same, whether or not can_send, for a program that queues its answers. */
enum mvm_session_event mvm_session_decode(struct mvm_session *s);

/* After BAD_FRAME: "parse error: …", for people. */
void mvm_session_explain(const struct mvm_session *s, struct mvm_writer *w);

/* After BAD_FRAME: whether the start of the next frame is unknown (the protobuf wire alone).
 * Nothing more is decoded, and the peer's half counts as ended: send the Err, then close the
 * connection. */
bool mvm_session_broken(const struct mvm_session *s);

/* Whether the peer's half has ended and next has given out every frame of it. */
bool mvm_session_ended(const struct mvm_session *s);

/* Whether a message may be sent now: the last one is wholly in the send buffer. */
bool mvm_session_can_send(const struct mvm_session *s);

/* Encodes a message, as much as there is room for; the rest follows as bytes are sent. Call it
 * only where can_send. The message's texts are borrowed until can_send is true again. */
void mvm_session_send(struct mvm_session *s, const struct mvm_message *m);

/* Whether everything sent has been handed to the transport. */
bool mvm_session_flushed(const struct mvm_session *s);

#ifdef __cplusplus
}
#endif

#endif
