/* The build job on the simulated port: what it says, what it leaves, what it waits for. */
#include "mvm_executor.h"
#include "mvm_sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STORE "/nix/store/00000000000000000000000000000000-x"

enum { LOG_CAP = 1 << 16 };

static struct mvm_sim sim;
static struct mvm_executor x;
static struct mvm_executor_config config;
static char log_text[LOG_CAP]; /* the lines given out, each with a newline */
static size_t log_len;
static unsigned log_lines;
static size_t log_longest;
static bool answered_ok;
static char answer[MVM_MESSAGE_MAX];

/* ---- a world in which everything goes well ---- */

static int setup(void **state)
{
    (void)state;
    mvm_sim_init(&sim, "/build-out", "/build-in");
    config = (struct mvm_executor_config){
        .out_dir = "/build-out",
        .out_device = "/dev/vdb",
        .in_dir = "/build-in",
        .in_device = "/dev/vdc",
        .policy_file = "/policy.json",
    };
    sim.build.out = STORE "\n";
    sim.build.err = "building\n";
    mvm_sim_put(&sim, STORE "/kernel", "new kernel");
    mvm_sim_put(&sim, STORE "/rootfs.ext4", "new rootfs");
    mvm_executor_init(&x, &mvm_sim_port, &sim, &config);
    return 0;
}

static void start_with(const char *flake_ref, const char *attr, bool has_timeout, uint64_t secs)
{
    struct mvm_job job = {mvm_text_from(flake_ref), mvm_text_from(attr), has_timeout, secs};
    log_len = log_lines = 0;
    log_longest = 0;
    log_text[0] = '\0';
    sim.spawned = 0;
    mvm_executor_start(&x, &job, sim.now_ms);
}

static void start(void)
{
    start_with("path:/f", "a", false, 0);
}

static void take_log(void)
{
    log_lines++;
    log_longest = x.text.len > log_longest ? x.text.len : log_longest;
    if (log_len + x.text.len + 2 < LOG_CAP) {
        memcpy(log_text + log_len, x.text.bytes, x.text.len);
        log_len += x.text.len;
        log_text[log_len++] = '\n';
        log_text[log_len] = '\0';
    }
    mvm_executor_logged(&x, sim.now_ms);
}

/* One event; the clock is turned to the deadline when the job waits. False: it has answered. */
static bool turn(void)
{
    switch (mvm_executor_step(&x, sim.now_ms)) {
    case MVM_EXECUTOR_LOG:
        take_log();
        return true;
    case MVM_EXECUTOR_AGAIN:
        return true;
    case MVM_EXECUTOR_WAIT: {
        uint64_t at = mvm_executor_deadline(&x);
        uint64_t soon = sim.now_ms + 100; /* the port may have something before that */
        sim.now_ms = at > sim.now_ms && at < soon ? at : soon;
        return true;
    }
    case MVM_EXECUTOR_OK:
        answered_ok = true;
        break;
    case MVM_EXECUTOR_ERR:
        answered_ok = false;
        break;
    }
    memcpy(answer, x.text.bytes, x.text.len);
    answer[x.text.len] = '\0';
    return false;
}

static void finish(void)
{
    unsigned turns = 0;
    while (turn()) {
        assert_in_range(++turns, 1, 2000000);
    }
    assert_true(mvm_executor_idle(&x));
}

static void run(void)
{
    start();
    finish();
}

static void assert_begins(const char *text, const char *beginning)
{
    if (strncmp(text, beginning, strlen(beginning)) != 0) {
        fail_msg("\"%s\" does not begin with \"%s\"", text, beginning);
    }
}

static void assert_err(const char *beginning)
{
    assert_false(answered_ok);
    assert_begins(answer, beginning);
    assert_null(mvm_sim_left_over(&sim));
}

static void assert_ok(void)
{
    if (!answered_ok) {
        fail_msg("Err: %s", answer);
    }
    assert_string_equal(answer, STORE);
    assert_null(mvm_sim_left_over(&sim));
}

