/* The build job and time: limits, graces, cancels, heartbeats, and what it waits for. */
#include "test_executor_fixture.h"

static void a_build_that_takes_too_long_is_ended(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    start_with("f", "a", true, 60);
    finish();
    assert_err("nix build timed out after 60 s: /bin/nix ");
    assert_in_range(sim.now_ms, 60000, 60200);
    assert_null(strstr(sim.trace, "kill "));
}

static void the_time_is_the_requests_else_the_configurations_else_the_wires(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    config.timeout_secs = 7;
    run();
    assert_err("nix build timed out after 7 s: ");
    setup(state);
    sim.build.run_ms = UINT64_MAX;
    run();
    assert_err("nix build timed out after 1800 s: ");
}

static void no_limit_and_limits_past_the_clock_never_end_a_build(void **state)
{
    static const uint64_t limits[] = {0, UINT64_MAX, UINT64_MAX / 1000};
    for (size_t i = 0; i < 3; i++) {
        setup(state);
        sim.build.run_ms = 100 * 86400 * 1000ull / 1000; /* long enough, in coarse steps */
        start_with("f", "a", true, limits[i]);
        finish();
        assert_ok();
    }
}

/* The sum would wrap around. */
static void a_limit_that_ends_after_the_clock_does_never_ends_a_build(void **state)
{
    (void)state;
    sim.now_ms = UINT64_MAX / 2 + 100000;
    sim.build.run_ms = 1000;
    start_with("f", "a", true, MVM_TIMEOUT_NONE_SECS - 1);
    finish();
    assert_ok();
}

static void one_that_ignores_sigterm_is_killed_after_the_grace(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    sim.build.ignores_term = true;
    start_with("f", "a", true, 1);
    finish();
    assert_err("nix build timed out after 1 s: ");
    assert_in_range(sim.now_ms, 1000 + MVM_TERM_GRACE_MS, 1200 + MVM_TERM_GRACE_MS);
    assert_non_null(strstr(sim.trace, "kill "));
}

