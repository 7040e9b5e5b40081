/*
 * The agent as a process: its listeners, connections and signals. A shell script stands in for nix;
 * its builds fail because they have no artifacts, which is answer enough here.
 */
#define _GNU_SOURCE
#include "loop.h"
#include "temporary.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PING  "\"Ping\"\n"
#define PONG  "\"Pong\"\n"
#define QUICK "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"quick\"}}\n"
#define SLOW  "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"slow\"}}\n"
#define FLOOD "{\"Build\":{\"flake_ref\":\"f\",\"attr\":\"flood\"}}\n"

/* Prints "begin"; then ends, sleeps, or prints without end. */
static const char nix_script[] = "#!/bin/sh\n"
                                 "case \"$*\" in\n"
                                 "*--version*) echo 'nix (Nix) 2.26.0'; exit;;\n"
                                 "esac\n"
                                 "echo begin >&2\n"
                                 "case \"$*\" in\n"
                                 "*slow*) exec sleep 60;;\n"
                                 "*flood*) exec yes flood;;\n"
                                 "esac\n"
                                 "exit 3\n";

enum { WAIT_MS = 60000, NAP_MS = 5, ARGS_MAX = 24 };

static char dir[TEMPORARY_CAP];
static char socket_path[128];
static char log_path[128];
static char log_text[1 << 16];
static pid_t agent_pid;
static int handed_over; /* the only descriptor that the agent inherits besides the standard ones */

/* ---- the agent ---- */

static void path_in(char *path, const char *name)
{
    snprintf(path, 128, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[128];
    path_in(path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    assert_true(make_temporary(dir, "agent"));
    path_in(socket_path, "sock");
    path_in(log_path, "log");
    write_file("nix", nix_script, 0755);
    agent_pid = 0;
    handed_over = -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"sock", "log", "nix", "out/build.log", "out", ""};
    if (agent_pid > 0) {
        kill(agent_pid, SIGTERM);
        kill(agent_pid, SIGTERM);
        waitpid(agent_pid, NULL, 0);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        path_in(path, names[i]);
        remove(path);
    }
    return 0;
}

static void run_agent(const char *const more[])
{
    static struct mvm_agent agent;
    static struct mvm_options options;
    static char out[128], nix[128], why_text[256];
    struct mvm_writer why;
    path_in(out, "out");
    path_in(nix, "nix");
    const char *argv[ARGS_MAX] = {
        "agent", "--out-dir",    out,   "--out-dev", "none",         "--in-dev",
        "none",  "--nix",        nix,   "--policy",  "/nonexistent", "--heartbeat",
        "0",     "--stream-dir", "none"};
    int argc = 15;
    for (int i = 0; more[i] != NULL; i++) {
        argv[argc++] = more[i];
    }
    mvm_writer_init(&why, why_text, sizeof why_text);
    bool sound = mvm_options_parse(&options, argc, (char *const *)argv, &why) == MVM_OPTIONS_RUN;
    _exit(sound ? mvm_agent_run(&agent, &options) : 2);
}

static void start(const char *const more[])
{
    agent_pid = fork();
    assert_true(agent_pid >= 0);
    if (agent_pid == 0) {
        int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDERR_FILENO);
        for (fd = STDERR_FILENO + 1; fd < 1024; fd++) {
            if (fd != handed_over) {
                close(fd);
            }
        }
        run_agent(more);
    }
}

#define START(...) start((const char *const[]){__VA_ARGS__, NULL})

static const char *read_log(void)
{
    int fd = open(log_path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, log_text, sizeof log_text - 1) : 0;
    log_text[n > 0 ? n : 0] = '\0';
    close(fd);
    return log_text;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000}, NULL);
}

static void wait_for_log(const char *text)
{
    for (int ms = 0; strstr(read_log(), text) == NULL; ms += 5) {
        if (ms > WAIT_MS) {
            fail_msg("\"%s\" is not in the log: %s", text, log_text);
        }
        nap();
    }
}

static int count_in_log(const char *text)
{
    int count = 0;
    for (const char *p = read_log(); (p = strstr(p, text)) != NULL; p++) {
        count++;
    }
    return count;
}

static void start_on_socket(void)
{
    char address[144];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    START("--listen", address);
    wait_for_log("listening on unix:");
}