static bool holds(const char *path, const char *text)
{
    const struct mvm_sim_file *f = mvm_sim_file(&sim, path);
    return f != NULL && f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

static void assert_holds(const char *path, const char *text)
{
    if (!holds(path, text)) {
        fail_msg("%s does not hold \"%s\"", path, text);
    }
}

static void put_old_set(void)
{
    mvm_sim_put(&sim, "/build-out/vmlinux", "old kernel");
    mvm_sim_put(&sim, "/build-out/rootfs.ext4", "old rootfs");
    mvm_sim_put(&sim, "/build-out/initrd", "old initrd");
    mvm_sim_put(&sim, "/build-out/fc-base.json", "old base");
    mvm_sim_put(&sim, "/build-out/build.log", "old log");
}

static void assert_old_set(void)
{
    assert_holds("/build-out/vmlinux", "old kernel");
    assert_holds("/build-out/rootfs.ext4", "old rootfs");
    assert_holds("/build-out/initrd", "old initrd");
    assert_holds("/build-out/fc-base.json", "old base");
}

/* ---- the whole way ---- */

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
    assert_null(mvm_sim_file(&sim, "/build-out/initrd"));
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

static void a_kernel_that_is_no_file_is_passed_over_for_vmlinux(void **state)
{
    (void)state;
    mvm_sim_file(&sim, STORE "/kernel")->kind = MVM_SIM_OTHER;
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
    assert_null(mvm_sim_file(&sim, "/build-out/initrd"));
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
                                       "--print-out-paths",
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

static void a_version_before_2_9_gets_json_and_others_print_out_paths(void **state)
{
    static const struct {
        const char *out;
        int status;
        bool json;
    } cases[] = {
        {"nix (Nix) 2.4\n", 0, true},
        {"nix (Nix) 2.8.1\n", 0, true},
        {"nix (Nix) 2.4pre20210601_abcdef\n", 0, true},
        {"nix (Nix) 1.11.16\n", 0, true},
        {"nix (Nix) 2.9.0\n", 0, false},
        {"nix (Nix) 2.26.3\n", 0, false},
        {"nix (Nix) 3.0\n", 0, false},
        {"nix (Lix, like Nix) 2.91.0\n", 0, false},
        {"nix (Nix) 99999999999999999999.1\n", 0, false},
        {"hello\n", 0, false},
        {"2.\n", 0, false},
        {"nix (Nix) 2-pre\n", 0, false},
        {"", 0, false},
        {"nix (Nix) 2.4\n", 1, false}, /* it failed: what it says is no version */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        sim.version.out = cases[i].out;
        sim.version.exit.code = cases[i].status;
        run();
        assert_string_equal(sim.argv[6], cases[i].json ? "--json" : "--print-out-paths");
    }
}

static void the_version_is_asked_for_once(void **state)
{
    (void)state;
    run();
    assert_int_equal(sim.spawned, 2);
    run();
    assert_ok();
    assert_int_equal(sim.spawned, 1);
}

static void a_version_that_never_comes_is_given_up(void **state)
{
    (void)state;
    sim.version.run_ms = UINT64_MAX;
    sim.version.out = NULL;
    sim.version.ignores_term = true;
    run();
    assert_ok();
    assert_in_range(sim.now_ms, MVM_NIX_PROBE_MS, MVM_NIX_PROBE_MS + 1000);
    assert_string_equal(sim.argv[6], "--print-out-paths");
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
        {STORE "\n", STORE}, /* one that prints the path all the same */
        {"[{\"a long name\":1,\"outputs\":{\"a longer name\":\"" STORE "\"}}]", STORE},
        {"[{\"x\":{\"out\":\"/nix/store/y\"},\"outputs\":{\"out\":\"" STORE "\"}}]", STORE},
        {"[{\"outputs\":{\"out\":{\"out\":\"" STORE "\"}}}]", "nix build produced no store path"},
        {"[{\"outputs\":{}}]", "nix build produced no store path"},
        {"[{\"outputs\":{\"out\":null}}]", "nix build produced no store path"},
        {"[{\"outputs\":{\"out\":\"/tmp/x\"}}]", "nix build produced no store path"},
        {"[{\"outputs\":", "nix build produced no store path"},
        {"{]", "nix build produced no store path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        sim.version.out = "nix (Nix) 2.8.0\n";
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
        sim.version.out = "nix (Nix) 2.8.0\n";
        sprintf(out, "[{\"outputs\":{\"out\":\"/nix/store/%0*d\"}}]",
                MVM_STORE_PATH_MAX - 12 + over, 7);
        sim.build.out = out;
        run();
        assert_begins(answer, over == 0 ? "failed to copy artifacts: kernel: not found"
                                        : "nix build produced no store path");
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
                                        : "nix build produced no store path");
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
    memset(line, 'l', MVM_LOG_LINE_MAX); /* what is over the limit comes as a line, and is none */
    strcpy(line + MVM_LOG_LINE_MAX, "/nix/store/a\n");
    sim.build.out = line;
    run();
    assert_begins(answer, "nix build produced no store path");
}

/* ---- refusals ---- */

static void unsound_requests_start_nothing(void **state)
{
    static const struct {
        const char *flake_ref;
        const char *attr;
        const char *beginning;
    } cases[] = {
        {"", "a", "invalid flake_ref: "},      {"-x", "a", "invalid flake_ref: "},
        {"a#b", "a", "invalid flake_ref: "},   {"a\nb", "a", "invalid flake_ref: "},
        {"a\x7f", "a", "invalid flake_ref: "}, {"a", "", "invalid attr: "},
        {"a", "--impure", "invalid attr: "},   {"a", "a\tb", "invalid attr: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        start_with(cases[i].flake_ref, cases[i].attr, false, 0);
        finish();
        assert_err(cases[i].beginning);
        assert_string_equal(sim.trace, "open_read ");
    }
}

static void a_nul_byte_is_refused(void **state)
{
    struct mvm_job job = {{"a\0b", 3}, {"x", 1}, false, 0};
    (void)state;
    mvm_executor_start(&x, &job, 0);
    finish();
    assert_err("invalid flake_ref: it holds a NUL byte");
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
            assert_err("invalid nix_options: there are too many");
        }
    }
}

/* The simulated disk takes no path of that length: how it says so tells that it was asked. */
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
        assert_int_equal(sim.calls == 1, over == 1); /* only the policy was looked for */
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

static void a_policy_that_cannot_be_read_is_no_permission(void **state)
{
    (void)state;
    mvm_sim_put(&sim, "/policy.json", "{}");
    mvm_sim_file(&sim, "/policy.json")->kind = MVM_SIM_OTHER;
    run();
    assert_err("build rejected: cannot read security policy /policy.json: open: not a regular");
}

static void a_policy_that_breaks_off_is_no_permission(void **state)
{
    (void)state;
    mvm_sim_put(&sim, "/policy.json", "{\"access\":{\"build\":true}}");
    sim.fail_at = 2; /* open_read, read */
    run();
    assert_err("build rejected: cannot read security policy /policy.json: made to fail");
}

static void a_policy_at_its_limit_is_taken_and_one_byte_more_is_no_permission(void **state)
{
    static const char text[] = "{\"access\":{\"build\":true}}";
    for (size_t over = 0; over <= 1; over++) {
        setup(state);
        mvm_sim_put(&sim, "/policy.json", text);
        mvm_sim_file(&sim, "/policy.json")->blanks = MVM_POLICY_MAX - strlen(text) + over;
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
}

static void an_absent_disk_is_said_and_the_directory_used(void **state)
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

static void an_input_disk_in_use_is_said_and_harms_nothing(void **state)
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
               "'nix-command flakes' build -L --no-link --print-out-paths "
               "--no-write-lock-file -- path:/f#a");
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

static void no_nix_is_said(void **state)
{
    (void)state;
    sim.no_nix = true;
    run();
    assert_err("nix not found: looked everywhere");
    assert_holds("/build-out/build.log", "");
}

static void no_store_path_is_said(void **state)
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
    mvm_sim_file(&sim, STORE "/rootfs.ext4")->kind = MVM_SIM_OTHER;
    run();
    assert_err("failed to copy artifacts: rootfs: not found; rootfs.ext4: not a regular file in "
               "/nix/store/");
    assert_old_set();
    setup(state);
    mvm_sim_file(&sim, STORE "/kernel")->there = false;
    run();
    assert_err("failed to copy artifacts: kernel: not found; vmlinux: not found in /nix/store/");
    setup(state);
    mvm_sim_put(&sim, STORE "/initrd", "");
    mvm_sim_file(&sim, STORE "/initrd")->kind = MVM_SIM_OTHER;
    run();
    assert_err("failed to copy artifacts: initrd: not a regular file in /nix/store/");
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

/* ---- time ---- */

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

static void a_stranger_that_holds_the_pipe_is_waited_for_only_so_long(void **state)
{
    (void)state;
    sim.build.stranger_holds_pipes = true;
    run();
    assert_ok();
    assert_in_range(sim.now_ms, MVM_DRAIN_MS, MVM_DRAIN_MS + 300);
    assert_non_null(strstr(log_text, "mvm: a stranger holds the build's output open"));
}

static void one_that_survives_sigkill_is_said_and_left(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    sim.build.ignores_term = sim.build.survives_kill = true;
    start_with("f", "a", true, 1);
    while (x.state != MVM_KILL) {
        assert_true(turn());
    }
    while (x.state != MVM_DRAIN || x.pending != MVM_PENDING_NONE) {
        assert_true(turn());
    }
    assert_true(mvm_executor_wants(&x, MVM_STDOUT));
    assert_false(mvm_executor_wants_exit(&x));
    finish();
    assert_begins(answer, "nix build timed out after 1 s: ");
    assert_string_equal(mvm_sim_left_over(&sim), "a process");
    assert_non_null(strstr(log_text, "mvm: processes of the build survive SIGKILL"));
}

static void a_line_nobody_takes_does_not_stop_the_clock(void **state)
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
    assert_false(mvm_executor_wants(&x, MVM_STDERR));
    sim.now_ms = 1000;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_int_equal(x.state, MVM_TERM);
    assert_true(mvm_executor_ending(&x));
    assert_true(mvm_executor_deadline(&x) == 1000 + MVM_TERM_GRACE_MS);
    sim.now_ms += MVM_TERM_GRACE_MS;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_int_equal(x.state, MVM_KILL);
    finish();
    assert_err("nix build timed out after 1 s: ");
}