/* The grace begins when all processes have the signal. */
static void one_that_takes_long_to_stop_is_sent_sigterm_later(void **state)
{
    static const struct {
        uint64_t stops_ms;
        bool ignores_term;
        uint64_t ends_ms;
    } cases[] = {
        {700, false, 700},
        {700, true, 700 + MVM_TERM_GRACE_MS},
        {4000, true, 4000 + MVM_TERM_GRACE_MS},
        {UINT64_MAX, false, MVM_TERM_GRACE_MS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        sim.build.run_ms = UINT64_MAX;
        sim.build.stops_ms = cases[i].stops_ms;
        sim.build.ignores_term = cases[i].ignores_term;
        start_with("f", "a", true, 1);
        finish();
        assert_err("nix build timed out after 1 s: ");
        assert_in_range(sim.now_ms, 1000 + cases[i].ends_ms, 1200 + cases[i].ends_ms);
    }
}

static void a_grandchild_that_holds_the_pipe_does_not_hang_the_job(void **state)
{
    (void)state;
    sim.build.leaves_child = true;
    run();
    assert_ok();
    setup(state);
    sim.build.leaves_child = sim.build.child_ignores_term = true;
    run();
    assert_ok();
    assert_in_range(sim.now_ms, MVM_TERM_GRACE_MS, MVM_TERM_GRACE_MS + 300);
}

static void an_outside_process_that_holds_the_pipe_is_waited_for_only_so_long(void **state)
{
    (void)state;
    sim.build.outsider_holds_pipes = true;
    run();
    assert_ok();
    assert_in_range(sim.now_ms, MVM_DRAIN_MS, MVM_DRAIN_MS + 300);
    assert_non_null(
        strstr(log_text, "mvm: a process outside the build still holds its output; not waiting"));
}

static void one_that_survives_sigkill_is_reported_and_left(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    sim.build.ignores_term = sim.build.survives_kill = true;
    start_with("f", "a", true, 1);
    while (x.state != MVM_EXECUTOR_KILL) {
        assert_true(turn());
    }
    const uint64_t killed_ms = sim.now_ms;
    while (x.state != MVM_EXECUTOR_DRAIN || x.pending != MVM_EXECUTOR_PENDING_NONE) {
        assert_true(turn());
    }
    assert_in_range(sim.now_ms - killed_ms, MVM_KILL_PATIENCE_MS, MVM_KILL_PATIENCE_MS + 100);
    assert_true(mvm_executor_wants(&x, MVM_PORT_STDOUT));
    assert_false(mvm_executor_wants_child(&x));
    finish();
    assert_begins(answer, "nix build timed out after 1 s: ");
    assert_string_equal(mvm_sim_left_over(&sim), "a process");
    assert_non_null(strstr(log_text, "mvm: processes of the build survive SIGKILL"));
}

static const char *a_limit(void *ctx)
{
    (void)ctx;
    return "no cgroup here";
}

static void what_the_port_cannot_guarantee_is_reported_when_the_build_starts(void **state)
{
    (void)state;
    struct mvm_port limited = mvm_sim_port;
    limited.limits = a_limit;
    mvm_executor_init(&x, &limited, &sim, &config);
    start();
    finish();
    assert_true(answered_ok);
    assert_begins(log_text, "mvm: no cgroup here\n");
}

static void a_line_that_is_not_accepted_does_not_stop_the_clock(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    sim.build.ignores_term = true;
    start_with("f", "a", true, 1);
    enum mvm_executor_event event = MVM_EXECUTOR_AGAIN;
    while ((event = mvm_executor_step(&x, sim.now_ms)) != MVM_EXECUTOR_LOG) {
        assert_int_not_equal(event, MVM_EXECUTOR_OK);
    }
    assert_true(mvm_executor_deadline(&x) == 1000);
    assert_false(mvm_executor_wants(&x, MVM_PORT_STDERR));
    sim.now_ms = 1000;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_int_equal(x.state, MVM_EXECUTOR_TERM);
    assert_true(mvm_executor_ending(&x));
    assert_true(mvm_executor_deadline(&x) == 1000 + MVM_TERM_GRACE_MS);
    sim.now_ms += MVM_TERM_GRACE_MS;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_int_equal(x.state, MVM_EXECUTOR_KILL);
    finish();
    assert_err("nix build timed out after 1 s: ");
}

/* Steps until `state`, accepting lines, with the clock stopped. */
static void step_to(enum mvm_executor_state wanted)
{
    for (unsigned i = 0; x.state != wanted; i++) {
        assert_in_range(i, 0, 1000);
        if (mvm_executor_step(&x, sim.now_ms) == MVM_EXECUTOR_LOG) {
            take_log();
        }
    }
}

static void an_idle_executor_waits_for_nothing(void **state)
{
    (void)state;
    mvm_executor_cancel(&x);
    assert_true(mvm_executor_idle(&x));
    assert_int_equal(mvm_executor_step(&x, 5), MVM_EXECUTOR_WAIT);
    assert_true(mvm_executor_deadline(&x) == UINT64_MAX);
    assert_false(mvm_executor_wants(&x, MVM_PORT_STDOUT) || mvm_executor_wants_child(&x));
    assert_int_equal(sim.calls, 0);
}

static void it_says_what_it_waits_for(void **state)
{
    (void)state;
    sim.build.run_ms = 1000;
    sim.build.leaves_child = sim.build.child_ignores_term = true;
    start();
    assert_false(mvm_executor_wants_child(&x));
    step_to(MVM_EXECUTOR_RUN);
    assert_int_equal(mvm_executor_step(&x, 0), MVM_EXECUTOR_LOG); /* the path */
    assert_false(mvm_executor_wants(&x, MVM_PORT_STDOUT) || mvm_executor_wants_child(&x));
    take_log();
    assert_int_equal(mvm_executor_step(&x, 0), MVM_EXECUTOR_WAIT);
    assert_true(mvm_executor_wants(&x, MVM_PORT_STDOUT) && mvm_executor_wants(&x, MVM_PORT_STDERR));
    assert_true(mvm_executor_wants_child(&x));
    sim.now_ms = 1000;
    step_to(MVM_EXECUTOR_TERM); /* a child is left */
    assert_false(mvm_executor_wants_child(&x));
    assert_true(mvm_executor_wants(&x, MVM_PORT_STDOUT));
    finish();
    assert_ok();
    assert_false(mvm_executor_wants(&x, MVM_PORT_STDOUT));
}

static void a_pipe_that_has_ended_is_wanted_no_more(void **state)
{
    (void)state;
    sim.build.outsider_holds_pipes = true;
    start();
    step_to(MVM_EXECUTOR_DRAIN);
    assert_true(mvm_executor_wants(&x, MVM_PORT_STDOUT));
    assert_false(mvm_executor_wants_child(&x));
    sim.now_ms += MVM_DRAIN_MS;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms),
                     MVM_EXECUTOR_LOG); /* "a process outside …" */
    mvm_executor_logged(&x, sim.now_ms);
    assert_false(mvm_executor_wants(&x, MVM_PORT_STDOUT) ||
                 mvm_executor_wants(&x, MVM_PORT_STDERR));
    finish();
    assert_ok();
}

