/*
 * An init around the event loop of libsystemd:
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
#include <systemd/sd-event.h>
#include <unistd.h>

static sd_event *loop;
static pid_t program;

static void start_program(char *argv[])
{
    program = fork();
    if (program == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        execvp(argv[0], argv);
        _exit(127);
    }
}

static int on_child(sd_event_source *s, const struct signalfd_siginfo *info, void *data)
{
    int status;
    pid_t pid;
    (void)s, (void)info, (void)data;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        program = pid == program ? 0 : program;
    }
    return 0;
}

static int on_end(sd_event_source *s, const struct signalfd_siginfo *info, void *data)
{
    (void)s, (void)info, (void)data;
    return sd_event_exit(loop, 0);
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
    sigset_t set;
    if (argc < 2 || getpid() != 1 || sd_event_new(&loop) < 0) {
        return 2; /* its end is the end of all processes */
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sd_event_add_signal(loop, NULL, SIGCHLD, on_child, NULL);
    sd_event_add_signal(loop, NULL, SIGTERM, on_end, NULL);
    sd_event_add_signal(loop, NULL, SIGINT, on_end, NULL);
    start_program(argv + 1);
    sd_event_loop(loop);
    if (program > 0) {
        kill(program, SIGTERM);
    }
    end_machine();
    return 1;
}
