/*
 * Which processes are the build's: those in its cgroup, those of the session that its first process
 * began, with `subreaper` the orphans that came to this process, and all of their descendants.
 *
 * A pass reads /proc once, in the order of process numbers, and lists the members it has found: a
 * parent has a lower number than its children, so it is listed before they are examined.
 * If the numbers have wrapped around since the build began that can be wrong, and another pass is
 * made. A process's directory is held open while it is examined, and the process is signalled
 * through that descriptor, so that reuse of its number is harmless. The first process is reaped
 * last, by close_build: until then its number cannot be reused, and identifies its session.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASSES = 4 };

/* The first process's number, unless the program has reaped it and the number is reused. */
static pid_t trusted_session(const struct mvm_posix_scan *s)
{
    const struct mvm_posix *p = s->p;
    if (!p->lost && !(p->exited && p->config.caller_reaps)) {
        return p->pid;
    }
    char path[32];
    struct stat st;
    return stat(mvm_posix_pid_path(path, sizeof path, p->pid, ""), &st) == 0 ? 0 : p->pid;
}

static const struct mvm_posix_member *find(const struct mvm_posix_members *m, pid_t pid)
{
    for (size_t i = 0; i < m->len; i++) {
        if (m->list[i].pid == pid) {
            return &m->list[i];
        }
    }
    return NULL;
}

static bool is_known(const struct mvm_posix_members *m, const struct mvm_posix_process *is)
{
    const struct mvm_posix_member *found = find(m, is->pid);
    return found != NULL && found->since == (uint32_t)is->since;
}

/* Whether this process is its parent, the build's process or an orphan of the build's. */
static bool is_orphan(const struct mvm_posix_scan *s)
{
    const struct mvm_posix *p = s->p;
    return s->is.parent == s->self && p->config.subreaper && !mvm_posix_is_worker(p, s->is.pid) &&
           (p->beside == NULL || !mvm_posix_is_worker(p->beside, s->is.pid));
}

static bool belongs(struct mvm_posix_scan *s)
{
    const struct mvm_posix_process *is = &s->is;
    if (is->pid == s->self || is->since < s->since) {
        return false;
    }
    if (s->session != 0 && (is->pid == s->session || is->session == s->session)) {
        return true;
    }
    if (is_orphan(s) || find(s->members, is->parent) != NULL || is_known(s->members, is)) {
        return true;
    }
    if (mvm_posix_cgroup_holds(s->p, s->dir)) {
        return true;
    }
    s->again = s->again || is->parent > is->pid;
    return false;
}

static void close_process(struct mvm_posix_scan *s)
{
    if (s->dir >= 0) {
        close(s->dir);
        s->dir = -1;
    }
}

static void pass_begin(struct mvm_posix_scan *s)
{
    s->pass++;
    s->again = false;
    s->len_before = s->members->len;
    if (!mvm_posix_directory_open(&s->proc, AT_FDCWD, "/proc")) {
        s->err = errno;
    }
}

void mvm_posix_scan_begin(struct mvm_posix_scan *s, const struct mvm_posix *p,
                          struct mvm_posix_members *members)
{
    s->p = p;
    s->members = members;
    s->since = p->since;
    s->self = getpid();
    s->dir = -1;
    s->err = 0;
    s->pass = 0;
    s->proc.fd = -1;
    s->again = false;
    s->unusable = !mvm_posix_proc_is_usable();
    if (!s->unusable) {
        pass_begin(s);
    }
    s->session = s->unusable ? 0 : trusted_session(s);
}

/* One that has ended, or that this process may not examine: it could not signal it either. */
static bool is_out_of_reach(void)
{
    return errno == ENOENT || errno == ESRCH || errno == EACCES || errno == EPERM;
}

/* Whether /proc/NAME is a process of the build; it is open then. */
static bool open_member(struct mvm_posix_scan *s, const char *name)
{
    if (name[0] < '1' || name[0] > '9') {
        return false;
    }
    s->dir = openat(s->proc.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir >= 0 && mvm_posix_process_read(s->dir, "stat", &s->is)) {
        return belongs(s);
    }
    if (!is_out_of_reach()) {
        s->err = errno;
    }
    return false;
}

/* Lists a live member. False: it is listed already, or there is no room. */
static bool list_member(struct mvm_posix_members *m, const struct mvm_posix_process *is)
{
    if (is_known(m, is) || m->len == MVM_POSIX_MEMBERS) {
        return false;
    }
    m->list[m->len++] = (struct mvm_posix_member){is->pid, (uint32_t)is->since};
    return true;
}

static bool next_of_pass(struct mvm_posix_scan *s)
{
    const char *name;
    while (s->proc.fd >= 0 && (name = mvm_posix_directory_next(&s->proc)) != NULL) {
        if (open_member(s, name)) {
            s->is_new = !mvm_posix_process_is_dead(&s->is) && list_member(s->members, &s->is);
            return true;
        }
        close_process(s);
    }
    mvm_posix_directory_close(&s->proc);
    return false;
}

bool mvm_posix_scan_next(struct mvm_posix_scan *s)
{
    close_process(s);
    while (!next_of_pass(s)) {
        bool grew = s->members->len > s->len_before;
        if (s->unusable || !s->again || !grew || s->pass == PASSES) {
            return false;
        }
        pass_begin(s);
    }
    return true;
}

bool mvm_posix_scan_open(struct mvm_posix_scan *s, const struct mvm_posix_member *member)
{
    char path[32];
    close_process(s);
    s->dir = open(mvm_posix_pid_path(path, sizeof path, member->pid, ""),
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0 || !mvm_posix_process_read(s->dir, "stat", &s->is)) {
        s->err = is_out_of_reach() ? s->err : errno;
        close_process(s);
        return false;
    }
    return (uint32_t)s->is.since == member->since;
}

void mvm_posix_scan_end(struct mvm_posix_scan *s)
{
    close_process(s);
    mvm_posix_directory_close(&s->proc);
}