/* ---- calls for disks ---- */

/* Steps until the job waits for a call of the port in that state. */
static void wait_in(enum mvm_executor_state state)
{
    step_to(state);
    enum mvm_executor_event event;
    while ((event = mvm_executor_step(&x, sim.now_ms)) != MVM_EXECUTOR_WAIT) {
        assert_int_equal(event, MVM_EXECUTOR_AGAIN);
    }
    assert_int_equal(x.state, state);
}

static void a_call_for_a_disk_is_waited_for(void **state)
{
    static const enum mvm_executor_state states[] = {
        MVM_EXECUTOR_CHECK,   MVM_EXECUTOR_MOUNT_OUT, MVM_EXECUTOR_MOUNT_IN, MVM_EXECUTOR_NIX,
        MVM_EXECUTOR_LOGFILE, MVM_EXECUTOR_RESULT,    MVM_EXECUTOR_COPY,     MVM_EXECUTOR_RENAME,
        MVM_EXECUTOR_SYNC,    MVM_EXECUTOR_UNMOUNT};
    (void)state;
    start_with("/build-in", "a", false, 0);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        while (x.state != states[i] || !x.asking) {
            assert_true(turn());
        }
        assert_true(mvm_executor_wants_child(&x));
        assert_false(mvm_executor_wants(&x, MVM_PORT_STDOUT));
        assert_true(mvm_executor_deadline(&x) == x.deadline_ms);
    }
    finish();
    assert_ok();
    assert_false(mvm_executor_wants_child(&x));
}

static void a_port_that_works_alone_does_as_well(void **state)
{
    (void)state;
    sim.never_later = true;
    sim.piece = 1;
    run();
    assert_ok();
}

/* Not before the port has closed its files: the disk is unmounted next. */
static void a_cancel_in_a_copy_waits_for_the_copy_s_end(void **state)
{
    (void)state;
    start();
    wait_in(MVM_EXECUTOR_COPY);
    sim.asked.until_ms = sim.now_ms + 5;
    mvm_executor_cancel(&x);
    assert_int_equal(mvm_executor_deadline(&x), sim.now_ms);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_WAIT);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_WAIT);
    assert_int_equal(x.state, MVM_EXECUTOR_COPY);
    assert_true(mvm_executor_wants_child(&x));
    finish();
    assert_err("build cancelled");
}

