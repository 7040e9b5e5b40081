/*
 * The files of a folder, as a list in the order in which nix archives them: each directory before
 * its contents, names in a directory sorted by their bytes.
 */
#ifndef MVM_TREE_H
#define MVM_TREE_H

#include "mvm_text.h"
#include "wait.h"
#include <sys/types.h>

/* Bytes of all paths together, terminators included: a checkout of nixpkgs has 3 MiB of them.
 * Past it: "too many files". Memory is mapped by list alone, and touched only as far as it is used.
 */
#ifndef MVM_TREE_NAMES_CAP
#define MVM_TREE_NAMES_CAP (64u << 20)
#endif
#if MVM_TREE_NAMES_CAP < 4096
#error "MVM_TREE_NAMES_CAP: at least one path, 4096"
#endif

/* Paths. Past it: "too many files". */
#ifndef MVM_TREE_FILES_MAX
#define MVM_TREE_FILES_MAX (1u << 20)
#endif
#if MVM_TREE_FILES_MAX < 1
#error "MVM_TREE_FILES_MAX: at least 1"
#endif

/* How many files and folders can be left out. */
#define MVM_TREE_LEFT_OUT_MAX 5

/* Zero before the first list. */
struct mvm_tree {
    struct mvm_waiter
        *waiter;        /* a signal ends the listing, and the archive's measuring; NULL: none */
    const char *folder; /* as the caller of list named it */
    size_t files;
    size_t names_len;
    size_t left_out_len;
    struct {
        dev_t device;
        ino_t inode;
    } left_out[MVM_TREE_LEFT_OUT_MAX];
    void *memory;       /* of both below, from list to free: some 72 MiB of address space */
    const char **paths; /* relative to the folder, sorted */
    char *names;
};

enum mvm_tree_choice {
    MVM_TREE_TRACKED, /* the files that git tracks if the folder is in a checkout, else all */
    MVM_TREE_ALL, /* all, also what git ignores; never a `.git`, nor folders of output_folder.h */
};

/*
 * Fills `*t` with the paths below `folder`, a name that is borrowed. Directories are listed if all
 * files are; git lists only files. False: `why` names the path and the reason. Runs git(1) for
 * TRACKED, which reports on stderr what is wrong with a checkout.
 */
bool mvm_tree_list(struct mvm_tree *t, const char *folder, enum mvm_tree_choice choice,
                   struct mvm_writer *why);

/* Returns the memory of the list. Harmless without one. */
void mvm_tree_free(struct mvm_tree *t);

/* Leaves what `fd` is open on out of the lists that follow, and a folder's contents with it, unless
 * git tracks it. -1, and past MVM_TREE_LEFT_OUT_MAX: no effect. */
void mvm_tree_leave_out(struct mvm_tree *t, int fd);

/* A message of local_path.h about a path of the folder, or of itself if `path` is empty. Returns
 * false.
 */
bool mvm_tree_fail(const struct mvm_tree *t, struct mvm_writer *why, const char *path,
                   const char *reason);

/* Whether a signal has arrived; `why` says so. */
bool mvm_tree_interrupted(const struct mvm_tree *t, struct mvm_writer *why);

#endif
