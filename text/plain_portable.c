#include "mvm_plain.h"
#include "mvm_utf8.h"
#include <string.h>

/* Bytes of the plain character at the front of from[0 … len-1], len ≥ 1; 0: it is none. */
static size_t plain_character(const uint8_t *from, size_t len)
{
    if (*from < 0x80) {
        return *from >= ' ' && *from != '"' && *from != '\\';
    }
    int n = mvm_utf8_next(from, len);
    return n > 0 ? (size_t)n : 0;
}

size_t mvm_plain_copy_portable(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t at = 0;
    size_t n = 0;
    for (; at < len && (n = plain_character(from + at, len - at)) > 0; at += n) {
        if (to != NULL) {
            memcpy(to + at, from + at, n);
        }
    }
    return at;
}
