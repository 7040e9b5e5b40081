/* Clients in Python, those of docs/clients: one by the standard library, one by protoc's code. */
#define _GNU_SOURCE
#include "support.h"
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

static void need_python(void)
{
    if (access("/usr/bin/python3", X_OK) != 0) {
        E2E_SKIP("no Python (package python3)");
    }
}

/* Generates what the client imports, and says where it is. */
static void need_protobuf(void)
{
    char out[E2E_PATH_CAP + 16];
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

/* The log on stderr, `line` for what the build printed of bytes that are no text; the path on
 * stdout; the time-out on its way to nix's. */
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

/* Its time-out too is heard. */
static void assert_fails(const char *client)
{
    e2e_write_nix("sleep 30");
    E2E_AGENT("a");
    const struct e2e_result *r = ASK(client, "build", ".", "a", "1");
    assert_int_equal(WEXITSTATUS(r->status), 1);
    assert_non_null(strstr(r->err, "nix build timed out after 1 s"));
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

static void a_json_client_hears_why_a_build_failed(void **state)
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

static void a_protobuf_client_hears_why_a_build_failed(void **state)
{
    (void)state;
    need_protobuf();
    assert_fails(PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_json_client_pings),
        E2E_TEST(a_json_client_builds),
        E2E_TEST(a_json_client_hears_why_a_build_failed),
        E2E_TEST(a_protobuf_client_pings),
        E2E_TEST(a_protobuf_client_builds_and_gets_the_very_bytes),
        E2E_TEST(a_protobuf_client_hears_why_a_build_failed),
    };
    setenv("PYTHONIOENCODING", "utf-8", 1);
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
