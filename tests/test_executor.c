/* The build job on the simulated port: its calls, its messages, and what it leaves behind. */
#include "test_executor_fixture.h"

/* ---- a whole job ---- */

static void a_build_ends_with_its_artifacts_durable_and_the_disk_released(void **state)
{
    (void)state;
    run();
    assert_ok();
    mvm_sim_power_cut(&sim);
    assert_holds("/build-out/vmlinux", "new kernel");
    assert_holds("/build-out/rootfs.ext4", "new rootfs");
    assert_holds("/build-out/fc-base.json", "{\"note\":\"Base fc config placeholder\"}\n");
    assert_holds("/build-out/build.log", STORE "\nbuilding\n");
    assert_null(mvm_sim_find(&sim, "/build-out/initrd"));
    assert_string_equal(log_text, "building\n" STORE "\n");
    assert_false(sim.out.mounted);
    assert_non_null(strstr(sim.trace, "sync_dir sync_fs unmount "));
}

static void nothing_is_called_after_the_answer(void **state)
{
    (void)state;
    run();
    unsigned calls = sim.calls;
    for (int i = 0; i < 10; i++) {
        sim.now_ms += 100000;
        assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_OK);
    }
    assert_int_equal(sim.calls, calls);
    assert_true(mvm_executor_deadline(&x) == UINT64_MAX);
}

static void every_artifact_has_two_names_and_the_first_counts(void **state)
{
    (void)state;
    mvm_sim_put(&sim, STORE "/vmlinux", "other kernel");
    mvm_sim_put(&sim, STORE "/rootfs", "other rootfs");
    mvm_sim_put(&sim, STORE "/initrd", "new initrd");
    mvm_sim_put(&sim, STORE "/fc-base.json", "{}");
    run();
    assert_ok();
    assert_holds("/build-out/vmlinux", "new kernel");
    assert_holds("/build-out/rootfs.ext4", "other rootfs");
    assert_holds("/build-out/initrd", "new initrd");
    assert_holds("/build-out/fc-base.json", "{}");
}

static void a_kernel_that_is_not_a_file_is_skipped_for_vmlinux(void **state)
{
    (void)state;
    mvm_sim_find(&sim, STORE "/kernel")->kind = MVM_SIM_OTHER;
    mvm_sim_put(&sim, STORE "/vmlinux", "other kernel");
    run();
    assert_ok();
    assert_holds("/build-out/vmlinux", "other kernel");
}

static void an_initrd_of_an_earlier_build_does_not_stay(void **state)
{
    (void)state;
    put_old_set();
    run();
    assert_ok();
    assert_null(mvm_sim_find(&sim, "/build-out/initrd"));
    assert_holds("/build-out/vmlinux", "new kernel");
}

static void short_reads_writes_and_copies_change_nothing(void **state)
{
    (void)state;
    sim.piece = 1;
    sim.build.err = NULL;
    run();
    assert_ok();
    assert_holds("/build-out/vmlinux", "new kernel");
    assert_holds("/build-out/build.log", STORE "\n");
}

/* ---- the command line ---- */

static void assert_argv(const char *const want[])
{
    size_t i = 0;
    for (; want[i] != NULL && sim.argv[i] != NULL; i++) {
        assert_string_equal(sim.argv[i], want[i]);
    }
    assert_null(want[i]);
    assert_null(sim.argv[i]);
}

static void nix_is_called_with_these_arguments(void **state)
{
    static const struct mvm_nix_option options[] = {{"substitute", "false"}, {"cores", "2"}};
    static const char *const want[] = {"/bin/nix",
                                       "--extra-experimental-features",
                                       "nix-command flakes",
                                       "build",
                                       "-L",
                                       "--no-link",
                                       "--json",
                                       "--no-write-lock-file",
                                       "--option",
                                       "substitute",
                                       "false",
                                       "--option",
                                       "cores",
                                       "2",
                                       "--",
                                       "path:/f?dir=a b&c=$(d)`e`;#pkgs.x y",
                                       NULL};
    (void)state;
    config.nix_options = options;
    config.nix_options_len = 2;
    start_with("path:/f?dir=a b&c=$(d)`e`;", "pkgs.x y", false, 0);
    finish();
    assert_ok();
    assert_argv(want);
}

/* The option would replace them. */
static void an_option_for_the_experimental_features_has_ours_after_it(void **state)
{
    static const struct mvm_nix_option options[] = {{"experimental-features", "ca-derivations"},
                                                    {"cores", "2"}};
    (void)state;
    config.nix_options = options;
    config.nix_options_len = 2;
    sim.build.exit.code = 1;
    run();
    assert_non_null(strstr(answer, " --option experimental-features ca-derivations --option cores "
                                   "2 --extra-experimental-features 'nix-command flakes' -- "));
}

