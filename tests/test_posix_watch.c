/* The one descriptor that a loop polls for everything the port waits for. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_alone.h"

enum { PATIENCE_MS = 60000 };

static bool readable(int ms)
{
    struct pollfd fd = {mvm_posix_fd(&posix), POLLIN, 0};
    return poll(&fd, 1, ms) == 1;
}

static void start_shell(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    assert_int_equal(port->spawn(&posix, argv), 0);
}

/* A FIFO that a script reads from until `unblock`. */
static const char *make_gate(void)
{
    const char *path = in_place(&place, 0, "gate");
    assert_int_equal(mkfifo(path, 0600), 0);
    return path;
}

static void unblock(void)
{
    write_file(in_place(&place, 0, "gate"), "go\n");
}

/* Makes the calls that the executor makes before it waits. */
static int ask(uint8_t *byte, struct mvm_exit *e)
{
    int n = port->read_output(&posix, MVM_PORT_STDOUT, byte, 1);
    port->read_output(&posix, MVM_PORT_STDERR, byte + 1, 1);
    port->poll_exit(&posix, e);
    return n;
}

static void it_wakes_for_output_and_for_the_exit_and_for_nothing_else(void **state)
{
    (void)state;
    uint8_t bytes[2] = {0};
    struct mvm_exit e = {false, -1};
    char script[400];
    int fd = mvm_posix_fd(&posix);
    assert_false(readable(0));
    snprintf(script, sizeof script, "read x <%s; printf a; sleep 0.3; exit 7", make_gate());
    start_shell(script);
    assert_int_equal(ask(bytes, &e), 0);
    assert_false(readable(20));
    unblock();
    assert_true(readable(PATIENCE_MS));
    while (ask(bytes, &e) == 0) {
        assert_true(readable(PATIENCE_MS));
    }
    assert_int_equal(bytes[0], 'a');
    while (e.code != 7) {
        ask(bytes, &e);
        assert_true(e.code == 7 || readable(PATIENCE_MS));
    }
    port->close_build(&posix);
    assert_false(readable(0));
    assert_int_equal(mvm_posix_fd(&posix), fd);
}

static void what_has_been_seen_wakes_no_more(void **state)
{
    (void)state;
    uint8_t bytes[2];
    struct mvm_exit e;
    start_shell("exec >&- 2>&-; exec sleep 100");
    assert_int_equal(port->read_output(&posix, MVM_PORT_STDERR, bytes, 1) > 0, 0);
    while (port->read_output(&posix, MVM_PORT_STDOUT, bytes, 1) != MVM_PORT_END ||
           port->read_output(&posix, MVM_PORT_STDERR, bytes, 1) != MVM_PORT_END) {
        assert_true(readable(PATIENCE_MS));
    }
    assert_int_equal(port->poll_exit(&posix, &e), 0);
    assert_false(readable(20));
    port->signal_build(&posix, MVM_SIGNAL_KILL);
    assert_true(readable(PATIENCE_MS));
    assert_int_equal(port->poll_exit(&posix, &e), 1);
    assert_false(readable(20));
    port->close_build(&posix);
}

/* A hang-up is reported for every descriptor in an epoll set. */
static void a_pause_is_quiet_whatever_comes(void **state)
{
    (void)state;
    uint8_t bytes[2];
    struct mvm_exit e = {false, -1};
    char script[400];
    snprintf(script, sizeof script, "read x <%s; echo out; echo err >&2", make_gate());
    start_shell(script);
    assert_int_equal(ask(bytes, &e), 0);
    port->pause(&posix);
    unblock();
    struct pollfd out = {posix.output[MVM_PORT_STDOUT].fd, POLLIN, 0};
    assert_int_equal(poll(&out, 1, PATIENCE_MS), 1);
    assert_false(readable(300));
    assert_true(ask(bytes, &e) > 0);
    assert_false(readable(20));
    port->close_build(&posix);
}

static void there_is_one_timer(void **state)
{
    (void)state;
    int before = count_descriptors();
    int timer = mvm_posix_timer(&posix);
    assert_int_equal(mvm_posix_timer(&posix), timer);
    assert_int_equal(count_descriptors(), before + 1);
    assert_int_equal(poll(&(struct pollfd){timer, POLLIN, 0}, 1, PATIENCE_MS), 1);
}

/* What one build has armed or counted is not the next one's. */
static void it_is_the_same_for_the_next_build(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL};
    struct mvm_exit e;
    assert_int_equal(port->spawn(&posix, argv), 0);
    while (port->poll_exit(&posix, &e) == 0) {
        assert_true(readable(PATIENCE_MS));
    }
    port->close_build(&posix);
    it_wakes_for_output_and_for_the_exit_and_for_nothing_else(state);
    what_has_been_seen_wakes_no_more(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(it_wakes_for_output_and_for_the_exit_and_for_nothing_else),
        ALONE(what_has_been_seen_wakes_no_more),
        ALONE(a_pause_is_quiet_whatever_comes),
        ALONE(it_is_the_same_for_the_next_build),
        ALONE(there_is_one_timer),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
