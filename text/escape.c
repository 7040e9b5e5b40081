#include "block.h"
#include "mvm_escape.h"

size_t mvm_escape(uint8_t to[MVM_ESCAPE_CAP], uint8_t byte)
{
    static const char letters[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";
    static const char digits[] = "0123456789abcdef";
    to[0] = '\\';
    to[1] = byte < ' ' ? (uint8_t)letters[byte] : byte;
    to[2] = '0';
    to[3] = '0';
    to[4] = (uint8_t)digits[byte >> 4];
    to[5] = (uint8_t)digits[byte & 15];
    return to[1] == 'u' ? 6 : 2;
}

#if defined(HAS_BLOCKS)
/* The bytes between two escapes are moved as a whole block, which reaches past them on both sides.
 */
enum { FROM_CAP = 2 * BLOCK, TO_CAP = BLOCK * (MVM_ESCAPE_CAP + 1) };

/* `stops`: a word, a bit for each byte to escape. Returns where the copy ends. */
static uint8_t *escape_block(uint8_t *to, const uint8_t *from, uint64_t stops)
{
    size_t at = 0;
    for (; stops != 0; stops &= stops - 1) {
        size_t stop = first_of(stops);
        block_store(to, block_load(from + at));
        to += stop - at;
        to += mvm_escape(to, from[stop]);
        at = stop + 1;
    }
    block_store(to, block_load(from + at));
    return to + (BLOCK - at);
}

size_t mvm_escape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    const uint8_t *begin = to;
    const uint8_t *end = to + cap;
    *used = 0;
    while (len - *used >= FROM_CAP && (size_t)(end - to) >= TO_CAP) {
        block v = block_load(from + *used);
        uint64_t stops = word_of(is_escaped(escape_class(v, BEYOND_IS_PLAIN))) & ONE_BIT_EACH;
        if (stops == 0 || word_of(v) != 0) {
            break;
        }
        to = escape_block(to, from + *used, stops);
        *used += BLOCK;
    }
    return (size_t)(to - begin);
}
#else
size_t mvm_escape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    (void)to, (void)cap, (void)from, (void)len;
    *used = 0;
    return 0;
}
#endif
