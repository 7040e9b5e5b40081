/* RFC 3629's table: what may follow a leading byte. */
#include "mvm_utf8.h"

/* Sets up `u` for the bytes behind a leading byte that is not ASCII; false: none begins so. */
static bool lead(struct mvm_utf8 *u, uint8_t byte)
{
    u->low = 0x80;
    u->high = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
        u->missing = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        u->missing = 2;
        u->low = byte == 0xe0 ? 0xa0 : 0x80;  /* no overlong form */
        u->high = byte == 0xed ? 0x9f : 0xbf; /* no surrogate */
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        u->missing = 3;
        u->low = byte == 0xf0 ? 0x90 : 0x80;
        u->high = byte == 0xf4 ? 0x8f : 0xbf; /* nothing over U+10FFFF */
    } else {
        return false;
    }
    return true;
}

bool mvm_utf8_check(struct mvm_utf8 *u, uint8_t byte)
{
    if (u->missing == 0) {
        return byte < 0x80 || lead(u, byte);
    }
    if (byte < u->low || byte > u->high) {
        return false;
    }
    u->missing--;
    u->low = 0x80;
    u->high = 0xbf;
    return true;
}

bool mvm_utf8_whole(const struct mvm_utf8 *u)
{
    return u->missing == 0;
}

int mvm_utf8_next(const uint8_t *bytes, size_t len)
{
    struct mvm_utf8 u = {0, 0, 0};
    int n = 0;
    while ((size_t)n < len) {
        if (!mvm_utf8_check(&u, bytes[n])) {
            return n == 0 ? -1 : -n;
        }
        n++;
        if (u.missing == 0) {
            return n;
        }
    }
    return 0;
}

size_t mvm_utf8_boundary(const uint8_t *bytes, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        uint8_t byte = bytes[len - back];
        if (byte < 0x80 || byte > 0xbf) {
            return mvm_utf8_next(bytes + len - back, back) == 0 ? len - back : len;
        }
    }
    return len;
}
