/* Clients in Python, those of docs/clients: one by the standard library, one by protoc's code. */
#define _GNU_SOURCE
#include "support_stream.h"
#include <sys/stat.h>
#include <sys/wait.h>

static const struct e2e_result *ask(const char *client, const char *const more[])
{
    const char *argv[16] = {"/usr/bin/python3", "-B", client, e2e_path("a.sock")};
    size_t n = 4;
    for (; *more != NULL; more++) {
        argv[n++] = *more;
    }
    return e2e_run(argv, NULL, E2E_PATIENCE_MS);
}

#define ASK(client, ...) ask(client, (const char *const[]){__VA_ARGS__, NULL})
#define JSON             "docs/clients/json_client.py"
#define PROTO            "docs/clients/proto_client.py"
#define STREAM           "docs/clients/stream_client.py"

static void need_python(void)
{
    if (access("/usr/bin/python3", X_OK) != 0) {
        E2E_SKIP("no Python (package python3)");
    }
}

/* Generates the module that the client imports; its directory. */
static void need_protobuf(void)
{
    char out[E2E_PATH_CAP + 16];
    STREAM_NEEDS_PROTOBUF();
    need_python();
    if (E2E_RUN("/usr/bin/python3", "-c", "import google.protobuf")->status != 0) {
        E2E_SKIP("no protobuf for Python (package python3-protobuf)");
    }
    if (!e2e_have("protoc")) {
        E2E_SKIP("no protoc (package protobuf-compiler)");
    }
    snprintf(out, sizeof out, "--python_out=%s", e2e_path("."));
    assert_int_equal(E2E_RUN("protoc", "-Icodec/proto", out, "mvm.proto")->status, 0);
    setenv("PYTHONPATH", e2e_path("."), 1);
}

static void assert_pings(const char *client)
{
    E2E_AGENT("a");
    const struct e2e_result *r = ASK(client, "ping");
    assert_int_equal(r->status, 0);
    assert_string_equal(r->out, "Pong\n");
}

/* The log on stderr, `line` for bytes of the build that are not text; the path on stdout; the time-
 * out passed to nix's. */
static void assert_builds(const char *client, const char *line)
{
    char script[2 * E2E_PATH_CAP];
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(script, sizeof script, "echo one >&2; printf 'a\\377b\\n' >&2; echo %s", store_path);
    e2e_write_nix(script);
    E2E_AGENT("a");
    const struct e2e_result *r = ASK(client, "build", "path:/some where", "a.b");
    assert_int_equal(r->status, 0);
    assert_non_null(strstr(r->err, "one\n"));
    assert_non_null(strstr(r->err, line));
    assert_int_equal(strncmp(r->out, store_path, strlen(store_path)), 0);
    e2e_assert_file(e2e_path("a.out/vmlinux"), "a kernel");
}

/* Its time-out is reported, too. */
static void assert_fails(const char *client)
{
    e2e_write_nix("sleep 30");
    E2E_AGENT("a");
    const struct e2e_result *r = ASK(client, "build", ".", "a", "1");
    assert_int_equal(WEXITSTATUS(r->status), 1);
    assert_non_null(strstr(r->err, "nix build timed out after 1 s"));
}

/* ---- the commands in their head comments ---- */

/* The commands in a client's head comment, one by one, as printed there; a placeholder is replaced,
 * an id by the one that the build before has printed. */
static const struct e2e_result *run_printed_lines(const char *client)
{
    static const char script[] =
        "PATH=/usr/bin:$PATH PYTHONDONTWRITEBYTECODE=1\n" /* Debian's Python has its protobuf */
        "cd \"$1\" && ln -s \"$2/codec\" \"$2/docs\" . || exit 9\n"
        "python3 -c 'import ast, sys\n"
        "for line in ast.get_docstring(ast.parse(open(sys.argv[1]).read())).splitlines():\n"
        "    print(line.strip()) if line.startswith(\"    \") else 0' \"$3\" >lines || exit 9\n"
        "while read -r line; do\n"
        "    line=$(printf '%s' \"$line\" | sed \"s#SOCKET#a.sock#; s/FLAKE ATTR/. a/; "
        "s/\\[SECONDS\\]/20/; s/ ID$/ $id/; s/FOLDER ATTR OUTPUT/flake a out/\")\n"
        "    eval \"$line\" 2>err; status=$?\n"
        "    [ $status = 0 ] || { echo \"$line: $status\"; cat err; exit 1; }\n"
        "    shown=$(sed -n 's/^build //p' err); id=${shown:-$id}\n"
        "done <lines\n";
    char root[E2E_PATH_CAP];
    assert_non_null(getcwd(root, sizeof root));
    return E2E_RUN("/bin/sh", "-c", script, "sh", e2e_path("."), root, client);
}

