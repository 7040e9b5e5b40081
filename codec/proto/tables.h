/*
 * Maps the schema's kinds and fields to the structs that nanopb generates from mvm.proto.
 */
#ifndef MVM_TABLES_H
#define MVM_TABLES_H

#include "mvm.pb.h"
#include "proto_schema.h"

/* A message of any kind, as nanopb's struct. */
union mvm_proto_parts {
    mvm_guest_v1_Build build;
    mvm_guest_v1_Ping ping;
    mvm_guest_v1_Hello hello;
    mvm_guest_v1_Join join;
    mvm_guest_v1_Cancel cancel;
    mvm_guest_v1_StreamBuild stream_build;
    mvm_guest_v1_Source source;
    mvm_guest_v1_Get get;
    mvm_guest_v1_Drop drop;
    mvm_guest_v1_Ok ok;
    mvm_guest_v1_Err err;
    mvm_guest_v1_Log log;
    mvm_guest_v1_Pong pong;
    mvm_guest_v1_Welcome welcome;
    mvm_guest_v1_Cancelled cancelled;
    mvm_guest_v1_Want want;
    mvm_guest_v1_Artifact artifact;
};

struct mvm_proto_kind {
    const pb_msgdesc_t *fields;
    uint8_t tag; /* in the oneof of a Request or Response */
};

extern const struct mvm_proto_kind mvm_proto_kinds[MVM_KINDS];

/* A field's offsets in its generated struct: of its value (for a text, a pb_callback_t) and, if it
 * is optional, of its has_ member. */
struct mvm_proto_place {
    uint8_t value;
    uint8_t has;
};

extern const struct mvm_proto_place mvm_proto_places[MVM_FIELDS];

static inline pb_callback_t *mvm_proto_text(union mvm_proto_parts *parts, unsigned field)
{
    return (pb_callback_t *)(void *)((char *)parts + mvm_proto_places[field].value);
}

static inline uint64_t *mvm_proto_number(union mvm_proto_parts *parts, unsigned field)
{
    return (uint64_t *)(void *)((char *)parts + mvm_proto_places[field].value);
}

static inline bool *mvm_proto_flag(union mvm_proto_parts *parts, unsigned field)
{
    return (bool *)(void *)((char *)parts + mvm_proto_places[field].value);
}

static inline bool *mvm_proto_has(union mvm_proto_parts *parts, unsigned field)
{
    return (bool *)(void *)((char *)parts + mvm_proto_places[field].has);
}

#endif