static void the_path_is_read_out_of_json(void **state)
{
    static const struct {
        const char *out;
        const char *answer;
    } cases[] = {
        {"[{\"drvPath\":\"/nix/store/d.drv\",\"outputs\":{\"out\":\"" STORE "\"}}]\n", STORE},
        {"[{\"outputs\":{\"dev\":\"/nix/store/dev\",\"out\":\"" STORE "\"}}]", STORE},
        {"[{\"outputs\":{\"out\":\"" STORE "\",\"dev\":\"/nix/store/dev\"}}]", STORE},
        {"[{\"outputs\":{\"image\":\"" STORE "\"}}]", STORE},
        {STORE "\n", STORE}, /* a nix that prints the path nevertheless */
        {"[{\"a long name\":1,\"outputs\":{\"a longer name\":\"" STORE "\"}}]", STORE},
        {"[{\"x\":{\"out\":\"/nix/store/y\"},\"outputs\":{\"out\":\"" STORE "\"}}]", STORE},
        {"[{\"outputs\":{\"out\":{\"out\":\"" STORE "\"}}}]", "nix build produced no store path"},
        {"[{\"outputs\":{}}]", "nix build produced no store path"},
        {"[{\"outputs\":{\"out\":null}}]", "nix build produced no store path"},
        {"[{\"outputs\":{\"out\":\"/tmp/x\"}}]", "nix build produced no store path"},
        {"[{\"outputs\":{\"out\":\"" STORE "\\u0000\"}}]", "nix build produced no store path"},
        {"[{\"outputs\":", "nix build produced no store path"},
        {"[{\"outputs\":{\"dev\":\"/nix/store/dev\"", "nix build produced no store path"},
        {"hello [1]\n[{\"outputs\":{\"out\":\"" STORE "\"}}]\nbye\n", STORE},
        {"[\"cut\n[{\"outputs\":{\"out\":\"" STORE "\"}}]", STORE},
        {"7\n[{\"outputs\":{\"out\":\"" STORE "\"}}]", STORE},
        {"[\n]\n[note] x\n[{\"outputs\":{\"out\":\"" STORE "\"}}]\n{}\n", STORE},
        {"[{\"outputs\":{\"out\":\"/nix/store/y\"}}]\n[{\"outputs\":{\"out\":\"" STORE "\"}}]\n",
         STORE},
        {"[{\"outputs\":{\"out\":\"" STORE "\"}}]\n[ok] done\n", STORE},
        {"[{\"outputs\":{\"out\":\"" STORE "\"}}]\n[\"ok\"]\n[", STORE},
        {"[{\"outputs\":{\"out\":\"/nix/store/y\"}}]\n[{\"outputs\":{\"out\":\"" STORE "\"\n",
         "nix build produced no store path"},
        {"[{\"outputs\":{\"out\":\"/nix/store/y\"}}]\n[{\"outputs\":{}}]\n",
         "nix build produced no store path"},
        {"{]", "nix build produced no store path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        sim.build.out = cases[i].out;
        run();
        assert_begins(answer, cases[i].answer);
    }
}

static void a_path_in_json_at_its_limit_is_taken_and_one_byte_more_is_none(void **state)
{
    static char out[MVM_STORE_PATH_MAX + 64];
    for (int over = 0; over <= 1; over++) {
        setup(state);
        sprintf(out, "[{\"outputs\":{\"out\":\"/nix/store/%0*d\"}}]",
                MVM_STORE_PATH_MAX - 12 + over, 7);
        sim.build.out = out;
        run();
        assert_begins(answer, over == 0 ? "failed to copy artifacts: kernel: not found"
                                        : "nix build produced no store path: ");
    }
}

static void the_last_line_that_begins_like_a_store_path_counts(void **state)
{
    (void)state;
    sim.build.out = "/nix/store/other\r\nx /nix/store/z\n" STORE "\r\nbye\n";
    run();
    assert_ok();
}

static void a_store_path_at_its_limit_is_taken_and_one_byte_more_is_none(void **state)
{
    static char line[MVM_STORE_PATH_MAX + 2];
    for (size_t over = 0; over <= 1; over++) {
        setup(state);
        size_t len = MVM_STORE_PATH_MAX - 1 + over;
        memset(line, 'p', sizeof line);
        memcpy(line, "/nix/store/", 11);
        line[len] = '\0';
        sim.build.out = line;
        run();
        assert_begins(answer, over == 0 ? "failed to copy artifacts: kernel: not found"
                                        : "nix build produced no store path: ");
    }
}

static void a_store_path_is_a_line_of_its_own_without_a_nul_byte(void **state)
{
    static const char nul[] = "/nix/store/a\0b\n";
    static char line[MVM_LOG_LINE_MAX + 16];
    (void)state;
    sim.build.out = nul;
    sim.build.out_len = sizeof nul - 1;
    run();
    assert_err("nix build produced no store path");
    setup(state);
    memset(line, 'l',
           MVM_LOG_LINE_MAX); /* what is over the limit is logged as a line, and is not a path */
    strcpy(line + MVM_LOG_LINE_MAX, "/nix/store/a\n");
    sim.build.out = line;
    run();
    assert_string_equal(x.result.line, "");
}

/* ---- refusals ---- */

static void unsound_requests_start_nothing(void **state)
{
    static const struct {
        const char *flake_ref;
        const char *attr;
        const char *beginning;
    } cases[] = {
        {"", "a", "invalid flake_ref: "},         {"-x", "a", "invalid flake_ref: "},
        {"a#b", "a", "invalid flake_ref: "},      {"a\nb", "a", "invalid flake_ref: "},
        {"a\x7f", "a", "invalid flake_ref: "},    {"a", "", "invalid attr: "},
        {"a", "--impure", "invalid attr: "},      {"a", "a\tb", "invalid attr: "},
        {"\xc2\x80", "a", "invalid flake_ref: "}, {"a\xc2\x9bm", "a", "invalid flake_ref: "},
        {"a", "a\xc2\x9f", "invalid attr: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        start_with(cases[i].flake_ref, cases[i].attr, false, 0);
        finish();
        assert_err(cases[i].beginning);
        assert_string_equal(sim.trace, "read_file ");
    }
}

static void a_nul_byte_is_refused(void **state)
{
    struct mvm_job job = {.flake_ref = {"a\0b", 3}, .attr = {"x", 1}};
    (void)state;
    mvm_executor_start(&x, &job, 0);
    finish();
    assert_err("invalid flake_ref: it holds a NUL byte");
}

/* What follows a text in memory is not looked at. */
static void a_byte_that_only_begins_a_control_character_is_taken(void **state)
{
    (void)state;
    struct mvm_job job = {.flake_ref = {"f\xc2\x80", 2}, .attr = {"a\xc2.\xc2\x9f", 4}};
    mvm_executor_start(&x, &job, sim.now_ms);
    finish();
    assert_ok();
}

static void a_bidirectional_control_is_taken(void **state)
{
    (void)state;
    start_with("f\xe2\x80\xae", "a", false, 0);
    finish();
    assert_ok();
}

static void texts_at_their_limits_are_taken_and_one_byte_more_is_refused(void **state)
{
    static char ref[MVM_FLAKE_REF_MAX + 2];
    static char attr[MVM_ATTR_MAX + 2];
    for (size_t over = 0; over <= 2; over++) {
        setup(state);
        memset(ref, 'r', sizeof ref);
        memset(attr, 'a', sizeof attr);
        ref[MVM_FLAKE_REF_MAX + (over == 1)] = '\0';
        attr[MVM_ATTR_MAX + (over == 2)] = '\0';
        start_with(ref, attr, false, 0);
        finish();
        if (over == 0) {
            assert_ok();
        } else {
            assert_err(over == 1 ? "invalid flake_ref: it is too long"
                                 : "invalid attr: it is too long");
        }
    }
}

static void as_many_options_as_may_be_are_taken_and_one_more_is_refused(void **state)
{
    static struct mvm_nix_option options[MVM_NIX_OPTIONS_MAX + 1];
    for (size_t over = 0; over <= 1; over++) {
        setup(state);
        for (size_t i = 0; i <= MVM_NIX_OPTIONS_MAX; i++) {
            options[i] = (struct mvm_nix_option){"cores", "1"};
        }
        config.nix_options = options;
        config.nix_options_len = MVM_NIX_OPTIONS_MAX + over;
        run();
        if (over == 0) {
            assert_ok();
            assert_string_equal(sim.argv[8 + 3 * MVM_NIX_OPTIONS_MAX], "--");
        } else {
            assert_err("invalid configuration: nix_options: there are too many");
        }
    }
}

/* The simulated disk refuses paths of that length: its error shows that it was called. */
static void an_output_directory_at_its_limit_is_used_and_one_byte_more_is_refused(void **state)
{
    static char dir[MVM_PATH_MAX];
    size_t longest = MVM_PATH_MAX - sizeof "/.fc-base.json.mvm-tmp";
    for (size_t over = 0; over <= 1; over++) {
        setup(state);
        memset(dir, 'd', longest + over);
        dir[0] = '/';
        config.out_dir = dir;
        run();
        assert_false(answered_ok);
        assert_non_null(
            strstr(answer, over == 0 ? "build.log: open: no inode" : "d: path too long"));
        assert_int_equal(sim.calls == 1, over == 1); /* only the policy file was read */
    }
}

static void the_policy_file_decides(void **state)
{
    static const char disabled[] = "build rejected: access.build is disabled by security policy";
    static const char malformed[] = "build rejected: cannot parse security policy /policy.json: ";
    static const struct {
        const char *text;
        const char *beginning; /* NULL: allowed */
    } cases[] = {
        {NULL, NULL},
        {"{\"access\":{\"build\":true}}", NULL},
        {" {\"x\":[{\"access\":1}],\"access\":{\"y\":{\"build\":false},\"build\":true,\"z\":0}}\n",
         NULL},
        {"{\"access\":{\"build\":false},\"access\":{\"build\":true}}", NULL},
        {"{\"access\":{\"build\":true},\"access\":{}}", disabled},
        {"{\"access\":{\"build\":true,\"build\":1}}", disabled},
        {"{\"access\":{\"build\":true},\"access\":{\"x\":1}}", disabled},
        {"{\"access\":{\"build\":false}}", disabled},
        {"{\"access\":{\"build\":\"true\"}}", disabled},
        {"{\"access\":{\"build\":[true]}}", disabled},
        {"{\"access\":{\"builds\":true}}", disabled},
        {"{\"access\":{\"build and more\":true}}", disabled},
        {"{\"access\":true}", disabled},
        {"{\"access\":{},\"build\":true}", disabled},
        {"{\"accessories\":{\"build\":true}}", disabled},
        {"{\"x\":{\"access\":{\"build\":true}}}", disabled},
        {"{}", disabled},
        {"[]", disabled},
        {"true", disabled},
        {"1", disabled},
        {"", malformed},
        {"  \n", malformed},
        {"{\"access\":{\"build\":true}", malformed},
        {"{\"access\":{\"build\":true}} x", malformed},
        {"{\"access\":{\"build\":tru}}", malformed},
        {"no", malformed},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 0; piece <= 1; piece++) {
            setup(state);
            sim.piece = piece;
            if (cases[i].text != NULL) {
                mvm_sim_put(&sim, "/policy.json", cases[i].text);
            }
            run();
            if (cases[i].beginning == NULL) {
                assert_ok();
            } else {
                assert_err(cases[i].beginning);
                assert_int_equal(sim.spawned, 0);
            }
        }
    }
}

static void a_policy_that_cannot_be_parsed_is_reported_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "the file is empty"},
        {" \n", "the file is empty"},
        {"{\"access\":\n#}", "unexpected character at byte 11"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        mvm_sim_put(&sim, "/policy.json", cases[i].text);
        run();
        assert_err("build rejected: cannot parse security policy /policy.json: ");
        assert_string_equal(strrchr(answer, ':') + 2, cases[i].why);
    }
}