static void assert_printed_lines_work(const char *client)
{
    char script[2 * E2E_PATH_CAP], expected[2 * E2E_PATH_CAP];
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(script, sizeof script, "echo %s", store_path);
    e2e_write_nix(script);
    E2E_AGENT("a");
    const struct e2e_result *r = run_printed_lines(client);
    if (r->status != 0) {
        fail_msg("%s%s", r->out, r->err);
    }
    assert_non_null(strstr(r->out, "Pong\nHello "));
    snprintf(expected, sizeof expected, "\n%s\n%s\nCancelled id=", store_path, store_path);
    assert_non_null(strstr(r->out, expected)); /* of build and join */
    assert_non_null(strstr(r->out, " was=ended\n"));
}

static void the_lines_at_the_head_of_the_json_client_work(void **state)
{
    (void)state;
    need_python();
    assert_printed_lines_work(JSON);
}

static void the_lines_at_the_head_of_the_protobuf_client_work(void **state)
{
    (void)state;
    need_protobuf();
    unsetenv("PYTHONPATH");
    assert_printed_lines_work(PROTO);
}

static void assert_usage(const char *client)
{
    const struct e2e_result *r = E2E_RUN("/usr/bin/python3", client);
    assert_int_equal(WEXITSTATUS(r->status), 2);
    assert_non_null(strstr(r->err, "SOCKET "));
    assert_null(strstr(r->err, "Traceback"));
    r = E2E_RUN("/usr/bin/python3", client, e2e_path("a.sock"), "no-command");
    assert_int_equal(WEXITSTATUS(r->status), 2);
    assert_null(strstr(r->err, "Traceback"));
}

static void without_a_command_a_client_prints_its_usage(void **state)
{
    (void)state;
    need_python();
    assert_usage(JSON);
    need_protobuf();
    assert_usage(PROTO);
    assert_usage(STREAM);
}

static void all_can_be_run(void **state)
{
    (void)state;
    assert_int_equal(access(JSON, X_OK), 0);
    assert_int_equal(access(PROTO, X_OK), 0);
    assert_int_equal(access(STREAM, X_OK), 0);
}

/* Runs a client until its build has printed "one". */
static const char kill_at_one[] = "err=$1; shift; : >$err\n"
                                  "/usr/bin/python3 -B \"$@\" 2>$err & client=$!\n"
                                  "until grep -q '^one$' $err; do sleep 0.1; done\n"
                                  "kill -9 $client\n"
                                  "cat $err >&2\n";

/* Runs a client that joins, and lets the build end when it has received a line of it. */
static const char go_at_two[] = "err=$1; shift; : >$err\n"
                                "/usr/bin/python3 -B \"$@\" 2>$err & client=$!\n"
                                "until grep -q '^two$' $err; do sleep 0.1; done\n"
                                ": >\"$MVM_E2E/go\"\n"
                                "wait $client; status=$?\n"
                                "cat $err >&2\n"
                                "exit $status\n";

/* A build continues when its client is killed, and another client gets its answer. */
static void assert_joins(const char *client)
{
    char script[2 * E2E_PATH_CAP], id[80] = "";
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(script, sizeof script,
             "echo one >&2\n"
             "while [ ! -e \"$MVM_E2E/joins\" ]; do sleep 0.1; done\n"
             "while [ ! -e \"$MVM_E2E/go\" ]; do echo two >&2; sleep 0.1; done\n"
             "echo %s",
             store_path);
    e2e_write_nix(script);
    E2E_AGENT("a");
    const char *argv[] = {
        "/bin/sh", "-c", kill_at_one, "sh", e2e_path("client.err"), client, e2e_path("a.sock"),
        "build",   ".",  "a",         NULL};
    const struct e2e_result *r = e2e_run(argv, NULL, E2E_PATIENCE_MS);
    assert_int_equal(sscanf(r->err, "build %79s", id), 1);
    assert_non_null(strstr(r->err, "one\n"));
    e2e_write_text(e2e_path("joins"), "");
    const char *joins[] = {
        "/bin/sh",          "-c",   go_at_two, "sh", e2e_path("client.err"), client,
        e2e_path("a.sock"), "join", id,        NULL};
    r = e2e_run(joins, NULL, E2E_PATIENCE_MS);
    assert_int_equal(r->status, 0);
    assert_non_null(strstr(r->err, "two\n"));
    assert_null(strstr(r->err, "one\n"));
    assert_int_equal(strncmp(r->out, store_path, strlen(store_path)), 0);
    r = ASK(client, "join", "0123456789abcdef");
    assert_int_equal(WEXITSTATUS(r->status), 1);
    assert_non_null(strstr(r->err, "no build with this id is known"));
}

