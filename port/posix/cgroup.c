/*
 * A cgroup (v2) for each build, below this process's own. It holds the processes together, whatever
 * sessions they make and whatever their parents are.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char prefix[] = "mvm-build-";

enum { MAKE_TRIES = 3 };

/* ---- where ---- */

/* This process's cgroup in the v2 hierarchy, into path: "/…". */
static bool own_cgroup(char *path, size_t cap)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    bool found = false;
    if (!mvm_posix_lines_open(&l, AT_FDCWD, "/proc/self/cgroup")) {
        return false;
    }
    while (!found && mvm_posix_lines_next(&l, &line)) {
        if (mvm_text_begins(line, "0::")) {
            struct mvm_writer w;
            mvm_writer_init(&w, path, cap);
            mvm_writer_add_text(&w, (struct mvm_text){line.bytes + 3, line.len - 3});
            found = !w.cut;
        }
    }
    mvm_posix_lines_close(&l);
    return found;
}

/* If a line of mountinfo is a cgroup2 mount that shows the cgroup `own`: its directory. */
static bool directory_of(struct mvm_text line, const char *own, char *path, size_t cap)
{
    struct mvm_text root = {"", 0};
    struct mvm_text point = {"", 0};
    for (int field = 1; field <= 5; field++) {
        root = point;
        point = mvm_posix_cut(&line, ' ');
    }
    while (line.len > 0 && !mvm_text_equal(mvm_posix_cut(&line, ' '), "-")) {
    }
    if (!mvm_text_begins(line, "cgroup2 ")) {
        return false;
    }
    size_t skip = root.len == 1 ? 0 : root.len;
    if (strncmp(own, root.bytes, skip) != 0 || (own[skip] != '/' && own[skip] != '\0')) {
        return false;
    }
    struct mvm_writer w;
    mvm_writer_init(&w, path, cap);
    mvm_posix_add_unescaped(&w, point);
    mvm_writer_add(&w, own + skip);
    return !w.cut;
}

static int open_own_cgroup(void)
{
    char own[MVM_PATH_MAX];
    char path[MVM_PATH_MAX];
    struct mvm_posix_lines l;
    struct mvm_text line;
    int fd = -1;
    if (!own_cgroup(own, sizeof own) ||
        !mvm_posix_lines_open(&l, AT_FDCWD, "/proc/self/mountinfo")) {
        return -1;
    }
    while (fd < 0 && mvm_posix_lines_next(&l, &line)) {
        if (directory_of(line, own, path, sizeof path)) {
            fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
    }
    mvm_posix_lines_close(&l);
    return fd;
}

/* ---- its life ---- */

/* mvm-build-PID-TIME: the name alone identifies a build's processes, even if process numbers of
 * several namespaces meet. */
static void make_name(struct mvm_posix *p)
{
    struct mvm_writer w;
    mvm_writer_init(&w, p->cgroup_name, sizeof p->cgroup_name);
    mvm_writer_add(&w, prefix);
    mvm_writer_add_u64(&w, (uint64_t)getpid());
    mvm_writer_add(&w, "-");
    mvm_writer_add_u64(&w, mvm_posix_clock_ns(CLOCK_REALTIME));
}

static void close_all(struct mvm_posix *p)
{
    int *const all[] = {&p->cgroup_kill, &p->cgroup, &p->cgroup_parent};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*all[i] >= 0) {
            close(*all[i]);
            *all[i] = -1;
        }
    }
}

/* Whether the directory just made is a cgroup v2's; in any other file system it is removed. */
static bool is_cgroup(struct mvm_posix *p)
{
    int procs = openat(p->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs >= 0) {
        close(procs);
        return true;
    }
    unlinkat(p->cgroup_parent, p->cgroup_name, AT_REMOVEDIR);
    errno = ENOTSUP;
    return false;
}

/* The lock shows builders in other pid namespaces, where this process has no number, that the
 * cgroup has an owner. One that was removed before the lock was taken is no longer a cgroup. */
