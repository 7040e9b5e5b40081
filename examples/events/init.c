/*
 * An init around the event loop of libsystemd, with a builder in it:
 *
 *     init ADDRESS OUT-DIR PROGRAM [ARG…]
 *
 * starts PROGRAM, reaps whatever ends, and on SIGTERM or SIGINT ends everything. plain.c is the
 * same without the builder, which builds into OUT-DIR what clients of ADDRESS ask for.
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static sd_event *loop;
static pid_t program;

/* ---- the builder ---- */

static struct mvm_server builder;
static char memory[MVM_SERVER_MEMORY(4)];
static sd_event_source *timer;

static int step_builder(sd_event_source *s, uint64_t usec, void *data)
{
    uint64_t deadline = mvm_server_step(&builder, mvm_server_now_ms());
    (void)s, (void)usec, (void)data;
    sd_event_source_set_time(timer, deadline == UINT64_MAX ? UINT64_MAX : deadline * 1000);
    sd_event_source_set_enabled(timer, deadline == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
    return mvm_server_stopped(&builder) ? sd_event_exit(loop, 0) : 0;
}

static int on_builder(sd_event_source *s, int fd, uint32_t events, void *data)
{
    (void)fd, (void)events;
    return step_builder(s, 0, data);
}

static int start_builder(const char *address, const char *out_dir)
{
    struct mvm_server_config config = {.listen = {address}, .clients = 4, .log = mvm_server_print};
    config.executor.out_dir = out_dir;
    config.posix.caller_reaps = true;
    int r = mvm_server_init(&builder, &config, memory, sizeof memory);
    sd_event_add_time(loop, &timer, CLOCK_MONOTONIC, 0, 1, step_builder, NULL);
    return r < 0 ? r : sd_event_add_io(loop, NULL, mvm_server_fd(&builder), 1, on_builder, NULL);
}

/* ---- the init ---- */

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
        mvm_server_child_exited(&builder, pid, status);
        program = pid == program ? 0 : program;
    }
    return 0;
}

static int on_end(sd_event_source *s, const struct signalfd_siginfo *info, void *data)
{
    (void)s, (void)info, (void)data;
    mvm_server_stop(&builder, 10000);
    return 0;
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
    if (argc < 4 || getpid() != 1 || sd_event_new(&loop) < 0) {
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
    if (start_builder(argv[1], argv[2]) < 0) {
        return 1;
    }
    start_program(argv + 3);
    sd_event_loop(loop);
    mvm_server_fini(&builder);
    if (program > 0) {
        kill(program, SIGTERM);
    }
    end_machine();
    return 1;
}
