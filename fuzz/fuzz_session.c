/*
 * A session on either wire, either side, in buffers of any size: its events and answers do not
 * depend on how the transport cuts the bytes.
 */
#include "fuzz.h"
#include "mvm_session.h"
#include <string.h>

enum { BUFFER_MAX = 256, FIELDS_CAP = 2048, TRANSCRIPT_CAP = 1 << 16 };

struct transcript {
    size_t len;
    uint8_t bytes[TRANSCRIPT_CAP];
};

struct peer {
    struct mvm_session session;
    struct fuzz_dice dice;
    bool careful; /* small buffers, small steps */
    const uint8_t *data;
    size_t left;
    struct transcript answers;
    uint8_t receive[BUFFER_MAX];
    uint8_t send[BUFFER_MAX];
    char fields[FIELDS_CAP];
};

static struct peer whole;
static struct peer cut;

static size_t some(struct peer *p, size_t max)
{
    size_t n = p->careful ? fuzz_step(&p->dice) : max;
    return n < max ? n : max;
}

/* The transport sends some of the bytes. */
static void transmit(struct peer *p)
{
    size_t len;
    const uint8_t *bytes = mvm_session_bytes(&p->session, &len);
    FUZZ_CHECK((bytes == NULL) == (len == 0));
    if (len > 0) {
        size_t n = some(p, len);
        size_t keep = n < TRANSCRIPT_CAP - p->answers.len ? n : TRANSCRIPT_CAP - p->answers.len;
        memcpy(p->answers.bytes + p->answers.len, bytes, keep);
        p->answers.len += keep;
        mvm_session_sent(&p->session, n);
    }
}

/* The transport delivers some of the remaining bytes, and finally the end. */
static void receive(struct peer *p)
{
    size_t room;
    uint8_t *place = mvm_session_room(&p->session, &room);
    if (place == NULL) {
        return;
    }
    FUZZ_CHECK(room > 0 && room <= BUFFER_MAX);
    if (p->left == 0) {
        mvm_session_peer_ended(&p->session);
        return;
    }
    size_t n = some(p, room < p->left ? room : p->left);
    memcpy(place, p->data, n);
    p->data += n;
    p->left -= n;
    mvm_session_received(&p->session, n);
}

static void answer(struct peer *p, const struct mvm_message *m)
{
    mvm_session_send(&p->session, m);
    while (!mvm_session_can_send(&p->session)) {
        transmit(p); /* the message's texts are borrowed until then */
    }
}

/* Nothing is being sent when the next frame is requested, so that both calls return the same. */
static enum mvm_session_event next(struct peer *p)
{
    bool decode = p->careful && fuzz_throw(&p->dice, 2) == 0;
    return decode ? mvm_session_decode(&p->session) : mvm_session_next(&p->session);
}

/* Every message is sent back, every refusal explained. */
static void drive(struct peer *p)
{
    for (;;) {
        char text[160];
        struct mvm_writer w;
        switch (next(p)) {
        case MVM_SESSION_MESSAGE:
            answer(p, &p->session.message);
            break;
        case MVM_SESSION_BAD_FRAME:
            mvm_writer_init(&w, text, sizeof text);
            mvm_session_explain(&p->session, &w);
            FUZZ_CHECK(!w.cut);
            answer(p,
                   &(struct mvm_message){.kind = MVM_MESSAGE_ERR, .text = mvm_writer_finish(&w)});
            break;
        case MVM_SESSION_NOTHING:
            transmit(p);
            receive(p);
            break;
        case MVM_SESSION_ENDED:
            while (!mvm_session_flushed(&p->session)) {
                transmit(p);
            }
            FUZZ_CHECK(mvm_session_ended(&p->session));
            return;
        }
    }
}

static void begin(struct peer *p, enum mvm_direction direction, struct fuzz_dice dice, bool careful,
                  const uint8_t *data, size_t size)
{
    struct mvm_session_memory memory = {p->receive, BUFFER_MAX, p->send,
                                        BUFFER_MAX, p->fields,  FIELDS_CAP};
    p->dice = dice;
    p->careful = careful;
    if (careful) {
        memory.receive_cap = 1 + fuzz_throw(&p->dice, BUFFER_MAX);
        memory.send_cap = 1 + fuzz_throw(&p->dice, BUFFER_MAX);
    }
    p->data = data;
    p->left = size;
    p->answers.len = 0;
    mvm_session_init(&p->session, direction, &memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_dice dice = fuzz_dice_from(&data, &size);
    enum mvm_direction direction =
        fuzz_throw(&dice, 2) == 0 ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
    begin(&whole, direction, dice, false, data, size);
    begin(&cut, direction, dice, true, data, size);
    drive(&whole);
    drive(&cut);
    FUZZ_CHECK(whole.answers.len == cut.answers.len);
    FUZZ_CHECK(memcmp(whole.answers.bytes, cut.answers.bytes, whole.answers.len) == 0);
    return 0;
}
