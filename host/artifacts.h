/*
 * The artifacts of a build as they arrive: a folder that has all of the old set or all of the new
 * one, whenever the program or the machine ends. They are written to a new folder beside it, made
 * durable, and the two folders are exchanged atomically (renameat2(2), RENAME_EXCHANGE; if the file
 * system does not support that, the old folder is moved away first: then it may be absent, but not
 * mixed). What a program that was killed has left there, the next one removes: the new folder is
 * locked while its program lives.
 *
 * The other side is not trusted: it names artifacts of mvm_artifact_known alone, once each, within
 * the size that was allowed, and their bytes in order.
 */
#ifndef MVM_ARTIFACTS_H
#define MVM_ARTIFACTS_H

#include "mvm_artifact.h"
#include "mvm_limits.h"
#include "mvm_text.h"

struct mvm_artifact_file {
    char name[MVM_ARTIFACT_NAME_CAP];
    uint64_t size;
    uint64_t done; /* bytes that are there, holes among them */
    int fd;
};

struct mvm_artifacts {
    size_t len;
    struct mvm_artifact_file files[MVM_ARTIFACTS_MAX];
    bool disk_failed; /* after false: the disk is why, not the other side */
    bool too_large;   /* … all files together are larger than was allowed */
    bool unsynced;    /* after a commit: it is in place, but a power cut may undo that */
    /* its own */
    const char *folder; /* as the caller named it */
    uint64_t allowed;   /* bytes of all files together … */
    uint64_t added;     /* … and of those that were added */
    int parent;         /* the folder that has both; -1: not open */
    int dir;            /* the new folder */
    char parent_path[4096];
    uint32_t number;      /* of the names in output_folder.h: of the process, if no other has it */
    char name[256];       /* of the old one in there */
    char fresh[256 + 16]; /* of the new one */
};

/* Begins a set for `folder`, which need not exist; its parent must. The name is borrowed.
 * `max_size`: bytes of all files together. A folder that has other files than artifacts is refused:
 * they would be lost. */
bool mvm_artifacts_open(struct mvm_artifacts *a, const char *folder, uint64_t max_size,
                        struct mvm_writer *why);

/* One more artifact of the set, of this size. */
bool mvm_artifacts_add(struct mvm_artifacts *a, struct mvm_text name, uint64_t size,
                       struct mvm_writer *why);

/* Whether bytes at `offset` are in order and before its end. */
bool mvm_artifacts_fits(const struct mvm_artifact_file *f, uint64_t offset, uint64_t len);

/* Bytes of file `i` at `offset`; what is between its `done` and there is a hole. */
bool mvm_artifacts_write(struct mvm_artifacts *a, size_t i, uint64_t offset, struct mvm_text bytes,
                         struct mvm_writer *why);

/* Completes `f`: the rest of it is a hole. */
void mvm_artifacts_end(struct mvm_artifact_file *f);

/* Makes the set durable and puts it in place. A folder that has other files than artifacts by now
 * is refused. False: the old set is unchanged. True with a message in `why`: the set is `unsynced`,
 * and the old one stays beside it until the next open; or the old folder could not be removed, and
 * is where that says. */
bool mvm_artifacts_commit(struct mvm_artifacts *a, struct mvm_writer *why);

/* Removes what was received of the new set. Harmless after commit. */
void mvm_artifacts_abandon(struct mvm_artifacts *a);

#endif