/* The exit status of the agent once it has exited. */
static int wait_for_exit(void)
{
    int status;
    assert_int_equal(waitpid(agent_pid, &status, 0), agent_pid);
    agent_pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int stop(void)
{
    kill(agent_pid, SIGTERM);
    return wait_for_exit();
}

/* The agent's /proc/PID/NAME. */
static const char *read_proc(const char *name)
{
    static char text[4096];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)agent_pid, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

/* The agent's processor time, in ms. */
static long used_ms(void)
{
    unsigned long user, sys;
    assert_int_equal(sscanf(strrchr(read_proc("stat"), ')'),
                            ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys),
                     2);
    return (long)(user + sys) * 1000 / sysconf(_SC_CLK_TCK);
}

/* How often the agent has gone to sleep. */
static long sleeps(void)
{
    static const char label[] = "\nvoluntary_ctxt_switches:";
    const char *at = strstr(read_proc("status"), label);
    assert_non_null(at);
    return strtol(at + sizeof label - 1, NULL, 10);
}

/* On a busy machine what came before may still be handled. */
static void assert_idle_for_a_while(void)
{
    long used = LONG_MAX;
    for (int i = 0; i < 20 && used > 150; i++) {
        long before = used_ms();
        nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
        used = used_ms() - before;
    }
    assert_in_range(used, 0, 150);
}

/* ---- a client ---- */

static int dial(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Reads until `text` was received or, if it is NULL, until end-of-file. */
static const char *hear(int fd, const char *text)
{
    static char heard[1 << 16];
    size_t len = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        heard[len] = '\0';
        if (text != NULL && strstr(heard, text) != NULL) {
            return heard;
        }
        if (poll(&p, 1, WAIT_MS) <= 0 || len == sizeof heard - 1) {
            fail_msg("heard only: %s", heard);
        }
        ssize_t n = read(fd, heard + len, sizeof heard - 1 - len);
        if (n <= 0) {
            assert_true(text == NULL);
            return heard;
        }
        len += (size_t)n;
    }
}

static void assert_pong(int fd)
{
    say(fd, PING);
    assert_string_equal(hear(fd, "\n"), PONG);
}

/* ---- Unix sockets ---- */

static void the_socket_is_private_and_goes_with_the_agent(void **state)
{
    (void)state;
    struct stat st;
    start_on_socket();
    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = dial();
    assert_pong(fd);
    assert_pong(fd);
    close(fd);
    assert_int_equal(stop(), 0);
    assert_int_equal(stat(socket_path, &st), -1);
}

/* A client that reads its answer frees room that no build waits for: the agent stays asleep. */
static void it_wakes_once_for_a_ping(void **state)
{
    (void)state;
    enum { PINGS = 50 };
    start_on_socket();
    int fd = dial();
    assert_pong(fd);
    nap();
    long before = sleeps();
    for (int i = 0; i < PINGS; i++) {
        say(fd, PING);
        nap();
        assert_string_equal(hear(fd, "\n"), PONG);
        nap();
    }
    assert_in_range(sleeps() - before, 1, PINGS + 10);
    close(fd);
}

enum { PING_LEN = sizeof PING - 1, PONG_LEN = sizeof PONG - 1, BLOCK = 512 };

/* A word again and again. */
static void repeat(char *to, const char *word, size_t len)
{
    for (size_t i = 0; i < BLOCK; i++) {
        memcpy(to + i * len, word, len);
    }
}

/* Sends Pings without reading until the socket accepts no more; returns the number of bytes. If
 * that is before the agent's buffer for answers can be full, a busy machine has not run the agent
 * yet. */
static size_t ping_until_stuck(int fd)
{
    static char pings[BLOCK * PING_LEN];
    size_t sent = 0;
    int naps_max = WAIT_MS / NAP_MS;
    repeat(pings, PING, PING_LEN);
    for (int stuck = 0; stuck < 5 || (sent <= MVM_SEND_CAP && stuck < naps_max);) {
        size_t at = sent % PING_LEN;
        ssize_t n = send(fd, pings + at, sizeof pings - at, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        stuck = n > 0 ? 0 : stuck + 1;
        if (n <= 0) {
            nap();
        }
    }
    return sent;
}

static void hear_pongs(int fd, size_t count)
{
    static char pongs[BLOCK * PONG_LEN], answers[BLOCK * PONG_LEN];
    repeat(pongs, PONG, PONG_LEN);
    for (size_t left = count * PONG_LEN, n; left > 0; left -= n) {
        size_t at = (count * PONG_LEN - left) % PONG_LEN;
        size_t room = sizeof answers - at < left ? sizeof answers - at : left;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t got = recv(fd, answers, room, 0);
        assert_true(got > 0);
        n = (size_t)got;
        assert_memory_equal(answers, pongs + at, n);
    }
}

/* A client that does not read is not written to, and receives everything when it does; repeatedly,
 * so that EPOLLOUT is enabled and disabled more than once. */
static void a_client_that_reads_late_gets_every_answer(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    for (int round = 0; round < 3; round++) {
        size_t sent = ping_until_stuck(fd);
        assert_true(sent > MVM_SEND_CAP);
        hear_pongs(fd, sent / PING_LEN);
        if (sent % PING_LEN > 0) {
            say(fd, &PING[sent % PING_LEN]);
            hear_pongs(fd, 1);
        }
        assert_pong(fd);
    }
    assert_idle_for_a_while();
    close(fd);
}

static int bind_socket(bool listening)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    if (listening) {
        assert_int_equal(listen(fd, 5), 0);
    }
    return fd;
}

static void with_that_option_it_ends_once_a_build_is_answered(void **state)
{
    (void)state;
    char address[144];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    START("--exit-after-build", "--listen", address);
    wait_for_log("listening on unix:");
    int fd = dial();
    assert_pong(fd);
    say(fd, QUICK);
    assert_non_null(strstr(hear(fd, NULL), "{\"Err\":"));
    close(fd);
    assert_int_equal(wait_for_exit(), 0);
}

static void a_virtio_port_that_is_not_there_is_reported_by_its_name(void **state)
{
    (void)state;
    START("--listen", "serial:org.mvm.none");
    wait_for_log("cannot listen on serial:org.mvm.none: No such device; trying again every second");
    assert_int_equal(stop(), 0);
}

static void a_file_in_place_of_a_serial_line_is_left_alone(void **state)
{
    (void)state;
    char address[144];
    struct stat st;
    snprintf(address, sizeof address, "serial:%s", socket_path);
    close(open(socket_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    START("--listen", address);
    wait_for_log(": not a tty or a virtio-serial port; trying again every second");
    assert_int_equal(stop(), 0);
    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_size, 0);
    unlink(socket_path);
}

static void a_signal_as_soon_as_it_listens_leaves_no_socket(void **state)
{
    (void)state;
    char address[144];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    for (int i = 0; i < 50; i++) {
        START("--listen", address);
        while (access(socket_path, F_OK) < 0) {
            sched_yield();
        }
        assert_int_equal(stop(), 0);
        assert_int_equal(access(socket_path, F_OK), -1);
    }
}

static void a_stale_socket_is_replaced(void **state)
{
    (void)state;
    close(bind_socket(true));
    start_on_socket();
    int fd = dial();
    assert_pong(fd);
    close(fd);
}

static void a_socket_that_another_process_listens_on_is_waited_for_and_logged_once(void **state)
{
    (void)state;
    char address[144];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    int other = bind_socket(true);
    START("--listen", address);
    wait_for_log("cannot listen on unix:");
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 200000000}, NULL);
    close(other);
    wait_for_log("listening on unix:");
    assert_int_equal(count_in_log("cannot listen"), 1);
    int fd = dial();
    assert_pong(fd);
    close(fd);
}

