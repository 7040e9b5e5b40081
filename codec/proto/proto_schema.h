/*
 * The schema of the protobuf wire: that of both wires, and the kinds that this one alone has, which
 * a program with JSON alone need not link.
 */
#ifndef MVM_PROTO_SCHEMA_H
#define MVM_PROTO_SCHEMA_H

#include "schema.h"

extern const struct mvm_field mvm_proto_only_fields[MVM_FIELDS - MVM_JSON_FIELDS];
extern const struct mvm_variant mvm_proto_only_variants[MVM_KINDS - MVM_JSON_KINDS];

/* Any field, by its number … */
static inline const struct mvm_field *mvm_proto_field(unsigned at)
{
    return at < MVM_JSON_FIELDS ? &mvm_fields[at] : &mvm_proto_only_fields[at - MVM_JSON_FIELDS];
}

/* … and any variant. */
static inline const struct mvm_variant *mvm_proto_variant(unsigned kind)
{
    return kind < MVM_JSON_KINDS ? &mvm_variants[kind]
                                 : &mvm_proto_only_variants[kind - MVM_JSON_KINDS];
}

/* The kinds of a direction that this wire alone has are consecutive. */
static inline enum mvm_kind mvm_first_proto_kind(enum mvm_direction direction)
{
    return direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_STREAM_BUILD : MVM_MESSAGE_WANT;
}

static inline enum mvm_kind mvm_last_proto_kind(enum mvm_direction direction)
{
    return direction == MVM_DIRECTION_REQUESTS ? MVM_MESSAGE_DROP : MVM_MESSAGE_ARTIFACT;
}

#endif
