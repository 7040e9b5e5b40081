/*
 * Builds that are hard to end, in environments that make it harder: with and without cgroups, with
 * /proc as it may be found, as root and not, on kernels without newer system calls. In each, either
 * all that the build started ends, or the build's client has read that this is not certain.
 *
 * An environment is a pid and a mount namespace of its own, so whatever survives ends with it. With
 * MVM_MATRIX=all every combination is run, else those next to the two most common ones.
 */
#define _GNU_SOURCE
#include "test_posix_roles.h"
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { GRACE_MS = 60, KILL_MS = 4000, READY_MS = 20000, DRAIN_MS = 200, POLL_MS = 4 };
enum { BUSY_MS = 20000 }; /* what must come may take so long on a busy machine */
enum { FIRST_NEWER_CALL = 424, OTHER_ID = 65534, WAIT_BY_PIDFD = 3 };

enum cgroups { CGROUP_V2, CGROUP_V1, CGROUP_NONE, CGROUPS };
enum procs { PROC_OWN, PROC_HIDEPID_1, PROC_HIDEPID_2, PROC_OTHER, PROC_ABSENT, PROCS };
enum users { USER_ROOT, USER_OTHER, USERS };
enum calls { CALLS_ALL, CALLS_ENOSYS, CALLS_EPERM, CALLS };
enum builds { PLAIN, SESSION, TWICE, DEAF, CHAIN, LEAVES, BUILDS };
enum ends { TIMEOUT, CANCEL, ENDS };

static const char *const cgroup_names[] = {"cgroup v2", "cgroup v1 only", "no cgroup"};
static const char *const proc_names[] = {"/proc", "hidepid=1", "hidepid=2", "/proc of another",
                                         "no /proc"};
static const char *const user_names[] = {"root", "not root"};
static const char *const calls_names[] = {"all calls", "ENOSYS", "EPERM"};
static const char *const end_names[] = {"time-out", "cancel"};

static const struct {
    const char *name;
    const char *role;
    const char *argument;
    size_t ready;
} builds[] = {
    {"plain", "stay", NULL, 1},
    {"own session", "hide", NULL, 1},
    {"forks twice", "scatter", NULL, 1},
    {"ignores SIGTERM", "deaf", NULL, 1},
    {"chain of 200", "chain", "200", 200},
    {"leaves its cgroup", "leave", NULL, 1},
};

struct cell {
    enum cgroups cgroup;
    enum procs proc;
    enum users user;
    enum calls calls;
    enum builds build;
    enum ends end;
};

/* What a cell's agent reports, as its exit status. */
enum {
    SURVIVED = 1,
    SAID = 2,
    IMPATIENT = 4,
    CANNOT_START = 8,
    NO_SUCH_PLACE = 16,
    HAS_CGROUP = 32
};

static char cgroup_dir[256]; /* of this machine's cgroup2 mount; "": none */

/* ---- the place ---- */

static void unmount_cgroups(bool all)
{
    static char points[64][256];
    size_t n = 0;
    char line[1024];
    FILE *f = fopen("/proc/self/mounts", "re");
    while (f != NULL && n < 64 && fgets(line, sizeof line, f) != NULL) {
        char type[64];
        if (sscanf(line, "%*s %255s %63s", points[n], type) == 2 &&
            (strcmp(type, "cgroup2") == 0 || (all && strcmp(type, "cgroup") == 0))) {
            n++;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    while (n > 0) {
        umount2(points[--n], MNT_DETACH);
    }
}

static bool set_up_proc(enum procs proc)
{
    switch (proc) {
    case PROC_OWN:
        return mount("proc", "/proc", "proc", 0, NULL) == 0;
    case PROC_HIDEPID_1:
        return mount("proc", "/proc", "proc", 0, "hidepid=1") == 0;
    case PROC_HIDEPID_2:
        return mount("proc", "/proc", "proc", 0, "hidepid=2") == 0;
    case PROC_ABSENT:
        return mount("none", "/proc", "tmpfs", 0, NULL) == 0;
    case PROC_OTHER:
    case PROCS:
        break;
    }
    return true;
}

static bool write_text(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) > 0;
    close(fd);
    return written;
}

static bool hand_over(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return chown(path, OTHER_ID, OTHER_ID) == 0;
}

/* A cgroup for the agent, as a service manager would make it. */
static bool enter_cgroup(const char *dir, enum users user)
{
    return write_text(dir, "cgroup.procs", "0") &&
           (user == USER_ROOT || (hand_over(dir, "") && hand_over(dir, "cgroup.procs")));
}

static bool drop_privileges(void)
{
    return setgroups(0, NULL) == 0 && setgid(OTHER_ID) == 0 && setuid(OTHER_ID) == 0 &&
           prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L) == 0;
}

