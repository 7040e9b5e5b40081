/*
 * The build's first process, from its start to its last byte: posix_spawn(3) with an argument
 * vector, two pipes, a pidfd.
 *
 * The process enters its cgroup by our hand when spawn has returned and its program has begun; the
 * kernel may take tens of milliseconds for it. What it forks after that is born inside. What it
 * forked before is found as its descendant, by its session or, with `subreaper`, as an orphan, and
 * moved as well. So only without `subreaper` something can stay outside: a process that made a
 * session of its own and was orphaned, all in the program's first milliseconds. nix does no such
 * thing.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a pipe holds: an hour's build should not stop for a host that is slow for a moment. Without
 * privilege the kernel may allow less, which is all right. */
enum { PIPE_SIZE = 256 * 1024 };

/* musl 1.2.3 and the older glibc lack the name. */
enum { ID_PIDFD = 3 };

#ifdef __GLIBC_PREREQ
#define HAS_CLOSEFROM __GLIBC_PREREQ(2, 34)
#else
#define HAS_CLOSEFROM 0
#endif

/* The child's ends. */
struct ends {
    int in;
    int out[MVM_STREAMS];
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static int make_pipe(int *ours, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    *ours = ends[0];
    *theirs = ends[1];
    fcntl(*ours, F_SETPIPE_SZ, PIPE_SIZE);
    return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

/* In the order in which the child moves them to 0, 1 and 2: numbers are given from below, so where
 * this process has closed its own, none of these is overwritten before it was moved. */
static int open_ends(struct mvm_posix *p, struct ends *e)
{
    e->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (e->in < 0) {
        mvm_posix_fail(p, "/dev/null", errno);
        return MVM_PORT_FAILED;
    }
    for (int i = 0; i < MVM_STREAMS; i++) {
        int err = make_pipe(&p->output[i], &e->out[i]);
        if (err != 0) {
            return mvm_posix_fail(p, "pipe", err);
        }
    }
    return 0;
}

/* ---- what the child does before its program ---- */

/* Where libc has no closefrom: closes what this process holds without close-on-exec. */
static int close_inheritable(posix_spawn_file_actions_t *actions)
{
    struct mvm_posix_directory d;
    const char *name;
    int err = 0;
    if (!mvm_posix_directory_open(&d, AT_FDCWD, "/proc/self/fd")) {
        return errno;
    }
    while (err == 0 && (name = mvm_posix_directory_next(&d)) != NULL) {
        int fd = (int)mvm_posix_number(mvm_text_from(name));
        int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0) {
            err = posix_spawn_file_actions_addclose(actions, fd);
        }
    }
    mvm_posix_directory_close(&d);
    return err;
}

static int close_others(posix_spawn_file_actions_t *actions)
{
#if HAS_CLOSEFROM
    (void)close_inheritable;
    return posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
#else
    return close_inheritable(actions);
#endif
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct ends *e)
{
    int err = posix_spawn_file_actions_adddup2(actions, e->in, STDIN_FILENO);
    if (err == 0) {
        err = posix_spawn_file_actions_adddup2(actions, e->out[MVM_STDOUT], STDOUT_FILENO);
    }
    if (err == 0) {
        err = posix_spawn_file_actions_adddup2(actions, e->out[MVM_STDERR], STDERR_FILENO);
    }
    return err == 0 ? close_others(actions) : err;
}

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    int err = posix_spawnattr_setsigdefault(attr, &all);
    if (err == 0) {
        err = posix_spawnattr_setsigmask(attr, &none);
    }
    short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    return err == 0 ? posix_spawnattr_setflags(attr, flags) : err;
}

/* 0 or an errno. */
static int start(struct mvm_posix *p, const char *const argv[], const struct ends *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) {
        return err;
    }
    err = posix_spawnattr_init(&attr);
    if (err == 0) {
        pid_t pid;
        err = set_attributes(&attr);
        err = err == 0 ? add_actions(&actions, e) : err;
        if (err == 0) {
            err = posix_spawn(&pid, argv[0], &actions, &attr, (char *const *)argv,
                              (char *const *)p->env);
        }
        p->pid = err == 0 ? pid : 0;
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* ---- the port's calls ---- */

static void forget(struct mvm_posix *p)
{
    close_fd(&p->output[MVM_STDOUT]);
    close_fd(&p->output[MVM_STDERR]);
    close_fd(&p->pidfd);
    mvm_posix_cgroup_remove(p);
    p->pid = 0;
    p->exited = false;
}

/* A cgroup that does not take the process is given up, unless it was asked for by name. */
static int enter_cgroup(struct mvm_posix *p)
{
    if (p->cgroup < 0) {
        return 0;
    }
    int r = mvm_posix_cgroup_enter(p, p->pid);
    if (r == 0) {
        mvm_posix_adopt(p);
        return 0;
    }
    mvm_posix_cgroup_remove(p);
    if (p->config.cgroup == NULL) {
        return 0;
    }
    kill(-p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    return r;
}

static int launch(struct mvm_posix *p, const char *const argv[], struct ends *e)
{
    int r = open_ends(p, e);
    if (r < 0 || (r = mvm_posix_environment(p)) < 0 || (r = mvm_posix_cgroup_make(p)) < 0) {
        return r;
    }
    p->since = mvm_posix_ticks();
    int err = start(p, argv, e);
    if (err != 0) {
        return mvm_posix_fail(p, "spawn", err);
    }
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return enter_cgroup(p);
}

int mvm_posix_spawn(void *ctx, const char *const argv[])
{
    struct mvm_posix *p = ctx;
    if (p->pid != 0) {
        return mvm_posix_fail_text(p, "spawn", "a build is running");
    }
    struct ends e = {-1, {-1, -1}};
    int r = launch(p, argv, &e);
    close_fd(&e.in);
    close_fd(&e.out[MVM_STDOUT]);
    close_fd(&e.out[MVM_STDERR]);
    if (r < 0) {
        forget(p);
    }
    return r;
}

int mvm_posix_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    struct mvm_posix *p = ctx;
    if (p->output[stream] < 0) {
        return MVM_PORT_END;
    }
    ssize_t n;
    do {
        n = read(p->output[stream], buf, cap);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? 0 : mvm_posix_fail(p, "read", errno);
    }
    return n > 0 ? (int)n : MVM_PORT_END;
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
    if (!p->config.status_is_handed || p->exited || pid != p->pid || pid == 0 ||
        !(WIFEXITED(status) || WIFSIGNALED(status))) {
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
