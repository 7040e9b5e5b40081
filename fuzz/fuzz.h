/*
 * What the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput; linked with
 * libFuzzer it searches, with standalone.c it replays files. A violated property ends in abort().
 */
#ifndef MVM_FUZZ_H
#define MVM_FUZZ_H

#include "mvm_decoder.h"
#include "mvm_encoder.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(property)                                                                       \
    do {                                                                                           \
        if (!(property)) {                                                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Small numbers (up to 16 bits) drawn from a seed: where to cut, how much room to give. */
struct fuzz_dice {
    uint32_t state;
};

static inline uint32_t fuzz_throw(struct fuzz_dice *dice, uint32_t sides)
{
    dice->state = dice->state * 1664525u + 1013904223u;
    return (dice->state >> 16) % sides;
}

/* How much to pass at a time: often everything or nearly, often a few bytes. */
static inline uint32_t fuzz_step(struct fuzz_dice *dice)
{
    return 1 + fuzz_throw(dice, fuzz_throw(dice, 3) == 0 ? 8 : 400);
}

/* The seed is in the first four bytes of an input; `*data` and `*size` are moved past it. */
static inline struct fuzz_dice fuzz_dice_from(const uint8_t **data, size_t *size)
{
    struct fuzz_dice dice = {0};
    for (int i = 0; i < 4 && *size > 0; i++) {
        dice.state = dice.state << 8 | **data;
        ++*data;
        --*size;
    }
    return dice;
}

#endif
