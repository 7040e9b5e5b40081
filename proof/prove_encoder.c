/*
 * codec/json/encoder.c: from any state, into any room. mvm_encoder_pull is put_whole and a loop
 * over put_step and begin_step, put_text one over put_piece and put_part: each of these is taken
 * once, from any state for which the invariant holds, and has it hold again.
 */
#include "../codec/json/encoder.c"
#include "any.h"

/* Each step, or kind, is a separate proof: a solver follows a fixed place in a message much better
 * than one that is looked up. proof/run gives the number. */
#if !defined(CASE)
#define CASE 0
#endif

static struct mvm_encoder encoder;
static bool escapes_taken;

/* Into the piece, or into the room, which is an object of its own. */
bool copy_stays_in_place(const void *to, size_t len)
{
    return lies_in(to, len, encoder.piece, sizeof encoder.piece);
}

static void set_any_text(struct mvm_text *text)
{
    *text = any_text();
}

static void any_message(struct mvm_message *m)
{
    each_text(m, set_any_text);
    assume(mvm_message_invariant(m));
}

/* In step CASE, of a message of its kind, whose text at this step is there; the others are not
 * looked at. */
static void any_encoder(void)
{
    __CPROVER_havoc_object(&encoder);
    encoder.step = CASE;
    encoder.message.kind = (enum mvm_kind)mvm_steps[CASE].kind;
    struct mvm_text *text = (struct mvm_text *)mvm_encoder_text(&encoder);
    if (text != NULL) {
        *text = any_text();
        assume(mvm_text_invariant(text));
    } else if (mvm_steps[CASE].field < MVM_JSON_FIELDS) {
        assume(mvm_message_field_invariant(&encoder.message, mvm_steps[CASE].field));
    }
    assume(mvm_encoder_progress_invariant(&encoder));
}

static bool is_same_text(const struct mvm_text *a, const struct mvm_text *b)
{
    return a->bytes == b->bytes && a->len == b->len;
}

/* The message is only read. */
static bool is_same_message(const struct mvm_message *m, const struct mvm_message *was)
{
    return m->kind == was->kind && is_same_text(&m->text, &was->text) &&
           is_same_text(&m->id, &was->id) && is_same_text(&m->hello.nonce, &was->hello.nonce) &&
           is_same_text(&m->hello.agent, &was->hello.agent) &&
           is_same_text(&m->hello.boot, &was->hello.boot) &&
           is_same_text(&m->hello.features, &was->hello.features);
}

static struct room any_room(void)
{
    size_t len = any_len();
    return (struct room){any_memory(len), len};
}

static bool stays_within(const struct room *room, const struct room *was)
{
    return room->left <= was->left && room->at == was->at + (was->left - room->left);
}

void encoder_init(void)
{
    mvm_encoder_init(&encoder);
    prove(mvm_encoder_invariant(&encoder), "init establishes the invariant");
    prove(mvm_encoder_idle(&encoder), "a fresh encoder is idle");
    possible(true, "the end");
}

/* With a message of kind CASE. */
void encoder_start(void)
{
    struct mvm_message m;
    __CPROVER_havoc_object(&encoder);
    encoder.step = IDLE;
    assume(mvm_encoder_invariant(&encoder));
    __CPROVER_havoc_object(&m);
    m.kind = (enum mvm_kind)CASE;
    any_message(&m);
    mvm_encoder_start(&encoder, &m);
    prove(mvm_encoder_invariant(&encoder), "start keeps the invariant");
    prove(!mvm_encoder_idle(&encoder), "a started encoder is not idle");
    possible(true, "the end");
}

/* A run of plain bytes, of any length up to the room's. Its code is proven separately, plain_copy.
 */
size_t run_of(uint8_t *to, const uint8_t *from, size_t len)
{
    prove(len == 0 || CAN_READ(from, len), "the run lies within the text");
    prove(CAN_WRITE(to, len), "the run fits the room");
    size_t run = any_size();
    assume(run <= len);
    return run;
}

/* Escapes by blocks, likewise. */
size_t escapes_of(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    prove(len > 0 && CAN_READ(from, len), "the escapes' bytes lie within the text");
    prove(CAN_WRITE(to, cap), "the escapes fit the room");
    size_t made = any_size();
    *used = any_size();
    assume(*used <= len && made <= cap && (made > 0) == (*used > 0));
    escapes_taken = *used > 0;
    return made;
}

/* The piece drips into the room; its loop ends within the piece. Of the encoder only `piece_at`
 * changes, and not even that if the piece is done: so what the invariant says of the rest still
 * holds, whatever the step. */
void encoder_piece(void)
{
    __CPROVER_havoc_object(&encoder);
    assume(encoder.piece_at <= encoder.piece_len && encoder.piece_len <= MVM_ENCODER_PIECE_CAP);
    struct room room = any_room();
    const struct room was = room;
    const uint8_t piece_at = encoder.piece_at, piece_len = encoder.piece_len;
    const uint8_t step = encoder.step, literal_at = encoder.literal_at;
    const size_t text_at = encoder.text_at;
    bool done = put_piece(&encoder, &room);
    prove(encoder.piece_at >= piece_at && encoder.piece_at <= piece_len, "a piece goes forward");
    prove(encoder.piece_len == piece_len && encoder.step == step && encoder.text_at == text_at &&
              encoder.literal_at == literal_at,
          "a piece changes nothing else");
    prove(stays_within(&room, &was), "a piece stays within the room");
    prove(done || room.left == 0, "a piece that is not done has filled the room");
    possible(done, "a piece that is done");
    possible(!done, "a piece that is not");
}

/* One turn of put_text's loop, at what the loop has seen to: there is text, and room, and no piece.
 * The message is not used. */