static void a_listener_too_busy_to_answer_keeps_its_socket(void **state)
{
    (void)state;
    enum { MANY = 64 };
    char address[144];
    int fds[MANY], n = 0, r = 0;
    struct stat before, after;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, socket_path);
    snprintf(address, sizeof address, "unix:%s", socket_path);
    int other = bind_socket(false);
    assert_int_equal(listen(other, 0), 0);
    while (r == 0 && n < MANY) {
        fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        r = connect(fds[n++], (struct sockaddr *)&name, sizeof name);
    }
    assert_int_equal(r, -1);
    assert_int_equal(errno, EAGAIN);
    stat(socket_path, &before);
    START("--listen", address);
    wait_for_log("cannot listen on unix:");
    assert_int_equal(stat(socket_path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    while (n > 0) {
        close(fds[--n]);
    }
    close(other);
}

static void a_file_in_the_sockets_place_is_left_alone(void **state)
{
    (void)state;
    char address[144];
    struct stat st;
    snprintf(address, sizeof address, "unix:%s", socket_path);
    write_file("sock", "precious", 0600);
    START("--listen", address);
    wait_for_log("cannot listen on unix:");
    assert_int_equal(stop(), 0);
    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_size, 8);
}

static void a_socket_of_another_process_is_not_removed_at_the_end(void **state)
{
    (void)state;
    struct stat st;
    char moved[sizeof socket_path + 8];
    snprintf(moved, sizeof moved, "%s.own", socket_path);
    int other = bind_socket(true); /* before the agent exists, which makes its socket again */
    assert_int_equal(rename(socket_path, moved), 0);
    start_on_socket();
    assert_int_equal(rename(moved, socket_path), 0);
    assert_int_equal(stop(), 0);
    assert_int_equal(stat(socket_path, &st), 0);
    close(other);
}

