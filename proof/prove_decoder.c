/*
 * codec/json/decoder.c: from any state, by any byte, to a state as good. The parser inside is the
 * real one.
 */
#include "../codec/json/decoder.c"
#include "any.h"
#include "frames.h"

#define SAME(number)                                                                               \
    _Static_assert((int)DECODER_##number == (int)number, "decoder.c numbers its states so")
SAME(START);
SAME(VARIANT);
SAME(NOTHING);
SAME(FIELDS);
SAME(NAME);
SAME(VALUE);
SAME(IGNORED);
SAME(ELEMENT);
SAME(CLOSE);
SAME(END);
SAME(SKIPPED);
_Static_assert((int)TIMEOUT_FIELD == (int)TIMEOUT_SECS, "decoder.c numbers its fields so");

static struct mvm_decoder decoder;

bool copy_stays_in_place(const void *to, size_t len)
{
    return lies_in(to, len, decoder.name, sizeof decoder.name);
}

/* A text that has come lies in the field buffer, one that has not is nowhere. */
static void own(const struct mvm_decoder *d, struct mvm_text *text)
{
    size_t at = any_size();
    assume(at <= d->fields_len);
    text->bytes = any_bool() ? NULL : d->fields + at;
}

/* Any state that the invariant allows, with a field buffer of any size. */
static void any_decoder(struct mvm_decoder *d)
{
    __CPROVER_havoc_object(d);
    uint32_t cap;
    size_t len = cap;
    d->fields = any_memory(len);
    d->fields_cap = cap;
    assume(d->fields_len <= d->fields_cap);
    d->json.place = any_bool() ? NULL : any_bool() ? d->name : d->fields + d->fields_len;
    if (mvm_json_in_string(&d->json) && d->json.place != NULL) {
        d->json.text.bytes = d->json.place;
    }
    if (d->message.kind == MVM_MESSAGE_BUILD) {
        own(d, &d->message.build.flake_ref);
        own(d, &d->message.build.attr);
    } else {
        own(d, &d->message.text);
    }
    assume(mvm_decoder_invariant(d));
}

static bool is_status(enum mvm_decoder_status status)
{
    return status == MVM_DECODER_PARTIAL || status == MVM_DECODER_MESSAGE ||
           status == MVM_DECODER_BAD_FRAME;
}

/* What a caller may read after a MESSAGE. */
static bool readable(const struct mvm_decoder *d)
{
    const struct mvm_message *m = &d->message;
    if (m->kind == MVM_MESSAGE_BUILD) {
        return mvm_text_invariant(&m->build.flake_ref) && mvm_text_invariant(&m->build.attr);
    }
    return !mvm_decoder_has_fields(d) || mvm_text_invariant(&m->text);
}

/* A run of a string's plain bytes: json_run proves what is made of one of any length. */
size_t run_of(uint8_t *to, const uint8_t *from, size_t len)
{
    prove(CAN_READ(from, len), "the run lies within the input");
    prove(to == NULL || CAN_WRITE(to, len), "the run fits its place");
    size_t run = any_size();
    assume(run <= len);
    return run;
}

void decoder_init(void)
{
    size_t cap = any_len();
    mvm_decoder_init(&decoder, any_bool() ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES,
                     any_memory(cap), cap);
    prove(mvm_decoder_invariant(&decoder), "init establishes the invariant");
    possible(true, "the end");
}

void decoder_push(void)
{
    any_decoder(&decoder);
    uint8_t byte;
    size_t used;
    enum mvm_decoder_status status = mvm_decoder_push(&decoder, &byte, 1, &used);
    prove(mvm_decoder_invariant(&decoder), "push keeps the invariant");
    prove(is_status(status), "push returns a status");
    prove(used <= 1, "push takes no more than there is");
    prove(status != MVM_DECODER_PARTIAL || used == 1, "push without a frame takes all");
    if (status == MVM_DECODER_MESSAGE) {
        prove(readable(&decoder), "a message's texts lie in the field buffer");
        possible(decoder.message.kind == MVM_MESSAGE_BUILD, "a Build");
        possible(decoder.message.kind == MVM_MESSAGE_LOG, "a Log");
    }
    possible(status == MVM_DECODER_MESSAGE, "a message");
    possible(status == MVM_DECODER_BAD_FRAME, "a refusal");
    possible(status == MVM_DECODER_PARTIAL, "neither yet");
}

void decoder_finish(void)
{
    any_decoder(&decoder);
    enum mvm_decoder_status status = mvm_decoder_finish(&decoder);
    prove(mvm_decoder_invariant(&decoder), "finish keeps the invariant");
    prove(is_status(status), "finish returns a status");
    if (status == MVM_DECODER_MESSAGE) {
        prove(readable(&decoder), "a message's texts lie in the field buffer");
    }
    possible(status == MVM_DECODER_MESSAGE, "a message");
    possible(status == MVM_DECODER_BAD_FRAME, "a refusal");
}

/* The short way, from between two frames, for input of any length. */
void decoder_whole(void)
{
    any_decoder(&decoder);
    assume(decoder.state == START && decoder.fields_len == 0);
    size_t len = any_len();
    size_t whole = mvm_decoder_take_whole(&decoder, any_memory(len), len);
    prove(mvm_decoder_invariant(&decoder), "the short way keeps the invariant");
    prove(whole <= len, "a frame lies within the input");
    if (whole > 0) {
        prove(readable(&decoder), "a message's texts lie in the field buffer");
        possible(decoder.message.kind == MVM_MESSAGE_BUILD, "a Build");
        possible(decoder.message.kind == MVM_MESSAGE_LOG, "a Log");
    }
    possible(whole == 0, "the long way");
}
