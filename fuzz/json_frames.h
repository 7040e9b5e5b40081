/*
 * The property of both JSON decoders: what comes out does not depend on how the bytes were cut, nor
 * on the room the encoder got; a message that was decoded, encoded and decoded again is the same.
 */
#ifndef MVM_FUZZ_JSON_FRAMES_H
#define MVM_FUZZ_JSON_FRAMES_H

#include "fuzz.h"

void fuzz_json_frames(enum mvm_direction direction, const uint8_t *data, size_t size);

#endif
