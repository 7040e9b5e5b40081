/*
 * A message is a list of steps: a literal, then what follows it. Inside a text, runs of plain
 * bytes are copied as they are; whatever else goes out is made where it goes or, where the room may
 * not hold it, in `piece`, and drips from there.
 */
#include "frames.h"
#include "mvm_encoder.h"
#include "mvm_escape.h"
#include "mvm_plain.h"
#include "mvm_utf8.h"
#include <string.h>

enum { IDLE };

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

static void use_room(struct room *room, size_t n)
{
    room->at += n;
    room->left -= n;
}

/* Copies what fits of the step's literal. True: it is written. */
static bool put_literal(struct mvm_encoder *e, const struct mvm_step *step, struct room *room)
{
    size_t left = (size_t)(step->len - e->literal_at);
    size_t len = left < room->left ? left : room->left;
    memcpy(room->at, step->literal + e->literal_at, len);
    e->literal_at = (uint8_t)(e->literal_at + len);
    use_room(room, len);
    return len == left;
}

/* ---- pieces --------------------------------------------------------------------------------- */

static void make_number(struct mvm_encoder *e)
{
    char digits[MVM_TEXT_DECIMAL_CAP];
    struct mvm_text number = {"null", 4};
    if (e->message.build.has_timeout) {
        number = mvm_text_decimal(digits, e->message.build.timeout_secs);
    }
    memcpy(e->piece, number.bytes, number.len);
    e->piece_at = 0;
    e->piece_len = (uint8_t)number.len;
}

/* What a plain run stopped at: a byte to escape, one that is ill formed, or a character that the
 * room's end cuts in two. Writes it, up to MVM_ESCAPE_CAP bytes, and says how many bytes it stands
 * for.
 */
static size_t make_character(uint8_t *to, size_t *made, const uint8_t *bytes, size_t len)
{
    if (*bytes < 0x80) {
        *made = mvm_escape(to, *bytes);
        return 1;
    }
    int character = mvm_utf8_next(bytes, len);
    if (character > 0) {
        *made = (size_t)character;
        memcpy(to, bytes, (size_t)character);
        return (size_t)character;
    }
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */
    *made = sizeof replacement;
    memcpy(to, replacement, sizeof replacement);
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

/* What a plain run stopped at. Returns how many bytes of the text are done. */
static size_t put_stop(struct mvm_encoder *e, const uint8_t *bytes, size_t len, struct room *room)
{
    size_t done;
    size_t made = mvm_escape_copy(room->at, room->left, bytes, len, &done);
    if (done > 0) {
        use_room(room, made);
    } else if (room->left >= MVM_ESCAPE_CAP) {
        done = make_character(room->at, &made, bytes, len);
        use_room(room, made);
    } else {
        done = make_character(e->piece, &made, bytes, len);
        e->piece_at = 0;
        e->piece_len = (uint8_t)made;
    }
    return done;
}

/* The text's next run, and what stopped it. There is text left, and room. */
static void put_part(struct mvm_encoder *e, struct mvm_text text, struct room *room)
{
    const uint8_t *bytes = (const uint8_t *)text.bytes + e->text_at;
    size_t left = text.len - e->text_at;
    size_t run = mvm_plain_copy(room->at, bytes, left < room->left ? left : room->left);
    use_room(room, run);
    e->text_at += run;
    if (run < left && room->left > 0) {
        e->text_at += put_stop(e, bytes + run, left - run, room);
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
static bool put_step(struct mvm_encoder *e, const struct mvm_step *step, struct room *room)
{
    enum mvm_then then = (enum mvm_then)step->then;
    if (e->literal_at < step->len) {
        if (!put_literal(e, step, room)) {
            return false;
        }
        if (then == MVM_THEN_TIMEOUT) {
            make_number(e);
        }
    }
    if (then == MVM_THEN_END || then == MVM_THEN_TIMEOUT) {
        return put_piece(e, room); /* the number, or none */
    }
    return put_text(e, *mvm_step_text(&e->message, then), room);
}

static void begin_step(struct mvm_encoder *e, unsigned step)
{
    e->step = (uint8_t)step;
    e->literal_at = 0;
    e->text_at = 0;
}

void mvm_encoder_start(struct mvm_encoder *e, const struct mvm_message *m)
{
    if (m->kind == MVM_MESSAGE_BUILD) {
        e->message = *m;
    } else {
        /* member by member: a wide load of both waits for the stores that have just made them */
        const struct mvm_text text = {m->text.bytes, m->text.len};
        e->message.kind = m->kind;
        e->message.text = text;
    }
    begin_step(e, mvm_first_steps[m->kind]);
}

#if !defined(__OPTIMIZE_SIZE__) || UINTPTR_MAX > UINT32_MAX
/* All of a literal's array, by moves of eight bytes: where code is made small, one memcpy(3) of it
 * becomes a string instruction that takes longer than the rest of a short frame. */
static void copy_literal(uint8_t *to, const char *literal)
{
    _Static_assert(MVM_LITERAL_CAP == 24, "three moves");
    memcpy(to, literal, 8);
    memcpy(to + 8, literal + 8, 8);
    memcpy(to + 16, literal + 16, 8);
}

/* The short way for most frames, those of one text and with room for it as it is: literal, run and
 * literal in one go. A run that ends early leaves the rest to the steps, as if they had come there.
 * Not on small machines with code made small, where its 200 bytes count. */
static void put_whole(struct mvm_encoder *e, struct room *room)
{
    const struct mvm_step *step = &mvm_steps[e->step];
    const struct mvm_text text = e->message.text;
    const size_t around = sizeof step[0].literal + sizeof step[1].literal;
    if (step->then != MVM_THEN_TEXT || e->literal_at > 0 || room->left < around ||
        room->left - around < text.len) {
        return;
    }
    copy_literal(room->at, step->literal);
    use_room(room, step->len);
    size_t run = mvm_plain_copy(room->at, (const uint8_t *)text.bytes, text.len);
    use_room(room, run);
    if (run < text.len) {
        e->literal_at = step->len;
        e->text_at = run;
        return;
    }
    copy_literal(room->at, step[1].literal);
    use_room(room, step[1].len);
    begin_step(e, IDLE);
}
#else
static void put_whole(struct mvm_encoder *e, struct room *room)
{
    (void)e, (void)room;
}
#endif

size_t mvm_encoder_pull(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    struct room room = {out, cap};
    put_whole(e, &room);
    unsigned at = e->step;
    while (room.left > 0 && at != IDLE && put_step(e, &mvm_steps[at], &room)) {
        at = mvm_steps[at].then == MVM_THEN_END ? IDLE : at + 1;
        begin_step(e, at);
    }
    return cap - room.left;
}
