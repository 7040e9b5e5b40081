/* mvm-builder build --output: connections that are lost at any byte, disks that are full, and
 * agents that lie. */
#define _GNU_SOURCE
#include "mvm_artifact.h"
#include "support_stream.h"
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- connections that are lost ---- */

/* How many bytes a relay passes on each way before it ends a connection. */
struct limits {
    size_t to_agent;
    size_t to_tool;
    bool each; /* every connection; otherwise the first one alone */
};

enum { UNLIMITED = 1 << 30 };

/* Moves bytes one way; false: the end, or the limit. */
static bool pass(int from, int to, size_t *left)
{
    char bytes[4096];
    ssize_t n = read(from, bytes, *left < sizeof bytes ? *left : sizeof bytes);
    for (ssize_t at = 0; at < n;) {
        ssize_t wrote = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (wrote <= 0) {
            return false;
        }
        at += wrote;
    }
    *left -= n > 0 ? (size_t)n : 0;
    return n > 0 && *left > 0;
}

static void relay(int tool, struct limits limits)
{
    int agent = e2e_try_connect(e2e_path("a.sock"));
    bool open = agent >= 0 && limits.to_agent > 0 && limits.to_tool > 0;
    while (open) {
        struct pollfd p[2] = {{.fd = tool, .events = POLLIN}, {.fd = agent, .events = POLLIN}};
        poll(p, 2, -1);
        open = (p[0].revents == 0 || pass(tool, agent, &limits.to_agent)) &&
               (p[1].revents == 0 || pass(agent, tool, &limits.to_tool));
    }
    close(agent);
    close(tool);
}

/* Between the tool and agent a; its pid. */
static pid_t start_relay(struct limits limits)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, e2e_path("relay.sock"));
    unlink(name.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 8), 0);
    snprintf(host_address, sizeof host_address, "unix:%s", name.sun_path);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        for (int tool; (tool = accept(fd, NULL, NULL)) >= 0;) {
            relay(tool, limits);
            limits = limits.each ? limits : (struct limits){UNLIMITED, UNLIMITED, false};
        }
        _exit(0);
    }
    close(fd);
    return pid;
}

static char kernel[300001];
static size_t archive_len;

/* An agent whose build has a kernel of some 300 KB. */
static void start_agent(void)
{
    const char *store_path = e2e_store_image("", "a rootfs");
    for (size_t i = 0; i < sizeof kernel - 1; i++) {
        kernel[i] = (char)('a' + i / 1000 % 26);
    }
    e2e_write_store(store_path, "kernel", kernel);
    stream_start_agent(store_path);
}

static void build_with_losses(struct limits limits)
{
    pid_t pid = start_relay(limits);
    unlink(e2e_path("archive"));
    host_start("build", stream_source_folder(100000), "a", "--all-files", "--output", stream_output,
               "--retry", "30");
    int status = host_finish();
    if (status != HOST_OK) {
        fail_msg("%zu bytes to the agent, %zu to the tool: exit status %d, %s", limits.to_agent,
                 limits.to_tool, status, host_err());
    }
    e2e_end(pid, SIGKILL);
    stream_assert_file("kernel", kernel);
    stream_assert_file("rootfs", "a rootfs");
    assert_int_equal(e2e_read(e2e_path("archive")).len, archive_len);
    assert_false(e2e_exists(e2e_path(".out.new-%d", (int)host_pid())));
}

/* What a build without losses sends; also the size of the archive. */
static void begin_losses(void)
{
    STREAM_NEEDS_PROTOBUF();
    start_agent();
    archive_len = 100280;
    build_with_losses((struct limits){UNLIMITED, UNLIMITED, false});
}

static void what_the_tool_sends_may_be_lost_at_any_byte(void **state)
{
    static const size_t cuts[] = {0,     1,     5,     30,     60,     66,    67,
                                  80,    100,   130,   150,    160,    200,   30000,
                                  65536, 66000, 99999, 100300, 100700, 101000};
    (void)state;
    begin_losses();
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        build_with_losses((struct limits){cuts[i], UNLIMITED, false});
    }
}

static void what_the_agent_sends_may_be_lost_at_any_byte(void **state)
{
    static const size_t cuts[] = {1,   4,   50,  100, 130,   140,   150,   180,    200,    250,
                                  300, 350, 400, 450, 10000, 65536, 66000, 200000, 300500, 300700};
    (void)state;
    begin_losses();
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        build_with_losses((struct limits){UNLIMITED, cuts[i], false});
    }
}

