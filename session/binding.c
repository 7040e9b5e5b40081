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

bool mvm_has_protobuf(void)
{
    return mvm_proto_present;
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

uint64_t mvm_session_get_sent(const struct mvm_session *s)
{
    return s->sent;
}

enum mvm_wire mvm_session_get_wire(const struct mvm_session *s)
{
    return s->wire;
}

void mvm_session_put_small_cap(struct mvm_session *s, size_t small_cap)
{
    s->small_cap = small_cap;
}

void mvm_session_put_json_alone(struct mvm_session *s, bool json_alone)
{
    s->json_alone = json_alone;
}

/* ---- messages ---- */

static bool has_text(enum mvm_kind kind)
{
    return kind == MVM_MESSAGE_OK || kind == MVM_MESSAGE_LOG || kind == MVM_MESSAGE_CANCELLED ||
           kind == MVM_MESSAGE_SOURCE || kind == MVM_MESSAGE_ARTIFACT;
}

static bool is_bulk(enum mvm_kind kind)
{
    return kind == MVM_MESSAGE_SOURCE || kind == MVM_MESSAGE_GET || kind == MVM_MESSAGE_WANT ||
           kind == MVM_MESSAGE_ARTIFACT;
}

static bool is_build(const struct mvm_message *m)
{
    return m->kind == MVM_MESSAGE_BUILD || m->kind == MVM_MESSAGE_STREAM_BUILD;
}

/* The field's place in a message of that kind; NULL: it has none. */
static struct mvm_text *field_of(struct mvm_message *m, enum mvm_message_field field)
{
    bool build = is_build(m), err = m->kind == MVM_MESSAGE_ERR;
    bool has_name = m->kind == MVM_MESSAGE_GET || m->kind == MVM_MESSAGE_ARTIFACT;
    bool hello = m->kind == MVM_MESSAGE_HELLO, welcome = m->kind == MVM_MESSAGE_WELCOME;
    switch (field) {
    case MVM_FIELD_TEXT:
        return err || has_text(m->kind) ? &m->text : NULL;
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
    case MVM_FIELD_NAME:
        return has_name ? &m->bulk.name : NULL;
    }
    return NULL;
}

int mvm_kind_by_name(const char *name)
{
    static const char *const kind_names[] = {
        [MVM_MESSAGE_BUILD] = "Build",
        [MVM_MESSAGE_PING] = "Ping",
        [MVM_MESSAGE_HELLO] = "Hello",
        [MVM_MESSAGE_JOIN] = "Join",
        [MVM_MESSAGE_CANCEL] = "Cancel",
        [MVM_MESSAGE_STREAM_BUILD] = "StreamBuild",
        [MVM_MESSAGE_SOURCE] = "Source",
        [MVM_MESSAGE_GET] = "Get",
        [MVM_MESSAGE_DROP] = "Drop",
        [MVM_MESSAGE_OK] = "Ok",
        [MVM_MESSAGE_ERR] = "Err",
        [MVM_MESSAGE_LOG] = "Log",
        [MVM_MESSAGE_PONG] = "Pong",
        [MVM_MESSAGE_WELCOME] = "Welcome",
        [MVM_MESSAGE_CANCELLED] = "Cancelled",
        [MVM_MESSAGE_WANT] = "Want",
        [MVM_MESSAGE_ARTIFACT] = "Artifact",
    };
    for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
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
    if (!is_build(m)) {
        return false;
    }
    m->build.has_timeout = true;
    m->build.timeout_secs = seconds;
    return true;
}

bool mvm_message_put_keep(struct mvm_message *m, bool keep)
{
    if (!is_build(m)) {
        return false;
    }
    m->build.keep = keep ? MVM_FLAG_TRUE : MVM_FLAG_FALSE;
    return true;
}

bool mvm_message_put_beat(struct mvm_message *m, bool beat)
{
    if (m->kind != MVM_MESSAGE_LOG) {
        return false;
    }
    m->beat = beat ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    return true;
}

bool mvm_message_put_source_size(struct mvm_message *m, uint64_t size)
{
    if (m->kind != MVM_MESSAGE_STREAM_BUILD) {
        return false;
    }
    m->build.has_source = true;
    m->build.source_size = size;
    return true;
}

bool mvm_message_put_artifacts(struct mvm_message *m, const char *list, size_t len)
{
    if (m->kind != MVM_MESSAGE_OK) {
        return false;
    }
    m->artifacts = (struct mvm_text){list, len};
    return true;
}

size_t mvm_artifact_write(char *out, size_t cap, const char *name, size_t name_len, uint64_t size)
{
    struct mvm_artifact_item item = {{name, name_len}, size};
    return mvm_proto_add_artifact((uint8_t *)out, cap, &item);
}

bool mvm_message_put_bulk(struct mvm_message *m, uint64_t offset, uint64_t length, bool last)
{
    if (!is_bulk(m->kind)) {
        return false;
    }
    m->bulk.offset = offset;
    m->bulk.length = length;
    m->bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
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
    bool there = is_build(m) && m->build.has_timeout;
    *seconds = there ? m->build.timeout_secs : 0;
    return there;
}

bool mvm_message_get_keep(const struct mvm_message *m, bool *keep)
{
    bool there = is_build(m) && m->build.keep != MVM_FLAG_ABSENT;
    *keep = there && m->build.keep == MVM_FLAG_TRUE;
    return there;
}

bool mvm_message_get_source_size(const struct mvm_message *m, uint64_t *size)
{
    bool there = m->kind == MVM_MESSAGE_STREAM_BUILD && m->build.has_source;
    *size = there ? m->build.source_size : 0;
    return there;
}

const char *mvm_message_get_artifact(const struct mvm_message *m, size_t index, size_t *len,
                                     uint64_t *size)
{
    struct mvm_text list = m->kind == MVM_MESSAGE_OK ? m->artifacts : (struct mvm_text){NULL, 0};
    struct mvm_artifact_item item = {{NULL, 0}, 0};
    bool there = mvm_proto_next_artifact(&list, &item);
    for (; there && index > 0; index--) {
        there = mvm_proto_next_artifact(&list, &item);
    }
    *len = there ? item.name.len : 0;
    *size = there ? item.size : 0;
    return there ? item.name.bytes : NULL;
}

bool mvm_message_get_bulk(const struct mvm_message *m, uint64_t *offset, uint64_t *length,
                          bool *last)
{
    bool there = is_bulk(m->kind);
    *offset = there ? m->bulk.offset : 0;
    *length = there ? m->bulk.length : 0;
    *last = there && m->bulk.last == MVM_FLAG_TRUE;
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
