/*
 * Builds that do not end: time-out, cancel, and that no process outlives either. Slow cases (the
 * grace from SIGTERM to SIGKILL) run in parallel, one agent each.
 */
#define _GNU_SOURCE
#include "support.h"
#include <sys/stat.h>

enum {
    GRACE_MS = MVM_TERM_GRACE_MS,
    SLACK_MS = 20000, /* for a busy machine */
    TIMEOUT_SECS = 4, /* a build begins before, also on a busy machine */
    TIMEOUT_MS = TIMEOUT_SECS * 1000,
};

#define TIMED_OUT "nix build timed out after 4 s: "

/*
 * Kinds of builds; the stand-in selects each by the word after the last dash of its attribute, and
 * every process has the whole attribute in MARK.
 */
static const char stand_in[] =
    "export MARK=\"$attr\"\n"
    "echo begin\n"
    "case $attr in\n"
    "*-plain) exec sleep 60;;\n"
    "*-stubborn) trap '' TERM; sleep 60; sleep 60;;\n"
    "*-session) (setsid sh -c 'sleep 60 & sleep 60' &); sleep 60;;\n"
    "*-orphan) (setsid setsid sleep 60 &); exit 0;;\n"
    "*-deaf) trap '' TERM; (setsid sh -c '(setsid sleep 60 &); sleep 60' &); sleep 60;;\n"
    "*-silent) exec >/dev/null 2>&1; sleep 60;;\n"
    "*-closed) echo end; exec >&- 2>&-; sleep 1; exit 4;;\n"
    "*-forks) i=0; while :; do (setsid sleep 0.2 &); sleep 0.02; done;;\n"
    "*-noisy) while :; do echo noise; done;;\n"
    "*-quick) exit 3;;\n"
    "esac\n";

struct run {
    const char *kind;
    bool stubborn; /* ends by SIGKILL alone */
    char attr[64];
    pid_t agent;
    struct e2e_conn *conn;
    uint64_t since;
};

static struct run runs[] = {
    {.kind = "plain"},   {.kind = "stubborn", .stubborn = true},
    {.kind = "session"}, {.kind = "deaf", .stubborn = true},
    {.kind = "silent"},  {.kind = "forks"},
    {.kind = "noisy"},
};

enum { RUNS = sizeof runs / sizeof runs[0] };

/* An agent and a running build of this kind. */
static void start(struct run *r, unsigned timeout_secs)
{
    snprintf(r->attr, sizeof r->attr, "m%d-%s", (int)getpid(), r->kind);
    r->agent = E2E_AGENT(r->kind);
    r->conn = e2e_dial(r->kind);
    r->since = e2e_now_ms();
    e2e_say_build_secs(r->conn, r->attr, timeout_secs);
    e2e_await_line(r->conn, "begin");
}

/* The agent works: it accepts the next build, and has no child. */
static void assert_sound(struct run *r)
{
    struct e2e_conn *c = e2e_dial(r->kind);
    e2e_say_build(c, "flake", "x-quick", "");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    assert_int_equal(e2e_count_zombies(r->agent), 0);
}

static void a_build_that_takes_too_long_ends_in_time_and_leaves_nothing(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    for (int i = 0; i < RUNS; i++) {
        start(&runs[i], TIMEOUT_SECS);
    }
    for (int i = 0; i < RUNS; i++) { /* the fast ones first */
        struct run *r = &runs[i];
        if (!r->stubborn) {
            e2e_assert_err(r->conn, TIMED_OUT, TIMEOUT_MS + SLACK_MS);
            assert_in_range(e2e_now_ms() - r->since, TIMEOUT_MS, TIMEOUT_MS + 2 * SLACK_MS);
            e2e_assert_none_left(r->attr, 0);
        }
    }
    for (int i = 0; i < RUNS; i++) {
        struct run *r = &runs[i];
        if (r->stubborn) {
            e2e_assert_err(r->conn, TIMED_OUT, TIMEOUT_MS + GRACE_MS + SLACK_MS);
            assert_in_range(e2e_now_ms() - r->since, TIMEOUT_MS,
                            TIMEOUT_MS + GRACE_MS + 2 * SLACK_MS);
            e2e_assert_none_left(r->attr, 0);
        }
    }
    for (int i = 0; i < RUNS; i++) {
        assert_sound(&runs[i]);
    }
}

static void a_build_whose_client_goes_is_ended_and_leaves_nothing(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    for (int i = 0; i < RUNS; i++) {
        start(&runs[i], 0);
    }
    for (int i = 0; i < RUNS; i++) {
        assert_true(e2e_count_processes(runs[i].attr) > 0);
        e2e_close(runs[i].conn);
    }
    for (int i = 0; i < RUNS; i++) {
        e2e_assert_none_left(runs[i].attr, (runs[i].stubborn ? GRACE_MS : 0) + SLACK_MS);
        e2e_await_log(runs[i].kind, "build failed: build cancelled");
    }
    for (int i = 0; i < RUNS; i++) {
        assert_sound(&runs[i]);
    }
}

