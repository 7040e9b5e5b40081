/*
 * Signals to all of a build's processes, and how many are left.
 *
 * A cgroup is killed by the kernel atomically. Otherwise the processes are listed, in one pass over
 * /proc, and then signalled. So that none is forked after the pass, they are frozen or stopped
 * first, except for SIGKILL with a subreaper: a process that the pass has missed is then an orphan
 * of this process, and the next pass finds it. On a busy machine it takes a while until all have
 * stopped: the call then returns LATER, and is repeated.
 *
 * The first process and its group are always signalled, also without a usable /proc: their number
 * is the build's until the first process is reaped.
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
#include <time.h>
#include <unistd.h>

/* The most passes over /proc in one call; the executor repeats the call. */
enum {
    STOP_ROUNDS = 4,
    SIGNAL_ROUNDS = 5,
    STOP_WAIT_MS = 1, /* a process has to run again to stop */
    ADOPT_ROUNDS = 5,
};

/* ---- one process ---- */

/* Before Linux 5.1, or under a filter of system calls: by number, if it is still the same. */
static long send_by_number(struct mvm_posix_scan *s, int sig)
{
    struct mvm_posix_process now;
    if (!mvm_posix_process_read(s->dir, "stat", &now)) {
        errno = ESRCH;
        return -1;
    }
    return kill(now.pid, sig);
}

static void send_to(struct mvm_posix_scan *s, int sig)
{
    long r = syscall(SYS_pidfd_send_signal, s->dir, sig, NULL, 0);
    if (r < 0 && errno != ESRCH) {
        r = send_by_number(s, sig);
    }
    if (r < 0 && errno != ESRCH) {
        s->err = errno;
    }
}

/* Whether the first process's number is still the build's. */
static bool owns_number(const struct mvm_posix *p)
{
    return p->pid > 0 && !p->lost && !(p->exited && p->config.caller_reaps);
}

/* 0 or an errno. */
static int signal_group(const struct mvm_posix *p, int sig)
{
    if (!owns_number(p)) {
        return 0;
    }
    return kill(-p->pid, sig) < 0 && errno != ESRCH ? errno : 0;
}

void mvm_posix_kill_group(const struct mvm_posix *p)
{
    signal_group(p, SIGKILL);
}

/* ---- all of them ---- */

/* Signals all listed processes. Returns the errno of one that could not be signalled. */
static int send_to_listed(const struct mvm_posix *p, struct mvm_posix_members *members, int sig)
{
    struct mvm_posix_scan s = {.p = p, .members = members, .dir = -1, .proc.fd = -1};
    for (size_t i = 0; i < members->len; i++) {
        if (mvm_posix_scan_open(&s, &members->list[i])) {
            send_to(&s, sig);
        }
    }
    mvm_posix_scan_end(&s);
    return s.err;
}

/* Lists all. Returns the errno of one that could not be examined. */
static int list_all(const struct mvm_posix *p, struct mvm_posix_members *members)
{
    struct mvm_posix_scan s;
    mvm_posix_scan_begin(&s, p, members);
    while (mvm_posix_scan_next(&s)) {
    }
    return s.err;
}

/* Stops those that run. True: there were none; a stopped process cannot fork. */
static bool all_stopped(const struct mvm_posix *p)
{
    struct mvm_posix_members members;
    struct mvm_posix_scan s;
    bool stopped = true;
    members.len = 0;
    mvm_posix_scan_begin(&s, p, &members);
    while (mvm_posix_scan_next(&s)) {
        if (s.is_new && !mvm_posix_process_is_stopped(&s.is)) {
            send_to(&s, SIGSTOP);
            stopped = false;
        }
    }
    return stopped;
}

/* Keeps the build from forking, until resume_all. False: some still run. */
static bool hold(struct mvm_posix *p)
{
    bool frozen = p->cgroup >= 0 && mvm_posix_cgroup_freeze(p, true);
    for (int i = 0; i < STOP_ROUNDS; i++) {
        if (frozen ? mvm_posix_cgroup_is_frozen(p) : all_stopped(p)) {
            return true;
        }
        poll(NULL, 0, STOP_WAIT_MS);
    }
    return false;
}

/* Whether the time to wait for all to stop is over: one in uninterruptible sleep does not. */
static bool held_long_enough(struct mvm_posix *p)
{
    uint64_t now_ms = mvm_posix_clock_ns(CLOCK_MONOTONIC) / 1000000;
    p->held_since_ms = p->held_since_ms != 0 ? p->held_since_ms : now_ms;
    return now_ms - p->held_since_ms >= MVM_HOLD_MS;
}

/* Also those that the build itself has stopped: a stopped process does not end by SIGTERM. */
static void resume_all(struct mvm_posix *p, struct mvm_posix_members *members)
{
    if (p->cgroup >= 0) {
        mvm_posix_cgroup_freeze(p, false);
    }
    send_to_listed(p, members, SIGCONT);
}

/* Signals the processes that a pass finds, until a pass finds no new one. */
static int signal_in_passes(const struct mvm_posix *p, struct mvm_posix_members *members, int sig)
{
    struct mvm_posix_scan s;
    bool found = true;
    s.err = 0;
    for (int i = 0; i < SIGNAL_ROUNDS && found; i++) {
        found = false;
        mvm_posix_scan_begin(&s, p, members);
        while (mvm_posix_scan_next(&s)) {
            if (s.is_new) {
                send_to(&s, sig);
                found = true;
            }
        }
    }
    return s.err;
}

