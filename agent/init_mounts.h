/* The file systems that every Linux program expects, and the links in /dev. */
#ifndef MVM_INIT_MOUNTS_H
#define MVM_INIT_MOUNTS_H

/* Mounts what is not mounted yet. A mount that fails is skipped. */
void mvm_init_mounts(void);

/* Unmounts them, before another root file system takes the place of the present one. */
void mvm_init_mounts_undo(void);

/* Logs what could not be mounted; separate from mvm_init_mounts, because before that there may be
 * no console. */
void mvm_init_mounts_say(void);

#endif
