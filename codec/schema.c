#include "schema.h"
#include "mvm_limits.h"

#define FIELD(place, name, type, presence, member, max)                                            \
    {                                                                                              \
        name, max, sizeof(name) - 1, 1u << (place), MVM_TYPE_##type, MVM_PRESENCE_##presence,      \
            offsetof(struct mvm_message, member)                                                   \
    }
#define UNBOUNDED UINT32_MAX /* the field buffer is the limit */

const struct mvm_field mvm_fields[MVM_FIELDS] = {
    [MVM_BUILD_FLAKE_REF] =
        FIELD(0, "flake_ref", TEXT, REQUIRED, build.flake_ref, MVM_FLAKE_REF_MAX),
    [MVM_BUILD_ATTR] = FIELD(1, "attr", TEXT, REQUIRED, build.attr, MVM_ATTR_MAX),
    [MVM_BUILD_TIMEOUT_SECS] = FIELD(2, "timeout_secs", TIMEOUT, NULLABLE, build.timeout_secs, 0),
    [MVM_BUILD_ID] = FIELD(3, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_BUILD_KEEP] = FIELD(4, "keep", FLAG, OPTIONAL, build.keep, 0),
    [MVM_HELLO_NONCE] = FIELD(0, "nonce", TEXT, OPTIONAL, hello.nonce, MVM_NONCE_MAX),
    [MVM_JOIN_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_CANCEL_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_STREAM_BUILD_FLAKE_REF] =
        FIELD(0, "flake_ref", TEXT, REQUIRED, build.flake_ref, MVM_FLAKE_REF_MAX),
    [MVM_STREAM_BUILD_ATTR] = FIELD(1, "attr", TEXT, REQUIRED, build.attr, MVM_ATTR_MAX),
    [MVM_STREAM_BUILD_TIMEOUT_SECS] =
        FIELD(2, "timeout_secs", TIMEOUT, OPTIONAL, build.timeout_secs, 0),
    [MVM_STREAM_BUILD_ID] = FIELD(3, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_STREAM_BUILD_KEEP] = FIELD(4, "keep", FLAG, OPTIONAL, build.keep, 0),
    [MVM_STREAM_BUILD_SOURCE_SIZE] = FIELD(5, "source_size", SIZE, OPTIONAL, build.source_size, 0),
    [MVM_SOURCE_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_SOURCE_OFFSET] = FIELD(1, "offset", NUMBER, REQUIRED, bulk.offset, 0),
    [MVM_SOURCE_DATA] = FIELD(2, "data", BYTES, REQUIRED, text, MVM_BULK_DATA_MAX),
    [MVM_SOURCE_LAST] = FIELD(3, "last", FLAG, OPTIONAL, bulk.last, 0),
    [MVM_GET_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_GET_NAME] = FIELD(1, "name", TEXT, REQUIRED, bulk.name, MVM_WORD_MAX),
    [MVM_GET_OFFSET] = FIELD(2, "offset", NUMBER, REQUIRED, bulk.offset, 0),
    [MVM_GET_LENGTH] = FIELD(3, "length", NUMBER, REQUIRED, bulk.length, 0),
    [MVM_DROP_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_OK_OUT_PATH] = FIELD(0, "out_path", TEXT, REQUIRED, text, UNBOUNDED),
    [MVM_OK_ID] = FIELD(1, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_ERR_MESSAGE] = FIELD(0, "message", TEXT, REQUIRED, text, UNBOUNDED),
    [MVM_ERR_ID] = FIELD(1, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_ERR_REFUSED] = FIELD(2, "refused", TEXT, OPTIONAL, refusal.refused, MVM_ID_MAX),
    [MVM_ERR_CATEGORY] = FIELD(3, "category", TEXT, OPTIONAL, refusal.category, MVM_WORD_MAX),
    [MVM_LOG_LINE] = FIELD(0, "line", BYTES, REQUIRED, text, UNBOUNDED),
    [MVM_LOG_ID] = FIELD(1, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_LOG_BEAT] = FIELD(2, "beat", FLAG, OPTIONAL, beat, 0),
    [MVM_WELCOME_NONCE] = FIELD(0, "nonce", TEXT, OPTIONAL, hello.nonce, MVM_NONCE_MAX),
    [MVM_WELCOME_AGENT] = FIELD(1, "agent", TEXT, REQUIRED, hello.agent, MVM_AGENT_MAX),
    [MVM_WELCOME_BOOT] = FIELD(2, "boot", TEXT, REQUIRED, hello.boot, MVM_BOOT_MAX),
    [MVM_WELCOME_FEATURES] = FIELD(3, "features", TEXT, REQUIRED, hello.features, MVM_FEATURES_MAX),
    [MVM_CANCELLED_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_CANCELLED_WAS] = FIELD(1, "was", TEXT, REQUIRED, text, MVM_WORD_MAX),
    [MVM_WANT_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_WANT_BYTES] = FIELD(1, "bytes", NUMBER, REQUIRED, bulk.length, 0),
    [MVM_ARTIFACT_ID] = FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_ARTIFACT_NAME] = FIELD(1, "name", TEXT, REQUIRED, bulk.name, MVM_WORD_MAX),
    [MVM_ARTIFACT_OFFSET] = FIELD(2, "offset", NUMBER, REQUIRED, bulk.offset, 0),
    [MVM_ARTIFACT_DATA] = FIELD(3, "data", BYTES, REQUIRED, text, MVM_BULK_DATA_MAX),
    [MVM_ARTIFACT_LAST] = FIELD(4, "last", FLAG, OPTIONAL, bulk.last, 0),
};

