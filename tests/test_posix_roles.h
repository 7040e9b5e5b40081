/*
 * What the tests of a build's processes share: the spawned programs, which are the test program
 * itself again, in a role, and functions that start, read and end a build.
 */
#ifndef TEST_POSIX_ROLES_H
#define TEST_POSIX_ROLES_H

#include "test_posix_fixture.h"
#include <sched.h>

enum { PATIENCE_MS = 60000 };

static char self_path[4096]; /* of this program */

/* ---- roles ---- */

static inline void say(int fd, const char *text)
{
    ssize_t ignored = write(fd, text, strlen(text));
    (void)ignored;
}

static inline int role_print(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say(1, "to stdout");
    say(2, "to stderr");
    return 7;
}

static inline int role_arguments(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        say(1, argv[i]);
        say(1, "\n");
    }
    return 0;
}

static inline int role_die(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    raise(SIGKILL);
    return 0;
}

/* Ignores all signals that can be, as a program does that nohup(1) starts, but those that spawn
 * needs; or not any longer. */
static inline void ignore_signals(bool ignored)
{
    for (int sig = 1; sig <= SIGRTMAX; sig++) {
        if (sig != SIGCHLD) {
            signal(sig, ignored ? SIG_IGN : SIG_DFL);
        }
    }
}

/* Prints what is wrong with its environment. */
static inline int role_inspect(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    char c;
    sigset_t mask;
    if (read(0, &c, 1) != 0) {
        say(1, "stdin is not empty\n");
    }
    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            say(1, "a descriptor was inherited\n");
        }
    }
    if (getsid(0) != getpid()) {
        say(1, "no session of its own\n");
    }
    char text[64] = "";
    if (getcwd(text, sizeof text) == NULL || strcmp(text, "/") != 0) {
        say(1, "not in the root directory\n");
    }
    int score = open("/proc/self/oom_score_adj", O_RDONLY);
    if (score >= 0 && (read(score, text, sizeof text) != 2 || text[0] != '0')) {
        say(1, "an oom_score_adj that is not 0\n");
    }
    close(score);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int sig = 1; sig <= SIGRTMAX; sig++) {
        struct sigaction action;
        if (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            say(1, "a signal is ignored\n");
        }
        if (sigismember(&mask, sig)) {
            say(1, "a signal is blocked\n");
        }
    }
    return 0;
}

static inline int role_close_and_stay(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    close(1);
    close(2);
    pause();
    return 0;
}

static inline int stay(void)
{
    for (;;) {
        pause();
    }
    return 0;
}

static inline int role_stay(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say(1, "ready\n");
    return stay();
}

static inline int stay_deaf(void)
{
    signal(SIGTERM, SIG_IGN);
    say(1, "ready\n");
    return stay();
}

static inline int role_deaf(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return stay_deaf();
}

/* A grandchild in a session of its own that ignores SIGTERM and holds the pipes. With "leave" the
 * first process ends immediately, else it stays. */
static inline int role_hide(int argc, char **argv)
{
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            stay_deaf();
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    if (argc > 2 && strcmp(argv[2], "leave") == 0) {
        return 0;
    }
    return stay();
}

/* Children in chains of sessions, all ignoring SIGTERM: a tree of 3 × 4 processes. */
static inline int role_tree(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int branch = 0; branch < 3; branch++) {
        if (fork() != 0) {
            continue;
        }
        for (int depth = 0; depth < 3; depth++) {
            setsid();
            if (fork() != 0) {
                break;
            }
        }
        stay_deaf();
    }
    signal(SIGTERM, SIG_IGN);
    return stay();
}

/* Evades signals: each process starts the next, in a new session, and ends. */
static inline int role_flee(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    signal(SIGTERM, SIG_IGN);
    say(1, "ready\n");
    for (;;) {
        if (fork() != 0) {
            _exit(0);
        }
        setsid();
        usleep(500);
    }
}

/* Double-forks and ends, with a new session between: nothing links the grandchild to it. */
static inline int role_scatter(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            return stay_deaf();
        }
    }
    return 0;
}

