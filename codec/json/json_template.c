#include "json_template.h"

enum {
    BUILD = 1,
    PING = BUILD + 6,
    HELLO,
    JOIN = HELLO + 3,
    CANCEL = JOIN + 2,
    OK = CANCEL + 2,
    ERR = OK + 3,
    LOG = ERR + 5,
    PONG = LOG + 4,
    WELCOME,
    CANCELLED = WELCOME + 6,
};

_Static_assert(CANCELLED + 3 == MVM_STEPS, "each step has its place");

#define STEP(literal, field)                                                                       \
    {                                                                                              \
        literal, sizeof(literal) - 1, field                                                        \
    }

const struct mvm_step mvm_steps[MVM_STEPS] = {
    [BUILD] = STEP("{\"Build\":{\"flake_ref\":\"", MVM_BUILD_FLAKE_REF),
    STEP(",\"attr\":\"", MVM_BUILD_ATTR),
    STEP(",\"timeout_secs\":", MVM_BUILD_TIMEOUT_SECS),
    STEP(",\"id\":\"", MVM_BUILD_ID),
    STEP(",\"keep\":", MVM_BUILD_KEEP),
    STEP("}}\n", MVM_STEP_END),
    [PING] = STEP("\"Ping\"\n", MVM_STEP_END),
    [HELLO] = STEP("{\"Hello\":{", MVM_STEP_HEAD),
    STEP(",\"nonce\":\"", MVM_HELLO_NONCE),
    STEP("}}\n", MVM_STEP_END),
    [JOIN] = STEP("{\"Join\":{\"id\":\"", MVM_JOIN_ID),
    STEP("}}\n", MVM_STEP_END),
    [CANCEL] = STEP("{\"Cancel\":{\"id\":\"", MVM_CANCEL_ID),
    STEP("}}\n", MVM_STEP_END),
    [OK] = STEP("{\"Ok\":{\"out_path\":\"", MVM_OK_OUT_PATH),
    STEP(",\"id\":\"", MVM_OK_ID),
    STEP("}}\n", MVM_STEP_END),
    [ERR] = STEP("{\"Err\":{\"message\":\"", MVM_ERR_MESSAGE),
    STEP(",\"id\":\"", MVM_ERR_ID),
    STEP(",\"refused\":\"", MVM_ERR_REFUSED),
    STEP(",\"category\":\"", MVM_ERR_CATEGORY),
    STEP("}}\n", MVM_STEP_END),
    [LOG] = STEP("{\"Log\":{\"line\":\"", MVM_LOG_LINE),
    STEP(",\"id\":\"", MVM_LOG_ID),
    STEP(",\"beat\":", MVM_LOG_BEAT),
    STEP("}}\n", MVM_STEP_END),
    [PONG] = STEP("\"Pong\"\n", MVM_STEP_END),
    [WELCOME] = STEP("{\"Hello\":{", MVM_STEP_HEAD),
    STEP(",\"nonce\":\"", MVM_WELCOME_NONCE),
    STEP(",\"agent\":\"", MVM_WELCOME_AGENT),
    STEP(",\"boot\":\"", MVM_WELCOME_BOOT),
    STEP(",\"features\":\"", MVM_WELCOME_FEATURES),
    STEP("}}\n", MVM_STEP_END),
    [CANCELLED] = STEP("{\"Cancelled\":{\"id\":\"", MVM_CANCELLED_ID),
    STEP(",\"was\":\"", MVM_CANCELLED_WAS),
    STEP("}}\n", MVM_STEP_END),
};

const uint8_t mvm_first_steps[MVM_KINDS] = {
    [MVM_MESSAGE_BUILD] = BUILD,
    [MVM_MESSAGE_PING] = PING,
    [MVM_MESSAGE_HELLO] = HELLO,
    [MVM_MESSAGE_JOIN] = JOIN,
    [MVM_MESSAGE_CANCEL] = CANCEL,
    [MVM_MESSAGE_OK] = OK,
    [MVM_MESSAGE_ERR] = ERR,
    [MVM_MESSAGE_LOG] = LOG,
    [MVM_MESSAGE_PONG] = PONG,
    [MVM_MESSAGE_WELCOME] = WELCOME,
    [MVM_MESSAGE_CANCELLED] = CANCELLED,
};