_Static_assert(sizeof(struct mvm_message) <= UINT8_MAX, "offsets are bytes");

#define VARIANT(name, first, last, required)                                                       \
    {                                                                                              \
        name, sizeof(name) - 1, first, (last) - (first) + 1, required                              \
    }
#define NO_FIELDS(name)                                                                            \
    {                                                                                              \
        name, sizeof(name) - 1, 0, 0, 0                                                            \
    }

const struct mvm_variant mvm_variants[MVM_KINDS] = {
    [MVM_MESSAGE_BUILD] = VARIANT("Build", MVM_BUILD_FLAKE_REF, MVM_BUILD_KEEP, 0x3),
    [MVM_MESSAGE_PING] = NO_FIELDS("Ping"),
    [MVM_MESSAGE_HELLO] = VARIANT("Hello", MVM_HELLO_NONCE, MVM_HELLO_NONCE, 0x0),
    [MVM_MESSAGE_JOIN] = VARIANT("Join", MVM_JOIN_ID, MVM_JOIN_ID, 0x1),
    [MVM_MESSAGE_CANCEL] = VARIANT("Cancel", MVM_CANCEL_ID, MVM_CANCEL_ID, 0x1),
    [MVM_MESSAGE_STREAM_BUILD] =
        VARIANT("StreamBuild", MVM_STREAM_BUILD_FLAKE_REF, MVM_STREAM_BUILD_SOURCE_SIZE, 0xb),
    [MVM_MESSAGE_SOURCE] = VARIANT("Source", MVM_SOURCE_ID, MVM_SOURCE_LAST, 0x7),
    [MVM_MESSAGE_GET] = VARIANT("Get", MVM_GET_ID, MVM_GET_LENGTH, 0xf),
    [MVM_MESSAGE_DROP] = VARIANT("Drop", MVM_DROP_ID, MVM_DROP_ID, 0x1),
    [MVM_MESSAGE_OK] = VARIANT("Ok", MVM_OK_OUT_PATH, MVM_OK_ID, 0x1),
    [MVM_MESSAGE_ERR] = VARIANT("Err", MVM_ERR_MESSAGE, MVM_ERR_CATEGORY, 0x1),
    [MVM_MESSAGE_LOG] = VARIANT("Log", MVM_LOG_LINE, MVM_LOG_BEAT, 0x1),
    [MVM_MESSAGE_PONG] = NO_FIELDS("Pong"),
    [MVM_MESSAGE_WELCOME] = VARIANT("Hello", MVM_WELCOME_NONCE, MVM_WELCOME_FEATURES, 0xe),
    [MVM_MESSAGE_CANCELLED] = VARIANT("Cancelled", MVM_CANCELLED_ID, MVM_CANCELLED_WAS, 0x3),
    [MVM_MESSAGE_WANT] = VARIANT("Want", MVM_WANT_ID, MVM_WANT_BYTES, 0x3),
    [MVM_MESSAGE_ARTIFACT] = VARIANT("Artifact", MVM_ARTIFACT_ID, MVM_ARTIFACT_LAST, 0xf),
};
