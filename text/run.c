#include "block.h"
#include "mvm_run.h"
#include "mvm_utf8.h"
#include <stdbool.h>

#if defined(HAS_BLOCKS)
enum { FOUR = 4 * BLOCK, MANY = 16 * BLOCK };

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
    uint64_t stops = word_of(is_escaped(escape_class(v, BEYOND_IS_ESCAPED)));
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
    return !any_escaped(a, b, c, d);
}

/* Plain ASCII, four blocks at a time: where that ends, the end or a stop is less than four blocks
 * ahead. The last four, if one block is not enough, reach back over bytes that are known. */
static size_t copy_fours(uint8_t *to, const uint8_t *from, size_t len, size_t at)
{
    if (BLOCK > 16 && len >= MANY) {
        /* Stores that cross a cache line cost twice; of narrow ones few do. */
        at -= (uintptr_t)(to + at) % BLOCK;
    }
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
/*
 * Facts about blocks that are not ASCII, ORed over some of them so that one test covers all.
 *
 * A byte must be a continuation if and only if the byte one, two or three places before it leads a
 * sequence that long; the second byte of some has narrower bounds; some bytes lead nothing (RFC
 * 3629, section 4). F4, which has bounds too but is rare, always counts as doubtful.
 */
struct look {
    block ill;       /* top bit: a byte that is ill formed in its context */
    block surrogate; /* 0x20: one too high behind an ED */
    block classes;   /* the highest escape class */
    block high;      /* the highest byte: F4 and above are in doubt */
    block overlong;  /* the highest of the bytes ^ 0x3f: C0 and C1 alone are 0xfe and above */
};

/* `least`: from 0x80 on. */
static inline block at_least(block v, uint8_t least)
{
    return sub_saturating(v, each((uint8_t)(least - 0x80)));
}

static inline void add_block(struct look *l, block v, const uint8_t *from)
{
    block one = block_load(from - 1), two = block_load(from - 2), three = block_load(from - 3);
    block is_led = at_least(one, 0xc0) | at_least(two, 0xe0) | at_least(three, 0xf0);
    block is_continuation = (block)((signed_block)v < (int8_t)0xc0);
    /* Of continuations: E0 requires one from A0 on, F0 from 90 on; both sums are 0x180. */
    block is_low = ~(one + v) & (block)((one & 0xef) == 0xe0);
    l->ill |= (is_led ^ is_continuation) | is_low;
    l->surrogate |= v & (block)(one == 0xed);
    l->classes = larger(l->classes, escape_class(v, BEYOND_IS_PLAIN));
    l->high = larger(l->high, v);
    l->overlong = larger(l->overlong, v ^ 0x3f);
}

static inline bool is_doubtful(const struct look *l)
{
    block doubts = l->ill | (l->surrogate << 2) | is_escaped(l->classes) | at_least(l->high, 0xf4) |
                   at_least(l->overlong, 0xfe);
    return word_of(doubts) != 0;
}

/* Blocks of characters, until some are all ASCII, or have a doubtful byte. More of them at a time
 * as long as all are valid. Begins and ends between characters; the three bytes before `from` are
 * there to be looked at. */
static size_t copy_characters(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0, most = 2 * BLOCK;
    bool mixed = true;
    while (len - at >= BLOCK && mixed) {
        struct look look = {0};
        size_t whole = (len - at) / BLOCK * BLOCK;
        size_t end = at + (whole < most ? whole : most);
        for (size_t n = at; n < end; n += BLOCK) {
            block v = block_load(from + n);
            put_block(to, n, v);
            add_block(&look, v, from + n);
        }
        if (!is_doubtful(&look)) {
            mixed = word_of(look.high) != 0;
            at = end;
            most = most < MANY ? 2 * most : most;
        } else if (most > BLOCK) {
            most = BLOCK;
        } else {
            break;
        }
    }
    return mvm_utf8_boundary(from, at);
}

/* Continues a run beyond ASCII. `at` bytes of it are copied. Apart from the rest so that runs of
 * plain ASCII do not pay for the registers it needs. */
__attribute__((noinline)) static size_t copy_mixed(uint8_t *to, const uint8_t *from, size_t len,
                                                   size_t at)
{
    while (len - at >= BLOCK && from[at] >= 0x80) {
        size_t n = at < 3 ? 0 : copy_characters(ahead(to, at), from + at, len - at);
        if (n == 0) { /* too near the beginning to look back, or in doubt */
            size_t some = at < 3 ? 4 : BLOCK;
            n = mvm_run_copy_portable(ahead(to, at), from + at, some);
            if (n + 3 < some) { /* a character that `some` cuts has three bytes at most in it */
                return at + n;
            }
        }
        at += n;
        if (len - at >= BLOCK) {
            at += copy_ascii(ahead(to, at), from + at, len - at);
        }
    }
    return at + mvm_run_copy_portable(ahead(to, at), from + at, len - at);
}
#else
/* Character by character. */
static size_t copy_mixed(uint8_t *to, const uint8_t *from, size_t len, size_t at)
{
    return at + mvm_run_copy_portable(ahead(to, at), from + at, len - at);
}
#endif

/* Less than a block. */
static size_t copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
#if defined(HAS_PARTS)
    block v = part_load(from, len);
    if (to != NULL) {
        part_store(to, len, v);
    }
    /* Stops at the end at the latest, since zeros are not plain. */
    at = first_of(word_of(is_escaped(escape_class(v, BEYOND_IS_ESCAPED))));
#endif
    return at + mvm_run_copy_portable(ahead(to, at), from + at, len - at);
}

size_t mvm_run_copy(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len < BLOCK) {
        return len > 0 ? copy_short(to, from, len) : 0; /* neither may be NULL + 0 */
    }
    size_t at = copy_ascii(to, from, len);
    return at == len || from[at] < 0x80 ? at : copy_mixed(to, from, len, at);
}
#else
size_t mvm_run_copy(uint8_t *to, const uint8_t *from, size_t len)
{
    return mvm_run_copy_portable(to, from, len);
}
#endif
