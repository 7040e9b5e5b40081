/* Connecting: the handshake of hybrid vsock with every kind of answer, and time limits. */
#define _GNU_SOURCE
#include "connection.h"
#include "hybrid.h"
#include "temporary.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BUSY_MS = 60000 }; /* what must come takes so long at most, on a busy machine */

static struct mvm_waiter waiter;
static char why_text[256];
static struct mvm_writer why;

static uint64_t soon(void)
{
    return mvm_clock_ms() + BUSY_MS;
}

static int reset(void **state)
{
    (void)state;
    memset(why_text, 0, sizeof why_text);
    mvm_writer_init(&why, why_text, sizeof why_text - 1);
    return 0;
}

/* ---- the handshake ---- */

/* Our end of a pair whose other end has sent `answer` and then, if it `hangs_up`, has closed. */
static int peer_saying(const char *answer, bool hangs_up, int *other)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(write(fds[1], answer, strlen(answer)), (ssize_t)strlen(answer));
    if (hangs_up) {
        shutdown(fds[1], SHUT_WR);
    }
    *other = fds[1];
    return fds[0];
}

static bool shake(const char *answer, bool hangs_up, char *asked, char *left)
{
    int other;
    int fd = peer_saying(answer, hangs_up, &other);
    uint64_t patience_ms = hangs_up ? BUSY_MS : 100;
    reset(NULL);
    bool ok = mvm_hybrid_handshake(fd, 21470, &waiter, mvm_clock_ms() + patience_ms, &why);
    ssize_t n = read(other, asked, 63);
    asked[n > 0 ? n : 0] = '\0';
    n = read(fd, left, 63);
    left[n > 0 ? n : 0] = '\0';
    close(fd);
    close(other);
    return ok;
}

static void an_ok_line_is_read_and_not_a_byte_more(void **state)
{
    static const char *const lines[] = {"OK 1073741824\n", "OK 0\n", "OK 4294967295\n"};
    char text[64], asked[64], left[64];
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(text, sizeof text, "%s\"Pong\"\n", lines[i]);
        assert_true(shake(text, true, asked, left));
        assert_string_equal(asked, "CONNECT 21470\n");
        assert_string_equal(left, "\"Pong\"\n");
    }
}

static void any_other_answer_is_reported(void **state)
{
#define NO_OK(line) "the answer to CONNECT is not an OK line: \"" line "\""
    static const char silent[] = "closed without a word: nothing listens on that port in the guest";
    static const struct {
        const char *answer;
        const char *why;
    } cases[] = {
        {"\n", NO_OK("")},
        {"OK\n", NO_OK("OK")},
        {"OK \n", NO_OK("OK ")},
        {"OK 12\r\n", NO_OK("OK 12^M")},
        {"OK -1\n", NO_OK("OK -1")},
        {"OK 4294967296\n", NO_OK("OK 4294967296")},
        {"ok 12\n", NO_OK("ok 12")},
        {"ERR 12\n", NO_OK("ERR 12")},
        {"OK 00000000000000000000000000001\n", /* one over the limit of an OK line */
         NO_OK("OK 00000000000000000000000000001")},
        {"\"Pong\"\n", NO_OK("\"Pong\"")},
        {"\033]0;title\a\n", NO_OK("^[]0;title^G")},
        {"", silent},
        {"OK 12", NO_OK("OK 12")}, /* the end of the connection is none of the line */
        {"ERROR no such port", NO_OK("ERROR no such port")},
    };
    char asked[64], left[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (shake(cases[i].answer, true, asked, left)) {
            fail_msg("taken for an OK line: %s", cases[i].answer);
        }
        assert_string_equal(why_text, cases[i].why);
    }
    assert_true(shake("OK 0000000000000000000000000001\n", true, asked, left)); /* at the limit */
}

static void a_monitor_that_hangs_up_before_the_request_says_the_same(void **state)
{
    int other;
    int fd = peer_saying("", true, &other);
    (void)state;
    close(other); /* before anything is sent: EPIPE */
    assert_false(mvm_hybrid_handshake(fd, 21470, &waiter, soon(), &why));
    assert_string_equal(why_text,
                        "closed without a word: nothing listens on that port in the guest");
    close(fd);
}

static void a_monitor_that_says_nothing_is_waited_for_so_long(void **state)
{
    char asked[64], left[64];
    (void)state;
    uint64_t since = mvm_clock_ms();
    assert_false(shake("", false, asked, left));
    assert_string_equal(why_text, "no answer in time");
    assert_false(shake("OK 1", false, asked, left));
    assert_string_equal(why_text, NO_OK("OK 1"));
    assert_in_range(mvm_clock_ms() - since, 100, BUSY_MS);
}

static void a_signal_ends_the_waiting(void **state)
{
    struct mvm_waiter w = waiter;
    int other;
    int fd = peer_saying("", false, &other);
    (void)state;
    raise(SIGTERM);
    assert_false(mvm_hybrid_handshake(fd, 1, &w, soon(), &why));
    assert_string_equal(why_text, "interrupted");
    assert_int_equal(w.signal, SIGTERM);
    close(fd);
    close(other);
}

