/*
 * codec/json/decoder.c: from any state, by any byte, to a state as good. The parser inside is the
 * real one.
 */
#include "../codec/json/decoder.c"
#include "any.h"

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

static struct mvm_decoder decoder;

bool copy_stays_in_place(const void *to, size_t len)
{
    return lies_in(to, len, decoder.name, sizeof decoder.name);
}

/* A decoded text is in the field buffer; one not decoded yet is nowhere. */
static void own(struct mvm_text *text)
{
    size_t at = any_size();
    assume(at <= decoder.fields_len);
    text->bytes = any_bool() ? NULL : decoder.fields + at;
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
    assume((unsigned)d->message.kind < MVM_JSON_KINDS);
    each_text(&d->message, own);
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
    return mvm_message_invariant(&d->message);
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

/* The same of escapes: how many are taken, and how many bytes they make, is anything that fits. */
size_t escapes_of(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    prove(CAN_READ(from, len), "the escapes lie within the input");
    prove(CAN_WRITE(to, cap), "the escapes fit their place");
    size_t made = any_size();
    *used = any_size();
    assume(*used <= len && made <= cap && made <= *used);
    return made;
}

/* And of digits. */
size_t digits_of(const uint8_t *bytes, size_t len, uint64_t *value, bool *fits)
{
    uint64_t any;
    prove(CAN_READ(bytes, len), "the digits lie within the input");
    size_t run = any_size();
    assume(run <= len);
    *value = any;
    *fits = any_bool();
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

/* Along the template, from any state, for input of any length. */
void decoder_follow(void)
{
    any_decoder(&decoder);
    assume(decoder.state != VALUE && decoder.json.offset <= mvm_decoder_frame_max(&decoder));
    size_t len = any_len(), room = frame_room(&decoder);
    assume(len > 0);
    const uint8_t *bytes = any_memory(len);
    struct input in = {.at = bytes, .end = bytes + len, .line_end = NULL};
    in.limit = len < room ? in.end : bytes + room;
    enum mvm_decoder_status status = follow(&decoder, &in);
    prove(mvm_decoder_invariant(&decoder), "the template keeps the invariant");
    prove(is_status(status), "the template returns a status");
    prove(in.at >= bytes && in.at <= in.end, "a frame lies within the input");
    if (status == MVM_DECODER_MESSAGE) {
        prove(readable(&decoder), "a message's texts lie in the field buffer");
        possible(decoder.message.kind == MVM_MESSAGE_BUILD, "a Build");
        possible(decoder.message.kind == MVM_MESSAGE_LOG, "a Log");
        possible(decoder.message.kind == MVM_MESSAGE_WELCOME, "a Hello");
    }
    possible(in.at == bytes, "not along it");
    possible(status == MVM_DECODER_PARTIAL && decoder.state == VALUE,
             "a value that is not complete");
    possible(status == MVM_DECODER_PARTIAL && decoder.state == NAME && in.at > bytes,
             "left between two tokens");
    possible(status == MVM_DECODER_BAD_FRAME, "a refusal");
}
