/* The embedding example of the README: a whole builder on its standard input and output. */
#define _GNU_SOURCE
#include "support.h"

static const struct e2e_result *embed(const char *input)
{
    static char path[4 * E2E_PATH_CAP];
    const char *const argv[] = {e2e_program("examples/embed/embed"), e2e_path("out"), NULL};
    const char *old = getenv("PATH");
    snprintf(path, sizeof path, "%s:%s", e2e_path("."), old);
    old = strdup(old);
    setenv("PATH", path, 1); /* the stand-in is the first nix on it */
    const struct e2e_result *r = e2e_run(argv, input, E2E_PATIENCE_MS);
    setenv("PATH", old, 1);
    free((void *)old);
    assert_int_equal(r->status, 0);
    return r;
}

static void it_builds_and_stages(void **state)
{
    char script[2 * E2E_PATH_CAP];
    char answer[2 * E2E_PATH_CAP];
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    (void)state;
    snprintf(script, sizeof script, "echo building >&2; echo %s", store_path);
    e2e_write_nix(script);
    const struct e2e_result *r =
        embed("{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\"}}\n" E2E_PING);
    snprintf(answer, sizeof answer, "{\"Ok\":{\"out_path\":\"%s\"}}\n", store_path);
    assert_non_null(strstr(r->out, "{\"Log\":{\"line\":\"building\"}}\n"));
    assert_non_null(strstr(r->out, E2E_PONG "\n"));
    assert_non_null(strstr(r->out, answer));
    e2e_assert_file(e2e_path("out/vmlinux"), "a kernel");
    e2e_assert_file(e2e_path("out/rootfs.ext4"), "a rootfs");
}

static void it_answers_bad_lines_and_goes_on(void **state)
{
    (void)state;
    e2e_write_nix("exit 3");
    const struct e2e_result *r = embed("nonsense\n" E2E_PING);
    assert_int_equal(strncmp(r->out, "{\"Err\":{\"message\":\"parse error", 30), 0);
    assert_non_null(strstr(r->out, "\n" E2E_PONG "\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(it_builds_and_stages),
        E2E_TEST(it_answers_bad_lines_and_goes_on),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
