/*
 * An init that waits for signals and does nothing else:
 *
 *     plain PROGRAM [ARG…]
 *
 * starts PROGRAM, reaps whatever ends, and on SIGTERM or SIGINT ends everything. init.c is the same
 * with a builder in it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t program;
static sigset_t all;

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
    if (argc < 2 || getpid() != 1) {
        return 2; /* its end is the end of all processes */
    }
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    start_program(argv + 1);
    while (sig != SIGTERM && sig != SIGINT) {
        sigwait(&all, &sig);
        if (sig == SIGCHLD) {
            reap();
        }
    }
    if (program > 0) {
        kill(program, SIGTERM);
    }
    end_machine();
    return 1;
}