/* As long as there is room for a piece. */
static void every_connection_may_be_lost_again(void **state)
{
    (void)state;
    begin_losses();
    build_with_losses((struct limits){UNLIMITED, 150000, true});
    build_with_losses((struct limits){UNLIMITED, 70000, true});
}

static void connections_that_bring_nothing_are_not_tried_for_ever(void **state)
{
    (void)state;
    begin_losses();
    pid_t pid = start_relay((struct limits){UNLIMITED, 20000, true});
    host_start("build", "f", "a", "--output", stream_output, "--retry", "1");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    e2e_end(pid, SIGKILL);
    stream_assert_file("kernel", kernel); /* of the build before */
}

/* ---- this machine's disks ---- */

static const char *small_disk(void)
{
    e2e_need_disks();
    const char *path = e2e_mount("tmpfs", "small", false);
    assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT, "size=256k"), 0);
    return path;
}

/* It is sparse, so it is full only when its data come. */
static void a_disk_that_is_full_in_the_middle_is_exit_4(void **state)
{
    static char bytes[60001];
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    small_disk();
    e2e_make_dir(e2e_path("small/out"));
    e2e_write_text(e2e_path("small/out/vmlinux"), "old");
    memset(bytes, 'k', sizeof bytes - 1);
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("small/out"));
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", stream_output, "--retry", "20");
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    STREAM_SAY_OK(stream_item("initrd", 10), stream_item("kernel", 1 << 20));
    stream_await_get("initrd", 0, 10);
    stream_say_piece("initrd", 0, "0123456789", true);
    stream_await_get("kernel", 0, 1 << 20);
    for (uint64_t at = 0; at < 1 << 20; at += 60000) {
        stream_say_piece("kernel", at, bytes, false);
    }
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_OUTPUT);
    host_assert_err_has("small/out/kernel: No space left on device");
    host_assert_err_has("mvm-builder: --output /");
    stream_assert_file("vmlinux", "old");
    assert_false(e2e_exists(stream_in_output("kernel")));
    assert_false(e2e_exists(e2e_path("small/.out.new-%d", (int)host_pid())));
}

static void sha256_without_a_program_for_it_is_an_error_before_the_build(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    char *before = strdup(getenv("PATH"));
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    setenv("PATH", e2e_path("."), 1);
    host_start("build", "f", "a", "--output", e2e_path("out"), "--sha256");
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(host_finish(), HOST_USAGE);
    host_assert_err_has("--sha256: there is no sha256sum on PATH");
    assert_false(e2e_exists(e2e_path("out")));
}

/* It would be removed with the set before. */
static void a_log_in_the_folder_of_output_is_refused_and_not_made(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    const char *const logs[] = {e2e_path("out/build.log"), e2e_path("out/../out/vmlinux"),
                                e2e_path("link/log")};
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    e2e_make_dir(e2e_path("out"));
    assert_int_equal(symlink("out", e2e_path("link")), 0);
    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
        host_start("build", "f", "a", "--output", e2e_path("out/"), "--log", logs[i]);
        assert_int_equal(host_finish(), HOST_USAGE);
        host_assert_err_has("the folder of --output is replaced");
    }
    assert_int_equal(rmdir(e2e_path("out")), 0);
}

static void a_log_is_not_emptied_for_a_build_that_is_refused_here(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    e2e_write_text(e2e_path("log"), "yesterday's");
    e2e_write_text(e2e_path("out"), "no folder");
    host_start("build", "f", "a", "--output", e2e_path("out"), "--log", e2e_path("log"));
    assert_int_equal(host_finish(), HOST_USAGE);
    host_assert_err_has("/out: Not a directory\n");
    e2e_assert_file(e2e_path("log"), "yesterday's");
}

/* ---- sizes ---- */

