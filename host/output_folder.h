/*
 * The folders that are made beside the one of --output: ".NAME.new-PID" for the set that a process
 * receives, ".NAME.old-PID" for one that it has moved away. Only a folder that has nothing but
 * artifacts is ever taken for one of these, or replaced.
 */
#ifndef MVM_OUTPUT_FOLDER_H
#define MVM_OUTPUT_FOLDER_H

#include "mvm_text.h"

enum mvm_output_folder {
    MVM_OUTPUT_FOLDER_NEW,
    MVM_OUTPUT_FOLDER_OLD,
};

/* Writes the name that this process uses beside `name`. */
void mvm_output_folder_name(enum mvm_output_folder kind, const char *name, char *to, size_t cap);

/* NAME, within `entry`; no bytes: it is not such a name, of any process. */
struct mvm_text mvm_output_folder_parse(enum mvm_output_folder kind, const char *entry);

enum mvm_output_folder_found {
    MVM_OUTPUT_FOLDER_ALONE,    /* artifacts alone, or nothing */
    MVM_OUTPUT_FOLDER_STRANGER, /* a file that is not an artifact */
    MVM_OUTPUT_FOLDER_ERROR,    /* it is not a directory, or cannot be read: errno says why */
};

/* What the directory `name` in `parent` has. A symbolic link is not a directory. `stranger` has
 * room for NAME_MAX + 1 bytes, or is NULL. */
enum mvm_output_folder_found mvm_output_folder_check(int parent, const char *name, char *stranger);

#endif