/* ---- clients ---- */

static void a_client_that_half_closes_still_gets_its_answer_and_is_closed(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    say(fd, QUICK);
    shutdown(fd, SHUT_WR);
    const char *heard = hear(fd, NULL);
    assert_non_null(strstr(heard, "{\"Log\":{\"line\":\"begin\"}}\n"));
    assert_non_null(strstr(heard, "{\"Err\":{\"message\":\"nix build failed (exit status: 3)"));
    assert_int_equal(heard[strlen(heard) - 1], '\n');
    close(fd);
}

static void a_request_without_its_newline_counts_at_the_end(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    say(fd, "\"Ping\"");
    shutdown(fd, SHUT_WR);
    assert_string_equal(hear(fd, NULL), PONG);
    close(fd);
}

static void a_half_closed_client_costs_nothing_while_it_waits(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    say(fd, SLOW);
    shutdown(fd, SHUT_WR);
    hear(fd, "begin");
    assert_idle_for_a_while();
    close(fd);
}

static void a_build_is_cancelled_when_its_client_goes(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    say(fd, SLOW);
    hear(fd, "begin");
    close(fd);
    wait_for_log("build failed: build cancelled");
    fd = dial();
    say(fd, QUICK);
    hear(fd, "exit status: 3");
    close(fd);
}

static void a_half_closed_client_that_goes_is_noticed(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    say(fd, SLOW);
    shutdown(fd, SHUT_WR);
    hear(fd, "begin");
    close(fd);
    wait_for_log("build failed: build cancelled");
}

static void a_client_that_never_reads_harms_no_other_and_its_end_is_noticed(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    say(fd, FLOOD);
    hear(fd, "flood");
    int other = dial();
    assert_pong(other);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_idle_for_a_while();
    assert_pong(other);
    close(fd);
    wait_for_log("build failed: build cancelled");
    assert_pong(other);
    close(other);
}

/* When it reads again, the receive buffer and the send buffer are full and the input has ended. */
static void a_client_that_goes_in_the_middle_of_too_much_is_noticed(void **state)
{
    (void)state;
    static char pings[7 * 1000 + 1];
    for (int i = 0; i < 1000; i++) {
        memcpy(pings + 7 * i, PING, 7);
    }
    start_on_socket();
    int fd = dial();
    say(fd, FLOOD);
    hear(fd, "flood");
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    kill(agent_pid, SIGSTOP);
    say(fd, pings);
    close(fd);
    kill(agent_pid, SIGCONT);
    wait_for_log("build failed: build cancelled");
}

static void with_keep_building_it_accepts_a_request_whose_client_is_gone_immediately(void **state)
{
    (void)state;
    char address[144];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    START("--keep-building", "--listen", address);
    wait_for_log("listening");
    int fd = dial();
    say(fd, QUICK);
    close(fd);
    wait_for_log("build failed: nix build failed (exit status: 3)");
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    start_on_socket();
    int fd = dial();
    for (const char *p = PING; *p != '\0'; p++) {
        assert_int_equal(write(fd, p, 1), 1);
        nap();
    }
    assert_string_equal(hear(fd, "\n"), PONG);
    close(fd);
}

static void two_hundred_clients_at_once_are_all_answered(void **state)
{
    (void)state;
    enum { MANY = 200 };
    int fds[MANY];
    start_on_socket();
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial();
        say(fds[i], PING);
    }
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(hear(fds[i], "\n"), PONG);
        close(fds[i]);
    }
}

