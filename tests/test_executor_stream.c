/* Builds without disks: the source is received, the artifacts are listed, nothing is left
 * behind. */
#include "stream_job.h"

static const struct stream_case plain = {.flake_ref = "path:/f"};
static const struct stream_case sent = {
    .flake_ref = "", .has_source = true, .source_size = 300000, .sends = 300000};

static int begin(void **state)
{
    (void)state;
    stream_world();
    return 0;
}

static bool lists(const char *name, uint64_t size)
{
    for (unsigned i = 0; i < mvm_executor_artifacts(&x); i++) {
        uint64_t is;
        if (strcmp(mvm_executor_artifact(&x, i, &is), name) == 0) {
            return is == size;
        }
    }
    return false;
}

static bool called(const char *name)
{
    return strstr(sim.trace, name) != NULL;
}

static const char *argument_after(const char *name)
{
    for (int i = 0; sim.argv[i] != NULL; i++) {
        if (strcmp(sim.argv[i], name) == 0) {
            return sim.argv[i + 1];
        }
    }
    return "";
}

static void artifacts_are_listed_and_no_disk_is_touched(void **state)
{
    (void)state;
    mvm_sim_put(&sim, STORE "/initrd", "i");
    stream_run(&plain);
    assert_ok();
    assert_int_equal(mvm_executor_artifacts(&x), 3);
    assert_true(lists("kernel", 10) && lists("rootfs.ext4", 10) && lists("initrd", 1));
    assert_false(called("mount ") || called("copy ") || called("open_log "));
    assert_string_equal(argument_after("--out-link"), "/agent/mvm-root-3/result");
    assert_string_equal(argument_after("--"), "path:/f#a");
}

static void an_output_that_is_one_file_is_an_image(void **state)
{
    (void)state;
    sim.build.out = "/nix/store/00000000000000000000000000000000-file\n";
    mvm_sim_put(&sim, "/nix/store/00000000000000000000000000000000-file", "12345");
    stream_run(&plain);
    assert_true(answered_ok);
    assert_int_equal(mvm_executor_artifacts(&x), 1);
    assert_true(lists("image", 5));
}

static void an_output_that_is_an_empty_file_is_an_error(void **state)
{
    (void)state;
    sim.build.out = "/nix/store/00000000000000000000000000000000-file\n";
    mvm_sim_put(&sim, "/nix/store/00000000000000000000000000000000-file", "");
    stream_run(&plain);
    assert_err("failed to copy artifacts: /nix/store/00000000000000000000000000000000-file: the "
               "file is empty");
}

static void what_is_not_wanted_cannot_be_late(void **state)
{
    (void)state;
    stream_start(&plain);
    mvm_executor_give_up_source(&x, 60000);
    stream_finish(&plain);
    assert_true(answered_ok);
}

static void an_output_without_artifacts_is_an_error(void **state)
{
    (void)state;
    sim.build.out = "/nix/store/00000000000000000000000000000000-none\n";
    mvm_sim_put(&sim, "/nix/store/00000000000000000000000000000000-none/bin/x", "");
    stream_run(&plain);
    assert_err("nix build produced no artifact: ");
    assert_non_null(strstr(answer, "-none has none of "));
    for (unsigned i = 0; mvm_artifact_name(i) != NULL; i++) {
        assert_non_null(strstr(strstr(answer, " of "), mvm_artifact_name(i)));
    }
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_NO_OUTPUT);
}

/* Its first process is nix-store: not found, and another failure to start it, are reported
 * differently. */