static void a_policy_that_cannot_be_read_rejects_builds(void **state)
{
    (void)state;
    mvm_sim_put(&sim, "/policy.json", "{}");
    mvm_sim_find(&sim, "/policy.json")->kind = MVM_SIM_OTHER;
    run();
    assert_err("build rejected: cannot read security policy /policy.json: open: not a regular");
}

static void a_policy_option_that_was_not_understood_rejects_builds(void **state)
{
    (void)state;
    config.policy_file = "";
    run();
    assert_err("build rejected: the option that names the security policy was not understood");
}

static void a_policy_that_breaks_off_rejects_builds(void **state)
{
    (void)state;
    mvm_sim_put(&sim, "/policy.json", "{\"access\":{\"build\":true}}");
    sim.fail_at = 2; /* the end of the file */
    run();
    assert_err("build rejected: cannot read security policy /policy.json: made to fail");
}

static void a_policy_at_its_limit_is_read_and_one_byte_more_rejects_builds(void **state)
{
    static const char text[] = "{\"access\":{\"build\":true}}";
    for (size_t over = 0; over <= 1; over++) {
        setup(state);
        mvm_sim_put(&sim, "/policy.json", text);
        mvm_sim_find(&sim, "/policy.json")->blanks = MVM_POLICY_MAX - strlen(text) + over;
        run();
        if (over == 0) {
            assert_ok();
        } else {
            assert_err("build rejected: policy file too long: /policy.json");
        }
    }
}

