/*
 * What the targets of mvm-builder share: a folder for its files, and how an input becomes names and
 * sizes.
 */
#ifndef MVM_FUZZ_FILES_H
#define MVM_FUZZ_FILES_H

#include "fuzz.h"
#include "mvm_artifact.h"
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

static char root[64]; /* the target's own folder */
static char output[80];

static void remove_root(void)
{
    rmdir(root);
}

static inline bool make_root(const char *in)
{
    snprintf(root, sizeof root, "%s/fuzz-host-XXXXXX", in);
    return mkdtemp(root) != NULL;
}

/* In memory if possible: a disk's fsync(2) takes longer than all else. libFuzzer ends without
 * calling what atexit(3) was given: fuzz/run removes what it names by TMPDIR. */
static inline void need_root(void)
{
    if (root[0] == '\0') {
        const char *folder = getenv("TMPDIR");
        FUZZ_CHECK(make_root(folder != NULL ? folder : "/dev/shm") || make_root("/tmp"));
        snprintf(output, sizeof output, "%s/out", root);
        atexit(remove_root);
    }
}

/* Entries of a folder; -1: it does not exist. Each must be an artifact if `artifacts`. */
static inline int entries_of(const char *path, bool artifacts)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int entries = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' || entry->d_name[1] == 'o') {
            FUZZ_CHECK(!artifacts || mvm_artifact_known(entry->d_name));
            entries++;
        }
    }
    if (dir == NULL) {
        return -1;
    }
    closedir(dir);
    return entries;
}

static inline uint64_t take(const uint8_t **data, size_t *size, size_t bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && *size > 0; bytes--, ++*data, --*size) {
        value = value << 8 | **data;
    }
    return value;
}

/* A size or offset: most are small, some are huge. */
static inline uint64_t take_number(const uint8_t **data, size_t *size)
{
    uint64_t first = take(data, size, 1);
    return first < 250 ? first * (first % 3 == 0 ? 40 : 1) : take(data, size, 8);
}

static inline struct mvm_text take_name(const uint8_t **data, size_t *size)
{
    uint64_t first = take(data, size, 1);
    const char *known = mvm_artifact_name((unsigned)first % MVM_ARTIFACTS_MAX);
    static const struct mvm_text bad[] = {
        {"..", 2},       {"../kernel", 9},      {"/kernel", 7}, {"kernel/..", 9}, {".", 1},
        {"./kernel", 8}, {"kernel\0/../x", 11}, {"kernel/", 7}, {"", 0},          {"a/../../x", 9}};
    if (known != NULL && first < 200) {
        return mvm_text_from(known);
    }
    if (first >= 240) {
        return bad[take(data, size, 1) % (sizeof bad / sizeof bad[0])];
    }
    size_t len = first % 40 < *size ? first % 40 : *size;
    struct mvm_text name = {(const char *)*data, len};
    *data += len;
    *size -= len;
    return name;
}

#endif
