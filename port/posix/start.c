/*
 * The build's first process between its birth and its program: vfork(2), then nothing but system
 * calls.
 *
 * posix_spawn(3) would do most of it, but keeps its list of actions on the heap, and knows no
 * cgroups: a process that is moved into one from outside may have forked before. Here it enters by
 * itself, so that all it ever starts is born inside.
 *
 * POSIX leaves open what a child of vfork may call besides exec and _exit; Linux does not
 * (vfork(2), CLONE_VFORK in clone(2)): the parent sleeps, the child has its memory, and uses the
 * stack below the frame that is waiting. So here it never returns into that frame, takes no lock,
 * changes nothing of the parent's but errno, and no signal handler runs in it.
 *
 * What goes wrong comes through a pipe that the program's start closes, not through the memory that
 * the two share: some emulators and checkers make a vfork a fork.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child has to say: an errno each, 0 for none. */
struct report {
    int cgroup; /* it could not enter, and goes on */
    int start;  /* it could not become its program, and ends */
};

static void send_report(int report, struct report r)
{
    ssize_t written = write(report, &r, sizeof r);
    (void)written; /* the parent is waiting for it, and there is room */
}

/* Ends in the program, or in _exit. */
static void become(const struct mvm_posix *p, const char *const argv[], const int standard[3],
                   int report)
{
    setsid();
    if (p->cgroup >= 0) {
        int err = mvm_posix_cgroup_enter(p, 0);
        if (err != 0) {
            send_report(report, (struct report){.cgroup = err});
        }
    }
    if (mvm_posix_child_descriptors(standard, &report)) {
        mvm_posix_child_signals();
        execve(argv[0], (char *const *)argv, (char *const *)p->env);
    }
    send_report(report, (struct report){.start = errno});
    _exit(127);
}

/* Until the program begins, or the child has ended. */
static struct report listen_to(int report)
{
    struct report all = {0, 0};
    struct report r;
    ssize_t n;
    do {
        n = read(report, &r, sizeof r);
        if (n == sizeof r) {
            all.cgroup = r.cgroup != 0 ? r.cgroup : all.cgroup;
            all.start = r.start;
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    return all;
}

void mvm_posix_collect(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

int mvm_posix_start(struct mvm_posix *p, const char *const argv[], const int standard[3],
                    int *cgroup_err)
{
    int report[2];
    sigset_t all;
    sigset_t before;
    if (pipe2(report, O_CLOEXEC) < 0) {
        return errno;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* no handler of this process runs in the child */
    pid_t pid = vfork();                     /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid == 0) {
        become(p, argv, standard, report[1]); /* NOLINT(clang-analyzer-unix.Vfork) */
    }
    int err = pid < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    struct report said = listen_to(report[0]);
    close(report[0]);
    *cgroup_err = said.cgroup;
    if (said.start != 0) {
        err = said.start;
        mvm_posix_collect(pid);
    }
    p->pid = err == 0 ? pid : 0;
    return err;
}