static void without_a_policy_file_setting_none_is_read(void **state)
{
    (void)state;
    config.policy_file = NULL;
    mvm_sim_put(&sim, "/policy.json", "{}");
    run();
    assert_ok();
}

/* ---- the disks ---- */

static void a_disk_that_was_mounted_is_only_synced(void **state)
{
    (void)state;
    sim.out.mounted = true;
    run();
    assert_ok();
    assert_true(sim.out.mounted);
    assert_null(strstr(sim.trace, "unmount"));
    assert_non_null(strstr(sim.trace, "sync_fs"));
    assert_begins(log_text, "mvm: /dev/vdb is not used: something else is mounted on /build-out\n");
}

static void another_mount_in_place_of_a_required_disk_is_an_error(void **state)
{
    (void)state;
    config.require_devices = true;
    sim.out.mounted = true;
    run();
    assert_err("mount /dev/vdb -> /build-out failed: something else is mounted there");
    setup(state);
    config.require_devices = true;
    sim.in.mounted = true;
    start_with("/build-in", "a", false, 0);
    finish();
    assert_err("mount /dev/vdc -> /build-in failed: something else is mounted there");
}

static void another_mount_over_the_disk_is_an_error(void **state)
{
    (void)state;
    sim.out.mounted = sim.out.over = true;
    run();
    assert_err("mount /dev/vdb -> /build-out failed: something else is mounted over it");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_MOUNT);
    assert_int_equal(sim.spawned, 0);
}