static void the_idle_make_room_when_every_slot_is_taken(void **state)
{
    (void)state;
    int fds[MVM_CLIENTS_MAX];
    start_on_socket();
    for (int i = 0; i < MVM_CLIENTS_MAX; i++) {
        fds[i] = dial();
        assert_pong(fds[i]);
    }
    int late = dial();
    assert_pong(late);
    assert_string_equal(hear(fds[0], NULL), "");
    for (int i = 1; i < MVM_CLIENTS_MAX; i++) {
        assert_pong(fds[i]);
        close(fds[i]);
    }
    close(fds[0]);
    close(late);
}

/* ---- inherited descriptors ---- */

static void a_connected_descriptor_is_served_until_it_ends(void **state)
{
    (void)state;
    int pair[2];
    char address[32];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    handed_over = pair[1];
    snprintf(address, sizeof address, "fd:%d", pair[1]);
    START("--listen", address);
    close(pair[1]);
    assert_pong(pair[0]);
    close(pair[0]);
    assert_int_equal(wait_for_exit(), 0);
}

static void a_listening_descriptor_is_accepted_on(void **state)
{
    (void)state;
    char address[32];
    int fd = bind_socket(true);
    handed_over = fd;
    snprintf(address, sizeof address, "fd:%d", fd);
    START("--listen", address);
    int client = dial();
    assert_pong(client);
    close(client);
    close(fd);
}

static void a_descriptor_that_is_not_open_is_reported_once_and_others_are_served(void **state)
{
    (void)state;
    char address[144];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    START("--listen", "fd:999", "--listen", address);
    wait_for_log("listening on unix:");
    int fd = dial();
    assert_pong(fd);
    assert_int_equal(count_in_log("cannot listen on fd:999: Bad file descriptor"), 1);
    close(fd);
}

/* The agent's own descriptors get the first free numbers: none of them is served as a client. */
static void descriptors_of_its_own_are_never_taken_for_inherited_ones(void **state)
{
    (void)state;
    char stream[128];
    path_in(stream, "stream");
    for (int fd = 3; fd < 8; fd++) {
        char address[32];
        snprintf(address, sizeof address, "fd:%d", fd);
        START("--listen", address, "--stream-dir", stream);
        assert_int_equal(wait_for_exit(), 1);
    }
    for (int ms = 0; ms < WAIT_MS && count_in_log("Bad file descriptor") < 5; ms += NAP_MS) {
        nap(); /* the log is written by another process */
    }
    assert_int_equal(count_in_log("Bad file descriptor"), 5);
}

static void a_descriptor_that_cannot_be_waited_for_is_reported(void **state)
{
    (void)state;
    char address[32];
    handed_over = open("/dev/null", O_RDWR | O_CLOEXEC);
    snprintf(address, sizeof address, "fd:%d", handed_over);
    START("--listen", address);
    assert_int_equal(wait_for_exit(), 1);
    wait_for_log("neither a socket, a pipe nor a terminal");
    assert_int_equal(count_in_log("neither a socket"), 1);
    close(handed_over);
}

/* ---- a serial line: the slave of a pty, whose master is the host ---- */

static int open_pty(char *address)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    snprintf(address, 64, "serial:%s", ptsname(master));
    return master;
}

static void a_serial_line_is_raw_and_begins_with_a_newline(void **state)
{
    (void)state;
    char address[64];
    int master = open_pty(address);
    START("--listen", address);
    assert_string_equal(hear(master, "\n"), "\n");
    assert_pong(master);
    say(master, "half a frame");
    say(master, "\n" PING);
    const char *heard = hear(master, PONG);
    assert_memory_equal(heard, "{\"Err\":{\"message\":\"parse error", 30);
    assert_idle_for_a_while();
    close(master);
}

