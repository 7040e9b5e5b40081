#include "mvm_binding.h"
#include <string.h>

size_t mvm_message_size(void)
{
    return sizeof(struct mvm_message);
}

size_t mvm_decoder_size(void)
{
    return sizeof(struct mvm_decoder);
}

size_t mvm_encoder_size(void)
{
    return sizeof(struct mvm_encoder);
}

size_t mvm_session_size(void)
{
    return sizeof(struct mvm_session);
}

size_t mvm_executor_size(void)
{
    return sizeof(struct mvm_executor);
}

size_t mvm_scheduler_size(void)
{
    return sizeof(struct mvm_scheduler);
}

size_t mvm_client_size(void)
{
    return sizeof(struct mvm_client);
}

size_t mvm_fields_cap(enum mvm_direction direction)
{
    return direction == MVM_DIRECTION_REQUESTS ? MVM_REQUEST_FIELDS_CAP : MVM_RESPONSE_FIELDS_CAP;
}

/* ---- sessions ---- */

void mvm_session_init_buffers(struct mvm_session *s, enum mvm_direction direction, uint8_t *receive,
                              size_t receive_cap, uint8_t *send, size_t send_cap, char *fields,
                              size_t fields_cap)
{
    struct mvm_session_memory memory = {receive, receive_cap, send, send_cap, fields, fields_cap};
    mvm_session_init(s, direction, &memory);
}

const struct mvm_message *mvm_session_message(const struct mvm_session *s)
{
    return &s->message;
}

size_t mvm_session_explanation(const struct mvm_session *s, char *buf, size_t cap)
{
    struct mvm_writer w;
    mvm_writer_init(&w, buf, cap);
    mvm_session_explain(s, &w);
    return w.len;
}

/* ---- messages ---- */

/* The field's place in a message of that kind; NULL: it has none. */
static struct mvm_text *field_of(struct mvm_message *m, enum mvm_message_field field)
{
    bool build = m->kind == MVM_MESSAGE_BUILD, err = m->kind == MVM_MESSAGE_ERR;
    bool hello = m->kind == MVM_MESSAGE_HELLO, welcome = m->kind == MVM_MESSAGE_WELCOME;
    switch (field) {
    case MVM_FIELD_TEXT:
        return m->kind >= MVM_MESSAGE_OK && !welcome && m->kind != MVM_MESSAGE_PONG ? &m->text
                                                                                    : NULL;
    case MVM_FIELD_ID:
        return m->kind == MVM_MESSAGE_PING || m->kind == MVM_MESSAGE_PONG || hello || welcome
                   ? NULL
                   : &m->id;
    case MVM_FIELD_FLAKE_REF:
        return build ? &m->build.flake_ref : NULL;
    case MVM_FIELD_ATTR:
        return build ? &m->build.attr : NULL;
    case MVM_FIELD_NONCE:
        return hello || welcome ? &m->hello.nonce : NULL;
    case MVM_FIELD_AGENT:
        return welcome ? &m->hello.agent : NULL;
    case MVM_FIELD_BOOT:
        return welcome ? &m->hello.boot : NULL;
    case MVM_FIELD_FEATURES:
        return welcome ? &m->hello.features : NULL;
    case MVM_FIELD_REFUSED:
        return err ? &m->refusal.refused : NULL;
    case MVM_FIELD_CATEGORY:
        return err ? &m->refusal.category : NULL;
    }
    return NULL;
}

void mvm_message_begin(struct mvm_message *m, enum mvm_kind kind)
{
    memset(m, 0, sizeof *m);
    m->kind = kind;
}

bool mvm_message_put(struct mvm_message *m, enum mvm_message_field field, const char *bytes,
                     size_t len)
{
    struct mvm_text *text = field_of(m, field);
    if (text == NULL) {
        return false;
    }
    *text = (struct mvm_text){bytes, len};
    return true;
}

bool mvm_message_put_timeout(struct mvm_message *m, uint64_t seconds)
{
    if (m->kind != MVM_MESSAGE_BUILD) {
        return false;
    }
    m->build.has_timeout = true;
    m->build.timeout_secs = seconds;
    return true;
}

bool mvm_message_put_keep(struct mvm_message *m, bool keep)
{
    if (m->kind != MVM_MESSAGE_BUILD) {
        return false;
    }
    m->build.keep = keep ? MVM_FLAG_TRUE : MVM_FLAG_FALSE;
    return true;
}

enum mvm_kind mvm_message_kind(const struct mvm_message *m)
{
    return m->kind;
}

const char *mvm_message_get(const struct mvm_message *m, enum mvm_message_field field, size_t *len)
{
    struct mvm_message copy = *m;
    const struct mvm_text *text = field_of(&copy, field);
    *len = text == NULL ? 0 : text->len;
    return text == NULL ? NULL : text->bytes;
}

bool mvm_message_get_timeout(const struct mvm_message *m, uint64_t *seconds)
{
    bool there = m->kind == MVM_MESSAGE_BUILD && m->build.has_timeout;
    *seconds = there ? m->build.timeout_secs : 0;
    return there;
}

bool mvm_message_is_beat(const struct mvm_message *m)
{
    return m->kind == MVM_MESSAGE_LOG && m->beat == MVM_FLAG_TRUE;
}

/* ---- jobs ---- */

const char *mvm_executor_text(const struct mvm_executor *x, size_t *len)
{
    *len = x->text.len;
    return x->text.bytes;
}
