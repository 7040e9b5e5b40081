/* The status line on a terminal of any width: what is drawn, and when. */
#define _GNU_SOURCE
#include "status.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define BEGIN "\033[m\r\033[K"
#define CLEAR "\r\033[K"

/* In place of the tool's clock: no test takes any time, however slow the machine is. */
static const uint64_t clock_ms = 1000000000;
uint64_t __wrap_mvm_clock_ms(void);

uint64_t __wrap_mvm_clock_ms(void)
{
    return clock_ms;
}

static int master;
static int slave;
static struct mvm_waiter waiter;
static struct mvm_sink sink;
static struct mvm_status status;
static char drawn[MVM_SINK_CAP + 1];

static int begin(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
        return -1;
    }
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    return slave < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    close(slave);
    close(master);
    return 0;
}

static void set_columns(unsigned short columns)
{
    const struct winsize size = {.ws_row = 24, .ws_col = columns};
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
}

static int reset(void **state)
{
    (void)state;
    set_columns(80);
    mvm_sink_init(&sink, slave, &waiter);
    mvm_status_init(&status, &sink, true);
    return 0;
}

/* What has been drawn since the last call; nothing is written. */
static const char *take(void)
{
    memcpy(drawn, sink.bytes, sink.len);
    drawn[sink.len] = '\0';
    sink.len = 0;
    return drawn;
}

static void assert_drawn(const char *expected)
{
    status.drawn_ms = 0; /* it may be drawn again */
    mvm_status_draw(&status);
    assert_string_equal(take(), expected);
}

/* As if it had started so long ago. */
static void start(const char *what, uint64_t secs_ago)
{
    mvm_status_start(&status, what);
    status.since_ms -= secs_ago * 1000;
}

