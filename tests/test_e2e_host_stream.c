/* mvm-builder build send:DIR --output DIR, against an agent that the test plays. */
#define _GNU_SOURCE
#include "support_stream.h"
#include <sys/resource.h>
#include <sys/stat.h>

/* ---- what works ---- */

static void artifacts_come_one_after_the_other_and_are_dropped(void **state)
{
    (void)state;
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 10), stream_item("rootfs.ext4", 0),
                  stream_item("initrd", 3));
    stream_await_get("kernel", 0, 10);
    stream_say_piece("kernel", 0, "0123", false);
    stream_say_piece("kernel", 4, "456789", true);
    stream_await_get("initrd", 0, 3);
    stream_say_piece("initrd", 0, "abc", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), HOST_STORE_PATH "\n");
    stream_assert_file("kernel", "0123456789");
    stream_assert_file("initrd", "abc");
    stream_assert_file("rootfs.ext4", "");
    host_assert_err_has("/kernel: 10 bytes\n");
}

static void holes_stay_holes(void **state)
{
    const uint64_t size = UINT64_C(1) << 30;
    struct stat s;
    (void)state;
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("rootfs.ext4", size));
    stream_await_get("rootfs.ext4", 0, size);
    stream_say_piece("rootfs.ext4", size / 2, "middle", false);
    stream_say_piece("rootfs.ext4", size, "", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_int_equal(stat(stream_in_output("rootfs.ext4"), &s), 0);
    assert_int_equal(s.st_size, size);
    assert_true(s.st_blocks < 1024);
}

static void an_older_set_is_replaced_as_a_whole(void **state)
{
    struct stat s;
    (void)state;
    mkdir(e2e_path("out"), 0777);
    e2e_write_text(e2e_path("out/vmlinux"), "old");
    stream_begin(NULL, NULL);
    stream_fetch_kernel();
    assert_int_equal(stat(stream_in_output("vmlinux"), &s), -1);
}

static void frames_say_what_was_fetched(void **state)
{
    (void)state;
    stream_begin("--json", "--sha256");
    stream_fetch_kernel();
    assert_non_null(strstr(host_out(), "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\",\"id\":\""));
    assert_non_null(strstr(
        host_out(), "\"artifacts\":[{\"name\":\"kernel\",\"size\":5,\"sha256\":\"2cf24dba5fb0"
                    "a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"}]}}\n"));
}

static void the_source_goes_within_its_credit(void **state)
{
    static uint8_t archive[1 << 18];
    struct mvm_text magic = {(const char *)archive + 8, 13};
    (void)state;
    uint64_t size = stream_begin_with_source(NULL);
    stream_say_want(1000);
    stream_take_source(archive, 0, 1000, size);
    stream_say_want(100000);
    stream_take_source(archive, 1000, 101000, size);
    stream_say_want(UINT64_MAX);
    stream_take_source(archive, 101000, size, size);
    assert_true(mvm_text_equal(magic, "nix-archive-1"));
    stream_fetch_kernel();
}

/* Its name stays here. */
static void a_folder_whose_name_is_not_utf_8_can_be_sent(void **state)
{
    char words[E2E_PATH_CAP + 32];
    static uint8_t archive[1 << 12];
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    e2e_make_dir(e2e_path("\xe4"));
    e2e_write_text(e2e_path("\xe4/flake.nix"), "{ }");
    snprintf(words, sizeof words, "send:%s", e2e_path("\xe4"));
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", words, "a", "--all-files", "--output", stream_output);
    stream_welcome(STREAM_FEATURES);
    const struct mvm_message *m = stream_await(MVM_MESSAGE_STREAM_BUILD);
    assert_true(mvm_text_equal(m->build.flake_ref, ""));
    uint64_t size = m->build.source_size;
    stream_say_beat();
    stream_say_want(size);
    stream_take_source(archive, 0, size, size);
    stream_fetch_kernel();
}

/* ---- lost connections ---- */

