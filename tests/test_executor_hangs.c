/* Disks that do not answer, disks that appear late or are held: the job ends in time, and its
 * answer is true. */
#include "test_executor_fixture.h"

/* Runs a job whose calls hang from the n-th on; false: there is no such call. */
static bool live_with_a_hang(unsigned at, unsigned run, bool cancel)
{
    setup(NULL);
    put_old_set();
    config.heartbeat_ms = 1000;
    sim.build.run_ms = 50;
    sim.hang_at = at;
    sim.hang_run = run;
    start_with("/build-in", "a", true, cancel ? 0 : 3);
    bool hung = false;
    for (unsigned turns = 0; turn(); turns++) {
        assert_in_range(turns, 0, 100000);
        if (sim.asked.call != 0 && sim.asked.until_ms == UINT64_MAX && !hung) {
            hung = true;
            if (cancel) {
                mvm_executor_cancel(&x);
            }
        }
    }
    return hung;
}

static void assert_ends(unsigned at)
{
    uint64_t most = 3000 + 50 + 3 * MVM_DISK_PATIENCE_MS + MVM_TERM_GRACE_MS;
    if (answered_ok || sim.now_ms > most) {
        fail_msg("a hang at %u: %s after %u ms; calls: %s", at, answer, (unsigned)sim.now_ms,
                 sim.trace);
    }
    assert_false(sim.confused);
    assert_int_equal(sim.asked.call, 0);
    assert_true(sim.hung > 0);
    assert_true(holds("/build-out/vmlinux", "old kernel") ||
                holds("/build-out/vmlinux", "new kernel"));
}

static void hang_at_every_call(unsigned run, bool cancel)
{
    unsigned at = 1;
    unsigned hangs = 0;
    do {
        bool hung = live_with_a_hang(at, run, cancel);
        if (hung) {
            hangs++;
            assert_ends(at);
            sim.hang_at = 0;
            start();
            finish();
            assert_ok();
            assert_false(sim.out.mounted);
        }
        at++;
    } while (at < 80);
    assert_in_range(hangs, 20, 80);
}

static void a_cancel_is_answered_while_any_call_hangs(void **state)
{
    (void)state;
    hang_at_every_call(1, true);
    hang_at_every_call(10000, true);
}

static void a_time_out_is_answered_while_any_call_hangs(void **state)
{
    (void)state;
    hang_at_every_call(1, false);
    hang_at_every_call(10000, false);
}

static void the_answer_says_what_hangs(void **state)
{
    static const char unreleased[] = "; failed to release /build-out: the disk does not answer";
    static const struct {
        enum mvm_executor_state state;
        const char *answer;
        bool released;
    } cases[] = {
        {MVM_EXECUTOR_CHECK, "build cancelled: reading /policy.json: ", true},
        {MVM_EXECUTOR_MOUNT_OUT, "build cancelled: mounting /build-out: ", false},
        {MVM_EXECUTOR_MOUNT_IN, "build cancelled: mounting /build-in: ", true},
        {MVM_EXECUTOR_LOGFILE, "build cancelled: using /build-out: ", false},
        {MVM_EXECUTOR_COPY, "build cancelled: copying to /build-out: ", false},
        {MVM_EXECUTOR_UNMOUNT, "build cancelled: releasing /build-in: ", true},
    };
    char expected[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        start_with("/build-in", "a", false, 0);
        while (x.state != cases[i].state || !x.asking) {
            assert_true(turn());
        }
        sim.asked.until_ms = UINT64_MAX;
        mvm_executor_cancel(&x);
        finish();
        assert_false(answered_ok);
        snprintf(expected, sizeof expected, "%sthe disk does not answer%s", cases[i].answer,
                 cases[i].released ? "" : unreleased);
        assert_string_equal(answer, expected);
        assert_int_equal(mvm_executor_category(&x),
                         cases[i].released ? MVM_CATEGORY_CANCELLED : MVM_CATEGORY_RELEASE);
        assert_int_equal(mvm_executor_released(&x), cases[i].released);
        assert_non_null(strstr(log_text, "the disk does not answer; going on without it (calls "
                                         "that hang: 1)\n"));
    }
}

