/* The build's pipes when it prints faster than it is read: seq(1) is the build, so that each byte
 * is determined by its offset. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_fixture.h"
#include <sys/ioctl.h>
#include <sys/resource.h>

enum { PIECE = 16384, PATIENCE_MS = 60000 };

static struct mvm_posix posix;
static int open_before; /* descriptors */

/* Prints the numbers from 1 to `last`, each on a line. */
static void spawn_seq(const char *last)
{
    static const struct mvm_posix_config config = {.cgroup = ""};
    const char *const argv[] = {"/usr/bin/seq", "1", last, NULL};
    init_without_stdin(&posix, &config);
    open_before = count_descriptors();
    assert_int_equal(port->spawn(&posix, argv), 0);
}

/* The expected output. */
struct expected {
    unsigned long next;
    char line[24];
    size_t at; /* in `line` */
};

static void expect(struct expected *e, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (e->line[e->at] == '\0') {
            snprintf(e->line, sizeof e->line, "%lu\n", ++e->next);
            e->at = 0;
        }
        if (bytes[i] != (uint8_t)e->line[e->at++]) {
            fail_msg("in line %lu", e->next);
        }
    }
}

/* Reads up to `cap` bytes; 0 at the end. */
static size_t read_some(struct expected *e, size_t cap)
{
    static uint8_t bytes[PIECE];
    int n;
    while ((n = port->read_output(&posix, MVM_PORT_STDOUT, bytes, cap)) == 0) {
        struct pollfd fd = {posix.output[MVM_PORT_STDOUT].fd, POLLIN, 0};
        assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    }
    assert_true(n > 0 || n == MVM_PORT_END);
    expect(e, bytes, n > 0 ? (size_t)n : 0);
    return n > 0 ? (size_t)n : 0;
}

static void read_to_the_end(struct expected *e)
{
    static const size_t caps[] = {PIECE, 1, PIECE, PIECE, 4096, 333, PIECE, 16000};
    for (size_t i = 0; read_some(e, caps[i % (sizeof caps / sizeof *caps)]) > 0; i++) {
    }
}

static bool exited(int ms)
{
    struct mvm_exit e;
    for (uint64_t until = clock_ms() + (uint64_t)ms; clock_ms() < until; sleep_ms(5)) {
        if (port->poll_exit(&posix, &e) == 1) {
            return true;
        }
    }
    return false;
}

/* Whether the build sleeps, as it does in write(2) if the pipe is full. */
static bool sleeps(void)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)posix.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    return name_end != NULL && name_end[1] == ' ' && name_end[2] == 'S';
}

/* Until the pipe is full. */
static int await_full(void)
{
    int held = 0, before = -1;
    for (int same = 0; same<10; same = held> 0 && held == before && sleeps() ? same + 1 : 0) {
        before = held;
        sleep_ms(20);
        assert_int_equal(ioctl(posix.output[MVM_PORT_STDOUT].fd, FIONREAD, &held), 0);
    }
    return held;
}

static void finish(const struct expected *e, unsigned long last)
{
    assert_int_equal(e->next, last);
    assert_true(exited(PATIENCE_MS));
    port->close_build(&posix);
    assert_int_equal(count_descriptors() - (posix.watch.timer >= 0), open_before);
    mvm_posix_fini(&posix);
}

static void a_flood_comes_whole_and_in_order(void **state)
{
    (void)state;
    struct expected e = {0};
    spawn_seq("400000");
    read_to_the_end(&e);
    finish(&e, 400000);
}

/* The second read follows one that filled its buffer, and empties the pipe: the build can print as
 * much again as the pipe holds, and end, before the next read. */
static void a_full_pipe_is_emptied_immediately(void **state)
{
    (void)state;
    struct expected e = {0};
    spawn_seq("85000"); /* 498,894 bytes */
    int held = await_full();
    if (held < 256 * 1024) {
        fprintf(stderr, "a pipe holds %d bytes here\n", held);
        assert_int_not_equal(getuid(), 0); /* other users may be limited to less */
        mvm_posix_fini(&posix);
        skip();
    }
    assert_false(exited(100));
    assert_int_equal(read_some(&e, PIECE), PIECE);
    assert_false(exited(100));
    assert_int_equal(read_some(&e, PIECE), PIECE);
    assert_true(exited(PATIENCE_MS));
    read_to_the_end(&e);
    finish(&e, 85000);
}

static void without_descriptors_a_flood_is_read_as_it_is(void **state)
{
    (void)state;
    struct expected e = {0};
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    spawn_seq("400000");
    await_full();
    struct rlimit none = {1, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    read_to_the_end(&e);
    assert_int_equal(posix.output[MVM_PORT_STDOUT].store[0], -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    finish(&e, 400000);
}

static void a_flood_that_is_abandoned_leaves_nothing_open(void **state)
{
    (void)state;
    struct expected e = {0};
    int before = count_descriptors();
    spawn_seq("100000000");
    await_full();
    while (posix.output[MVM_PORT_STDOUT].store[0] < 0) {
        assert_true(read_some(&e, PIECE) > 0);
    }
    mvm_posix_fini(&posix);
    assert_int_equal(count_descriptors(), before);
}

/* A build that prints a line from time to time is read directly. */
static void no_second_pipe_is_made_for_a_build_that_does_not_flood(void **state)
{
    (void)state;
    struct expected e = {0};
    spawn_seq("100");
    while (read_some(&e, PIECE) > 0) {
        assert_int_equal(posix.output[MVM_PORT_STDOUT].store[0], -1);
    }
    finish(&e, 100);
}

static void a_pipe_may_have_descriptor_0(void **state)
{
    static const struct mvm_posix_config config = {.cgroup = ""};
    int theirs;
    (void)state;
    init_without_stdin(&posix, &config);
    int before = count_descriptors();
    assert_int_equal(mvm_posix_output_open(&posix.output[MVM_PORT_STDOUT], &theirs), 0);
    assert_int_equal(posix.output[MVM_PORT_STDOUT].fd, 0);
    assert_int_equal(write(theirs, "x", 1), 1);
    close(theirs);
    char byte;
    assert_int_equal(port->read_output(&posix, MVM_PORT_STDOUT, (uint8_t *)&byte, 1), 1);
    mvm_posix_output_close(&posix.output[MVM_PORT_STDOUT]);
    assert_int_equal(count_descriptors(), before);
    mvm_posix_fini(&posix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_may_have_descriptor_0),
        cmocka_unit_test(a_flood_comes_whole_and_in_order),
        cmocka_unit_test(a_full_pipe_is_emptied_immediately),
        cmocka_unit_test(without_descriptors_a_flood_is_read_as_it_is),
        cmocka_unit_test(a_flood_that_is_abandoned_leaves_nothing_open),
        cmocka_unit_test(no_second_pipe_is_made_for_a_build_that_does_not_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
