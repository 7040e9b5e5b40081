/*
 * Names of kernel modules in a directory that depmod(8) has indexed: which file a module is, and
 * which it depends on. Reads modules.dep and modules.builtin.
 */
#ifndef MVM_MODULE_DIRECTORY_H
#define MVM_MODULE_DIRECTORY_H

#include "mvm_limits.h"
#include "small_files.h"

struct mvm_module_directory {
    char path[MVM_PATH_MAX];
    bool indexed; /* modules.dep is there */
};

/* `base` is the directory itself or, like /lib/modules, has one for each kernel: then the running
 * kernel's is used. */
void mvm_module_directory_init(struct mvm_module_directory *d, const char *base);

enum mvm_module_found {
    MVM_MODULE_FOUND,
    MVM_MODULE_BUILT_IN,
    MVM_MODULE_UNKNOWN,
    MVM_MODULE_UNREADABLE, /* no modules.dep; errno */
};

/* A module's files: what it depends on, each after what that depends on, and itself last. */
struct mvm_module_files {
    struct mvm_posix_lines lines;
    struct mvm_text self;
    struct mvm_text rest; /* dependencies; the last is loaded first */
};

/* In names '-' equals '_', and the file's extension is ignored. Fills `*files` if FOUND; close it
 * afterwards. */
enum mvm_module_found mvm_module_directory_find(const struct mvm_module_directory *d,
                                                const char *name, struct mvm_module_files *files);

/* Room for the path of any file of an index; one past PATH_MAX is open(2)'s to refuse. */
enum { MVM_MODULE_FILE_CAP = MVM_PATH_MAX + sizeof((struct mvm_posix_lines *)0)->buf + 1 };

/* The next file's path. False: no more. */
bool mvm_module_files_next(struct mvm_module_files *files, const struct mvm_module_directory *d,
                           char path[MVM_MODULE_FILE_CAP]);
void mvm_module_files_close(struct mvm_module_files *files);

#endif