/* A job that is neither cancelled nor timed out waits as long as its disk takes. */
static void a_disk_that_hangs_holds_up_the_build_and_gets_its_heartbeats(void **state)
{
    (void)state;
    config.heartbeat_ms = 10000;
    start();
    while (x.state != MVM_EXECUTOR_COPY || !x.asking) {
        assert_true(turn());
    }
    sim.asked.until_ms = sim.now_ms + 600000;
    unsigned before = log_lines;
    finish();
    assert_ok();
    assert_in_range(log_lines - before, 58, 60);
}

/* The client accepts no heartbeat for longer than a call that hangs would have been waited for. */
static void a_call_that_has_ended_meanwhile_does_not_hang(void **state)
{
    (void)state;
    config.heartbeat_ms = 1000;
    start();
    while (x.state != MVM_EXECUTOR_COPY || sim.asked.call == 0) {
        assert_true(turn());
    }
    sim.asked.until_ms = sim.now_ms + 3000;
    mvm_executor_cancel(&x);
    while (mvm_executor_step(&x, sim.now_ms) != MVM_EXECUTOR_LOG) {
        sim.now_ms += 100;
    }
    sim.now_ms += 10 * MVM_DISK_PATIENCE_MS;
    take_log();
    finish();
    assert_int_equal(sim.hung, 0);
    assert_err("build cancelled");
    assert_true(mvm_executor_released(&x));
}

static void a_build_waits_while_its_log_is_not_written(void **state)
{
    (void)state;
    sim.build.run_ms = 100;
    sim.log_full = true;
    start();
    for (int i = 0; i < 2000; i++) {
        assert_true(turn());
    }
    assert_int_equal(log_lines, 0);
    sim.log_full = false;
    finish();
    assert_ok();
    assert_holds("/build-out/build.log", STORE "\nbuilding\n");
}

static void a_log_that_is_never_written_ends_with_the_build_s_time(void **state)
{
    for (int cancel = 0; cancel <= 1; cancel++) {
        setup(state);
        sim.build.run_ms = UINT64_MAX;
        sim.log_full = true;
        start_with("f", "a", true, 5);
        for (int i = 0; i < 10; i++) {
            assert_true(turn());
        }
        if (cancel) {
            mvm_executor_cancel(&x);
        }
        finish();
        assert_begins(answer, cancel ? "build cancelled: " : "nix build timed out after 5 s: ");
        assert_in_range(sim.now_ms, 0, 5000 + 2 * MVM_DISK_PATIENCE_MS);
        assert_false(answered_ok);
        assert_string_equal(mvm_sim_left_over(&sim), "/build-out/.build.log.mvm-tmp");
    }
}

static int end_job_never(void *ctx)
{
    (void)ctx;
    return MVM_PORT_LATER;
}

static unsigned abandoned;

static int abandon(void *ctx)
{
    abandoned++;
    return mvm_sim_port.abandon(ctx);
}

/* The disk is released by then, so that the answer is what it would have been. */
static void a_job_whose_port_does_not_end_it_is_answered_after_a_while(void **state)
{
    struct mvm_port port = mvm_sim_port;
    port.end_job = end_job_never;
    port.abandon = abandon;
    for (int status = 0; status <= 1; status++) {
        setup(state);
        sim.build.exit.code = status;
        mvm_executor_init(&x, &port, &sim, &config);
        abandoned = 0;
        run();
        if (status == 0) {
            assert_ok();
        } else {
            assert_err("nix build failed (exit status: 1)");
        }
        assert_int_equal(abandoned, 1);
        assert_true(mvm_executor_released(&x));
        assert_in_range(sim.now_ms, MVM_DISK_PATIENCE_MS, 2 * MVM_DISK_PATIENCE_MS);
    }
}

/* ---- disks that appear late, are already mounted, or are held ---- */

