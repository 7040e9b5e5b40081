#include "mvm_plain.h"
#include "mvm_utf8.h"
#include <stdbool.h>

/* A vector version is one function: of the sixteen bytes at `bytes`, how many at the front are
 * plain. Signed comparison puts the bytes from 0x80 on below the space, with the controls. */
#if defined(__SSE2__)
#include <emmintrin.h>
#define HAS_VECTOR 1

static size_t plain_of_16(const uint8_t *bytes)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    int stops = _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
    return (size_t)__builtin_ctz((unsigned)stops | 0x10000);
}
#elif defined(__ARM_NEON) && defined(__ORDER_LITTLE_ENDIAN__) &&                                   \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#define HAS_VECTOR 1

static size_t plain_of_16(const uint8_t *bytes)
{
    uint8x16_t v = vld1q_u8(bytes);
    uint8x16_t low = vcltq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(' '));
    uint8x16_t quote = vceqq_u8(v, vdupq_n_u8('"'));
    uint8x16_t slash = vceqq_u8(v, vdupq_n_u8('\\'));
    uint8x16_t stops = vorrq_u8(low, vorrq_u8(quote, slash));
    uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8(stops), 4); /* four bits a byte */
    uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(nibbles), 0);
    return bits == 0 ? 16 : (size_t)__builtin_ctzll(bits) / 4;
}
#endif

#if defined(HAS_VECTOR)
size_t mvm_plain_ascii(const uint8_t *bytes, size_t len)
{
    if (len < 16) {
        return mvm_plain_ascii_portable(bytes, len);
    }
    size_t at = 0;
    for (; len - at >= 16; at += 16) {
        size_t plain = plain_of_16(bytes + at);
        if (plain < 16) {
            return at + plain;
        }
    }
    at = len - 16; /* the end: the last sixteen, some of them known to be plain */
    return at + plain_of_16(bytes + at);
}
#else
size_t mvm_plain_ascii(const uint8_t *bytes, size_t len)
{
    return mvm_plain_ascii_portable(bytes, len);
}
#endif

size_t mvm_plain_run(const uint8_t *bytes, size_t len)
{
    size_t at = mvm_plain_ascii(bytes, len);
    while (at < len && bytes[at] >= 0x80) {
        int character = mvm_utf8_next(bytes + at, len - at);
        if (character <= 0) {
            return at;
        }
        at += (size_t)character;
        if (at < len && bytes[at] < 0x80) {
            at += mvm_plain_ascii(bytes + at, len - at);
        }
    }
    return at;
}
