/* The lists of artifacts that an agent sends: what the tool accepts and what it refuses. */
#define _GNU_SOURCE
#include "mvm_proto.h"
#include "stream.h"
#include "temporary.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct mvm_stream_files stream;
static char base[TEMPORARY_CAP], out[TEMPORARY_CAP + 8];
static uint8_t list[512];
static size_t len;

static int set_up(void **state)
{
    (void)state;
    assert_true(make_temporary(base, "stream"));
    snprintf(out, sizeof out, "%s/out", base);
    assert_true(mvm_stream_open(&stream, NULL, false, out, 1000, -1));
    len = 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[TEMPORARY_CAP + 16];
    (void)state;
    mvm_stream_close(&stream);
    snprintf(command, sizeof command, "rmdir %s", base); /* nothing is left in it */
    return system(command);
}

static void add(const char *name, uint64_t size)
{
    const struct mvm_artifact_item item = {mvm_text_from(name), size};
    size_t n = mvm_proto_add_artifact(list + len, sizeof list - len, &item);
    assert_true(n > 0);
    len += n;
}

static void add_bytes(const char *bytes, size_t n)
{
    memcpy(list + len, bytes, n);
    len += n;
}

static enum mvm_stream_result send_list(void)
{
    struct mvm_message ok = {.kind = MVM_MESSAGE_OK};
    ok.artifacts = (struct mvm_text){(const char *)list, len};
    return mvm_stream_list(&stream, &ok);
}

static void assert_refused(const char *why)
{
    assert_int_equal(send_list(), MVM_STREAM_BROKEN);
    assert_string_equal(stream.why, why);
}

static void need_protobuf(void)
{
    if (!mvm_proto_present) {
        fprintf(stderr, "SKIPPED: no protobuf wire\n");
        skip();
    }
}

static void a_list_is_accepted_once_and_again(void **state)
{
    (void)state;
    need_protobuf();
    add("kernel", 1);
    add("initrd", 2);
    assert_int_equal(send_list(), MVM_STREAM_GOOD);
    assert_int_equal(send_list(), MVM_STREAM_GOOD);
    assert_int_equal(stream.artifacts.len, 2);
}

static void an_empty_list_is_refused(void **state)
{
    (void)state;
    assert_refused("its Ok lists no artifacts");
}

static void a_list_with_an_item_that_cannot_be_read_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } items[] = {
        {"\x1a\x7f\x0a\x01x", 5}, /* longer than the list */
        {"\x1a\x02\x0a\x7f", 4},  /* a name longer than its item */
        {"\x1a\x01\x10", 3},      /* a size that is cut off */
        {"\x1a\x23\x0a\x21"
         "kernel---------------------------",
         37}, /* a name longer than any */
    };
    (void)state;
    need_protobuf();
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        len = 0;
        add("kernel", 1);
        add_bytes(items[i].bytes, items[i].len);
        assert_refused("its Ok lists an artifact that cannot be read");
        mvm_stream_close(&stream);
        assert_true(mvm_stream_open(&stream, NULL, false, out, 1000, -1));
    }
}

static void a_later_list_with_such_an_item_is_refused(void **state)
{
    (void)state;
    need_protobuf();
    add("kernel", 1);
    assert_int_equal(send_list(), MVM_STREAM_GOOD);
    add_bytes("\x1a\x01\x10", 3);
    assert_refused("its Ok lists other artifacts than before");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* ---- sources ---- */

static char folder[TEMPORARY_CAP + 8], file[TEMPORARY_CAP + 16];

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(file, mode), 0);
}

