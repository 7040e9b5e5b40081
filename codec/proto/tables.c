#include "tables.h"

#define KIND(direction, member, type)                                                              \
    {                                                                                              \
        mvm_guest_v1_##type##_fields, mvm_guest_v1_##direction##_##member##_tag                    \
    }

const struct mvm_proto_kind mvm_proto_kinds[MVM_KINDS] = {
    [MVM_MESSAGE_BUILD] = KIND(Request, build, Build),
    [MVM_MESSAGE_PING] = KIND(Request, ping, Ping),
    [MVM_MESSAGE_HELLO] = KIND(Request, hello, Hello),
    [MVM_MESSAGE_JOIN] = KIND(Request, join, Join),
    [MVM_MESSAGE_CANCEL] = KIND(Request, cancel, Cancel),
    [MVM_MESSAGE_OK] = KIND(Response, ok, Ok),
    [MVM_MESSAGE_ERR] = KIND(Response, err, Err),
    [MVM_MESSAGE_LOG] = KIND(Response, log, Log),
    [MVM_MESSAGE_PONG] = KIND(Response, pong, Pong),
    [MVM_MESSAGE_WELCOME] = KIND(Response, hello, Welcome),
    [MVM_MESSAGE_CANCELLED] = KIND(Response, cancelled, Cancelled),
};

_Static_assert(sizeof(union mvm_proto_parts) <= UINT8_MAX, "offsets are bytes");

#define AT(type, member) offsetof(mvm_guest_v1_##type, member)

const uint8_t mvm_proto_offsets[MVM_FIELDS] = {
    [MVM_BUILD_FLAKE_REF] = AT(Build, flake_ref),
    [MVM_BUILD_ATTR] = AT(Build, attr),
    [MVM_BUILD_TIMEOUT_SECS] = AT(Build, has_timeout_secs),
    [MVM_BUILD_ID] = AT(Build, id),
    [MVM_BUILD_KEEP] = AT(Build, has_keep),
    [MVM_HELLO_NONCE] = AT(Hello, nonce),
    [MVM_JOIN_ID] = AT(Join, id),
    [MVM_CANCEL_ID] = AT(Cancel, id),
    [MVM_OK_OUT_PATH] = AT(Ok, out_path),
    [MVM_OK_ID] = AT(Ok, id),
    [MVM_ERR_MESSAGE] = AT(Err, message),
    [MVM_ERR_ID] = AT(Err, id),
    [MVM_ERR_REFUSED] = AT(Err, refused),
    [MVM_ERR_CATEGORY] = AT(Err, category),
    [MVM_LOG_LINE] = AT(Log, line),
    [MVM_LOG_ID] = AT(Log, id),
    [MVM_LOG_BEAT] = AT(Log, has_beat),
    [MVM_WELCOME_NONCE] = AT(Welcome, nonce),
    [MVM_WELCOME_AGENT] = AT(Welcome, agent),
    [MVM_WELCOME_BOOT] = AT(Welcome, boot),
    [MVM_WELCOME_FEATURES] = AT(Welcome, features),
    [MVM_CANCELLED_ID] = AT(Cancelled, id),
    [MVM_CANCELLED_WAS] = AT(Cancelled, was),
};
