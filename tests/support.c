/* A test's life, its files, and the processes it starts. */
#define _GNU_SOURCE
#include "support.h"
#include "temporary.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { CHILDREN = 512, ARGS = 64, FILE_CAP = 32 << 20, PATHS = 256, AGENT_ENDS_MS = 30000 };

const char *e2e_test = "";

static char dir[TEMPORARY_CAP];
static char programs[E2E_PATH_CAP];
static pid_t children[CHILDREN];
static int children_len;
static char paths[PATHS][E2E_PATH_CAP];
static int paths_len;
static volatile sig_atomic_t overdue;

/* ---- time ---- */

uint64_t e2e_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void e2e_sleep_ms(int ms)
{
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    for (uint64_t now = e2e_now_ms(); now < until && !overdue; now = e2e_now_ms()) {
        poll(NULL, 0, (int)(until - now));
    }
}

static long cpu_ms(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user, sys;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strrchr(text, ')')); /* its name may have blanks */
    assert_int_equal(sscanf(strrchr(text, ')'),
                            ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys),
                     2);
    return (long)(user + sys) * 1000 / sysconf(_SC_CLK_TCK);
}

void e2e_assert_idle(pid_t pid)
{
    enum { WHILE_MS = 400, IDLE_MS = 40, TRIES = 20 };
    long used = LONG_MAX;
    for (int i = 0; i < TRIES && used > IDLE_MS; i++) {
        long before = cpu_ms(pid);
        e2e_sleep_ms(WHILE_MS);
        used = cpu_ms(pid) - before;
    }
    assert_in_range(used, 0, IDLE_MS);
}

bool e2e_until(bool (*ready)(const char *about), const char *about, int ms)
{
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    while (!ready(about)) {
        e2e_assert_in_time();
        if (e2e_now_ms() >= until) {
            return false;
        }
        poll(NULL, 0, 10);
    }
    return true;
}

static unsigned test_secs(void)
{
    const char *secs = getenv("MVM_TEST_SECS");
    return secs != NULL ? (unsigned)atoi(secs) : E2E_TEST_SECS;
}

void e2e_assert_in_time(void)
{
    if (overdue) {
        fail_msg("%s took longer than %u s", e2e_test, test_secs());
    }
}

/* The first time the test fails and cleans up. The second time it hangs and is ended. */
static void on_alarm(int sig)
{
    static const char text[] = "a test took too long: ";
    (void)sig;
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    n += write(STDERR_FILENO, e2e_test, strlen(e2e_test));
    n += write(STDERR_FILENO, "\n", 1);
    for (int i = 0; i < children_len; i++) {
        kill(children[i], SIGKILL);
    }
    if (overdue || n < 0) {
        _exit(1);
    }
    overdue = 1;
    alarm(15);
}

/* ---- set-up and tear-down ---- */

/* A program started with one of them closed would give its number to a file of the tests. */
__attribute__((constructor)) static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
}

int e2e_begin(void **state)
{
    (void)state;
    const char *build = getenv("MVM_BUILD");
    char *full = realpath(build != NULL ? build : "build", NULL);
    if (full == NULL || strlen(full) >= sizeof programs) {
        fprintf(stderr, "MVM_BUILD names no directory with the programs\n");
        return -1;
    }
    strcpy(programs, full);
    free(full);
    struct sigaction act = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_DFL); /* a shell ignores them in what it starts in the background */
    signal(SIGQUIT, SIG_DFL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that what an agent leaves behind can be reaped */
    e2e_disks_begin();
    return 0;
}

int e2e_set_up(void **state)
{
    e2e_test = *state;
    overdue = 0;
    alarm(test_secs());
    children_len = paths_len = 0;
    assert_true(make_temporary(dir, "e2e"));
    setenv("MVM_E2E", dir, 1); /* inherited by every process of the test, which is found by it */
    e2e_conns_begin();
    e2e_write_nix("exit 3");
    return 0;
}

