#include "block.h"
#include "mvm_escape.h"
#include "mvm_utf8.h"

char mvm_escape_meaning(uint8_t letter)
{
    static const char meanings['t' - '"' + 1] = {
        ['"' - '"'] = '"',  ['/' - '"'] = '/',  ['\\' - '"'] = '\\', ['b' - '"'] = '\b',
        ['f' - '"'] = '\f', ['n' - '"'] = '\n', ['r' - '"'] = '\r',  ['t' - '"'] = '\t',
    };
    unsigned at = letter - (unsigned)'"';
    return at < sizeof meanings ? meanings[at] : '\0';
}

unsigned mvm_hex_digit(uint8_t digit)
{
    unsigned letter = (digit | 0x20u) - 'a'; /* digits stay what they are */
    unsigned value = digit - (unsigned)'0';
    return value < 10 ? value : letter < 6 ? letter + 10 : MVM_NO_HEX_DIGIT;
}

#if defined(HAS_BLOCKS)
enum { ESCAPE_LEN = 2, UNICODE_LEN = 6 };

/* An escape at from[0 … 5], unless it is a surrogate or not valid. Returns its length, or 0. */
static size_t unescape(uint8_t *to, size_t *made, const uint8_t *from)
{
    char meaning = mvm_escape_meaning(from[1]);
    if (meaning != '\0') {
        to[0] = (uint8_t)meaning;
        *made = 1;
        return ESCAPE_LEN;
    }
    unsigned a = mvm_hex_digit(from[2]), b = mvm_hex_digit(from[3]), c = mvm_hex_digit(from[4]),
             d = mvm_hex_digit(from[5]);
    unsigned unit = a << 12 | b << 8 | c << 4 | d;
    if (from[1] != 'u' || (a | b | c | d) > 15 || (unit & 0xf800) == 0xd800) {
        return 0;
    }
    *made = mvm_utf8_put(to, unit);
    return UNICODE_LEN;
}

/* The stops from byte `at` of the block on. */
static inline uint64_t stops_from(uint64_t stops, size_t at)
{
    return at < BLOCK ? stops & ~(uint64_t)0 << at * ANSWER_BITS : 0;
}

/* One block, and what an escape at its end reaches beyond it. What is between two escapes is
 * moved as a whole block. Returns how many bytes are done: less than a block if something else than
 * an escape stopped it. */
static size_t unescape_block(uint8_t **to, const uint8_t *from, uint64_t stops)
{
    size_t at = 0;
    while (stops != 0) {
        size_t stop = first_of(stops);
        size_t made = 0;
        block_store(*to, block_load(from + at));
        *to += stop - at;
        size_t len = from[stop] == '\\' ? unescape(*to, &made, from + stop) : 0;
        if (len == 0) {
            return stop;
        }
        *to += made;
        at = stop + len;
        stops = stops_from(stops, at);
    }
    if (at < BLOCK) {
        block_store(*to, block_load(from + at));
        *to += BLOCK - at;
        at = BLOCK;
    }
    return at;
}

/* If an escape ends just before the block's last byte, a whole block is read from there, and
 * written to a byte before it at the latest, because an escape is longer than the character that it
 * encodes. */
enum { FROM_CAP = 2 * BLOCK - 1, TO_CAP = 2 * BLOCK - 2 };

size_t mvm_unescape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    const uint8_t *begin = to;
    const uint8_t *end = to + cap;
    size_t done = BLOCK;
    *used = 0;
    while (done >= BLOCK && len - *used >= FROM_CAP && (size_t)(end - to) >= TO_CAP) {
        uint64_t stops =
            word_of(is_escaped(escape_class(block_load(from + *used), BEYOND_IS_ESCAPED)));
        if (stops == 0) {
            break;
        }
        done = unescape_block(&to, from + *used, stops & ONE_BIT_EACH);
        *used += done;
    }
    return (size_t)(to - begin);
}
#else
size_t mvm_unescape_copy(uint8_t *to, size_t cap, const uint8_t *from, size_t len, size_t *used)
{
    (void)to, (void)cap, (void)from, (void)len;
    *used = 0;
    return 0;
}
#endif