static void a_nix_store_that_cannot_be_started_is_an_error_with_its_reason(void **state)
{
    (void)state;
    unsigned seen[2] = {0, 0};
    for (unsigned with = 0; with < 4; with++) {
        sim.failed = true;
        for (unsigned at = 1; sim.failed; at++) {
            stream_world();
            sim.fail_at = at;
            sim.fail_with = with;
            stream_run(&sent);
            if (!called("spawn ") || sim.spawned > 0) {
                continue;
            }
            bool absent = sim.fail_as == MVM_PORT_NOT_FOUND;
            assert_err(absent ? "nix not found: " : "nix build failed (");
            assert_non_null(strstr(answer, "nix-store"));
            assert_int_equal(mvm_executor_category(&x),
                             absent ? MVM_CATEGORY_NIX_NOT_FOUND : MVM_CATEGORY_INTERNAL);
            assert_null(mvm_sim_left_over(&sim));
            seen[absent]++;
        }
    }
    assert_int_equal(seen[true], 1);
    assert_int_equal(seen[false], 3);
}

static void a_source_is_unpacked_built_and_removed(void **state)
{
    (void)state;
    static const uint32_t pieces[] = {0, 1000, 4096, 65536};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct stream_case c = sent;
        c.piece = pieces[i];
        stream_world();
        sim.piece = i == 1 ? 333 : 0;
        mvm_sim_put(&sim, "/agent/mvm-source/left", "of a killed agent");
        stream_run(&c);
        assert_ok();
        assert_true(sim.fed == 300000);
        assert_string_equal(argument_after("--"), "path:/agent/mvm-source#a");
        assert_null(mvm_sim_find(&sim, "/agent/mvm-source/left"));
    }
}

static void a_folder_in_the_source_is_built(void **state)
{
    (void)state;
    struct stream_case c = sent;
    c.flake_ref = "sub/dir?dir=x";
    stream_run(&c);
    assert_ok();
    assert_string_equal(argument_after("--"), "path:/agent/mvm-source/sub/dir?dir=x#a");
    c.flake_ref = "?dir=x";
    stream_run(&c);
    assert_string_equal(argument_after("--"), "path:/agent/mvm-source?dir=x#a");
}

static void a_folder_outside_the_source_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/etc", "..", "a/..", "../x", "?dir=..", "a?dir=b/../..",
                                      "?x=1&dir=../y", "a/../../b", "-x", "a#b", "a\nb",
                                      /* as nix reads them */
                                      "%2e%2e", "a/%2E./b", "a/.%2e", "?dir=%2e%2e",
                                      "a?dir=%2e%2e%2fb", "%2fetc", "a%2f..%2f..", "a?x%3d..",
                                      "\xc2\x9b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct stream_case c = sent;
        c.flake_ref = bad[i];
        stream_run(&c);
        assert_err("invalid flake_ref: ");
    }
    struct stream_case c = sent;
    static const char *const good[] = {"a..b/..c", "...",   ".",          "%2e",
                                       "a%2e%2e",  "..%2e", "%252e%252e", "a?dir=b%2fc",
                                       "%",        "%2",    "\xc2\xa0",   "\xc3\x9b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        c.flake_ref = good[i];
        stream_run(&c);
        assert_ok();
    }
}

/* The source's own path is in front of it. */
static void
a_folder_at_the_limit_of_nix_s_argument_is_built_and_one_byte_more_is_refused(void **state)
{
    (void)state;
    static char folder[MVM_FLAKE_REF_MAX], attr[MVM_ATTR_MAX];
    const size_t longest = MVM_FLAKE_REF_MAX - strlen("path:/agent/" MVM_STREAM_SOURCE "/");
    memset(folder, 'f', sizeof folder);
    memset(attr, 'a', sizeof attr);
    for (size_t over = 0; over <= 1; over++) {
        stream_world();
        const struct mvm_job job = {.flake_ref = {folder, longest + over},
                                    .attr = {attr, sizeof attr},
                                    .stream = true,
                                    .has_source = true};
        spoil_executor();
        mvm_executor_start(&x, &job, sim.now_ms);
        finish();
        if (over == 0) {
            assert_ok();
            assert_int_equal(strlen(argument_after("--")), MVM_EXECUTOR_INSTALLABLE_CAP - 1);
        } else {
            assert_err("invalid flake_ref: it is too long");
        }
    }
}

