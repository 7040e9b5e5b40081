#define _GNU_SOURCE
#include "store_claim.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { CLAIM_LEN = 4096, ID_LEN = 16 }; /* whole sectors of any disk */

static _Alignas(CLAIM_LEN) uint8_t claim[CLAIM_LEN];

uint64_t mvm_store_claim_at(uint64_t size)
{
    return (size / CLAIM_LEN - 1) * CLAIM_LEN;
}

bool mvm_store_claim_renew(int fd, uint64_t at)
{
    errno = EIO; /* of a short write */
    return pwrite(fd, claim, sizeof claim, (off_t)at) == (ssize_t)sizeof claim;
}

enum mvm_store_use mvm_store_claim(int fd, uint64_t at, int wait_ms)
{
    uint8_t id[ID_LEN];
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id) {
        return MVM_STORE_USE_UNKNOWN;
    }
    memcpy(claim, id, sizeof id);
    if (!mvm_store_claim_renew(fd, at)) {
        return MVM_STORE_USE_UNKNOWN;
    }
    poll(NULL, 0, wait_ms); /* no signal has a handler so early */
    if (pread(fd, claim, sizeof claim, (off_t)at) != (ssize_t)sizeof claim) {
        return MVM_STORE_USE_UNKNOWN;
    }
    return memcmp(claim, id, sizeof id) == 0 ? MVM_STORE_FREE : MVM_STORE_USED;
}
