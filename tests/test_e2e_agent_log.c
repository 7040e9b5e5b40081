/*
 * The agent's stderr when it is not read or refuses what is written: a full pipe, a stopped
 * terminal, a full socket, a file on a disk that hangs or is full. The agent serves its clients,
 * logs later how much was lost, and does not change the flags that it shares with other processes.
 */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

enum { ENDS_MS = 30000, NOISY_BUILDS = 40 };

static const char *socket_path(void)
{
    return e2e_path("a.sock");
}

static bool accepts(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* An agent with that stderr; `ignored`: a signal that is ignored from the beginning, or 0. */
static pid_t start(int err, int ignored)
{
    char address[E2E_PATH_CAP + 8];
    snprintf(address, sizeof address, "unix:%s", socket_path());
    const char *const argv[] = {e2e_program("mvm-builder-agent"),
                                "--listen",
                                address,
                                "--out-dir",
                                e2e_path("out"),
                                "--out-dev",
                                "none",
                                "--in-dev",
                                "none",
                                "--nix",
                                e2e_path("nix"),
                                "--policy",
                                e2e_path("no-policy"),
                                "--stream-dir",
                                "none",
                                NULL};
    pid_t pid = e2e_fork();
    if (pid == 0) {
        dup2(err, STDERR_FILENO);
        for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
            close(fd);
        }
        if (ignored != 0) {
            signal(ignored, SIG_IGN);
        }
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_true(e2e_until(accepts, socket_path(), E2E_PATIENCE_MS));
    return pid;
}

/* Writes until it is full, then restores the flags. */
static void fill(int fd)
{
    static char bytes[4096];
    int flags = fcntl(fd, F_GETFL);
    memset(bytes, '.', sizeof bytes);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
    while (write(fd, bytes, 1) > 0) {
    }
    assert_int_equal(errno, EAGAIN);
    fcntl(fd, F_SETFL, flags);
}

/* Each is logged by two lines. */
static void make_noise(void)
{
    struct e2e_conn *c = e2e_dial_path(socket_path());
    for (int i = 0; i < NOISY_BUILDS; i++) {
        e2e_say_build(c, "-noise-noise-noise-noise", "a", "");
        e2e_assert_err(c, "invalid flake_ref", E2E_PATIENCE_MS);
        e2e_ping(c, E2E_PATIENCE_MS);
    }
    e2e_close(c);
}

static void assert_ends(pid_t pid)
{
    uint64_t begun = e2e_now_ms();
    kill(pid, SIGTERM);
    int status = e2e_wait(pid, ENDS_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_in_range(e2e_now_ms() - begun, 0, ENDS_MS);
}

/* Reads until `text` was received. */
static void read_until(int fd, const char *text)
{
    static char all[1 << 20];
    size_t len = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        all[len] = '\0';
        if (strstr(all, text) != NULL) {
            return;
        }
        if (poll(&p, 1, E2E_PATIENCE_MS) <= 0 || len == sizeof all - 1) {
            fail_msg("%s did not come: %s", text, len > 2000 ? all + len - 2000 : all);
        }
        ssize_t n = read(fd, all + len, sizeof all - 1 - len);
        for (ssize_t i = 0; i < n; i++) {
            all[len + (size_t)i] = all[len + (size_t)i] == '\0' ? '?' : all[len + (size_t)i];
        }
        len += n > 0 ? (size_t)n : 0;
    }
}

static void with_full(int read_end, int write_end)
{
    int flags = fcntl(write_end, F_GETFL);
    fill(write_end);
    pid_t pid = start(write_end, 0);
    make_noise();
    assert_int_equal(fcntl(write_end, F_GETFL), flags);
    read_until(read_end, "lines of this log were lost: stderr was not read\n");
    make_noise();
    assert_ends(pid);
    assert_int_equal(fcntl(write_end, F_GETFL), flags);
    close(read_end);
    close(write_end);
}

static void a_full_pipe_holds_up_nothing_and_what_is_lost_is_counted(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    with_full(ends[0], ends[1]);
}

static void a_full_socket_holds_up_nothing_and_what_is_lost_is_counted(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    with_full(ends[0], ends[1]);
}

/* A write to it would raise SIGPIPE. */
static void a_pipe_whose_reader_is_gone_ends_nothing(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start(ends[1], 0);
    close(ends[0]);
    make_noise();
    assert_ends(pid);
    close(ends[1]);
}

/* A named pipe gets a reader again. */
static void lines_that_a_pipe_without_a_reader_refused_are_counted(void **state)
{
    const char *path = e2e_path("pipe");
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int writer = open(path, O_WRONLY | O_CLOEXEC);
    pid_t pid = start(writer, 0);
    read_until(reader, "listening on ");
    close(reader);
    make_noise();
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    make_noise();
    read_until(reader, "mvm-builder-agent: 80 lines of this log were lost: Broken pipe\n");
    assert_ends(pid);
    close(reader);
    close(writer);
}

static void a_stopped_terminal_holds_up_nothing(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(tcflow(slave, TCOOFF), 0); /* as Ctrl-S does */
    pid_t pid = start(slave, 0);
    make_noise();
    assert_int_equal(tcflow(slave, TCOON), 0);
    read_until(master, "lines of this log were lost: stderr was not read\r\n");
    make_noise(); /* the master is no longer read: the terminal fills up */
    make_noise();
    assert_ends(pid);
    close(slave);
    close(master);
}

/* ---- texts of others ---- */

static void no_text_of_a_command_line_or_a_request_controls_a_terminal(void **state)
{
    (void)state;
    const struct e2e_result *r =
        E2E_RUN(e2e_program("mvm-builder-agent"), "--x\033\xc2\x9b\xe2\x80\xae\xc3\xa4");
    assert_non_null(strstr(r->err, "--x??????\xc3\xa4: "));
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start(ends[1], 0);
    struct e2e_conn *c = e2e_dial_path(socket_path());
    e2e_say_build(c, "-a\xe2\x81\xa6", "a\xd8\x9c", "");
    e2e_assert_err(c, "invalid flake_ref", E2E_PATIENCE_MS);
    e2e_close(c);
    read_until(ends[0], "build started: -a???#a??\n");
    assert_ends(pid);
    close(ends[0]);
    close(ends[1]);
}

/* ---- a file ---- */

static const char *mounted;
static char device[E2E_PATH_CAP];

/* A file on a separate disk, which can be frozen. */
static int open_on_disk(void)
{
    snprintf(device, sizeof device, "%s", e2e_loop(e2e_make_image("log.img", 16384, NULL), false));
    mounted = e2e_mount(device, "disk", false);
    char path[E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/log", mounted);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static bool is_whole(const char *path)
{
    const char *text = e2e_read(path).bytes;
    return strstr(text, "stopping: SIGTERM\n") != NULL;
}

static bool says_lost(const char *path)
{
    return strstr(e2e_read(path).bytes, "lines of this log were lost: stderr was not read\n") !=
           NULL;
}

static void a_file_on_a_disk_that_hangs_holds_up_nothing(void **state)
{
    (void)state;
    e2e_need_disks();
    int fd = open_on_disk();
    const char *path = e2e_path("disk/log");
    pid_t pid = start(fd, 0);
    assert_int_equal(e2e_freeze(mounted, device), 0);
    for (int i = 0; i < 20; i++) { /* more than a socket holds */
        make_noise();
    }
    e2e_thaw();
    assert_true(e2e_until(says_lost, path, E2E_PATIENCE_MS));
    assert_ends(pid);
    assert_true(e2e_until(is_whole, path, E2E_PATIENCE_MS));
    close(fd);
}

static void a_file_on_a_disk_that_hung_is_complete_when_it_goes_on(void **state)
{
    (void)state;
    e2e_need_disks();
    int fd = open_on_disk();
    pid_t pid = start(fd, 0);
    assert_int_equal(e2e_freeze(mounted, device), 0);
    make_noise();
    assert_ends(pid);
    const char *path = e2e_path("disk/log");
    assert_null(strstr(e2e_read(path).bytes, "build failed"));
    e2e_thaw();
    assert_true(e2e_until(is_whole, path, E2E_PATIENCE_MS));
    const char *at = e2e_read(path).bytes;
    int failed = 0;
    while ((at = strstr(at, "build failed: invalid flake_ref")) != NULL) {
        at++;
        failed++;
    }
    assert_int_equal(failed, NOISY_BUILDS);
    close(fd);
}

/* By the agent's end, and in order. */
static void a_file_has_all_that_was_logged(void **state)
{
    (void)state;
    const char *path = e2e_path("log");
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = start(fd, 0);
    make_noise();
    assert_ends(pid);
    assert_true(e2e_until(is_whole, path, E2E_PATIENCE_MS)); /* later only on a busy machine */
    const char *text = e2e_read(path).bytes;
    assert_non_null(strstr(text, "listening on unix:"));
    int lines = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++) {
        lines++;
    }
    assert_int_equal(lines, 2 + 2 * NOISY_BUILDS);
    close(fd);
}

/* The agent leaves the process to the system, so to this process. 0: there is none yet. */
static pid_t find_writer(pid_t agent)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (const char *at = e2e_read(path).bytes; *at != '\0';) {
        char *end;
        pid_t pid = (pid_t)strtol(at, &end, 10);
        if (end == at) {
            break;
        }
        if (pid != agent) {
            return pid;
        }
        at = end;
    }
    return 0;
}

/* It is made when the agent has answered the clients that were there already. */
static pid_t writer_of(pid_t agent)
{
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    pid_t writer;
    while ((writer = find_writer(agent)) == 0 && e2e_now_ms() < until) {
        e2e_sleep_ms(5);
    }
    assert_int_not_equal(writer, 0);
    return writer;
}

static void a_writer_that_is_killed_costs_no_line_that_follows(void **state)
{
    (void)state;
    const char *path = e2e_path("log");
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = start(fd, 0);
    pid_t writer = writer_of(pid);
    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    make_noise();
    assert_ends(pid);
    assert_non_null(strstr(e2e_read(path).bytes, "build failed: invalid flake_ref"));
    assert_true(is_whole(path));
    close(fd);
}

/* ---- a file without room ---- */

enum { ROOM = 10 }; /* for the beginning of a line */

/* By /proc/PID/stat, after the name. */
static bool sleeps(const char *stat)
{
    const char *after_name = strrchr(e2e_read(stat).bytes, ')');
    return after_name != NULL && strncmp(after_name, ") S", 3) == 0;
}

static bool is_listening(const char *path)
{
    return strstr(e2e_read(path).bytes, "listening on ") != NULL;
}

/* All that the agent has logged is written or lost. */
static void await_idle(pid_t writer)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)writer);
    assert_true(e2e_until(sleeps, path, E2E_PATIENCE_MS));
}

