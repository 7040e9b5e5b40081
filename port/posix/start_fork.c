/*
 * Starts a build by clone3(2) or vfork(2): between its birth and its program the child makes
 * nothing but system calls, none of which is a cancellation point of libc.
 *
 * clone3 gives the child a copy of the parent's memory and creates it inside the cgroup. With vfork
 * the child enters the cgroup itself, in the parent's memory, on the stack below the frame that
 * waits. POSIX leaves open what such a child may call besides exec and _exit; Linux does not
 * (vfork(2), CLONE_VFORK in clone(2)): it never returns into that frame, takes no lock, changes
 * nothing of the parent's but errno and one flag, and no signal handler runs in it.
 *
 * In both the parent sleeps until the child's program runs or the child has ended. Errors are
 * reported through a pipe. Some emulators and checkers turn a vfork into a fork; then the flag is
 * unset: then the parent waits for the end of the pipe, which a process that another thread forks
 * meanwhile can hold open, so it waits for the child's end as well, and not for long.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435 /* the same on every machine; Linux 5.3 */
#endif

#define MVM_CLONE_VFORK       UINT64_C(0x4000)
#define MVM_CLONE_INTO_CGROUP UINT64_C(0x200000000) /* Linux 5.7 */

enum { WAITS = 200, WAIT_MS = 10 };

/* The kernel's struct clone_args, which older headers have without its end. */
struct clone_arguments {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};

/* What the child reports: an errno each, 0 for none. */
struct report {
    int cgroup; /* it could not enter its cgroup, and continues */
    int start;  /* it could not execute its program, and ends */
};

/* ---- the child ---- */

static void send_report(int fd, struct report r)
{
    mvm_posix_raw_write(fd, &r, sizeof r); /* the parent keeps the pipe open, and there is room */
}

/* The agent's directory and its protection from the OOM killer are not for builds. */
static void leave_surroundings(void)
{
    int fd = mvm_posix_raw_open(AT_FDCWD, mvm_posix_oom_score_adj, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        mvm_posix_raw_write(fd, "0", 1);
        mvm_posix_raw_close(fd);
    }
    int ignored = chdir("/"); /* fails only for a process that may not search its root */
    (void)ignored;
}

/* Ends in the program, or in _exit. */
static void exec_child(const struct mvm_posix *p, const struct mvm_posix_program *program,
                       int report, bool enter)
{
    setsid();
    int err = enter ? mvm_posix_cgroup_enter(p, 0) : 0;
    if (err != 0) {
        send_report(report, (struct report){.cgroup = err});
    }
    leave_surroundings();
    if (mvm_posix_child_descriptors(program->standard, &report)) {
        mvm_posix_child_signals();
        execve(program->argv[0], (char *const *)program->argv, (char *const *)p->env);
    }
    send_report(report, (struct report){.start = errno});
    _exit(127);
}

/* ---- the parent ---- */

/* Adds what the pipe holds to `*all`. False: no more can come. */
static bool drain_report(int fd, struct report *all)
{
    struct report r;
    ssize_t n;
    while ((n = read(fd, &r, sizeof r)) == (ssize_t)sizeof r) {
        all->cgroup = r.cgroup != 0 ? r.cgroup : all->cgroup;
        all->start = r.start;
    }
    return n < 0 && all->start == 0;
}

static bool has_exited(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    int r = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return r < 0 || info.si_pid != 0;
}

/* Waits for a child that runs beside its parent to execute its program. */
static void await_report(int fd, pid_t pid, struct report *all)
{
    for (int i = 0; i < WAITS && drain_report(fd, all); i++) {
        if (has_exited(pid)) {
            drain_report(fd, all);
            return;
        }
        poll(&(struct pollfd){fd, POLLIN, 0}, 1, WAIT_MS);
    }
}

/* After the child's start. 0 or an errno; a child that could not start has been reaped. */
static int finish(int fd, pid_t pid, bool waited, int *cgroup_err)
{
    struct report all = {0, 0};
    if (waited) {
        drain_report(fd, &all);
    } else {
        await_report(fd, pid, &all);
    }
    *cgroup_err = all.cgroup;
    if (all.start != 0) {
        mvm_posix_collect(pid);
    }
    return all.start;
}

static int open_report(int report[2])
{
    if (pipe2(report, O_CLOEXEC) < 0) {
        return errno;
    }
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    return 0;
}

/* No handler of this process runs in the child. */
static void block_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, before);
}

int mvm_posix_start_clone(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid)
{
    int report[2];
    sigset_t before;
    int none;
    if (p->cgroup < 0) {
        return ENOTSUP; /* vfork does the same without copying memory */
    }
    int err = open_report(report);
    if (err != 0) {
        return err;
    }
    struct clone_arguments arguments = {.flags = MVM_CLONE_VFORK | MVM_CLONE_INTO_CGROUP,
                                        .exit_signal = SIGCHLD,
                                        .cgroup = (uint64_t)p->cgroup};
    block_signals(&before);
    *pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (*pid == 0) {
        exec_child(p, program, report[1], false);
    }
    err = *pid < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    err = err != 0 ? err : finish(report[0], *pid, true, &none);
    close(report[0]);
    return err;
}

int mvm_posix_start_vfork(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid, int *cgroup_err)
{
    int report[2];
    sigset_t before;
    volatile bool shared = false;
    int err = open_report(report);
    if (err != 0) {
        return err;
    }
    block_signals(&before);
    pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (child == 0) {
        shared = true;                                     /* NOLINT(clang-analyzer-unix.Vfork) */
        exec_child(p, program, report[1], p->cgroup >= 0); /* NOLINT(clang-analyzer-unix.Vfork) */
    }
    err = child < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    err = err != 0 ? err : finish(report[0], child, shared, cgroup_err);
    close(report[0]);
    *pid = child;
    return err;
}
