#define _GNU_SOURCE
#include "store_use.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Places and values of the superblock's fields, and of the MMP block's. */
enum {
    SUPERBLOCK = 1024,
    BLOCKS = 0x4,
    BLOCKS_HIGH = 0x150,
    STATE = 0x3A,
    STATE_VALID = 1,
    STATE_ERRORS = 2,
    INCOMPATIBLE = 0x60,
    NEEDS_RECOVERY = 0x4,
    HAS_64_BITS = 0x80,
    HAS_MMP = 0x100,
    BLOCK_SIZE = 0x18, /* its logarithm, from 1024 on */
    BLOCK_SIZE_MAX = 6,
    MMP_INTERVAL = 0x166,
    MMP_BLOCK = 0x168,
    SUPERBLOCK_LEN = MMP_BLOCK + 8,
    MMP_NUMBER = 4, /* and the time of its last change, by machines and by e2fsck */
    MMP_STATE_LEN = 12,
    MMP_INTERVAL_LEAST = 5,
    MMP_INTERVAL_MOST = 60,
    PIECE = 4096, /* of one read: direct reads need whole sectors */
};

#define MMP_FREE 0xFF4D4D50u

static uint64_t number_at(const uint8_t *bytes, size_t len)
{
    uint64_t n = 0;
    for (size_t i = len; i > 0; i--) {
        n = n << 8 | bytes[i - 1];
    }
    return n;
}

/* Where the file system ends; past any disk if its superblock is unsound. */
static uint64_t end_of(const uint8_t *b, uint64_t features, uint64_t size)
{
    uint64_t blocks = number_at(b + BLOCKS, 4);
    if ((features & HAS_64_BITS) != 0) {
        blocks |= number_at(b + BLOCKS_HIGH, 4) << 32;
    }
    return size > BLOCK_SIZE_MAX ? UINT64_MAX : blocks << (10 + size);
}

bool mvm_store_state(int fd, struct mvm_store_state *s)
{
    uint8_t b[SUPERBLOCK_LEN];
    if (pread(fd, b, sizeof b, SUPERBLOCK) != (ssize_t)sizeof b) {
        return false;
    }
    uint64_t state = number_at(b + STATE, 2);
    uint64_t features = number_at(b + INCOMPATIBLE, 4);
    uint64_t size = number_at(b + BLOCK_SIZE, 4);
    uint64_t interval = number_at(b + MMP_INTERVAL, 2);
    interval = interval < MMP_INTERVAL_LEAST ? MMP_INTERVAL_LEAST : interval;
    interval = interval > MMP_INTERVAL_MOST ? MMP_INTERVAL_MOST : interval;
    *s = (struct mvm_store_state){
        .clean = (state & (STATE_VALID | STATE_ERRORS)) == STATE_VALID &&
                 (features & NEEDS_RECOVERY) == 0,
        .is_protected = (features & HAS_MMP) != 0 && size <= BLOCK_SIZE_MAX,
        .end = end_of(b, features, size),
        .block_bits = (uint8_t)(10 + (size > BLOCK_SIZE_MAX ? 0 : size)),
        .watch_s = (unsigned)(2 * interval + 1),
    };
    if (s->is_protected) {
        s->block_at = number_at(b + MMP_BLOCK, 8) << (10 + size);
    }
    return true;
}

/* From the disk itself: another machine's writes do not reach this one's cache. */
static bool read_mmp(const char *device, const struct mvm_store_state *s, uint8_t *bytes)
{
    static _Alignas(PIECE) uint8_t piece[PIECE];
    uint64_t start = s->block_at / PIECE * PIECE;
    int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = pread(fd, piece, sizeof piece, (off_t)start);
    int error = n < 0 ? errno : EIO;
    close(fd);
    errno = error;
    memcpy(bytes, piece + (s->block_at - start) + MMP_NUMBER, MMP_STATE_LEN);
    return n == (ssize_t)sizeof piece;
}

bool mvm_store_is_free(const char *device, const struct mvm_store_state *s)
{
    uint8_t now[MMP_STATE_LEN];
    return !s->is_protected || (read_mmp(device, s, now) && number_at(now, 4) == MMP_FREE);
}

enum mvm_store_use mvm_store_use(const char *device, const struct mvm_store_state *s)
{
    uint8_t before[MMP_STATE_LEN];
    uint8_t after[MMP_STATE_LEN];
    if (!s->is_protected) {
        return MVM_STORE_FREE;
    }
    if (!read_mmp(device, s, before)) {
        return MVM_STORE_USE_UNKNOWN;
    }
    if (number_at(before, 4) == MMP_FREE) {
        return MVM_STORE_FREE;
    }
    poll(NULL, 0, (int)s->watch_s * 1000);
    if (!read_mmp(device, s, after)) {
        return MVM_STORE_USE_UNKNOWN;
    }
    return memcmp(before, after, sizeof before) == 0 ? MVM_STORE_LEFT : MVM_STORE_USED;
}