static void a_source_that_is_too_large_is_refused_before_anything_is_begun(void **state)
{
    (void)state;
    struct stream_case c = sent;
    c.source_size = (uint64_t)MVM_SOURCE_MAX + 1;
    stream_run(&c);
    assert_err("invalid source: ");
    assert_false(called("make_dir"));
    c.source_size = MVM_SOURCE_MAX;
    stream_start(&c);
    stream_send(&c);
    while (x.state != MVM_EXECUTOR_RUN) {
        assert_true(turn());
    }
    mvm_executor_cancel(&x);
    finish();
}

static void a_source_that_is_cut_is_an_error(void **state)
{
    (void)state;
    struct stream_case c = sent;
    c.sends = 299999;
    stream_run(&c);
    assert_err("invalid source: it is shorter than was said, at byte 299999 of 300000");
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_INVALID_REQUEST);
}

static void wait_for_credit(void)
{
    while (mvm_executor_source_limit(&x) == 0) {
        assert_true(turn());
    }
}

static void bytes_out_of_order_over_the_limit_or_too_many_are_errors(void **state)
{
    (void)state;
    static const char bytes[SOURCE_CAP + 1];
    const struct {
        uint64_t offset;
        size_t len;
        uint64_t size;
        const char *err;
    } cases[] = {
        {1, 1, 300000, "invalid source: its bytes are not in order, at byte 0 of 300000"},
        {0, SOURCE_CAP + 1, 300000,
         "invalid source: more bytes came than were asked for, at byte 65536 of 300000"},
        {0, 11, 10, "invalid source: it is longer than was said, at byte 10 of 10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream_case c = sent;
        c.source_size = cases[i].size;
        stream_start(&c);
        wait_for_credit();
        mvm_executor_source(&x, cases[i].offset, (struct mvm_text){bytes, cases[i].len}, false);
        finish();
        assert_err(cases[i].err);
    }
}

/* nix-store has ended well before its SIGTERM; the source is not complete either. */
static void the_first_reason_stays_if_a_refused_source_is_unpacked_anyway(void **state)
{
    (void)state;
    sim.unpack.reads = 10;
    sim.unpack.ignores_term = true;
    stream_start(&sent);
    wait_for_credit();
    mvm_executor_source(&x, 0, (struct mvm_text){"0123456789", 10}, false);
    assert_true(turn());
    assert_int_equal(sim.fed, 10);
    mvm_executor_source(&x, 11, (struct mvm_text){"b", 1}, false);
    finish();
    assert_err("invalid source: its bytes are not in order, at byte 10 of 300000");
}

static void bytes_that_are_not_wanted_are_dropped(void **state)
{
    (void)state;
    const struct mvm_text late = {"x", 1};
    stream_start(&sent);
    mvm_executor_source(&x, 0, late, true);
    stream_finish(&sent);
    assert_ok();
    mvm_executor_source(&x, sent.source_size, late, true);
    assert_int_equal(mvm_executor_step(&x, sim.now_ms), MVM_EXECUTOR_OK);
    stream_start(&plain);
    mvm_executor_source(&x, 1, late, false);
    finish();
    assert_ok();
}

static void the_limit_is_the_buffer_and_grows_as_bytes_are_accepted(void **state)
{
    (void)state;
    static const char bytes[SOURCE_CAP];
    stream_start(&sent);
    assert_int_equal(mvm_executor_source_limit(&x), 0);
    wait_for_credit();
    assert_int_equal(mvm_executor_source_limit(&x), SOURCE_CAP);
    mvm_executor_source(&x, 0, (struct mvm_text){bytes, SOURCE_CAP}, false);
    assert_int_equal(mvm_executor_source_limit(&x), SOURCE_CAP);
    assert_true(turn());
    assert_int_equal(mvm_executor_source_limit(&x), 2 * SOURCE_CAP);
    mvm_executor_cancel(&x);
    finish();
}

/* ---- the bytes of a source ---- */

static uint64_t fed;

static uint8_t byte_at(uint64_t n)
{
    return (uint8_t)(n * 31 + n / 251);
}

/* A pipe that accepts less than there is, and then is full. */
static int feed_some(void *ctx, const uint8_t *bytes, size_t len)
{
    static bool full;
    full = !full;
    if (!full) {
        return MVM_PORT_LATER;
    }
    int n = mvm_sim_port.feed(ctx, bytes, len < 40000 ? len : 40000);
    for (int i = 0; i < n; i++) {
        assert_int_equal(bytes[i], byte_at(fed++));
    }
    return n;
}

static void the_bytes_of_a_source_arrive_in_order_around_the_buffers_end(void **state)
{
    (void)state;
    static char bytes[SOURCE_CAP];
    struct mvm_port checked = mvm_sim_port;
    checked.feed = feed_some;
    mvm_executor_init(&x, &checked, &sim, &config);
    stream_start(&sent);
    fed = 0;
    do {
        uint64_t room = mvm_executor_source_limit(&x);
        for (uint64_t n; source_sent < room && source_sent < sent.source_size; source_sent += n) {
            n = room - source_sent < 50000 ? room - source_sent : 50000;
            n = n < sent.source_size - source_sent ? n : sent.source_size - source_sent;
            for (uint64_t i = 0; i < n; i++) {
                bytes[i] = (char)byte_at(source_sent + i);
            }
            mvm_executor_source(&x, source_sent, (struct mvm_text){bytes, (size_t)n}, false);
        }
    } while (turn());
    assert_ok();
    assert_int_equal(fed, sent.source_size);
    mvm_executor_init(&x, &mvm_sim_port, &sim, &config);
}

static void a_piece_of_a_source_may_be_empty(void **state)
{
    (void)state;
    const struct mvm_text none = {NULL, 0};
    struct stream_case c = sent;
    c.source_size = 3;
    stream_start(&c);
    wait_for_credit();
    mvm_executor_source(&x, 0, none, false);
    mvm_executor_source(&x, 0, (struct mvm_text){"abc", 3}, false);
    mvm_executor_source(&x, 3, none, true);
    finish();
    assert_ok();
}

static void what_nix_store_refuses_is_an_error_with_its_status(void **state)
{
    (void)state;
    sim.unpack.exit = (struct mvm_exit){false, 1};
    sim.unpack.err = "error: bad archive: input doesn't look like a Nix archive\n";
    stream_run(&sent);
    assert_err("unpacking the source failed (exit status: 1): /bin/nix-store --restore");
    assert_non_null(strstr(log_text, "bad archive"));
    assert_int_equal(mvm_executor_category(&x), MVM_CATEGORY_BUILD_FAILED);
}

static unsigned count_calls(const char *name)
{
    unsigned n = 0;
    for (const char *at = sim.trace; (at = strstr(at, name)) != NULL; at++) {
        n++;
    }
    return n;
}

/* Before the build both are removed, and after a good one the source. */
static void a_build_that_fails_removes_its_source_and_its_roots(void **state)
{
    (void)state;
    stream_run(&sent);
    assert_ok();
    assert_int_equal(count_calls("remove_tree "), 2 + 1);
    stream_world();
    sim.build.exit = (struct mvm_exit){false, 1};
    stream_run(&sent);
    assert_err("nix build failed (exit status: 1)");
    assert_int_equal(count_calls("remove_tree "), 2 + 2);
}

static void a_cancel_or_a_time_out_while_the_source_comes_leaves_nothing(void **state)
{
    (void)state;
    struct stream_case c = sent;
    c.sends = 0; /* a client that sends nothing */
    stream_run(&c);
    assert_err("nix build timed out after 60 s: ");
    c.cancel_at_ms = sim.now_ms + 1000;
    stream_run(&c);
    assert_err("build cancelled");
    assert_false(sim.feeding);
}

static void without_a_folder_no_such_build_is_done(void **state)
{
    (void)state;
    config.stream_dir = NULL;
    stream_run(&plain);
    assert_err("invalid source: builds without disks are not supported");
}

static void an_image_that_is_empty_fails(void **state)
{
    (void)state;
    static const char *const images[] = {"kernel", "rootfs.ext4", "rootfs.squashfs", "initrd"};
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
        char path[200], expected[200];
        begin(state);
        snprintf(path, sizeof path, STORE "/%s", images[i]);
        snprintf(expected, sizeof expected, "failed to copy artifacts: %s: the file is empty",
                 images[i]);
        mvm_sim_put(&sim, path, "");
        stream_run(&plain);
        if (strcmp(images[i], "initrd") == 0) { /* is optional */
            assert_true(answered_ok);
        } else {
            assert_err(expected);
        }
    }
}

