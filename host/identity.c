#define _GNU_SOURCE
#include "identity.h"
#include "id.h"
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
    uint8_t bytes[MVM_ID_FRESH_LEN / 2];
    if (!read_random(bytes, sizeof bytes)) {
        return false;
    }
    mvm_id_write(id, bytes, sizeof bytes);
    return true;
}