/* A child moves to the cgroup in the directory `argv[2]` and hides there from its first process. */
static inline int role_leave(int argc, char **argv)
{
    char path[512];
    (void)argc;
    if (fork() == 0) {
        snprintf(path, sizeof path, "%s/cgroup.procs", argv[2]);
        int fd = open(path, O_WRONLY);
        say(fd, "0");
        close(fd);
        setsid();
        if (fork() == 0) {
            return stay_deaf();
        }
        _exit(0);
    }
    return stay();
}

/* A grandchild in the same session, whose parent ends; the first process stays. */
static inline int role_orphan(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            return stay_deaf();
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return stay();
}

/* Each process the parent of the next, `argv[2]` of them, each in a session of its own. */
static inline int role_chain(int argc, char **argv)
{
    (void)argc;
    for (int left = atoi(argv[2]); left > 1 && fork() == 0; left--) {
        setsid();
    }
    return stay_deaf();
}

/* `argv[2]` processes, and then "ready", or "no more" if there cannot be so many. */
static inline int role_crowd(int argc, char **argv)
{
    (void)argc;
    signal(SIGTERM, SIG_IGN);
    for (int left = atoi(argv[2]); left > 1; left--) {
        pid_t pid = fork();
        if (pid == 0) {
            return stay();
        }
        if (pid < 0) {
            say(1, "no more\n");
            return stay();
        }
    }
    return stay_deaf();
}

/* Starts one child in a session of its own after the other, two thousand at most. */
static inline int role_breed(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < 2000; i++) {
        if (fork() == 0) {
            setsid();
            return stay_deaf();
        }
        usleep(1000);
    }
    return stay();
}

/* Has a child in a session of its own, and both are stopped. */
static inline int role_stopped(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (fork() == 0) {
        setsid();
    }
    say(1, "ready\n");
    raise(SIGSTOP);
    return stay();
}

/* Waits for a vfork child, which only SIGKILL ends: it does not stop either. */
static inline int role_unstoppable(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (vfork() == 0) { /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
        say(1, "ready\n");
        for (;;) {
            pause();
        }
    }
    return stay();
}

/* Starts children as fast as it can, each of which starts one of its own; none ignores SIGTERM. */
static inline int role_sow(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int i = 0; i < 1000; i++) {
        if (fork() == 0) {
            setsid();
            usleep(500);
            fork();
            return stay();
        }
        if (i == 20) {
            say(1, "ready\n");
        }
    }
    return stay();
}

/* The same at the lowest priority, so that it hardly runs on a busy machine. */
static inline int role_starved_sow(int argc, char **argv)
{
    sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    return role_sow(argc, argv);
}

/* The build's cgroup as /proc shows it, below the directory `parent`. */
static inline void own_cgroup_path(const char *parent, char *path, size_t cap)
{
    char own[4096] = "";
    while (strstr(own, "mvm-build-") == NULL) {
        int fd = open("/proc/self/cgroup", O_RDONLY);
        ssize_t n = read(fd, own, sizeof own - 1);
        own[n > 0 ? n : 0] = '\0';
        close(fd);
        usleep(1000);
    }
    char *name = strstr(own, "mvm-build-");
    name[strcspn(name, "\n")] = '\0';
    snprintf(path, cap, "%s/%s", parent, name);
}

/* Moves to a cgroup two levels below the build's, which is in the directory `argv[2]`. */
static inline int role_subgroup(int argc, char **argv)
{
    char own[512];
    char path[600];
    (void)argc;
    own_cgroup_path(argv[2], own, sizeof own);
    snprintf(path, sizeof path, "%s/inner", own);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/inner/deeper", own);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/inner/deeper/cgroup.procs", own);
    int fd = open(path, O_WRONLY);
    say(fd, "0");
    close(fd);
    return stay_deaf();
}

static inline void write_in(const char *dir, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY);
    say(fd, text);
    close(fd);
}

/* Makes the build's cgroup, in the directory `argv[2]`, a threaded one, which requires it to be
 * empty. */
