/* Messages about files of this machine name them as the command line did, so that they are not
 * taken for the guest's: "--output out/kernel: No space left on device". */
#ifndef MVM_LOCAL_PATH_H
#define MVM_LOCAL_PATH_H

#include "mvm_text.h"

/* What the folder on the command line is for. */
#define MVM_LOCAL_PATH_OUTPUT "--output "
#define MVM_LOCAL_PATH_SEND   "send:"

/* Writes "FOLDER/PATH" to `to`, or "FOLDER" if `path` is empty. Slashes at the end of FOLDER are
 * dropped. */
void mvm_local_path_join(char *to, size_t cap, const char *folder, const char *path);

/* Adds "WHAT FOLDER/PATH: REASON", of a long path its end. Returns false. */
bool mvm_local_path_fail(struct mvm_writer *why, const char *what, const char *folder,
                         const char *path, const char *reason);

#endif
