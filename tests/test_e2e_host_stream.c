/* mvm-builder build send:DIR --output DIR, against an agent that the test plays. */
#define _GNU_SOURCE
#include "mvm_session.h"
#include "support_host.h"
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FEATURES HOST_FEATURES " source artifacts"

#define NEEDS_PROTOBUF()                                                                           \
    if (!mvm_proto_present) {                                                                      \
        E2E_SKIP("no protobuf wire");                                                              \
    }

/* ---- the agent, on the protobuf wire ---- */

static struct {
    int fd;
    struct mvm_session session;
    uint8_t receive[65536], send[131072];
    char fields[2 * MVM_BULK_DATA_MAX];
    char id[MVM_ID_MAX + 1];
} agent;

static void say(struct mvm_message m)
{
    size_t len;
    const uint8_t *bytes;
    mvm_session_send(&agent.session, &m);
    while ((bytes = mvm_session_bytes(&agent.session, &len)) != NULL && len > 0) {
        ssize_t n = send(agent.fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the tool has hung up */
        }
        mvm_session_sent(&agent.session, (size_t)n);
    }
}

/* The next request; NULL: the tool has hung up. */
static const struct mvm_message *next(void)
{
    for (;;) {
        size_t cap;
        enum mvm_session_event event = mvm_session_next(&agent.session);
        if (event == MVM_SESSION_MESSAGE) {
            return &agent.session.message;
        }
        assert_int_equal(event, MVM_SESSION_NOTHING);
        uint8_t *room = mvm_session_room(&agent.session, &cap);
        ssize_t n = recv(agent.fd, room, cap, 0);
        if (n <= 0) {
            return NULL;
        }
        mvm_session_received(&agent.session, (size_t)n);
    }
}

static const struct mvm_message *await(enum mvm_kind kind)
{
    const struct mvm_message *m = next();
    if (m == NULL) {
        fail_msg("the tool hung up; its stderr: %s", host_err());
    }
    assert_int_equal(m->kind, kind);
    if (m->id.len > 0) {
        memcpy(agent.id, m->id.bytes, m->id.len);
        agent.id[m->id.len] = '\0';
    }
    return m;
}

static struct mvm_message response(enum mvm_kind kind)
{
    return (struct mvm_message){.kind = kind, .id = mvm_text_from(agent.id)};
}

static void welcome(const char *features)
{
    const struct mvm_session_memory memory = {
        agent.receive,     sizeof agent.receive, agent.send,
        sizeof agent.send, agent.fields,         sizeof agent.fields,
    };
    char nonce[MVM_NONCE_MAX + 1] = "";
    agent.fd = host_accept()->fd;
    struct timeval patience = {.tv_sec = 20};
    setsockopt(agent.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    mvm_session_init(&agent.session, MVM_DIRECTION_REQUESTS, &memory);
    const struct mvm_message *m = await(MVM_MESSAGE_HELLO);
    memcpy(nonce, m->hello.nonce.bytes, m->hello.nonce.len);
    struct mvm_message hello = {.kind = MVM_MESSAGE_WELCOME};
    hello.hello.nonce = mvm_text_from(nonce);
    hello.hello.agent = mvm_text_from("played 1.0");
    hello.hello.boot = mvm_text_from("b1");
    hello.hello.features = mvm_text_from(features);
    say(hello);
}

static void lose(void)
{
    shutdown(agent.fd, SHUT_RDWR);
}

static void say_beat(void)
{
    struct mvm_message m = response(MVM_MESSAGE_LOG);
    m.beat = MVM_FLAG_TRUE;
    say(m);
}

static void say_want(uint64_t bytes)
{
    struct mvm_message m = response(MVM_MESSAGE_WANT);
    m.bulk.length = bytes;
    say(m);
}

static void say_ok(const struct mvm_artifact_item *items, size_t len)
{
    uint8_t list[1024];
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        at += mvm_proto_add_artifact(list + at, sizeof list - at, &items[i]);
    }
    struct mvm_message m = response(MVM_MESSAGE_OK);
    m.text = mvm_text_from(HOST_STORE_PATH);
    m.artifacts = (struct mvm_text){(const char *)list, at};
    say(m);
}
#define SAY_OK(...)                                                                                \
    say_ok((const struct mvm_artifact_item[]){__VA_ARGS__},                                        \
           sizeof((const struct mvm_artifact_item[]){__VA_ARGS__}) /                               \
               sizeof(struct mvm_artifact_item))