static void a_device_that_comes_late_is_waited_for(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        setup(state);
        sim.out.appears_ms = over ? 2 * MVM_DEVICE_WAIT_MS : MVM_DEVICE_WAIT_MS - 100;
        run();
        assert_ok();
        assert_int_equal(strstr(sim.trace, "unmount ") != NULL, !over);
        assert_int_equal(strstr(log_text, "mvm: /dev/vdb is absent") != NULL, over);
    }
}

static void a_required_device_that_is_absent_is_an_error(void **state)
{
    (void)state;
    config.require_devices = true;
    sim.out.absent = true;
    run();
    assert_err("mount /dev/vdb -> /build-out failed: no such device");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_MOUNT);
    assert_int_equal(sim.spawned, 0);
}

static int mount_busy(void *ctx, const char *device, const char *dir, bool read_only)
{
    (void)ctx, (void)device, (void)dir, (void)read_only;
    return MVM_PORT_BUSY;
}

static void a_device_that_stays_in_use_is_waited_for_and_then_an_error(void **state)
{
    (void)state;
    struct mvm_port port = mvm_sim_port;
    port.mount = mount_busy;
    mvm_executor_init(&x, &port, &sim, &config);
    run();
    assert_err("mount /dev/vdb -> /build-out failed: ");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_MOUNT);
    assert_in_range(sim.now_ms, MVM_DEVICE_WAIT_MS, MVM_DEVICE_WAIT_MS + MVM_DEVICE_POLL_MS);
}

static void a_wait_for_a_device_can_be_cancelled(void **state)
{
    (void)state;
    sim.out.absent = true;
    start();
    for (int i = 0; i < 10; i++) {
        assert_true(turn());
    }
    uint64_t before = sim.now_ms;
    mvm_executor_cancel(&x);
    finish();
    assert_err("build cancelled");
    assert_in_range(sim.now_ms, before, before + 100);
}

/* A killed agent has left it mounted. */
static void a_mount_of_the_device_is_the_job_s_own_and_released(void **state)
{
    (void)state;
    sim.out.mounted = sim.out.ours = true;
    sim.in.mounted = sim.in.ours = true;
    start_with("/build-in", "a", false, 0);
    finish();
    assert_ok();
    assert_false(sim.out.mounted || sim.in.mounted);
    assert_non_null(strstr(sim.trace, "mounted unmount mounted mount "));
}

static void what_could_not_be_released_stays_unreleased(void **state)
{
    (void)state;
    sim.out.busy = sim.out.stuck = true;
    run();
    assert_err("failed to release /build-out: in use");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_RELEASE);
    for (int i = 0; i < 3; i++) {
        run();
        assert_err("mount /dev/vdb -> /build-out failed: in use");
        assert_true(sim.out.mounted);
    }
    sim.out.busy = sim.out.stuck = false;
    run();
    assert_ok();
    assert_false(sim.out.mounted);
}

/* The client must not mount the disk, whatever else went wrong, so the answer names it. */
static void a_failed_build_that_leaves_its_disk_mounted_reports_both(void **state)
{
    static const char reason[] = "; failed to release /build-out: in use";
    char quotes[MVM_FLAKE_REF_MAX + 1] = {0};
    setup(state);
    sim.out.busy = sim.out.stuck = true;
    sim.build.exit.code = 1;
    run();
    assert_begins(answer, "nix build failed (exit status: 1)");
    assert_string_equal(strstr(answer, "; failed"), reason);
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_RELEASE);
    assert_true(sim.out.mounted && !mvm_executor_released(&x));
    setup(state);
    sim.out.busy = sim.out.stuck = true;
    sim.build.run_ms = UINT64_MAX;
    start_with(".", "a", true, 1);
    finish();
    assert_begins(answer, "nix build timed out after 1 s");
    assert_string_equal(strstr(answer, "; failed"), reason);
    setup(state);
    memset(quotes, '\'', MVM_FLAKE_REF_MAX); /* four bytes each in the message */
    sim.out.busy = sim.out.stuck = true;
    sim.build.exit.code = 1;
    start_with(quotes, "a", false, 0);
    finish();
    assert_string_equal(strstr(answer, " [cut]"), " [cut]; failed to release /build-out: in use");
    assert_in_range(strlen(answer), MVM_MESSAGE_MAX - 10, MVM_MESSAGE_MAX - 1);
}

