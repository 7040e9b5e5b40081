#include "mvm_scan.h"

size_t mvm_scan_plain_portable(const uint8_t *bytes, size_t len)
{
    size_t i = 0;
    while (i < len && bytes[i] >= 0x20 && bytes[i] < 0x80 && bytes[i] != '"' && bytes[i] != '\\') {
        i++;
    }
    return i;
}

#if defined __SSE2__
#include <emmintrin.h>

size_t mvm_scan_plain(const uint8_t *bytes, size_t len)
{
    const __m128i space = _mm_set1_epi8(0x20);
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    size_t i = 0;
    while (len - i >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        /* As signed bytes, 0x80 … 0xff are below 0x20, too. */
        __m128i odd =
            _mm_or_si128(_mm_cmplt_epi8(v, space),
                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(odd);
        if (mask != 0) {
            return i + (size_t)__builtin_ctz(mask);
        }
        i += 16;
    }
    return i + mvm_scan_plain_portable(bytes + i, len - i);
}

#elif defined __ARM_NEON && defined __aarch64__
#include <arm_neon.h>

size_t mvm_scan_plain(const uint8_t *bytes, size_t len)
{
    size_t i = 0;
    while (len - i >= 16) {
        uint8x16_t v = vld1q_u8(bytes + i);
        uint8x16_t odd =
            vorrq_u8(vcltq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(0x20)),
                     vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\'))));
        if (vmaxvq_u8(odd) != 0) {
            break;
        }
        i += 16;
    }
    return i + mvm_scan_plain_portable(bytes + i, len - i);
}

#else

size_t mvm_scan_plain(const uint8_t *bytes, size_t len)
{
    return mvm_scan_plain_portable(bytes, len);
}

#endif
