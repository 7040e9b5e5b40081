/*
 * A supervisor as process 1 of a container, with a builder in it:
 *
 *     supervisor ADDRESS OUT-DIR PROGRAM [ARG…]
 *
 * runs PROGRAM in a process group of its own, passes on every signal, reaps orphans, and exits with
 * PROGRAM's status. plain.c is the same without the builder, which builds into OUT-DIR what clients
 * of ADDRESS ask for.
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t signals, before;
static int result = -1; /* the program's exit status; -1: it runs */

/* ---- the builder ---- */

static struct mvm_server builder;
static char memory[MVM_SERVER_MEMORY(4)];
static int pending;

static int start_builder(const char *address, const char *out_dir)
{
    struct mvm_server_config config = {.listen = {address}, .clients = 4, .log = mvm_server_print};
    config.executor.out_dir = out_dir;
    config.posix.caller_reaps = true;
    pending = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return mvm_server_init(&builder, &config, memory, sizeof memory);
}

/* sigtimedwait(2), while the builder works: 0 if the wait ended without a signal. */
static int wait_for_signal(void)
{
    struct signalfd_siginfo info = {0};
    struct pollfd fds[] = {{mvm_server_fd(&builder), POLLIN, 0}, {pending, POLLIN, 0}};
    uint64_t deadline = mvm_server_step(&builder, mvm_server_now_ms());
    poll(fds, 2, mvm_server_timeout(deadline, mvm_server_now_ms()));
    return read(pending, &info, sizeof info) > 0 ? (int)info.ssi_signo : 0;
}

/* ---- the supervisor ---- */

static void block_signals(void)
{
    static const int never[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(&signals);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        sigdelset(&signals, never[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, &before);
}

static pid_t start_program(char *argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static void reap(pid_t program)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        mvm_server_child_exited(&builder, pid, status);
        if (pid == program) {
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            mvm_server_stop(&builder, 10000);
        }
    }
}

int main(int argc, char *argv[])
{
    block_signals();
    if (argc < 4 || start_builder(argv[1], argv[2]) < 0) {
        return 2;
    }
    pid_t program = start_program(argv + 3);
    while (!mvm_server_stopped(&builder)) {
        int sig = wait_for_signal();
        if (sig > 0 && sig != SIGCHLD && result < 0) {
            kill(program, sig);
        }
        reap(program);
    }
    mvm_server_fini(&builder);
    return result;
}
