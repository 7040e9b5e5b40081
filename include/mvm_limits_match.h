/*
 * Refuses a program whose limits differ from its library's. Many limits are lengths of arrays in
 * structs of the caller's: with two values, one side would write past the end of the other's.
 *
 * The library defines a constant for each limit, and the limit's value is part of the constant's
 * name: mvm_limit_QUEUE_MAX_is_8. Every call of an init function reads those of its module. A
 * program compiled with another value does not link, and the linker's message names limit and
 * value:
 *
 *     undefined reference to `mvm_limit_QUEUE_MAX_is_4'
 *
 * The init functions are functions, too: a binding that has no C compiler calls them by name and
 * learns sizes from mvm_binding.h.
 */
#ifndef MVM_LIMITS_MATCH_H
#define MVM_LIMITS_MATCH_H

#include "mvm_layout.h"
#include "mvm_limits.h"

/* The limits of the codec, and those of the build and all that runs it. Limits that the library
 * itself does not use are not here. */
#define MVM_LIMITS_OF_CODEC(X)                                                                     \
    X(FLAKE_REF_MAX, MVM_FLAKE_REF_MAX)                                                            \
    X(ATTR_MAX, MVM_ATTR_MAX)                                                                      \
    X(ID_MAX, MVM_ID_MAX)                                                                          \
    X(NONCE_MAX, MVM_NONCE_MAX)                                                                    \
    X(AGENT_MAX, MVM_AGENT_MAX)                                                                    \
    X(BOOT_MAX, MVM_BOOT_MAX)                                                                      \
    X(FEATURES_MAX, MVM_FEATURES_MAX)                                                              \
    X(WORD_MAX, MVM_WORD_MAX)                                                                      \
    X(REQUEST_FRAME_MAX, MVM_REQUEST_FRAME_MAX)                                                    \
    X(RESPONSE_FRAME_MAX, MVM_RESPONSE_FRAME_MAX)                                                  \
    X(PROTO_SLACK, MVM_PROTO_SLACK)                                                                \
    X(PROTO_GROUPS_MAX, MVM_PROTO_GROUPS_MAX)                                                      \
    X(BULK_DATA_MAX, MVM_BULK_DATA_MAX)                                                            \
    X(NESTING_MAX, MVM_NESTING_MAX)                                                                \
    X(LOG_LINE_MAX, MVM_LOG_LINE_MAX)

#define MVM_LIMITS_OF_BUILD(X)                                                                     \
    X(SOURCE_MAX, MVM_SOURCE_MAX)                                                                  \
    X(STREAM_BUILDS, MVM_STREAM_BUILDS)                                                            \
    X(MESSAGE_MAX, MVM_MESSAGE_MAX)                                                                \
    X(PATH_MAX, MVM_PATH_MAX)                                                                      \
    X(STORE_PATH_MAX, MVM_STORE_PATH_MAX)                                                          \
    X(POLICY_MAX, MVM_POLICY_MAX)                                                                  \
    X(NIX_OPTIONS_MAX, MVM_NIX_OPTIONS_MAX)                                                        \
    X(STAGE_SLICE, MVM_STAGE_SLICE)                                                                \
    X(TIMEOUT_DEFAULT_SECS, MVM_TIMEOUT_DEFAULT_SECS)                                              \
    X(PROGRESS_MS, MVM_PROGRESS_MS)                                                                \
    X(TERM_GRACE_MS, MVM_TERM_GRACE_MS)                                                            \
    X(POSIX_MEMBERS, MVM_POSIX_MEMBERS)                                                            \
    X(POSIX_HUNG_MAX, MVM_POSIX_HUNG_MAX)                                                          \
    X(POSIX_ENV, MVM_POSIX_ENV)                                                                    \
    X(POSIX_NIX_CONFIG_CAP, MVM_POSIX_NIX_CONFIG_CAP)                                              \
    X(HOLD_MS, MVM_HOLD_MS)                                                                        \
    X(KILL_POLL_MS, MVM_KILL_POLL_MS)                                                              \
    X(KILL_PATIENCE_MS, MVM_KILL_PATIENCE_MS)                                                      \
    X(STATUS_WAIT_MS, MVM_STATUS_WAIT_MS)                                                          \
    X(DRAIN_MS, MVM_DRAIN_MS)                                                                      \
    X(DRAIN_MAX, MVM_DRAIN_MAX)                                                                    \
    X(NIX_OUTPUTS_MAX, MVM_NIX_OUTPUTS_MAX)                                                        \
    X(DEVICE_WAIT_MS, MVM_DEVICE_WAIT_MS)                                                          \
    X(DEVICE_POLL_MS, MVM_DEVICE_POLL_MS)                                                          \
    X(RELEASE_WAIT_MS, MVM_RELEASE_WAIT_MS)                                                        \
    X(DISK_PATIENCE_MS, MVM_DISK_PATIENCE_MS)                                                      \
    X(STALL_MS, MVM_STALL_MS)                                                                      \
    X(CLIENTS_MAX, MVM_CLIENTS_MAX)                                                                \
    X(IDLE_EVICT_MS, MVM_IDLE_EVICT_MS)                                                            \
    X(REFUSED_SAY_MS, MVM_REFUSED_SAY_MS)                                                          \
    X(COLLECT_MS, MVM_COLLECT_MS)                                                                  \
    X(LISTENERS_MAX, MVM_LISTENERS_MAX)                                                            \
    X(RECEIVE_CAP, MVM_RECEIVE_CAP)                                                                \
    X(SEND_CAP, MVM_SEND_CAP)                                                                      \
    X(QUEUE_MAX, MVM_QUEUE_MAX)                                                                    \
    X(ID_MIN, MVM_ID_MIN)                                                                          \
    X(KEPT_ANSWERS, MVM_KEPT_ANSWERS)                                                              \
    X(KEPT_TEXT_MAX, MVM_KEPT_TEXT_MAX)

/* Not a limit: see mvm_layout.h. */
#define MVM_LIMITS_OF_LAYOUT(X) X(ENUM_BYTES, MVM_ENUM_BYTES)

/* mvm_limit_NAME_is_VALUE: the parameter is expanded before it is pasted. */
#define MVM_LIMIT_PASTE(name, value)    mvm_limit_##name##_is_##value
#define MVM_LIMIT_CONSTANT(name, value) MVM_LIMIT_PASTE(name, value)
#define MVM_LIMIT_DECLARE(name, value)  extern const char MVM_LIMIT_CONSTANT(name, value);
#define MVM_LIMIT_READ(name, value)     mvm_limit_read(&MVM_LIMIT_CONSTANT(name, value));

#ifdef __cplusplus
extern "C" {
#endif

MVM_LIMITS_OF_LAYOUT(MVM_LIMIT_DECLARE)
MVM_LIMITS_OF_CODEC(MVM_LIMIT_DECLARE)
MVM_LIMITS_OF_BUILD(MVM_LIMIT_DECLARE)

#ifdef __cplusplus
}
#endif

static inline void mvm_limit_read(const volatile char *constant)
{
    (void)*constant;
}

static inline void mvm_limits_of_codec_match(void)
{
    MVM_LIMITS_OF_LAYOUT(MVM_LIMIT_READ)
    MVM_LIMITS_OF_CODEC(MVM_LIMIT_READ)
}

static inline void mvm_limits_match(void)
{
    mvm_limits_of_codec_match();
    MVM_LIMITS_OF_BUILD(MVM_LIMIT_READ)
}

#endif