static void a_serial_line_that_another_process_uses_is_waited_for(void **state)
{
    (void)state;
    char address[64];
    int master = open_pty(address);
    int other = open(address + strlen("serial:"), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    START("--listen", address);
    wait_for_log(": Device or resource busy; trying again every second");
    close(other);
    wait_for_log("listening on serial:");
    hear(master, "\n");
    assert_pong(master);
    close(master);
}

static void a_serial_line_that_is_lost_is_tried_again_and_its_build_goes_on(void **state)
{
    (void)state;
    char address[64], listen_on[144];
    int master = open_pty(address);
    snprintf(listen_on, sizeof listen_on, "unix:%s", socket_path);
    START("--listen", address, "--listen", listen_on);
    hear(master, "\n");
    say(master, SLOW);
    hear(master, "begin");
    close(master);
    wait_for_log("lost serial:");
    assert_idle_for_a_while();
    assert_int_equal(count_in_log("build failed"), 0);
    int fd = dial();
    assert_pong(fd);
    close(fd);
}

/* ---- signals ---- */

static void end_by(int signal)
{
    start_on_socket();
    int fd = dial(), queued = dial();
    say(fd, SLOW);
    hear(fd, "begin");
    say(queued, QUICK);
    hear(queued, "waiting for another build");
    kill(agent_pid, signal);
    assert_non_null(strstr(hear(fd, NULL), "{\"Err\":{\"message\":\"build cancelled"));
    assert_non_null(strstr(hear(queued, NULL), "{\"Err\":{\"message\":\"build rejected: "));
    assert_int_equal(wait_for_exit(), 0);
    close(fd);
    close(queued);
}

static void a_signal_ends_the_build_answers_its_client_and_then_the_agent(void **state)
{
    (void)state;
    end_by(SIGINT);
}

static void sigquit_is_like_the_other_signals(void **state)
{
    (void)state;
    end_by(SIGQUIT);
}

static void sigpipe_and_sighup_do_not_end_it(void **state)
{
    (void)state;
    start_on_socket();
    kill(agent_pid, SIGHUP);
    kill(agent_pid, SIGPIPE);
    int fd = dial();
    assert_pong(fd);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    signal(SIGINT, SIG_DFL); /* a shell ignores it in what it starts in the background */
    const struct CMUnitTest tests[] = {
        TEST(the_socket_is_private_and_goes_with_the_agent),
        TEST(with_that_option_it_ends_once_a_build_is_answered),
        TEST(a_virtio_port_that_is_not_there_is_reported_by_its_name),
        TEST(a_file_in_place_of_a_serial_line_is_left_alone),
        TEST(it_wakes_once_for_a_ping),
        TEST(a_client_that_reads_late_gets_every_answer),
        TEST(a_signal_as_soon_as_it_listens_leaves_no_socket),
        TEST(a_stale_socket_is_replaced),
        TEST(a_socket_that_another_process_listens_on_is_waited_for_and_logged_once),
        TEST(a_listener_too_busy_to_answer_keeps_its_socket),
        TEST(a_file_in_the_sockets_place_is_left_alone),
        TEST(a_socket_of_another_process_is_not_removed_at_the_end),
        TEST(a_client_that_half_closes_still_gets_its_answer_and_is_closed),
        TEST(a_request_without_its_newline_counts_at_the_end),
        TEST(a_half_closed_client_costs_nothing_while_it_waits),
        TEST(a_build_is_cancelled_when_its_client_goes),
        TEST(a_half_closed_client_that_goes_is_noticed),
        TEST(a_client_that_never_reads_harms_no_other_and_its_end_is_noticed),
        TEST(a_client_that_goes_in_the_middle_of_too_much_is_noticed),
        TEST(with_keep_building_it_accepts_a_request_whose_client_is_gone_immediately),
        TEST(a_request_may_come_byte_by_byte),
        TEST(two_hundred_clients_at_once_are_all_answered),
        TEST(the_idle_make_room_when_every_slot_is_taken),
        TEST(a_connected_descriptor_is_served_until_it_ends),
        TEST(a_listening_descriptor_is_accepted_on),
        TEST(a_descriptor_that_is_not_open_is_reported_once_and_others_are_served),
        TEST(descriptors_of_its_own_are_never_taken_for_inherited_ones),
        TEST(a_descriptor_that_cannot_be_waited_for_is_reported),
        TEST(a_serial_line_is_raw_and_begins_with_a_newline),
        TEST(a_serial_line_that_another_process_uses_is_waited_for),
        TEST(a_serial_line_that_is_lost_is_tried_again_and_its_build_goes_on),
        TEST(a_signal_ends_the_build_answers_its_client_and_then_the_agent),
        TEST(sigquit_is_like_the_other_signals),
        TEST(sigpipe_and_sighup_do_not_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
