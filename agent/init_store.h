/*
 * A nix store that outlives the machine: an ext4 file system on its own disk, mounted on /nix. What
 * one boot fetches or builds is there in the next.
 */
#ifndef MVM_INIT_STORE_H
#define MVM_INIT_STORE_H

#include "options.h"

/* Mounts o->store on /nix, unless another machine uses it, see store_use.h and store_claim.h. An
 * empty disk is watched for 11 s and formatted, one that is not clean is checked, a file system
 * that is smaller than its disk grows. A new one gets what the root file system has in /nix. Adds
 * nix's options min-free and max-free, for a tenth and a quarter of the disk, unless `o` has them.
 * Uses mkfs.ext4, e2fsck, tune2fs and cp of the root file system. False: the reason is logged, and
 * builds use the root's own /nix. */
bool mvm_init_store(struct mvm_options *o);

#endif
