/*
 * Which of several machines gets a disk while ext4's multiple mount protection (MMP) cannot decide
 * it: an empty disk has no MMP, and a mount of a free file system does not notice another mount
 * within the time that MMP's first write takes.
 *
 * Each machine writes a random claim to the disk's last 4 KiB, which the file system leaves free,
 * waits, and reads it back. The last one that wrote has the disk. What was there before does not
 * matter: a claim that a dead machine left costs nothing.
 *
 * A machine that claims the disk when another one already has it must notice that after its own
 * wait: by a claim that was renewed, or by what is on the disk then, a file system or MMP's mark.
 * So the machine that has the disk must get from reading its claim to renewing it, from one renewal
 * to the next, and from the last one to that mark, each in less time than the others wait. One that
 * is stopped for longer, and then continues, breaks this, as it breaks MMP.
 *
 * Needs a disk from which all machines read what the last completed write has written.
 */
#ifndef MVM_STORE_CLAIM_H
#define MVM_STORE_CLAIM_H

#include "store_use.h"

/* Where the claim is on a disk of `size` bytes; a file system must end there. */
uint64_t mvm_store_claim_at(uint64_t size);

/* Takes wait_ms. `fd` is open for reading and writing with O_DIRECT, because another machine's
 * writes do not reach this one's cache. MVM_STORE_FREE: the disk is ours; MVM_STORE_USED: it is
 * another machine's; MVM_STORE_USE_UNKNOWN: errno. */
enum mvm_store_use mvm_store_claim(int fd, uint64_t at, int wait_ms);

/* After MVM_STORE_FREE: writes the claim again. False: errno. */
bool mvm_store_claim_renew(int fd, uint64_t at);

#endif
