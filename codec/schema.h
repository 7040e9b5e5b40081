/*
 * The messages as data: each kind's name and direction, each field's name, type and limit. Both
 * wires use it: a new message or field is one row here, one row in each wire's own table, and a
 * member of struct mvm_message.
 */
#ifndef MVM_SCHEMA_H
#define MVM_SCHEMA_H

#include "mvm_message.h"

enum mvm_type {
    MVM_TYPE_TEXT,    /* struct mvm_text; UTF-8 on the protobuf wire */
    MVM_TYPE_BYTES,   /* the same, but any bytes on the protobuf wire */
    MVM_TYPE_TIMEOUT, /* has_timeout and timeout_secs of struct mvm_build */
    MVM_TYPE_FLAG,    /* enum mvm_flag in a byte */
    MVM_TYPE_NUMBER,  /* uint64_t; protobuf wire only */
    MVM_TYPE_SIZE,    /* has_source and source_size of struct mvm_build; protobuf wire only */
};

enum mvm_presence {
    MVM_PRESENCE_REQUIRED,
    MVM_PRESENCE_NULLABLE, /* an optional field that is always written: null if absent */
    MVM_PRESENCE_OPTIONAL, /* left out if absent; an array may end before it */
};

struct mvm_field {
    const char *name;
    uint32_t max; /* bytes of a text */
    uint8_t name_len;
    uint8_t bit; /* 1 << its index among its kind's fields */
    uint8_t type;
    uint8_t presence;
    uint8_t offset; /* of the value in struct mvm_message; 0 for TIMEOUT */
};

/* The numbers of the fields; those of a kind are consecutive, in the order of encoding. */
enum mvm_field_number {
    MVM_BUILD_FLAKE_REF,
    MVM_BUILD_ATTR,
    MVM_BUILD_TIMEOUT_SECS,
    MVM_BUILD_ID,
    MVM_BUILD_KEEP,
    MVM_HELLO_NONCE,
    MVM_JOIN_ID,
    MVM_CANCEL_ID,
    MVM_OK_OUT_PATH,
    MVM_OK_ID,
    MVM_ERR_MESSAGE,
    MVM_ERR_ID,
    MVM_ERR_REFUSED,
    MVM_ERR_CATEGORY,
    MVM_LOG_LINE,
    MVM_LOG_ID,
    MVM_LOG_BEAT,
    MVM_WELCOME_NONCE,
    MVM_WELCOME_AGENT,
    MVM_WELCOME_BOOT,
    MVM_WELCOME_FEATURES,
    MVM_CANCELLED_ID,
    MVM_CANCELLED_WAS,
    MVM_JSON_FIELDS,
    /* protobuf wire only */
    MVM_STREAM_BUILD_FLAKE_REF = MVM_JSON_FIELDS,
    MVM_STREAM_BUILD_ATTR,
    MVM_STREAM_BUILD_TIMEOUT_SECS,
    MVM_STREAM_BUILD_ID,
    MVM_STREAM_BUILD_KEEP,
    MVM_STREAM_BUILD_SOURCE_SIZE,
    MVM_SOURCE_ID,
    MVM_SOURCE_OFFSET,
    MVM_SOURCE_DATA,
    MVM_SOURCE_LAST,
    MVM_GET_ID,
    MVM_GET_NAME,
    MVM_GET_OFFSET,
    MVM_GET_LENGTH,
    MVM_DROP_ID,
    MVM_WANT_ID,
    MVM_WANT_BYTES,
    MVM_ARTIFACT_ID,
    MVM_ARTIFACT_NAME,
    MVM_ARTIFACT_OFFSET,
    MVM_ARTIFACT_DATA,
    MVM_ARTIFACT_LAST,
    MVM_FIELDS,
};

extern const struct mvm_field mvm_fields[MVM_JSON_FIELDS]; /* the others: proto_schema.h */

struct mvm_variant {
    const char *name;
    uint8_t name_len;
    uint8_t first;    /* number of its first field */
    uint8_t count;    /* of its fields */
    uint8_t required; /* the bits of its required fields */
};

enum { MVM_JSON_KINDS = MVM_MESSAGE_CANCELLED + 1, MVM_KINDS = MVM_MESSAGE_ARTIFACT + 1 };
extern const struct mvm_variant mvm_variants[MVM_JSON_KINDS]; /* likewise */

/* Rows of the tables: a field's place is its index among its kind's fields … */
#define MVM_FIELD(place, name, type, presence, member, max)                                        \
    {                                                                                              \
        name, max, sizeof(name) - 1, 1u << (place), MVM_TYPE_##type, MVM_PRESENCE_##presence,      \
            offsetof(struct mvm_message, member)                                                   \
    }

/* … and a variant has the fields `first` to `last`. */
#define MVM_VARIANT(name, first, last, required)                                                   \
    {                                                                                              \
        name, sizeof(name) - 1, first, (last) - (first) + 1, required                              \
    }

/* The kinds of a direction that both wires have are consecutive. */
static inline enum mvm_kind mvm_first_kind(enum mvm_direction direction)
{
    return direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_BUILD : MVM_MESSAGE_OK;
}

static inline enum mvm_kind mvm_last_kind(enum mvm_direction direction)
{
    return direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_CANCEL : MVM_MESSAGE_CANCELLED;
}

static inline bool mvm_is_text(const struct mvm_field *field)
{
    return field->type == MVM_TYPE_TEXT || field->type == MVM_TYPE_BYTES;
}

/* A field's value in a message: of a TEXT or BYTES … */
static inline struct mvm_text *mvm_text_field(struct mvm_message *m, const struct mvm_field *field)
{
    return (struct mvm_text *)(void *)((char *)m + field->offset);
}

/* … of a NUMBER … */
static inline uint64_t *mvm_number_field(struct mvm_message *m, const struct mvm_field *field)
{
    return (uint64_t *)(void *)((char *)m + field->offset);
}

/* … and of a FLAG. */
static inline uint8_t *mvm_flag_field(struct mvm_message *m, const struct mvm_field *field)
{
    return (uint8_t *)m + field->offset;
}

/* Copies a message. A Log, the most frequent kind, is copied member by member: a wider load would
 * stall on the narrower stores that have just written them. */
static inline void mvm_message_copy(struct mvm_message *to, const struct mvm_message *m)
{
    if (m->kind != MVM_MESSAGE_LOG) {
        *to = *m;
        return;
    }
    to->kind = m->kind;
    to->text.bytes = m->text.bytes;
    to->text.len = m->text.len;
    to->id.bytes = m->id.bytes;
    to->id.len = m->id.len;
    to->beat = m->beat;
}

#endif
