/* Ports and configurations that break the rules of mvm_port.h and mvm_executor.h: the job fails, in
 * words, and no memory is touched that is not the executor's. */
#include "stream_job.h"
#include <limits.h>

#define LIE "the port returned more than was asked for"

enum call { READ_OUTPUT, WRITE_LOG, READ_FILE, FEED, CALLS };

static enum call too_long; /* the call that returns more than it was asked for */
static struct mvm_port port;

static int answer_of(enum call call, int honest)
{
    return call == too_long && honest > 0 ? INT_MAX : honest;
}

static int read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    return answer_of(READ_OUTPUT, mvm_sim_port.read_output(ctx, stream, buf, cap));
}

static int write_log(void *ctx, const uint8_t *bytes, size_t len)
{
    return answer_of(WRITE_LOG, mvm_sim_port.write_log(ctx, bytes, len));
}

static int read_file(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap)
{
    return answer_of(READ_FILE, mvm_sim_port.read_file(ctx, path, offset, buf, cap));
}

static int feed(void *ctx, const uint8_t *bytes, size_t len)
{
    return answer_of(FEED, mvm_sim_port.feed(ctx, bytes, len));
}

static void lie(enum call call)
{
    too_long = call;
    port = mvm_sim_port;
    port.read_output = read_output;
    port.write_log = write_log;
    port.read_file = read_file;
    port.feed = feed;
    mvm_executor_init(&x, &port, &sim, &config);
}

static void a_port_that_returns_more_than_was_asked_for_fails_the_job(void **state)
{
    static const char *const errors[] = {"nix build produced no store path",
                                         ("failed to copy artifacts: build.log: " LIE),
                                         "build rejected: cannot read security policy"};
    for (enum call call = READ_OUTPUT; call <= READ_FILE; call++) {
        setup(state);
        mvm_sim_put(&sim, "/policy.json", "{\"access\":{\"build\":true}}");
        lie(call);
        run();
        assert_err(errors[call]);
        assert_non_null(strstr(call == READ_OUTPUT ? log_text : answer, LIE));
    }
}

static void
a_process_that_took_more_than_it_was_fed_is_waited_for_until_its_time_is_over(void **state)
{
    (void)state;
    static const struct stream_case sent = {
        .flake_ref = "", .has_source = true, .source_size = 300000, .sends = 300000};
    stream_world();
    lie(FEED);
    stream_run(&sent);
    assert_err("nix build timed out");
}

/* What nix-store prints is not what nix reports; the executor's memory may be anything before. */
static void what_is_printed_while_a_source_is_unpacked_is_not_a_result(void **state)
{
    (void)state;
    static const struct stream_case sent = {
        .flake_ref = "", .has_source = true, .source_size = 300000, .sends = 300000};
    stream_world();
    sim.unpack.out =
        "[{\"outputs\":{\"out\":\"/nix/store/11111111111111111111111111111111-y\"}}]\n";
    stream_run(&sent);
    assert_ok();
}

#define NOT_IN_URLS "stream_dir: it has a character that is not valid in a path of a URL"

static void a_configuration_that_cannot_work_is_refused_in_words(void **state)
{
    static uint8_t source[MVM_BULK_DATA_MAX];
    static const struct mvm_nix_option half[] = {{"cores", "1"}, {"jobs", NULL}},
                                       no_name[] = {{NULL, "1"}};
    static const struct {
        struct mvm_executor_config config;
        const char *why;
    } cases[] = {
        {{.out_dir = NULL}, "out_dir: NULL"},
        {{.out_dir = "/build-out", .nix_options_len = 1}, "nix_options: one of them is NULL"},
        {{.out_dir = "/build-out", .nix_options_len = 2, .nix_options = half},
         "nix_options: one of them is NULL"},
        {{.out_dir = "/build-out", .nix_options_len = 1, .nix_options = no_name},
         "nix_options: one of them is NULL"},
        {{.stream_dir = "agent", .source_buffer = source, .source_cap = sizeof source},
         "stream_dir: not an absolute path"},
        {{.stream_dir = "/a b", .source_buffer = source, .source_cap = sizeof source}, NOT_IN_URLS},
        {{.stream_dir = "/a/?", .source_buffer = source, .source_cap = sizeof source}, NOT_IN_URLS},
        {{.stream_dir = "/a%20", .source_buffer = source, .source_cap = sizeof source},
         NOT_IN_URLS},
        {{.stream_dir = "/\xc3\xa9", .source_buffer = source, .source_cap = sizeof source},
         NOT_IN_URLS},
        {{.stream_dir = "/agent", .source_cap = sizeof source}, "source_buffer: too small"},
        {{.stream_dir = "/agent", .source_buffer = source, .source_cap = sizeof source - 1},
         "source_buffer: too small"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        config = cases[i].config;
        assert_string_equal(mvm_executor_config_unsound(&config), cases[i].why);
        run();
        assert_err("invalid configuration: ");
        assert_string_equal(answer + strlen("invalid configuration: "), cases[i].why);
        assert_int_equal(sim.calls, 0);
    }
    setup(state);
    assert_null(mvm_executor_config_unsound(&config));
    config.source_buffer = source;
    config.source_cap = sizeof source;
    config.stream_dir = "/Az09-._~!$&'()*+,;=:@";
    assert_null(mvm_executor_config_unsound(&config));
}

static void without_a_directory_for_artifacts_only_builds_without_disks_are_done(void **state)
{
    (void)state;
    static const struct stream_case plain = {.flake_ref = "path:/f"};
    stream_world();
    config.out_dir = NULL;
    run();
    assert_err("invalid request: builds with disks are not supported");
    stream_run(&plain);
    assert_ok();
}

static void a_port_that_feeds_no_process_does_only_builds_with_disks(void **state)
{
    (void)state;
    static const struct stream_case plain = {.flake_ref = "path:/f"};
    stream_world();
    port = mvm_sim_port;
    port.spawn_fed = NULL;
    mvm_executor_init(&x, &port, &sim, &config);
    stream_run(&plain);
    assert_err("invalid source: builds without disks are not supported");
    run();
    assert_ok();
}

static int find_relative_nix(void *ctx, char *path, size_t cap)
{
    (void)ctx;
    return mvm_text_join(path, cap, "nix", "", "") ? 0 : MVM_PORT_FAILED;
}

static void a_nix_without_a_folder_has_its_nix_store_beside_it(void **state)
{
    (void)state;
    static const struct stream_case sent = {
        .flake_ref = "", .has_source = true, .source_size = 10, .sends = 10};
    stream_world();
    port = mvm_sim_port;
    port.find_nix = find_relative_nix;
    mvm_executor_init(&x, &port, &sim, &config);
    sim.unpack.exit.code = 1;
    stream_run(&sent);
    assert_err("unpacking the source failed (exit status: 1): nix-store --restore ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_port_that_returns_more_than_was_asked_for_fails_the_job),
        T(a_process_that_took_more_than_it_was_fed_is_waited_for_until_its_time_is_over),
        T(what_is_printed_while_a_source_is_unpacked_is_not_a_result),
        T(a_configuration_that_cannot_work_is_refused_in_words),
        T(without_a_directory_for_artifacts_only_builds_without_disks_are_done),
        T(a_port_that_feeds_no_process_does_only_builds_with_disks),
        T(a_nix_without_a_folder_has_its_nix_store_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
