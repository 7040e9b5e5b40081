/* The build's first process, from its start to its end: an argument vector, two pipes, a pidfd. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* musl 1.2.3 and the older glibc lack the name. */
enum { ID_PIDFD = 3 };

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* What the child gets as 0, 1 and 2. */
static int open_standard(struct mvm_posix *p, int standard[3])
{
    standard[STDIN_FILENO] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (standard[STDIN_FILENO] < 0) {
        mvm_posix_fail(p, "/dev/null", errno);
        return MVM_PORT_FAILED;
    }
    for (int i = 0; i < MVM_STREAMS; i++) {
        int err = mvm_posix_output_open(&p->output[i], &standard[STDOUT_FILENO + i]);
        if (err != 0) {
            return mvm_posix_fail(p, "pipe", err);
        }
    }
    return 0;
}

/* ---- the port's calls ---- */

static void forget(struct mvm_posix *p)
{
    mvm_posix_output_close(&p->output[MVM_STDOUT]);
    mvm_posix_output_close(&p->output[MVM_STDERR]);
    close_fd(&p->pidfd);
    mvm_posix_cgroup_remove(p);
    p->pid = 0;
    p->exited = false;
}

/* Ends a process that has just begun, where it may not run as it is. */
static void end_at_once(pid_t pid)
{
    kill(-pid, SIGKILL);
    mvm_posix_collect(pid);
}

/* A cgroup that does not take the process is given up, unless it was asked for by name. */
static int without_cgroup(struct mvm_posix *p, int err)
{
    mvm_posix_cgroup_remove(p);
    if (p->config.cgroup == NULL) {
        return 0;
    }
    end_at_once(p->pid);
    return mvm_posix_fail(p, "cgroup.procs", err);
}

static int launch(struct mvm_posix *p, const char *const argv[], int standard[3])
{
    int cgroup_err;
    int r = open_standard(p, standard);
    if (r < 0 || (r = mvm_posix_environment(p)) < 0 || (r = mvm_posix_cgroup_make(p)) < 0) {
        return r;
    }
    p->since = mvm_posix_ticks();
    int err = mvm_posix_start(p, argv, standard, &cgroup_err);
    if (err != 0) {
        return mvm_posix_fail(p, "spawn", err);
    }
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return cgroup_err != 0 ? without_cgroup(p, cgroup_err) : 0;
}

int mvm_posix_spawn(void *ctx, const char *const argv[])
{
    struct mvm_posix *p = ctx;
    if (p->pid != 0) {
        return mvm_posix_fail_text(p, "spawn", "a build is running");
    }
    int standard[3] = {-1, -1, -1};
    int r = launch(p, argv, standard);
    for (int i = 0; i < 3; i++) {
        close_fd(&standard[i]);
    }
    if (r < 0) {
        forget(p);
    }
    return r;
}

/* Looks at the first process's end and leaves it uncollected: its number stays its own. */
static int look(const struct mvm_posix *p, siginfo_t *info)
{
    int flags = WEXITED | WNOHANG | WNOWAIT;
    memset(info, 0, sizeof *info);
    if (p->pidfd >= 0 && waitid((idtype_t)ID_PIDFD, (id_t)p->pidfd, info, flags) == 0) {
        return 0;
    }
    if (p->pidfd >= 0 && errno != EINVAL) {
        return -1;
    }
    return waitid(P_PID, (id_t)p->pid, info, flags);
}

int mvm_posix_poll_exit(void *ctx, struct mvm_exit *e)
{
    struct mvm_posix *p = ctx;
    siginfo_t info;
    if (p->pid == 0) {
        return mvm_posix_fail_text(p, "poll_exit", "no build is running");
    }
    if (!p->exited && !p->config.status_is_handed) {
        if (look(p, &info) < 0) {
            return mvm_posix_fail(p, "waitid", errno);
        }
        if (info.si_pid != 0) {
            p->exit = (struct mvm_exit){info.si_code != CLD_EXITED, info.si_status};
            p->exited = true;
        }
    }
    if (p->exited) {
        *e = p->exit;
    }
    return p->exited ? 1 : 0;
}

bool mvm_posix_child_exited(struct mvm_posix *p, pid_t pid, int status)
{
    if (!p->config.status_is_handed || pid <= 0 || !(WIFEXITED(status) || WIFSIGNALED(status))) {
        return false;
    }
    if (pid == p->aside.pid) {
        p->aside.pid = 0;
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
        mvm_posix_remaining(p); /* collects orphans */
        if (!p->config.status_is_handed) {
            waitpid(p->pid, NULL, WNOHANG);
        }
    }
    forget(p);
}