static void a_source_that_was_cut_is_sent_again_as_another_build(void **state)
{
    static uint8_t archive[1 << 18];
    char first[MVM_ID_MAX + 1];
    (void)state;
    uint64_t size = stream_begin_with_source(NULL);
    strcpy(first, stream_id);
    stream_say_want(70000);
    stream_take_source(archive, 0, 70000, size);
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    struct mvm_message m = stream_response(MVM_MESSAGE_ERR);
    m.text = mvm_text_from("build cancelled");
    m.refusal.category = mvm_text_from("cancelled");
    stream_say(m);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    assert_string_not_equal(stream_id, first);
    stream_say_beat();
    stream_say_want(size);
    stream_take_source(archive, 0, size, size);
    stream_fetch_kernel();
}

static void a_source_that_an_agent_asks_for_again_is_sent_from_its_beginning(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    uint64_t size = stream_begin_with_source(NULL);
    stream_say_want(70000);
    stream_take_source(archive, 0, 70000, size);
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    stream_say_beat();
    stream_say_want(size);
    stream_take_source(archive, 0, size, size);
    stream_fetch_kernel();
}

static void a_build_whose_id_was_given_ends_with_its_source(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    uint64_t size = stream_begin_with_source("my.build_no-0001");
    stream_say_want(70000);
    stream_take_source(archive, 0, 70000, size);
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    struct mvm_message m = stream_response(MVM_MESSAGE_ERR);
    m.text = mvm_text_from("build cancelled");
    m.refusal.category = mvm_text_from("cancelled");
    stream_say(m);
    assert_int_equal(host_finish(), HOST_ERR);
    stream_assert_nothing_there();
}

/* The id is this program's own: without the line the build could not be ended. */
static void assert_id_is_shown(void)
{
    char expected[256];
    snprintf(expected, sizeof expected,
             "mvm-builder: the build may go on: mvm-builder cancel %s ends it\n", stream_id);
    host_assert_err_has(expected);
}

static void after_its_time_a_build_s_id_is_shown(void **state)
{
    (void)state;
    stream_begin("--retry", "1");
    host_stop_listening();
    stream_lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    assert_id_is_shown();
}

static void interrupted_out_of_reach_a_build_s_id_is_shown(void **state)
{
    (void)state;
    stream_begin("--retry", "20");
    host_stop_listening();
    stream_lose();
    host_await_err("trying again");
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    host_assert_err_has("interrupted; a build that is kept goes on\n");
    assert_id_is_shown();
}

static void the_id_that_is_shown_is_that_of_the_build_begun_again(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    uint64_t size = stream_begin_with_source(NULL);
    stream_say_want(70000);
    stream_take_source(archive, 0, 70000, size);
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    struct mvm_message m = stream_response(MVM_MESSAGE_ERR);
    m.text = mvm_text_from("build cancelled");
    m.refusal.category = mvm_text_from("cancelled");
    stream_say(m);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    stream_say_beat();
    host_stop_listening();
    stream_lose();
    assert_int_equal(host_end(SIGINT), HOST_INTERRUPTED);
    assert_id_is_shown();
}

static void a_build_that_has_ended_does_not_go_on(void **state)
{
    (void)state;
    stream_begin("--retry", "1");
    STREAM_SAY_OK(stream_item("kernel", 10));
    stream_await_get("kernel", 0, 10);
    host_stop_listening();
    stream_lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_lacks("may go on");
}

/* The client that has the source has lost the build to it. */
static void a_join_of_a_build_that_waits_for_its_source_ends_it(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    host_listen("a.sock");
    for (int confirmed = 0; confirmed < 2; confirmed++) {
        host_start("join", "my.build_no-0001", "--wire", "proto");
        stream_welcome(STREAM_FEATURES);
        stream_await(MVM_MESSAGE_JOIN);
        stream_say_beat();
        stream_say_want(1000);
        stream_await(MVM_MESSAGE_CANCEL);
        if (confirmed) {
            struct mvm_message m = stream_response(MVM_MESSAGE_CANCELLED);
            m.text = mvm_text_from("waiting");
            stream_say(m);
        }
        assert_int_equal(host_finish(), HOST_ERR);
        assert_string_equal(host_err(),
                            "mvm-builder: it waits for its source, which join cannot send\n");
    }
}

