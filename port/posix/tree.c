/*
 * The processes of a build, found in /proc: those in its cgroup, the first process's descendants,
 * whoever is in the session it began, and their descendants; with `subreaper` also the orphans that
 * came to this process. With a cgroup all but the first kind are stragglers from before the first
 * process entered it, and are moved there.
 *
 * A scan keeps a process's directory open while it looks at it and sends the signal through that
 * descriptor, so a number that is given to somebody else meanwhile harms nobody. The first process
 * is collected last, by close_build: until then its number names its session and nothing else.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_ROUNDS = 20, /* a process in uninterruptible sleep stops later than we care to wait */
    ADOPT_ROUNDS = 5, /* what is born meanwhile outside is found at the next call */
    /* Levels killed one by one, deepest first. What is below goes at once and in any order, so that
     * without `subreaper` some of it may be orphaned and lost. */
    DEPTH_MAX = 64,
    CLIMB_TRIES = 3,
};

struct process {
    pid_t pid;
    pid_t parent;
    pid_t session;
    char state;
    uint64_t threads;
    uint64_t since;
};

struct scan {
    const struct mvm_posix *p;
    pid_t self;
    pid_t session; /* 0: the number cannot be trusted any more */
    struct mvm_posix_directory proc;
    int err; /* a process could not be looked at */

    struct process is; /* the process found, … */
    int dir;           /* … its directory … */
    int depth;         /* … and how far below the first process it is */
};

uint64_t mvm_posix_ticks(void)
{
    return mvm_posix_clock_ns(CLOCK_BOOTTIME) / (1000000000u / getauxval(AT_CLKTCK));
}

static const char *number_text(struct mvm_writer *w, char *buf, size_t cap, pid_t pid,
                               const char *rest)
{
    mvm_writer_init(w, buf, cap);
    mvm_writer_add_u64(w, (uint64_t)pid);
    mvm_writer_add(w, rest);
    return buf;
}

/* Reads /proc/PID/stat. The program's name in it may hold anything, but no ')' comes behind. */
static bool read_stat(int dir, const char *path, struct process *is)
{
    char buf[1024];
    if (!mvm_posix_read_small(dir, path, buf, sizeof buf)) {
        return false;
    }
    char *name_end = strrchr(buf, ')');
    if (name_end == NULL || name_end[1] != ' ') {
        errno = EINVAL;
        return false;
    }
    struct mvm_text rest = mvm_text_from(name_end + 2);
    is->pid = (pid_t)mvm_posix_number(mvm_text_from(buf));
    is->state = rest.len > 0 ? rest.bytes[0] : '?';
    for (int field = 3; field <= 22; field++) {
        uint64_t value = mvm_posix_number(mvm_posix_cut(&rest, ' '));
        switch (field) {
        case 4:
            is->parent = (pid_t)value;
            break;
        case 6:
            is->session = (pid_t)value;
            break;
        case 20:
            is->threads = value;
            break;
        case 22:
            is->since = value;
            break;
        }
    }
    return true;
}

/* A first thread that has ended shows as a zombie while others of its process live on. */
static bool is_dead(const struct process *is)
{
    return (is->state == 'Z' || is->state == 'X') && is->threads <= 1;
}

static bool is_stopped(const struct process *is)
{
    return is->state == 'T' || is->state == 't';
}

static bool is_first(const struct scan *s, pid_t pid)
{
    return pid == s->p->pid && s->session != 0;
}

static bool vanished(void)
{
    return errno == ENOENT || errno == ESRCH;
}

enum climbed { STRANGER, MEMBER, BROKEN };

/* Climbs from a process to the first one. BROKEN: a parent ended on the way. */
static enum climbed climb(struct scan *s, struct process at)
{
    bool member = false;
    s->depth = 0;
    while (at.since >= s->p->since) {
        if (is_first(s, at.pid)) {
            return MEMBER;
        }
        member = member || (s->session != 0 && at.session == s->session);
        if (at.parent == s->self || at.parent <= 1) {
            bool orphan = at.parent == s->self && s->p->config.subreaper;
            return member || orphan ? MEMBER : STRANGER;
        }
        char path[32];
        struct mvm_writer w;
        number_text(&w, path, sizeof path, at.parent, "/stat");
        if (!read_stat(s->proc.fd, path, &at)) {
            return BROKEN;
        }
        s->depth++;
    }
    return member ? MEMBER : STRANGER;
}

static bool is_below_first(struct scan *s)
{
    for (int i = 0; i < CLIMB_TRIES; i++) {
        enum climbed climbed = climb(s, s->is);
        if (climbed != BROKEN) {
            return climbed == MEMBER;
        }
        if (!read_stat(s->dir, "stat", &s->is)) {
            return false;
        }
    }
    return false;
}

static bool belongs(struct scan *s)
{
    if (s->is.pid == s->self || s->is.since < s->p->since) {
        return false;
    }
    s->depth = 0;
    return is_first(s, s->is.pid) || mvm_posix_cgroup_holds(s->p, s->dir) || is_below_first(s);
}

/* The first process's number, unless somebody else collected it and the number is in use again. */
static pid_t trusted_session(const struct scan *s)
{
    const struct mvm_posix *p = s->p;
    if (!p->exited || !p->config.status_is_handed) {
        return p->pid;
    }
    char path[16];
    struct mvm_writer w;
    number_text(&w, path, sizeof path, p->pid, "");
    struct stat st;
    return fstatat(s->proc.fd, path, &st, 0) == 0 ? 0 : p->pid;
}

static void scan_begin(struct scan *s, const struct mvm_posix *p)
{
    s->p = p;
    s->self = getpid();
    s->dir = -1;
    s->err = mvm_posix_directory_open(&s->proc, AT_FDCWD, "/proc") ? 0 : errno;
    s->session = trusted_session(s);
}