static bool make_one(struct mvm_posix *p)
{
    make_name(p);
    mvm_posix_count_memory(p->cgroup_parent);
    if (mkdirat(p->cgroup_parent, p->cgroup_name, 0755) < 0) {
        return false;
    }
    p->cgroup = openat(p->cgroup_parent, p->cgroup_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->cgroup < 0) {
        unlinkat(p->cgroup_parent, p->cgroup_name, AT_REMOVEDIR);
        return false;
    }
    if (flock(p->cgroup, LOCK_SH | LOCK_NB) < 0 || !is_cgroup(p)) {
        close(p->cgroup);
        p->cgroup = -1;
        return false;
    }
    if (!p->no_cgroup_kill) { /* opened now: later there may be no descriptor left */
        p->cgroup_kill = openat(p->cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    }
    return true;
}

static bool make_below(struct mvm_posix *p)
{
    bool made = false;
    for (int i = 0; i < MAKE_TRIES && !made; i++) {
        made = make_one(p);
    }
    return made;
}

/* Before cgroup.kill (Linux 5.14): one by one. Processes forked meanwhile are found by the next
 * call. */
static void kill_listed(int dir)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    if (!mvm_posix_lines_open(&l, dir, "cgroup.procs")) {
        return;
    }
    while (mvm_posix_lines_next(&l, &line)) {
        pid_t pid = (pid_t)mvm_posix_number(line);
        if (pid > 0) { /* 0: of another pid namespace */
            kill(pid, SIGKILL);
        }
    }
    mvm_posix_lines_close(&l);
}

static void kill_all_in(int dir)
{
    int fd = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) < 0) {
        kill_listed(dir);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static bool has_processes(int dir)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    bool has = false;
    if (mvm_posix_lines_open(&l, dir, "cgroup.events")) {
        while (!has && mvm_posix_lines_next(&l, &line)) {
            has = mvm_text_equal(line, "populated 1");
        }
    }
    mvm_posix_lines_close(&l);
    return has;
}

/* The first directory in a cgroup's, into name: the cgroups below it. */
static bool first_below(int dir, char *name, size_t cap)
{
    struct mvm_posix_directory d;
    const char *entry;
    bool found = false;
    mvm_posix_directory_open(&d, dir, ".");
    while (!found && d.fd >= 0 && (entry = mvm_posix_directory_next(&d)) != NULL) {
        struct stat st;
        mvm_text_join(name, cap, entry, "", "");
        found = fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
    }
    mvm_posix_directory_close(&d);
    return found;
}

/* Removes one cgroup below a cgroup that has none below itself. False: none, or it has processes,
 * which are killed: cgroup.kill has done that, if there is one. */
static bool remove_one_below(int cgroup)
{
    char name[256];
    char below[256];
    if (!first_below(cgroup, name, sizeof name)) {
        return false;
    }
    int parent = dup(cgroup);
    int dir;
    while ((dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
           first_below(dir, below, sizeof below)) {
        close(parent);
        parent = dir;
        memcpy(name, below, sizeof name);
    }
    bool removed = unlinkat(parent, name, AT_REMOVEDIR) == 0;
    if (!removed && dir >= 0) {
        kill_listed(dir);
    }
    if (dir >= 0) {
        close(dir);
    }
    close(parent);
    return removed;
}

/* Removes a cgroup that has no process, and those below it. */
static void remove_all(int parent, const char *name, int cgroup)
{
    while (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno == EBUSY && remove_one_below(cgroup)) {
    }
}

/* A cgroup without an owner: its processes belong to an abandoned build. `fresh`: an empty one may
 * have just been created, and not be locked yet. */
static void remove_unlocked(int parent, const char *name, bool fresh)
{
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 && (!fresh || has_processes(dir)) && flock(dir, LOCK_EX | LOCK_NB) == 0) {
        kill_all_in(dir);
        remove_all(parent, name, dir);
    }
    if (dir >= 0) {
        close(dir);
    }
}

/* An agent that was ended by SIGKILL leaves its builds' cgroups, and their processes keep running:
 * these are killed, and the cgroups removed when they are empty. The lock shows who has an owner,
 * since a process enters a cgroup only when it is locked. The maker's number does not: it may be a
 * zombie's, or another process's by now. */
static void remove_left_over(int parent)
{
    struct mvm_posix_directory d;
    const char *name;
    mvm_posix_directory_open(&d, parent, ".");
    while (d.fd >= 0 && (name = mvm_posix_directory_next(&d)) != NULL) {
        if (mvm_text_begins(mvm_text_from(name), prefix)) {
            pid_t maker = (pid_t)mvm_posix_number(mvm_text_from(name + sizeof prefix - 1));
            remove_unlocked(parent, name, kill(maker, 0) == 0 || errno != ESRCH);
        }
    }
    mvm_posix_directory_close(&d);
}

