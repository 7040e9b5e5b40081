/*
 * A supervisor as process 1 of a container:
 *
 *     plain PROGRAM [ARG…]
 *
 * runs PROGRAM in a process group of its own, passes on every signal, reaps orphans, and exits with
 * PROGRAM's status. supervisor.c is the same with a builder in it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigset_t signals, before;
static int result = -1; /* the program's exit status; -1: it runs */

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
        if (pid == program) {
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

int main(int argc, char *argv[])
{
    block_signals();
    if (argc < 2) {
        return 2;
    }
    pid_t program = start_program(argv + 1);
    while (result < 0) {
        const struct timespec second = {1, 0};
        int sig = sigtimedwait(&signals, NULL, &second);
        if (sig > 0 && sig != SIGCHLD) {
            kill(program, sig);
        }
        reap(program);
    }
    return result;
}