/* What was lost is counted after the line that was cut, and what came later is complete. */
static void assert_counted(const char *path, const char *reason)
{
    char report[128];
    snprintf(report, sizeof report,
             "\nmvm-builde\nmvm-builder-agent: %d lines of this log were lost: %s\n",
             2 * NOISY_BUILDS, reason);
    assert_true(e2e_until(is_whole, path, E2E_PATIENCE_MS));
    const char *at = strstr(e2e_read(path).bytes, report);
    assert_non_null(at);
    int lines = 0;
    for (at += strlen(report); (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, 2 * NOISY_BUILDS + 1);
}

static off_t size_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_size;
}

static void lines_past_the_limit_of_a_file_are_counted(void **state)
{
    (void)state;
    const char *path = e2e_path("log");
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = start(fd, 0);
    pid_t writer = writer_of(pid);
    assert_true(e2e_until(is_listening, path, E2E_PATIENCE_MS));
    struct rlimit old;
    struct rlimit limit;
    assert_int_equal(prlimit(writer, RLIMIT_FSIZE, NULL, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)(size_of(fd) + ROOM);
    assert_int_equal(prlimit(writer, RLIMIT_FSIZE, &limit, NULL), 0);
    make_noise();
    await_idle(writer);
    assert_int_equal(prlimit(writer, RLIMIT_FSIZE, &old, NULL), 0);
    make_noise();
    assert_ends(pid);
    assert_counted(path, "File too large");
    close(fd);
}

/* Leaves ROOM bytes of the log's last page, and no other page. */
static void fill_disk(const char *filler, int log)
{
    static char bytes[1 << 16];
    off_t page = (off_t)sysconf(_SC_PAGESIZE);
    off_t rest = page - size_of(log) % page;
    memset(bytes, '.', sizeof bytes);
    rest += rest <= ROOM ? page : 0;
    bytes[rest - ROOM - 1] = '\n';
    assert_int_equal(write(log, bytes, (size_t)(rest - ROOM)), rest - ROOM);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void lines_that_a_full_disk_refused_are_counted(void **state)
{
    (void)state;
    e2e_need_disks();
    mounted = e2e_mount("tmpfs", "disk", false);
    assert_int_equal(mount(NULL, mounted, NULL, MS_REMOUNT, "size=1m"), 0);
    const char *path = e2e_path("disk/log");
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = start(fd, 0);
    pid_t writer = writer_of(pid);
    assert_true(e2e_until(is_listening, path, E2E_PATIENCE_MS));
    fill_disk(e2e_path("disk/filler"), fd);
    make_noise();
    await_idle(writer);
    assert_int_equal(unlink(e2e_path("disk/filler")), 0);
    make_noise();
    assert_ends(pid);
    assert_counted(path, "No space left on device");
    close(fd);
}

/* It would get the agent's signal, and must still write its last lines. */
static void a_writer_ends_after_the_agent_and_not_by_its_signals(void **state)
{
    (void)state;
    const char *path = e2e_path("log");
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = start(fd, 0);
    pid_t writer = writer_of(pid);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        kill(writer, signals[i]);
    }
    make_noise();
    assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
    e2e_end(pid, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    close(fd);
}

static void a_signal_that_was_ignored_at_the_start_stays_ignored(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        pid_t pid = start(null, signals[i]);
        kill(pid, signals[i]);
        e2e_sleep_ms(200);
        struct e2e_conn *c = e2e_dial_path(socket_path());
        e2e_ping(c, E2E_PATIENCE_MS);
        e2e_close(c);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        int status = e2e_end(pid, signals[i] == SIGTERM ? SIGINT : SIGTERM);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_full_pipe_holds_up_nothing_and_what_is_lost_is_counted),
        E2E_TEST(a_full_socket_holds_up_nothing_and_what_is_lost_is_counted),
        E2E_TEST(a_pipe_whose_reader_is_gone_ends_nothing),
        E2E_TEST(lines_that_a_pipe_without_a_reader_refused_are_counted),
        E2E_TEST(a_stopped_terminal_holds_up_nothing),
        E2E_TEST(no_text_of_a_command_line_or_a_request_controls_a_terminal),
        E2E_TEST(a_file_has_all_that_was_logged),
        E2E_TEST(a_writer_that_is_killed_costs_no_line_that_follows),
        E2E_TEST(lines_past_the_limit_of_a_file_are_counted),
        E2E_TEST(lines_that_a_full_disk_refused_are_counted),
        E2E_TEST(a_writer_ends_after_the_agent_and_not_by_its_signals),
        E2E_TEST(a_file_on_a_disk_that_hangs_holds_up_nothing),
        E2E_TEST(a_file_on_a_disk_that_hung_is_complete_when_it_goes_on),
        E2E_TEST(a_signal_that_was_ignored_at_the_start_stays_ignored),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