static void max_size_may_be_reached_and_not_passed(void **state)
{
    (void)state;
    stream_begin("--max-size", "8");
    STREAM_SAY_OK(stream_item("kernel", 5), stream_item("initrd", 3));
    stream_await_get("kernel", 0, 5);
    stream_say_piece("kernel", 0, "hello", true);
    stream_await_get("initrd", 0, 3);
    stream_say_piece("initrd", 0, "abc", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    host_stop_listening();
    host_listen("b.sock");
    host_start("build", "f", "a", "--output", stream_output, "--max-size", "7");
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    STREAM_SAY_OK(stream_item("kernel", 5), stream_item("initrd", 3));
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("mvm-builder: the artifacts have 8 bytes or more, --max-size allows 7\n");
    stream_assert_file("initrd", "abc"); /* of the set before */
}

static void max_size_has_units(void **state)
{
    static const struct {
        const char *max_size;
        uint64_t most;
    } cases[] = {{"1K", 1 << 10},
                 {"2M", 2 << 20},
                 {"1G", 1 << 30},
                 {"1T", UINT64_C(1) << 40},
                 {"8388607T", UINT64_C(8388607) << 40}};
    char why[128];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stream_begin("--max-size", cases[i].max_size);
        STREAM_SAY_OK(stream_item("kernel", cases[i].most + 1));
        stream_await(MVM_MESSAGE_DROP);
        snprintf(why, sizeof why, "the artifacts have %llu bytes or more, --max-size allows %llu\n",
                 (unsigned long long)cases[i].most + 1, (unsigned long long)cases[i].most);
        stream_assert_rejected(why);
        host_stop_listening();
    }
    stream_begin("--max-size", "1K");
    STREAM_SAY_OK(stream_item("kernel", 1024));
    stream_await_get("kernel", 0, 1024);
    stream_say_piece("kernel", 1024, "", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
}

/* The rest is a hole, of the size that was listed. */
static void an_end_without_data_leaves_a_hole(void **state)
{
    struct stat st;
    (void)state;
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 100000));
    stream_await_get("kernel", 0, 100000);
    stream_say_piece("kernel", 0, "x", false);
    stream_say_piece("kernel", 1, "", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_int_equal(stat(stream_in_output("kernel"), &st), 0);
    assert_int_equal(st.st_size, 100000);
}

/* ---- agents that lie ---- */

static struct mvm_message ok_of(const char *store_path)
{
    struct mvm_message m = stream_response(MVM_MESSAGE_OK);
    m.text = mvm_text_from(store_path);
    return m;
}

static void artifacts_that_were_not_asked_for_are_rejected(void **state)
{
    (void)state;
    stream_begin(NULL, NULL);
    stream_say_piece("kernel", 0, "hello", true); /* before the Ok */
    stream_assert_rejected("bytes of an artifact that was not asked for");
    host_stop_listening();
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 5), stream_item("initrd", 3));
    stream_await_get("kernel", 0, 5);
    stream_say_piece("kernel", 0, "hello", true);
    stream_say_piece("kernel", 5, "", true); /* after its end */
    stream_assert_rejected("bytes of an artifact that was not asked for");
}

static void an_artifact_over_the_limit_is_rejected(void **state)
{
    static const char bytes[MVM_BULK_DATA_MAX + 1];
    (void)state;
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", sizeof bytes));
    stream_await_get("kernel", 0, sizeof bytes);
    struct mvm_message m = stream_response(MVM_MESSAGE_ARTIFACT);
    m.bulk.name = mvm_text_from("kernel");
    m.text = (struct mvm_text){bytes, sizeof bytes};
    stream_say(m);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has(": parse error: data too long at byte ");
    host_assert_err_lacks("ignoring");
    stream_assert_nothing_there();
}

/* Of what it was not given it cannot have built anything. */
static void an_ok_before_all_of_the_source_was_sent_is_rejected(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    for (int wanted = 0; wanted < 2; wanted++) {
        uint64_t size = stream_begin_with_source(NULL);
        if (wanted) {
            stream_say_want(size - 1);
            stream_take_source(archive, 0, size - 1, size);
        }
        STREAM_SAY_OK(stream_item("kernel", 5));
        assert_int_equal(host_finish(), HOST_NO_CONNECTION);
        host_assert_err_has("its Ok came before all of the source was sent");
        stream_assert_nothing_there();
        host_stop_listening();
    }
}

