/* An agent that sends any list and any pieces in any order, against the files of mvm-builder:
 * nothing is written outside the folder, nothing more than was allowed, and no file has its final
 * name before it is complete. */
#define _GNU_SOURCE
#include "fuzz_files.h"
#include "mvm_proto.h"
#include "stream.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALLOWED = 5000 };

static struct mvm_stream_files stream;

static void begin(void)
{
    need_root();
    FUZZ_CHECK(mvm_stream_open(&stream, NULL, false, output, ALLOWED, -1));
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
