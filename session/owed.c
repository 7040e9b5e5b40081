/* What clients are owed besides the output of the running build: each answer waits in a ring for
 * room, so that a request can be read before the answer to an earlier one is sent. */
#include "scheduler_internal.h"
#include <string.h>

bool mvm_owed_none(const struct mvm_client *c)
{
    return c->owed_len == 0 && mvm_session_can_send(&c->session);
}

void mvm_owed_clear(struct mvm_client *c)
{
    c->owed_start = c->owed_len = 0;
}

/* One of many Pongs leaves the others where they are. */
static void next_owed(struct mvm_client *c)
{
    struct mvm_owed *first = &c->owed[c->owed_start];
    c->sending = *first;
    if (first->kind == MVM_OWED_PONG && first->number > 1) {
        first->number--;
        return;
    }
    c->owed_start = (c->owed_start + 1) % MVM_OWED_MAX;
    c->owed_len--;
}

void mvm_owed_send(struct mvm_scheduler *v, struct mvm_client *c)
{
    while (c->owed_len > 0 && mvm_session_can_send(&c->session)) {
        next_owed(c);
        mvm_answer_send(v, c);
    }
}

static struct mvm_owed *last_owed(struct mvm_client *c)
{
    return c->owed_len == 0 ? NULL : &c->owed[(c->owed_start + c->owed_len - 1) % MVM_OWED_MAX];
}

static struct mvm_owed *add_owed(struct mvm_client *c, enum mvm_owed_kind kind)
{
    struct mvm_owed *o = &c->owed[(c->owed_start + c->owed_len++) % MVM_OWED_MAX];
    *o = (struct mvm_owed){.kind = (uint8_t)kind};
    return o;
}

void mvm_owe(struct mvm_scheduler *v, struct mvm_client *c, enum mvm_owed_kind kind, uint8_t detail,
             uint32_t number, struct mvm_text text)
{
    struct mvm_owed *o = last_owed(c);
    if (o != NULL && kind == MVM_OWED_PONG && o->kind == MVM_OWED_PONG && o->number < UINT16_MAX) {
        o->number++;
        return;
    }
    o = add_owed(c, kind);
    o->detail = detail;
    o->number = number;
    o->has_text = mvm_text_present(text);
    o->text_len = (uint32_t)text.len;
    if (text.len > 0) {
        memcpy(o->text, text.bytes, text.len);
    }
    mvm_owed_send(v, c);
}

void mvm_owe_err(struct mvm_scheduler *v, struct mvm_client *c, enum mvm_reason reason,
                 struct mvm_text id)
{
    mvm_owe(v, c, MVM_OWED_ERR, (uint8_t)reason, (uint32_t)v->queued, id);
}

void mvm_owe_parse_error(struct mvm_scheduler *v, struct mvm_client *c)
{
    struct mvm_owed *o = add_owed(c, MVM_OWED_PARSE_ERROR);
    const struct mvm_session *s = &c->session;
    if (s->wire == MVM_WIRE_PROTO) {
        o->detail = (uint8_t)s->proto_decoder.error;
        o->field = s->proto_decoder.field;
        o->number = s->proto_decoder.error_at;
    } else {
        o->detail = (uint8_t)s->json_decoder.error;
        o->json_error = (uint8_t)s->json_decoder.json_error;
        o->field = s->json_decoder.field;
        o->number = s->json_decoder.error_at;
    }
    mvm_owed_send(v, c);
}
