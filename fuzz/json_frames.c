#include "json_frames.h"
#include <string.h>

enum { FIELDS_CAP = 4096, TRANSCRIPT_CAP = 1 << 16 };

/* Everything a decoder returned, as bytes: each message as its canonical frame, each bad frame as
 * its explanation. */
struct transcript {
    size_t len;
    uint8_t bytes[TRANSCRIPT_CAP];
};

static struct transcript whole;
static struct transcript cut;
static char fields[2][FIELDS_CAP];

static void note_message(struct transcript *t, const struct mvm_message *m, struct fuzz_dice *dice)
{
    struct mvm_encoder e;
    mvm_encoder_init(&e);
    mvm_encoder_start(&e, m);
    while (!mvm_encoder_idle(&e) && t->len < TRANSCRIPT_CAP) {
        size_t room = dice == NULL ? TRANSCRIPT_CAP : fuzz_step(dice);
        room = room < TRANSCRIPT_CAP - t->len ? room : TRANSCRIPT_CAP - t->len;
        size_t n = mvm_encoder_pull(&e, t->bytes + t->len, room);
        FUZZ_CHECK(n > 0 && n <= room);
        t->len += n;
    }
}

static void note(struct transcript *t, const struct mvm_decoder *d, enum mvm_decoder_status status,
                 struct fuzz_dice *dice)
{
    if (status == MVM_DECODER_MESSAGE) {
        note_message(t, &d->message, dice);
    } else if (status == MVM_DECODER_BAD_FRAME) {
        char text[160];
        struct mvm_writer w;
        mvm_writer_init(&w, text, sizeof text);
        mvm_decoder_explain(d, &w);
        FUZZ_CHECK(!w.cut);
        size_t len = w.len < TRANSCRIPT_CAP - t->len ? w.len : TRANSCRIPT_CAP - t->len;
        memcpy(t->bytes + t->len, text, len);
        t->len += len;
    }
}

/* `dice` NULL: everything at once. */
static void decode(struct transcript *t, enum mvm_direction direction, char *place,
                   const uint8_t *data, size_t size, struct fuzz_dice *dice)
{
    struct mvm_decoder d;
    mvm_decoder_init(&d, direction, place, FIELDS_CAP);
    t->len = 0;
    while (size > 0) {
        size_t used = size + 1;
        size_t len = dice == NULL ? size : fuzz_step(dice) - 1;
        len = len < size ? len : size;
        enum mvm_decoder_status status = mvm_decoder_push(&d, data, len, &used);
        FUZZ_CHECK(used <= len && (used > 0 || len == 0));
        FUZZ_CHECK(status != MVM_DECODER_PARTIAL || used == len);
        note(t, &d, status, dice);
        data += used;
        size -= used;
    }
    note(t, &d, mvm_decoder_finish(&d), dice);
}

void fuzz_json_frames(enum mvm_direction direction, const uint8_t *data, size_t size)
{
    struct fuzz_dice dice = fuzz_dice_from(&data, &size);
    decode(&whole, direction, fields[0], data, size, NULL);
    decode(&cut, direction, fields[1], data, size, &dice);
    FUZZ_CHECK(whole.len == cut.len && memcmp(whole.bytes, cut.bytes, whole.len) == 0);

    /* A single message: its frame is a fixed point. */
    if (whole.len > 0 && whole.len < TRANSCRIPT_CAP &&
        memchr(whole.bytes, '\n', whole.len) == whole.bytes + whole.len - 1 &&
        memchr("{\"", whole.bytes[0], 2) != NULL) {
        decode(&cut, direction, fields[1], whole.bytes, whole.len, &dice);
        FUZZ_CHECK(whole.len == cut.len && memcmp(whole.bytes, cut.bytes, whole.len) == 0);
    }
}
