/* An agent that sends any list and any pieces in any order, against the files of mvm-builder:
 * nothing is written outside the folder, nothing more than was allowed, and no file has its final
 * name before it is complete. */
#define _GNU_SOURCE
#include "fuzz.h"
#include "mvm_proto.h"
#include "stream.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALLOWED = 5000 };

static char root[64]; /* the target's own folder */
static char output[80];
static struct mvm_stream_files stream;

static void remove_root(void)
{
    rmdir(root);
}

static bool make_root(const char *in)
{
    snprintf(root, sizeof root, "%s/fuzz-host-stream-XXXXXX", in);
    return mkdtemp(root) != NULL;
}

/* In memory if possible: a disk's fsync(2) takes longer than all else. */
static void begin(void)
{
    if (root[0] == '\0') {
        FUZZ_CHECK(make_root("/dev/shm") || make_root("/tmp"));
        snprintf(output, sizeof output, "%s/out", root);
        atexit(remove_root);
    }
    FUZZ_CHECK(mvm_stream_open(&stream, NULL, false, output, ALLOWED));
}

/* Entries of a folder; -1: it does not exist. Each must be an artifact if `artifacts`. */
static int entries_of(const char *path, bool artifacts)
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

/* The set is complete, each file of its size; it is removed. */
static void check_set(void)
{
    uint64_t sum = 0;
    FUZZ_CHECK(entries_of(output, true) == (int)stream.artifacts.len);
    for (size_t i = 0; i < stream.artifacts.len; i++) {
        char path[128];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", output, stream.artifacts.files[i].name);
        FUZZ_CHECK(stat(path, &st) == 0 && (uint64_t)st.st_size == stream.artifacts.files[i].size);
        sum += (uint64_t)st.st_size;
        unlink(path);
    }
    FUZZ_CHECK(sum <= ALLOWED);
    rmdir(output);
}

static uint64_t take(const uint8_t **data, size_t *size, size_t bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && *size > 0; bytes--, ++*data, --*size) {
        value = value << 8 | **data;
    }
    return value;
}

/* A size or offset: most are small, some are huge. */
static uint64_t take_number(const uint8_t **data, size_t *size)
{
    uint64_t first = take(data, size, 1);
    return first < 250 ? first * (first % 3 == 0 ? 40 : 1) : take(data, size, 8);
}

static struct mvm_text take_name(const uint8_t **data, size_t *size)
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

static enum mvm_stream_result list(const uint8_t **data, size_t *size)
{
    uint8_t items[1024];
    struct mvm_message ok = {.kind = MVM_MESSAGE_OK};
    size_t len = 0;
    uint64_t how = take(data, size, 1);
    if (how >= 240) { /* not made by our encoder */
        len = *size < sizeof items ? *size : sizeof items;
        memcpy(items, *data, len);
        *data += len;
        *size -= len;
    }
    for (uint64_t n = how >= 240 ? 0 : how % 6; n > 0; n--) {
        struct mvm_artifact_item item = {.name = take_name(data, size)};
        item.size = take_number(data, size);
        len += mvm_proto_add_artifact(items + len, sizeof items - len, &item);
    }
    ok.artifacts = (struct mvm_text){(const char *)items, len};
    return mvm_stream_list(&stream, &ok);
}

static enum mvm_stream_result piece(const uint8_t **data, size_t *size)
{
    static const char bytes[256];
    struct mvm_message m = {.kind = MVM_MESSAGE_ARTIFACT};
    uint64_t flags = take(data, size, 1);
    m.text = (struct mvm_text){bytes, take(data, size, 1)};
    m.bulk.offset = stream.artifacts.files[stream.current].done;
    m.bulk.offset = flags % 4 == 0 ? take_number(data, size) : m.bulk.offset;
    m.bulk.last = flags % 8 == 1 ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    return mvm_stream_artifact(&stream, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum mvm_stream_result result = MVM_STREAM_GOOD;
    begin();
    do {
        bool lists = stream.artifacts.len == 0 || take(&data, &size, 1) % 16 == 0;
        result = lists ? list(&data, &size) : piece(&data, &size);
        FUZZ_CHECK(entries_of(output, true) == -1); /* no final name yet */
        FUZZ_CHECK(result != MVM_STREAM_DISK);
    } while (size > 0 && result != MVM_STREAM_BROKEN && stream.current < stream.artifacts.len);
    if (result != MVM_STREAM_BROKEN && stream.artifacts.len > 0 &&
        stream.current == stream.artifacts.len) {
        FUZZ_CHECK(mvm_stream_commit(&stream, false) == MVM_STREAM_GOOD);
        check_set();
    }
    mvm_stream_close(&stream);
    FUZZ_CHECK(entries_of(root, false) == 0);
    return 0;
}