static void ok_means_that_nothing_holds_the_disk(void **state)
{
    (void)state;
    sim.build.run_ms = 10;
    sim.out.held_ms = MVM_RELEASE_WAIT_MS - 100;
    run();
    assert_ok();
    assert_true(sim.now_ms >= sim.out.held_ms);
    setup(state);
    sim.out.held_ms = 100 * MVM_RELEASE_WAIT_MS;
    run();
    assert_err("failed to release /build-out: held");
    assert_in_range(sim.now_ms, MVM_RELEASE_WAIT_MS, MVM_RELEASE_WAIT_MS + 300);
}

static int released_of_no_name(void *ctx, const char *device)
{
    (void)device;
    strcpy(((struct mvm_sim *)ctx)->reason, "open: No such file or directory");
    return MVM_PORT_NOT_FOUND;
}

/* It may still be mounted, in another namespace for instance. */
static void a_disk_whose_name_went_away_is_not_known_to_be_released(void **state)
{
    (void)state;
    struct mvm_port port = mvm_sim_port;
    port.released = released_of_no_name;
    mvm_executor_init(&x, &port, &sim, &config);
    run();
    assert_err("failed to release /build-out: open: No such file or directory");
    assert_false(mvm_executor_released(&x));
}

/* ---- the set ---- */

static void a_name_that_cannot_be_replaced_is_found_before_any_is(void **state)
{
    static const char *const names[] = {"/build-out/vmlinux", "/build-out/rootfs.ext4",
                                        "/build-out/initrd", "/build-out/fc-base.json",
                                        "/build-out/build.log"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setup(state);
        put_old_set();
        mvm_sim_put(&sim, "/build-out/build.log", "old log");
        mvm_sim_find(&sim, names[i])->kind = MVM_SIM_OTHER;
        run();
        assert_err("failed to copy artifacts: ");
        assert_non_null(strstr(answer, ": is a directory"));
        assert_old_set();
        assert_null(strstr(answer, "two builds"));
    }
}

static int rename_fails_of_the_log(void *ctx, const char *from, const char *to)
{
    bool is_log = strstr(to, "/build.log") != NULL;
    return is_log ? MVM_PORT_NOT_FOUND : mvm_sim_port.rename(ctx, from, to);
}

/* build.log is the last; whether the artifacts are in place is what the client has to know. */
static void a_log_that_cannot_be_renamed_says_whether_the_set_is_mixed(void **state)
{
    struct mvm_port port = mvm_sim_port;
    port.rename = rename_fails_of_the_log;
    for (int code = 0; code < 2; code++) {
        setup(state);
        put_old_set();
        mvm_executor_init(&x, &port, &sim, &config);
        sim.build.exit.code = code;
        run();
        assert_false(answered_ok);
        const char *text = code == 0 ? answer : log_text;
        assert_non_null(strstr(text, "failed to copy artifacts: build.log: "));
        assert_int_equal(strstr(text, "two builds") != NULL, code == 0);
        assert_int_equal(holds("/build-out/vmlinux", "new kernel"), code == 0);
    }
}

static void a_rename_that_fails_after_another_says_that_the_set_is_mixed(void **state)
{
    (void)state;
    put_old_set();
    start();
    while (x.state != MVM_EXECUTOR_RENAME || x.step < 5 || !x.asking) {
        assert_true(turn());
    }
    sim.fail_at = sim.calls + 1;
    finish();
    assert_begins(answer, "failed to copy artifacts: ");
    assert_non_null(strstr(answer, "; the files on the disk are of two builds"));
    assert_holds("/build-out/vmlinux", "new kernel");
    assert_holds("/build-out/fc-base.json", "old base");
}