/* Steps until `state`, taking lines, without turning the clock. */
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
    assert_false(mvm_executor_wants(&x, MVM_STDOUT) || mvm_executor_wants_exit(&x));
    assert_int_equal(sim.calls, 0);
}

static void it_says_what_it_waits_for(void **state)
{
    (void)state;
    sim.build.run_ms = 1000;
    sim.build.leaves_child = sim.build.child_ignores_term = true;
    start();
    assert_false(mvm_executor_wants_exit(&x));
    step_to(MVM_RUN);
    assert_int_equal(mvm_executor_step(&x, 0), MVM_EXECUTOR_LOG); /* the path */
    assert_false(mvm_executor_wants(&x, MVM_STDOUT) || mvm_executor_wants_exit(&x));
    take_log();
    assert_int_equal(mvm_executor_step(&x, 0), MVM_EXECUTOR_WAIT);
    assert_true(mvm_executor_wants(&x, MVM_STDOUT) && mvm_executor_wants(&x, MVM_STDERR));
    assert_true(mvm_executor_wants_exit(&x));
    sim.now_ms = 1000;
    step_to(MVM_TERM); /* a child is left */
    assert_false(mvm_executor_wants_exit(&x));
    assert_true(mvm_executor_wants(&x, MVM_STDOUT));
    finish();
    assert_ok();
    assert_false(mvm_executor_wants(&x, MVM_STDOUT));
}