/* By a process that an agent that was killed has left, for instance. */
static void a_disk_that_is_left_in_use_is_waited_for(void **state)
{
    (void)state;
    sim.out.mounted = sim.out.ours = sim.out.busy = true;
    start();
    while (turn()) {
        sim.out.busy = sim.now_ms < MVM_DEVICE_WAIT_MS - 100;
    }
    assert_true(answered_ok);
    setup(state);
    sim.out.mounted = sim.out.ours = sim.out.busy = true;
    run();
    assert_err("mount /dev/vdb -> /build-out failed: in use");
    assert_in_range(sim.now_ms, MVM_DEVICE_WAIT_MS, 2 * MVM_DEVICE_WAIT_MS);
}

static void an_absent_disk_is_reported_and_the_directory_used(void **state)
{
    (void)state;
    sim.out.absent = true;
    run();
    assert_ok();
    assert_begins(log_text, "mvm: /dev/vdb is absent, /build-out is used as it is\n");
    assert_null(strstr(sim.trace, "unmount"));
}

static void without_an_output_device_nothing_is_mounted(void **state)
{
    (void)state;
    config.out_device = NULL;
    run();
    assert_ok();
    assert_null(strstr(sim.trace, "mount "));
}

static void the_input_disk_is_mounted_for_its_flake_alone(void **state)
{
    (void)state;
    run();
    assert_null(strstr(sim.trace, "mount_ro"));
    start_with("/build-in", "a", false, 0);
    finish();
    assert_ok();
    assert_non_null(strstr(sim.trace, "mount_ro"));
    assert_false(sim.in.mounted);
    start_with("/build-in/", "a", false, 0);
    finish();
    assert_ok();
}

static void without_an_input_directory_no_flake_asks_for_one(void **state)
{
    (void)state;
    config.in_dir = NULL;
    start_with("/build-in", "a", false, 0);
    finish();
    assert_ok();
    assert_null(strstr(sim.trace, "mount_ro"));
}

static void disks_that_fail_are_named(void **state)
{
    (void)state;
    sim.out.broken = true;
    run();
    assert_err("mount /dev/vdb -> /build-out failed: no file system found");
    setup(state);
    sim.in.broken = true;
    start_with("/build-in", "a", false, 0);
    finish();
    assert_err("mount /dev/vdc -> /build-in failed: no file system found");
    assert_false(sim.out.mounted);
    setup(state);
    sim.dir_in_the_way = true;
    run();
    assert_err("/build-out missing or not a directory: a file is in the way");
}

static void a_disk_in_use_is_made_read_only_and_freed_by_the_next_job(void **state)
{
    (void)state;
    sim.out.busy = true;
    run();
    assert_ok();
    assert_non_null(strstr(log_text, "mvm: /build-out is busy, read-only instead of unmounted\n"));
    assert_true(sim.out.mounted && sim.out.read_only);
    run();
    assert_err("mount /dev/vdb -> /build-out failed: in use");
    sim.out.busy = false;
    run();
    assert_ok();
    assert_false(sim.out.mounted);
}

static void a_disk_that_was_left_read_only_may_be_freed_by_others(void **state)
{
    (void)state;
    sim.out.busy = true;
    run();
    assert_ok();
    sim.out = (struct mvm_sim_disk){0};
    run();
    assert_ok();
}

static void an_input_disk_in_use_is_reported_and_harms_nothing(void **state)
{
    (void)state;
    sim.in.busy = true;
    start_with("/build-in", "a", false, 0);
    finish();
    assert_ok();
    assert_non_null(strstr(log_text, "mvm: failed to release /build-in: in use\n"));
}

