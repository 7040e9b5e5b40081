#include "mvm_utf8.h"

/* The first byte of a character determines how many follow, and bounds the second, which
 * excludes overlong forms, surrogates and code points past U+10FFFF (RFC 3629, section 4). */
static bool begin(struct mvm_utf8 *u, uint8_t lead)
{
    u->low = 0x80;
    u->high = 0xbf;
    if (lead < 0x80) {
        return true;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return false;
    }
    if (lead < 0xe0) {
        u->missing = 1;
    } else if (lead < 0xf0) {
        u->missing = 2;
        u->low = lead == 0xe0 ? 0xa0 : 0x80;
        u->high = lead == 0xed ? 0x9f : 0xbf;
    } else {
        u->missing = 3;
        u->low = lead == 0xf0 ? 0x90 : 0x80;
        u->high = lead == 0xf4 ? 0x8f : 0xbf;
    }
    return true;
}

bool mvm_utf8_check(struct mvm_utf8 *u, uint8_t byte)
{
    if (u->missing == 0) {
        return begin(u, byte);
    }
    if (byte < u->low || byte > u->high) {
        return false;
    }
    u->low = 0x80;
    u->high = 0xbf;
    u->missing--;
    return true;
}

bool mvm_utf8_whole(const struct mvm_utf8 *u)
{
    return u->missing == 0;
}

int mvm_utf8_next(const uint8_t *bytes, size_t len)
{
    struct mvm_utf8 u = {0};
    if (!begin(&u, bytes[0])) {
        return -1;
    }
    int whole = 1 + u.missing;
    for (int at = 1; at < whole; at++) {
        if ((size_t)at == len) {
            return 0;
        }
        if (bytes[at] < u.low || bytes[at] > u.high) {
            return -at;
        }
        u.low = 0x80;
        u.high = 0xbf;
    }
    return whole;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t mvm_utf8_boundary(const uint8_t *bytes, size_t len)
{
    size_t tail = 1; /* bytes from the last non-continuation byte to the end */
    while (tail < 3 && tail < len && is_continuation(bytes[len - tail])) {
        tail++;
    }
    if (tail > len || mvm_utf8_next(bytes + len - tail, tail) != 0) {
        return len;
    }
    return len - tail;
}

size_t mvm_utf8_put(uint8_t *to, uint32_t code)
{
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t at = len - 1; at > 0; at--) {
        to[at] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    to[0] = (uint8_t)(leads[len - 1] | code);
    return len;
}