static struct mvm_artifact_item item(const char *name, uint64_t size)
{
    return (struct mvm_artifact_item){mvm_text_from(name), size};
}

static void say_piece(const char *name, uint64_t offset, const char *bytes, bool last)
{
    struct mvm_message m = response(MVM_MESSAGE_ARTIFACT);
    m.text = mvm_text_from(bytes);
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = offset;
    m.bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    say(m);
}

static void await_get(const char *name, uint64_t offset, uint64_t length)
{
    const struct mvm_message *m = await(MVM_MESSAGE_GET);
    assert_true(mvm_text_equal(m->bulk.name, name));
    assert_int_equal(m->bulk.offset, offset);
    assert_int_equal(m->bulk.length, length);
}

/* ---- files ---- */

static char output[E2E_PATH_CAP];

static const char *in_output(const char *name)
{
    static char path[E2E_PATH_CAP + 64];
    snprintf(path, sizeof path, "%s/%s", output, name);
    return path;
}

static void assert_file(const char *name, const char *content)
{
    assert_string_equal(e2e_read(in_output(name)).bytes, content);
}

/* Nothing of an unfinished set is left, under any name. */
static void assert_nothing_there(void)
{
    char command[E2E_PATH_CAP + 64];
    struct stat s;
    assert_int_equal(stat(output, &s), -1);
    snprintf(command, sizeof command, "%s", e2e_path(".out.new-%d", (int)host_pid()));
    assert_int_equal(stat(command, &s), -1);
}

/* ---- builds ---- */

