/*
 * A small init with a builder in it, as process 1 of a machine:
 *
 *     init LINE [PROGRAM]
 *
 * serves builds on LINE, a virtio-serial port or another serial line, and keeps PROGRAM running
 * beside. SIGTERM ends the machine. It needs /proc and /dev; what it leaves out (modules, /sys,
 * cgroups, a console) the agent's own init mode does, see agent/init.c.
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* All the memory there is. */
static struct mvm_server builder;
static char memory[MVM_SERVER_MEMORY(1)];

static char *program[] = {NULL, NULL}; /* our own child, … */
static pid_t program_pid;              /* … and its number; 0: it is not running */

static int start_builder(const char *address)
{
    static struct mvm_server_config config;
    config.listen[0] = address;
    config.clients = 1;
    config.executor.out_dir = "/build-out";
    config.executor.out_device = "/dev/vdb";
    config.executor.in_dir = "/build-in";
    config.executor.in_device = "/dev/vdc";
    config.executor.heartbeat_ms = MVM_HEARTBEAT_MS;
    config.scheduler.heartbeat_ms = MVM_HEARTBEAT_MS;
    config.posix.caller_reaps = true; /* we reap every child, so the builder's, too */
    config.linger_ms = MVM_LINGER_MS; /* the machine ends with us */
    config.log = mvm_server_print;
    return mvm_server_init(&builder, &config, memory, sizeof memory);
}

/* Signals come as bytes to read, between two steps and never in the middle of one. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* With no signal blocked and none ignored, as any program expects to be started. */
static void start_program(void)
{
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (posix_spawn(&program_pid, program[0], NULL, &attr, program, environ) != 0) {
        program_pid = 0;
    }
    posix_spawnattr_destroy(&attr);
}

/* Signals run together: one SIGCHLD may be for many children. */
static void collect_children(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (!mvm_server_child_exited(&builder, pid, status) && pid == program_pid) {
            program_pid = 0;
        } /* any other is an orphan, and now gone */
    }
}

static void take_signals(int signals)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM) {
            mvm_server_stop(&builder, MVM_STOP_MS); /* the build is ended and answered */
        }
    }
    collect_children();
}

static void end_machine(void)
{
    kill(-1, SIGKILL);
    sync();
    reboot((int)RB_POWER_OFF);
}

int main(int argc, char *argv[])
{
    char address[256];
    if (getpid() != 1) {
        return 2; /* its end is the end of all processes */
    }
    mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL); /* there already: just as well */
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    snprintf(address, sizeof address, "serial:%s", argc > 1 ? argv[1] : "/dev/ttyS0");
    program[0] = argc > 2 ? argv[2] : NULL;
    int signals = open_signals();
    if (start_builder(address) == 0) {
        struct pollfd fds[] = {{mvm_server_fd(&builder), POLLIN, 0}, {signals, POLLIN, 0}};
        while (!mvm_server_stopped(&builder)) {
            if (program[0] != NULL && program_pid == 0) {
                start_program();
            }
            uint64_t now = mvm_server_now_ms();
            uint64_t deadline = mvm_server_step(&builder, now);
            uint64_t again = now + 1000; /* for a program that could not be started */
            bool waits = program[0] != NULL && program_pid == 0 && again < deadline;
            poll(fds, 2, mvm_server_timeout(waits ? again : deadline, now));
            take_signals(signals);
        }
        mvm_server_fini(&builder);
    }
    end_machine();
    return 1;
}
