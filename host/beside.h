/*
 * The folders that are made beside the one of --output: ".NAME.new-PID" for the set that a process
 * receives, ".NAME.old-PID" for one that it has moved away. Only a folder that has nothing but
 * artifacts is ever taken for one of these, or replaced.
 */
#ifndef MVM_BESIDE_H
#define MVM_BESIDE_H

#include "mvm_text.h"

enum mvm_beside {
    MVM_BESIDE_NEW,
    MVM_BESIDE_OLD,
};

/* Writes the name that this process uses beside `name`. */
void mvm_beside_name(enum mvm_beside kind, const char *name, char *to, size_t cap);

/* NAME, within `entry`; no bytes: it is not such a name, of any process. */
struct mvm_text mvm_beside_parse(enum mvm_beside kind, const char *entry);

enum mvm_beside_found {
    MVM_BESIDE_ALONE,    /* artifacts alone, or nothing */
    MVM_BESIDE_STRANGER, /* a file that is not an artifact */
    MVM_BESIDE_ERROR,    /* not a directory, or cannot be read: errno says why */
};

/* What the directory `name` in `parent` has. A symbolic link is not a directory. `stranger` has
 * room for NAME_MAX + 1 bytes, or is NULL. */
enum mvm_beside_found mvm_beside_look(int parent, const char *name, char *stranger);

#endif
