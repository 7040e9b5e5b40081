/*
 * Vectors of sixteen bytes, by the extension that gcc and clang share; a machine adds how the
 * sixteen answers of a comparison become one word, ANSWER_BITS for each byte, one of them kept by
 * ONE_BIT_EACH. HAS_BLOCKS is there where it has.
 */
#ifndef MVM_BLOCK_H
#define MVM_BLOCK_H

#include <stdint.h>
#include <string.h>

typedef uint8_t block __attribute__((vector_size(16)));
typedef int8_t answers __attribute__((vector_size(16)));

enum { BLOCK = sizeof(block) };

#if defined(__SSE2__)
#include <emmintrin.h>
#define HAS_BLOCKS   1
#define ANSWER_BITS  1
#define ONE_BIT_EACH 0xffff

static inline uint64_t word_of(answers v)
{
    return (unsigned)_mm_movemask_epi8((__m128i)v);
}

#elif defined(__ARM_NEON) && defined(__ORDER_LITTLE_ENDIAN__) &&                                   \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#define HAS_BLOCKS   1
#define ANSWER_BITS  4
#define ONE_BIT_EACH 0x1111111111111111

static inline uint64_t word_of(answers v)
{
    uint8x8_t nibbles = vshrn_n_u16((uint16x8_t)v, 4);
    return vget_lane_u64((uint64x1_t)nibbles, 0);
}
#endif

#if defined(HAS_BLOCKS)
static inline block block_load(const uint8_t *from)
{
    block v;
    memcpy(&v, from, BLOCK);
    return v;
}

static inline void block_store(uint8_t *to, block v)
{
    memcpy(to, &v, BLOCK);
}

/* ASCII but for control characters and the quote: flipping the second bit puts 0x22 next to those;
 * signed, the bytes from 0x80 on stand below them. */
static inline answers above_quote(block v)
{
    return (answers)(v ^ 2) > 0x20;
}

static inline answers is_backslash(block v)
{
    return (answers)(v == '\\');
}

static inline answers no_plain_ascii(block v)
{
    return ~above_quote(v) | is_backslash(v);
}

static inline answers beyond_ascii(block v)
{
    return (answers)v < 0;
}
#endif

#endif