static void an_artifact_goes_on_where_it_was(void **state)
{
    (void)state;
    stream_begin("--retry", "20");
    STREAM_SAY_OK(stream_item("kernel", 10), stream_item("initrd", 3));
    stream_await_get("kernel", 0, 10);
    stream_say_piece("kernel", 0, "0123", false);
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    STREAM_SAY_OK(stream_item("kernel", 10), stream_item("initrd", 3));
    stream_await_get("kernel", 4, 6);
    stream_say_piece("kernel", 4, "456789", false); /* its end was lost */
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    STREAM_SAY_OK(stream_item("kernel", 10), stream_item("initrd", 3));
    stream_await_get("initrd", 0, 3);
    stream_say_piece("initrd", 0, "abc", true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    stream_assert_file("kernel", "0123456789");
    stream_assert_file("initrd", "abc");
}

static void a_lost_connection_without_retry_leaves_nothing(void **state)
{
    (void)state;
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 10));
    stream_await_get("kernel", 0, 10);
    stream_say_piece("kernel", 0, "0123", false);
    stream_lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("connection lost before the artifacts were fetched: the agent's side ");
    stream_assert_nothing_there();
}

static void a_slash_behind_the_folder_is_not_shown_twice(void **state)
{
    char expected[512];
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    snprintf(stream_output, sizeof stream_output, "%s/", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", stream_output);
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    stream_say_beat();
    stream_fetch_kernel();
    snprintf(expected, sizeof expected, "mvm-builder: %s/kernel: 5 bytes\n", e2e_path("out"));
    host_assert_err_has(expected);
}

static void an_interrupted_fetch_drops_what_was_built(void **state)
{
    (void)state;
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 10));
    stream_await_get("kernel", 0, 10);
    kill(host_pid(), SIGINT);
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    stream_assert_nothing_there();
}

/* ---- Ctrl-C where this machine is at work ---- */

/* A script of that name that the tool runs in place of the program. */
static void put_on_path(const char *name, const char *script)
{
    char path[2 * E2E_PATH_CAP + 1024];
    const char *before = getenv("PATH");
    e2e_make_dir(e2e_path("bin"));
    e2e_write_text(e2e_path("bin/%s", name), script);
    assert_int_equal(chmod(e2e_path("bin/%s", name), 0755), 0);
    assert_non_null(before);
    snprintf(path, sizeof path, "%s:%.1000s", e2e_path("bin"), before);
    setenv("PATH", path, 1);
}

static void take_off_path(void)
{
    const char *rest = strchr(getenv("PATH"), ':');
    char path[1024];
    snprintf(path, sizeof path, "%s", rest + 1);
    setenv("PATH", path, 1);
}

static void await_program(void)
{
    assert_true(e2e_until(e2e_exists, e2e_path("bin/started"), E2E_PATIENCE_MS));
}

static void an_interrupted_hash_leaves_nothing(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    put_on_path("sha256sum",
                "#!/bin/sh\n[ -n \"$(head -c 1)\" ] || {\necho e3b0c44298fc1c149afbf4c8996fb924"
                "27ae41e4649b934ca495991b7852b855\nexit\n}\n"
                ": >\"${0%/*}/started\"\nexec sleep 60\n");
    stream_begin("--sha256", NULL);
    take_off_path();
    STREAM_SAY_OK(stream_item("kernel", 5));
    stream_await_get("kernel", 0, 5);
    stream_say_piece("kernel", 0, "hello", true);
    await_program();
    kill(host_pid(), SIGINT);
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    stream_assert_nothing_there();
}

static void an_interrupted_listing_leaves_nothing(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    const char *folder = stream_source_folder(10);
    e2e_make_dir(e2e_path("flake/.git"));
    put_on_path("git", "#!/bin/sh\n: >\"${0%/*}/started\"\nexec sleep 60\n");
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    host_start("build", folder, "a", "--output", stream_output);
    take_off_path();
    await_program();
    kill(host_pid(), SIGINT);
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    host_assert_err_has("interrupted\n");
    stream_assert_nothing_there();
}

/* A folder like any other may be left otherwise. */
static void every_signal_that_ends_the_tool_leaves_nothing(void **state)
{
    static const int signals[] = {SIGHUP, SIGTERM, SIGQUIT};
    (void)state;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        stream_begin(NULL, NULL);
        STREAM_SAY_OK(stream_item("kernel", 10));
        stream_await_get("kernel", 0, 10);
        kill(host_pid(), signals[i]);
        stream_await(MVM_MESSAGE_DROP);
        stream_lose();
        assert_int_equal(host_finish(), 128 + signals[i]);
        stream_assert_nothing_there();
        host_stop_listening();
    }
}