static void another_build_s_messages_change_nothing(void **state)
{
    char own[MVM_ID_MAX + 1];
    (void)state;
    stream_begin(NULL, NULL);
    strcpy(own, stream_id);
    strcpy(stream_id, "another-build-0001");
    STREAM_SAY_OK(stream_item("initrd", 3));
    stream_say_piece("initrd", 0, "abc", true);
    stream_say_want(1000);
    strcpy(stream_id, own);
    STREAM_SAY_OK(stream_item("kernel", 5));
    stream_await_get("kernel", 0, 5);
    STREAM_SAY_OK(stream_item("kernel", 500)); /* again: over one connection the first counts */
    stream_say_want(UINT64_MAX);
    stream_say_piece("kernel", 0, "hello", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    stream_assert_file("kernel", "hello");
    assert_false(e2e_exists(stream_in_output("initrd")));
}

static void a_list_that_changes_after_a_loss_is_rejected(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        stream_begin("--retry", "20");
        STREAM_SAY_OK(stream_item("kernel", 10), stream_item("initrd", 3));
        stream_await_get("kernel", 0, 10);
        stream_say_piece("kernel", 0, "0123", false);
        stream_lose();
        stream_welcome(STREAM_FEATURES);
        stream_await(MVM_MESSAGE_JOIN);
        if (i == 0) {
            STREAM_SAY_OK(stream_item("kernel", 10), stream_item("initrd", 4));
        } else if (i == 1) {
            STREAM_SAY_OK(stream_item("initrd", 3), stream_item("kernel", 10));
        } else if (i == 2) {
            STREAM_SAY_OK(stream_item("kernel", 10));
        } else {
            STREAM_SAY_OK(stream_item("kernel", 10), stream_item("initrd", 3),
                          stream_item("image", 1));
        }
        stream_assert_rejected("lists other artifacts than before");
        host_stop_listening();
    }
}

static void an_ok_without_a_store_path_is_not_an_ok(void **state)
{
    static const char *const paths[] = {"", "/etc", "/nix/store/../x",
                                        "/nix/store/a\n/nix/store/b"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        stream_begin(NULL, NULL);
        stream_say(ok_of(paths[i]));
        stream_assert_rejected("its Ok does not name a store path");
        host_stop_listening();
    }
}

static void an_err_in_the_middle_leaves_nothing(void **state)
{
    struct mvm_message m;
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        stream_begin(NULL, NULL);
        STREAM_SAY_OK(stream_item("kernel", 10));
        stream_await_get("kernel", 0, 10);
        stream_say_piece("kernel", 0, "0123", false);
        m = stream_response(MVM_MESSAGE_ERR);
        m.text = mvm_text_from("the artifact cannot be read");
        m.refusal.category = mvm_text_from("internal");
        if (refused) {
            m.refusal.refused = m.id;
            m.id = (struct mvm_text){NULL, 0};
        }
        stream_say(m);
        stream_lose();
        assert_int_equal(host_finish(), HOST_ERR);
        host_assert_err_has("the artifact cannot be read");
        stream_assert_nothing_there();
        host_stop_listening();
    }
}

static void no_more_of_the_source_is_sent_than_there_is(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    uint64_t size = stream_begin_with_source(NULL);
    for (int i = 0; i < 5; i++) {
        stream_say_want(UINT64_MAX);
    }
    stream_take_source(archive, 0, size, size);
    stream_say_want(UINT64_MAX);
    stream_fetch_kernel(); /* the next request is the Get */
}

/* ---- links ---- */

static void a_link_in_the_folder_is_refused_and_not_followed(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    e2e_write_text(e2e_path("precious"), "precious");
    e2e_make_dir(e2e_path("out"));
    assert_int_equal(symlink(e2e_path("precious"), e2e_path("out/kernel")), 0);
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    host_start("build", "f", "a", "--output", e2e_path("out"));
    assert_int_equal(host_finish(), HOST_USAGE);
    host_assert_err_has("has a file that is not an artifact: kernel");
    e2e_assert_file(e2e_path("precious"), "precious");
}

/* The artifacts come, and cannot be put in place. */
static void fetch_in_vain(const char *why)
{
    STREAM_SAY_OK(stream_item("kernel", 5));
    stream_await_get("kernel", 0, 5);
    stream_say_piece("kernel", 0, "hello", true);
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_OUTPUT);
    host_assert_err_has(why);
    assert_false(e2e_exists(e2e_path(".out.new-%d", (int)host_pid())));
}

