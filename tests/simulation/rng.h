/*
 * The random numbers of a simulation: from a seed, so that a run can be repeated; from a fuzzer's
 * bytes, so that it can search; or all 0, for a scenario given in advance. When the bytes are used
 * up, the rest is from a seed: zeros would send a large source in pieces of one byte, which takes
 * more turns than any world may.
 */
#ifndef MVM_RNG_H
#define MVM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state;
    const uint8_t *bytes;
    size_t left; /* 0: by the seed */
    bool zeros;  /* every number is 0 */
};

static inline struct rng rng_by_seed(uint64_t seed)
{
    return (struct rng){.state = seed};
}

static inline struct rng rng_by_bytes(const uint8_t *bytes, size_t len)
{
    return (struct rng){.bytes = bytes, .left = len};
}

static inline struct rng rng_zeros(void)
{
    return (struct rng){.zeros = true};
}

/* 0 … below - 1; `below` up to 65536. Seeds go through splitmix64, so that neighbours differ. */
static inline uint32_t rng_below(struct rng *c, uint32_t below)
{
    if (c->zeros) {
        return 0;
    }
    if (c->left > 0) {
        uint32_t value = 0;
        for (int i = below > 256 ? 2 : 1; i > 0 && c->left > 0; i--, c->left--) {
            value = value << 8 | *c->bytes++;
        }
        return value % below;
    }
    uint64_t z = c->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

/* Once in `n` times. */
static inline bool rng_one_in(struct rng *c, uint32_t n)
{
    return rng_below(c, n) == n - 1;
}

#endif