/* A file beside it that does not change. */
static void write_another(void)
{
    char path[TEMPORARY_CAP + 16];
    snprintf(path, sizeof path, "%s/another", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

static void remove_source(void)
{
    char command[TEMPORARY_CAP + 24];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* Sends all of the folder, of which `change` is made after it was measured. */
static enum mvm_stream_result send_changed(void (*change)(void))
{
    struct mvm_text data;
    enum mvm_stream_result result = MVM_STREAM_GOOD;
    mvm_stream_close(&stream);
    snprintf(folder, sizeof folder, "%s/flake", base);
    snprintf(file, sizeof file, "%s/f", folder);
    assert_int_equal(mkdir(folder, 0777), 0);
    write_file("0123456789", 0644);
    write_another();
    assert_true(mvm_stream_open(&stream, folder, true, out, 1000, -1));
    change();
    for (uint64_t at = 0; result == MVM_STREAM_GOOD && at < stream.source_size; at += data.len) {
        uint64_t left = stream.source_size - at;
        result = mvm_stream_source(&stream, at, left < 7 ? left : 7, &data);
    }
    remove_source();
    return result;
}

static void change_nothing(void)
{
}

static void grow(void)
{
    write_file("01234567890123456789", 0644);
}

static void shrink(void)
{
    write_file("0", 0644);
}

static void make_executable(void)
{
    assert_int_equal(chmod(file, 0755), 0);
}

static void vanish(void)
{
    assert_int_equal(unlink(file), 0);
}

static void a_source_that_was_changed_after_it_was_measured_is_an_error(void **state)
{
    static void (*const sizes[])(void) = {grow, shrink, make_executable};
    (void)state;
    assert_int_equal(send_changed(change_nothing), MVM_STREAM_GOOD);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(send_changed(sizes[i]), MVM_STREAM_DISK);
        assert_non_null(strstr(stream.why, "/flake/f: it changed while it was sent"));
    }
    assert_int_equal(send_changed(vanish), MVM_STREAM_DISK);
    assert_non_null(strstr(stream.why, "/flake/f: No such file or directory"));
}

/* A set of before, this one's beginning, and the log, all in the folder that is sent. */
static void what_the_tool_writes_is_not_part_of_the_source(void **state)
{
    char set[TEMPORARY_CAP + 16], log[TEMPORARY_CAP + 16];
    (void)state;
    mvm_stream_close(&stream);
    snprintf(folder, sizeof folder, "%s/flake", base);
    snprintf(file, sizeof file, "%s/f", folder);
    snprintf(set, sizeof set, "%s/out", folder);
    snprintf(log, sizeof log, "%s/log", folder);
    assert_int_equal(mkdir(folder, 0777), 0);
    write_file("0123456789", 0644);
    assert_true(mvm_stream_open(&stream, folder, true, out, 1000, -1));
    uint64_t alone = stream.source_size;
    mvm_stream_close(&stream);
    int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        bool opened = mvm_stream_open(&stream, folder, true, set, 1000, fd);
        uint64_t size = opened ? stream.source_size : 0;
        len = 0;
        add("kernel", 0);
        enum mvm_stream_result result = opened ? send_list() : MVM_STREAM_BROKEN;
        result = result == MVM_STREAM_GOOD ? mvm_stream_commit(&stream, false) : result;
        mvm_stream_close(&stream);
        assert_int_equal(result, MVM_STREAM_GOOD);
        assert_int_equal(size, alone);
    }
    close(fd);
    remove_source();
}

/* It would be emptied after it was measured. */
static void a_log_that_git_tracks_is_refused_by_its_name(void **state)
{
    char command[2 * TEMPORARY_CAP + 128], log[TEMPORARY_CAP + 16];
    (void)state;
    mvm_stream_close(&stream);
    snprintf(folder, sizeof folder, "%s/flake", base);
    snprintf(log, sizeof log, "%s/log", folder);
    snprintf(command, sizeof command,
             "mkdir %s && cd %s && git init -q . && touch f log other && git add f log", folder,
             folder);
    assert_int_equal(system(command), 0);
    int fd = open(log, O_WRONLY | O_CLOEXEC);
    bool opened = mvm_stream_open(&stream, folder, false, out, 1000, fd);
    close(fd);
    assert_false(opened);
    assert_non_null(strstr(stream.why, "/flake/log: git tracks it"));
    assert_int_equal(strncmp(stream.why, "send:", 5), 0);
    snprintf(log, sizeof log, "%s/other", folder);
    fd = open(log, O_WRONLY | O_CLOEXEC);
    opened = mvm_stream_open(&stream, folder, false, out, 1000, fd);
    close(fd);
    assert_true(opened);
    remove_source();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_accepted_once_and_again),
        TEST(an_empty_list_is_refused),
        TEST(a_list_with_an_item_that_cannot_be_read_is_refused),
        TEST(a_later_list_with_such_an_item_is_refused),
        cmocka_unit_test_setup_teardown(a_source_that_was_changed_after_it_was_measured_is_an_error,
                                        set_up, tear_down),
        TEST(what_the_tool_writes_is_not_part_of_the_source),
        TEST(a_log_that_git_tracks_is_refused_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
