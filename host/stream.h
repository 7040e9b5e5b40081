/*
 * The files of a build without disks: the archive to send, the artifacts received. It does not know
 * about connections; it exchanges bytes, and messages for people.
 */
#ifndef MVM_STREAM_H
#define MVM_STREAM_H

#include "artifacts.h"
#include "mvm_message.h"
#include "nar.h"
#include "sha256.h"

enum mvm_stream_result {
    MVM_STREAM_GOOD,
    MVM_STREAM_ENDED,  /* GOOD, and the artifact is whole; all are if there is no next one */
    MVM_STREAM_BROKEN, /* the agent broke the rules */
    MVM_STREAM_LARGE,  /* the artifacts are larger than was allowed */
    MVM_STREAM_DISK,   /* a file cannot be written or read */
};

/* Zero before the first open. */
struct mvm_stream_files {
    struct mvm_waiter *waiter; /* a signal ends what takes long; NULL: none does. Set before open */
    uint64_t source_size;      /* bytes of the archive; 0: none is sent */
    struct mvm_artifacts artifacts;
    size_t current; /* the artifact being received; artifacts.len: all are complete */
    char why[512];  /* after BROKEN, LARGE, DISK and false; after commit also what is left to do, or
                       "" */

    /* its own */
    bool open;
    const char *folder;
    struct mvm_nar nar;
    struct mvm_tree tree;
    char sums[MVM_ARTIFACTS_MAX][MVM_SHA256_TEXT_CAP];
    uint8_t data[MVM_BULK_DATA_MAX];
};

/* Begins a set of artifacts for `output` and measures the archive of `folder` (NULL: none); these
 * artifacts, stdout, stderr and the descriptor `log` (-1: none) are not in it. False: `why`. */
bool mvm_stream_open(struct mvm_stream_files *s, const char *folder, bool all_files,
                     const char *output, uint64_t max_size, int log);

/* The archive's bytes at `at`, up to `most`, in `*data` until the next call; at 0 it starts again.
 */
enum mvm_stream_result mvm_stream_source(struct mvm_stream_files *s, uint64_t at, uint64_t most,
                                         struct mvm_text *data);

/* An Ok with its list of artifacts; a later one must be the same. Sets `current` to the first
 * artifact that is not complete. */
enum mvm_stream_result mvm_stream_list(struct mvm_stream_files *s, const struct mvm_message *ok);

/* Bytes of the current artifact. */
enum mvm_stream_result mvm_stream_artifact(struct mvm_stream_files *s, const struct mvm_message *m);

/* Puts the set in place; with `sums` after adding up what is in it, s->sums. */
enum mvm_stream_result mvm_stream_commit(struct mvm_stream_files *s, bool sums);

/* Removes what was received, unless it was committed, and closes all. */
void mvm_stream_close(struct mvm_stream_files *s);

#endif