/* The kernel keeps no status of a child then. */
static void
a_git_that_fails_is_noticed_by_a_tool_that_was_started_with_sigchld_ignored(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    const char *folder = stream_source_folder(10);
    e2e_make_dir(e2e_path("flake/.git"));
    put_on_path("git", "#!/bin/sh\nprintf 'big\\0'\nexit 1\n");
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    host_start("build", folder, "a", "--output", stream_output);
    signal(SIGCHLD, before);
    take_off_path();
    assert_int_equal(host_finish(), HOST_USAGE);
    host_assert_err_has("git ls-files failed");
    stream_assert_nothing_there();
}

static void one_that_succeeds_is_not_a_failure_then(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    stream_begin("--sha256", NULL);
    signal(SIGCHLD, before);
    stream_fetch_kernel();
    host_assert_err_has("sha256 2cf24dba");
}

/* ---- agents that break the rules ---- */

static void a_list_with_other_names_is_rejected(void **state)
{
    static const char *const names[] = {"../kernel", "/etc/passwd", "", ".", "kernel/x", "Kernel"};
    char why[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        stream_begin(NULL, NULL);
        STREAM_SAY_OK(stream_item(names[i], 1));
        stream_await(MVM_MESSAGE_DROP);
        snprintf(why, sizeof why, ": an artifact: its name is not known here: \"%s\"\n", names[i]);
        stream_assert_rejected(why);
        host_stop_listening();
    }
}

static void a_list_that_is_empty_or_says_a_name_twice_is_rejected(void **state)
{
    (void)state;
    stream_begin(NULL, NULL);
    stream_say_ok(NULL, 0);
    stream_await(MVM_MESSAGE_DROP);
    stream_assert_rejected("lists no artifacts");
    host_stop_listening();
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 1), stream_item("kernel", 1));
    stream_await(MVM_MESSAGE_DROP);
    stream_assert_rejected("kernel: listed twice");
}

static void more_than_was_allowed_is_not_fetched(void **state)
{
    (void)state;
    stream_begin("--max-size", "10");
    STREAM_SAY_OK(stream_item("kernel", 6), stream_item("initrd", 5));
    stream_await(MVM_MESSAGE_DROP);
    stream_assert_rejected(
        "mvm-builder: the artifacts have 11 bytes or more, --max-size allows 10\n");
    host_stop_listening();
    stream_begin("--max-size", "10");
    STREAM_SAY_OK(stream_item("kernel", 5), stream_item("initrd", UINT64_MAX));
    stream_await(MVM_MESSAGE_DROP);
    stream_assert_rejected("mvm-builder: the artifacts have 18446744073709551615 bytes or more, ");
}

static void bytes_out_of_order_or_past_the_end_are_rejected(void **state)
{
    static const struct {
        const char *name;
        uint64_t offset;
        const char *bytes;
        const char *why;
    } pieces[] = {
        {"kernel", 0, "again", "kernel: bytes out of order or past its end"},
        {"kernel", 8, "abc", "kernel: bytes out of order or past its end"},
        {"kernel", 11, "", "kernel: bytes out of order or past its end"},
        {"kernel", UINT64_MAX, "abc", "kernel: bytes out of order or past its end"},
        {"kernel", 4, "", "kernel: a piece without bytes"},
        {"initrd", 4, "abc", "bytes of an artifact that was not asked for"},
        {"../x", 4, "abc", "bytes of an artifact that was not asked for"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        stream_begin(NULL, NULL);
        STREAM_SAY_OK(stream_item("kernel", 10));
        stream_await_get("kernel", 0, 10);
        stream_say_piece("kernel", 0, "0123", false);
        stream_say_piece(pieces[i].name, pieces[i].offset, pieces[i].bytes, false);
        stream_assert_rejected(pieces[i].why);
        host_stop_listening();
    }
}

static void another_list_after_a_loss_is_rejected(void **state)
{
    (void)state;
    stream_begin("--retry", "20");
    STREAM_SAY_OK(stream_item("kernel", 10));
    stream_await_get("kernel", 0, 10);
    stream_say_piece("kernel", 0, "0123", false);
    stream_lose();
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_JOIN);
    STREAM_SAY_OK(stream_item("kernel", 11));
    stream_assert_rejected("lists other artifacts than before");
}

