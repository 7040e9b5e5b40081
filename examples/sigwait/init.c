/*
 * An init that waits for signals, with a builder in it:
 *
 *     init ADDRESS OUT-DIR PROGRAM [ARG…]
 *
 * starts PROGRAM, reaps whatever ends, and on SIGTERM or SIGINT ends everything. plain.c is the
 * same without the builder, which builds into OUT-DIR what clients of ADDRESS ask for.
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t program;
static sigset_t all;

/* ---- the builder ---- */

static struct mvm_server builder;
static char memory[MVM_SERVER_MEMORY(4)];
static int signals;

static int start_builder(const char *address, const char *out_dir)
{
    struct mvm_server_config config = {.listen = {address}, .clients = 4, .log = mvm_server_print};
    config.executor.out_dir = out_dir;
    config.posix.caller_reaps = true;
    signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    return mvm_server_init(&builder, &config, memory, sizeof memory);
}

/* sigwait(3), while the builder works; 0 once it has stopped. */
static int wait_for_signal(void)
{
    struct signalfd_siginfo info = {0};
    struct pollfd fds[] = {{mvm_server_fd(&builder), POLLIN, 0}, {signals, POLLIN, 0}};
    while (!mvm_server_stopped(&builder) && read(signals, &info, sizeof info) <= 0) {
        uint64_t deadline = mvm_server_step(&builder, mvm_server_now_ms());
        poll(fds, 2, mvm_server_timeout(deadline, mvm_server_now_ms()));
    }
    return (int)info.ssi_signo;
}

/* ---- the init ---- */

static void start_program(char *argv[])
{
    program = fork();
    if (program == 0) {
        sigprocmask(SIG_UNBLOCK, &all, NULL);
        setsid();
        execvp(argv[0], argv);
        _exit(127);
    }
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        mvm_server_child_exited(&builder, pid, status);
        program = pid == program ? 0 : program;
    }
}

static void end_machine(void)
{
    kill(-1, SIGTERM);
    sleep(1);
    kill(-1, SIGKILL);
    sync();
    reboot((int)RB_POWER_OFF);
}

int main(int argc, char *argv[])
{
    int sig = 0;
    if (argc < 4 || getpid() != 1) {
        return 2; /* its end is the end of all processes */
    }
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (start_builder(argv[1], argv[2]) < 0) {
        return 1;
    }
    start_program(argv + 3);
    while (!mvm_server_stopped(&builder)) {
        sig = wait_for_signal();
        if (sig == SIGCHLD) {
            reap();
        } else if (sig == SIGTERM || sig == SIGINT) {
            mvm_server_stop(&builder, 10000);
        }
    }
    mvm_server_fini(&builder);
    if (program > 0) {
        kill(program, SIGTERM);
    }
    end_machine();
    return 1;
}
