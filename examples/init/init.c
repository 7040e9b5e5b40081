/*
 * An init of one's own with the builder in it: process 1 of a machine, with children of its own, an
 * event loop of its own, and every child's status collected by itself. The library is told of the
 * one that is its build's (status_is_handed), and installs no handler.
 *
 *     init LINE [PROGRAM]
 *
 * serves builds on LINE, a virtio-serial port, and keeps PROGRAM running beside, without a pause
 * between two runs. SIGTERM ends the machine. It wants /proc and /dev; what it leaves out (modules,
 * /sys, cgroups, a console) the agent's own init mode does, see agent/init.c.
 */
#define _GNU_SOURCE
#include "mvm_posix.h"
#include "mvm_scheduler.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* All the memory there is. */
static struct mvm_posix posix;
static struct mvm_executor executor;
static struct mvm_scheduler scheduler;
static struct mvm_client clients[1];
static uint8_t in[4096];
static uint8_t out[16384];
static char fields[MVM_REQUEST_FIELDS_CAP];

static char *program[] = {NULL, NULL}; /* our own child, … */
static pid_t program_pid;              /* … and its number; 0: it is not running */
static bool stopping;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Signals come as bytes to read, between two steps and never in the middle of one. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* With no signal blocked, as any program expects to be started. */
static void start_program(void)
{
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    if (posix_spawn(&program_pid, program[0], NULL, &attr, program, environ) != 0) {
        program_pid = 0;
    }
    posix_spawnattr_destroy(&attr);
}

/* Signals run together: one SIGCHLD may stand for many children. */
static void collect_children(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (mvm_posix_child_exited(&posix, pid, status)) {
            continue; /* the builder's; the next step goes on with it */
        }
        if (pid == program_pid) {
            program_pid = 0;
        } /* any other is an orphan, and now gone */
    }
}

static void take_signals(int signals)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM && !stopping) {
            stopping = true;
            mvm_scheduler_stop(&scheduler); /* the build is ended and answered, then we are idle */
        }
    }
    collect_children();
}

/* At most one read and one write. False: nobody is at the other end of the line just now. */
static bool move_bytes(struct mvm_session *s, int line)
{
    size_t room, len;
    bool there = true;
    uint8_t *place = mvm_session_room(s, &room);
    if (place != NULL) {
        ssize_t n = read(line, place, room);
        if (n > 0) {
            mvm_session_received(s, (size_t)n);
        } else if (n == 0) {
            mvm_session_peer_changed(s);
            there = false;
        }
    }
    const uint8_t *bytes = mvm_session_bytes(s, &len);
    ssize_t n = bytes != NULL ? write(line, bytes, len) : 0;
    if (n > 0) {
        mvm_session_sent(s, (size_t)n);
    }
    return there;
}

/* The line while somebody is there, our signals, the build's pipes, who copies what it made, and
 * the next deadline. */
static void wait_for_events(struct mvm_session *s, int line, int signals, bool there)
{
    size_t len;
    short wanted = POLLIN | (mvm_session_bytes(s, &len) != NULL ? POLLOUT : 0);
    bool out_wanted = mvm_executor_wants(&executor, MVM_STDOUT);
    bool err_wanted = mvm_executor_wants(&executor, MVM_STDERR);
    bool child_wanted = mvm_executor_wants_child(&executor);
    struct pollfd fds[] = {
        {there ? line : -1, wanted, 0},
        {signals, POLLIN, 0},
        {out_wanted ? mvm_posix_output_fd(&posix, MVM_STDOUT) : -1, POLLIN, 0},
        {err_wanted ? mvm_posix_output_fd(&posix, MVM_STDERR) : -1, POLLIN, 0},
        {child_wanted ? mvm_posix_child_fd(&posix) : -1, POLLIN, 0},
    };
    uint64_t now = now_ms();
    uint64_t at = mvm_scheduler_deadline(&scheduler);
    uint64_t most = there && program_pid != 0 ? 1000 : 100;
    poll(fds, sizeof fds / sizeof fds[0], at <= now ? 0 : (int)(at - now < most ? at - now : most));
}

static void end_machine(void)
{
    kill(-1, SIGKILL);
    sync();
    reboot((int)RB_POWER_OFF);
}

int main(int argc, char *argv[])
{
    struct mvm_executor_config job = {.out_dir = "/build-out",
                                      .out_device = "/dev/vdb",
                                      .in_dir = "/build-in",
                                      .in_device = "/dev/vdc"};
    struct mvm_session_memory memory = {in, sizeof in, out, sizeof out, fields, sizeof fields};

    mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL); /* there already: just as well */
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    int signals = open_signals();
    int line = argc > 1 ? open(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
    program[0] = argc > 2 ? argv[2] : NULL;

    mvm_posix_init(&posix, &(struct mvm_posix_config){.status_is_handed = true});
    mvm_executor_init(&executor, &mvm_posix_port, &posix, &job);
    mvm_scheduler_init(&scheduler, &executor, &(struct mvm_scheduler_config){.heartbeat_ms = 10000},
                       clients, 1);
    struct mvm_client *client = mvm_scheduler_attach(&scheduler, &memory, now_ms());
    client->permanent = true; /* a line is never closed: garbage on it is answered and survived */

    while (!stopping || !mvm_scheduler_idle(&scheduler) || !mvm_session_flushed(&client->session)) {
        if (program[0] != NULL && program_pid == 0) {
            start_program();
        }
        bool more = mvm_scheduler_step(&scheduler, now_ms());
        bool there = move_bytes(&client->session, line);
        if (!more) {
            wait_for_events(&client->session, line, signals, there);
        }
        take_signals(signals);
    }
    mvm_posix_fini(&posix);
    end_machine();
    return 1;
}