/* ---- agents without the feature, and faults of this machine ---- */

static void an_agent_without_the_words_is_refused(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", stream_output);
    stream_welcome(HOST_FEATURES);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("this agent does not give out artifacts over the connection");
    host_start("build", stream_source_folder(10), "a", "--all-files", "--output", stream_output);
    stream_welcome(HOST_FEATURES " artifacts");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("this agent does not take a flake over the connection");
    stream_assert_nothing_there();
}

/* Another wire would not help. */
static void an_agent_without_protobuf_is_refused_without_false_advice(void **state)
{
    (void)state;
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", e2e_path("out"));
    struct e2e_conn *c = host_accept();
    e2e_say(c, "{\"Err\":{\"message\":\"parse error: expected value at byte 0\"}}\n");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("on a serial line; builds without disks need protobuf\n");
}

static void a_file_that_cannot_be_written_is_exit_4(void **state)
{
    struct rlimit before, limit;
    char expected[512];
    (void)state;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){.rlim_cur = 8192, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    stream_begin(NULL, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    STREAM_SAY_OK(stream_item("kernel", 10), stream_item("rootfs.ext4", 10000));
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_OUTPUT);
    snprintf(expected, sizeof expected, "mvm-builder: --output %s: File too large\n",
             stream_in_output("rootfs.ext4"));
    host_assert_err_has(expected);
    stream_assert_nothing_there();
}

static void a_folder_with_other_files_is_not_replaced(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    mkdir(e2e_path("out"), 0777);
    e2e_write_text(e2e_path("out/letter"), "dear");
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    host_start("build", "f", "a", "--output", e2e_path("out"));
    assert_int_equal(host_finish(), HOST_USAGE);
    host_assert_err_has("has a file that is not an artifact: letter");
}

/* It would disappear with the old set. */
static void a_file_that_was_put_into_the_folder_meanwhile_is_not_lost(void **state)
{
    (void)state;
    mkdir(e2e_path("out"), 0777);
    e2e_write_text(e2e_path("out/vmlinux"), "old");
    stream_begin(NULL, NULL);
    STREAM_SAY_OK(stream_item("kernel", 5));
    stream_await_get("kernel", 0, 5);
    e2e_write_text(e2e_path("out/letter"), "dear");
    stream_say_piece("kernel", 0, "hello", true);
    stream_await(MVM_MESSAGE_DROP);
    stream_lose();
    assert_int_equal(host_finish(), HOST_OUTPUT);
    host_assert_err_has("/out: it has a file that is not an artifact: letter\n");
    stream_assert_file("letter", "dear");
    stream_assert_file("vmlinux", "old");
    assert_false(e2e_exists(e2e_path(".out.new-%d", (int)host_pid())));
}

static void options_that_do_not_go_together_are_refused(void **state)
{
    static const struct {
        const char *words[8];
        const char *why;
    } lines[] = {
        {{"build", "send:.", "a"}, "a flake that is sent needs --output"},
        {{"build", "send:", "a", "--output", "o"}, "give a folder behind send:"},
        {{"build", "send:.?rev=1", "a", "--output", "o"}, "?dir= alone can follow"},
        {{"build", "send:.?dir=\xe4", "a", "--output", "o"}, "must be UTF-8"},
        {{"build", "send:.", "\xe4", "--output", "o"}, "must be UTF-8"},
        {{"build", "f", "a", "--all-files", "--output", "o"}, "--all-files requires send:"},
        {{"build", "f", "a", "--max-size", "1"}, "--max-size and --sha256 require --output"},
        {{"build", "f", "a", "--output", "o", "--wire", "json"},
         "--output cannot be combined with --wire"},
        {{"build", "f", "a", "--output", "o", "--max-size", "x"}, "not a number of bytes"},
        {{"build", "f", "a", "--output", "o", "--max-size", "G"}, "not a number of bytes"},
        {{"build", "f", "a", "--output", "o", "--max-size", "1.5G"}, "not a number of bytes"},
        {{"build", "f", "a", "--output", "o", "--max-size", "1GG"}, "not a number of bytes"},
        {{"build", "f", "a", "--output", "o", "--max-size", "8388608T"}, "too large a number"},
        {{"join", "my.build_no-0001", "--output", "o"}, "--output is for build"},
    };
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        host_start_words(lines[i].words);
        assert_int_equal(host_finish(), HOST_USAGE);
        host_assert_err_has(lines[i].why);
    }
}