static void a_read_only_output_disk_fails_before_the_build(void **state)
{
    (void)state;
    sim.out.mounted = sim.out.read_only = true;
    run();
    assert_err("failed to copy artifacts: build.log: open: read-only file system");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_MOUNT); /* nothing was built */
    assert_int_equal(sim.spawned, 0);
}

/* ---- builds that fail ---- */

static void a_failed_build_says_how_and_leaves_its_log(void **state)
{
    (void)state;
    put_old_set();
    sim.build.exit.code = 1;
    sim.build.err = "error: builder for '/nix/store/x.drv' failed with exit code 2\n";
    run();
    assert_err("nix build failed (exit status: 1): /bin/nix --extra-experimental-features "
               "'nix-command flakes' build -L --no-link --json --no-write-lock-file -- path:/f#a");
    assert_old_set();
    assert_holds("/build-out/build.log",
                 STORE "\nerror: builder for '/nix/store/x.drv' failed with exit code 2\n");
    setup(state);
    sim.build.exit = (struct mvm_exit){true, 9};
    run();
    assert_err("nix build failed (signal: 9): /bin/nix ");
}

static void words_of_the_command_are_quoted_for_a_shell(void **state)
{
    (void)state;
    sim.build.exit.code = 1;
    start_with("it's", "a;b", false, 0);
    finish();
    assert_non_null(strstr(answer, " -- 'it'\\''s#a;b'"));
}

static void options_are_quoted_too(void **state)
{
    static const struct mvm_nix_option options[] = {{"a", ""}, {"b", "#c"}};
    (void)state;
    config.nix_options = options;
    config.nix_options_len = 2;
    sim.build.exit.code = 1;
    run();
    assert_non_null(strstr(answer, " --option a '' --option b '#c' -- "));
}

static void no_nix_is_reported(void **state)
{
    (void)state;
    sim.no_nix = true;
    run();
    assert_err("nix not found: looked everywhere");
    assert_holds("/build-out/build.log", "");
}

static void no_store_path_is_reported(void **state)
{
    (void)state;
    sim.build.out = "not a path\n";
    run();
    assert_err("nix build produced no store path");
}

static void missing_artifacts_are_named_and_the_old_set_stays(void **state)
{
    (void)state;
    put_old_set();
    mvm_sim_find(&sim, STORE "/rootfs.ext4")->kind = MVM_SIM_OTHER;
    run();
    assert_err("failed to copy artifacts: rootfs: not found; rootfs.ext4: not a regular file in "
               "/nix/store/");
    assert_old_set();
    setup(state);
    mvm_sim_find(&sim, STORE "/kernel")->there = false;
    run();
    assert_err("failed to copy artifacts: kernel: not found; vmlinux: not found in /nix/store/");
    setup(state);
    mvm_sim_put(&sim, STORE "/initrd", "");
    mvm_sim_find(&sim, STORE "/initrd")->kind = MVM_SIM_OTHER;
    run();
    assert_err("failed to copy artifacts: initrd: not a regular file in /nix/store/");
}

static void what_a_killed_agent_left_of_a_set_is_removed_by_the_next_build(void **state)
{
    static const char *const names[] = {
        "/build-out/.vmlinux.mvm-tmp", "/build-out/.rootfs.ext4.mvm-tmp",
        "/build-out/.initrd.mvm-tmp", "/build-out/.fc-base.json.mvm-tmp"};
    for (int code = 0; code < 2; code++) {
        setup(state);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            mvm_sim_put(&sim, names[i], "half");
        }
        sim.build.exit.code = code;
        run();
        assert_int_equal(answered_ok, code == 0);
        assert_null(mvm_sim_left_over(&sim));
    }
}

/* A build that fits on the disk fits there when an agent was killed while it copied, too. */
static void what_a_killed_agent_left_of_a_set_takes_no_room(void **state)
{
    size_t capacity = 0;
    for (answered_ok = false; !answered_ok; capacity++) {
        setup(state);
        sim.capacity = capacity + 1;
        run();
    }
    setup(state);
    sim.capacity = capacity;
    mvm_sim_put(&sim, "/build-out/.initrd.mvm-tmp", "half");
    run();
    assert_ok();
}

static int remove_fails(void *ctx, const char *path)
{
    (void)path;
    ((struct mvm_sim *)ctx)->reason[0] = 'X';
    return MVM_PORT_FAILED;
}

static void what_is_in_the_way_of_a_copy_is_named_before_the_build(void **state)
{
    (void)state;
    struct mvm_port port = mvm_sim_port;
    port.remove = remove_fails;
    mvm_executor_init(&x, &port, &sim, &config);
    run();
    assert_false(answered_ok);
    assert_begins(answer, "failed to copy artifacts: .vmlinux.mvm-tmp: X");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_MOUNT);
    assert_int_equal(sim.spawned, 0);
}