/* A flake in the guest, built without disks. */
static void begin(const char *option, const char *value)
{
    NEEDS_PROTOBUF();
    snprintf(output, sizeof output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", output, option, value);
    welcome(FEATURES);
    await(MVM_MESSAGE_STREAM_BUILD);
    say_beat();
}

static const char *source_folder(size_t bytes)
{
    static char folder[E2E_PATH_CAP];
    snprintf(folder, sizeof folder, "send:%s?dir=sub", e2e_path("flake"));
    mkdir(e2e_path("flake"), 0777);
    FILE *f = fopen(e2e_path("flake/big"), "w");
    assert_non_null(f);
    for (size_t i = 0; i < bytes; i++) {
        fputc((int)(i % 251), f);
    }
    fclose(f);
    return folder;
}

/* Starts a build with a source of some 200 KiB; its archive's size. */
static uint64_t begin_with_source(const char *id)
{
    NEEDS_PROTOBUF();
    snprintf(output, sizeof output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", source_folder(200000), "a", "--all-files", "--output", output, "--retry",
               "20", id != NULL ? "--id" : NULL, id);
    welcome(FEATURES);
    const struct mvm_message *m = await(MVM_MESSAGE_STREAM_BUILD);
    assert_true(mvm_text_equal(m->build.flake_ref, "?dir=sub"));
    assert_true(m->build.has_source);
    assert_true(m->build.source_size > 200000);
    uint64_t size = m->build.source_size;
    say_beat();
    return size;
}

/* Takes Source from `at` up to `end`, whose bytes are allowed; appends them to `archive`. */
static void take_source(uint8_t *archive, uint64_t at, uint64_t end, uint64_t size)
{
    while (at < end) {
        const struct mvm_message *m = await(MVM_MESSAGE_SOURCE);
        assert_int_equal(m->bulk.offset, at);
        assert_true(m->text.len > 0 && m->text.len <= end - at);
        memcpy(archive + at, m->text.bytes, m->text.len);
        at += m->text.len;
        assert_int_equal(m->bulk.last == MVM_FLAG_TRUE, at == size);
    }
}

static void fetch_kernel(void)
{
    SAY_OK(item("kernel", 5));
    await_get("kernel", 0, 5);
    say_piece("kernel", 0, "hello", true);
    await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_file("kernel", "hello");
}

/* ---- what works ---- */

static void artifacts_come_one_after_the_other_and_are_dropped(void **state)
{
    (void)state;
    begin(NULL, NULL);
    SAY_OK(item("kernel", 10), item("rootfs.ext4", 0), item("initrd", 3));
    await_get("kernel", 0, 10);
    say_piece("kernel", 0, "0123", false);
    say_piece("kernel", 4, "456789", true);
    await_get("initrd", 0, 3);
    say_piece("initrd", 0, "abc", true);
    await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_string_equal(host_out(), HOST_STORE_PATH "\n");
    assert_file("kernel", "0123456789");
    assert_file("initrd", "abc");
    assert_file("rootfs.ext4", "");
    host_assert_err_has("/kernel: 10 bytes\n");
}

static void holes_stay_holes(void **state)
{
    const uint64_t size = UINT64_C(1) << 30;
    struct stat s;
    (void)state;
    begin(NULL, NULL);
    SAY_OK(item("rootfs.ext4", size));
    await_get("rootfs.ext4", 0, size);
    say_piece("rootfs.ext4", size / 2, "middle", false);
    say_piece("rootfs.ext4", size, "", true);
    await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_int_equal(stat(in_output("rootfs.ext4"), &s), 0);
    assert_int_equal(s.st_size, size);
    assert_true(s.st_blocks < 1024);
}

static void an_older_set_is_replaced_as_a_whole(void **state)
{
    struct stat s;
    (void)state;
    mkdir(e2e_path("out"), 0777);
    e2e_write_text(e2e_path("out/vmlinux"), "old");
    begin(NULL, NULL);
    fetch_kernel();
    assert_int_equal(stat(in_output("vmlinux"), &s), -1);
}

static void frames_say_what_was_fetched(void **state)
{
    (void)state;
    begin("--json", "--sha256");
    fetch_kernel();
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
    uint64_t size = begin_with_source(NULL);
    say_want(1000);
    take_source(archive, 0, 1000, size);
    say_want(100000);
    take_source(archive, 1000, 101000, size);
    say_want(UINT64_MAX);
    take_source(archive, 101000, size, size);
    assert_true(mvm_text_equal(magic, "nix-archive-1"));
    fetch_kernel();
}

/* ---- lost connections ---- */

static void a_source_that_was_cut_is_sent_again_as_another_build(void **state)
{
    static uint8_t archive[1 << 18];
    char first[MVM_ID_MAX + 1];
    (void)state;
    uint64_t size = begin_with_source(NULL);
    strcpy(first, agent.id);
    say_want(70000);
    take_source(archive, 0, 70000, size);
    lose();
    welcome(FEATURES);
    await(MVM_MESSAGE_JOIN);
    struct mvm_message m = response(MVM_MESSAGE_ERR);
    m.text = mvm_text_from("build cancelled");
    m.refusal.category = mvm_text_from("cancelled");
    say(m);
    await(MVM_MESSAGE_STREAM_BUILD);
    assert_string_not_equal(agent.id, first);
    say_beat();
    say_want(size);
    take_source(archive, 0, size, size);
    fetch_kernel();
}

static void a_source_that_an_agent_asks_for_again_is_sent_from_its_beginning(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    uint64_t size = begin_with_source(NULL);
    say_want(70000);
    take_source(archive, 0, 70000, size);
    lose();
    welcome(FEATURES);
    await(MVM_MESSAGE_JOIN);
    say_beat();
    say_want(size);
    take_source(archive, 0, size, size);
    fetch_kernel();
}

static void a_build_whose_id_was_given_ends_with_its_source(void **state)
{
    static uint8_t archive[1 << 18];
    (void)state;
    uint64_t size = begin_with_source("my.build_no-0001");
    say_want(70000);
    take_source(archive, 0, 70000, size);
    lose();
    welcome(FEATURES);
    await(MVM_MESSAGE_JOIN);
    struct mvm_message m = response(MVM_MESSAGE_ERR);
    m.text = mvm_text_from("build cancelled");
    m.refusal.category = mvm_text_from("cancelled");
    say(m);
    assert_int_equal(host_finish(), HOST_ERR);
    assert_nothing_there();
}

static void an_artifact_goes_on_where_it_was(void **state)
{
    (void)state;
    begin("--retry", "20");
    SAY_OK(item("kernel", 10), item("initrd", 3));
    await_get("kernel", 0, 10);
    say_piece("kernel", 0, "0123", false);
    lose();
    welcome(FEATURES);
    await(MVM_MESSAGE_JOIN);
    SAY_OK(item("kernel", 10), item("initrd", 3));
    await_get("kernel", 4, 6);
    say_piece("kernel", 4, "456789", false); /* its end was lost */
    lose();
    welcome(FEATURES);
    await(MVM_MESSAGE_JOIN);
    SAY_OK(item("kernel", 10), item("initrd", 3));
    await_get("initrd", 0, 3);
    say_piece("initrd", 0, "abc", true);
    await(MVM_MESSAGE_DROP);
    assert_int_equal(host_finish(), HOST_OK);
    assert_file("kernel", "0123456789");
    assert_file("initrd", "abc");
}

static void a_lost_connection_without_retry_leaves_nothing(void **state)
{
    (void)state;
    begin(NULL, NULL);
    SAY_OK(item("kernel", 10));
    await_get("kernel", 0, 10);
    say_piece("kernel", 0, "0123", false);
    lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    assert_nothing_there();
}

static void an_interrupted_fetch_drops_what_was_built(void **state)
{
    (void)state;
    begin(NULL, NULL);
    SAY_OK(item("kernel", 10));
    await_get("kernel", 0, 10);
    kill(host_pid(), SIGINT);
    await(MVM_MESSAGE_DROP);
    lose();
    assert_int_equal(host_finish(), HOST_INTERRUPTED);
    assert_nothing_there();
}

/* ---- agents that break the rules ---- */

static void assert_rejected(const char *why)
{
    lose();
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has(why);
    assert_nothing_there();
}

static void a_list_with_other_names_is_rejected(void **state)
{
    static const char *const names[] = {"../kernel", "/etc/passwd", "", ".", "kernel/x", "Kernel"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        begin(NULL, NULL);
        SAY_OK(item(names[i], 1));
        await(MVM_MESSAGE_DROP);
        assert_rejected("its name is not known here");
        host_stop_listening();
    }
}

static void a_list_that_is_empty_or_says_a_name_twice_is_rejected(void **state)
{
    (void)state;
    begin(NULL, NULL);
    say_ok(NULL, 0);
    await(MVM_MESSAGE_DROP);
    assert_rejected("lists no artifacts");
    host_stop_listening();
    begin(NULL, NULL);
    SAY_OK(item("kernel", 1), item("kernel", 1));
    await(MVM_MESSAGE_DROP);
    assert_rejected("kernel: listed twice");
}

static void more_than_was_allowed_is_not_fetched(void **state)
{
    (void)state;
    begin("--max-size", "10");
    SAY_OK(item("kernel", 6), item("initrd", 5));
    await(MVM_MESSAGE_DROP);
    assert_rejected("initrd: larger than --max-size allows");
    host_stop_listening();
    begin("--max-size", "10");
    SAY_OK(item("kernel", 5), item("initrd", UINT64_MAX));
    await(MVM_MESSAGE_DROP);
    assert_rejected("initrd: larger than --max-size allows");
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
        begin(NULL, NULL);
        SAY_OK(item("kernel", 10));
        await_get("kernel", 0, 10);
        say_piece("kernel", 0, "0123", false);
        say_piece(pieces[i].name, pieces[i].offset, pieces[i].bytes, false);
        assert_rejected(pieces[i].why);
        host_stop_listening();
    }
}

