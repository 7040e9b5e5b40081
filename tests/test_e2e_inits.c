/*
 * The inits of examples/ as process 1 of a pid namespace: each builds and answers meanwhile, reaps
 * orphans, forwards signals, and ends in time though a client does not read. The lines that an
 * embedder has to write are counted.
 */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { GLUE_MAX = 25, CHANGE_MAX = 15 };

static const struct init {
    const char *name;    /* below examples/ */
    const char *plain;   /* the same without a builder */
    const char *program; /* its source */
} inits[] = {
    {"sigwait/init", "sigwait/plain", "examples/sigwait/init.c"},
    {"supervisor/supervisor", "supervisor/plain", "examples/supervisor/supervisor.c"},
    {"events/init", "events/plain", "examples/events/init.c"},
};

enum { INITS = sizeof inits / sizeof inits[0] };

/* The program an init starts: prints how it was started, makes orphans, and waits for a signal. */
static const char script[] = "grep -E '^(SigBlk|SigIgn)' /proc/self/status >%s/status\n"
                             "for i in 1 2 3 4 5; do (sleep 0.2 & ) ; done\n"
                             "trap 'echo got >%s/signal; exit 7' TERM\n"
                             "echo up >%s/up\n"
                             "while :; do sleep 0.1; done\n";

static pid_t init_pid; /* as seen from outside */

static void become_init(const struct init *init, const char *address)
{
    char path[4 * E2E_PATH_CAP];
    const char *argv[] = {e2e_program("x"),   address, e2e_path("out"), "/bin/sh",
                          e2e_path("script"), NULL};
    char program[E2E_PATH_CAP + 64];
    snprintf(program, sizeof program, "examples/%s", init->name);
    argv[0] = e2e_program(program);
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    int messages = open(e2e_path("messages"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(messages, STDERR_FILENO);
    snprintf(path, sizeof path, "%s:%s", e2e_path("."), getenv("PATH"));
    setenv("PATH", path, 1); /* the stand-in is the first nix on it */
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

/* Starts an init; the returned process waits for it and ends with its status. */
static pid_t start_on(const struct init *init, const char *address)
{
    int report[2];
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t outer = e2e_fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
            _exit(126);
        }
        pid_t pid = fork();
        if (pid == 0) {
            become_init(init, address);
        }
        (void)!write(report[1], &pid, sizeof pid);
        int status;
        waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
    }
    close(report[1]);
    init_pid = 0;
    if (read(report[0], &init_pid, sizeof init_pid) != sizeof init_pid) {
        E2E_SKIP("no pid namespaces");
    }
    close(report[0]);
    return outer;
}

static pid_t start(const struct init *init)
{
    char address[E2E_PATH_CAP + 8];
    snprintf(address, sizeof address, "unix:%s", e2e_path("sock"));
    return start_on(init, address);
}

static bool accepts(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static bool is_there(const char *path)
{
    return e2e_exists(path);
}

static void await_file(const char *name)
{
    assert_true(e2e_until(is_there, e2e_path("%s", name), E2E_PATIENCE_MS));
}

static void write_files(void)
{
    char text[sizeof script + 3 * E2E_PATH_CAP];
    const char *dir = e2e_path(".");
    snprintf(text, sizeof text, script, dir, dir, dir);
    e2e_write_text(e2e_path("script"), text);
    e2e_write_nix("case $attr in\n"
                  "flood) exec yes flood >&2;;\n"
                  "esac\n"
                  "echo begun >&2; sleep 0.5; exit 3");
}

static struct e2e_conn *dial(void)
{
    return e2e_dial_path(e2e_path("sock"));
}

static void is_built_beside_everything_else(void)
{
    struct e2e_conn *c = dial(), *other = dial();
    for (int i = 0; i < 3; i++) {
        e2e_say_build(c, "f", "quick", "");
        e2e_await_line(c, "begun");
        e2e_ping(other, E2E_PATIENCE_MS);
        e2e_assert_err(c, "nix build failed (exit status: 3)", E2E_PATIENCE_MS);
    }
    e2e_close(c);
    e2e_close(other);
}

static unsigned long long signals_of(const char *key)
{
    const char *at = strstr(e2e_read(e2e_path("status")).bytes, key);
    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, 16);
}

static void started_with_defaults(void)
{
    assert_int_equal(signals_of("SigBlk:"), 0);
    assert_int_equal(signals_of("SigIgn:") & (1ull << (SIGPIPE - 1)), 0);
}

static bool no_zombies(const char *unused)
{
    (void)unused;
    return e2e_count_zombies(init_pid) == 0;
}

static void ends_in_time(pid_t outer)
{
    struct e2e_conn *c = dial();
    e2e_say_build(c, "f", "flood", "");
    e2e_await_line(c, "flood");
    e2e_sleep_ms(200); /* all buffers are full */
    uint64_t begun = e2e_now_ms();
    kill(init_pid, SIGTERM);
    await_file("signal");
    e2e_wait(outer, E2E_PATIENCE_MS);
    assert_in_range(e2e_now_ms() - begun, 0, 30000);
    e2e_assert_none_left(e2e_path("script"), E2E_PATIENCE_MS);
}

static void every_init_serves_builds_and_does_its_own_work(void **state)
{
    (void)state;
    int missing = 0;
    write_files();
    for (int i = 0; i < INITS; i++) {
        char program[E2E_PATH_CAP];
        snprintf(program, sizeof program, "examples/%s", inits[i].name);
        if (access(e2e_program(program), X_OK) < 0) {
            fprintf(stderr, "%s: %s is not built\n", e2e_test, inits[i].name);
            missing++;
            continue;
        }
        pid_t outer = start(&inits[i]);
        assert_true(e2e_until(accepts, e2e_path("sock"), E2E_PATIENCE_MS));
        await_file("up");
        is_built_beside_everything_else();
        started_with_defaults();
        assert_true(e2e_until(no_zombies, "", E2E_PATIENCE_MS));
        ends_in_time(outer);
        unlink(e2e_path("up"));
        unlink(e2e_path("signal"));
        unlink(e2e_path("sock"));
    }
    if (missing > 0) {
        E2E_SKIP("%d of the inits", missing);
    }
}

static void an_init_that_cannot_start_its_builder_says_why(void **state)
{
    (void)state;
    write_files();
    for (int i = 0; i < INITS; i++) {
        char program[E2E_PATH_CAP];
        snprintf(program, sizeof program, "examples/%s", inits[i].name);
        if (access(e2e_program(program), X_OK) < 0) {
            continue; /* reported above */
        }
        int status = e2e_wait(start_on(&inits[i], "vsock:x"), E2E_PATIENCE_MS);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 0);
        assert_string_equal(e2e_read(e2e_path("messages")).bytes,
                            "cannot start: vsock:x: the port is not a number\n");
        assert_false(e2e_exists(e2e_path("up")));
    }
}

