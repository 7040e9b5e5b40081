/* text/json.c: from any state, by any byte, to a state as good. */
#include "../text/json.c"
#include "any.h"

#define SAME(number)                                                                               \
    _Static_assert((int)JSON_##number == (int)number, "json.c numbers its states so")
SAME(BLANK);
SAME(NEXT_VALUE);
SAME(FIRST_VALUE);
SAME(FIRST_KEY);
SAME(NEXT_KEY);
SAME(COLON);
SAME(NEXT);
SAME(DONE);
SAME(STRING);
SAME(ESCAPE);
SAME(HEX);
SAME(LOW_HALF);
SAME(LOW_HALF_U);
SAME(LITERAL);
SAME(MINUS);
SAME(ZERO);
SAME(INTEGER);
SAME(POINT);
SAME(FRACTION);
SAME(EXPONENT_MARK);
SAME(EXPONENT_SIGN);
SAME(EXPONENT);
SAME(NO_JSON);

/* Any state that the invariant allows, with a place of any size or none. */
static void any_json(struct mvm_json *j)
{
    struct mvm_json any;
    any.place = any_bool() ? NULL : any_memory(any.place_cap);
    if (mvm_json_in_string(&any) && any.place != NULL) {
        any.text.bytes = any.place;
    }
    assume(mvm_json_invariant(&any));
    *j = any;
}

/* The place is an object of its own. */
bool copy_stays_in_place(const void *to, size_t len)
{
    (void)to;
    (void)len;
    return true;
}

void json_init(void)
{
    struct mvm_json j;
    mvm_json_init(&j);
    prove(mvm_json_invariant(&j), "init establishes the invariant");
    possible(true, "the end");
}

void json_push(void)
{
    struct mvm_json j;
    any_json(&j);
    uint8_t byte;
    size_t used;
    enum mvm_json_token token = mvm_json_push(&j, &byte, 1, &used);
    prove(mvm_json_invariant(&j), "push keeps the invariant");
    prove(used <= 1, "push takes no more than there is");
    prove(token != MVM_JSON_PARTIAL || used == 1, "push without a token takes all");
    prove(token >= MVM_JSON_ERROR && token <= MVM_JSON_NULL, "push returns a token");
    prove((token == MVM_JSON_ERROR) == (j.state == NO_JSON), "an error is final");
    possible(true, "the end");
}

/* Whether escapes have been taken; read_run's loop is looked at for one turn with them. */
static bool escapes_taken, escapes_again;

/* A run of a string's bytes, of any length: the one step that takes several bytes at a time. */
size_t run_of(uint8_t *to, const uint8_t *from, size_t len)
{
    prove(CAN_READ(from, len), "the run lies within the input");
    prove(to == NULL || CAN_WRITE(to, len), "the run fits its place");
    size_t run = any_size();
    assume(run <= len);
    return run;
}

size_t escapes_of(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    prove(CAN_READ(from, len), "the escapes lie within the input");
    prove(CAN_WRITE(to, cap), "the escapes fit their place");
    size_t made = any_size();
    *used = any_bool() ? 0 : any_size();
    assume(*used <= len && made <= cap && made <= *used);
    escapes_taken = escapes_taken || *used > 0;
    assume(!escapes_taken || *used == 0 || !escapes_again);
    escapes_again = *used > 0;
    return made;
}

void json_run(void)
{
    struct mvm_json j;
    any_json(&j);
    assume(j.state == STRING);
    size_t len = any_len();
    assume(len > 0);
    const uint8_t *bytes = any_memory(len);
    struct input in = {bytes, bytes + len};
    read_string(&j, &in);
    possible(escapes_taken, "escapes by blocks");
    prove(mvm_json_invariant(&j), "a run keeps the invariant");
    prove(in.at >= bytes && in.at <= in.end, "a run stays within the input");
    possible(true, "the end");
}

void json_finish(void)
{
    struct mvm_json j;
    any_json(&j);
    enum mvm_json_token token = mvm_json_finish(&j);
    prove(mvm_json_invariant(&j), "finish keeps the invariant");
    prove(token == MVM_JSON_PARTIAL || token == MVM_JSON_NUMBER || token == MVM_JSON_ERROR,
          "finish returns what the header says");
    possible(true, "the end");
}

void json_keep(void)
{
    struct mvm_json j;
    any_json(&j);
    assume(!mvm_json_in_string(&j));
    size_t cap = any_len();
    if (any_bool()) {
        mvm_json_keep(&j, any_memory(cap), cap);
    } else {
        mvm_json_drop(&j);
    }
    prove(mvm_json_invariant(&j), "keep and drop keep the invariant");
    possible(true, "the end");
}

/* A jump over bytes that are correct: to between two tokens, or into a string. */
void json_jump(void)
{
    struct mvm_json j;
    any_json(&j);
    assume(!mvm_json_in_string(&j) && j.state != JSON_NO_JSON && j.state < JSON_STRING);
    size_t len = any_len();
    uint8_t depth;
    enum mvm_json_point point;
    assume(len > 0 && depth >= 1 && depth <= 8);
    assume((unsigned)point <= MVM_JSON_IN_STRING);
    mvm_json_jump(&j, len, depth, point);
    prove(mvm_json_invariant(&j), "a jump keeps the invariant");
    possible(j.state == STRING, "into a string");
    possible(j.state == NEXT, "after a value");
}