static void a_copy_that_takes_long_says_how_far_it_is(void **state)
{
    (void)state;
    static const char told[] = "mvm: staging vmlinux, 1 of 10 bytes\n";
    sim.piece = 1;
    start();
    wait_in(MVM_EXECUTOR_COPY);
    sim.now_ms += MVM_PROGRESS_MS - 1;
    wait_in(MVM_EXECUTOR_COPY);
    assert_null(strstr(log_text, "mvm: staging"));
    setup(state);
    sim.piece = 1;
    start();
    step_to(MVM_EXECUTOR_COPY);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_WAIT);
    sim.now_ms += MVM_PROGRESS_MS;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_false(mvm_executor_wants_child(&x));
    take_log();
    assert_non_null(strstr(log_text, told));
    finish();
    assert_ok();
    assert_null(strstr(strstr(log_text, told) + sizeof told - 1, "mvm: staging"));
}

/* However long the build before took. */
static void a_copy_that_does_not_take_long_says_nothing(void **state)
{
    (void)state;
    sim.piece = 5;
    sim.build.run_ms = 10 * MVM_PROGRESS_MS;
    run();
    assert_ok();
    assert_null(strstr(log_text, "mvm: staging"));
}

static void a_cancel_needs_a_step_immediately(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    start();
    step_to(MVM_EXECUTOR_RUN);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_true(mvm_executor_deadline(&x) == 1800000);
    mvm_executor_cancel(&x);
    assert_true(mvm_executor_deadline(&x) == 0); /* with a line that is not accepted … */
    take_log();
    while (mvm_executor_step(&x, sim.now_ms) == MVM_EXECUTOR_LOG) {
        take_log();
    }
    finish();
    assert_err("build cancelled: ");
    setup(state);
    sim.build.run_ms = UINT64_MAX;
    sim.build.out = sim.build.err = NULL;
    start();
    step_to(MVM_EXECUTOR_RUN);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_WAIT);
    mvm_executor_cancel(&x);
    assert_true(mvm_executor_deadline(&x) == 0); /* … and without */
    finish();
    assert_err("build cancelled: ");
}

/* After the build's end more output arrives than a pipe holds: it is endless, from a process
 * outside the build. */
static void an_outside_process_that_floods_the_pipe_is_read_only_so_long(void **state)
{
    static char line[4097];
    memset(line, 'f', 4095);
    line[4095] = '\n';
    for (int cancel = 0; cancel <= 1; cancel++) {
        setup(state);
        sim.build.err = line;
        sim.build.err_repeats = SIZE_MAX / sizeof line;
        sim.build.outsider_holds_pipes = true;
        sim.build.run_ms = cancel ? UINT64_MAX : 0;
        sim.build.ignores_term = true;
        start_with("f", "a", true, 0);
        step_to(MVM_EXECUTOR_RUN);
        if (cancel) {
            mvm_executor_cancel(&x);
        }
        for (unsigned turns = 0; turn(); turns++) {
            sim.now_ms += 10; /* a line is accepted every ten milliseconds */
            assert_in_range(turns, 0, 20000);
        }
        assert_err(cancel ? "build cancelled: "
                          : "failed to copy artifacts: build.log: write: no space");
        assert_in_range(log_lines, MVM_DRAIN_MAX / 4096, MVM_DRAIN_MAX / 4096 + 1000);
    }
}

static void while_a_line_waits_those_who_were_killed_lose_no_time(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    sim.build.ignores_term = true;
    start_with("f", "a", true, 1);
    while (mvm_executor_step(&x, sim.now_ms) != MVM_EXECUTOR_LOG) {
    }
    sim.now_ms = 1000;
    mvm_executor_step(&x, sim.now_ms);
    sim.fail_at = sim.calls + 1; /* the first SIGKILL */
    sim.now_ms += MVM_TERM_GRACE_MS;
    mvm_executor_step(&x, sim.now_ms);
    assert_int_equal(x.state, MVM_EXECUTOR_KILL);
    assert_true(sim.failed);
    sim.now_ms += 10 * MVM_KILL_PATIENCE_MS;
    finish();
    assert_err("nix build timed out after 1 s: ");
    assert_null(strstr(log_text, "survive"));
}

