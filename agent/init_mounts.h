/* The file systems that every Linux program expects, and the links in /dev. */
#ifndef MVM_INIT_MOUNTS_H
#define MVM_INIT_MOUNTS_H

#include <stdbool.h>

/* Mounts what is not mounted yet. A mount that fails is skipped. With `spare`, as in a container, a
 * directory that can be written is left as it is: others may reach what is in it. */
void mvm_init_mounts(bool spare);

/* Unmounts them, before another root file system takes the place of the present one. */
void mvm_init_mounts_undo(void);

/* Logs what could not be mounted; separate from mvm_init_mounts, because before that there may be
 * no console. */
void mvm_init_mounts_say(void);

#endif
