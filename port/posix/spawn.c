/* The build's first process: an argument vector, two pipes, a pidfd. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Moves a descriptor above 2: 0 to 2 are for the child's own. */
static int lift(int *fd)
{
    if (*fd < 0 || *fd > STDERR_FILENO) {
        return 0;
    }
    int higher = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = higher < 0 ? errno : 0;
    close(*fd);
    *fd = higher;
    return err;
}

/* What the child gets as 0, 1 and 2; as 0 a copy of `input`, or nothing if that is -1. */
static int open_standard(struct mvm_posix *p, int standard[3], int input)
{
    standard[STDIN_FILENO] = input < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                                       : fcntl(input, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (standard[STDIN_FILENO] < 0) {
        mvm_posix_fail(p, input < 0 ? "/dev/null" : "fcntl", errno);
        return MVM_PORT_FAILED;
    }
    for (int i = 0; i < MVM_PORT_STREAMS; i++) {
        int err = mvm_posix_output_open(&p->output[i], &standard[STDOUT_FILENO + i]);
        if (err != 0) {
            return mvm_posix_fail(p, "pipe", err);
        }
    }
    for (int i = 0; i < 3; i++) {
        int err = lift(&standard[i]);
        if (err != 0) {
            return mvm_posix_fail(p, "fcntl", err);
        }
    }
    return 0;
}

/* The kernel reports a program and its interpreter alike. */
static int fail_start(struct mvm_posix *p, const char *program, int err)
{
    bool missing = err == ENOENT || err == ENOTDIR;
    if ((missing || err == EACCES) && access(program, X_OK) == 0) {
        return mvm_posix_fail_text(p, program,
                                   missing ? "its interpreter or loader is missing"
                                           : "its interpreter or loader may not be executed");
    }
    return mvm_posix_fail(p, "spawn", err);
}

/* ---- the port's calls ---- */

static void reset_build(struct mvm_posix *p)
{
    mvm_posix_output_close(&p->output[MVM_PORT_STDOUT]);
    mvm_posix_output_close(&p->output[MVM_PORT_STDERR]);
    close_fd(&p->pidfd);
    mvm_posix_end_feed(p);
    mvm_posix_cgroup_remove(p);
    p->pid = 0;
    p->exited = p->lost = false;
    p->awaited.polls = 0;
    p->held_since_ms = 0;
}

/* Kills a process that was started but cannot be used. */
static void kill_and_collect(pid_t pid)
{
    kill(-pid, SIGKILL);
    mvm_posix_collect(pid);
}

/* A cgroup that does not accept the process is dropped, unless it was asked for by name. */
static int without_cgroup(struct mvm_posix *p, int err)
{
    mvm_posix_cgroup_remove(p);
    if (p->config.cgroup == NULL) {
        return 0;
    }
    kill_and_collect(p->pid);
    return mvm_posix_fail(p, "cgroup.procs", err);
}

/* Until fini, unless it was one before. */
static void become_subreaper(struct mvm_posix *p)
{
    int is = 1;
    prctl(PR_GET_CHILD_SUBREAPER, &is, 0L, 0L, 0L);
    if (is == 0) {
        p->became_subreaper = prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0;
    }
}

/* The thread cannot be cancelled meanwhile: a child that shares its memory would see the request,
 * and run this thread's cleanup handlers. */
static int launch(struct mvm_posix *p, const char *const argv[], int standard[3], int input)
{
    int cgroup_err;
    const struct mvm_posix_program program = {argv, standard};
    if (mvm_posix_signal_ignored(SIGCHLD)) {
        return mvm_posix_fail_text(p, "spawn",
                                   "SIGCHLD is ignored, which discards exit statuses: set it to "
                                   "SIG_DFL");
    }
    int r = open_standard(p, standard, input);
    if (r < 0 || (r = mvm_posix_environment(p)) < 0 || (r = mvm_posix_cgroup_make(p)) < 0) {
        return r;
    }
    if (p->config.subreaper) {
        become_subreaper(p);
    }
    p->survivors_since = mvm_posix_has_survivors(p) ? p->survivors_since : 0;
    p->since = mvm_posix_ticks();
    int err = mvm_posix_start(p, &program, &cgroup_err);
    if (err != 0) {
        return fail_start(p, argv[0], err);
    }
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    r = cgroup_err != 0 ? without_cgroup(p, cgroup_err) : 0;
    mvm_posix_find_limits(p);
    return r;
}

static int spawn(struct mvm_posix *p, const char *const argv[], int input)
{
    if (p->pid != 0) {
        return mvm_posix_fail_text(p, "spawn", "a build is running");
    }
    int standard[3] = {-1, -1, -1};
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int r = launch(p, argv, standard, input);
    for (int i = 0; i < 3; i++) {
        close_fd(&standard[i]);
    }
    if (r < 0) {
        reset_build(p);
    }
    pthread_setcancelstate(cancel, &cancel);
    return r;
}

int mvm_posix_spawn(void *ctx, const char *const argv[])
{
    return spawn(ctx, argv, -1);
}

/* Its stdin is a socket, not a pipe: a write to one whose reader has gone raises no signal. */
int mvm_posix_spawn_fed(void *ctx, const char *const argv[])
{
    struct mvm_posix *p = ctx;
    int ends[2];
    mvm_posix_end_feed(p);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return mvm_posix_fail(p, "socketpair", errno);
    }
    int r = spawn(p, argv, ends[1]);
    close(ends[1]);
    p->feed = ends[0];
    if (r < 0) {
        mvm_posix_end_feed(p);
    }
    return r;
}

bool mvm_posix_child_exited(struct mvm_posix *p, pid_t pid, int status)
{
    if (!p->config.caller_reaps || pid <= 0 || !(WIFEXITED(status) || WIFSIGNALED(status))) {
        return false;
    }
    if (mvm_posix_worker_exited(p, pid)) {
        return true;
    }
    if (p->exited || pid != p->pid) {
        return false;
    }
    bool signaled = WIFSIGNALED(status);
    p->exit = (struct mvm_exit){signaled, signaled ? WTERMSIG(status) : WEXITSTATUS(status)};
    p->exited = true;
    return true;
}

void mvm_posix_close_build(void *ctx)
{
    struct mvm_posix *p = ctx;
    if (p->pid != 0) {
        bool left = mvm_posix_remaining(p) != 0; /* reaps orphans */
        if (left && p->survivors_since == 0) {
            p->survivors_since = p->since;
        }
        mvm_posix_kill_group(p);
        if (!p->config.caller_reaps) {
            waitpid(p->pid, NULL, WNOHANG);
        }
    }
    reset_build(p);
}