/* As an older kernel answers, or a filter that does not know the newer calls. */
static bool refuse_newer_calls(enum calls calls)
{
    unsigned newer = SECCOMP_RET_ERRNO | (unsigned)(calls == CALLS_ENOSYS ? ENOSYS : EPERM);
    unsigned pidfd = SECCOMP_RET_ERRNO | (unsigned)(calls == CALLS_ENOSYS ? EINVAL : EPERM);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_NEWER_CALL, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_waitid, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WAIT_BY_PIDFD, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, newer),
        BPF_STMT(BPF_RET | BPF_K, pidfd),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
           prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program) == 0;
}

/* ---- the agent ---- */

/* Reads what is available. True: both pipes have ended. */
static bool read_pipes(size_t *lines)
{
    bool ended = true;
    for (int i = 0; i < MVM_PORT_STREAMS; i++) {
        uint8_t buf[512];
        int n;
        while ((n = port->read_output(&posix, (enum mvm_stream)i, buf, sizeof buf)) > 0) {
            for (int at = 0; at < n; at++) {
                *lines += buf[at] == '\n' ? 1 : 0;
            }
        }
        ended = ended && n == MVM_PORT_END;
    }
    return ended;
}

static bool is_gone(void)
{
    struct mvm_exit e;
    return port->poll_exit(&posix, &e) == 1 && port->remaining(&posix) == 0;
}

static bool await_gone(int ms, bool kill_it)
{
    uint64_t until = clock_ms() + (uint64_t)ms;
    while (!is_gone()) {
        if (clock_ms() >= until) {
            return false;
        }
        if (kill_it) {
            signal_build(MVM_SIGNAL_KILL);
        }
        sleep_ms(POLL_MS);
    }
    return true;
}

static bool must_end(const struct cell *c);

/* Starts a build and ends it as the executor does: the report. */
static int run_agent(const struct cell *c, const char *cgroup)
{
    const char *leave_to = c->build == LEAVES ? cgroup : builds[c->build].argument;
    const char *const argv[] = {self_path, builds[c->build].role, leave_to, NULL};
    bool named = c->cgroup == CGROUP_V2 && c->proc == PROC_ABSENT;
    struct mvm_posix_config config = {.subreaper = true, .cgroup = named ? cgroup : NULL};
    size_t lines = 0;
    int report = 0;
    mvm_posix_init(&posix, &config);
    if (port->spawn(&posix, argv) < 0) {
        return CANNOT_START;
    }
    report |= port->limits(&posix) != NULL ? SAID : 0;
    report |= posix.cgroup >= 0 ? HAS_CGROUP : 0;
    uint64_t until = clock_ms() + READY_MS;
    while (c->end == TIMEOUT && lines < builds[c->build].ready && clock_ms() < until) {
        read_pipes(&lines);
        sleep_ms(1);
    }
    signal_build(MVM_SIGNAL_TERM);
    if (!await_gone(GRACE_MS, false) && !await_gone(must_end(c) ? BUSY_MS : KILL_MS, true)) {
        report |= IMPATIENT;
    }
    until = clock_ms() + (must_end(c) ? BUSY_MS : DRAIN_MS);
    while (!read_pipes(&lines)) {
        if (clock_ms() >= until) {
            return report | SURVIVED;
        }
        sleep_ms(POLL_MS);
    }
    port->close_build(&posix);
    return report;
}

