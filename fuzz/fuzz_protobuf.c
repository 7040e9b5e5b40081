/*
 * Both directions of the protobuf wire: what comes out does not depend on how the bytes were cut,
 * nor on the room the encoder got; the frame of a decoded message is a fixed point.
 */
#include "fuzz.h"
#include "mvm_proto.h"
#include <string.h>

enum { FIELDS_CAP = 2048, TRANSCRIPT_CAP = 1 << 16 };

struct transcript {
    size_t len;
    uint8_t bytes[TRANSCRIPT_CAP];
};

static struct transcript whole;
static struct transcript cut;
static char fields[2][FIELDS_CAP];

static void note_bytes(struct transcript *t, const void *bytes, size_t len)
{
    len = len < TRANSCRIPT_CAP - t->len ? len : TRANSCRIPT_CAP - t->len;
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static size_t encode(const struct mvm_message *m, uint8_t *out, size_t cap, struct fuzz_dice *dice)
{
    struct mvm_proto_encoder e;
    size_t len = 0;
    mvm_proto_encoder_start(&e, m);
    while (!mvm_proto_encoder_idle(&e)) {
        size_t room = dice == NULL ? cap - len : fuzz_step(dice);
        FUZZ_CHECK(len < cap);
        room = room < cap - len ? room : cap - len;
        size_t n = mvm_proto_encoder_pull(&e, out + len, room);
        FUZZ_CHECK(n > 0 && n <= room);
        len += n;
    }
    return len;
}

/* A message goes into the transcript as its frame; that is decoded to the same frame again. */
static void note_message(struct transcript *t, enum mvm_direction direction,
                         const struct mvm_message *m, struct fuzz_dice *dice)
{
    static uint8_t frame[4 * FIELDS_CAP];
    static uint8_t again[4 * FIELDS_CAP];
    static char place[4 * FIELDS_CAP];
    struct mvm_proto_decoder d;
    size_t used;
    size_t len = encode(m, frame, sizeof frame, dice);
    note_bytes(t, frame, len);

    mvm_proto_decoder_init(&d, direction, place, sizeof place);
    FUZZ_CHECK(mvm_proto_decoder_push(&d, frame, len, &used) == MVM_DECODER_MESSAGE);
    FUZZ_CHECK(used == len);
    FUZZ_CHECK(encode(&d.message, again, sizeof again, NULL) == len);
    FUZZ_CHECK(memcmp(frame, again, len) == 0);
}

static void note(struct transcript *t, const struct mvm_proto_decoder *d,
                 enum mvm_decoder_status status, struct fuzz_dice *dice)
{
    if (status == MVM_DECODER_MESSAGE) {
        note_message(t, (enum mvm_direction)d->direction, &d->message, dice);
    } else if (status == MVM_DECODER_BAD_FRAME) {
        char text[160];
        struct mvm_writer w;
        mvm_writer_init(&w, text, sizeof text);
        mvm_decoder_error_explain(d->error, MVM_JSON_FINE, d->field, d->error_at, &w);
        FUZZ_CHECK(!w.cut);
        note_bytes(t, text, w.len);
    }
}

/* `dice` NULL: everything at once. */
static void decode(struct transcript *t, enum mvm_direction direction, char *place,
                   const uint8_t *data, size_t size, struct fuzz_dice *dice)
{
    struct mvm_proto_decoder d;
    mvm_proto_decoder_init(&d, direction, place, FIELDS_CAP);
    t->len = 0;
    while (size > 0) {
        size_t used = size + 1;
        size_t len = dice == NULL ? size : fuzz_step(dice) - 1;
        len = len < size ? len : size;
        enum mvm_decoder_status status = mvm_proto_decoder_push(&d, data, len, &used);
        FUZZ_CHECK(used <= len && (used > 0 || len == 0));
        FUZZ_CHECK(status != MVM_DECODER_PARTIAL || used == len);
        note(t, &d, status, dice);
        data += used;
        size -= used;
    }
    note(t, &d, mvm_proto_decoder_finish(&d), dice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_dice dice = fuzz_dice_from(&data, &size);
    enum mvm_direction direction =
        fuzz_throw(&dice, 2) == 0 ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
    decode(&whole, direction, fields[0], data, size, NULL);
    decode(&cut, direction, fields[1], data, size, &dice);
    FUZZ_CHECK(whole.len == cut.len && memcmp(whole.bytes, cut.bytes, whole.len) == 0);
    return 0;
}
