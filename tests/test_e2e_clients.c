/* Several clients at a time, well-behaved and not: which are served, which wait, and that none
 * harms another. */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

enum {
    AT_ONCE_MS = 15000, /* an answer that does not wait for a build, on a busy machine */
    MEDIAN_MS = 500,    /* and for the median of such answers; ms on an idle machine */
};

/* Waits until NAME.go is written to, floods, or ends immediately, by its attribute. */
static const char stand_in[] = "export MARK=\"$attr\"\n"
                               "echo begin\n"
                               "case $attr in\n"
                               "*wait) read -r _ <\"$0.go\"; echo gone on;;\n"
                               "*flood) exec yes flood;;\n"
                               "*slow) sleep 60;;\n"
                               "esac\n"
                               "exit 3\n";

#define ENDED "nix build failed (exit status: 3): "

static void start(void)
{
    e2e_write_nix(stand_in);
    assert_int_equal(mkfifo(e2e_path("nix.go"), 0600), 0);
    E2E_AGENT("a");
}

static void unblock(void)
{
    e2e_write_text(e2e_path("nix.go"), "go\n");
}

static struct e2e_conn *start_build(const char *attr)
{
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "flake", attr, "");
    e2e_await_line(c, "begin");
    return c;
}

/* ---- coming and going ---- */

static void a_build_goes_with_its_client(void **state)
{
    (void)state;
    start();
    struct e2e_conn *c = start_build("first-slow");
    e2e_close(c);
    e2e_await_log("a", "build failed: build cancelled");
    e2e_assert_none_left("first-slow", 0);
    e2e_assert_err(start_build("b"), ENDED, E2E_PATIENCE_MS);
}

static void a_queued_build_goes_with_its_client(void **state)
{
    (void)state;
    start();
    struct e2e_conn *first = start_build("wait"), *second = e2e_dial("a");
    e2e_say_build(second, "flake", "second", "");
    assert_int_equal(e2e_frame(second, E2E_PATIENCE_MS).kind, MVM_MESSAGE_LOG);
    e2e_close(second);
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
    unblock();
    e2e_assert_err(first, ENDED, E2E_PATIENCE_MS);
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
    e2e_assert_in_log("a", "build started: ", 1);
}

static void told_to_keep_building_it_does(void **state)
{
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    char body[1024];
    snprintf(body, sizeof body, "echo begin; read -r _ <\"$0.go\"; seq 100000; echo %s", store);
    e2e_write_nix(body);
    assert_int_equal(mkfifo(e2e_path("nix.go"), 0600), 0);
    E2E_AGENT("a", "--keep-building");
    e2e_close(start_build("kept"));
    unblock();
    e2e_await_log("a", "build done: /nix/store/");
    e2e_assert_file(e2e_path("a.out/vmlinux"), "kernel");
    assert_non_null(strstr(e2e_read(e2e_path("a.out/build.log")).bytes, "\n100000\n"));
}

static void a_client_that_half_closes_after_its_request_gets_its_answer(void **state)
{
    (void)state;
    start();
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "flake", "wait", "");
    shutdown(c->fd, SHUT_WR);
    e2e_await_line(c, "begin");
    e2e_sleep_ms(200);
    unblock();
    e2e_await_line(c, "gone on");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    e2e_assert_ended(c, E2E_PATIENCE_MS);
}

