/*
 * Vectors of bytes, by the extension that gcc and clang share, and what each machine adds to it.
 * HAS_BLOCKS is defined if the compiler's options allow one of them: SSE2, AVX2 (twice as wide),
 * AVX-512 (twice that) or NEON.
 *
 * A predicate's result for each byte is its top bit: set is yes, the bits below mean nothing. So
 * results are joined by | and ^, and a byte itself is the result of whether it is beyond ASCII.
 * word_of makes one word of a block's results, ANSWER_BITS for each byte, one of them kept by
 * ONE_BIT_EACH.
 */
#ifndef MVM_BLOCK_H
#define MVM_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512BW__)
#include <immintrin.h>
#define HAS_BLOCKS   1
#define ANSWER_BITS  1
#define ONE_BIT_EACH 0xffffffffffffffff
typedef uint8_t block __attribute__((vector_size(64)));
typedef int8_t signed_block __attribute__((vector_size(64)));

static inline block add_saturating(block a, block b)
{
    return (block)_mm512_adds_epu8((__m512i)a, (__m512i)b);
}

static inline block sub_saturating(block a, block b)
{
    return (block)_mm512_subs_epu8((__m512i)a, (__m512i)b);
}

static inline block larger(block a, block b)
{
    return (block)_mm512_max_epu8((__m512i)a, (__m512i)b);
}

static inline uint64_t word_of(block answers)
{
    return _mm512_movepi8_mask((__m512i)answers);
}

/* Less than a block: the rest is zero. */
#define HAS_PARTS
static inline block part_load(const uint8_t *from, size_t len)
{
    return (block)_mm512_maskz_loadu_epi8(((uint64_t)1 << len) - 1, from);
}

static inline void part_store(uint8_t *to, size_t len, block v)
{
    _mm512_mask_storeu_epi8(to, ((uint64_t)1 << len) - 1, (__m512i)v);
}

#elif defined(__AVX2__)
#include <immintrin.h>
#define HAS_BLOCKS   1
#define ANSWER_BITS  1
#define ONE_BIT_EACH 0xffffffff
typedef uint8_t block __attribute__((vector_size(32)));
typedef int8_t signed_block __attribute__((vector_size(32)));

static inline block add_saturating(block a, block b)
{
    return (block)_mm256_adds_epu8((__m256i)a, (__m256i)b);
}

static inline block sub_saturating(block a, block b)
{
    return (block)_mm256_subs_epu8((__m256i)a, (__m256i)b);
}

static inline block larger(block a, block b)
{
    return (block)_mm256_max_epu8((__m256i)a, (__m256i)b);
}

static inline uint64_t word_of(block answers)
{
    return (unsigned)_mm256_movemask_epi8((__m256i)answers);
}

#elif defined(__SSE2__)
#include <emmintrin.h>
#define HAS_BLOCKS   1
#define ANSWER_BITS  1
#define ONE_BIT_EACH 0xffff
typedef uint8_t block __attribute__((vector_size(16)));
typedef int8_t signed_block __attribute__((vector_size(16)));

static inline block add_saturating(block a, block b)
{
    return (block)_mm_adds_epu8((__m128i)a, (__m128i)b);
}

static inline block sub_saturating(block a, block b)
{
    return (block)_mm_subs_epu8((__m128i)a, (__m128i)b);
}

static inline block larger(block a, block b)
{
    return (block)_mm_max_epu8((__m128i)a, (__m128i)b);
}

static inline uint64_t word_of(block answers)
{
    return (unsigned)_mm_movemask_epi8((__m128i)answers);
}

#elif defined(__ARM_NEON) && defined(__ORDER_LITTLE_ENDIAN__) &&                                   \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#define HAS_BLOCKS   1
#define ANSWER_BITS  4
#define ONE_BIT_EACH 0x1111111111111111
typedef uint8_t block __attribute__((vector_size(16)));
typedef int8_t signed_block __attribute__((vector_size(16)));

static inline block add_saturating(block a, block b)
{
    return (block)vqaddq_u8((uint8x16_t)a, (uint8x16_t)b);
}