static void another_list_after_a_loss_is_rejected(void **state)
{
    (void)state;
    begin("--retry", "20");
    SAY_OK(item("kernel", 10));
    await_get("kernel", 0, 10);
    say_piece("kernel", 0, "0123", false);
    lose();
    welcome(FEATURES);
    await(MVM_MESSAGE_JOIN);
    SAY_OK(item("kernel", 11));
    assert_rejected("lists other artifacts than before");
}

/* ---- agents without the feature, and faults of this machine ---- */

static void an_agent_without_the_words_is_refused(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    snprintf(output, sizeof output, "%s", e2e_path("out"));
    host_listen("a.sock");
    host_start("build", "f", "a", "--output", output);
    welcome(HOST_FEATURES);
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("this agent does not give out artifacts over the connection");
    host_start("build", source_folder(10), "a", "--all-files", "--output", output);
    welcome(HOST_FEATURES " artifacts");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    host_assert_err_has("this agent does not take a flake over the connection");
    assert_nothing_there();
}

static void a_file_that_cannot_be_written_is_exit_4(void **state)
{
    struct rlimit before, limit;
    (void)state;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){.rlim_cur = 8192, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    begin(NULL, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    SAY_OK(item("kernel", 10), item("rootfs.ext4", 10000));
    await(MVM_MESSAGE_DROP);
    lose();
    assert_int_equal(host_finish(), HOST_OUTPUT);
    host_assert_err_has("rootfs.ext4: File too large");
    assert_nothing_there();
}

static void a_folder_with_other_files_is_not_replaced(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    mkdir(e2e_path("out"), 0777);
    e2e_write_text(e2e_path("out/letter"), "dear");
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    host_start("build", "f", "a", "--output", e2e_path("out"));
    assert_int_equal(host_finish(), HOST_USAGE);
    host_assert_err_has("has a file that is not an artifact: letter");
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
        {{"build", "f", "a", "--all-files", "--output", "o"}, "--all-files goes with send:"},
        {{"build", "f", "a", "--max-size", "1"}, "--max-size and --sha256 go with --output"},
        {{"build", "f", "a", "--output", "o", "--wire", "json"}, "--output goes without --wire"},
        {{"build", "f", "a", "--output", "o", "--max-size", "x"}, "not a number of bytes"},
        {{"join", "my.build_no-0001", "--output", "o"}, "--output is for build"},
    };
    (void)state;
    NEEDS_PROTOBUF();
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        host_start_words(lines[i].words);
        assert_int_equal(host_finish(), HOST_USAGE);
        host_assert_err_has(lines[i].why);
    }
}