static void a_client_that_does_not_close_is_not_closed(void **state)
{
    (void)state;
    start();
    struct e2e_conn *c = start_build("a");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    e2e_assert_silent(c, 1500);
    e2e_ping(c, AT_ONCE_MS);
    e2e_say_build(c, "flake", "b", "");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

/* ---- slow ones ---- */

static void a_client_that_sends_one_byte_a_second_is_understood(void **state)
{
    (void)state;
    start();
    struct e2e_conn *c = e2e_dial("a"), *other = e2e_dial("a");
    for (const char *at = E2E_PING; *at != '\0'; at++) {
        e2e_say_bytes(c, at, 1);
        e2e_ping(other, AT_ONCE_MS);
        if (at[1] != '\0') {
            e2e_assert_silent(c, 1000);
        }
    }
    struct mvm_text line;
    assert_true(e2e_line(c, &line, AT_ONCE_MS));
    assert_string_equal(line.bytes, E2E_PONG);
}

static void a_client_that_never_reads_stops_its_own_build_alone(void **state)
{
    (void)state;
    start();
    struct e2e_conn *silent = start_build("flood");
    for (int i = 0; i < 20; i++) {
        e2e_ping(e2e_dial("a"), AT_ONCE_MS);
        e2e_sleep_ms(20);
    }
    struct stat before, after = {.st_size = -1};
    int looks = 0;
    do { /* until the build waits */
        before = after;
        e2e_sleep_ms(300);
        assert_int_equal(stat(e2e_path("a.out/.build.log.mvm-tmp"), &after), 0);
    } while ((after.st_size == 0 || before.st_size != after.st_size) && ++looks < 100);
    assert_int_equal(before.st_size, after.st_size);
    assert_in_range(after.st_size, 1, 4 << 20);
    e2e_close(silent);
    e2e_assert_none_left("flood", E2E_PATIENCE_MS);
    e2e_assert_err(start_build("b"), ENDED, E2E_PATIENCE_MS);
}

static void a_client_that_only_sends_and_never_reads_harms_no_other(void **state)
{
    (void)state;
    start();
    struct e2e_conn *rude = e2e_dial("a"), *other = e2e_dial("a");
    fcntl(rude->fd, F_SETFL, O_NONBLOCK);
    char pings[7 * 512];
    for (size_t i = 0; i < 512; i++) {
        memcpy(pings + 7 * i, E2E_PING, 7);
    }
    size_t sent = 0;
    for (int stuck = 0; stuck < 50;) { /* until the agent stops reading */
        ssize_t n = write(rude->fd, pings + sent % 7, sizeof pings - sent % 7);
        sent += n > 0 ? (size_t)n : 0;
        stuck = n > 0 ? 0 : stuck + 1;
        assert_true(sent < 64u << 20);
        e2e_ping(other, AT_ONCE_MS);
    }
    e2e_assert_err(start_build("b"), ENDED, E2E_PATIENCE_MS);
    fcntl(rude->fd, F_SETFL, 0);
    for (size_t i = 0; i < sent / 7; i++) { /* then all are answered */
        struct mvm_text line;
        assert_true(e2e_line(rude, &line, AT_ONCE_MS));
        assert_string_equal(line.bytes, E2E_PONG);
    }
}

/* ---- many ---- */

static void two_hundred_clients_at_once_all_get_their_answers(void **state)
{
    enum { MANY = 200 };
    struct e2e_conn *conns[MANY];
    (void)state;
    start();
    struct e2e_conn *builder = start_build("wait");
    for (int i = 0; i < MANY; i++) {
        conns[i] = e2e_dial("a");
        e2e_say(conns[i], E2E_PING);
    }
    for (int i = 0; i < MANY; i++) {
        struct mvm_text line;
        assert_true(e2e_line(conns[i], &line, E2E_PATIENCE_MS));
        assert_string_equal(line.bytes, E2E_PONG);
    }
    unblock();
    e2e_await_line(builder, "gone on");
    e2e_assert_err(builder, ENDED, E2E_PATIENCE_MS);
}

static void a_thousand_clients_in_a_row_leave_nothing_behind(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    pid_t agent = E2E_AGENT("a");
    char fds[64];
    snprintf(fds, sizeof fds, "/proc/%d/fd", (int)agent);
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
    const char *count = "ls \"$1\" | wc -l";
    int before = atoi(E2E_RUN("sh", "-c", count, "sh", fds)->out);
    for (int i = 0; i < 1000; i++) {
        struct e2e_conn *c = e2e_dial("a");
        e2e_ping(c, AT_ONCE_MS);
        e2e_close(c);
    }
    int after = 0;
    for (int i = 0; i < 100 && (after == 0 || after > before); i++) { /* the last one's end */
        e2e_sleep_ms(20);
        after = atoi(E2E_RUN("sh", "-c", count, "sh", fds)->out);
    }
    assert_in_range(after, 1, before);
}

/* ---- the queue ---- */

static void a_second_build_waits_for_the_first(void **state)
{
    (void)state;
    start();
    struct e2e_conn *first = start_build("wait"), *second = e2e_dial("a");
    e2e_say_build(second, "flake", "second", "");
    struct e2e_frame f = e2e_frame(second, AT_ONCE_MS);
    assert_int_equal(f.kind, MVM_MESSAGE_LOG);
    assert_non_null(strstr(f.text.bytes, "waiting"));
    e2e_assert_silent(second, 300);
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
    unblock();
    e2e_assert_err(first, ENDED, E2E_PATIENCE_MS);
    e2e_await_line(second, "begin");
    e2e_assert_err(second, ENDED, E2E_PATIENCE_MS);
}

static void the_queue_is_bounded_and_full_is_an_err(void **state)
{
    struct e2e_conn *queued[MVM_QUEUE_MAX];
    (void)state;
    start();
    queued[0] = start_build("wait");
    for (int i = 1; i < MVM_QUEUE_MAX; i++) {
        queued[i] = e2e_dial("a");
        e2e_say_build(queued[i], "flake", "b", "");
        assert_int_equal(e2e_frame(queued[i], AT_ONCE_MS).kind, MVM_MESSAGE_LOG);
    }
    struct e2e_conn *late = e2e_dial("a");
    e2e_say_build(late, "flake", "c", "");
    e2e_assert_err(late, "build rejected: queue full", AT_ONCE_MS);
    e2e_ping(late, AT_ONCE_MS);
    unblock();
    for (int i = 0; i < MVM_QUEUE_MAX; i++) {
        e2e_assert_err(queued[i], ENDED, E2E_PATIENCE_MS);
    }
    e2e_say_build(late, "flake", "c", "");
    e2e_assert_err(late, ENDED, E2E_PATIENCE_MS);
}

static void builds_of_one_client_are_answered_in_order(void **state)
{
    (void)state;
    e2e_write_nix("echo $attr; exit ${attr#b}");
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    for (int i = 1; i <= 5; i++) {
        char attr[16];
        snprintf(attr, sizeof attr, "b%d", i);
        e2e_say_build(c, "flake", attr, "");
    }
    for (int i = 1; i <= 5; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "nix build failed (exit status: %d): ", i);
        e2e_assert_err(c, expected, E2E_PATIENCE_MS);
    }
}

