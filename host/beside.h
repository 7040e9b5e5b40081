/*
 * The names of the folders that are made beside the one of --output: ".NAME.new-PID" for the set
 * that a process receives, ".NAME.old-PID" for one that it has moved away.
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

#endif
