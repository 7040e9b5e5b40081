/*
 * codec/encoder.c: from any state, into any room, one step at a time. mvm_encoder_pull is a loop over
 * put_step, and put_step one over the characters of a text: each is taken from any state for which the
 * invariant holds, once.
 */
#include "../codec/encoder.c"
#include "any.h"

#define SAME(number)                                                                               \
    _Static_assert((int)ENCODER_##number == (int)number, "encoder.c numbers its steps so")
SAME(IDLE);
SAME(BUILD);
SAME(PING);
SAME(OK);
SAME(ERR);
SAME(LOG);
SAME(PONG);

size_t mvm_encoder_literal_len(const struct mvm_encoder *e)
{
    return steps[e->step].len;
}

static void any_message(struct mvm_message *m)
{
    struct mvm_message any;
    if (any.kind == MVM_BUILD) {
        any.build.flake_ref = any_text();
        any.build.attr = any_text();
    } else {
        any.text = any_text();
    }
    *m = any;
    assume(mvm_message_invariant(m));
}

static void any_encoder(struct mvm_encoder *e)
{
    struct mvm_encoder any;
    any_message(&any.message);
    assume(mvm_encoder_invariant(&any));
    *e = any;
}

static struct room any_room(void)
{
    size_t len = any_len();
    return (struct room){any_memory(len), len};
}

void encoder_init(void)
{
    struct mvm_encoder e;
    mvm_encoder_init(&e);
    prove(mvm_encoder_invariant(&e), "init establishes the invariant");
    prove(mvm_encoder_idle(&e), "a fresh encoder is idle");
    possible(true, "the end");
}

void encoder_start(void)
{
    struct mvm_encoder e;
    struct mvm_message m;
    any_encoder(&e);
    assume(mvm_encoder_idle(&e));
    any_message(&m);
    mvm_encoder_start(&e, &m);
    prove(mvm_encoder_invariant(&e), "start keeps the invariant");
    prove(!mvm_encoder_idle(&e), "a started encoder is not idle");
    possible(true, "the end");
}

/* A run of plain bytes, of any length up to the room's. Its code is proven by itself, plain_run. */
size_t run_of(const uint8_t *bytes, size_t len)
{
    prove(CAN_READ(bytes, len), "the run lies within the text");
    size_t run = any_size();
    assume(run <= len);
    return run;
}

/* One turn of put_text's loop: a run, or a character made into the piece. */
void encoder_character(void)
{
    struct mvm_encoder e;
    any_encoder(&e);
    struct mvm_text text = e.message.text;
    assume(mvm_encoder_text_len(&e) > 0 && e.message.kind != MVM_BUILD);
    assume(e.piece_at == e.piece_len && e.text_at < text.len);
    const uint8_t *bytes = (const uint8_t *)text.bytes + e.text_at;
    size_t taken = make_character(&e, bytes, text.len - e.text_at);
    e.text_at += taken;
    prove(taken > 0, "a character is at least one byte");
    prove(mvm_encoder_invariant(&e), "a character keeps the invariant");
    possible(taken == 4, "a character of four bytes");
}

/* One step, cut off after two turns of each of its loops: the third begins in a state that
 * encoder_step begins in, too. */
void encoder_step(void)
{
    struct mvm_encoder e;
    any_encoder(&e);
    assume(!mvm_encoder_idle(&e));
    struct room room = any_room();
    const struct room was = room;
    assume(room.left > 0);
    bool done = put_step(&e, &room);
    prove(mvm_encoder_invariant(&e), "a step keeps the invariant");
    prove(room.left <= was.left && room.at == was.at + (was.left - room.left),
          "a step stays within the room");
    if (done) {
        prove(e.literal_at == steps[e.step].len && e.piece_at == e.piece_len,
              "a step that is done has written everything");
    }
    possible(done, "a step that is done");
    possible(!done, "a step that is not");
}

/* From one step to the next. */
void encoder_next(void)
{
    struct mvm_encoder e;
    any_encoder(&e);
    assume(!mvm_encoder_idle(&e) && e.literal_at == steps[e.step].len && e.piece_at == e.piece_len);
    begin_step(&e, steps[e.step].then == THEN_END ? IDLE : e.step + 1u);
    prove(mvm_encoder_invariant(&e), "the next step keeps the invariant");
    possible(mvm_encoder_idle(&e), "idle");
    possible(!mvm_encoder_idle(&e), "more");
}
