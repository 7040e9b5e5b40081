/* Which builds are allowed, by policy file and command line. */
#include "support.h"
#include <sys/stat.h>
#include <sys/wait.h>

#define ENDED    "nix build failed (exit status: 3): "
#define DISABLED "build rejected: access.build is disabled by security policy"

/* The first line of the answer to a Build under this policy. */
static void assert_build(struct e2e_conn *c, const char *start)
{
    e2e_say_build(c, "flake", "a", "");
    e2e_assert_err(c, start, E2E_PATIENCE_MS);
}

static void a_policy_allows_builds_only_where_it_says_so(void **state)
{
    static const struct {
        const char *policy;
        const char *answer;
    } cases[] = {
        {"{\"access\":{\"build\":true}}", ENDED},
        {" {\"version\":1,\"access\":{\"shell\":false,\"build\":true},\"x\":[{}]}\n", ENDED},
        {"{\"access\":{\"build\":false}}", DISABLED},
        {"{\"access\":{\"build\":\"true\"}}", DISABLED},
        {"{\"access\":{\"build\":1}}", DISABLED},
        {"{\"access\":{\"build\":null}}", DISABLED},
        {"{\"access\":{}}", DISABLED},
        {"{\"access\":true}", DISABLED},
        {"{\"build\":true}", DISABLED},
        {"{\"other\":{\"build\":true}}", DISABLED},
        {"{\"access\":{\"x\":{\"build\":true}}}", DISABLED},
        {"{}", DISABLED},
        {"[]", DISABLED},
        {"true", DISABLED},
        {"", "build rejected: cannot parse security policy "},
        {"{\"access\":{\"build\":true}", "build rejected: cannot parse security policy "},
        {"{\"access\":{\"build\":true}} x", "build rejected: cannot parse security policy "},
        {"not json", "build rejected: cannot parse security policy "},
    };
    (void)state;
    const char *policy = e2e_path("policy.json");
    E2E_AGENT("a", "--policy", policy);
    struct e2e_conn *c = e2e_dial("a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) { /* it is read for each build */
        e2e_write_text(policy, cases[i].policy);
        assert_build(c, cases[i].answer);
        e2e_ping(c, E2E_PATIENCE_MS);
    }
    assert_int_equal(unlink(policy), 0);
    assert_build(c, ENDED); /* absent: allowed */
}

static void a_rejected_build_starts_nothing_and_touches_nothing(void **state)
{
    (void)state;
    char body[2 * E2E_PATH_CAP];
    snprintf(body, sizeof body, ": >'%s'", e2e_path("mark"));
    e2e_write_nix(body);
    e2e_write_text(e2e_path("policy.json"), "{}");
    E2E_AGENT("a", "--policy", e2e_path("policy.json"));
    assert_build(e2e_dial("a"), DISABLED);
    assert_false(e2e_exists(e2e_path("mark")));
    assert_false(e2e_exists(e2e_path("a.out")));
}

static void a_policy_that_cannot_be_read_rejects_builds(void **state)
{
    (void)state;
    e2e_make_dir(e2e_path("policy.json"));
    E2E_AGENT("a", "--policy", e2e_path("policy.json"));
    assert_build(e2e_dial("a"), "build rejected: cannot read security policy ");
}

static void a_policy_at_its_limit_is_read_and_one_past_it_rejected(void **state)
{
    static char text[MVM_POLICY_MAX + 1];
    static const char allows[] = "{\"access\":{\"build\":true}}";
    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, allows, sizeof allows - 1);
    E2E_AGENT("a", "--policy", e2e_path("policy.json"));
    struct e2e_conn *c = e2e_dial("a");
    e2e_write(e2e_path("policy.json"), text, MVM_POLICY_MAX);
    assert_build(c, ENDED);
    e2e_write(e2e_path("policy.json"), text, MVM_POLICY_MAX + 1);
    assert_build(c, "build rejected: policy file too long");
}

/* ---- the command line of the program itself ---- */

static const struct e2e_result *agent(const char *one, const char *two)
{
    const char *const argv[] = {e2e_program("mvm-builder-agent"), one, two, NULL};
    return e2e_run(argv, NULL, E2E_PATIENCE_MS);
}

static void a_mistake_on_the_command_line_is_reported_and_ends_with_2(void **state)
{
    static const char *const cases[][2] = {
        {"--allow-cid", "x"},     {"--allow-cid", "-1"},       {"--allow-cid", NULL},
        {"--listen", "tcp:1"},    {"--listen", "vsock:x"},     {"--listen", "unix:"},
        {"--timeout", "1s"},      {"--heartbeat", "-1"},       {"--no-such-option", NULL},
        {"--nix-option", "name"}, {"--keep-building=1", NULL}, {"word", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct e2e_result *r = agent(cases[i][0], cases[i][1]);
        assert_true(WIFEXITED(r->status));
        assert_int_equal(WEXITSTATUS(r->status), 2);
        char option[32];
        snprintf(option, sizeof option, "%.*s", (int)strcspn(cases[i][0], "="), cases[i][0]);
        assert_non_null(strstr(r->err, option));
        assert_int_equal(r->out_len, 0);
    }
}

static void peers_may_be_allowed_by_name(void **state)
{
    (void)state;
    E2E_AGENT("a", "--allow-cid", "1", "--allow-cid", "3", "--allow-cid", "any");
    e2e_ping(e2e_dial("a"), E2E_PATIENCE_MS);
}

static void help_and_version_go_to_stdout(void **state)
{
    static const char *const options[] = {
        "--listen",    "--out-dir",       "--out-dev", "--in-dir",    "--in-dev",
        "--nix",       "--nix-option",    "--timeout", "--heartbeat", "--policy",
        "--allow-cid", "--keep-building", "--version", "--help",
    };
    (void)state;
    const struct e2e_result *r = agent("--help", NULL);
    assert_int_equal(r->status, 0);
    assert_int_equal(r->err_len, 0);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        assert_non_null(strstr(r->out, options[i]));
    }
    r = agent("--version", NULL);
    assert_int_equal(r->status, 0);
    assert_memory_equal(r->out, "mvm-builder-agent ", 18);
}

static void what_cannot_be_printed_is_an_error(void **state)
{
    static const char *const outputs[] = {">&-", ">/dev/full", "<&- >&- 2>&-"};
    static const char *const options[] = {"--help", "--version"};
    char command[2 * E2E_PATH_CAP];
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        snprintf(command, sizeof command, "exec '%s' %s %s", e2e_program("mvm-builder-agent"),
                 options[i % 2], outputs[i / 2]);
        const struct e2e_result *r = E2E_RUN("sh", "-c", command);
        assert_true(WIFEXITED(r->status));
        assert_int_equal(WEXITSTATUS(r->status), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_policy_allows_builds_only_where_it_says_so),
        E2E_TEST(a_rejected_build_starts_nothing_and_touches_nothing),
        E2E_TEST(a_policy_that_cannot_be_read_rejects_builds),
        E2E_TEST(a_policy_at_its_limit_is_read_and_one_past_it_rejected),
        E2E_TEST(a_mistake_on_the_command_line_is_reported_and_ends_with_2),
        E2E_TEST(peers_may_be_allowed_by_name),
        E2E_TEST(help_and_version_go_to_stdout),
        E2E_TEST(what_cannot_be_printed_is_an_error),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
