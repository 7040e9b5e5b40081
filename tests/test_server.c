/*
 * The server as its caller sees it: memory, the one descriptor, sockets, the end. It runs in this
 * process, step by step, or in another around poll(2).
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { FEW = 4, MEMORY = 1 << 23, STOP_MS = 3000 };

static struct mvm_server server;
static char memory[MEMORY];
static char lines[1 << 16]; /* the log of a server that runs here */

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    if (strlen(lines) + strlen(line) + 2 < sizeof lines) {
        strcat(strcat(lines, line), "\n");
    }
}

/* The log of a server in another process: a file. */
static void write_line(void *ctx, const char *line)
{
    int fd = open(ctx, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dprintf(fd, "%s\n", line);
    close(fd);
}

static int count_in(const char *text, const char *what)
{
    int count = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++) {
        count++;
    }
    return count;
}

static const char *socket_address(void)
{
    static char address[E2E_PATH_CAP + 8];
    snprintf(address, sizeof address, "unix:%s", e2e_path("sock"));
    return address;
}

static struct mvm_server_config fixture(void)
{
    lines[0] = '\0';
    return (struct mvm_server_config){
        .listen = {socket_address()},
        .clients = FEW,
        .executor = {.out_dir = e2e_path("out")},
        .posix = {.nix = e2e_path("nix"), .cgroup = ""},
        .log = keep_line,
    };
}

static void start_here(const struct mvm_server_config *config)
{
    memset(memory, 0xa5, sizeof memory);
    memset(&server, 0xa5, sizeof server);
    assert_int_equal(mvm_server_init(&server, config, memory, sizeof memory), 0);
}