/* Runs an init as process 2 of a pid namespace, whose end reaches no other. */
static int run_as_process_2(const char *name)
{
    char program[E2E_PATH_CAP];
    int status = 0;
    snprintf(program, sizeof program, "examples/%s", name);
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
        return 2; /* no pid namespaces: the other tests say so */
    }
    pid_t first = fork();
    if (first == 0) {
        pid_t second = fork();
        if (second == 0) {
            execl(e2e_program(program), "init", "vsock:x", "/nonexistent", "/bin/true", NULL);
            _exit(errno == ENOENT ? 2 : 127); /* not built */
        }
        waitpid(second, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
    }
    waitpid(first, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

/* Their end is kill(-1) and the machine's. */
static void an_init_that_is_not_process_1_does_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"sigwait/init", "sigwait/plain", "events/init",
                                        "events/plain", "init/init"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pid_t pid = e2e_fork();
        if (pid == 0) {
            _exit(run_as_process_2(names[i]));
        }
        int status = e2e_wait(pid, 15000);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
    }
}

/* The supervisor's exit status is its program's. */
static void the_supervisor_exits_as_its_program_did(void **state)
{
    (void)state;
    write_files();
    pid_t outer = start(&inits[1]);
    await_file("up");
    kill(init_pid, SIGTERM);
    int status = e2e_wait(outer, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* ---- the lines an embedder writes ---- */

/* Lines of code in a source: without blank ones and comments. `glue`: those of the marked part;
 * else the others. */
static int run_count(const char *command, const char *file, const char *plain)
{
    char text[1024];
    snprintf(text, sizeof text, command, file, plain);
    FILE *out = popen(text, "r");
    int count = -1;
    assert_non_null(out);
    assert_int_equal(fscanf(out, "%d", &count), 1);
    pclose(out);
    return count;
}

#define CODE "grep -vE '^ *(/[*]|[*]|$)'"
#define MARK "/^.. ---- the builder/,/^.. ---- the (init|supervisor)/"

static void the_glue_is_short(void **state)
{
    (void)state;
    if (access("examples", F_OK) < 0) {
        E2E_SKIP("not in the source's folder");
    }
    for (int i = 0; i < INITS; i++) {
        char plain[E2E_PATH_CAP];
        snprintf(plain, sizeof plain, "examples/%s.c", inits[i].plain);
        int glue = run_count("sed -nE '" MARK "p' %s | " CODE " | wc -l", inits[i].program, "");
        int change = run_count("sed -E '" MARK "d' %s | " CODE " >/tmp/mvm-init-code.$$; " CODE
                               " %s | diff - /tmp/mvm-init-code.$$ | grep -c '^>'; "
                               "rm -f /tmp/mvm-init-code.$$",
                               inits[i].program, plain);
        printf("%s: %d lines of glue, %d changed\n", inits[i].name, glue, change);
        assert_in_range(glue, 5, GLUE_MAX);
        assert_in_range(change, 1, CHANGE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(every_init_serves_builds_and_does_its_own_work),
        E2E_TEST(an_init_that_cannot_start_its_builder_says_why),
        E2E_TEST(an_init_that_is_not_process_1_does_nothing),
        E2E_TEST(the_supervisor_exits_as_its_program_did),
        E2E_TEST(the_glue_is_short),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
