#define _GNU_SOURCE
#include "output_folder.h"
#include "mvm_artifact.h"
#include "parse.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const suffixes[] = {
    [MVM_OUTPUT_FOLDER_NEW] = ".new-", [MVM_OUTPUT_FOLDER_OLD] = ".old-"};

void mvm_output_folder_name(enum mvm_output_folder kind, const char *name, char *to, size_t cap)
{
    struct mvm_writer w;
    mvm_writer_init(&w, to, cap);
    mvm_writer_add3(&w, ".", name, suffixes[kind]);
    mvm_writer_add_u64(&w, (uint64_t)getpid());
}

struct mvm_text mvm_output_folder_parse(enum mvm_output_folder kind, const char *entry)
{
    const struct mvm_text none = {NULL, 0};
    const char *dash = strrchr(entry, '-');
    size_t len = strlen(suffixes[kind]);
    uint32_t pid;
    if (dash == NULL || mvm_parse_u32(dash + 1, INT32_MAX, &pid) != MVM_NUMBER_FINE) {
        return none;
    }
    size_t before = (size_t)(dash + 1 - entry); /* the suffix ends here */
    if (entry[0] != '.' || before <= 1 + len ||
        memcmp(entry + before - len, suffixes[kind], len) != 0) {
        return none;
    }
    return (struct mvm_text){entry + 1, before - len - 1};
}

static bool is_artifact(int dir, const char *name)
{
    struct stat st;
    return mvm_artifact_known(name) && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

static enum mvm_output_folder_found check(DIR *dir, char *stranger)
{
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !is_artifact(dirfd(dir), name)) {
            if (stranger != NULL) {
                memcpy(stranger, name, strlen(name) + 1);
            }
            return MVM_OUTPUT_FOLDER_STRANGER;
        }
    }
    return errno == 0 ? MVM_OUTPUT_FOLDER_ALONE : MVM_OUTPUT_FOLDER_ERROR;
}

enum mvm_output_folder_found mvm_output_folder_check(int parent, const char *name, char *stranger)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int err = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = err;
        return MVM_OUTPUT_FOLDER_ERROR;
    }
    enum mvm_output_folder_found found = check(dir, stranger);
    int err = errno;
    closedir(dir);
    errno = err;
    return found;
}