/* Signals all, none of which forks meanwhile; LATER: not all have stopped yet. If some do not stop
 * in time, or are outside of the cgroup, further passes find what is forked meanwhile. */
static int signal_held(struct mvm_posix *p, struct mvm_posix_members *members, int sig,
                       bool outside)
{
    bool held = hold(p);
    if (!held && !held_long_enough(p)) {
        return MVM_PORT_LATER;
    }
    int listed = list_all(p, members);
    int sent = send_to_listed(p, members, sig);
    resume_all(p, members);
    p->held_since_ms = 0;
    int later = held && !outside ? 0 : signal_in_passes(p, members, sig);
    return listed != 0 ? listed : sent != 0 ? sent : later;
}

/* ---- the port's calls ---- */

/* Moves members that are outside of the cgroup back in. True: some are still outside. */
static bool adopt(const struct mvm_posix *p)
{
    bool outside = p->cgroup >= 0;
    bool moved = outside;
    for (int i = 0; i < ADOPT_ROUNDS && moved; i++) {
        struct mvm_posix_members members;
        struct mvm_posix_scan s;
        members.len = 0;
        outside = moved = false;
        mvm_posix_scan_begin(&s, p, &members);
        while (mvm_posix_scan_next(&s)) {
            if (s.is_new && !mvm_posix_cgroup_holds(p, s.dir)) {
                bool now_in = mvm_posix_cgroup_enter(p, s.is.pid) == 0;
                moved = moved || now_in;
                outside = outside || !now_in;
            }
        }
        outside = outside || s.err != 0 || s.unusable;
    }
    return outside || moved;
}

static bool lists_first(const struct mvm_posix *p, const struct mvm_posix_members *members)
{
    for (size_t i = 0; i < members->len; i++) {
        if (members->list[i].pid == p->pid) {
            return true;
        }
    }
    return p->exited;
}

static int terminate_all(struct mvm_posix *p, bool outside)
{
    struct mvm_posix_members members;
    members.len = 0;
    int err = signal_held(p, &members, SIGTERM, outside);
    if (err != MVM_PORT_LATER && !lists_first(p, &members)) {
        int direct = signal_group(p, SIGTERM);
        err = err != 0 ? err : direct;
    }
    return err;
}

static int kill_all(struct mvm_posix *p, bool outside)
{
    if (p->cgroup >= 0 && mvm_posix_cgroup_kill(p) && !outside) {
        return signal_group(p, SIGKILL);
    }
    struct mvm_posix_members members;
    members.len = 0;
    bool held = !p->config.subreaper || (p->cgroup >= 0 && p->cgroup_kill < 0);
    int err =
        held ? signal_held(p, &members, SIGKILL, outside) : signal_in_passes(p, &members, SIGKILL);
    if (err == MVM_PORT_LATER) {
        return err;
    }
    int direct = signal_group(p, SIGKILL);
    return err != 0 ? err : direct;
}

int mvm_posix_signal_build(void *ctx, enum mvm_signal signal)
{
    struct mvm_posix *p = ctx;
    if (p->pid == 0) {
        return 0;
    }
    bool outside = adopt(p);
    int err = signal == MVM_SIGNAL_KILL ? kill_all(p, outside) : terminate_all(p, outside);
    return err == 0 || err == MVM_PORT_LATER ? err : mvm_posix_fail(p, "kill", err);
}

/* ---- what is left ---- */

/* Reaps an orphan of the build whose parent is now this process. */
static void reap(const struct mvm_posix_scan *s)
{
    if (mvm_posix_process_is_dead(&s->is) && s->is.parent == s->self && s->is.pid != s->p->pid &&
        !s->p->config.caller_reaps) {
        waitpid(s->is.pid, NULL, WNOHANG);
    }
}

/* Without /proc there is no way to ask for the rest of the group: it ends with the first process.
 */
static int remaining_unseen(struct mvm_posix *p)
{
    struct mvm_exit e;
    if (mvm_posix_poll_exit(p, &e) == 0) {
        return 1;
    }
    mvm_posix_kill_group(p);
    return 0;
}

static int count_remaining(struct mvm_posix *p)
{
    struct mvm_posix_members members;
    struct mvm_posix_scan s;
    members.len = 0;
    mvm_posix_scan_begin(&s, p, &members);
    while (mvm_posix_scan_next(&s)) {
        reap(&s);
    }
    if (s.unusable) {
        return remaining_unseen(p);
    }
    return members.len == 0 && s.err != 0 ? mvm_posix_fail(p, "/proc", s.err) : (int)members.len;
}

bool mvm_posix_has_survivors(const struct mvm_posix *p)
{
    struct mvm_posix_members members;
    struct mvm_posix_scan s;
    members.len = 0;
    if (p->survivors_since == 0) {
        return false;
    }
    mvm_posix_scan_begin(&s, p, &members);
    s.since = p->survivors_since;
    while (mvm_posix_scan_next(&s)) {
        reap(&s);
    }
    return !p->config.subreaper || s.unusable || s.err != 0 || members.len != 0;
}

int mvm_posix_remaining(void *ctx)
{
    struct mvm_posix *p = ctx;
    if (p->pid == 0) {
        return 0;
    }
    /* Read before the scan: a process that leaves the cgroup later is seen by the scan. */
    bool populated = p->cgroup >= 0 && mvm_posix_cgroup_populated(p);
    int left = count_remaining(p);
    return left == 0 && populated ? 1 : left;
}
