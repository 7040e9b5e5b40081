/* A build's lines: whole, cut, and too many. */
#include "test_executor_fixture.h"

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
        /* nothing is lost: each piece and stdout's line has a newline */
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

static int read_within(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    const struct mvm_output *o = &x.output[stream];
    assert_true(cap > 0 && buf >= o->bytes && cap <= (size_t)(o->bytes + sizeof o->bytes - buf));
    return mvm_sim_port.read_output(ctx, stream, buf, cap);
}

/* Each read ends within a line. */
static void a_read_behind_a_part_of_a_line_stays_within_the_buffer(void **state)
{
    (void)state;
    struct mvm_port port = mvm_sim_port;
    port.read_output = read_within;
    mvm_executor_init(&x, &port, &sim, &config);
    sim.build.err = "the end of a line\nand the beginning of another, ";
    sim.build.err_repeats = 1000;
    sim.build.exit.code = 1;
    run();
    assert_err("nix build failed (exit status: 1): ");
    assert_non_null(strstr(log_text, "\nand the beginning of another, the end of a line\n"));
}

/* A simulated file holds 4 KiB, so writing build.log fails: the lines still arrive. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines_lose_their_ends_and_nothing_else),
        T(a_line_at_the_limit_is_one_and_a_longer_one_is_cut_between_characters),
        T(ten_mebibytes_without_a_newline_come_whole),
        T(a_read_behind_a_part_of_a_line_stays_within_the_buffer),
        T(a_log_that_does_not_fit_the_disk_fails_the_job_and_no_line_is_lost),
    };
    return cmocka_run_group_tests_name("the executor's lines", tests, NULL, NULL);
}
