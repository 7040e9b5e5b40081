/*
 * Memory followed by a page without access, so that reading or writing one byte too many ends the
 * test; and the small generator that the tests with random data share.
 */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { GUARD_LEN = 1 << 18, GUARD_PAGE = 1 << 16, GUARD_AREAS = 2 };

/* The last `len` bytes of area 0 or 1. The area's earlier contents are void. */
static inline uint8_t *guard_end(unsigned area, size_t len)
{
    static uint8_t *areas[GUARD_AREAS];
    if (areas[area] == NULL) {
        areas[area] = mmap(NULL, GUARD_LEN + GUARD_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(areas[area] + GUARD_LEN, GUARD_PAGE, PROT_NONE);
    }
    return areas[area] + GUARD_LEN - len;
}

/* A copy of the bytes, there. */
static inline const uint8_t *guard_copy(unsigned area, const void *bytes, size_t len)
{
    return memcpy(guard_end(area, len), bytes, len);
}

/* xorshift64: the same numbers in every run. `*seed` is never 0. */
static inline uint32_t guard_random(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32) % below;
}

#endif
