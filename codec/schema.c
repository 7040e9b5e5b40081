#include "schema.h"
#include "mvm_limits.h"

#define UNBOUNDED UINT32_MAX /* the field buffer is the limit */

const struct mvm_field mvm_fields[MVM_JSON_FIELDS] = {
    [MVM_BUILD_FLAKE_REF] =
        MVM_FIELD(0, "flake_ref", TEXT, REQUIRED, build.flake_ref, MVM_FLAKE_REF_MAX),
    [MVM_BUILD_ATTR] = MVM_FIELD(1, "attr", TEXT, REQUIRED, build.attr, MVM_ATTR_MAX),
    [MVM_BUILD_TIMEOUT_SECS] =
        MVM_FIELD(2, "timeout_secs", TIMEOUT, NULLABLE, build.timeout_secs, 0),
    [MVM_BUILD_ID] = MVM_FIELD(3, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_BUILD_KEEP] = MVM_FIELD(4, "keep", FLAG, OPTIONAL, build.keep, 0),
    [MVM_HELLO_NONCE] = MVM_FIELD(0, "nonce", TEXT, OPTIONAL, hello.nonce, MVM_NONCE_MAX),
    [MVM_JOIN_ID] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_CANCEL_ID] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_OK_OUT_PATH] = MVM_FIELD(0, "out_path", TEXT, REQUIRED, text, UNBOUNDED),
    [MVM_OK_ID] = MVM_FIELD(1, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_ERR_MESSAGE] = MVM_FIELD(0, "message", TEXT, REQUIRED, text, UNBOUNDED),
    [MVM_ERR_ID] = MVM_FIELD(1, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_ERR_REFUSED] = MVM_FIELD(2, "refused", TEXT, OPTIONAL, refusal.refused, MVM_ID_MAX),
    [MVM_ERR_CATEGORY] = MVM_FIELD(3, "category", TEXT, OPTIONAL, refusal.category, MVM_WORD_MAX),
    [MVM_LOG_LINE] = MVM_FIELD(0, "line", BYTES, REQUIRED, text, UNBOUNDED),
    [MVM_LOG_ID] = MVM_FIELD(1, "id", TEXT, OPTIONAL, id, MVM_ID_MAX),
    [MVM_LOG_BEAT] = MVM_FIELD(2, "beat", FLAG, OPTIONAL, beat, 0),
    [MVM_WELCOME_NONCE] = MVM_FIELD(0, "nonce", TEXT, OPTIONAL, hello.nonce, MVM_NONCE_MAX),
    [MVM_WELCOME_AGENT] = MVM_FIELD(1, "agent", TEXT, REQUIRED, hello.agent, MVM_AGENT_MAX),
    [MVM_WELCOME_BOOT] = MVM_FIELD(2, "boot", TEXT, REQUIRED, hello.boot, MVM_BOOT_MAX),
    [MVM_WELCOME_FEATURES] =
        MVM_FIELD(3, "features", TEXT, REQUIRED, hello.features, MVM_FEATURES_MAX),
    [MVM_CANCELLED_ID] = MVM_FIELD(0, "id", TEXT, REQUIRED, id, MVM_ID_MAX),
    [MVM_CANCELLED_WAS] = MVM_FIELD(1, "was", TEXT, REQUIRED, text, MVM_WORD_MAX),
};

_Static_assert(sizeof(struct mvm_message) <= UINT8_MAX, "offsets are bytes");

#define NO_FIELDS(name)                                                                            \
    {                                                                                              \
        name, sizeof(name) - 1, 0, 0, 0                                                            \
    }

const struct mvm_variant mvm_variants[MVM_JSON_KINDS] = {
    [MVM_MESSAGE_BUILD] = MVM_VARIANT("Build", MVM_BUILD_FLAKE_REF, MVM_BUILD_KEEP, 0x3),
    [MVM_MESSAGE_PING] = NO_FIELDS("Ping"),
    [MVM_MESSAGE_HELLO] = MVM_VARIANT("Hello", MVM_HELLO_NONCE, MVM_HELLO_NONCE, 0x0),
    [MVM_MESSAGE_JOIN] = MVM_VARIANT("Join", MVM_JOIN_ID, MVM_JOIN_ID, 0x1),
    [MVM_MESSAGE_CANCEL] = MVM_VARIANT("Cancel", MVM_CANCEL_ID, MVM_CANCEL_ID, 0x1),
    [MVM_MESSAGE_OK] = MVM_VARIANT("Ok", MVM_OK_OUT_PATH, MVM_OK_ID, 0x1),
    [MVM_MESSAGE_ERR] = MVM_VARIANT("Err", MVM_ERR_MESSAGE, MVM_ERR_CATEGORY, 0x1),
    [MVM_MESSAGE_LOG] = MVM_VARIANT("Log", MVM_LOG_LINE, MVM_LOG_BEAT, 0x1),
    [MVM_MESSAGE_PONG] = NO_FIELDS("Pong"),
    [MVM_MESSAGE_WELCOME] = MVM_VARIANT("Hello", MVM_WELCOME_NONCE, MVM_WELCOME_FEATURES, 0xe),
    [MVM_MESSAGE_CANCELLED] = MVM_VARIANT("Cancelled", MVM_CANCELLED_ID, MVM_CANCELLED_WAS, 0x3),
};