/* ---- pings ---- */

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void pings_are_answered_in_milliseconds_while_a_build_floods(void **state)
{
    enum { PINGS = 100 };
    int took[PINGS];
    (void)state;
    start();
    struct e2e_conn *flood = start_build("flood"), *c = e2e_dial("a");
    pid_t reader = e2e_fork();
    if (reader == 0) { /* reads everything as fast as it can */
        static char bytes[1 << 16];
        while (read(flood->fd, bytes, sizeof bytes) > 0) {
        }
        _exit(0);
    }
    for (int i = 0; i < PINGS; i++) {
        took[i] = e2e_ping(c, AT_ONCE_MS);
        e2e_sleep_ms(5);
    }
    e2e_end(reader, SIGKILL);
    qsort(took, PINGS, sizeof took[0], by_value);
    assert_in_range(took[PINGS / 2], 0, MEDIAN_MS);
}

static void the_build_s_own_connection_answers_pings_too(void **state)
{
    (void)state;
    start();
    struct e2e_conn *c = start_build("wait");
    e2e_ping(c, AT_ONCE_MS);
    unblock();
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

static void a_silent_build_beats_and_so_does_one_that_waits(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    E2E_AGENT("a", "--heartbeat", "1");
    struct e2e_conn *c = start_build("slow"), *queued = e2e_dial("a");
    uint64_t since = e2e_now_ms();
    e2e_say_build(queued, "flake", "b", "");
    assert_int_equal(e2e_frame(queued, AT_ONCE_MS).kind, MVM_MESSAGE_LOG);
    for (int i = 0; i < 3; i++) {
        struct e2e_frame f = e2e_frame(c, 1000 + AT_ONCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        assert_int_equal(f.text.len, 0);
        f = e2e_frame(queued, 1000 + AT_ONCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        assert_int_equal(f.text.len, 0);
    }
    assert_in_range(e2e_now_ms() - since, 2000, 3000 + AT_ONCE_MS);
}

static void without_a_heartbeat_a_silent_build_is_silent(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    E2E_AGENT("a", "--heartbeat", "0");
    e2e_assert_silent(start_build("slow"), 1500);
}

/* ---- listeners ---- */

static void its_socket_is_for_its_user_alone(void **state)
{
    (void)state;
    struct stat st;
    start();
    assert_int_equal(stat(e2e_path("a.sock"), &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* A socket at a.sock without a listener, or with this test listening. */
static int bind_socket(bool listening)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", e2e_path("a.sock"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    if (listening) {
        assert_int_equal(listen(fd, 5), 0);
    }
    return fd;
}

static void a_stale_socket_is_replaced(void **state)
{
    (void)state;
    close(bind_socket(false));
    start();
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
}

/* Its exit status, with so many descriptors at most. */
static int run_with_descriptors(rlim_t files)
{
    char listen_on[E2E_PATH_CAP + 8];
    const struct rlimit limit = {files, files};
    snprintf(listen_on, sizeof listen_on, "unix:%s", e2e_path("a.sock"));
    pid_t pid = e2e_fork();
    if (pid == 0) {
        setrlimit(RLIMIT_NOFILE, &limit);
        execl(e2e_program("mvm-builder-agent"), "mvm-builder-agent", "--listen", listen_on,
              "--out-dev", "none", "--in-dev", "none", "--stream-dir", "none", "--exit-idle", "1",
              (char *)NULL);
        _exit(127);
    }
    return e2e_wait(pid, E2E_PATIENCE_MS);
}

static void an_agent_that_cannot_start_leaves_no_socket(void **state)
{
    (void)state;
    int status = 1;
    for (rlim_t files = 4; files < 64 && status != 0; files++) {
        status = run_with_descriptors(files);
        assert_false(e2e_exists(e2e_path("a.sock")));
        assert_false(e2e_exists(e2e_path("a.sock.lock")));
    }
    assert_int_equal(status, 0);
}

static void an_agent_that_was_killed_has_a_successor(void **state)
{
    (void)state;
    e2e_write_nix(stand_in);
    pid_t first = E2E_AGENT("a");
    e2e_await_log("a", "listening on "); /* its child that has just been forked has closed them */
    e2e_end(first, SIGKILL);
    assert_true(e2e_exists(e2e_path("a.sock")));
    E2E_AGENT("a");
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
}

static void a_live_socket_is_not_stolen(void **state)
{
    (void)state;
    pid_t first = E2E_AGENT("a");
    char listen_on[E2E_PATH_CAP + 8];
    snprintf(listen_on, sizeof listen_on, "unix:%s", e2e_path("a.sock"));
    E2E_AGENT("b", "--listen", listen_on);
    e2e_await_log("b", "cannot listen on unix:");
    e2e_say_build(e2e_dial("a"), "flake", "x", "");
    e2e_await_log("a", "build started: ");
    assert_int_equal(e2e_end(first, SIGTERM), 0);
    e2e_await_log("b", "listening on unix:");
    e2e_assert_in_log("b", "cannot listen", 1); /* logged once */
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    int fd = -1;
    while ((fd = e2e_try_connect(e2e_path("a.sock"))) < 0 && e2e_now_ms() < until) {
        e2e_sleep_ms(50); /* it is retried every second */
    }
    e2e_ping(e2e_adopt(fd), AT_ONCE_MS);
}

static void several_listeners_serve_one_queue(void **state)
{
    (void)state;
    char more[2][E2E_PATH_CAP + 8];
    snprintf(more[0], sizeof more[0], "unix:%s", e2e_path("b.sock"));
    snprintf(more[1], sizeof more[1], "unix:%s", e2e_path("c.sock"));
    e2e_write_nix(stand_in);
    assert_int_equal(mkfifo(e2e_path("nix.go"), 0600), 0);
    E2E_AGENT("a", "--listen", more[0], "--listen", more[1]);
    e2e_await_log("a", more[1]);
    struct e2e_conn *first = start_build("wait"), *b = e2e_dial("b"), *c = e2e_dial("c");
    e2e_ping(b, AT_ONCE_MS);
    e2e_say_build(c, "flake", "b", "");
    assert_int_equal(e2e_frame(c, AT_ONCE_MS).kind, MVM_MESSAGE_LOG);
    unblock();
    e2e_assert_err(first, ENDED, E2E_PATIENCE_MS);
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

static void a_connection_handed_over_is_served_and_the_agent_ends_with_it(void **state)
{
    (void)state;
    int pair[2];
    char listen_on[32];
    e2e_write_nix(stand_in);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    snprintf(listen_on, sizeof listen_on, "fd:%d", pair[1]);
    const char *const args[] = {"--listen",  listen_on,        "--out-dir",    e2e_path("a.out"),
                                "--out-dev", "none",           "--nix",        e2e_path("nix"),
                                "--policy",  e2e_path("none"), "--stream-dir", "none",
                                NULL};
    pid_t agent = e2e_start_bare_agent("a", args, NULL);
    close(pair[1]);
    struct e2e_conn *c = e2e_adopt(pair[0]);
    e2e_ping(c, AT_ONCE_MS);
    e2e_say_build(c, "flake", "b", "");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    e2e_close(c);
    assert_int_equal(e2e_wait(agent, E2E_PATIENCE_MS), 0);
}

/* ---- a serial line ---- */

static struct e2e_conn *open_pty(char *slave, size_t cap)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    snprintf(slave, cap, "serial:%s", ptsname(master));
    return e2e_adopt(master);
}

static void a_serial_line_takes_garbage_and_then_a_valid_line(void **state)
{
    (void)state;
    char slave[64];
    struct mvm_text line;
    e2e_write_nix(stand_in);
    struct e2e_conn *c = open_pty(slave, sizeof slave);
    E2E_AGENT("a", "--listen", slave);
    assert_true(e2e_line(c, &line, AT_ONCE_MS));
    assert_int_equal(line.len, 0); /* ends whatever was on the line */
    e2e_say(c, "\x1b[0m login: \xff\xfe\x03\x04 {\"Build\":{\"fla\n");
    e2e_assert_err(c, "parse error", AT_ONCE_MS);
    e2e_ping(c, AT_ONCE_MS);
    e2e_say_build(c, "flake", "b", "");
    e2e_await_line(c, "begin");
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
    e2e_ping(e2e_dial("a"), AT_ONCE_MS);
}

/* A break reads as NUL, with which a frame of the other wire would begin. */
static void no_first_byte_makes_a_serial_line_binary(void **state)
{
    (void)state;
    static const struct {
        char bytes[6];
        size_t len;
    } firsts[] = {{"\0", 1}, {"\0\0\0", 3}, {"\0\0\0\0\0", 5}, {"\1", 1}, {"\0\1", 2}};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        char slave[64];
        struct mvm_text line;
        struct e2e_conn *c = open_pty(slave, sizeof slave);
        pid_t agent = E2E_AGENT("a", "--listen", slave);
        assert_true(e2e_line(c, &line, AT_ONCE_MS));
        e2e_say_bytes(c, firsts[i].bytes, firsts[i].len);
        e2e_say(c, "\n" E2E_PING);
        e2e_assert_err(c, "parse error", AT_ONCE_MS);
        e2e_ping(c, AT_ONCE_MS);
        kill(agent, SIGTERM);
        assert_int_equal(e2e_wait(agent, E2E_PATIENCE_MS), 0);
    }
}

static void a_serial_line_carries_a_long_build_whole(void **state)
{
    (void)state;
    char slave[64];
    struct mvm_text line;
    e2e_write_nix("seq 20000; exit 3");
    struct e2e_conn *c = open_pty(slave, sizeof slave);
    E2E_AGENT("a", "--listen", slave);
    assert_true(e2e_line(c, &line, AT_ONCE_MS));
    e2e_say_build(c, "flake", "b", "");
    for (int i = 1; i <= 20000; i++) {
        char expected[16];
        snprintf(expected, sizeof expected, "%d", i);
        struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
        assert_int_equal(f.kind, MVM_MESSAGE_LOG);
        assert_string_equal(f.text.bytes, expected);
    }
    e2e_assert_err(c, ENDED, E2E_PATIENCE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_build_goes_with_its_client),
        E2E_TEST(a_queued_build_goes_with_its_client),
        E2E_TEST(told_to_keep_building_it_does),
        E2E_TEST(a_client_that_half_closes_after_its_request_gets_its_answer),
        E2E_TEST(a_client_that_does_not_close_is_not_closed),
        E2E_TEST(a_client_that_sends_one_byte_a_second_is_understood),
        E2E_TEST(a_client_that_never_reads_stops_its_own_build_alone),
        E2E_TEST(a_client_that_only_sends_and_never_reads_harms_no_other),
        E2E_TEST(two_hundred_clients_at_once_all_get_their_answers),
        E2E_TEST(a_thousand_clients_in_a_row_leave_nothing_behind),
        E2E_TEST(a_second_build_waits_for_the_first),
        E2E_TEST(the_queue_is_bounded_and_full_is_an_err),
        E2E_TEST(builds_of_one_client_are_answered_in_order),
        E2E_TEST(pings_are_answered_in_milliseconds_while_a_build_floods),
        E2E_TEST(the_build_s_own_connection_answers_pings_too),
        E2E_TEST(a_silent_build_beats_and_so_does_one_that_waits),
        E2E_TEST(without_a_heartbeat_a_silent_build_is_silent),
        E2E_TEST(its_socket_is_for_its_user_alone),
        E2E_TEST(a_stale_socket_is_replaced),
        E2E_TEST(an_agent_that_cannot_start_leaves_no_socket),
        E2E_TEST(an_agent_that_was_killed_has_a_successor),
        E2E_TEST(a_live_socket_is_not_stolen),
        E2E_TEST(several_listeners_serve_one_queue),
        E2E_TEST(a_connection_handed_over_is_served_and_the_agent_ends_with_it),
        E2E_TEST(a_serial_line_takes_garbage_and_then_a_valid_line),
        E2E_TEST(no_first_byte_makes_a_serial_line_binary),
        E2E_TEST(a_serial_line_carries_a_long_build_whole),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