static void end_children(void)
{
    for (int i = 0; i < children_len; i++) {
        kill(children[i], SIGTERM);
    }
    uint64_t until = e2e_now_ms() + AGENT_ENDS_MS;
    for (int i = 0; i < children_len; i++) {
        while (children[i] > 0 && waitpid(children[i], NULL, WNOHANG) == 0) {
            if (e2e_now_ms() >= until) {
                fprintf(stderr, "%s: process %d had to be killed\n", e2e_test, (int)children[i]);
                kill(children[i], SIGKILL);
                waitpid(children[i], NULL, 0);
                break;
            }
            poll(NULL, 0, 5);
        }
    }
    children_len = 0;
}

static int for_each_process(const char *mark, int sig);

/* The processes that a failed test left have the directory's name in their environment. */
static void end_left_over(void)
{
    for (int i = 0; i < 100 && for_each_process(dir, SIGKILL) > 0; i++) {
        poll(NULL, 0, 10);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int e2e_tear_down(void **state)
{
    (void)state;
    e2e_thaw(); /* before any call that would wait for a disk */
    alarm(0);
    overdue = 0;
    e2e_conns_end();
    end_children();
    end_left_over();
    e2e_disks_end();
    if (getenv("E2E_KEEP") == NULL) {
        E2E_RUN("rm", "-rf", "--one-file-system", dir);
    }
    return 0;
}

/* ---- files ---- */

/* The same path is the same string, so that repeated calls take no room. */
const char *e2e_path(const char *format, ...)
{
    char path[E2E_PATH_CAP];
    size_t len = (size_t)snprintf(path, sizeof path, "%s/", dir);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path + len, sizeof path - len, format, args);
    va_end(args);
    assert_true(n >= 0 && len + (size_t)n < sizeof path);
    int i = 0;
    while (i < paths_len && strcmp(paths[i], path) != 0) {
        i++;
    }
    assert_true(i < PATHS);
    paths_len = i == paths_len ? i + 1 : paths_len;
    return strcpy(paths[i], path);
}

void e2e_make_dir(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        fail_msg("mkdir %s: %s", path, strerror(errno));
    }
}

void e2e_write(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) {
        fail_msg("write %s: %s", path, strerror(errno));
    }
    close(fd);
}

void e2e_write_text(const char *path, const char *text)
{
    e2e_write(path, text, strlen(text));
}

bool e2e_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

struct mvm_text e2e_read(const char *path)
{
    static char bytes[FILE_CAP];
    size_t len = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail_msg("open %s: %s", path, strerror(errno));
    }
    while (len < sizeof bytes - 1 && (n = read(fd, bytes + len, sizeof bytes - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    assert_true(n == 0);
    bytes[len] = '\0';
    return (struct mvm_text){bytes, len};
}

void e2e_assert_file(const char *path, const char *text)
{
    assert_string_equal(e2e_read(path).bytes, text);
}

/* ---- processes ---- */

pid_t e2e_fork(void)
{
    pid_t test = getpid();
    assert_true(children_len < CHILDREN);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        signal(SIGALRM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != test) {
            _exit(1);
        }
        return 0;
    }
    children[children_len++] = pid;
    return pid;
}

int e2e_wait(pid_t pid, int ms)
{
    int status = 0;
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        e2e_assert_in_time();
        if (e2e_now_ms() >= until) {
            fail_msg("process %d does not end", (int)pid);
        }
        poll(NULL, 0, 2);
    }
    for (int i = 0; i < children_len; i++) {
        if (children[i] == pid) {
            children[i] = children[--children_len];
            break;
        }
    }
    return status;
}

int e2e_end(pid_t pid, int sig)
{
    kill(pid, sig);
    return e2e_wait(pid, E2E_PATIENCE_MS);
}

