/* The wire needs no special client: socat and a shell's echo suffice. */
#include "support.h"

static const struct e2e_result *socat(const char *input)
{
    static char address[E2E_PATH_CAP + 8];
    snprintf(address, sizeof address, "UNIX:%s", e2e_path("a.sock"));
    const char *const argv[] = {"socat", "-t", "10", "-", address, NULL};
    if (!e2e_have("socat")) {
        E2E_SKIP("no socat (package socat)");
    }
    return e2e_run(argv, input, E2E_PATIENCE_MS);
}

static void a_ping_by_socat_is_answered(void **state)
{
    (void)state;
    E2E_AGENT("a");
    const struct e2e_result *r = socat(E2E_PING);
    assert_int_equal(r->status, 0);
    assert_string_equal(r->out, E2E_PONG "\n");
}

static void a_build_by_socat_is_answered(void **state)
{
    (void)state;
    e2e_write_nix("echo one; sleep 0.3; echo two; exit 3");
    E2E_AGENT("a");
    const struct e2e_result *r =
        socat("{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\"}}\n" E2E_PING);
    assert_int_equal(r->status, 0);
    assert_non_null(strstr(r->out, "{\"Log\":{\"line\":\"one\"}}\n"));
    assert_non_null(strstr(r->out, E2E_PONG "\n"));
    assert_non_null(
        strstr(r->out, "{\"Log\":{\"line\":\"two\"}}\n{\"Err\":{\"message\":\"nix build failed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_ping_by_socat_is_answered),
        E2E_TEST(a_build_by_socat_is_answered),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
