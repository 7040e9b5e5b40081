#include "block.h"
#include "mvm_plain.h"
#include "mvm_utf8.h"
#include <stdbool.h>

#if defined(HAS_BLOCKS)
enum { FOUR = 4 * BLOCK };

static void put_block(uint8_t *to, block v)
{
    if (to != NULL) {
        block_store(to, v);
    }
}

static uint8_t *ahead(uint8_t *to, size_t n)
{
    return to != NULL ? to + n : NULL;
}

/* The first byte that was answered yes, or BLOCK. */
static size_t first_of(answers v)
{
    uint64_t word = word_of(v);
    return word == 0 ? BLOCK : (size_t)__builtin_ctzll(word) / ANSWER_BITS;
}

/* Four blocks at a time, while all is plain ASCII. */
static size_t copy_fours(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
    for (; len - at >= FOUR; at += FOUR) {
        const uint8_t *four = from + at;
        block a = block_load(four), b = block_load(four + 16), c = block_load(four + 32),
              d = block_load(four + 48);
        if (to != NULL) {
            block_store(to + at, a);
            block_store(to + at + 16, b);
            block_store(to + at + 32, c);
            block_store(to + at + 48, d);
        }
        answers above = above_quote(a) & above_quote(b) & above_quote(c) & above_quote(d);
        answers slash = is_backslash(a) | is_backslash(b) | is_backslash(c) | is_backslash(d);
        if (word_of(~above | slash) != 0) {
            break;
        }
    }
    return at;
}

/* Blocks of plain ASCII, and what is plain of the one that ends them; the last block reaches back
 * over bytes that are known. Fewer than a block are left only where there were no more. */
static size_t copy_ascii(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
    while (at < len) {
        at = len - at < BLOCK ? len - BLOCK : at;
        block v = block_load(from + at);
        put_block(ahead(to, at), v);
        size_t plain = first_of(no_plain_ascii(v));
        at += plain;
        if (plain < BLOCK) {
            return at;
        }
        at += copy_fours(ahead(to, at), from + at, len - at);
    }
    return at;
}

/*
 * Bytes that are ill formed where they stand, given the bytes one, two and three places before
 * each. A byte must be a continuation if and only if one of those leads a sequence that long; the
 * second byte of some has narrower bounds; some bytes lead nothing (RFC 3629, section 4).
 */
static answers ill_formed(block v, block one, block two, block three)
{
    answers is_continuation = (answers)v < (int8_t)0xc0;
    answers is_free = (answers)((one < 0xc0) & (two < 0xe0) & (three < 0xf0));
    answers from_90 = (answers)v >= (int8_t)0x90; /* signed: of continuations, the rest is caught */
    answers from_a0 = (answers)v >= (int8_t)0xa0;
    answers bounds = (~from_a0 & (answers)(one == 0xe0)) | (from_a0 & (answers)(one == 0xed)) |
                     (~from_90 & (answers)(one == 0xf0)) | (from_90 & (answers)(one == 0xf4));
    answers leads_nothing = (answers)((v & 0xfe) == 0xc0) | (answers)(v >= 0xf5);
    return (answers)(is_continuation == is_free) | bounds | leads_nothing;
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
        answers ill =
            ill_formed(v, block_load(here - 1), block_load(here - 2), block_load(here - 3));
        answers beyond = beyond_ascii(v);
        if (word_of(ill | (no_plain_ascii(v) & ~beyond)) != 0) {
            break;
        }
        put_block(ahead(to, at), v);
        mixed = word_of(beyond) != 0;
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