bool e2e_have(const char *program)
{
    const char *const where[] = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"};
    for (size_t i = 0; i < sizeof where / sizeof where[0]; i++) {
        char path[E2E_PATH_CAP];
        snprintf(path, sizeof path, "%s/%s", where[i], program);
        if (access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- programs that run to their end ---- */

/* Reads what is available; false: end of file, and the descriptor is closed. */
static bool take(int *fd, char *to, size_t *len)
{
    ssize_t n = read(*fd, to + *len, E2E_RESULT_CAP - 1 - *len);
    if (n > 0) {
        *len += (size_t)n;
        assert_true(*len < E2E_RESULT_CAP - 1);
        return true;
    }
    close(*fd);
    *fd = -1;
    return false;
}

static void collect(struct e2e_result *r, int out, int err, int ms)
{
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    while (out >= 0 || err >= 0) {
        struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
        e2e_assert_in_time();
        if (e2e_now_ms() >= until) {
            fail_msg("a program does not end its output");
        }
        poll(p, 2, 50);
        if (p[0].revents != 0) {
            take(&out, r->out, &r->out_len);
        }
        if (p[1].revents != 0) {
            take(&err, r->err, &r->err_len);
        }
    }
    r->out[r->out_len] = '\0';
    r->err[r->err_len] = '\0';
}

const struct e2e_result *e2e_run(const char *const argv[], const char *input, int ms)
{
    static struct e2e_result r;
    int in[2], out[2], err[2];
    r.out_len = r.err_len = 0;
    assert_int_equal(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC), 0);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    if (input != NULL) {
        assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    }
    close(in[1]);
    collect(&r, out[0], err[0], ms);
    r.status = e2e_wait(pid, ms);
    return &r;
}

const char *e2e_program(const char *name)
{
    static char path[E2E_PATH_CAP + 64];
    snprintf(path, sizeof path, "%s/%s", programs, name);
    return path;
}

const struct e2e_result *e2e_tool(const char *address, const char *const more[])
{
    const char *argv[ARGS] = {e2e_program("mvm-builder"), "--to", address};
    int argc = 3;
    for (int i = 0; more[i] != NULL; i++) {
        argv[argc++] = more[i];
    }
    return e2e_run(argv, NULL, E2E_PATIENCE_MS);
}

/* ---- processes on this machine ---- */

/* The beginning of /proc/PID/NAME, with a space for each NUL. */
static size_t read_proc(const char *pid, const char *name, char *buf, size_t cap)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.16s/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buf, cap - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    size_t len = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < len; i++) {
        buf[i] = buf[i] == '\0' ? ' ' : buf[i];
    }
    buf[len] = '\0';
    return len;
}

static bool is_child(pid_t pid)
{
    for (int i = 0; i < children_len; i++) {
        if (children[i] == pid) {
            return true;
        }
    }
    return pid == getpid();
}

/* Counts the processes of this test with the mark and sends them a signal unless it is 0. */
static int for_each_process(const char *mark, int sig)
{
    static char text[1 << 18];
    int n = 0;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    for (struct dirent *e = readdir(proc); e != NULL; e = readdir(proc)) {
        pid_t pid = (pid_t)atoi(e->d_name);
        if (!isdigit((unsigned char)e->d_name[0]) || is_child(pid)) {
            continue;
        }
        size_t len = read_proc(e->d_name, "cmdline", text, sizeof text / 2);
        read_proc(e->d_name, "environ", text + len, sizeof text / 2);
        if (strstr(text, mark) != NULL && strstr(text, dir) != NULL) {
            n++;
            if (sig != 0) {
                kill(pid, sig);
            }
        }
    }
    closedir(proc);
    return n;
}

int e2e_count_processes(const char *mark)
{
    return for_each_process(mark, 0);
}

static bool none_left(const char *mark)
{
    return e2e_count_processes(mark) == 0;
}

void e2e_assert_none_left(const char *mark, int ms)
{
    if (!e2e_until(none_left, mark, ms)) {
        fail_msg("%d processes with %s are left", e2e_count_processes(mark), mark);
    }
}

long e2e_status_kib(pid_t pid, const char *key)
{
    char number[16], text[8192];
    snprintf(number, sizeof number, "%d", (int)pid);
    read_proc(number, "status", text, sizeof text);
    const char *at = strstr(text, key);
    assert_non_null(at);
    return atol(at + strlen(key) + 1);
}