void encoder_part(void)
{
    __CPROVER_havoc_object(&encoder);
    struct room room = any_room();
    const struct room was = room;
    struct mvm_text text = any_text();
    assume(encoder.piece_len <= MVM_ENCODER_PIECE_CAP && encoder.piece_at == encoder.piece_len);
    assume(encoder.text_at < text.len && room.left > 0);
    const size_t text_at = encoder.text_at;
    const uint8_t step = encoder.step, literal_at = encoder.literal_at;
    put_part(&encoder, text, &room);
    prove(encoder.text_at > text_at && encoder.text_at <= text.len, "a part makes progress");
    prove(encoder.piece_at <= encoder.piece_len && encoder.piece_len <= MVM_ENCODER_PIECE_CAP,
          "a part's piece fits");
    prove(encoder.step == step && encoder.literal_at == literal_at, "a part stays in its step");
    prove(stays_within(&room, &was), "a part stays within the room");
    possible(room.left < was.left, "a run");
    possible(escapes_taken, "escapes by blocks");
    possible(encoder.piece_len == 4 && encoder.piece_at == 0, "a character of four bytes");
    possible(was.left - room.left == MVM_ESCAPE_CAP, "an escape that goes straight into the room");
}

/* What put_text's loop does, by encoder_piece and encoder_part: anything that keeps the invariant.
 */
bool text_of(struct mvm_encoder *e, struct mvm_text text, struct room *room)
{
    prove(mvm_text_invariant(&text), "the text is there");
    prove(e->literal_at == mvm_steps[e->step].len, "the literal is written");
    prove(e->text_at <= text.len + 1 && mvm_encoder_text_end(e) == text.len + 1,
          "it is the step's own");
    size_t written = any_size();
    uint8_t piece_at;
    uint8_t piece_len;
    size_t text_at = any_size();
    assume(written <= room->left && piece_at <= piece_len && piece_len <= MVM_ENCODER_PIECE_CAP);
    assume(text_at <= text.len + 1 && (text_at <= text.len || piece_at == piece_len));
    room->at += written;
    room->left -= written;
    e->piece_at = piece_at;
    e->piece_len = piece_len;
    e->text_at = text_at;
    bool done = any_bool();
    assume(done == (piece_at == piece_len && text_at == text.len + 1));
    assume(done || room->left == 0);
    return done;
}

/* One step of any message: its literal, then its text or number. */
void encoder_step(void)
{
    any_encoder();
    struct room room = any_room();
    const struct room was = room;
    const struct mvm_message message = encoder.message;
    assume(room.left > 0);
    bool done = put_step(&encoder, &mvm_steps[CASE], &room);
    prove(mvm_encoder_progress_invariant(&encoder), "a step keeps the invariant");
    prove(encoder.step == CASE && is_same_message(&encoder.message, &message),
          "a step changes neither itself nor the message");
    prove(stays_within(&room, &was), "a step stays within the room");
    prove(done || room.left == 0, "a step that is not done has filled the room");
    if (done) {
        prove(encoder.literal_at == mvm_steps[encoder.step].len,
              "a step that is done has no literal left");
        prove(encoder.piece_at == encoder.piece_len, "a step that is done has no piece left");
    }
    possible(done, "a step that is done");
    possible(!done, "a step that is not");
}

/* What next_step does, by encoder_next. */
void next_of(struct mvm_encoder *e)
{
    uint8_t step, literal_at;
    prove(e->step == CASE, "the step that is done");
    assume(step < MVM_STEPS && literal_at <= 1);
    e->step = step;
    e->literal_at = literal_at;
    e->text_at = 0;
}

/* One turn of the fast path's loop, under its condition. */
void encoder_whole(void)
{
    any_encoder();
    struct room room = any_room();
    const struct room was = room;
    const struct mvm_message message = encoder.message;
    const uint8_t piece_at = encoder.piece_at;
    assume(can_put_whole(&encoder, &room));
    bool more = put_whole_step(&encoder, &room);
    if (!more) {
        prove(encoder.step == CASE && mvm_encoder_progress_invariant(&encoder),
              "the fast path leaves the step as it should be");
    } else {
        prove(room.left < was.left && encoder.piece_at == piece_at, "the fast path goes on");
    }
    prove(is_same_message(&encoder.message, &message), "the fast path does not change the message");
    prove(stays_within(&room, &was), "the fast path stays within the room");
    possible(more, "a step that is whole");
    possible(!more && room.left < was.left, "a run that ends early");
    possible(!more && room.left == was.left, "too little room");
}

/* From one step, which is done, to the next of the same kind: its literal has not begun, or but for
 * its comma, and its text has not. So the invariant holds again: the message is the same. */
void encoder_next(void)
{
    __CPROVER_havoc_object(&encoder);
    assume(encoder.step != IDLE && encoder.step < MVM_STEPS);
    assume((unsigned)encoder.message.kind == mvm_steps[encoder.step].kind);
    const unsigned kind = (unsigned)encoder.message.kind;
    const uint8_t step = encoder.step, piece_at = encoder.piece_at, piece_len = encoder.piece_len;
    next_step(&encoder);
    prove(encoder.step < MVM_STEPS && encoder.literal_at <= 1 && encoder.text_at == 0,
          "the next step begins");
    prove(encoder.step == IDLE || (encoder.step > step && mvm_steps[encoder.step].kind == kind &&
                                   encoder.literal_at < mvm_steps[encoder.step].len),
          "the next step is one of the kind");
    prove((unsigned)encoder.message.kind == kind && encoder.piece_at == piece_at &&
              encoder.piece_len == piece_len,
          "the next step changes nothing else");
    possible(mvm_encoder_idle(&encoder), "idle");
    possible(!mvm_encoder_idle(&encoder), "more");
    possible(encoder.literal_at == 1, "without its comma");
}