static void a_pipe_that_has_ended_is_wanted_no_more(void **state)
{
    (void)state;
    sim.build.stranger_holds_pipes = true;
    start();
    step_to(MVM_DRAIN);
    assert_true(mvm_executor_wants(&x, MVM_STDOUT));
    assert_false(mvm_executor_wants_exit(&x));
    sim.now_ms += MVM_DRAIN_MS;
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG); /* "a stranger …" */
    mvm_executor_logged(&x, sim.now_ms);
    assert_false(mvm_executor_wants(&x, MVM_STDOUT) || mvm_executor_wants(&x, MVM_STDERR));
    finish();
    assert_ok();
}

static void a_cancel_wants_a_step_at_once(void **state)
{
    (void)state;
    sim.build.run_ms = UINT64_MAX;
    start();
    step_to(MVM_RUN);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG);
    assert_true(mvm_executor_deadline(&x) == 1800000);
    mvm_executor_cancel(&x);
    assert_true(mvm_executor_deadline(&x) == 0); /* with a line that nobody takes … */
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
    step_to(MVM_RUN);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_WAIT);
    mvm_executor_cancel(&x);
    assert_true(mvm_executor_deadline(&x) == 0); /* … and without */
    finish();
    assert_err("build cancelled: ");
}

static void a_version_that_never_comes_can_be_cancelled_and_timed_out(void **state)
{
    for (int cancel = 0; cancel <= 1; cancel++) {
        setup(state);
        config.heartbeat_ms = 200;
        sim.version.run_ms = UINT64_MAX;
        start_with("f", "a", true, 3);
        step_to(MVM_PROBE);
        sim.now_ms = 1000;
        assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_LOG); /* a heartbeat */
        assert_true(mvm_executor_deadline(&x) == 3000);
        if (cancel) {
            mvm_executor_cancel(&x);
        }
        finish();
        assert_err(cancel ? "build cancelled: /bin/nix --version"
                          : "nix build timed out after 3 s: /bin/nix --version");
    }
}