static void an_image_that_is_empty_fails_and_leaves_the_old_set(void **state)
{
    (void)state;
    put_old_set();
    mvm_sim_put(&sim, STORE "/kernel", "");
    run();
    assert_err("failed to copy artifacts: kernel: the file is empty");
    assert_old_set();
    setup(state);
    put_old_set();
    mvm_sim_put(&sim, STORE "/rootfs.ext4", "");
    run();
    assert_err("failed to copy artifacts: rootfs.ext4: the file is empty");
    assert_old_set();
    setup(state);
    mvm_sim_put(&sim, STORE "/initrd", ""); /* is optional */
    run();
    assert_ok();
}

static void a_full_disk_leaves_the_old_set_at_whatever_byte_it_fills(void **state)
{
    unsigned failures = 0;
    for (size_t capacity = 1;; capacity++) {
        setup(state);
        put_old_set();
        sim.capacity = capacity;
        run();
        assert_null(mvm_sim_left_over(&sim));
        if (answered_ok) {
            assert_holds("/build-out/vmlinux", "new kernel");
            break;
        }
        assert_begins(answer, "failed to copy artifacts: ");
        assert_non_null(strstr(answer, "no space left"));
        assert_old_set();
        failures++;
    }
    assert_in_range(failures, 20, 1000);
}

/* ---- every call fails once ---- */

/* A final name holds an old file or a new one, whole. */
static void assert_whole(const char *path, const char *old, const char *new)
{
    if (!holds(path, old) && !holds(path, new)) {
        fail_msg("a call failed as %d: %s is neither old nor new; calls: %s", (int)sim.fail_as,
                 path, sim.trace);
    }
}

static const struct life {
    uint64_t run_ms;
    int status;
    bool ignores_term;
} lives[] = {{0, 0, false}, {200, 1, false}, {UINT64_MAX, 0, false}, {UINT64_MAX, 0, true}};

static void live_with_a_fault(const struct life *l, unsigned at, unsigned with)
{
    setup(NULL);
    put_old_set();
    sim.build.run_ms = l->run_ms;
    sim.build.exit.code = l->status;
    sim.build.ignores_term = l->ignores_term;
    sim.fail_at = at;
    sim.fail_with = with;
    start_with("/build-in", "a", true, 2);
    finish();
    const char *left = mvm_sim_left_over(&sim);
    assert_true(left == NULL || left[0] == '/'); /* a file whose removal failed */
    assert_whole("/build-out/vmlinux", "old kernel", "new kernel");
    assert_whole("/build-out/rootfs.ext4", "old rootfs", "new rootfs");
    if (answered_ok) {
        mvm_sim_power_cut(&sim);
        assert_holds("/build-out/vmlinux", "new kernel");
        assert_holds("/build-out/rootfs.ext4", "new rootfs");
    }
}

/* A temporary file whose removal failed is removed by the next job. */
static void live_on(void)
{
    sim.fail_at = 0;
    sim.build.run_ms = 0;
    sim.build.exit.code = 0;
    run();
    assert_ok();
    assert_holds("/build-out/vmlinux", "new kernel");
}

static void a_fault_at_any_call_leaves_whole_files_and_a_job_that_works(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        unsigned at = 1;
        do {
            unsigned with = 0;
            do {
                live_with_a_fault(&lives[i], at, with);
                live_on();
            } while (++with < sim.fail_kinds);
            at++;
        } while (sim.fail_kinds > 0);
    }
}

/* ---- for programs ---- */

static void a_failure_has_a_category(void **state)
{
    static const struct {
        bool no_nix, out_of_memory, dir_in_the_way;
        int status;
        const char *out;
        enum mvm_category category;
    } cases[] = {
        {.out = STORE "\n", .category = MVM_CATEGORY_NONE},
        {.out = STORE "\n", .dir_in_the_way = true, .category = MVM_CATEGORY_MOUNT},
        {.out = STORE "\n", .no_nix = true, .category = MVM_CATEGORY_NIX_NOT_FOUND},
        {.out = STORE "\n", .status = 1, .category = MVM_CATEGORY_BUILD_FAILED},
        {.status = 1, .out_of_memory = true, .category = MVM_CATEGORY_OUT_OF_MEMORY},
        {.out = "nothing\n", .category = MVM_CATEGORY_NO_OUTPUT},
        {.out = "/nix/store/absent\n", .category = MVM_CATEGORY_STAGING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        sim.no_nix = cases[i].no_nix;
        sim.dir_in_the_way = cases[i].dir_in_the_way;
        sim.build.out_of_memory = cases[i].out_of_memory;
        sim.build.exit.code = cases[i].status;
        sim.build.out = cases[i].out;
        run();
        assert_int_equal(mvm_executor_category(&x), cases[i].category);
    }
    start_with("", "a", false, 0);
    finish();
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_INVALID_REQUEST);
    mvm_sim_put(&sim, "/policy.json", "{}");
    run();
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_REJECTED);
}