static void an_agent_that_is_stopped_ends_its_build_first(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    start(&runs[2], 0);
    kill(runs[2].agent, SIGTERM);
    e2e_assert_err(runs[2].conn, "build cancelled", SLACK_MS);
    assert_int_equal(e2e_wait(runs[2].agent, SLACK_MS), 0);
    e2e_assert_none_left(runs[2].attr, 0);
}

static void a_grandchild_that_holds_the_pipe_does_not_hold_the_job(void **state)
{
    static struct run orphan = {.kind = "orphan"};
    (void)state;
    e2e_write_nix(stand_in);
    start(&orphan, 0);
    e2e_assert_err(orphan.conn, "nix build produced no store path", SLACK_MS);
    e2e_assert_none_left(orphan.attr, 0);
    assert_sound(&orphan);
}

static void a_build_that_closes_its_pipes_has_not_ended_yet(void **state)
{
    static struct run closed = {.kind = "closed"};
    (void)state;
    e2e_write_nix(stand_in);
    start(&closed, 0);
    e2e_await_line(closed.conn, "end");
    e2e_assert_err(closed.conn, "nix build failed (exit status: 4): ", E2E_PATIENCE_MS);
    assert_in_range(e2e_now_ms() - closed.since, 1000, E2E_PATIENCE_MS);
}

static void the_request_s_limit_comes_before_the_agent_s_and_0_is_none(void **state)
{
    (void)state;
    e2e_write_nix("export MARK=$attr; echo begin; sleep 4; exit 3");
    E2E_AGENT("without", "--timeout", "1");
    E2E_AGENT("zero", "--timeout", "1");
    E2E_AGENT("more", "--timeout", "1");
    E2E_AGENT("none", "--timeout", "0");
    struct e2e_conn *without = e2e_dial("without"), *zero = e2e_dial("zero");
    struct e2e_conn *more = e2e_dial("more"), *none = e2e_dial("none");
    e2e_say_build(without, "f", "a", "");
    e2e_say_build(zero, "f", "a", ",\"timeout_secs\":0");
    e2e_say_build(more, "f", "a", ",\"timeout_secs\":30");
    e2e_say_build(none, "f", "a", ",\"timeout_secs\":null");
    e2e_assert_err(without, "nix build timed out after 1 s: ", E2E_PATIENCE_MS);
    e2e_assert_err(zero, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    e2e_assert_err(more, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    e2e_assert_err(none, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
}

static void a_huge_limit_means_no_limit(void **state)
{
    (void)state;
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "f", "a", ",\"timeout_secs\":18446744073709551615");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
}

static void the_time_in_the_queue_does_not_count(void **state)
{
    (void)state;
    e2e_write_nix("echo begin; [ \"$attr\" = first ] && sleep 6; exit 3");
    E2E_AGENT("a");
    struct e2e_conn *first = e2e_dial("a"), *second = e2e_dial("a");
    e2e_say_build(first, "f", "first", "");
    e2e_await_line(first, "begin");
    e2e_say_build_secs(second, "second", TIMEOUT_SECS);
    e2e_assert_err(first, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
    e2e_assert_err(second, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
}

static void a_client_that_reads_nothing_does_not_stop_the_clock(void **state)
{
    static struct run noisy = {.kind = "noisy"};
    (void)state;
    e2e_write_nix(stand_in);
    start(&noisy, TIMEOUT_SECS); /* and then nothing is read */
    e2e_assert_none_left(noisy.attr, TIMEOUT_MS + SLACK_MS);
    e2e_assert_err(noisy.conn, TIMED_OUT, E2E_PATIENCE_MS);
}

static void build_log_is_kept_after_a_time_out(void **state)
{
    static struct run plain = {.kind = "plain"};
    (void)state;
    e2e_write_nix(stand_in);
    start(&plain, TIMEOUT_SECS);
    e2e_assert_err(plain.conn, TIMED_OUT, E2E_PATIENCE_MS);
    e2e_assert_file(e2e_path("plain.out/build.log"), "begin\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_build_that_takes_too_long_ends_in_time_and_leaves_nothing),
        E2E_TEST(a_build_whose_client_goes_is_ended_and_leaves_nothing),
        E2E_TEST(an_agent_that_is_stopped_ends_its_build_first),
        E2E_TEST(a_grandchild_that_holds_the_pipe_does_not_hold_the_job),
        E2E_TEST(a_build_that_closes_its_pipes_has_not_ended_yet),
        E2E_TEST(the_request_s_limit_comes_before_the_agent_s_and_0_is_none),
        E2E_TEST(a_huge_limit_means_no_limit),
        E2E_TEST(the_time_in_the_queue_does_not_count),
        E2E_TEST(a_client_that_reads_nothing_does_not_stop_the_clock),
        E2E_TEST(build_log_is_kept_after_a_time_out),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