/* ---- which output, and where it is ---- */

static void of_several_outputs_the_one_with_a_kernel_and_a_root_counts(void **state)
{
    (void)state;
    sim.build.out =
        "[{\"outputs\":{\"a\":\"/nix/store/a\",\"b\":\"" STORE "\",\"c\":\"/nix/store/c\"}}]";
    mvm_sim_put(&sim, "/nix/store/a/kernel", "no root");
    mvm_sim_put(&sim, "/nix/store/c/rootfs", "no kernel");
    run();
    assert_ok();
    setup(state);
    mvm_sim_put(&sim, "/nix/store/z/kernel", "other");
    mvm_sim_put(&sim, "/nix/store/z/rootfs", "other");
    sim.build.out = "[{\"outputs\":{\"a\":\"/nix/store/z\",\"out\":\"" STORE "\"}}]";
    run();
    assert_ok();
}

static void several_outputs_without_an_artifact_are_reported(void **state)
{
    (void)state;
    sim.build.out = "[{\"outputs\":{\"a\":\"/nix/store/a\",\"b\":\"/nix/store/b\"}}]";
    mvm_sim_put(&sim, "/nix/store/a/kernel", "no root");
    run();
    assert_err("failed to copy artifacts: rootfs: not found; rootfs.ext4: not found in "
               "/nix/store/a");
}

static void as_many_outputs_as_may_be_are_looked_at_and_one_more_is_refused(void **state)
{
    for (int over = 0; over <= 1; over++) {
        static char out[4096];
        struct mvm_writer w;
        setup(state);
        mvm_writer_init(&w, out, sizeof out);
        mvm_writer_add(&w, "[{\"outputs\":{");
        for (unsigned i = 1; i < MVM_NIX_OUTPUTS_MAX + (unsigned)over; i++) {
            mvm_writer_add(&w, "\"o");
            mvm_writer_add_u64(&w, i);
            mvm_writer_add(&w, "\":\"/nix/store/none\",");
        }
        mvm_writer_add(&w, "\"z\":\"" STORE "\"}}]");
        mvm_writer_finish(&w);
        sim.build.out = out;
        run();
        if (over) {
            assert_err("nix build produced no store path: none of its outputs is \"out\", and "
                       "there are too many others: ");
        } else {
            assert_ok();
        }
    }
}

static void a_path_that_is_not_in_this_store_is_quoted(void **state)
{
    (void)state;
    sim.build.out = "[{\"outputs\":{\"out\":\"/foo/store/0-x\"}}]";
    run();
    assert_err("nix build produced no store path: it printed /foo/store/0-x, which is not below "
               "/nix/store: /bin/nix ");
    setup(state);
    sim.build.out = "[{\"outputs\":{\"out\":\"/nix/store/elsewhere\"}}]";
    run();
    assert_err("failed to copy artifacts: kernel: not found; vmlinux: not found in "
               "/nix/store/elsewhere, which nix reported but does not exist here");
}