static bool is_readable(void)
{
    struct pollfd p = {mvm_server_fd(&server), POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

static uint64_t step(void)
{
    return mvm_server_step(&server, mvm_server_now_ms());
}

static void step_until_quiet(void)
{
    do {
        step();
    } while (is_readable());
}

/* The loop of a server in a separate process, which is stopped when `stop` can be read, if that is
 * not -1; its exit status: 0 if it ended in order. */
static void serve(const struct mvm_server_config *config, int stop)
{
    if (mvm_server_init(&server, config, memory, sizeof memory) != 0) {
        _exit(9);
    }
    for (;;) {
        uint64_t now = mvm_server_now_ms(), deadline = mvm_server_step(&server, now);
        if (mvm_server_stopped(&server)) {
            break;
        }
        struct pollfd p[2] = {{mvm_server_fd(&server), POLLIN, 0}, {stop, POLLIN, 0}};
        poll(p, 2, mvm_server_timeout(deadline, now));
        if (p[1].revents != 0) {
            mvm_server_stop(&server, STOP_MS);
            stop = -1;
        }
    }
    bool orderly = mvm_server_orderly(&server);
    mvm_server_fini(&server);
    _exit(orderly ? 0 : 1);
}

static void close_inherited(int but)
{
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
        if (fd != but) {
            close(fd);
        }
    }
}

static pid_t start(struct mvm_server_config config, int stop)
{
    config.log = write_line;
    config.ctx = (void *)(uintptr_t)e2e_path("log");
    pid_t pid = e2e_fork();
    if (pid == 0) {
        close_inherited(stop);
        serve(&config, stop);
    }
    return pid;
}

static bool accepts(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void await_socket(void)
{
    assert_true(e2e_until(accepts, e2e_path("sock"), E2E_PATIENCE_MS));
}

static bool is_logged(const char *text)
{
    return e2e_exists(e2e_path("log")) && strstr(e2e_read(e2e_path("log")).bytes, text) != NULL;
}

static void await_log(const char *text)
{
    if (!e2e_until(is_logged, text, E2E_PATIENCE_MS)) {
        fail_msg("%s is not in the log: %s", text, e2e_read(e2e_path("log")).bytes);
    }
}

static struct e2e_conn *dial(void)
{
    return e2e_dial_path(e2e_path("sock"));
}

/* ---- memory ---- */

static void it_says_what_it_needs_and_takes_no_less(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    static const size_t clients[] = {1, 8, 64};
    for (size_t i = 0; i < 3; i++) {
        c.clients = clients[i];
        c.send_cap = c.receive_cap = 0;
        size_t needs = mvm_server_needs(&c);
        assert_int_equal(mvm_server_init(&server, &c, memory, needs - 1), MVM_SERVER_NO_MEMORY);
        assert_true(needs <= MVM_SERVER_MEMORY(clients[i]));
        c.send_cap = c.receive_cap = 64;
        assert_true(mvm_server_needs(&c) < needs);
    }
}

static void more_than_there_can_be_is_refused(void **state)
{
    (void)state;
    static const size_t too_many[] = {MVM_SERVER_CLIENTS_MOST + 1, SIZE_MAX / 2, SIZE_MAX};
    struct mvm_server_config config = fixture();
    config.clients = MVM_SERVER_CLIENTS_MOST;
    assert_true(mvm_server_needs(&config) < SIZE_MAX);
    for (size_t i = 0; i < sizeof too_many / sizeof too_many[0]; i++) {
        config = fixture();
        config.clients = too_many[i];
        assert_true(mvm_server_needs(&config) == SIZE_MAX);
        assert_int_equal(mvm_server_init(&server, &config, memory, SIZE_MAX), MVM_SERVER_NO_MEMORY);
        assert_string_equal(server.error_what, "clients and their buffers");
        config = fixture();
        config.receive_cap = SIZE_MAX - i;
        assert_int_equal(mvm_server_init(&server, &config, memory, SIZE_MAX), MVM_SERVER_NO_MEMORY);
        config = fixture();
        config.send_cap = SIZE_MAX / 2 - i;
        assert_int_equal(mvm_server_init(&server, &config, memory, SIZE_MAX), MVM_SERVER_NO_MEMORY);
    }
}

/* Clean-up code calls it whatever has happened. */
static void fini_after_a_failed_init_and_twice_is_harmless(void **state)
{
    (void)state;
    struct mvm_server_config config = fixture();
    int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    config.listen[1] = "nonsense";
    memset(memory, 0xa5, sizeof memory);
    memset(&server, 0, sizeof server);
    assert_int_equal(mvm_server_init(&server, &config, memory, sizeof memory),
                     MVM_SERVER_BAD_ADDRESS);
    mvm_server_fini(&server);
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        assert_true(fcntl(fd, F_GETFD) >= 0);
    }
    config.listen[1] = NULL;
    start_here(&config);
    mvm_server_fini(&server);
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mvm_server_fini(&server);
    assert_true(fcntl(first, F_GETFD) >= 0 && fcntl(other, F_GETFD) >= 0);
    close(first);
    close(other);
}

static void memory_may_be_anything_anywhere(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    for (size_t at = 1; at < 16; at += 7) {
        memset(memory, 0xa5, sizeof memory);
        memset(&server, 0xa5, sizeof server);
        size_t needs = mvm_server_needs(&c);
        assert_int_equal(mvm_server_init(&server, &c, memory + at, needs), 0);
        struct e2e_conn *conn = dial();
        e2e_say(conn, E2E_PING);
        step_until_quiet();
        assert_int_equal(e2e_frame(conn, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
        mvm_server_fini(&server);
        assert_int_equal((unsigned char)memory[at + needs], 0xa5);
        e2e_close(conn);
    }
}

static void buffers_of_one_byte_work(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    c.receive_cap = c.send_cap = 1;
    start_here(&c);
    struct e2e_conn *conn = dial();
    e2e_say(conn, E2E_PING E2E_PING);
    step_until_quiet();
    assert_int_equal(e2e_frame(conn, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    assert_int_equal(e2e_frame(conn, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    mvm_server_fini(&server);
}

/* ---- what init refuses ---- */

static void assert_refused(const char *const addresses[], size_t len, int error, const char *why)
{
    char text[128];
    struct mvm_writer w;
    struct mvm_server_config c = fixture();
    memset(c.listen, 0, sizeof c.listen);
    memcpy(c.listen, addresses, len * sizeof addresses[0]);
    assert_int_equal(mvm_server_init(&server, &c, memory, sizeof memory), error);
    mvm_writer_init(&w, text, sizeof text);
    mvm_server_explain(&server, &w);
    assert_string_equal(text, why);
    char line[sizeof text + 32];
    snprintf(line, sizeof line, "cannot start: %s\n", why);
    assert_string_equal(lines, line);
}

static void a_bad_address_is_refused_in_words(void **state)
{
    (void)state;
    const char *const one[] = {"vsock:x"}, *const empty[] = {""},
                      *const twice[] = {"fd:33", "fd:33"},
                      *const lines_twice[] = {"serial:a", "unix:/b", "serial:a"};
    assert_refused(one, 1, MVM_SERVER_BAD_ADDRESS, "vsock:x: the port is not a number");
    assert_refused(empty, 1, MVM_SERVER_BAD_ADDRESS, "listen: empty address");
    assert_refused(twice, 2, MVM_SERVER_BAD_ADDRESS, "fd:33: given twice");
    assert_refused(lines_twice, 3, MVM_SERVER_BAD_ADDRESS, "serial:a: given twice");
}

/* In a process whose standard error is a pipe: with room, full, and without a reader. */
static void a_log_to_stderr_waits_for_no_reader_and_raises_no_signal(void **state)
{
    (void)state;
    int pipes[2];
    char text[16] = "";
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    int size = fcntl(pipes[1], F_SETPIPE_SZ, 4096); /* or a page, if that is more */
    assert_true(size > 0);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        int read_end = fcntl(pipes[0], F_DUPFD_CLOEXEC, 10);
        close(pipes[0]);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[1]);
        mvm_server_print(NULL, "a line");
        if (read(read_end, text, sizeof text) != 7 || strcmp(text, "a line\n") != 0) {
            _exit(1);
        }
        for (int i = 0; i <= size; i++) { /* more than it holds */
            mvm_server_print(NULL, "");
        }
        close(read_end);
        mvm_server_print(NULL, "to no reader");
        close(STDERR_FILENO);
        mvm_server_print(NULL, "to nothing");
        _exit(0);
    }
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(e2e_wait(pid, E2E_PATIENCE_MS), 0);
}

static void a_log_to_a_terminal_waits_for_no_reader(void **state)
{
    (void)state;
    char line[400] = {0};
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    memset(line, 'x', sizeof line - 1);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
        dup2(terminal, STDERR_FILENO);
        for (int i = 0; i < 1000; i++) { /* more than it holds */
            mvm_server_print(NULL, line);
        }
        _exit((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) != 0);
    }
    assert_int_equal(e2e_wait(pid, E2E_PATIENCE_MS), 0);
    close(master);
}

static void an_ignored_sigchld_is_refused(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    struct sigaction no_wait = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}, before;
    sigaction(SIGCHLD, NULL, &before);
    signal(SIGCHLD, SIG_IGN);
    assert_int_equal(mvm_server_init(&server, &c, memory, sizeof memory), MVM_SERVER_NO_STATUS);
    sigaction(SIGCHLD, &no_wait, NULL);
    assert_int_equal(mvm_server_init(&server, &c, memory, sizeof memory), MVM_SERVER_NO_STATUS);
    sigaction(SIGCHLD, &before, NULL);
}

/* ---- the descriptor ---- */

static void it_is_readable_exactly_as_long_as_there_is_something_to_do(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    start_here(&c);
    int fd = mvm_server_fd(&server);
    step_until_quiet();
    struct e2e_conn *conn = dial();
    assert_true(is_readable());
    step_until_quiet();
    e2e_say(conn, E2E_PING);
    assert_true(is_readable());
    step();
    assert_false(is_readable());
    assert_int_equal(e2e_frame(conn, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    mvm_server_stop(&server, 1000);
    assert_true(is_readable());
    step();
    assert_true(mvm_server_stopped(&server));
    assert_int_equal(mvm_server_fd(&server), fd);
    mvm_server_fini(&server);
}

/* More than one step handles: the descriptor stays readable, the deadline is now. */
static void what_a_step_leaves_keeps_it_readable(void **state)
{
    (void)state;
    static char pings[7 * 20000 + 1];
    struct mvm_server_config c = fixture();
    int steps = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(pings + 7 * i, E2E_PING, 7);
    }
    c.send_cap = 1 << 19;
    start_here(&c);
    struct e2e_conn *conn = dial();
    step_until_quiet();
    e2e_say(conn, pings);
    for (uint64_t deadline; is_readable(); steps++) {
        uint64_t now = mvm_server_now_ms();
        deadline = mvm_server_step(&server, now);
        assert_true(deadline == UINT64_MAX || is_readable());
    }
    assert_true(steps > 1);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(e2e_frame(conn, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
        step_until_quiet();
    }
    mvm_server_fini(&server);
}

/* As a killed server leaves a build's cgroup. */
static const char *leave_build(void)
{
    static char path[E2E_PATH_CAP + 64];
    pid_t ended = e2e_fork();
    if (ended == 0) {
        _exit(0);
    }
    assert_int_equal(e2e_wait(ended, E2E_PATIENCE_MS), 0);
    assert_int_equal(mkdir(e2e_path("builds"), 0700), 0);
    snprintf(path, sizeof path, "%s/mvm-build-%d-1", e2e_path("builds"), (int)ended);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

static void a_client_that_is_there_already_is_answered_before_what_takes_longer(void **state)
{
    (void)state;
    const char *left = leave_build();
    struct mvm_server_config c = fixture();
    c.posix.cgroup = e2e_path("builds");
    start_here(&c);
    struct e2e_conn *conn = dial();
    e2e_say(conn, E2E_PING);
    step();
    assert_int_equal(e2e_frame(conn, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    assert_true(e2e_exists(left));
    assert_true(is_readable());
    step();
    assert_false(e2e_exists(left));
    assert_false(is_readable());
    mvm_server_fini(&server);
}

static void what_a_killed_server_has_left_ends_without_any_client(void **state)
{
    (void)state;
    const char *left = leave_build();
    struct mvm_server_config c = fixture();
    c.posix.cgroup = e2e_path("builds");
    start_here(&c);
    step_until_quiet();
    assert_false(e2e_exists(left));
    mvm_server_fini(&server);
}

static void no_descriptor_is_left_at_the_end(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    int before = dup(0);
    close(before);
    for (int i = 0; i < 3; i++) {
        start_here(&c);
        step_until_quiet();
        mvm_server_fini(&server);
    }
    int after = dup(0); /* the lowest that is free */
    close(after);
    assert_int_equal(after, before);
}

/* ---- events and the log ---- */

static char events[1024];

static void keep_event(void *ctx, const struct mvm_server_event *e)
{
    size_t len = strlen(events);
    (void)ctx;
    if (e->kind == MVM_SERVER_BUILD_STARTED) {
        snprintf(events + len, sizeof events - len, "started %.*s %.*s\n", (int)e->flake_ref.len,
                 e->flake_ref.bytes, (int)e->attr.len, e->attr.bytes);
    } else {
        snprintf(events + len, sizeof events - len, "ended %d %.20s\n", e->ok, e->text.bytes);
    }
}

static void it_reports_builds(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    c.event = keep_event;
    start_here(&c);
    struct e2e_conn *conn = dial();
    e2e_say(conn, "{\"Build\":{\"flake_ref\":\"a\\u001bb\\u009bc\\u202ed\",\"attr\":\"x\"}}\n");
    for (uint64_t at = step(); strstr(events, "ended") == NULL; at = step()) {
        struct pollfd p = {mvm_server_fd(&server), POLLIN, 0};
        poll(&p, 1, mvm_server_timeout(at, mvm_server_now_ms()));
    }
    assert_non_null(strstr(events, "started a\x1b"));
    assert_non_null(strstr(events, "ended 0 invalid flake_ref"));
    assert_non_null(strstr(lines, "build started: a?b??c???d#x\n"));
    mvm_server_fini(&server);
}

/* ---- Unix sockets ---- */

static void the_socket_is_private_whatever_the_umask(void **state)
{
    (void)state;
    struct stat st;
    struct mvm_server_config c = fixture();
    for (mode_t taken = 0; taken <= 0777; taken += 0777) {
        mode_t mask = umask(taken);
        start_here(&c);
        assert_int_equal(umask(mask), taken);
        assert_int_equal(stat(e2e_path("sock"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        mvm_server_fini(&server);
        assert_false(e2e_exists(e2e_path("sock")));
        assert_false(e2e_exists(e2e_path("sock.lock")));
    }
}

static void a_file_that_is_not_its_lock_stays(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    e2e_write_text(e2e_path("sock.lock"), "{}\n"); /* a flake's, say */
    start_here(&c);
    assert_non_null(strstr(lines, "with .lock behind it is not a lock"));
    mvm_server_fini(&server);
    assert_true(e2e_exists(e2e_path("sock.lock")));
    assert_false(e2e_exists(e2e_path("sock")));
}

/* Its socket looks stale, since it no longer listens; but the server lives, and keeps the path. */
static void a_lock_decides_which_of_two_servers_has_a_path(void **state)
{
    (void)state;
    pid_t first = start(fixture(), -1);
    await_socket();
    pid_t second = start(fixture(), -1);
    await_log("cannot listen on unix:");
    assert_true(is_logged("Address already in use; trying again every second"));
    unlink(e2e_path("sock"));
    await_socket(); /* made again by the first */
    e2e_end(first, SIGKILL);
    await_socket(); /* the second one has it now: no other process listens */
    struct e2e_conn *c = dial();
    e2e_ping(c, E2E_PATIENCE_MS);
    e2e_end(second, SIGKILL);
}

/* What the directories have is collected, since a test that fails must not leave this process in
 * another directory. */
static void a_relative_path_is_below_the_directory_at_init(void **state)
{
    static const char *const names[] = {"sock", "sock.lock", "other/sock", "other/sock.lock"};
    (void)state;
    struct mvm_server_config c = fixture();
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned serving = 0, left = 0;
    c.listen[0] = "unix:sock";
    e2e_make_dir(e2e_path("other"));
    assert_int_equal(chdir(e2e_path(".")), 0);
    int r = mvm_server_init(&server, &c, memory, sizeof memory);
    int moved = chdir("other");
    int removed = unlink(e2e_path("sock"));
    step_until_quiet();
    for (unsigned i = 0; i < 4; i++) {
        serving |= (unsigned)e2e_exists(e2e_path("%s", names[i])) << i;
    }
    mvm_server_fini(&server);
    for (unsigned i = 0; i < 4; i++) {
        left |= (unsigned)e2e_exists(e2e_path("%s", names[i])) << i;
    }
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_true(r == 0 && moved == 0 && removed == 0);
    assert_int_equal(serving, 3);
    assert_int_equal(left, 0);
}

/* What init says, started in that directory, which may be removed before. */
static const char *refusal_in(const char *dir, bool removed, const char *one, const char *two)
{
    struct mvm_server_config c = fixture();
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c.listen[0] = one;
    c.listen[1] = two;
    e2e_make_dir(dir);
    assert_int_equal(chdir(dir), 0);
    int gone = removed ? rmdir(dir) : 0;
    int r = mvm_server_init(&server, &c, memory, sizeof memory);
    int back = fchdir(here);
    close(here);
    assert_true(gone == 0 && back == 0);
    assert_int_equal(r, MVM_SERVER_BAD_ADDRESS);
    return server.error;
}

static void a_relative_path_is_checked_as_the_absolute_one_that_it_is(void **state)
{
    char name[64] = "", dir[128] = "";
    const char *same = socket_address();
    (void)state;
    memset(name, 'x', sizeof name - 1);
    memset(dir, 'y', sizeof dir - 1);
    memcpy(name, "unix:", 5);
    assert_string_equal(refusal_in(e2e_path("."), false, "unix:sock", same), "given twice");
    assert_string_equal(refusal_in("/", false, "unix:a", "unix:/a"), "given twice");
    assert_string_equal(refusal_in(e2e_path("%s", name + 5), false, name, NULL), "path too long");
    assert_string_equal(refusal_in(e2e_path("%s", dir), false, "unix:a", NULL), "path too long");
    assert_string_equal(refusal_in(e2e_path("gone"), true, "unix:a", NULL),
                        "the working directory has no path");
}

static void a_removed_socket_is_made_again(void **state)
{
    (void)state;
    struct mvm_server_config config = fixture();
    config.clients = 3 * FEW; /* no idle one has to make room */
    start(config, -1);
    await_socket();
    struct e2e_conn *c = dial();
    e2e_ping(c, E2E_PATIENCE_MS);
    for (int i = 0; i < 3; i++) {
        unlink(e2e_path("sock"));
        if (i == 1) {
            unlink(e2e_path("sock.lock"));
        }
        await_socket();
        e2e_ping(dial(), E2E_PATIENCE_MS);
    }
    e2e_ping(c, E2E_PATIENCE_MS); /* connected clients stay connected */
    assert_true(is_logged("the socket was removed"));
}

/* ---- room ---- */

static void idle_clients_make_room_when_descriptors_run_out(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    c.clients = 32;
    c.log = write_line;
    c.ctx = (void *)(uintptr_t)e2e_path("log");
    pid_t pid = e2e_fork();
    if (pid == 0) {
        close_inherited(-1);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){16, 16});
        serve(&c, -1);
    }
    await_socket();
    for (int i = 0; i < 12; i++) {
        e2e_ping(dial(), E2E_PATIENCE_MS);
    }
}

static void that_all_are_busy_is_reported_once(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    c.clients = 2;
    e2e_write_nix("echo begun >&2; exec sleep 60");
    start(c, -1);
    await_log("listening on unix:"); /* without a connection, which would take a place */
    struct e2e_conn *busy = dial(), *queued = dial();
    e2e_say_build(busy, "f", "a", "");
    e2e_await_line(busy, "begun");
    e2e_say_build(queued, "f", "a", "");
    e2e_await_line(queued, "mvm: waiting for another build, 1 ahead");
    struct e2e_conn *third = dial();
    e2e_say(third, E2E_PING);
    await_log("every connection is busy (2 at most): new clients wait");
    e2e_assert_silent(third, 300);
    e2e_close(queued);
    assert_int_equal(e2e_frame(third, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    assert_int_equal(count_in(e2e_read(e2e_path("log")).bytes, "every connection is busy"), 1);
}

/* ---- the end ---- */

static void no_write_raises_sigpipe(void **state)
{
    (void)state;
    e2e_write_nix("exec yes flood >&2");
    pid_t pid = start(fixture(), -1); /* e2e_fork has set SIGPIPE to its default */
    await_socket();
    for (int i = 0; i < 20; i++) {
        struct e2e_conn *c = dial();
        e2e_say_build(c, "f", "a", "");
        e2e_await_line(c, "flood");
        e2e_close(c);
    }
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
}

static void it_stops_in_time_with_a_client_that_does_not_read(void **state)
{
    (void)state;
    e2e_write_nix("exec yes flood >&2");
    int stop[2];
    assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
    pid_t pid = start(fixture(), stop[0]);
    await_socket();
    struct e2e_conn *c = dial();
    e2e_say_build(c, "f", "a", "");
    e2e_await_line(c, "flood");
    uint64_t begun = e2e_now_ms();
    assert_int_equal(write(stop[1], "s", 1), 1);
    close(stop[0]);
    close(stop[1]);
    e2e_wait(pid, E2E_PATIENCE_MS);
    assert_in_range(e2e_now_ms() - begun, 0, STOP_MS + 20000);
    assert_false(e2e_exists(e2e_path("sock")));
}

/* When a machine ends, what its monitor holds is lost: wait for the client. */
static void it_lingers_for_a_client_that_was_answered(void **state)
{
    (void)state;
    for (int goes = 0; goes < 2; goes++) {
        struct mvm_server_config c = fixture();
        c.exit_after_build = true;
        c.linger_ms = goes ? 120000 : 2000;
        pid_t pid = start(c, -1);
        await_socket();
        struct e2e_conn *conn = dial();
        uint64_t asked = e2e_now_ms();
        e2e_say_build(conn, "f", "a", "");
        e2e_assert_err(conn, "nix build failed", E2E_PATIENCE_MS);
        if (goes) {
            e2e_sleep_ms(300);
            assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
            e2e_close(conn);
        }
        assert_int_equal(e2e_wait(pid, E2E_PATIENCE_MS), 0);
        assert_true(goes || e2e_now_ms() - asked >= c.linger_ms);
        e2e_close(conn);
    }
}

/* Until the build has ended, whose client has gone. */
static void build_for_a_client_that_goes(void)
{
    struct e2e_conn *conn = dial();
    e2e_say(conn, "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"a\",\"id\":\"aaaaaaaaaaaaaaaa\","
                  "\"keep\":true}}\n");
    while (server.scheduler.queued == 0) {
        step();
    }
    e2e_close(conn);
    while (server.scheduler.queued > 0) {
        step();
        e2e_sleep_ms(1);
    }
    step_until_quiet();
}

static void after_a_build_to_be_kept_its_client_may_come_back(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    c.exit_after_build = true;
    start_here(&c);
    build_for_a_client_that_goes();
    struct e2e_conn *other = dial();
    e2e_say(other, E2E_PING);
    step_until_quiet();
    assert_int_equal(e2e_frame(other, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    assert_false(mvm_server_stopped(&server));
    e2e_say_build(other, "f", "a", ""); /* it would make the answer untrue, and be cut short */
    step_until_quiet();
    e2e_assert_err(other, "build rejected: the agent is stopping", E2E_PATIENCE_MS);
    e2e_say(other, "{\"Join\":{\"id\":\"aaaaaaaaaaaaaaaa\"}}\n");
    while (!mvm_server_stopped(&server)) {
        step();
    }
    e2e_assert_err(other, "nix build failed", E2E_PATIENCE_MS);
    e2e_close(other);
    assert_true(mvm_server_orderly(&server));
    mvm_server_fini(&server);
    start_here(&c);
    build_for_a_client_that_goes();
    uint64_t now = mvm_server_now_ms(), deadline = mvm_server_step(&server, now);
    assert_in_range(deadline, now + MVM_COLLECT_MS - 5000, now + MVM_COLLECT_MS);
    mvm_server_step(&server, deadline - 1);
    assert_false(mvm_server_stopped(&server));
    while (!mvm_server_stopped(&server)) {
        mvm_server_step(&server, deadline);
    }
    mvm_server_fini(&server);
}

static void it_ends_when_it_has_been_idle_for_long_enough(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    c.exit_idle_ms = 3000;
    pid_t pid = start(c, -1);
    await_socket();
    struct e2e_conn *conn = dial();
    e2e_sleep_ms(4000);
    e2e_ping(conn, E2E_PATIENCE_MS); /* connected: not idle */
    uint64_t begun = e2e_now_ms();
    e2e_close(conn);
    assert_int_equal(e2e_wait(pid, E2E_PATIENCE_MS), 0);
    assert_in_range(e2e_now_ms() - begun, 2900, E2E_PATIENCE_MS);
}

/* Its number may be another descriptor's later. The others are served. */
static void an_inherited_descriptor_that_is_not_open_is_not_tried_again(void **state)
{
    (void)state;
    for (int others = 0; others < 2; others++) {
        struct mvm_server_config c = fixture();
        c.listen[0] = "fd:9999";
        c.listen[1] = others > 0 ? socket_address() : NULL;
        start_here(&c);
        assert_non_null(strstr(lines, "cannot listen on fd:9999: Bad file descriptor\n"));
        step();
        assert_int_equal(mvm_server_stopped(&server), others == 0);
        assert_false(mvm_server_orderly(&server));
        mvm_server_fini(&server);
    }
}

static void a_second_stop_brings_the_end_nearer(void **state)
{
    (void)state;
    struct mvm_server_config c = fixture();
    e2e_write_nix("trap '' TERM; : >\"$MVM_E2E/deaf\"; while :; do sleep 1; done");
    start_here(&c);
    struct e2e_conn *conn = dial();
    e2e_say_build(conn, "f", "a", "");
    while (!e2e_exists(e2e_path("deaf"))) {
        e2e_assert_in_time();
        step();
        e2e_sleep_ms(1);
    }
    mvm_server_stop(&server, 60000);
    step();
    assert_false(mvm_server_stopped(&server));
    mvm_server_stop(&server, 0);
    assert_true(mvm_server_stopped(&server));
    assert_false(mvm_server_orderly(&server));
    mvm_server_fini(&server);
}

/* ---- serial lines ---- */

static int open_line(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    unlink(e2e_path("line"));
    assert_int_equal(symlink(ptsname(master), e2e_path("line")), 0);
    return master;
}

static void await_text(struct e2e_conn *c, const char *text)
{
    struct mvm_text line;
    do {
        assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    } while (memmem(line.bytes, line.len, text, strlen(text)) == NULL);
}

/* The line is lost during a build and comes back after its end; the host sends nothing. */
static void what_a_line_is_owed_goes_out_when_it_comes_back(void **state)
{
    (void)state;
    char address[E2E_PATH_CAP + 8];
    struct mvm_server_config c = fixture();
    snprintf(address, sizeof address, "serial:%s", e2e_path("line"));
    c.listen[0] = address;
    e2e_write_nix("echo begun >&2; while [ ! -e \"$MVM_E2E/go\" ]; do sleep 0.1; done; "
                  "echo ended >&2; exit 3");
    struct e2e_conn *line = e2e_adopt(open_line());
    start(c, -1);
    await_log("listening on serial:");
    e2e_say(line, "\n");
    e2e_say_build(line, "f", "a", "");
    await_text(line, "begun");
    e2e_close(line);
    await_log("lost serial:");
    e2e_write_text(e2e_path("go"), "");
    await_log("build failed: ");
    line = e2e_adopt(open_line());
    await_text(line, "ended");
    await_text(line, "nix build failed (exit status: 3)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(it_says_what_it_needs_and_takes_no_less),
        E2E_TEST(more_than_there_can_be_is_refused),
        E2E_TEST(fini_after_a_failed_init_and_twice_is_harmless),
        E2E_TEST(memory_may_be_anything_anywhere),
        E2E_TEST(buffers_of_one_byte_work),
        E2E_TEST(a_bad_address_is_refused_in_words),
        E2E_TEST(a_log_to_stderr_waits_for_no_reader_and_raises_no_signal),
        E2E_TEST(a_log_to_a_terminal_waits_for_no_reader),
        E2E_TEST(an_ignored_sigchld_is_refused),
        E2E_TEST(it_is_readable_exactly_as_long_as_there_is_something_to_do),
        E2E_TEST(what_a_step_leaves_keeps_it_readable),
        E2E_TEST(a_client_that_is_there_already_is_answered_before_what_takes_longer),
        E2E_TEST(what_a_killed_server_has_left_ends_without_any_client),
        E2E_TEST(no_descriptor_is_left_at_the_end),
        E2E_TEST(it_reports_builds),
        E2E_TEST(the_socket_is_private_whatever_the_umask),
        E2E_TEST(a_file_that_is_not_its_lock_stays),
        E2E_TEST(a_lock_decides_which_of_two_servers_has_a_path),
        E2E_TEST(a_relative_path_is_below_the_directory_at_init),
        E2E_TEST(a_relative_path_is_checked_as_the_absolute_one_that_it_is),
        E2E_TEST(a_removed_socket_is_made_again),
        E2E_TEST(idle_clients_make_room_when_descriptors_run_out),
        E2E_TEST(that_all_are_busy_is_reported_once),
        E2E_TEST(no_write_raises_sigpipe),
        E2E_TEST(it_stops_in_time_with_a_client_that_does_not_read),
        E2E_TEST(it_lingers_for_a_client_that_was_answered),
        E2E_TEST(after_a_build_to_be_kept_its_client_may_come_back),
        E2E_TEST(it_ends_when_it_has_been_idle_for_long_enough),
        E2E_TEST(an_inherited_descriptor_that_is_not_open_is_not_tried_again),
        E2E_TEST(a_second_stop_brings_the_end_nearer),
        E2E_TEST(what_a_line_is_owed_goes_out_when_it_comes_back),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
