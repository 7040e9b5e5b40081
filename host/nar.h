/*
 * A folder as a NAR, the archive that `nix-store --restore` unpacks and `nix-store --dump` writes:
 * regular files, executable or not, symbolic links and directories, without owners or times (NAR
 * format: the Nix reference manual, "Nix Archive"). The bytes are pulled, any number at a time.
 */
#ifndef MVM_NAR_H
#define MVM_NAR_H

#include "tree.h"
#include <sys/types.h>
#include <time.h>

/* Bytes of a symbolic link's target, PATH_MAX of Linux. */
enum { MVM_NAR_LINK_MAX = 4096, MVM_NAR_PIECE_CAP = MVM_NAR_LINK_MAX + 1024 };

/* Read `bytes` and `measured`; the rest is its own. */
struct mvm_nar {
    uint64_t bytes;           /* handed out so far */
    struct timespec measured; /* when measure began, by the clock of files' times */
    const struct mvm_tree *tree;
    int root;                 /* the folder; -1: closed */
    int file;                 /* whose contents come next; -1: none */
    uint64_t left;            /* … and how many bytes of them */
    struct timespec modified; /* … as it was when it was opened */
    bool begun;
    size_t next;    /* index of the path that comes next */
    char dir[4096]; /* the directory that is open in the archive; "" the root */
    bool ended;
    uint8_t piece[MVM_NAR_PIECE_CAP]; /* bytes made and not yet handed out: [piece_at, piece_len) */
    size_t piece_at;
    size_t piece_len;
};

/* Begins the archive of `folder`, whose files `tree` lists; the tree is borrowed until close.
 * False: `why` says what is wrong. */
bool mvm_nar_open(struct mvm_nar *n, const char *folder, const struct mvm_tree *tree,
                  struct mvm_writer *why);
void mvm_nar_close(struct mvm_nar *n);

/* The size of the whole archive, as the files are now; -1: `why` names what cannot be sent, or a
 * signal has arrived. Leaves the archive at its beginning. */
int64_t mvm_nar_measure(struct mvm_nar *n, struct mvm_writer *why);

/* Writes up to `cap` bytes to `out`. Returns how many; 0: the archive is complete; -1: `why` names
 * the file that cannot be read, changed while it was read, or has a type that archives lack. */
ssize_t mvm_nar_pull(struct mvm_nar *n, uint8_t *out, size_t cap, struct mvm_writer *why);

#endif