/* ---- connections ---- */

static char dir[TEMPORARY_CAP];

static const char *address(const char *kind, const char *name)
{
    static char text[128];
    snprintf(text, sizeof text, "%s:%s/%s", kind, dir, name);
    return text;
}

static bool opened(struct mvm_connection *c, const char *text, uint64_t until_ms)
{
    struct mvm_peer p;
    assert_null(mvm_peer_parse(&p, text));
    return mvm_connection_open(c, &p, &waiter, until_ms, &why);
}

static int listen_at(const char *text, int backlog)
{
    struct mvm_peer p;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    assert_null(mvm_peer_parse(&p, text));
    strcpy(name.sun_path, p.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void what_cannot_be_reached_is_reported_with_the_call(void **state)
{
    struct mvm_connection c;
    (void)state;
    assert_false(opened(&c, address("unix", "none"), soon()));
    assert_string_equal(why_text, "connect: No such file or directory");
    mvm_connection_close(&c);
    reset(NULL);
    close(listen_at(address("unix", "stale"), 1));
    assert_false(opened(&c, address("unix", "stale"), soon()));
    assert_string_equal(why_text, "connect: Connection refused");
    mvm_connection_close(&c);
    reset(NULL);
    assert_false(opened(&c, address("serial", "none"), soon()));
    assert_string_equal(why_text, "open: No such file or directory");
    mvm_connection_close(&c);
    mvm_connection_close(&c); /* harmless */
}

static void a_full_backlog_is_tried_again_until_the_time_is_over(void **state)
{
    struct mvm_connection c[3];
    int fd = listen_at(address("unix", "full"), 0);
    (void)state;
    assert_true(opened(&c[0], address("unix", "full"), soon()));
    assert_false(opened(&c[1], address("unix", "full"), mvm_clock_ms() + 100));
    assert_string_equal(why_text, "no answer in time");
    close(accept(fd, NULL, NULL));
    assert_true(opened(&c[2], address("unix", "full"), soon()));
    for (int i = 0; i < 3; i++) {
        mvm_connection_close(&c[i]);
    }
    close(fd);
}

/* ---- ends ---- */

/* What a monitor reads that reads the end after the bytes before it. */
static void an_abandoned_connection_is_shut_down_and_read_before_it_is_closed(void **state)
{
    struct mvm_connection c;
    int fd = listen_at(address("unix", "abandoned"), 1);
    char byte;
    (void)state;
    assert_true(opened(&c, address("unix", "abandoned"), soon()));
    int peer = accept(fd, NULL, NULL);
    assert_int_equal(write(peer, "unread", 6), 6);
    pid_t child = fork();
    if (child == 0) {
        close(c.fd);
        /* The end is end-of-file, not a reset for unread bytes. */
        _exit(read(peer, &byte, 1) == 0 ? 0 : 1);
    }
    close(peer);
    uint64_t since = mvm_clock_ms();
    mvm_connection_abandon(&c);
    assert_true(mvm_clock_ms() - since < BUSY_MS);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
}

static void a_peer_that_never_closes_holds_up_the_end_for_so_long(void **state)
{
    struct mvm_connection c;
    int fd = listen_at(address("unix", "deaf"), 1);
    (void)state;
    assert_true(opened(&c, address("unix", "deaf"), soon()));
    uint64_t since = mvm_clock_ms();
    mvm_connection_abandon(&c);
    assert_in_range(mvm_clock_ms() - since, MVM_HOST_LINGER_MS, MVM_HOST_LINGER_MS + BUSY_MS);
    close(fd);
}

static int begin(void **state)
{
    (void)state;
    return mvm_waiter_open(&waiter) && make_temporary(dir, "connect") ? 0 : -1;
}

static int end(void **state)
{
    static const char *const names[] = {"stale", "full", "abandoned", "deaf"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_ok_line_is_read_and_not_a_byte_more, reset),
        cmocka_unit_test_setup(any_other_answer_is_reported, reset),
        cmocka_unit_test_setup(a_monitor_that_hangs_up_before_the_request_says_the_same, reset),
        cmocka_unit_test_setup(a_monitor_that_says_nothing_is_waited_for_so_long, reset),
        cmocka_unit_test_setup(what_cannot_be_reached_is_reported_with_the_call, reset),
        cmocka_unit_test_setup(a_full_backlog_is_tried_again_until_the_time_is_over, reset),
        cmocka_unit_test_setup(an_abandoned_connection_is_shut_down_and_read_before_it_is_closed,
                               reset),
        cmocka_unit_test_setup(a_peer_that_never_closes_holds_up_the_end_for_so_long, reset),
        cmocka_unit_test_setup(a_signal_ends_the_waiting, reset), /* the last: it remains set */
    };
    return cmocka_run_group_tests(tests, begin, end);
}
