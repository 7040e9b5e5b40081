/*
 * Work on files that may take long, in a process of its own: there is no call for a file on a disk
 * that would not wait for the disk, and whoever runs the loop wants to answer others meanwhile,
 * also when a disk hangs.
 *
 * The process is a fork(2) of this one with nothing left of it but the two files and a pipe, on
 * which it tells how far it is. It ends when the pipe's reader has gone. Where no process can be
 * made the work is done here, and takes as long as it takes: a build is not lost for want of one.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Nobody waits for a piece here, so fewer and larger ones are copied than were asked for. */
enum { PIECES = 16 };

struct work_report {
    int64_t moved;    /* > 0: so far; else this is the last report, … */
    const char *call; /* … and this, at the same address in both processes, has failed … */
    int err;          /* … with this; 0: nothing has */
};

/* A reader that has gone ends this process by SIGPIPE. */
static void report_to_parent(struct work_report r)
{
    ssize_t written = write(MVM_POSIX_REPORT_FD, &r, sizeof r);
    (void)written;
}

/* The files are closed before the end is told: the disk may be unmounted then. */
static void work_aside(mvm_posix_piece *piece, struct mvm_posix_work *w, int report)
{
    const int standard[3] = {w->from >= 0 ? w->from : w->to, w->to, report};
    int64_t n = -1;
    setsid(); /* what a terminal sends to our group is the parent's to answer */
    w->call = "dup2";
    if (mvm_posix_child_descriptors(standard, &report)) {
        mvm_posix_child_signals();
        w->from = STDIN_FILENO;
        w->to = STDOUT_FILENO;
        while ((n = piece(w)) > 0) {
            report_to_parent((struct work_report){.moved = n});
        }
    } else {
        w->err = errno;
    }
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    report_to_parent((struct work_report){0, w->call, n < 0 ? w->err : 0});
    _exit(0);
}

/* fork(2) without what fork(3) does for a program that goes on: the child calls nothing but the
 * kernel, so no library of this process has to be made ready for it. */
static pid_t fork_bare(void)
{
#ifdef SYS_fork
    return (pid_t)syscall(SYS_fork);
#else
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

static int64_t work_here(struct mvm_posix *p, mvm_posix_piece *piece, struct mvm_posix_work *w)
{
    int64_t n;
    do {
        n = piece(w);
    } while (n > 0);
    return n < 0 ? mvm_posix_fail(p, w->call, w->err) : 0;
}

/* 0 or -1. */
static int start_aside(struct mvm_posix *p, mvm_posix_piece *piece, struct mvm_posix_work *w)
{
    int report[2];
    sigset_t all;
    sigset_t before;
    if (pipe2(report, O_CLOEXEC) < 0) {
        return -1;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* no handler of this process runs in the child */
    pid_t pid = fork_bare();
    if (pid == 0) {
        work_aside(piece, w, report[1]);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return -1;
    }
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    p->aside.pid = pid;
    p->aside.fd = report[0];
    mvm_posix_watch(p, MVM_POSIX_OF_WORKER, p->aside.fd, false);
    return 0;
}

/* Reads the next report. True: it was the last, or none will come. */
static bool take_report(struct mvm_posix *p, int64_t *moved)
{
    struct work_report r;
    ssize_t n;
    do {
        n = read(p->aside.fd, &r, sizeof r);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof r && r.moved == 0) {
        p->aside.told = true;
        p->aside.call = r.call;
        p->aside.err = r.err;
    }
    *moved = n == (ssize_t)sizeof r ? r.moved : MVM_PORT_LATER;
    return *moved == 0 || n == 0 || (n < 0 && errno != EAGAIN);
}

/* As mvm_port.h's copy. */
static int64_t hear(struct mvm_posix *p)
{
    struct mvm_posix_aside *a = &p->aside;
    int64_t moved;
    if (a->fd >= 0) {
        if (!take_report(p, &moved)) {
            return moved;
        }
        mvm_posix_watch_off(p, MVM_POSIX_OF_WORKER);
        close(a->fd);
        a->fd = -1;
        if (!p->config.status_is_handed) {
            mvm_posix_collect(a->pid);
            a->pid = 0;
        }
    }
    if (a->pid != 0) {
        return MVM_PORT_LATER; /* mvm_posix_child_exited comes */
    }
    a->from = a->to = -1;
    if (!a->told) {
        return mvm_posix_fail_text(p, a->call, "the process that did it was ended");
    }
    return a->err != 0 ? mvm_posix_fail(p, a->call, a->err) : 0;
}

static int64_t do_aside(struct mvm_posix *p, const char *call, mvm_posix_piece *piece, int from,
                        int to, struct mvm_posix_work *w)
{
    if (p->aside.to >= 0) {
        bool same = p->aside.from == from && p->aside.to == to;
        return same ? hear(p) : mvm_posix_fail_text(p, call, "another file is being worked on");
    }
    if (start_aside(p, piece, w) < 0) {
        return work_here(p, piece, w);
    }
    p->aside.from = from;
    p->aside.to = to;
    p->aside.call = call;
    p->aside.told = false;
    return MVM_PORT_LATER;
}

int64_t mvm_posix_copy(void *ctx, int from, int to, uint32_t max)
{
    struct mvm_posix *p = ctx;
    int source = mvm_posix_handle(p, from);
    int target = mvm_posix_handle(p, to);
    if (source < 0 || target < 0) {
        return MVM_PORT_FAILED;
    }
    struct mvm_posix_work w = {.from = source, .to = target, .max = (int64_t)max * PIECES};
    return do_aside(p, "copy", mvm_posix_copy_piece, from, to, &w);
}

int mvm_posix_sync_file(void *ctx, int handle)
{
    struct mvm_posix *p = ctx;
    int target = mvm_posix_handle(p, handle);
    if (target < 0) {
        return MVM_PORT_FAILED;
    }
    struct mvm_posix_work w = {.from = -1, .to = target};
    return (int)do_aside(p, "fdatasync", mvm_posix_sync_piece, -1, handle, &w);
}

/* ---- its end ---- */

bool mvm_posix_aside_release(struct mvm_posix *p, int handle)
{
    if (p->aside.to < 0 || (handle != p->aside.from && handle != p->aside.to)) {
        return true;
    }
    if (p->aside.pid != 0) {
        kill(p->aside.pid, SIGKILL);
    }
    int64_t n;
    do {
        n = hear(p);
    } while (n > 0);
    return n != MVM_PORT_LATER;
}

void mvm_posix_aside_end(struct mvm_posix *p)
{
    if (p->aside.pid != 0) {
        kill(p->aside.pid, SIGKILL);
        if (!p->config.status_is_handed) {
            mvm_posix_collect(p->aside.pid);
        }
    }
    if (p->aside.fd >= 0) {
        mvm_posix_watch_off(p, MVM_POSIX_OF_WORKER);
        close(p->aside.fd);
    }
    p->aside = (struct mvm_posix_aside){0, -1, -1, -1, NULL, 0, false};
}