static void a_json_client_joins_a_build(void **state)
{
    (void)state;
    need_python();
    assert_joins(JSON);
}

static void a_protobuf_client_joins_a_build(void **state)
{
    (void)state;
    need_protobuf();
    assert_joins(PROTO);
}

/* An agent without Hello gets a Build without an id. */
static void a_json_client_builds_with_an_old_agent(void **state)
{
    (void)state;
    need_python();
    host_listen("a.sock");
    if (e2e_fork() == 0) {
        struct e2e_conn *c = host_refuse_hello(host_accept());
        const char *request = host_await_request(c, "{\"Build\":");
        bool old = strstr(request, "\"id\"") == NULL && strstr(request, "\"keep\"") == NULL;
        host_say(c, "{\"Log\":{\"line\":\"\"}}");
        host_say(c, "{\"Log\":{\"line\":\"one\"}}");
        host_say(c, old ? "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\"}}" : "");
        _exit(0);
    }
    const struct e2e_result *r = ASK(JSON, "build", ".", "a");
    assert_int_equal(r->status, 0);
    assert_string_equal(r->out, HOST_STORE_PATH "\n");
    assert_string_equal(r->err, "one\n");
}

/* ---- builds without disks ---- */

/* A folder with everything that an archive can have: what send: of the tool takes. */
static const char *make_folder(void)
{
    const char *send = stream_source_folder(70001);
    e2e_make_dir(e2e_path("flake/empty"));
    e2e_make_dir(e2e_path("flake/folder"));
    e2e_write_text(e2e_path("flake/folder/b"), "");
    e2e_write_text(e2e_path("flake/folder/\303\244"), "1234567");
    e2e_write_text(e2e_path("flake/folder.x"), "12345678");
    e2e_write_text(e2e_path("flake/run"), "#!/bin/sh\n");
    assert_int_equal(chmod(e2e_path("flake/run"), 0755), 0);
    assert_int_equal(symlink("folder/b", e2e_path("flake/link")), 0);
    return send;
}

static void a_stream_client_sends_a_folder_and_fetches_what_was_built(void **state)
{
    static char archive[1 << 18];
    (void)state;
    need_protobuf();
    const char *send = make_folder();
    stream_start_agent(e2e_store_image("a kernel", "a rootfs"));
    host_start("build", send, "a", "--all-files", "--output", e2e_path("of_the_tool"));
    assert_int_equal(host_finish(), HOST_OK);
    struct mvm_text sent = e2e_read(e2e_path("archive"));
    size_t len = sent.len;
    memcpy(archive, sent.bytes, len);
    unlink(e2e_path("archive"));
    const struct e2e_result *r = ASK(STREAM, e2e_path("flake"), "a", stream_output);
    if (r->status != 0) {
        fail_msg("%s", r->err);
    }
    assert_memory_equal(r->out, "/nix/store/", 11);
    assert_non_null(strstr(r->err, "unpacked "));
    stream_assert_file("kernel", "a kernel");
    stream_assert_file("rootfs", "a rootfs");
    sent = e2e_read(e2e_path("archive"));
    assert_int_equal(sent.len, len);
    assert_memory_equal(sent.bytes, archive, len);
}

static void a_stream_client_keeps_holes(void **state)
{
    char path[2 * E2E_PATH_CAP];
    struct stat st;
    (void)state;
    need_protobuf();
    stream_source_folder(10);
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(path, sizeof path, "%s/rootfs", store_path);
    assert_int_equal(truncate(path, 64 << 20), 0);
    stream_start_agent(store_path);
    assert_int_equal(ASK(STREAM, e2e_path("flake"), "a", stream_output)->status, 0);
    assert_int_equal(stat(stream_in_output("rootfs"), &st), 0);
    assert_int_equal(st.st_size, 64 << 20);
    assert_true(st.st_blocks < 1024);
}

static void a_stream_client_reports_why_a_build_failed_and_leaves_nothing(void **state)
{
    (void)state;
    need_protobuf();
    stream_source_folder(10);
    stream_start_agent("/nix/store/none");
    const struct e2e_result *r = ASK(STREAM, e2e_path("flake"), "a", stream_output);
    assert_int_equal(WEXITSTATUS(r->status), 1);
    assert_non_null(strstr(r->err, "nix build produced no artifact"));
    stream_assert_nothing_there();
}