static void silence_is_broken_by_empty_lines(void **state)
{
    (void)state;
    config.heartbeat_ms = 10000;
    sim.build.err = NULL;
    sim.build.out = NULL;
    sim.build.run_ms = 35000;
    run();
    assert_int_equal(log_lines, 3);
    assert_string_equal(log_text, "\n\n\n");
    assert_holds("/build-out/build.log", "");
}

/* A host whose read time-out is the build's time-out receives two heartbeats within it. */
static void a_short_time_out_has_its_heartbeats_closer(void **state)
{
    (void)state;
    config.heartbeat_ms = 10000;
    sim.build.err = NULL;
    sim.build.out = NULL;
    sim.build.run_ms = 4500;
    start_with("path:/f", "a", true, 5);
    finish();
    assert_string_equal(log_text, "\n"); /* at 2500 ms */

    setup(state);
    config.heartbeat_ms = 10000;
    sim.build.err = NULL;
    sim.build.out = NULL;
    sim.build.run_ms = 9000;
    start_with("path:/f", "a", true, 20); /* its half is the heartbeat: as without */
    finish();
    assert_string_equal(log_text, "");
}

static void a_cancelled_job_ends_cleanly_whenever_it_comes(void **state)
{
    bool done = false;
    for (unsigned turns = 0; !done; turns++) {
        setup(state);
        put_old_set();
        sim.build.run_ms = 300;
        start();
        for (unsigned i = 0; i < turns && !done; i++) {
            done = !turn();
        }
        mvm_executor_cancel(&x);
        if (!done) {
            finish();
        }
        if (mvm_sim_left_over(&sim) != NULL) {
            fail_msg("%s is left; calls: %s", mvm_sim_left_over(&sim), sim.trace);
        }
        assert_false(sim.out.mounted);
        if (answered_ok) {
            assert_holds("/build-out/vmlinux", "new kernel");
        } else {
            assert_begins(answer, "build cancelled");
            assert_old_set();
        }
    }
    assert_ok();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_build_that_takes_too_long_is_ended),
        T(the_time_is_the_requests_else_the_configurations_else_the_wires),
        T(no_limit_and_limits_past_the_clock_never_end_a_build),
        T(a_limit_that_ends_after_the_clock_does_never_ends_a_build),
        T(one_that_ignores_sigterm_is_killed_after_the_grace),
        T(one_that_takes_long_to_stop_is_sent_sigterm_later),
        T(a_grandchild_that_holds_the_pipe_does_not_hang_the_job),
        T(an_outside_process_that_holds_the_pipe_is_waited_for_only_so_long),
        T(one_that_survives_sigkill_is_reported_and_left),
        T(what_the_port_cannot_guarantee_is_reported_when_the_build_starts),
        T(a_line_that_is_not_accepted_does_not_stop_the_clock),
        T(an_idle_executor_waits_for_nothing),
        T(it_says_what_it_waits_for),
        T(a_pipe_that_has_ended_is_wanted_no_more),
        T(a_call_for_a_disk_is_waited_for),
        T(a_port_that_works_alone_does_as_well),
        T(a_cancel_in_a_copy_waits_for_the_copy_s_end),
        T(a_copy_that_takes_long_says_how_far_it_is),
        T(a_copy_that_does_not_take_long_says_nothing),
        T(a_cancel_needs_a_step_immediately),
        T(an_outside_process_that_floods_the_pipe_is_read_only_so_long),
        T(while_a_line_waits_those_who_were_killed_lose_no_time),
        T(silence_is_broken_by_empty_lines),
        T(a_short_time_out_has_its_heartbeats_closer),
        T(a_cancelled_job_ends_cleanly_whenever_it_comes),
    };
    return cmocka_run_group_tests_name("the executor in time", tests, NULL, NULL);
}