/* ---- the real agent; nix and nix-store are small scripts ---- */

static pid_t start_agent(void)
{
    static char script[2048];
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(script, sizeof script,
             "for word; do [ \"$before\" = --out-link ] && link=$word; before=$word; done\n"
             "flake=${installable%%%%#*}; flake=${flake#path:}; flake=${flake%%%%\\?*}\n"
             "[ -f \"$flake/all\" ] && echo \"unpacked $(wc -c <\"$flake/all\")\" >&2\n"
             "ln -s %s \"$link\"\necho %s\n",
             store_path, store_path);
    e2e_write_nix(script);
    e2e_write_text(e2e_path("nix-store"), "#!/bin/sh\nmkdir \"$2\" && exec cat >\"$2/all\"\n");
    chmod(e2e_path("nix-store"), 0755);
    snprintf(output, sizeof output, "%s", e2e_path("out"));
    snprintf(host_address, sizeof host_address, "unix:%s", e2e_path("a.sock"));
    return E2E_AGENT("a", "--stream-dir", e2e_path("stream"));
}

static void the_real_agent_builds_what_was_sent_and_gives_it_out(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    start_agent();
    host_start("build", source_folder(700000), "a", "--all-files", "--output", output);
    assert_int_equal(host_finish(), HOST_OK);
    assert_file("kernel", "a kernel");
    assert_file("rootfs", "a rootfs");
    host_assert_err_has("unpacked 700280\n"); /* as nix-store --dump has it */
}

static void the_real_agent_gives_out_a_build_of_its_own_flake(void **state)
{
    (void)state;
    NEEDS_PROTOBUF();
    start_agent();
    host_start("build", "flake", "a", "--output", output, "--retry", "20");
    assert_int_equal(host_finish(), HOST_OK);
    assert_file("kernel", "a kernel");
    host_start("build", "flake", "a", "--output", output, "--max-size", "10");
    assert_int_equal(host_finish(), HOST_NO_CONNECTION);
    assert_file("kernel", "a kernel"); /* the earlier set */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(artifacts_come_one_after_the_other_and_are_dropped),
        E2E_TEST(holes_stay_holes),
        E2E_TEST(an_older_set_is_replaced_as_a_whole),
        E2E_TEST(frames_say_what_was_fetched),
        E2E_TEST(the_source_goes_within_its_credit),
        E2E_TEST(a_source_that_was_cut_is_sent_again_as_another_build),
        E2E_TEST(a_source_that_an_agent_asks_for_again_is_sent_from_its_beginning),
        E2E_TEST(a_build_whose_id_was_given_ends_with_its_source),
        E2E_TEST(an_artifact_goes_on_where_it_was),
        E2E_TEST(a_lost_connection_without_retry_leaves_nothing),
        E2E_TEST(an_interrupted_fetch_drops_what_was_built),
        E2E_TEST(a_list_with_other_names_is_rejected),
        E2E_TEST(a_list_that_is_empty_or_says_a_name_twice_is_rejected),
        E2E_TEST(more_than_was_allowed_is_not_fetched),
        E2E_TEST(bytes_out_of_order_or_past_the_end_are_rejected),
        E2E_TEST(another_list_after_a_loss_is_rejected),
        E2E_TEST(an_agent_without_the_words_is_refused),
        E2E_TEST(a_file_that_cannot_be_written_is_exit_4),
        E2E_TEST(a_folder_with_other_files_is_not_replaced),
        E2E_TEST(the_real_agent_builds_what_was_sent_and_gives_it_out),
        E2E_TEST(the_real_agent_gives_out_a_build_of_its_own_flake),
        E2E_TEST(options_that_do_not_go_together_are_refused),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