/* ---- a cell ---- */

static int status_of(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) != pid) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : NO_SUCH_PLACE;
}

/* The first process of the place's pid namespace. */
static int run_place(const struct cell *c, const char *cgroup)
{
    if (c->cgroup != CGROUP_V2) {
        unmount_cgroups(c->cgroup == CGROUP_NONE);
    }
    if (!set_up_proc(c->proc)) {
        return NO_SUCH_PLACE;
    }
    pid_t agent = fork();
    if (agent == 0) {
        bool ready = (c->cgroup != CGROUP_V2 || enter_cgroup(cgroup, c->user)) &&
                     (c->user == USER_ROOT || drop_privileges()) &&
                     (c->calls == CALLS_ALL || refuse_newer_calls(c->calls));
        _exit(ready ? run_agent(c, cgroup) : NO_SUCH_PLACE);
    }
    return status_of(agent);
}

static int run_cell(const struct cell *c)
{
    char cgroup[300];
    snprintf(cgroup, sizeof cgroup, "%s/mvm-matrix-%d", cgroup_dir, (int)getpid());
    if (c->cgroup == CGROUP_V2 && mkdir(cgroup, 0755) < 0 && errno != EEXIST) {
        return NO_SUCH_PLACE;
    }
    pid_t outer = fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
            _exit(NO_SUCH_PLACE);
        }
        pid_t first = fork();
        if (first == 0) {
            _exit(run_place(c, cgroup));
        }
        _exit(status_of(first));
    }
    int report = status_of(outer);
    if (c->cgroup == CGROUP_V2) {
        const char *const remove[] = {"find",  cgroup,  "-depth", "-type", "d",
                                      "-exec", "rmdir", "{}",     ";",     NULL};
        run(remove);
    }
    return report;
}

/* ---- what must hold ---- */

static bool has_usable_proc(const struct cell *c)
{
    return c->proc == PROC_OWN || c->proc == PROC_HIDEPID_1 || c->proc == PROC_HIDEPID_2;
}

static bool hides_others(const struct cell *c)
{
    return c->user == USER_OTHER && (c->proc == PROC_HIDEPID_1 || c->proc == PROC_HIDEPID_2);
}

/* As docs/processes.md has it. */
static bool must_say(const struct cell *c)
{
    if (c->cgroup == CGROUP_V2) {
        return !has_usable_proc(c);
    }
    return !has_usable_proc(c) || hides_others(c);
}

static bool must_end(const struct cell *c)
{
    if (has_usable_proc(c)) {
        return true;
    }
    if (c->cgroup == CGROUP_V2) {
        return c->build != LEAVES;
    }
    return c->build == PLAIN || c->build == DEAF;
}

static const char *fault_of(const struct cell *c, int report)
{
    if ((report & NO_SUCH_PLACE) != 0) {
        return "its environment cannot be made here";
    }
    if ((report & CANNOT_START) != 0) {
        return "the build does not start";
    }
    if (((report & HAS_CGROUP) != 0) != (c->cgroup == CGROUP_V2)) {
        return "the build is not in the cgroup it should be in";
    }
    if (((report & SAID) != 0) != must_say(c)) {
        return must_say(c) ? "a limit is not reported" : "a limit is reported that does not exist";
    }
    if ((report & SURVIVED) != 0 && must_end(c)) {
        return "a process survives";
    }
    return (report & IMPATIENT) != 0 && must_end(c) ? "an end is not noticed" : NULL;
}