/* The output disk is another one: what an earlier build staged on it is still true. */
static void a_folder_that_hangs_is_named_and_the_output_disk_is_not(void **state)
{
    (void)state;
    struct stream_case c = sent;
    c.cancel_at_ms = sim.now_ms + 100;
    sim.hang_at = 3; /* after the policy: remove_tree */
    stream_run(&c);
    assert_err("build cancelled: using /agent: the disk does not answer");
    assert_null(strstr(answer, "released"));
    assert_true(mvm_executor_released(&x));
}

/* Whatever fails, is late or hangs: the job ends and leaves nothing. */
static void every_call_may_fail_or_hang(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        bool reached = true;
        for (unsigned n = 1; reached; n++) {
            stream_world();
            sim.fail_at = kind < 2 ? n : 0;
            sim.fail_with = kind == 1 ? 1 : 0;
            sim.hang_at = kind == 2 ? n : 0;
            sim.late_ms = 3;
            stream_run(&sent);
            reached = sim.failed;
            assert_null(mvm_sim_left_over(&sim));
            assert_false(answered_ok && kind == 2 && reached && sim.hung == 0);
            assert_in_range(n, 1, 2000);
        }
        assert_true(answered_ok);
    }
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(artifacts_are_listed_and_no_disk_is_touched),
        TEST(an_output_that_is_one_file_is_an_image),
        TEST(an_output_that_is_an_empty_file_is_an_error),
        TEST(what_is_not_wanted_cannot_be_late),
        TEST(an_output_without_artifacts_is_an_error),
        TEST(a_nix_store_that_cannot_be_started_is_an_error_with_its_reason),
        TEST(a_source_is_unpacked_built_and_removed),
        TEST(a_folder_in_the_source_is_built),
        TEST(a_folder_outside_the_source_is_refused),
        TEST(a_folder_at_the_limit_of_nix_s_argument_is_built_and_one_byte_more_is_refused),
        TEST(a_source_that_is_too_large_is_refused_before_anything_is_begun),
        TEST(a_source_that_is_cut_is_an_error),
        TEST(bytes_out_of_order_over_the_limit_or_too_many_are_errors),
        TEST(the_first_reason_stays_if_a_refused_source_is_unpacked_anyway),
        TEST(bytes_that_are_not_wanted_are_dropped),
        TEST(the_limit_is_the_buffer_and_grows_as_bytes_are_accepted),
        TEST(the_bytes_of_a_source_arrive_in_order_around_the_buffers_end),
        TEST(a_piece_of_a_source_may_be_empty),
        TEST(what_nix_store_refuses_is_an_error_with_its_status),
        TEST(a_build_that_fails_removes_its_source_and_its_roots),
        TEST(a_cancel_or_a_time_out_while_the_source_comes_leaves_nothing),
        TEST(without_a_folder_no_such_build_is_done),
        TEST(an_image_that_is_empty_fails),
        TEST(a_folder_that_hangs_is_named_and_the_output_disk_is_not),
        TEST(every_call_may_fail_or_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