static void progress_only_goes_forward(void **state)
{
    (void)state;
    enum mvm_executor_progress seen = MVM_EXECUTOR_BUILDING;
    start();
    assert_int_equal(mvm_executor_progress(&x), MVM_EXECUTOR_BUILDING);
    while (turn()) {
        enum mvm_executor_progress now = mvm_executor_progress(&x);
        assert_true(now == seen || (int)now == (int)seen + 1);
        assert_true(now != MVM_EXECUTOR_STAGING || !holds("/build-out/vmlinux", "new kernel"));
        seen = now;
    }
    assert_int_equal(seen, MVM_EXECUTOR_PLACING);
    sim.build.exit.code = 1;
    run();
    assert_int_equal(mvm_executor_progress(&x), MVM_EXECUTOR_BUILDING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_build_ends_with_its_artifacts_durable_and_the_disk_released),
        T(nothing_is_called_after_the_answer),
        T(every_artifact_has_two_names_and_the_first_counts),
        T(a_kernel_that_is_not_a_file_is_skipped_for_vmlinux),
        T(an_initrd_of_an_earlier_build_does_not_stay),
        T(short_reads_writes_and_copies_change_nothing),
        T(nix_is_called_with_these_arguments),
        T(an_option_for_the_experimental_features_has_ours_after_it),
        T(the_path_is_read_out_of_json),
        T(a_path_in_json_at_its_limit_is_taken_and_one_byte_more_is_none),
        T(the_last_line_that_begins_like_a_store_path_counts),
        T(a_store_path_at_its_limit_is_taken_and_one_byte_more_is_none),
        T(a_store_path_is_a_line_of_its_own_without_a_nul_byte),
        T(unsound_requests_start_nothing),
        T(a_nul_byte_is_refused),
        T(a_byte_that_only_begins_a_control_character_is_taken),
        T(a_bidirectional_control_is_taken),
        T(texts_at_their_limits_are_taken_and_one_byte_more_is_refused),
        T(as_many_options_as_may_be_are_taken_and_one_more_is_refused),
        T(an_output_directory_at_its_limit_is_used_and_one_byte_more_is_refused),
        T(the_policy_file_decides),
        T(a_policy_that_cannot_be_parsed_is_reported_with_its_place),
        T(a_policy_that_cannot_be_read_rejects_builds),
        T(a_policy_option_that_was_not_understood_rejects_builds),
        T(a_policy_that_breaks_off_rejects_builds),
        T(a_policy_at_its_limit_is_read_and_one_byte_more_rejects_builds),
        T(without_a_policy_file_setting_none_is_read),
        T(a_disk_that_was_mounted_is_only_synced),
        T(an_absent_disk_is_reported_and_the_directory_used),
        T(another_mount_in_place_of_a_required_disk_is_an_error),
        T(another_mount_over_the_disk_is_an_error),
        T(a_disk_that_is_left_in_use_is_waited_for),
        T(without_an_output_device_nothing_is_mounted),
        T(the_input_disk_is_mounted_for_its_flake_alone),
        T(without_an_input_directory_no_flake_asks_for_one),
        T(disks_that_fail_are_named),
        T(a_disk_in_use_is_made_read_only_and_freed_by_the_next_job),
        T(a_disk_that_was_left_read_only_may_be_freed_by_others),
        T(an_input_disk_in_use_is_reported_and_harms_nothing),
        T(a_read_only_output_disk_fails_before_the_build),
        T(a_failed_build_says_how_and_leaves_its_log),
        T(words_of_the_command_are_quoted_for_a_shell),
        T(options_are_quoted_too),
        T(no_nix_is_reported),
        T(no_store_path_is_reported),
        T(missing_artifacts_are_named_and_the_old_set_stays),
        T(what_a_killed_agent_left_of_a_set_is_removed_by_the_next_build),
        T(what_a_killed_agent_left_of_a_set_takes_no_room),
        T(what_is_in_the_way_of_a_copy_is_named_before_the_build),
        T(an_image_that_is_empty_fails_and_leaves_the_old_set),
        T(a_full_disk_leaves_the_old_set_at_whatever_byte_it_fills),
        T(a_failure_has_a_category),
        T(progress_only_goes_forward),
        T(a_fault_at_any_call_leaves_whole_files_and_a_job_that_works),
    };
    return cmocka_run_group_tests_name("the executor", tests, NULL, NULL);
}