static void assert_is_link(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

/* Planted after the first check. */
static void a_link_that_comes_during_the_fetch_is_not_followed(void **state)
{
    (void)state;
    e2e_write_text(e2e_path("precious"), "precious");
    e2e_make_dir(e2e_path("out"));
    stream_begin(NULL, NULL);
    assert_int_equal(symlink(e2e_path("precious"), e2e_path("out/kernel")), 0);
    fetch_in_vain("/out: it has a file that is not an artifact: kernel\n");
    e2e_assert_file(e2e_path("precious"), "precious");
    assert_is_link(stream_in_output("kernel"));
}

static void a_link_in_the_folder_s_place_is_not_followed(void **state)
{
    (void)state;
    e2e_make_dir(e2e_path("elsewhere"));
    e2e_write_text(e2e_path("elsewhere/kernel"), "precious");
    stream_begin(NULL, NULL);
    assert_int_equal(symlink(e2e_path("elsewhere"), e2e_path("out")), 0);
    fetch_in_vain("/out: a symbolic link; name the folder that it leads to\n");
    e2e_assert_file(e2e_path("elsewhere/kernel"), "precious");
    assert_is_link(stream_output);
}

/* ---- names ---- */

static void each_name_of_the_table_is_built_listed_and_fetched(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    const char *store_path = e2e_store_path();
    const char *name;
    for (unsigned i = 0; (name = mvm_artifact_name(i)) != NULL; i++) {
        e2e_write_store(store_path, name, name); /* "image" is no name within an output */
    }
    stream_start_agent(store_path);
    host_start("build", "f", "a", "--output", stream_output);
    assert_int_equal(host_finish(), HOST_OK);
    for (unsigned i = 0; (name = mvm_artifact_name(i)) != NULL; i++) {
        if (mvm_artifact_is_whole_output(i)) {
            assert_false(e2e_exists(stream_in_output(name)));
        } else {
            stream_assert_file(name, name);
        }
    }
}

static void an_output_that_is_one_file_is_fetched(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    const char *store_path = e2e_store_path();
    assert_int_equal(rmdir(store_path), 0);
    e2e_write_text(store_path, "a disk image");
    stream_start_agent(store_path);
    host_start("build", "f", "a", "--output", stream_output);
    int status = host_finish();
    unlink(store_path);
    e2e_make_dir(store_path); /* as it was made */
    assert_int_equal(status, HOST_OK);
    stream_assert_file("image", "a disk image");
}

static void the_manual_has_the_table(void **state)
{
    (void)state;
    const char *name;
    char line[128];
    for (unsigned i = 0; (name = mvm_artifact_name(i)) != NULL; i++) {
        snprintf(line, sizeof line, "\n.It Pa %s\n%s\n", name, mvm_artifact_meaning(i));
        if (strstr(e2e_read("man/mvm-builder.1").bytes, line) == NULL) {
            fail_msg("man/mvm-builder.1 has no%s", line);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(what_the_tool_sends_may_be_lost_at_any_byte),
        E2E_TEST(what_the_agent_sends_may_be_lost_at_any_byte),
        E2E_TEST(every_connection_may_be_lost_again),
        E2E_TEST(connections_that_bring_nothing_are_not_tried_for_ever),
        E2E_TEST(a_disk_that_is_full_in_the_middle_is_exit_4),
        E2E_TEST(sha256_without_a_program_for_it_is_an_error_before_the_build),
        E2E_TEST(a_log_in_the_folder_of_output_is_refused_and_not_made),
        E2E_TEST(a_log_is_not_emptied_for_a_build_that_is_refused_here),
        E2E_TEST(max_size_may_be_reached_and_not_passed),
        E2E_TEST(max_size_has_units),
        E2E_TEST(an_end_without_data_leaves_a_hole),
        E2E_TEST(artifacts_that_were_not_asked_for_are_rejected),
        E2E_TEST(an_artifact_over_the_limit_is_rejected),
        E2E_TEST(an_ok_before_all_of_the_source_was_sent_is_rejected),
        E2E_TEST(another_build_s_messages_change_nothing),
        E2E_TEST(a_list_that_changes_after_a_loss_is_rejected),
        E2E_TEST(an_ok_without_a_store_path_is_not_an_ok),
        E2E_TEST(an_err_in_the_middle_leaves_nothing),
        E2E_TEST(no_more_of_the_source_is_sent_than_there_is),
        E2E_TEST(a_link_in_the_folder_is_refused_and_not_followed),
        E2E_TEST(a_link_that_comes_during_the_fetch_is_not_followed),
        E2E_TEST(a_link_in_the_folder_s_place_is_not_followed),
        E2E_TEST(each_name_of_the_table_is_built_listed_and_fetched),
        E2E_TEST(an_output_that_is_one_file_is_fetched),
        E2E_TEST(the_manual_has_the_table),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
