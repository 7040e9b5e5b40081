/*
 * A message is a list of steps: a literal, then a field's value. Inside a text, runs that need no
 * escape are copied unchanged. An escape, a character or a number is written to the output or, if
 * that may be too small, to `piece`, which is then copied as there is room.
 */
#include "json_template.h"
#include "mvm_encoder.h"
#include "mvm_escape.h"
#include "mvm_run.h"
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

/* Writes what fits of the step's literal. True: it is written. */
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

static void make_piece(struct mvm_encoder *e, struct mvm_text text)
{
    memcpy(e->piece, text.bytes, text.len);
    e->piece_at = 0;
    e->piece_len = (uint8_t)text.len;
}

static void make_timeout(struct mvm_encoder *e)
{
    char digits[MVM_TEXT_DECIMAL_CAP];
    struct mvm_text number = {"null", 4};
    if (e->message.build.has_timeout) {
        number = mvm_text_decimal(digits, e->message.build.timeout_secs);
    }
    make_piece(e, number);
}

static void make_flag(struct mvm_encoder *e, const struct mvm_field *field)
{
    bool is_true = *mvm_flag_field(&e->message, field) == MVM_FLAG_TRUE;
    make_piece(e, is_true ? (struct mvm_text){"true", 4} : (struct mvm_text){"false", 5});
}

/* The value of a field that is not a text. */
static void make_value(struct mvm_encoder *e, const struct mvm_field *field)
{
    if (field->type == MVM_TYPE_TIMEOUT) {
        make_timeout(e);
    } else {
        make_flag(e, field);
    }
}

/* What a plain run stopped at: a byte to escape, one that is ill formed, or a character that the
 * room's end cuts in two. Writes it, `*made` bytes, up to MVM_ESCAPE_CAP, and returns how many
 * bytes of the text it encodes. */
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
    size_t run = mvm_run_copy(room->at, bytes, left < room->left ? left : room->left);
    use_room(room, run);
    e->text_at += run;
    if (run < left && room->left > 0) {
        e->text_at += put_stop(e, bytes + run, left - run, room);
    }
}

/* True: the text and its closing quote are written. */
static bool put_text(struct mvm_encoder *e, struct mvm_text text, struct room *room)
{
    while (put_piece(e, room)) {
        if (e->text_at > text.len || room->left == 0) {
            return e->text_at > text.len;
        }
        if (e->text_at < text.len) {
            put_part(e, text, room);
        } else {
            *room->at = '"';
            use_room(room, 1);
            e->text_at++;
        }
    }
    return false;
}

/* True: the step is done. */
static bool put_step(struct mvm_encoder *e, const struct mvm_step *step, struct room *room)
{
    const struct mvm_field *field = step->field < MVM_JSON_FIELDS ? &mvm_fields[step->field] : NULL;
    if (field != NULL && mvm_is_text(field)) {
        bool begun = e->literal_at == step->len || put_literal(e, step, room);
        return begun && put_text(e, *mvm_text_field(&e->message, field), room);
    }
    if (e->literal_at < step->len) {
        if (!put_literal(e, step, room)) {
            return false;
        }
        if (field != NULL) {
            make_value(e, field);
        }
    }
    return put_piece(e, room); /* the value, or nothing */
}

/* ---- from step to step ---------------------------------------------------------------------- */

static void begin_step(struct mvm_encoder *e, unsigned step, unsigned literal_at)
{
    e->step = (uint8_t)step;
    e->literal_at = (uint8_t)literal_at;
    e->text_at = 0;
}

static bool is_absent(struct mvm_message *m, const struct mvm_step *step)
{
    if (step->field >= MVM_JSON_FIELDS) {
        return false;
    }
    const struct mvm_field *field = &mvm_fields[step->field];
    if (field->presence != MVM_PRESENCE_OPTIONAL) {
        return false;
    }
    return field->type == MVM_TYPE_FLAG ? *mvm_flag_field(m, field) == MVM_FLAG_ABSENT
                                        : mvm_text_field(m, field)->bytes == NULL;
}