static void every_spelling_of_the_input_directory_asks_for_its_disk(void **state)
{
    static const struct {
        const char *flake_ref;
        bool in;
    } cases[] = {
        {"/build-in", true},
        {"/build-in/", true},
        {"//build-in", true},
        {"/build-in/.", true},
        {"/./build-in", true},
        {"/x/../build-in", true},
        {"/../build-in", true},
        {"/build-in/sub", true},
        {"/build-in?dir=sub", true},
        {"path:/build-in", true},
        {"path:///build-in", true},
        {"path:/build-in/sub?dir=x", true},
        {"git+file:///build-in?ref=main&dir=x", true},
        {"git+file:/build-in", true},
        {"az09+-.file:/build-in", true},
        {"file:///build-in/flake.tar.gz", true},
        {"tarball+file:///build-in/x.tar", true},
        {"git+file://localhost/build-in", true},
        {"path:/build%2Din", true},
        {"path:/build%2din/%2E", true},
        {"./build-in", true},
        {"/build-in/sub/..", true},
        {"/x/y/../../build-in", true},
        {"x2+file:/build-in", true},
        {"/build-in/..", false},
        {"/build-in/../x", false},
        {"/build-input", false},
        {"/build", false},
        {"/x/build-in", false},
        {"build-in", false},
        {"path:build-in", false},
        {"path://build-in", false},
        {"github:build-in/x", false},
        {"https://example.org/build-in", false},
        {"git+https:///build-in", false},
        {"/build%zzin", false},
        {"/build%2", false},
        {"~file:/build-in", false},
        {"{file:/build-in", false},
        {"nixpkgs", false},
        {"nixpkgs/build-in", false},
        {"?dir=/build-in", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        start_with(cases[i].flake_ref, "a", false, 0);
        finish();
        assert_ok();
        if ((strstr(sim.trace, "mount_ro ") != NULL) != cases[i].in) {
            fail_msg("%s: the input disk was %smounted", cases[i].flake_ref,
                     cases[i].in ? "not " : "");
        }
    }
}

static void a_scheme_begins_with_its_flake_reference(void **state)
{
    static const char text[] = "file:/build-in";
    const struct mvm_job job = {.flake_ref = mvm_text_from(text + 2), .attr = {"a", 1}};
    setup(state);
    spoil_executor();
    mvm_executor_start(&x, &job, sim.now_ms);
    finish();
    assert_ok();
    assert_null(strstr(sim.trace, "mount_ro "));
}

static void an_input_directory_longer_than_a_path_is_not_mounted(void **state)
{
    static char dir[MVM_PATH_MAX + 1];
    for (size_t over = 0; over <= 1; over++) {
        setup(state);
        memset(dir, 0, sizeof dir);
        memset(dir, 'd', MVM_PATH_MAX - 1 + over);
        dir[0] = '/';
        config.in_dir = dir;
        start_with(dir, "a", false, 0);
        finish();
        assert_ok();
        assert_int_equal(strstr(sim.trace, "mount_ro ") != NULL, over == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_cancel_is_answered_while_any_call_hangs),
        T(a_time_out_is_answered_while_any_call_hangs),
        T(the_answer_says_what_hangs),
        T(a_disk_that_hangs_holds_up_the_build_and_gets_its_heartbeats),
        T(a_call_that_has_ended_meanwhile_does_not_hang),
        T(a_build_waits_while_its_log_is_not_written),
        T(a_log_that_is_never_written_ends_with_the_build_s_time),
        T(a_job_whose_port_does_not_end_it_is_answered_after_a_while),
        T(a_device_that_comes_late_is_waited_for),
        T(a_required_device_that_is_absent_is_an_error),
        T(a_device_that_stays_in_use_is_waited_for_and_then_an_error),
        T(a_wait_for_a_device_can_be_cancelled),
        T(a_mount_of_the_device_is_the_job_s_own_and_released),
        T(what_could_not_be_released_stays_unreleased),
        T(a_failed_build_that_leaves_its_disk_mounted_reports_both),
        T(ok_means_that_nothing_holds_the_disk),
        T(a_disk_whose_name_went_away_is_not_known_to_be_released),
        T(a_log_that_cannot_be_renamed_says_whether_the_set_is_mixed),
        T(a_name_that_cannot_be_replaced_is_found_before_any_is),
        T(a_rename_that_fails_after_another_says_that_the_set_is_mixed),
        T(of_several_outputs_the_one_with_a_kernel_and_a_root_counts),
        T(several_outputs_without_an_artifact_are_reported),
        T(as_many_outputs_as_may_be_are_looked_at_and_one_more_is_refused),
        T(a_path_that_is_not_in_this_store_is_quoted),
        T(every_spelling_of_the_input_directory_asks_for_its_disk),
        T(a_scheme_begins_with_its_flake_reference),
        T(an_input_directory_longer_than_a_path_is_not_mounted),
    };
    return cmocka_run_group_tests_name("the executor and its disks", tests, NULL, NULL);
}
