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
    [MVM_MESSAGE_STREAM_BUILD] = KIND(Request, stream_build, StreamBuild),
    [MVM_MESSAGE_SOURCE] = KIND(Request, source, Source),
    [MVM_MESSAGE_GET] = KIND(Request, get, Get),
    [MVM_MESSAGE_DROP] = KIND(Request, drop, Drop),
    [MVM_MESSAGE_WANT] = KIND(Response, want, Want),
    [MVM_MESSAGE_ARTIFACT] = KIND(Response, artifact, Artifact),
};

_Static_assert(sizeof(union mvm_proto_parts) <= UINT8_MAX, "offsets are bytes");

#define AT(type, member)                                                                           \
    {                                                                                              \
        offsetof(mvm_guest_v1_##type, member), 0                                                   \
    }
#define MAYBE(type, member)                                                                        \
    {                                                                                              \
        offsetof(mvm_guest_v1_##type, member), offsetof(mvm_guest_v1_##type, has_##member)         \
    }

const struct mvm_proto_place mvm_proto_places[MVM_FIELDS] = {
    [MVM_BUILD_FLAKE_REF] = AT(Build, flake_ref),
    [MVM_BUILD_ATTR] = AT(Build, attr),
    [MVM_BUILD_TIMEOUT_SECS] = MAYBE(Build, timeout_secs),
    [MVM_BUILD_ID] = AT(Build, id),
    [MVM_BUILD_KEEP] = MAYBE(Build, keep),
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
    [MVM_LOG_BEAT] = MAYBE(Log, beat),
    [MVM_WELCOME_NONCE] = AT(Welcome, nonce),
    [MVM_WELCOME_AGENT] = AT(Welcome, agent),
    [MVM_WELCOME_BOOT] = AT(Welcome, boot),
    [MVM_WELCOME_FEATURES] = AT(Welcome, features),
    [MVM_CANCELLED_ID] = AT(Cancelled, id),
    [MVM_CANCELLED_WAS] = AT(Cancelled, was),
    [MVM_STREAM_BUILD_FLAKE_REF] = AT(StreamBuild, flake_ref),
    [MVM_STREAM_BUILD_ATTR] = AT(StreamBuild, attr),
    [MVM_STREAM_BUILD_TIMEOUT_SECS] = MAYBE(StreamBuild, timeout_secs),
    [MVM_STREAM_BUILD_ID] = AT(StreamBuild, id),
    [MVM_STREAM_BUILD_KEEP] = MAYBE(StreamBuild, keep),
    [MVM_STREAM_BUILD_SOURCE_SIZE] = MAYBE(StreamBuild, source_size),
    [MVM_SOURCE_ID] = AT(Source, id),
    [MVM_SOURCE_OFFSET] = AT(Source, offset),
    [MVM_SOURCE_DATA] = AT(Source, data),
    [MVM_SOURCE_LAST] = MAYBE(Source, last),
    [MVM_GET_ID] = AT(Get, id),
    [MVM_GET_NAME] = AT(Get, name),
    [MVM_GET_OFFSET] = AT(Get, offset),
    [MVM_GET_LENGTH] = AT(Get, length),
    [MVM_DROP_ID] = AT(Drop, id),
    [MVM_WANT_ID] = AT(Want, id),
    [MVM_WANT_BYTES] = AT(Want, bytes),
    [MVM_ARTIFACT_ID] = AT(Artifact, id),
    [MVM_ARTIFACT_NAME] = AT(Artifact, name),
    [MVM_ARTIFACT_OFFSET] = AT(Artifact, offset),
    [MVM_ARTIFACT_DATA] = AT(Artifact, data),
    [MVM_ARTIFACT_LAST] = MAYBE(Artifact, last),
};