/* ---- the real agent; nix and nix-store are small scripts ---- */

static void the_real_agent_builds_what_was_sent_and_gives_it_out(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    stream_start_agent(e2e_store_image("a kernel", "a rootfs"));
    host_start("build", stream_source_folder(700000), "a", "--all-files", "--output",
               stream_output);
    assert_int_equal(host_finish(), HOST_OK);
    stream_assert_file("kernel", "a kernel");
    stream_assert_file("rootfs", "a rootfs");
    host_assert_err_has("unpacked 700280\n"); /* as nix-store --dump has it */
}

static void the_real_agent_gives_out_a_build_of_its_own_flake(void **state)
{
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    stream_start_agent(e2e_store_image("a kernel", "a rootfs"));
    host_start("build", "flake", "a", "--output", stream_output, "--retry", "20");
    assert_int_equal(host_finish(), HOST_OK);
    stream_assert_file("kernel", "a kernel");
    host_start("build", "flake", "a", "--output", stream_output, "--max-size", "10");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    stream_assert_file("kernel", "a kernel"); /* the earlier set */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(artifacts_come_one_after_the_other_and_are_dropped),
        E2E_TEST(holes_stay_holes),
        E2E_TEST(an_older_set_is_replaced_as_a_whole),
        E2E_TEST(frames_say_what_was_fetched),
        E2E_TEST(the_source_goes_within_its_credit),
        E2E_TEST(a_folder_whose_name_is_not_utf_8_can_be_sent),
        E2E_TEST(a_source_that_was_cut_is_sent_again_as_another_build),
        E2E_TEST(a_source_that_an_agent_asks_for_again_is_sent_from_its_beginning),
        E2E_TEST(a_build_whose_id_was_given_ends_with_its_source),
        E2E_TEST(after_its_time_a_build_s_id_is_shown),
        E2E_TEST(interrupted_out_of_reach_a_build_s_id_is_shown),
        E2E_TEST(the_id_that_is_shown_is_that_of_the_build_begun_again),
        E2E_TEST(a_build_that_has_ended_does_not_go_on),
        E2E_TEST(a_join_of_a_build_that_waits_for_its_source_ends_it),
        E2E_TEST(an_artifact_goes_on_where_it_was),
        E2E_TEST(a_lost_connection_without_retry_leaves_nothing),
        E2E_TEST(a_slash_behind_the_folder_is_not_shown_twice),
        E2E_TEST(an_interrupted_fetch_drops_what_was_built),
        E2E_TEST(an_interrupted_hash_leaves_nothing),
        E2E_TEST(an_interrupted_listing_leaves_nothing),
        E2E_TEST(every_signal_that_ends_the_tool_leaves_nothing),
        E2E_TEST(a_git_that_fails_is_noticed_by_a_tool_that_was_started_with_sigchld_ignored),
        E2E_TEST(one_that_succeeds_is_not_a_failure_then),
        E2E_TEST(a_list_with_other_names_is_rejected),
        E2E_TEST(a_list_that_is_empty_or_says_a_name_twice_is_rejected),
        E2E_TEST(more_than_was_allowed_is_not_fetched),
        E2E_TEST(bytes_out_of_order_or_past_the_end_are_rejected),
        E2E_TEST(another_list_after_a_loss_is_rejected),
        E2E_TEST(an_agent_without_the_words_is_refused),
        E2E_TEST(an_agent_without_protobuf_is_refused_without_false_advice),
        E2E_TEST(a_file_that_cannot_be_written_is_exit_4),
        E2E_TEST(a_folder_with_other_files_is_not_replaced),
        E2E_TEST(a_file_that_was_put_into_the_folder_meanwhile_is_not_lost),
        E2E_TEST(the_real_agent_builds_what_was_sent_and_gives_it_out),
        E2E_TEST(the_real_agent_gives_out_a_build_of_its_own_flake),
        E2E_TEST(options_that_do_not_go_together_are_refused),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