static inline int role_threaded(int argc, char **argv)
{
    char own[512];
    (void)argc;
    own_cgroup_path(argv[2], own, sizeof own);
    write_in(argv[2], "cgroup.procs", "0");
    write_in(own, "cgroup.type", "threaded");
    write_in(own, "cgroup.procs", "0");
    fork();
    return stay_deaf();
}

static const struct {
    const char *name;
    int (*play)(int argc, char **argv);
} roles[] = {
    {"print", role_print},
    {"arguments", role_arguments},
    {"die", role_die},
    {"inspect", role_inspect},
    {"close-and-stay", role_close_and_stay},
    {"stay", role_stay},
    {"deaf", role_deaf},
    {"hide", role_hide},
    {"tree", role_tree},
    {"flee", role_flee},
    {"subgroup", role_subgroup},
    {"threaded", role_threaded},
    {"leave", role_leave},
    {"orphan", role_orphan},
    {"scatter", role_scatter},
    {"chain", role_chain},
    {"breed", role_breed},
    {"crowd", role_crowd},
    {"stopped", role_stopped},
    {"unstoppable", role_unstoppable},
    {"sow", role_sow},
    {"starved-sow", role_starved_sow},
};

/* ---- helpers ---- */

struct mode {
    const char *name;
    struct mvm_posix_config config;
    bool no_cgroup_kill;
};

static struct mvm_posix posix;

/* The way in which builds are started; MVM_START names it. */
static enum mvm_posix_way way;

static inline const struct mode *use(const struct mode *mode)
{
    init_without_stdin(&posix, &mode->config);
    posix.no_cgroup_kill = mode->no_cgroup_kill;
    posix.way = way;
    return mode;
}

static inline void spawn_role(const char *role, const char *argument)
{
    const char *const argv[] = {self_path, role, argument, NULL};
    assert_int_equal(port->spawn(&posix, argv), 0);
}

/* Whether a cgroup v2 can be made below this process's, if its mount shows the whole hierarchy. */
static inline bool can_make_cgroup(void)
{
    char line[4096], point[2048], type[64], own[512], path[2700];
    bool can = false;
    FILE *f = fopen("/proc/self/cgroup", "re");
    own[0] = '\0';
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        sscanf(line, "0::%511[^\n]", own);
    }
    fclose(f);
    f = fopen("/proc/self/mounts", "re");
    while (f != NULL && !can && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%*s %2047s %63s", point, type) == 2 && strcmp(type, "cgroup2") == 0) {
            snprintf(path, sizeof path, "%s%s/mvm-probe-%d", point, own, (int)getpid());
            can = own[0] == '/' && mkdir(path, 0755) == 0 && rmdir(path) == 0;
        }
    }
    fclose(f);
    return can;
}

/* As spawn_role, in `mode`; skipped on a machine without cgroups if it needs one. */
static inline void spawn_in(const struct mode *mode, const char *role, const char *argument)
{
    use(mode);
    spawn_role(role, argument);
    if (mode->config.cgroup == NULL && posix.cgroup < 0) {
        mvm_posix_fini(&posix);
        assert_false(can_make_cgroup());
        SKIP_BECAUSE("no cgroup v2 can be made here");
    }
}

/* Reads a stream to its end, or until `want` bytes were read. */
static inline size_t read_stream(enum mvm_stream stream, char *text, size_t cap, size_t want)
{
    size_t len = 0;
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (len < want && clock_ms() < until) {
        int n = port->read_output(&posix, stream, (uint8_t *)text + len, cap - 1 - len);
        if (n == MVM_PORT_END) {
            break;
        }
        assert_true(n >= 0);
        len += (size_t)n;
        if (n == 0) {
            struct pollfd fd = {mvm_posix_fd(&posix), POLLIN, 0};
            poll(&fd, 1, 100);
        }
    }
    text[len] = '\0';
    return len;
}

static inline void assert_stream(enum mvm_stream stream, const char *expected)
{
    char text[4096];
    read_stream(stream, text, sizeof text, sizeof text);
    assert_string_equal(text, expected);
}

