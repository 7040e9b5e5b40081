/*
 * The short way for most frames: they come whole and as serde_json writes them. Each step is
 * compared and each text copied; whatever does not fit the pattern goes the long way, from its
 * first byte on, and gets its verdict there.
 */
#include "frames.h"
#include "mvm_plain.h"
#include <string.h>

#if !defined(__OPTIMIZE_SIZE__)
enum { DIGITS_MAX = 19 }; /* any number of so many fits 64 bits */

struct rest {
    const uint8_t *at;
    size_t len;
};

static void go_past(struct rest *in, size_t n)
{
    in->at += n;
    in->len -= n;
}

/* The third byte of a frame tells the kinds apart. */
static bool whole_kind(struct mvm_decoder *d, const struct rest *in)
{
    unsigned kind = d->direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_BUILD : MVM_MESSAGE_OK;
    unsigned last = d->direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_PING : MVM_MESSAGE_PONG;
    for (; in->len > 2 && kind <= last; kind++) {
        if (mvm_steps[mvm_first_steps[kind]].literal[2] == (char)in->at[2]) {
            d->message = (struct mvm_message){.kind = (enum mvm_kind)kind};
            return true;
        }
    }
    return false;
}

static bool whole_literal(struct rest *in, const struct mvm_step *step)
{
    if (in->len < step->len || memcmp(in->at, step->literal, step->len) != 0) {
        return false;
    }
    go_past(in, step->len);
    return true;
}

static bool whole_number(struct rest *in, struct mvm_build *build)
{
    if (in->len >= 4 && memcmp(in->at, "null", 4) == 0) {
        go_past(in, 4);
        return true;
    }
    size_t n = 0;
    uint64_t value = 0;
    while (n < in->len && n < DIGITS_MAX && in->at[n] >= '0' && in->at[n] <= '9') {
        value = value * 10 + (in->at[n] - (unsigned)'0');
        n++;
    }
    if (n == 0 || (n > 1 && in->at[0] == '0')) {
        return false;
    }
    build->has_timeout = true;
    build->timeout_secs = value;
    go_past(in, n);
    return true;
}

/* Up to the text's limit: where it goes on, the next literal does not follow. */
static void whole_text(struct mvm_decoder *d, struct rest *in, enum mvm_then then, size_t *filled)
{
    size_t cap = d->fields_cap - *filled;
    size_t max = then == MVM_THEN_FLAKE_REF ? MVM_FLAKE_REF_MAX
                 : then == MVM_THEN_ATTR    ? MVM_ATTR_MAX
                                            : SIZE_MAX;
    char *place = d->fields + *filled;
    cap = cap < max ? cap : max;
    size_t len = mvm_plain_copy((uint8_t *)place, in->at, in->len < cap ? in->len : cap);
    *mvm_step_text(&d->message, then) = (struct mvm_text){place, len};
    *filled += len;
    go_past(in, len);
}

size_t mvm_decoder_take_whole(struct mvm_decoder *d, const uint8_t *bytes, size_t len)
{
    size_t max =
        d->direction == MVM_DIRECTION_REQUESTS ? MVM_REQUEST_FRAME_MAX : MVM_RESPONSE_FRAME_MAX;
    struct rest in = {bytes, len <= max ? len : max + 1};
    if (!whole_kind(d, &in)) {
        return 0;
    }
    size_t filled = 0;
    const struct mvm_step *step = &mvm_steps[mvm_first_steps[d->message.kind]];
    for (; whole_literal(&in, step); step++) {
        if (step->then == MVM_THEN_END) {
            return (size_t)(in.at - bytes);
        }
        if (step->then != MVM_THEN_TIMEOUT) {
            whole_text(d, &in, (enum mvm_then)step->then, &filled);
        } else if (!whole_number(&in, &d->message.build)) {
            return 0;
        }
    }
    return 0;
}
#else
/* Where code is made small, only frames without fields, Ping and Pong: they are what comes most. */
size_t mvm_decoder_take_whole(struct mvm_decoder *d, const uint8_t *bytes, size_t len)
{
    enum mvm_kind kind =
        d->direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_PING : MVM_MESSAGE_PONG;
    const struct mvm_step *step = &mvm_steps[mvm_first_steps[kind]];
    if (len < step->len || memcmp(bytes, step->literal, step->len) != 0) {
        return 0;
    }
    d->message.kind = kind;
    return step->len;
}
#endif
