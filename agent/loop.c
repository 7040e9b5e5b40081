/* The loop around the server: wait, take signals, step. */
#define _GNU_SOURCE
#include "loop.h"
#include "clock.h"
#include "log.h"
#include "system.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- signals ---- */

/* A signal that was ignored at start, as by nohup(1) and shells, stays ignored. While it is blocked
 * the kernel would queue it nevertheless. */
static void add_unless_ignored(sigset_t *set, int sig)
{
    if (!mvm_posix_signal_ignored(sig)) {
        sigaddset(set, sig);
    }
}

/* Ignores the signals that writing the log can raise, to a pipe that is closed, on a terminal that
 * stops background jobs, to a file at its limit; and the terminal's hang-up. SIGCHLD
 * must not be: that would take every exit status away. */
static void set_dispositions(void)
{
    static const int ignored[] = {SIGPIPE, SIGTTOU, SIGXFSZ, SIGHUP};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        mvm_posix_signal(ignored[i], SIG_IGN);
    }
    mvm_posix_signal(SIGCHLD, SIG_DFL);
}

/* What halt, poweroff and reboot send to process 1: busybox's two, besides SIGTERM, and systemd's
 * SIGRTMIN+3 to +5, counted from glibc's SIGRTMIN, whose number another libc does not have. */
static const int requests[] = {SIGUSR1, SIGUSR2, 37, 38, 39};

/* From here on a signal waits until the loop reads it: an agent that has sockets ends in order. */
static void block_signals(bool reaps, sigset_t *set)
{
    sigemptyset(set);
    add_unless_ignored(set, SIGTERM);
    add_unless_ignored(set, SIGINT);
    add_unless_ignored(set, SIGQUIT);
    add_unless_ignored(set, SIGPWR);
    if (reaps) {
        sigaddset(set, SIGCHLD);
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
            sigaddset(set, requests[i]);
        }
    }
    sigprocmask(SIG_BLOCK, set, NULL);
}

void mvm_agent_hold_signals(void)
{
    sigset_t set;
    block_signals(true, &set);
}

/* Every child, the build's and the orphans that process 1 inherits. */
static void collect_children(struct mvm_agent *a)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        mvm_server_child_exited(&a->server, pid, status);
    }
}

/* The first signal ends the build and answers clients, the second ends the agent; only
 * the first SIGPWR counts, since a power button sends one when pressed and one when released.
 */
static void stop(struct mvm_agent *a, uint32_t sig)
{
    if (a->stopping && sig == SIGPWR) {
        return;
    }
    if (!a->stopping) {
        const char *why = sig == SIGTERM   ? "SIGTERM"
                          : sig == SIGINT  ? "SIGINT"
                          : sig == SIGQUIT ? "SIGQUIT"
                          : sig == SIGPWR  ? "power button"
                                           : "halt, poweroff or reboot";
        mvm_log("stopping: ", why, NULL);
    }
    mvm_server_stop(&a->server, a->stopping ? 0 : MVM_STOP_MS);
    a->stopping = true;
}

static void read_signals(struct mvm_agent *a)
{
    struct signalfd_siginfo info;
    while (read(a->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            collect_children(a);
        } else {
            stop(a, info.ssi_signo);
        }
    }
}

/* ---- the server ---- */

static void log_line(void *ctx, const char *line)
{
    (void)ctx;
    mvm_log(line, NULL, NULL);
}

/* As process 1 the clock is ours: a machine may have been paused for hours before this build. */
static void see_event(void *ctx, const struct mvm_server_event *event)
{
    (void)ctx;
    if (event->kind == MVM_SERVER_BUILD_STARTED) {
        mvm_clock_follow_host();
    }
}

static bool start_server(struct mvm_agent *a, const struct mvm_options *options)
{
    struct mvm_server_config config = {
        .allowed_cids = options->allowed_cids,
        .allowed_cids_len = options->allowed_cids_len,
        .any_cid = options->any_cid,
        .exit_after_build = options->exit_after_build,
        .exit_idle_ms = options->exit_idle_ms,
        .linger_ms = options->init || options->exit_after_build ? MVM_LINGER_MS : 0,
        .executor = options->executor,
        .scheduler = options->scheduler,
        .posix = options->posix,
        .log = log_line,
        .event = options->init ? see_event : NULL,
    };
    for (size_t i = 0; i < options->listen_len; i++) {
        config.listen[i] = options->listen[i].text;
    }
    return mvm_server_init(&a->server, &config, a->memory, sizeof a->memory) == 0;
}

/* ---- the loop ---- */

/* Waits until the log has room, or the server something to do; the signals are in its set. */
static void wait_with_log(struct mvm_agent *a, int log)
{
    struct pollfd fds[] = {{mvm_server_fd(&a->server), POLLIN, 0}, {log, POLLOUT, 0}};
    poll(fds, 2, mvm_server_timeout(a->server.deadline_ms, mvm_server_now_ms()));
    if (fds[1].revents != 0) {
        mvm_log_flush();
    }
}

static void wait_and_step(struct mvm_agent *a)
{
    int log = mvm_log_fd();
    if (log >= 0) {
        wait_with_log(a, log);
    }
    if (mvm_server_wait(&a->server, a->signals)) {
        read_signals(a);
    }
}

int mvm_agent_run(struct mvm_agent *a, const struct mvm_options *options)
{
    sigset_t set;
    a->reaps = options->posix.caller_reaps;
    set_dispositions();
    block_signals(a->reaps, &set);
    if (!start_server(a, options)) { /* first: a descriptor of ours is not an inherited one */
        return 1;                    /* it has logged why */
    }
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (a->signals < 0) {
        mvm_log("cannot start: signalfd: ", mvm_posix_error_text(errno), NULL);
        mvm_server_fini(&a->server); /* its sockets have names */
        return 1;
    }
    if (a->reaps) {
        collect_children(a); /* of those that ended before the signal was watched */
    }
    wait_and_step(a); /* does not wait: it answers clients that are there already */
    mvm_log_release();
    while (!mvm_server_stopped(&a->server)) {
        wait_and_step(a);
    }
    bool orderly = mvm_server_orderly(&a->server);
    mvm_server_fini(&a->server);
    return orderly ? 0 : 1;
}