/* Waits until `n` processes have printed "ready"; more may have. */
static inline void await_ready(size_t n)
{
    char text[8192];
    assert_true(read_stream(MVM_PORT_STDOUT, text, sizeof text, 6 * n) >= 6 * n);
}

static inline struct mvm_exit await_exit(void)
{
    struct mvm_exit e = {false, -1};
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (port->poll_exit(&posix, &e) == 0 && clock_ms() < until) {
        struct pollfd fd = {mvm_posix_fd(&posix), POLLIN, 0};
        poll(&fd, 1, 20);
    }
    assert_int_equal(port->poll_exit(&posix, &e), 1);
    return e;
}

/* The descriptors but the port's timer, which is made when it is first needed, and kept until fini.
 */
static inline int count_open(void)
{
    return count_descriptors() - (posix.watch.timer >= 0);
}

static inline void await_remaining(int count)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (port->remaining(&posix) != count && clock_ms() < until) {
        sleep_ms(1);
    }
    assert_int_equal(port->remaining(&posix), count);
}

/* A remaining process of a build holds its pipes open, even one that no scan finds. */
static inline void assert_pipes_end(void)
{
    char text[4096];
    for (int i = 0; i < MVM_PORT_STREAMS; i++) {
        while (read_stream((enum mvm_stream)i, text, sizeof text, sizeof text - 1) > 0) {
        }
        uint8_t byte;
        assert_int_equal(port->read_output(&posix, (enum mvm_stream)i, &byte, 1), MVM_PORT_END);
    }
}

/* Signals as the executor does: while the build is being stopped it tries again. */
static inline int signal_build(enum mvm_signal signal)
{
    int r;
    while ((r = port->signal_build(&posix, signal)) == MVM_PORT_LATER) {
        sleep_ms(MVM_KILL_POLL_MS);
    }
    return r;
}

/* Kills as the executor does, and asserts that nothing is left, not even a zombie. */
static inline void kill_and_close(void)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    do {
        assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
        sleep_ms(5);
    } while (port->remaining(&posix) != 0 && clock_ms() < until);
    assert_int_equal(port->remaining(&posix), 0);
    await_exit();
    assert_pipes_end();
    port->close_build(&posix);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* The path of the build's cgroup. */
static inline void cgroup_path(char *path, size_t cap)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", posix.cgroup);
    ssize_t n = readlink(link, path, cap - 1);
    assert_true(n > 0);
    path[n] = '\0';
}

/* Before each test and after the last: cmocka runs no tear-down after a test that failed. */
/* What a failed test left must not fail the next one. */
static inline int clean_up(void **state)
{
    (void)state;
    mvm_posix_fini(&posix);
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (waitpid(-1, NULL, WNOHANG) >= 0 && clock_ms() < until) {
        FILE *children = fopen("/proc/thread-self/children", "re");
        int pid;
        while (children != NULL && fscanf(children, "%d", &pid) == 1) {
            kill(pid, SIGKILL);
        }
        if (children != NULL) {
            fclose(children);
        }
        sleep_ms(1);
    }
    return 0;
}

static inline enum mvm_posix_way way_by_name(const char *name)
{
    static const char *const names[] = {"any", "spawn", "clone", "vfork"};
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum mvm_posix_way)i;
        }
    }
    return MVM_POSIX_ANY_WAY;
}

/* Plays the role this program was started in; its exit status. -1: it runs its tests. */
static inline int play_role(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(argv[1], roles[i].name) == 0) {
            return roles[i].play(argc, argv);
        }
    }
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
    if (n < 0) {
        return 1;
    }
    self_path[n] = '\0';
    way = way_by_name(getenv("MVM_START"));
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return -1;
}

/* A test that gets its mode as its state, and is named with it. */
#define IN_MODE(test, mode)                                                                        \
    {                                                                                              \
#test " (" #mode ")", test, clean_up, NULL, (void *)(uintptr_t)&mode                       \
    }

#endif