static void close_process(struct scan *s)
{
    if (s->dir >= 0) {
        close(s->dir);
        s->dir = -1;
    }
}

/* Whether /proc/NAME is a process of the build; it is open then. */
static bool look_at(struct scan *s, const char *name)
{
    if (name[0] < '1' || name[0] > '9') {
        return false;
    }
    s->dir = openat(s->proc.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir >= 0 && read_stat(s->dir, "stat", &s->is)) {
        return belongs(s);
    }
    if (!vanished()) {
        s->err = errno;
    }
    return false;
}

/* The next process of the build, dead ones too. */
static bool scan_next(struct scan *s)
{
    const char *name;
    close_process(s);
    while (s->proc.fd >= 0 && (name = mvm_posix_directory_next(&s->proc)) != NULL) {
        if (look_at(s, name)) {
            return true;
        }
        close_process(s);
    }
    mvm_posix_directory_close(&s->proc);
    return false;
}

/* ---- signals ---- */

static void send_to(struct scan *s, int sig)
{
    long r = syscall(SYS_pidfd_send_signal, s->dir, sig, NULL, 0);
    if (r < 0 && errno != ESRCH && errno != EPERM) {
        r = kill(s->is.pid, sig); /* before Linux 5.1 */
    }
    if (r < 0 && errno != ESRCH) {
        s->err = errno;
    }
}

/* Sends to all at a depth, or below it. Returns the errno of one that could not be sent to. */
static int send_at(const struct mvm_posix *p, int sig, int depth, bool below)
{
    struct scan s;
    scan_begin(&s, p);
    while (scan_next(&s)) {
        if (!is_dead(&s.is) && (s.depth == depth || (below && s.depth > depth))) {
            send_to(&s, sig);
        }
    }
    return s.err;
}

static int deepest(const struct mvm_posix *p)
{
    int depth = 0;
    struct scan s;
    scan_begin(&s, p);
    while (scan_next(&s)) {
        depth = !is_dead(&s.is) && s.depth > depth ? s.depth : depth;
    }
    return depth < DEPTH_MAX ? depth : DEPTH_MAX;
}

/* The deepest first: a process whose parent is gone may not be found any more. */
static int send_to_all(const struct mvm_posix *p, int sig)
{
    int err = 0;
    int bottom = deepest(p);
    for (int depth = bottom; depth >= 0; depth--) {
        int e = send_at(p, sig, depth, depth == bottom);
        err = e != 0 ? e : err;
    }
    return err;
}

/* Stops all, until a look around finds none that runs: a stopped process cannot fork. */
static void stop_all(const struct mvm_posix *p)
{
    bool running = true;
    for (int i = 0; i < STOP_ROUNDS && running; i++) {
        struct scan s;
        running = false;
        scan_begin(&s, p);
        while (scan_next(&s)) {
            if (!is_dead(&s.is) && !is_stopped(&s.is)) {
                send_to(&s, SIGSTOP);
                running = true;
            }
        }
    }
}

/* Nobody forks from here to let_go: a child born behind a scan's back would miss the signal. */
static void hold(struct mvm_posix *p)
{
    if (p->cgroup < 0 || !mvm_posix_cgroup_freeze(p, true)) {
        stop_all(p);
    }
}

static void let_go(struct mvm_posix *p)
{
    if (p->cgroup < 0 || !mvm_posix_cgroup_freeze(p, false)) {
        send_to_all(p, SIGCONT);
    }
}

static int send_at_once(struct mvm_posix *p, int sig)
{
    hold(p);
    int err = send_to_all(p, sig);
    let_go(p);
    return err;
}

int mvm_posix_signal_build(void *ctx, enum mvm_signal signal)
{
    struct mvm_posix *p = ctx;
    if (p->pid == 0) {
        return 0;
    }
    mvm_posix_adopt(p);
    if (signal == MVM_SIGNAL_KILL && p->cgroup >= 0 && mvm_posix_cgroup_kill(p)) {
        return 0;
    }
    int err = send_at_once(p, signal == MVM_SIGNAL_KILL ? SIGKILL : SIGTERM);
    return err == 0 ? 0 : mvm_posix_fail(p, "kill", err);
}

/* ---- what is left ---- */

/* An orphan of the build that came to this process and has ended. */
static bool is_ours_to_reap(const struct scan *s)
{
    return s->is.parent == s->self && s->is.pid != s->p->pid && !s->p->config.status_is_handed;
}

int mvm_posix_remaining(void *ctx)
{
    struct mvm_posix *p = ctx;
    if (p->pid == 0) {
        return 0;
    }
    /* Asked before the scan: who leaves the cgroup after this is a zombie or seen alive below. */
    bool populated = p->cgroup >= 0 && mvm_posix_cgroup_populated(p);
    int left = 0;
    struct scan s;
    scan_begin(&s, p);
    while (scan_next(&s)) {
        if (!is_dead(&s.is)) {
            left++;
        } else if (is_ours_to_reap(&s)) {
            waitpid(s.is.pid, NULL, WNOHANG);
        }
    }
    if (left == 0 && s.err != 0) {
        return mvm_posix_fail(p, "/proc", s.err);
    }
    return left == 0 && populated ? 1 : left;
}

void mvm_posix_adopt(struct mvm_posix *p)
{
    bool moved = p->cgroup >= 0;
    for (int i = 0; i < ADOPT_ROUNDS && moved; i++) {
        struct scan s;
        moved = false;
        scan_begin(&s, p);
        while (scan_next(&s)) {
            if (!is_dead(&s.is) && !mvm_posix_cgroup_holds(p, s.dir)) {
                moved = mvm_posix_cgroup_enter(p, s.is.pid) == 0 || moved;
            }
        }
    }
}