static void it_says_what_and_for_how_long(void **state)
{
    static const struct {
        uint64_t secs;
        const char *drawn;
    } cases[] = {
        {0, BEGIN "building 0:00"},       {59, BEGIN "building 0:59"},
        {60, BEGIN "building 1:00"},      {3599, BEGIN "building 59:59"},
        {3600, BEGIN "building 1:00:00"}, {360061, BEGIN "building 100:01:01"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reset(NULL);
        start("building", cases[i].secs);
        assert_drawn(cases[i].drawn);
    }
}

static void a_detail_comes_behind_and_the_time_goes_on(void **state)
{
    (void)state;
    start("building", 61);
    mvm_status_change(&status, "staging", mvm_text_from("a: 1 bytes"));
    assert_drawn(BEGIN "staging 1:01 a: 1 bytes");
    mvm_status_change(&status, "releasing", mvm_text_from(""));
    assert_drawn(BEGIN "releasing 1:01");
}

static void a_detail_has_its_limit(void **state)
{
    char text[MVM_STATUS_DETAIL_MAX + 2], expected[256];
    (void)state;
    set_columns(200);
    memset(text, 'x', sizeof text);
    text[MVM_STATUS_DETAIL_MAX] = '\0';
    snprintf(expected, sizeof expected, BEGIN "staging 0:00 %s", text);
    start("staging", 0);
    for (size_t len = MVM_STATUS_DETAIL_MAX; len <= MVM_STATUS_DETAIL_MAX + 1; len++) {
        mvm_status_change(&status, "staging", (struct mvm_text){text, len});
        text[MVM_STATUS_DETAIL_MAX] = 'x';
        assert_drawn(expected);
    }
}

static void it_leaves_the_last_column_of_any_width_free(void **state)
{
    static const struct {
        unsigned short columns;
        const char *drawn;
    } cases[] = {
        {14, BEGIN "building 0:00"}, {13, BEGIN "building 0:0"}, {2, BEGIN "b"}, {1, BEGIN},
        {0, BEGIN "building 0:00"}, /* not reported */
        {80, BEGIN "building 0:00"},
    };
    (void)state;
    start("building", 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_columns(cases[i].columns); /* meanwhile */
        mvm_status_change(&status, "building", mvm_text_from(""));
        assert_drawn(cases[i].drawn);
    }
}

static void a_bar_fills_the_rest_of_the_line(void **state)
{
    static const struct {
        unsigned short columns;
        int permille;
        const char *drawn;
    } cases[] = {
        {33, 0, BEGIN "fetching 0:00 a: 1/2 [.........]"},
        {33, 1, BEGIN "fetching 0:00 a: 1/2 [#........]"},
        {33, 500, BEGIN "fetching 0:00 a: 1/2 [#####....]"},
        {33, 1000, BEGIN "fetching 0:00 a: 1/2 [#########]"},
        {33, -1, BEGIN "fetching 0:00 a: 1/2"},
        {28, 500, BEGIN "fetching 0:00 a: 1/2 [##..]"},
        {27, 500, BEGIN "fetching 0:00 a: 1/2"},
        {20, 500, BEGIN "fetching 0:00 a: 1/"},
        {1, 500, BEGIN},
        {200, 0, BEGIN "fetching 0:00 a: 1/2 [........................................]"},
    };
    (void)state;
    start("fetching", 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_columns(cases[i].columns);
        mvm_status_progress(&status, "fetching", mvm_text_from("a: 1/2"), cases[i].permille);
        assert_drawn(cases[i].drawn);
    }
    set_columns(80);
    mvm_status_change(&status, "building", mvm_text_from("")); /* and the next line has none */
    assert_drawn(BEGIN "building 0:00");
}

static void it_is_drawn_when_it_changes_and_not_too_often(void **state)
{
    (void)state;
    assert_true(mvm_status_deadline(&status) == MVM_NEVER);
    start("building", 0);
    assert_true(mvm_status_deadline(&status) <= clock_ms);
    mvm_status_draw(&status);
    take();
    assert_true(mvm_status_deadline(&status) == status.since_ms + 1000);
    mvm_status_clear(&status);
    assert_string_equal(take(), CLEAR);
    assert_true(mvm_status_deadline(&status) == status.drawn_ms + MVM_STATUS_REDRAW_MS);
    mvm_status_clear(&status); /* it is not there */
    assert_string_equal(take(), "");
    status.drawn_ms = clock_ms; /* a recent draw */
    mvm_status_draw(&status);
    assert_string_equal(take(), "");
    assert_drawn(BEGIN "building 0:00");
    mvm_status_change(&status, "staging", mvm_text_from("x"));
    assert_true(mvm_status_deadline(&status) == status.drawn_ms + MVM_STATUS_REDRAW_MS);
    mvm_status_finish(&status);
    assert_string_equal(take(), CLEAR);
    assert_true(mvm_status_deadline(&status) == MVM_NEVER);
}

static void words_of_our_own_are_in_the_terminal_s_colours(void **state)
{
    (void)state;
    start("building", 0);
    mvm_status_plain(&status);
    assert_string_equal(take(), "\033[m");
    mvm_status_draw(&status);
    take();
    mvm_status_plain(&status);
    assert_string_equal(take(), "\033[m" CLEAR);
}

static void silence_is_shown_in_place_of_the_detail(void **state)
{
    (void)state;
    start("building", 61);
    mvm_status_change(&status, "staging", mvm_text_from("a: 1 bytes"));
    mvm_status_received(&status);
    assert_drawn(BEGIN "staging 1:01 a: 1 bytes");
    status.heard_ms = clock_ms - MVM_HOST_QUIET_MS + 1; /* not yet */
    mvm_status_change(&status, "staging", mvm_text_from("a: 1 bytes"));
    assert_drawn(BEGIN "staging 1:01 a: 1 bytes");
    status.heard_ms = clock_ms - MVM_HOST_QUIET_MS;
    mvm_status_change(&status, "staging", mvm_text_from("a: 1 bytes"));
    assert_drawn(BEGIN "staging 1:01 nothing heard for 0:30");
    mvm_status_received(&status);
    mvm_status_change(&status, "staging", mvm_text_from("a: 2 bytes"));
    assert_drawn(BEGIN "staging 1:01 a: 2 bytes");
    start("connecting", 61); /* no answer is due yet */
    assert_drawn(BEGIN "connecting 1:01");
}

static void assert_nothing(void)
{
    assert_false(status.on_terminal);
    start("building", 0);
    mvm_status_change(&status, "staging", mvm_text_from("x"));
    mvm_status_draw(&status);
    mvm_status_plain(&status);
    mvm_status_clear(&status);
    mvm_status_finish(&status);
    assert_true(mvm_status_deadline(&status) == MVM_NEVER);
    assert_string_equal(take(), "");
}

static void elsewhere_there_is_none(void **state)
{
    int fds[2];
    (void)state;
    mvm_status_init(&status, &sink, false); /* not requested */
    assert_nothing();
    setenv("TERM", "dumb", 1);
    mvm_status_init(&status, &sink, true);
    assert_nothing();
    unsetenv("TERM"); /* nothing is known about it */
    mvm_status_init(&status, &sink, true);
    assert_nothing();
    setenv("TERM", "", 1);
    mvm_status_init(&status, &sink, true);
    assert_nothing();
    setenv("TERM", "xterm", 1);
    assert_int_equal(pipe(fds), 0);
    mvm_sink_init(&sink, fds[1], &waiter);
    mvm_status_init(&status, &sink, true);
    assert_nothing();
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_says_what_and_for_how_long, reset),
        cmocka_unit_test_setup(a_detail_comes_behind_and_the_time_goes_on, reset),
        cmocka_unit_test_setup(a_detail_has_its_limit, reset),
        cmocka_unit_test_setup(it_leaves_the_last_column_of_any_width_free, reset),
        cmocka_unit_test_setup(a_bar_fills_the_rest_of_the_line, reset),
        cmocka_unit_test_setup(it_is_drawn_when_it_changes_and_not_too_often, reset),
        cmocka_unit_test_setup(words_of_our_own_are_in_the_terminal_s_colours, reset),
        cmocka_unit_test_setup(silence_is_shown_in_place_of_the_detail, reset),
        cmocka_unit_test_setup(elsewhere_there_is_none, reset),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
