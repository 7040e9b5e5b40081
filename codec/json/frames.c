#include "frames.h"

enum { BUILD = 1, PING = BUILD + 4, OK, ERR = OK + 2, LOG = ERR + 2, PONG = LOG + 2 };

#define STEP(literal, then)                                                                        \
    {                                                                                              \
        literal, sizeof(literal) - 1, then                                                         \
    }

const struct mvm_step mvm_steps[MVM_STEPS] = {
    [BUILD] = STEP("{\"Build\":{\"flake_ref\":\"", MVM_THEN_FLAKE_REF),
    STEP("\",\"attr\":\"", MVM_THEN_ATTR),
    STEP("\",\"timeout_secs\":", MVM_THEN_TIMEOUT),
    STEP("}}\n", MVM_THEN_END),
    [PING] = STEP("\"Ping\"\n", MVM_THEN_END),
    [OK] = STEP("{\"Ok\":{\"out_path\":\"", MVM_THEN_TEXT),
    STEP("\"}}\n", MVM_THEN_END),
    [ERR] = STEP("{\"Err\":{\"message\":\"", MVM_THEN_TEXT),
    STEP("\"}}\n", MVM_THEN_END),
    [LOG] = STEP("{\"Log\":{\"line\":\"", MVM_THEN_TEXT),
    STEP("\"}}\n", MVM_THEN_END),
    [PONG] = STEP("\"Pong\"\n", MVM_THEN_END),
};

const uint8_t mvm_first_steps[MVM_MESSAGE_PONG + 1] = {
    [MVM_MESSAGE_BUILD] = BUILD, [MVM_MESSAGE_PING] = PING, [MVM_MESSAGE_OK] = OK,
    [MVM_MESSAGE_ERR] = ERR,     [MVM_MESSAGE_LOG] = LOG,   [MVM_MESSAGE_PONG] = PONG,
};
