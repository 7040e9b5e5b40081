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

#define STEP(kind, literal, field)                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1, MVM_MESSAGE_##kind, field                                    \
    }

const struct mvm_step mvm_steps[MVM_STEPS] = {
    [BUILD] = STEP(BUILD, "{\"Build\":{\"flake_ref\":\"", MVM_BUILD_FLAKE_REF),
    STEP(BUILD, ",\"attr\":\"", MVM_BUILD_ATTR),
    STEP(BUILD, ",\"timeout_secs\":", MVM_BUILD_TIMEOUT_SECS),
    STEP(BUILD, ",\"id\":\"", MVM_BUILD_ID),
    STEP(BUILD, ",\"keep\":", MVM_BUILD_KEEP),
    STEP(BUILD, "}}\n", MVM_STEP_END),
    [PING] = STEP(PING, "\"Ping\"\n", MVM_STEP_END),
    [HELLO] = STEP(HELLO, "{\"Hello\":{", MVM_STEP_HEAD),
    STEP(HELLO, ",\"nonce\":\"", MVM_HELLO_NONCE),
    STEP(HELLO, "}}\n", MVM_STEP_END),
    [JOIN] = STEP(JOIN, "{\"Join\":{\"id\":\"", MVM_JOIN_ID),
    STEP(JOIN, "}}\n", MVM_STEP_END),
    [CANCEL] = STEP(CANCEL, "{\"Cancel\":{\"id\":\"", MVM_CANCEL_ID),
    STEP(CANCEL, "}}\n", MVM_STEP_END),
    [OK] = STEP(OK, "{\"Ok\":{\"out_path\":\"", MVM_OK_OUT_PATH),
    STEP(OK, ",\"id\":\"", MVM_OK_ID),
    STEP(OK, "}}\n", MVM_STEP_END),
    [ERR] = STEP(ERR, "{\"Err\":{\"message\":\"", MVM_ERR_MESSAGE),
    STEP(ERR, ",\"id\":\"", MVM_ERR_ID),
    STEP(ERR, ",\"refused\":\"", MVM_ERR_REFUSED),
    STEP(ERR, ",\"category\":\"", MVM_ERR_CATEGORY),
    STEP(ERR, "}}\n", MVM_STEP_END),
    [LOG] = STEP(LOG, "{\"Log\":{\"line\":\"", MVM_LOG_LINE),
    STEP(LOG, ",\"id\":\"", MVM_LOG_ID),
    STEP(LOG, ",\"beat\":", MVM_LOG_BEAT),
    STEP(LOG, "}}\n", MVM_STEP_END),
    [PONG] = STEP(PONG, "\"Pong\"\n", MVM_STEP_END),
    [WELCOME] = STEP(WELCOME, "{\"Hello\":{", MVM_STEP_HEAD),
    STEP(WELCOME, ",\"nonce\":\"", MVM_WELCOME_NONCE),
    STEP(WELCOME, ",\"agent\":\"", MVM_WELCOME_AGENT),
    STEP(WELCOME, ",\"boot\":\"", MVM_WELCOME_BOOT),
    STEP(WELCOME, ",\"features\":\"", MVM_WELCOME_FEATURES),
    STEP(WELCOME, "}}\n", MVM_STEP_END),
    [CANCELLED] = STEP(CANCELLED, "{\"Cancelled\":{\"id\":\"", MVM_CANCELLED_ID),
    STEP(CANCELLED, ",\"was\":\"", MVM_CANCELLED_WAS),
    STEP(CANCELLED, "}}\n", MVM_STEP_END),
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
