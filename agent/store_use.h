/*
 * Whether a machine uses an ext4 file system: ext4's multiple mount protection (MMP). A kernel that
 * has it mounted writes a new number to one of its blocks every few seconds, and a word for "free"
 * when it unmounts. A machine that lost its power has left its last number, which does not change
 * any more.
 */
#ifndef MVM_STORE_USE_H
#define MVM_STORE_USE_H

#include <stdbool.h>
#include <stdint.h>

/* What the superblock states. */
struct mvm_store_state {
    bool clean;         /* unmounted in order, and without known errors */
    bool is_protected;  /* by MMP */
    uint64_t end;       /* of the file system on the disk, in bytes */
    uint8_t block_bits; /* a block has 2 to the power of it bytes */
    uint64_t block_at;  /* protected: the block's place on the disk, in bytes */
    unsigned watch_s;   /* protected: how long a number must not change to be a dead machine's */
};

enum mvm_store_use {
    MVM_STORE_FREE,
    MVM_STORE_LEFT, /* its last user did not release it, and is gone */
    MVM_STORE_USED,
    MVM_STORE_USE_UNKNOWN, /* errno */
};

/* Reads the superblock of the ext4 file system on `fd`. False: errno. */
bool mvm_store_state(int fd, struct mvm_store_state *s);

/* Whether it is marked as free. */
bool mvm_store_is_free(const char *device, const struct mvm_store_state *s);

/* Takes watch_s seconds if it is not free. */
enum mvm_store_use mvm_store_use(const char *device, const struct mvm_store_state *s);

#endif