static inline block sub_saturating(block a, block b)
{
    return (block)vqsubq_u8((uint8x16_t)a, (uint8x16_t)b);
}

static inline block larger(block a, block b)
{
    return (block)vmaxq_u8((uint8x16_t)a, (uint8x16_t)b);
}

static inline uint64_t word_of(block answers)
{
    signed_block yes = (signed_block)answers < 0;
    uint8x8_t nibbles = vshrn_n_u16((uint16x8_t)yes, 4);
    return vget_lane_u64((uint64x1_t)nibbles, 0);
}
#endif

#if defined(HAS_BLOCKS)
#define BLOCK sizeof(block)

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

/* The first byte whose result is yes; the word is not 0. */
static inline size_t first_of(uint64_t word)
{
    return (size_t)__builtin_ctzll(word) / ANSWER_BITS;
}

static inline block each(uint8_t byte)
{
    return (block){0} + byte;
}

/*
 * The escape class of bytes: from ESCAPED_MIN on are control characters, quote and backslash, and
 * what is beyond ASCII unless that is to be plain.
 *
 *     byte                          ^ 0x7d     less 0x1f, 0 at least     ^ 0x3d
 *     00 to 1f, control characters  60 to 7f   41 to 60                  5d to 7f
 *     22, the quote                 5f         40                        7d
 *     others of 20 to 3f            40 to 5e   21 to 3f                  00 to 1f
 *     5c, the backslash             21         02                        3f
 *     others of 40 to 5f            20 to 3f   01 to 20                  1d to 3e
 *     60 to 7f                      00 to 1f   00                        3d
 *     80 to ff, if escaped          80 to ff   61 to e0                  40 to ff
 *     80 to ff, if plain            00 to 7f   00                        3d
 *
 * For the last row both constants have the top bit, which changes nothing for ASCII.
 *
 * Three operations, and one to join blocks by: with one less, no sequence of SSE2's operations on
 * bytes with one constant each does it.
 */
enum beyond { BEYOND_IS_ESCAPED = 0, BEYOND_IS_PLAIN = 0x80 };
enum { ESCAPED_MIN = 0x3f };

static inline block escape_class(block v, enum beyond beyond)
{
    block turned = v ^ each((uint8_t)(0x7d | beyond));
    return sub_saturating(turned, each((uint8_t)(0x1f | beyond))) ^ 0x3d;
}

static inline block is_escaped(block classes)
{
    return add_saturating(classes, each(0x80 - ESCAPED_MIN));
}

/* Whether one of four blocks has a byte that is not plain. */
#if defined(__AVX512BW__)
/* With masked comparisons for the backslash, the first exclusive or is enough. */
static inline bool any_escaped(block a, block b, block c, block d)
{
    const __m512i backslash = (__m512i)each('\\');
    __mmask64 plain = _mm512_cmpneq_epi8_mask((__m512i)a, backslash);
    plain = _mm512_mask_cmpneq_epi8_mask(plain, (__m512i)b, backslash);
    plain = _mm512_mask_cmpneq_epi8_mask(plain, (__m512i)c, backslash);
    plain = _mm512_mask_cmpneq_epi8_mask(plain, (__m512i)d, backslash);
    block highest = larger(larger(a ^ 0x7d, b ^ 0x7d), larger(c ^ 0x7d, d ^ 0x7d));
    plain = _mm512_mask_cmplt_epu8_mask(plain, (__m512i)highest, (__m512i)each(0x5f));
    return plain != ONE_BIT_EACH;
}
#else
static inline bool any_escaped(block a, block b, block c, block d)
{
    block ab = larger(escape_class(a, BEYOND_IS_ESCAPED), escape_class(b, BEYOND_IS_ESCAPED));
    block cd = larger(escape_class(c, BEYOND_IS_ESCAPED), escape_class(d, BEYOND_IS_ESCAPED));
    return word_of(is_escaped(larger(ab, cd))) != 0;
}
#endif
#endif

#endif