static void a_stranger_that_holds_the_versions_pipe_is_not_worth_a_word(void **state)
{
    (void)state;
    sim.version.stranger_holds_pipes = true;
    run();
    assert_ok();
    assert_null(strstr(log_text, "stranger"));
}

/* More than a pipe can hold comes after the build has ended: it is a stranger's, and without end.
 */
static void a_stranger_that_floods_the_pipe_is_read_only_so_long(void **state)
{
    static char line[4097];
    memset(line, 'f', 4095);
    line[4095] = '\n';
    for (int cancel = 0; cancel <= 1; cancel++) {
        setup(state);
        sim.build.err = line;
        sim.build.err_repeats = SIZE_MAX / sizeof line;
        sim.build.stranger_holds_pipes = true;
        sim.build.run_ms = cancel ? UINT64_MAX : 0;
        sim.build.ignores_term = true;
        start_with("f", "a", true, 0);
        step_to(MVM_RUN);
        if (cancel) {
            mvm_executor_cancel(&x);
        }
        for (unsigned turns = 0; turn(); turns++) {
            sim.now_ms += 10; /* a line every ten milliseconds is taken */
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
    assert_int_equal(x.state, MVM_KILL);
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

/* A host whose read time-out is the build's own hears twice within it. */
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
        assert_null(mvm_sim_left_over(&sim));
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

/* ---- lines ---- */

static void lines_lose_their_ends_and_nothing_else(void **state)
{
    (void)state;
    sim.build.err = "a\r\n\r\n\n\x1b[31mred\x1b[0m\nb\rc\n\xff\xfe\nlast";
    run();
    assert_ok();
    assert_begins(log_text, "a\n\n\n\x1b[31mred\x1b[0m\nb\rc\n\xff\xfe\n");
    assert_non_null(strstr(log_text, "last\n"));
    assert_int_equal(log_lines, 8);
}

static void a_line_at_the_limit_is_one_and_a_longer_one_is_cut_between_characters(void **state)
{
    static char line[2 * MVM_LOG_LINE_MAX];
    static const struct {
        size_t len;
        const char *end;
        unsigned lines;
    } cases[] = {
        {MVM_LOG_LINE_MAX, "\n", 1},
        {MVM_LOG_LINE_MAX, "\r\n", 1},
        {MVM_LOG_LINE_MAX, "", 1},
        {MVM_LOG_LINE_MAX + 1, "\n", 2},
        {MVM_LOG_LINE_MAX + 1, "\r\n", 2},
        {MVM_LOG_LINE_MAX + 1, "", 2},
        {MVM_LOG_LINE_MAX - 1, "\xc3\xa9\n", 2},
        {MVM_LOG_LINE_MAX - 3, "\xf0\x9f\x9a\x80\n", 2},
        {MVM_LOG_LINE_MAX - 4, "\xf0\x9f\x9a\x80\n", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        memset(line, 'l', cases[i].len);
        strcpy(line + cases[i].len, cases[i].end);
        sim.build.err = line;
        run();
        assert_int_equal(log_lines, cases[i].lines + 1); /* and stdout's */
        assert_in_range(log_longest, MVM_LOG_LINE_MAX - 3, MVM_LOG_LINE_MAX);
        /* nothing is lost: each piece and stdout's line got a newline */
        size_t newlines = log_lines + strlen(STORE);
        assert_int_equal(log_len - newlines, strcspn(line, "\r\n"));
    }
}

static void ten_mebibytes_without_a_newline_come_whole(void **state)
{
    (void)state;
    sim.build.err = "0123456789abcdef";
    sim.build.err_repeats = 655360;
    run();
    assert_int_equal(log_lines, 640 + 1); /* and stdout's */
    assert_int_equal(log_longest, MVM_LOG_LINE_MAX);
}

/* A simulated file holds 4 KiB, so build.log is cut short by the disk: the lines still come. */
static void a_log_that_does_not_fit_the_disk_fails_the_job_and_no_line_is_lost(void **state)
{
    (void)state;
    sim.build.err = "0123456789abcde\n";
    sim.build.err_repeats = 1000;
    run();
    assert_err("failed to copy artifacts: build.log: write: no space left");
    assert_int_equal(log_lines, 1001);
    setup(state);
    sim.build.err = "0123456789abcde\n";
    sim.build.err_repeats = 1000;
    sim.build.exit.code = 1;
    run();
    assert_err("nix build failed (exit status: 1): ");
    assert_non_null(strstr(log_text, "mvm: failed to copy artifacts: build.log: write: no space"));
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
    assert_true(left == NULL || left[0] == '/'); /* a file that could not be removed */
    assert_whole("/build-out/vmlinux", "old kernel", "new kernel");
    assert_whole("/build-out/rootfs.ext4", "old rootfs", "new rootfs");
    if (answered_ok) {
        mvm_sim_power_cut(&sim);
        assert_holds("/build-out/vmlinux", "new kernel");
        assert_holds("/build-out/rootfs.ext4", "new rootfs");
    }
}

/* A temporary file whose removal failed goes with the next job. */
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

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(a_build_ends_with_its_artifacts_durable_and_the_disk_released),
        T(nothing_is_called_after_the_answer),
        T(every_artifact_has_two_names_and_the_first_counts),
        T(a_kernel_that_is_no_file_is_passed_over_for_vmlinux),
        T(an_initrd_of_an_earlier_build_does_not_stay),
        T(short_reads_writes_and_copies_change_nothing),
        T(nix_is_called_with_these_arguments),
        T(a_version_before_2_9_gets_json_and_others_print_out_paths),
        T(the_version_is_asked_for_once),
        T(a_version_that_never_comes_is_given_up),
        T(the_path_is_read_out_of_json),
        T(a_path_in_json_at_its_limit_is_taken_and_one_byte_more_is_none),
        T(the_last_line_that_begins_like_a_store_path_counts),
        T(a_store_path_at_its_limit_is_taken_and_one_byte_more_is_none),
        T(a_store_path_is_a_line_of_its_own_without_a_nul_byte),
        T(unsound_requests_start_nothing),
        T(a_nul_byte_is_refused),
        T(texts_at_their_limits_are_taken_and_one_byte_more_is_refused),
        T(as_many_options_as_may_be_are_taken_and_one_more_is_refused),
        T(an_output_directory_at_its_limit_is_used_and_one_byte_more_is_refused),
        T(the_policy_file_decides),
        T(a_policy_that_cannot_be_read_is_no_permission),
        T(a_policy_that_breaks_off_is_no_permission),
        T(a_policy_at_its_limit_is_taken_and_one_byte_more_is_no_permission),
        T(without_a_policy_file_setting_none_is_read),
        T(a_disk_that_was_mounted_is_only_synced),
        T(an_absent_disk_is_said_and_the_directory_used),
        T(without_an_output_device_nothing_is_mounted),
        T(the_input_disk_is_mounted_for_its_flake_alone),
        T(without_an_input_directory_no_flake_asks_for_one),
        T(disks_that_fail_are_named),
        T(a_disk_in_use_is_made_read_only_and_freed_by_the_next_job),
        T(a_disk_that_was_left_read_only_may_be_freed_by_others),
        T(an_input_disk_in_use_is_said_and_harms_nothing),
        T(a_read_only_output_disk_fails_before_the_build),
        T(a_failed_build_says_how_and_leaves_its_log),
        T(words_of_the_command_are_quoted_for_a_shell),
        T(options_are_quoted_too),
        T(no_nix_is_said),
        T(no_store_path_is_said),
        T(missing_artifacts_are_named_and_the_old_set_stays),
        T(a_full_disk_leaves_the_old_set_at_whatever_byte_it_fills),
        T(a_build_that_takes_too_long_is_ended),
        T(the_time_is_the_requests_else_the_configurations_else_the_wires),
        T(no_limit_and_limits_past_the_clock_never_end_a_build),
        T(one_that_ignores_sigterm_is_killed_after_the_grace),
        T(a_grandchild_that_holds_the_pipe_does_not_hang_the_job),
        T(a_stranger_that_holds_the_pipe_is_waited_for_only_so_long),
        T(one_that_survives_sigkill_is_said_and_left),
        T(a_line_nobody_takes_does_not_stop_the_clock),
        T(an_idle_executor_waits_for_nothing),
        T(it_says_what_it_waits_for),
        T(a_pipe_that_has_ended_is_wanted_no_more),
        T(a_cancel_wants_a_step_at_once),
        T(a_version_that_never_comes_can_be_cancelled_and_timed_out),
        T(a_stranger_that_holds_the_versions_pipe_is_not_worth_a_word),
        T(a_stranger_that_floods_the_pipe_is_read_only_so_long),
        T(while_a_line_waits_those_who_were_killed_lose_no_time),
        T(silence_is_broken_by_empty_lines),
        T(a_short_time_out_has_its_heartbeats_closer),
        T(a_cancelled_job_ends_cleanly_whenever_it_comes),
        T(lines_lose_their_ends_and_nothing_else),
        T(a_line_at_the_limit_is_one_and_a_longer_one_is_cut_between_characters),
        T(ten_mebibytes_without_a_newline_come_whole),
        T(a_log_that_does_not_fit_the_disk_fails_the_job_and_no_line_is_lost),
        T(a_fault_at_any_call_leaves_whole_files_and_a_job_that_works),
    };
    return cmocka_run_group_tests_name("the executor", tests, NULL, NULL);
}
