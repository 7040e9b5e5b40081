/*
 * The names that artifacts have on the wire and in the folder that they are put in. All but the
 * last are names in a build's output; an output that is one file has that name.
 */
#ifndef MVM_ARTIFACT_H
#define MVM_ARTIFACT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the longest name and its terminator. */
enum { MVM_ARTIFACT_NAME_CAP = 32 };

/* Names in the table, at most. */
enum { MVM_ARTIFACTS_MAX = 16 };

/* The name with this index, static; NULL: there are no more. */
const char *mvm_artifact_name(unsigned index);

/* What it is, for people; likewise. */
const char *mvm_artifact_meaning(unsigned index);

/* Whether the name with this index is that of an output that is one file. */
bool mvm_artifact_is_whole_output(unsigned index);

/* Whether it is valid without a byte: it is neither a kernel nor a file system. */
bool mvm_artifact_may_be_empty(unsigned index);

/* Whether `name` is one of them. */
bool mvm_artifact_known(const char *name);

#ifdef __cplusplus
}
#endif

#endif
