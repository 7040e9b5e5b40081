#include "proto_schema.h"
#include "mvm_limits.h"

#define FIELD_AT(field) (MVM_##field - MVM_JSON_FIELDS)

const struct mvm_field mvm_proto_only_fields[MVM_FIELDS - MVM_JSON_FIELDS] = {
    [FIELD_AT(STREAM_BUILD_FLAKE_REF)] =
        MVM_FIELD(0, "flake_ref", TEXT, REQUIRED, build.flake_ref, MVM_FLAKE_REF_MAX),
    [FIELD_AT(STREAM_BUILD_ATTR)] = MVM_FIELD(1, "attr", TEXT, REQUIRED, build.attr, MVM_ATTR_MAX),
    [FIELD_AT(STREAM_BUILD_TIMEOUT_SECS)] =
        MVM_FIELD(2, "timeout_secs", TIMEOUT, OPTIONAL, build.timeout_secs, 0),
    [FIELD_AT(STREAM_BUILD_ID)] = MVM_FIELD(3, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [FIELD_AT(STREAM_BUILD_KEEP)] = MVM_FIELD(4, "keep", FLAG, OPTIONAL, build.keep, 0),
    [FIELD_AT(STREAM_BUILD_SOURCE_SIZE)] =
        MVM_FIELD(5, "source_size", SIZE, OPTIONAL, build.source_size, 0),
    [FIELD_AT(SOURCE_ID)] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [FIELD_AT(SOURCE_OFFSET)] = MVM_FIELD(1, "offset", NUMBER, REQUIRED, bulk.offset, 0),
    [FIELD_AT(SOURCE_DATA)] = MVM_FIELD(2, "data", BYTES, REQUIRED, text, MVM_BULK_DATA_MAX),
    [FIELD_AT(SOURCE_LAST)] = MVM_FIELD(3, "last", FLAG, OPTIONAL, bulk.last, 0),
    [FIELD_AT(GET_ID)] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [FIELD_AT(GET_NAME)] = MVM_FIELD(1, "name", TEXT, REQUIRED, bulk.name, MVM_WORD_MAX),
    [FIELD_AT(GET_OFFSET)] = MVM_FIELD(2, "offset", NUMBER, REQUIRED, bulk.offset, 0),
    [FIELD_AT(GET_LENGTH)] = MVM_FIELD(3, "length", NUMBER, REQUIRED, bulk.length, 0),
    [FIELD_AT(DROP_ID)] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [FIELD_AT(WANT_ID)] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [FIELD_AT(WANT_BYTES)] = MVM_FIELD(1, "bytes", NUMBER, REQUIRED, bulk.length, 0),
    [FIELD_AT(ARTIFACT_ID)] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [FIELD_AT(ARTIFACT_NAME)] = MVM_FIELD(1, "name", TEXT, REQUIRED, bulk.name, MVM_WORD_MAX),
    [FIELD_AT(ARTIFACT_OFFSET)] = MVM_FIELD(2, "offset", NUMBER, REQUIRED, bulk.offset, 0),
    [FIELD_AT(ARTIFACT_DATA)] = MVM_FIELD(3, "data", BYTES, REQUIRED, text, MVM_BULK_DATA_MAX),
    [FIELD_AT(ARTIFACT_LAST)] = MVM_FIELD(4, "last", FLAG, OPTIONAL, bulk.last, 0),
};

#define VARIANT_AT(kind) (MVM_MESSAGE_##kind - MVM_JSON_KINDS)

const struct mvm_variant mvm_proto_only_variants[MVM_KINDS - MVM_JSON_KINDS] = {
    [VARIANT_AT(STREAM_BUILD)] =
        MVM_VARIANT("StreamBuild", MVM_STREAM_BUILD_FLAKE_REF, MVM_STREAM_BUILD_SOURCE_SIZE, 0xb),
    [VARIANT_AT(SOURCE)] = MVM_VARIANT("Source", MVM_SOURCE_ID, MVM_SOURCE_LAST, 0x7),
    [VARIANT_AT(GET)] = MVM_VARIANT("Get", MVM_GET_ID, MVM_GET_LENGTH, 0xf),
    [VARIANT_AT(DROP)] = MVM_VARIANT("Drop", MVM_DROP_ID, MVM_DROP_ID, 0x1),
    [VARIANT_AT(WANT)] = MVM_VARIANT("Want", MVM_WANT_ID, MVM_WANT_BYTES, 0x3),
    [VARIANT_AT(ARTIFACT)] = MVM_VARIANT("Artifact", MVM_ARTIFACT_ID, MVM_ARTIFACT_LAST, 0xf),
};