int e2e_count_zombies(pid_t parent)
{
    int n = 0;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    for (struct dirent *e = readdir(proc); e != NULL; e = readdir(proc)) {
        char text[1024];
        char state = '?';
        int ppid = 0;
        if (!isdigit((unsigned char)e->d_name[0]) ||
            read_proc(e->d_name, "stat", text, sizeof text) == 0) {
            continue;
        }
        const char *rest = strrchr(text, ')');
        if (rest != NULL && sscanf(rest + 1, " %c %d", &state, &ppid) == 2) {
            n += state == 'Z' && ppid == parent;
        }
    }
    closedir(proc);
    return n;
}

/* ---- the agent ---- */

void e2e_write_nix(const char *body)
{
    char text[8192];
    int n = snprintf(text, sizeof text,
                     "#!/bin/sh\n"
                     "if [ \"$1\" = --version ]; then echo 'nix (Nix) 2.26.0'; exit; fi\n"
                     "for word; do installable=$word; done\n"
                     "attr=${installable##*#}\n"
                     "%s\n",
                     body);
    assert_true(n > 0 && (size_t)n < sizeof text);
    const char *path = e2e_path("nix");
    e2e_write_text(path, text);
    chmod(path, 0755);
}

pid_t e2e_start_bare_agent(const char *name, const char *const args[], const char *const env[])
{
    const char *log = e2e_path("%s.log", name);
    const char *argv[ARGS] = {e2e_program("mvm-builder-agent")};
    for (int i = 0; args[i] != NULL; i++) {
        assert_true(i + 2 < ARGS);
        argv[i + 1] = args[i];
    }
    pid_t pid = e2e_fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execve(argv[0], (char *const *)argv, env != NULL ? (char *const *)env : environ);
        _exit(127);
    }
    return pid;
}

static bool accepts(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

pid_t e2e_start_agent(const char *const name_and_more[])
{
    const char *name = name_and_more[0];
    char listen_on[E2E_PATH_CAP + 8];
    const char *socket_path = e2e_path("%s.sock", name);
    snprintf(listen_on, sizeof listen_on, "unix:%s", socket_path);
    const char *args[ARGS] = {
        "--listen", listen_on,       "--out-dir", e2e_path("%s.out", name), "--out-dev",
        "none",     "--in-dev",      "none",      "--stream-dir",           "none",
        "--nix",    e2e_path("nix"), "--policy",  e2e_path("no-policy")};
    int argc = 14;
    for (int i = 1; name_and_more[i] != NULL; i++) {
        assert_true(argc + 1 < ARGS);
        args[argc++] = name_and_more[i];
    }
    char listening[E2E_PATH_CAP + 24];
    snprintf(listening, sizeof listening, "listening on %s", listen_on);
    int before = e2e_count_in_log(name, listening);
    pid_t pid = e2e_start_bare_agent(name, args, NULL);
    /* It says so itself: a child of one that was killed may have that one's socket for a moment. */
    for (uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
         e2e_count_in_log(name, listening) <= before || !accepts(socket_path); e2e_sleep_ms(10)) {
        e2e_assert_in_time();
        if (e2e_now_ms() >= until) {
            fail_msg("the agent does not listen: %s", e2e_read(e2e_path("%s.log", name)).bytes);
        }
    }
    return pid;
}

int e2e_count_in_log(const char *name, const char *text)
{
    const char *path = e2e_path("%s.log", name);
    int n = 0;
    if (e2e_exists(path)) {
        for (const char *at = e2e_read(path).bytes; (at = strstr(at, text)) != NULL; at++) {
            n++;
        }
    }
    return n;
}

void e2e_await_log(const char *name, const char *text)
{
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    while (e2e_count_in_log(name, text) == 0) {
        e2e_assert_in_time();
        if (e2e_now_ms() >= until) {
            fail_msg("the agent does not say %s, but: %s", text,
                     e2e_read(e2e_path("%s.log", name)).bytes);
        }
        poll(NULL, 0, 10);
    }
}

void e2e_assert_in_log(const char *name, const char *text, int n)
{
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    while (e2e_count_in_log(name, text) < n && e2e_now_ms() < until) {
        poll(NULL, 0, 10);
    }
    assert_int_equal(e2e_count_in_log(name, text), n);
}