/* An agent that lists one artifact, and sends one piece. */
static void play_agent(struct mvm_artifact_item item, const char *name, uint64_t offset)
{
    if (e2e_fork() == 0) {
        stream_welcome(STREAM_FEATURES);
        stream_await(MVM_MESSAGE_STREAM_BUILD);
        stream_say_ok(&item, 1);
        stream_say_piece(name, offset, "hello", true);
        stream_next();
        _exit(0);
    }
}

static void a_stream_client_rejects_what_an_agent_may_not_send(void **state)
{
    static const struct {
        const char *listed;
        uint64_t size;
        const char *name;
        uint64_t offset;
        const char *why;
    } cases[] = {
        {"../kernel", 5, "../kernel", 0, "not the name of an artifact: '../kernel'"},
        {"/kernel", 5, "/kernel", 0, "not the name of an artifact: '/kernel'"},
        {"kernel", UINT64_C(1) << 40, "kernel", 0, "the artifacts are too large"},
        {"kernel", 5, "rootfs", 0, "kernel: bytes of another"},
        {"kernel", 5, "kernel", 1, "past its end"},
        {"kernel", 5, "kernel", UINT64_MAX, "past its end"},
    };
    (void)state;
    need_protobuf();
    stream_source_folder(10);
    snprintf(stream_output, sizeof stream_output, "%s", e2e_path("out"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        host_listen("a.sock");
        play_agent(stream_item(cases[i].listed, cases[i].size), cases[i].name, cases[i].offset);
        const struct e2e_result *r = ASK(STREAM, e2e_path("flake"), "a", stream_output);
        assert_int_equal(WEXITSTATUS(r->status), 1);
        if (strstr(r->err, cases[i].why) == NULL) {
            fail_msg("case %zu: %s", i, r->err);
        }
        stream_assert_nothing_there();
    }
}

static void the_lines_at_the_head_of_the_stream_client_work(void **state)
{
    (void)state;
    need_protobuf();
    unsetenv("PYTHONPATH");
    stream_source_folder(10);
    stream_start_agent(e2e_store_image("a kernel", "a rootfs"));
    const struct e2e_result *r = run_printed_lines(STREAM);
    if (r->status != 0) {
        fail_msg("%s%s", r->out, r->err);
    }
    stream_assert_file("kernel", "a kernel");
}

static void a_json_client_pings(void **state)
{
    (void)state;
    need_python();
    assert_pings(JSON);
}

static void a_json_client_builds(void **state)
{
    (void)state;
    need_python();
    assert_builds(JSON, "a\xef\xbf\xbd"
                        "b\n");
}

static void a_json_client_gets_the_reason_of_a_failed_build(void **state)
{
    (void)state;
    need_python();
    assert_fails(JSON);
}

static void a_protobuf_client_pings(void **state)
{
    (void)state;
    need_protobuf();
    assert_pings(PROTO);
}

static void a_protobuf_client_builds_and_gets_the_very_bytes(void **state)
{
    (void)state;
    need_protobuf();
    assert_builds(PROTO, "a\377b\n");
}

static void a_protobuf_client_gets_the_reason_of_a_failed_build(void **state)
{
    (void)state;
    need_protobuf();
    assert_fails(PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(without_a_command_a_client_prints_its_usage),
        E2E_TEST(all_can_be_run),
        E2E_TEST(the_lines_at_the_head_of_the_json_client_work),
        E2E_TEST(the_lines_at_the_head_of_the_protobuf_client_work),
        E2E_TEST(a_json_client_joins_a_build),
        E2E_TEST(a_protobuf_client_joins_a_build),
        E2E_TEST(a_json_client_builds_with_an_old_agent),
        E2E_TEST(a_stream_client_sends_a_folder_and_fetches_what_was_built),
        E2E_TEST(a_stream_client_keeps_holes),
        E2E_TEST(a_stream_client_reports_why_a_build_failed_and_leaves_nothing),
        E2E_TEST(a_stream_client_rejects_what_an_agent_may_not_send),
        E2E_TEST(the_lines_at_the_head_of_the_stream_client_work),
        E2E_TEST(a_json_client_pings),
        E2E_TEST(a_json_client_builds),
        E2E_TEST(a_json_client_gets_the_reason_of_a_failed_build),
        E2E_TEST(a_protobuf_client_pings),
        E2E_TEST(a_protobuf_client_builds_and_gets_the_very_bytes),
        E2E_TEST(a_protobuf_client_gets_the_reason_of_a_failed_build),
    };
    setenv("PYTHONIOENCODING", "utf-8", 1);
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