/* -1: none. */
static int open_parent(const char *chosen)
{
    if (chosen != NULL) {
        return chosen[0] != '\0' ? open(chosen, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    }
    return open_own_cgroup();
}

void mvm_posix_end_left_over(const struct mvm_posix *p)
{
    int parent = open_parent(p->config.cgroup);
    if (parent >= 0) {
        remove_left_over(parent);
        close(parent);
    }
}

int mvm_posix_cgroup_make(struct mvm_posix *p)
{
    const char *chosen = p->config.cgroup;
    if (chosen != NULL && chosen[0] == '\0') {
        return 0;
    }
    p->cgroup_parent = open_parent(chosen);
    if (p->cgroup_parent >= 0 && make_below(p)) {
        remove_left_over(p->cgroup_parent);
        return 0;
    }
    int err = errno;
    close_all(p);
    if (chosen == NULL) {
        return 0;
    }
    mvm_posix_fail(p, "cgroup", err);
    return MVM_PORT_FAILED;
}

/* Writes one of the cgroup's files; 0 or an errno. Also called between vfork(2) and execve(2). */
static int write_file(const struct mvm_posix *p, const char *name, const char *text)
{
    int fd = mvm_posix_raw_open(p->cgroup, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int err = mvm_posix_raw_write(fd, text, strlen(text)) < 0 ? errno : 0;
    mvm_posix_raw_close(fd);
    return err;
}

int mvm_posix_cgroup_enter(const struct mvm_posix *p, pid_t pid)
{
    char text[24];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add_u64(&w, (uint64_t)pid);
    mvm_writer_finish(&w);
    int err = write_file(p, "cgroup.procs", text);
    return err == ESRCH ? 0 : err;
}

/* Whether a path of cgroups has the build's among its names. A zombie of a cgroup that was removed
 * has " (deleted)" appended. */
static bool names_build(const struct mvm_posix *p, struct mvm_text path)
{
    while (path.len > 0) {
        struct mvm_text name = mvm_posix_cut(&path, '/');
        name = mvm_posix_cut(&name, ' ');
        if (mvm_text_equal(name, p->cgroup_name)) {
            return true;
        }
    }
    return false;
}

bool mvm_posix_cgroup_holds(const struct mvm_posix *p, int process)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    bool holds = false;
    if (p->cgroup < 0 || !mvm_posix_lines_open(&l, process, "cgroup")) {
        return false;
    }
    while (!holds && mvm_posix_lines_next(&l, &line)) {
        holds = mvm_text_begins(line, "0::") && names_build(p, line);
    }
    mvm_posix_lines_close(&l);
    return holds;
}

/* Whether cgroup.events has `line`; `otherwise` if it cannot be read. A cgroup that is gone has
 * none. */
static bool cgroup_says(const struct mvm_posix *p, const char *line, bool otherwise)
{
    struct mvm_posix_lines l;
    struct mvm_text event;
    bool read = false;
    bool says = false;
    if (mvm_posix_lines_open(&l, p->cgroup, "cgroup.events")) {
        while (!says && mvm_posix_lines_next(&l, &event)) {
            read = true;
            says = mvm_text_equal(event, line);
        }
    }
    mvm_posix_lines_close(&l);
    if (read) {
        return says;
    }
    /* The file is never empty: open or read has failed, and the error is theirs. */
    return otherwise && errno != ENOENT && errno != ENODEV;
}

bool mvm_posix_cgroup_populated(const struct mvm_posix *p)
{
    return cgroup_says(p, "populated 1", true);
}

/* Fails in a threaded cgroup. */
bool mvm_posix_cgroup_kill(struct mvm_posix *p)
{
    return p->cgroup_kill >= 0 && write(p->cgroup_kill, "1", 1) == 1;
}

bool mvm_posix_cgroup_freeze(struct mvm_posix *p, bool frozen)
{
    return write_file(p, "cgroup.freeze", frozen ? "1" : "0") == 0;
}

bool mvm_posix_cgroup_is_frozen(const struct mvm_posix *p)
{
    return cgroup_says(p, "frozen 1", false);
}

void mvm_posix_cgroup_remove(struct mvm_posix *p)
{
    if (p->cgroup < 0) {
        return;
    }
    remove_all(p->cgroup_parent, p->cgroup_name, p->cgroup);
    close_all(p);
}
