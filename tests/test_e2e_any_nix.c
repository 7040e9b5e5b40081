/*
 * Any nix: agent and host tool with the stand-ins of tests/nix, which speak like nix 2.4 to 2.31,
 * Lix and Determinate Nix. One rule for outputs with all of them: "out", else the output that holds
 * a kernel and a root file system.
 */
#define _GNU_SOURCE
#include "support.h"
#include <sys/wait.h>

static const char *const names[] = {"nix-2.4",  "nix-2.8",  "nix-2.18",        "nix-2.26",
                                    "nix-2.31", "lix-2.93", "determinate-3.11"};

enum { NAMES = sizeof names / sizeof names[0] };

static char image[E2E_PATH_CAP];
static char address[E2E_PATH_CAP + 8];

/* An agent for each of them, called by its number. */
static void start_agents(void)
{
    strcpy(image, e2e_store_image("a kernel", "a rootfs"));
    setenv("IMAGE", image, 1);
    setenv("OTHER", "/nix/store/00000000000000000000000000000000-without-a-kernel", 1);
    for (size_t i = 0; i < NAMES; i++) {
        char program[4096 + 64], folder[4096], agent[8];
        assert_non_null(getcwd(folder, sizeof folder));
        snprintf(program, sizeof program, "%s/tests/nix/%s", folder, names[i]);
        snprintf(agent, sizeof agent, "n%zu", i);
        E2E_AGENT(agent, "--nix", program);
    }
}

static const struct e2e_result *build(size_t i, const char *attr)
{
    snprintf(address, sizeof address, "unix:%s", e2e_path("n%zu.sock", i));
    return E2E_TOOL(address, "build", "path:/flake", attr);
}

static void assert_image(size_t i, const struct e2e_result *r)
{
    char expected[E2E_PATH_CAP + 1];
    if (r->status != 0) {
        fail_msg("%s: status %d, stderr: %s", names[i], r->status, r->err);
    }
    snprintf(expected, sizeof expected, "%s\n", image);
    assert_string_equal(r->out, expected);
    e2e_assert_file(e2e_path("n%zu.out/vmlinux", i), "a kernel");
    assert_non_null(strstr(r->err, "image> building\n"));
}

static void every_nix_builds_an_output_called_out(void **state)
{
    (void)state;
    start_agents();
    for (size_t i = 0; i < NAMES; i++) {
        assert_image(i, build(i, "one"));
    }
}

static void out_is_taken_of_several_outputs_whatever_sorts_last(void **state)
{
    (void)state;
    start_agents();
    for (size_t i = 0; i < NAMES; i++) {
        assert_image(i, build(i, "many"));
    }
}

static void without_out_the_output_with_a_kernel_is_taken(void **state)
{
    (void)state;
    start_agents();
    for (size_t i = 0; i < NAMES; i++) {
        assert_image(i, build(i, "named"));
    }
}

static void what_nix_refuses_it_says_itself(void **state)
{
    (void)state;
    start_agents();
    for (size_t i = 0; i < NAMES; i++) {
        const struct e2e_result *r = build(i, "none");
        assert_int_equal(WEXITSTATUS(r->status), 1);
        assert_non_null(strstr(r->err, "error: flake 'path:/flake' does not provide attribute"));
        assert_non_null(strstr(r->err, "nix build failed (exit status: 1): "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(every_nix_builds_an_output_called_out),
        E2E_TEST(out_is_taken_of_several_outputs_whatever_sorts_last),
        E2E_TEST(without_out_the_output_with_a_kernel_is_taken),
        E2E_TEST(what_nix_refuses_it_says_itself),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
