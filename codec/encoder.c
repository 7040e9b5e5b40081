/*
 * A message is a list of steps: a literal, then what follows it. Inside a text, runs of plain
 * bytes are copied as they are; whatever else goes out is made in `piece` first, and drips from
 * there into the room there is.
 */
#include "mvm_encoder.h"
#include "mvm_plain.h"
#include "mvm_utf8.h"
#include <string.h>

enum then {
    THEN_END, /* nothing: the message is whole */
    THEN_TEXT,
    THEN_FLAKE_REF,
    THEN_ATTR,
    THEN_TIMEOUT,
};

struct step {
    const char *literal;
    uint8_t len;
    uint8_t then;
};

enum { IDLE, BUILD, PING = BUILD + 4, OK, ERR = OK + 2, LOG = ERR + 2, PONG = LOG + 2 };

#define STEP(literal, then)                                                                        \
    {                                                                                              \
        literal, sizeof(literal) - 1, then                                                         \
    }

static const struct step steps[] = {
    [BUILD] = STEP("{\"Build\":{\"flake_ref\":\"", THEN_FLAKE_REF),
    STEP("\",\"attr\":\"", THEN_ATTR),
    STEP("\",\"timeout_secs\":", THEN_TIMEOUT),
    STEP("}}\n", THEN_END),
    [PING] = STEP("\"Ping\"\n", THEN_END),
    [OK] = STEP("{\"Ok\":{\"out_path\":\"", THEN_TEXT),
    STEP("\"}}\n", THEN_END),
    [ERR] = STEP("{\"Err\":{\"message\":\"", THEN_TEXT),
    STEP("\"}}\n", THEN_END),
    [LOG] = STEP("{\"Log\":{\"line\":\"", THEN_TEXT),
    STEP("\"}}\n", THEN_END),
    [PONG] = STEP("\"Pong\"\n", THEN_END),
};

static const uint8_t first_steps[] = {
    [MVM_BUILD] = BUILD, [MVM_PING] = PING, [MVM_OK] = OK,
    [MVM_ERR] = ERR,     [MVM_LOG] = LOG,   [MVM_PONG] = PONG,
};

struct room {
    uint8_t *at;
    size_t left;
};

void mvm_encoder_init(struct mvm_encoder *e)
{
    memset(e, 0, sizeof *e);
}

bool mvm_encoder_idle(const struct mvm_encoder *e)
{
    return e->step == IDLE;
}

/* Copies what fits and says how much that was. */
static size_t put(struct room *room, const void *bytes, size_t len)
{
    len = len < room->left ? len : room->left;
    memcpy(room->at, bytes, len);
    room->at += len;
    room->left -= len;
    return len;
}

/* ---- pieces --------------------------------------------------------------------------------- */

static void make_piece(struct mvm_encoder *e, const void *bytes, size_t len)
{
    memcpy(e->piece, bytes, len);
    e->piece_at = 0;
    e->piece_len = (uint8_t)len;
}

static void make_number(struct mvm_encoder *e)
{
    char digits[MVM_TEXT_DECIMAL_CAP];
    struct mvm_text number = {"null", 4};
    if (e->message.build.has_timeout) {
        number = mvm_text_decimal(digits, e->message.build.timeout_secs);
    }
    make_piece(e, number.bytes, number.len);
}

/* A quote, a backslash or a control character: the letter behind its backslash. */
static void make_escape(struct mvm_encoder *e, uint8_t byte)
{
    static const char letters[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";
    static const char digits[] = "0123456789abcdef";
    e->piece[0] = '\\';
    e->piece[1] = byte < ' ' ? (uint8_t)letters[byte] : byte;
    e->piece[2] = '0';
    e->piece[3] = '0';
    e->piece[4] = (uint8_t)digits[byte >> 4];
    e->piece[5] = (uint8_t)digits[byte & 15];
    e->piece_at = 0;
    e->piece_len = e->piece[1] == 'u' ? 6 : 2;
}

/* What mvm_plain_run stopped at: a byte to escape, one that is ill formed, or a character that the
 * room's end cut in two. Returns how many bytes the piece stands for. */
static size_t make_character(struct mvm_encoder *e, const uint8_t *bytes, size_t len)
{
    if (*bytes < 0x80) {
        make_escape(e, *bytes);
        return 1;
    }
    int character = mvm_utf8_next(bytes, len);
    if (character > 0) {
        make_piece(e, bytes, (size_t)character);
        return (size_t)character;
    }
    make_piece(e, "\xef\xbf\xbd", 3); /* U+FFFD */
    return character < 0 ? (size_t)-character : len;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static bool put_piece(struct mvm_encoder *e, struct room *room)
{
    while (e->piece_at < e->piece_len && room->left > 0) {
        *room->at++ = e->piece[e->piece_at++];
        room->left--;
    }
    return e->piece_at == e->piece_len;
}

/* A run of plain bytes goes out, or a character into the piece. */
static void put_part(struct mvm_encoder *e, struct mvm_text text, struct room *room)
{
    size_t len = text.len - e->text_at;
    const uint8_t *bytes = (const uint8_t *)text.bytes + e->text_at;
    size_t run = mvm_plain_run(bytes, len < room->left ? len : room->left);
    if (run > 0) {
        e->text_at += put(room, bytes, run);
    } else {
        e->text_at += make_character(e, bytes, len);
    }
}

/* True: the text is done. */
static bool put_text(struct mvm_encoder *e, struct mvm_text text, struct room *room)
{
    while (put_piece(e, room)) {
        if (e->text_at == text.len || room->left == 0) {
            return e->text_at == text.len;
        }
        put_part(e, text, room);
    }
    return false;
}

/* True: the step is done. */
static bool put_step(struct mvm_encoder *e, struct room *room)
{
    const struct step *step = &steps[e->step];
    size_t left = (size_t)(step->len - e->literal_at);
    size_t len = put(room, step->literal + e->literal_at, left);
    e->literal_at = (uint8_t)(e->literal_at + len);
    if (len < left) {
        return false;
    }
    if (step->then == THEN_TEXT) {
        return put_text(e, e->message.text, room);
    }
    if (step->then == THEN_FLAKE_REF) {
        return put_text(e, e->message.build.flake_ref, room);
    }
    if (step->then == THEN_ATTR) {
        return put_text(e, e->message.build.attr, room);
    }
    return put_piece(e, room); /* the number that begin_step has made, or none */
}

static void begin_step(struct mvm_encoder *e, unsigned step)
{
    e->step = (uint8_t)step;
    e->literal_at = 0;
    e->text_at = 0;
    if (steps[step].then == THEN_TIMEOUT) {
        make_number(e);
    }
}

void mvm_encoder_start(struct mvm_encoder *e, const struct mvm_message *m)
{
    e->message = *m;
    begin_step(e, first_steps[m->kind]);
}

size_t mvm_encoder_pull(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    struct room room = {out, cap};
    while (room.left > 0 && !mvm_encoder_idle(e) && put_step(e, &room)) {
        begin_step(e, steps[e->step].then == THEN_END ? IDLE : e->step + 1u);
    }
    return cap - room.left;
}
