#define _GNU_SOURCE
#include "identity.h"
#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

/* The kernel gives so few bytes whole, or none. */
static bool read_random(void *bytes, size_t len)
{
    ssize_t n;
    do {
        n = getrandom(bytes, len, 0);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}

bool mvm_id_make(char id[MVM_ID_FRESH_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[MVM_ID_FRESH_LEN / 2];
    if (!read_random(bytes, sizeof bytes)) {
        return false;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = digits[bytes[i] >> 4];
        id[2 * i + 1] = digits[bytes[i] & 15];
    }
    id[MVM_ID_FRESH_LEN] = '\0';
    return true;
}
