#include "block.h"
#include "mvm_plain.h"
#include "mvm_utf8.h"
#include <stdbool.h>

#if defined(HAS_BLOCKS)
enum { FOUR = 4 * BLOCK };

static void put_block(uint8_t *to, size_t at, block v)
{
    if (to != NULL) {
        block_store(to + at, v);
    }
}

static uint8_t *ahead(uint8_t *to, size_t n)
{
    return to != NULL ? to + n : NULL;
}

/* The bytes of a block that are plain ASCII, up to one that is not. */
static inline size_t copy_block(uint8_t *to, const uint8_t *from)
{
    block v = block_load(from);
    put_block(to, 0, v);
    uint64_t stops = word_of(is_odd(rank(v, BEYOND_IS_ODD)));
    return stops == 0 ? BLOCK : first_of(stops);
}

#if !defined(__OPTIMIZE_SIZE__)
/* Four blocks. True: all is plain ASCII. */
static inline bool copy_four(uint8_t *to, const uint8_t *from)
{
    block a = block_load(from), b = block_load(from + BLOCK), c = block_load(from + 2 * BLOCK),
          d = block_load(from + 3 * BLOCK);
    block_store(to, a);
    block_store(to + BLOCK, b);
    block_store(to + 2 * BLOCK, c);
    block_store(to + 3 * BLOCK, d);
    block ab = larger(rank(a, BEYOND_IS_ODD), rank(b, BEYOND_IS_ODD));
    block cd = larger(rank(c, BEYOND_IS_ODD), rank(d, BEYOND_IS_ODD));
    return word_of(is_odd(larger(ab, cd))) == 0;
}

/* Plain ASCII, four blocks at a time: where that ends, the end or a stop is less than four blocks
 * ahead. The last four, where one block would not do, reach back over bytes that are known. */
static size_t copy_fours(uint8_t *to, const uint8_t *from, size_t len, size_t at)
{
    for (; len - at >= FOUR; at += FOUR) {
        if (!copy_four(to + at, from + at)) {
            return at;
        }
    }
    bool reaches = len - at > BLOCK && len >= FOUR;
    return reaches && copy_four(to + len - FOUR, from + len - FOUR) ? len : at;
}
#else
static size_t copy_fours(uint8_t *to, const uint8_t *from, size_t len, size_t at)
{
    (void)to, (void)from, (void)len;
    return at;
}
#endif

/* Plain ASCII; there is a block at least. The last one reaches back like the last four. */
static size_t copy_ascii(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t plain = copy_block(to, from);
    size_t at = plain;
    if (plain == BLOCK && to != NULL) {
        at = copy_fours(to, from, len, at);
    }
    while (at < len && plain == BLOCK) {
        at = len - at < BLOCK ? len - BLOCK : at;
        plain = copy_block(ahead(to, at), from + at);
        at += plain;
    }
    return at;
}

#if !defined(__OPTIMIZE_SIZE__)
/* `least`: from 0x80 on. */
static inline block at_least(block v, uint8_t least)
{
    return sub_saturating(v, each((uint8_t)(least - 0x80)));
}

/*
 * Bytes that are ill formed where they stand, given the bytes one, two and three places before
 * each. A byte must be a continuation if and only if one of those leads a sequence that long; the
 * second byte of some has narrower bounds; some bytes lead nothing (RFC 3629, section 4).
 */
static block is_ill_formed(block v, block one, block two, block three)
{
    block is_led = at_least(one, 0xc0) | at_least(two, 0xe0) | at_least(three, 0xf0);
    block is_continuation = v & ~at_least(v, 0xc0);
    /* Of continuations; signed. E0 wants a second byte from A0 on, ED one below that; F0 wants one
     * from 90 on, F4 one below. A lead with a byte that is too low is made its partner, which has
     * one that is too high. */
    block below_a0 = (block)((signed_block)v < (int8_t)0xa0);
    block below_90 = (block)((signed_block)v < (int8_t)0x90);
    block bounds = (block)((one ^ (below_a0 & (0xe0 ^ 0xed))) == 0xed) |
                   (block)((one ^ (below_90 & (0xf0 ^ 0xf4))) == 0xf4);
    block leads_nothing = at_least(v, 0xf5) | (block)((v & 0xfe) == 0xc0);
    return (is_led ^ is_continuation) | bounds | leads_nothing;
}

/* Blocks of characters, until one is all ASCII, or holds a byte that is ill formed or stops a run.
 * Begins and ends between characters; the three bytes before `from` are there to be looked at. */
static size_t copy_characters(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
    bool mixed = true;
    while (len - at >= BLOCK && mixed) {
        const uint8_t *here = from + at;
        block v = block_load(here);
        block ill =
            is_ill_formed(v, block_load(here - 1), block_load(here - 2), block_load(here - 3));
        if (word_of(ill | is_odd(rank(v, BEYOND_IS_PLAIN))) != 0) {
            break;
        }
        put_block(to, at, v);
        mixed = word_of(v) != 0;
        at += BLOCK;
    }
    return mvm_utf8_boundary(from, at);
}

/* A run that goes on beyond ASCII. `at` bytes of it are copied. Apart from the rest so that runs of
 * plain ASCII do not pay for the registers it needs. */
__attribute__((noinline)) static size_t copy_mixed(uint8_t *to, const uint8_t *from, size_t len,
                                                   size_t at)
{
    size_t n = 1;
    while (len - at >= BLOCK && n > 0 && from[at] >= 0x80) {
        if (at < 3) {
            n = mvm_plain_copy_portable(ahead(to, at), from + at, 4);
        } else {
            n = copy_characters(ahead(to, at), from + at, len - at);
        }
        at += n;
        if (len - at >= BLOCK) {
            at += copy_ascii(ahead(to, at), from + at, len - at);
        }
    }
    return at + mvm_plain_copy_portable(ahead(to, at), from + at, len - at);
}
#else
/* Character by character. */
static size_t copy_mixed(uint8_t *to, const uint8_t *from, size_t len, size_t at)
{
    return at + mvm_plain_copy_portable(ahead(to, at), from + at, len - at);
}
#endif

size_t mvm_plain_copy(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len < BLOCK) {
        return mvm_plain_copy_portable(to, from, len);
    }
    size_t at = copy_ascii(to, from, len);
    return at == len || from[at] < 0x80 ? at : copy_mixed(to, from, len, at);
}
#else
size_t mvm_plain_copy(uint8_t *to, const uint8_t *from, size_t len)
{
    return mvm_plain_copy_portable(to, from, len);
}
#endif