/* Whether a cell is in the short list: at most one condition is unusual. */
static bool is_near(const struct cell *c)
{
    int odd = (c->proc != PROC_OWN ? 1 : 0) + (c->user != USER_ROOT ? 1 : 0) +
              (c->calls != CALLS_ALL ? 1 : 0) + (c->cgroup == CGROUP_V1 ? 1 : 0);
    bool both = c->user == USER_OTHER && c->proc != PROC_OWN && c->calls == CALLS_ALL &&
                c->cgroup == CGROUP_NONE;
    return odd <= 1 || both;
}

static int check_cell(const struct cell *c)
{
    if ((c->build == LEAVES && c->cgroup != CGROUP_V2) ||
        (getenv("MVM_MATRIX") == NULL && !is_near(c))) {
        return 0;
    }
    const char *fault = fault_of(c, run_cell(c));
    if (fault != NULL) {
        fprintf(stderr, "%s, %s, %s, %s; %s by %s: %s\n", cgroup_names[c->cgroup],
                proc_names[c->proc], user_names[c->user], calls_names[c->calls],
                builds[c->build].name, end_names[c->end], fault);
    }
    return fault != NULL ? 1 : 0;
}

static int check_builds(struct cell c)
{
    int faults = 0;
    for (int build = 0; build < BUILDS; build++) {
        for (int end = 0; end < ENDS; end++) {
            c.build = (enum builds)build;
            c.end = (enum ends)end;
            faults += check_cell(&c);
        }
    }
    return faults;
}

static bool find_cgroups(void)
{
    char line[1024];
    FILE *f = fopen("/proc/self/mounts", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char type[64];
        if (sscanf(line, "%*s %255s %63s", cgroup_dir, type) == 2 && strcmp(type, "cgroup2") == 0) {
            fclose(f);
            return access(cgroup_dir, W_OK) == 0;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return false;
}

/* In the cgroups of `state`. */
static void every_build_ends_or_its_client_is_warned(void **state)
{
    const enum cgroups *cgroup = *state;
    int faults = 0;
    if (geteuid() != 0) {
        SKIP_BECAUSE("environments are made by root");
    }
    if (*cgroup == CGROUP_V2 && !find_cgroups()) {
        SKIP_BECAUSE("no cgroup v2 can be made here");
    }
    for (int proc = 0; proc < PROCS; proc++) {
        for (int user = 0; user < USERS; user++) {
            for (int calls = 0; calls < CALLS; calls++) {
                faults += check_builds((struct cell){.cgroup = *cgroup,
                                                     .proc = (enum procs)proc,
                                                     .user = (enum users)user,
                                                     .calls = (enum calls)calls});
            }
        }
    }
    assert_int_equal(faults, 0);
}

static enum cgroups v2 = CGROUP_V2, v1 = CGROUP_V1, none = CGROUP_NONE;

static char copies[TEMPORARY_CAP];

/* This program may be in a directory that other accounts may not enter, such as root's home: builds
 * are started from a copy. */
static bool copy_program(void)
{
    static char bytes[1 << 16];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (from < 0 || !make_temporary(copies, "matrix") || chmod(copies, 0755) < 0) {
        return false;
    }
    snprintf(self_path, sizeof self_path, "%s/program", copies);
    int to = open(self_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0 && write(to, bytes, (size_t)n) == n) {
    }
    close(from);
    return fchmod(to, 0755) == 0 && close(to) == 0 && n == 0;
}

int main(int argc, char **argv)
{
    int code = play_role(argc, argv);
    if (code >= 0) {
        return code;
    }
    if (!copy_program()) {
        perror("a copy of this program");
        return 1;
    }
    const struct CMUnitTest tests[] = {
        {"every_build_ends_or_its_client_is_warned (cgroup v2)",
         every_build_ends_or_its_client_is_warned, NULL, NULL, &v2},
        {"every_build_ends_or_its_client_is_warned (cgroup v1 only)",
         every_build_ends_or_its_client_is_warned, NULL, NULL, &v1},
        {"every_build_ends_or_its_client_is_warned (no cgroup)",
         every_build_ends_or_its_client_is_warned, NULL, NULL, &none},
    };
    code = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(self_path);
    rmdir(copies);
    return code;
}