/* The step after a finished one. */
static unsigned step_after(struct mvm_encoder *e, unsigned step)
{
    if (mvm_steps[step].field == MVM_STEP_END) {
        return IDLE;
    }
    do {
        step++;
    } while (is_absent(&e->message, &mvm_steps[step]));
    return step;
}

/* After a head a literal has no comma. */
static void next_step(struct mvm_encoder *e)
{
    unsigned next = step_after(e, e->step);
    bool bare = mvm_steps[e->step].field == MVM_STEP_HEAD && mvm_steps[next].field != MVM_STEP_END;
    begin_step(e, next, bare ? 1 : 0);
}

void mvm_encoder_start(struct mvm_encoder *e, const struct mvm_message *m)
{
    mvm_message_copy(&e->message, m);
    begin_step(e, mvm_first_steps[m->kind], 0);
}

/* ---- steps for which there is room ---------------------------------------------------------- */

#if !defined(__OPTIMIZE_SIZE__)
/* Copies all of a literal's array, eight bytes at a time: cheaper than a memcpy(3) of its length.
 */
static void copy_literal(uint8_t *to, const char *literal)
{
    _Static_assert(MVM_LITERAL_CAP == 24, "three moves");
    memcpy(to, literal, 8);
    memcpy(to + 8, literal + 8, 8);
    memcpy(to + 16, literal + 16, 8);
}

/* A text without an escape, and its closing quote. False: it is another; a part of it is written.
 */
static bool put_plain_text(struct mvm_encoder *e, struct mvm_text text, struct room *room)
{
    size_t run = mvm_run_copy(room->at, (const uint8_t *)text.bytes, text.len);
    use_room(room, run);
    if (run < text.len) {
        e->text_at = run;
        return false;
    }
    *room->at = '"';
    use_room(room, 1);
    return true;
}

/* A literal, and a text that needs no escape, for which there is room. False: the step is of
 * another kind, or stops in its text. */
static bool put_whole_step(struct mvm_encoder *e, const struct mvm_step *step, struct room *room)
{
    struct mvm_text text = {NULL, 0};
    if (step->field < MVM_JSON_FIELDS) {
        const struct mvm_field *field = &mvm_fields[step->field];
        if (!mvm_is_text(field)) {
            return false;
        }
        text = *mvm_text_field(&e->message, field);
    }
    if (step->field == MVM_STEP_HEAD || room->left <= MVM_LITERAL_CAP ||
        room->left - MVM_LITERAL_CAP <= text.len) {
        return false;
    }
    copy_literal(room->at, step->literal);
    use_room(room, step->len);
    if (step->field == MVM_STEP_END) {
        return true;
    }
    if (!put_plain_text(e, text, room)) {
        e->literal_at = step->len;
        return false;
    }
    return true;
}

/* The fast path, from the beginning of a step. The room and the step are local, since a store to
 * the output may alias the others. */
static void put_whole(struct mvm_encoder *e, struct room *whole)
{
    struct room room = *whole;
    unsigned step = e->step;
    if (e->literal_at > 0) {
        return;
    }
    while (step != IDLE && put_whole_step(e, &mvm_steps[step], &room)) {
        step = step_after(e, step);
    }
    e->step = (uint8_t)step;
    *whole = room;
}
#else
/* Smaller: put_step does it all. */
static void put_whole(struct mvm_encoder *e, struct room *room)
{
    (void)e, (void)room;
}
#endif

size_t mvm_encoder_pull(struct mvm_encoder *e, uint8_t *out, size_t cap)
{
    struct room room = {out, cap};
    put_whole(e, &room);
    while (room.left > 0 && e->step != IDLE && put_step(e, &mvm_steps[e->step], &room)) {
        next_step(e);
    }
    return cap - room.left;
}
