/*
 * Starts where vfork(2) is a fork(2), as under some emulators and checkers: parent and child run
 * beside each other, each in memory of its own. And what another thread's program would inherit.
 * The link takes vfork, open and openat from here.
 */
#define _GNU_SOURCE
#include "test_posix_roles.h"
#include <sys/syscall.h>

enum { SOON_MS = 20000 };

static const struct mode by_proc = {"/proc", {.subreaper = true, .cgroup = ""}, false};
static const struct mode by_cgroup = {"a cgroup", {.subreaper = true}, false};

static int forks;
static int delay_ms; /* in the child, before it does anything */

pid_t vfork(void)
{
    pid_t pid = fork();
    forks++;
    if (pid == 0) {
        sleep_ms(delay_ms);
    }
    return pid;
}

static bool watched, inheritable; /* what is opened; whether something was without O_CLOEXEC */

static int open_watched(int dir, const char *path, int flags, va_list more)
{
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    inheritable = inheritable || (watched && (flags & O_CLOEXEC) == 0);
    return (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int fd = open_watched(AT_FDCWD, path, flags, more);
    va_end(more);
    return fd;
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int fd = open_watched(dir, path, flags, more);
    va_end(more);
    return fd;
}

static const int delays[] = {0, 50};

static void begin(const struct mode *mode, int delay)
{
    way = MVM_POSIX_BY_VFORK;
    forks = 0;
    delay_ms = delay;
    use(mode);
}

static void end(void)
{
    assert_int_equal(forks, 1);
    mvm_posix_fini(&posix);
}

static void a_program_starts_with_nothing_of_ours(void **state)
{
    const struct mode *mode = *state;
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        begin(mode, delays[i]);
        spawn_role("inspect", NULL);
        assert_stream(MVM_PORT_STDOUT, "");
        assert_int_equal(await_exit().code, 0);
        kill_and_close();
        end();
    }
}

static void a_program_that_cannot_start_is_an_error_and_leaves_nothing(void **state)
{
    static const char *const argv[] = {"/nowhere/nix", NULL};
    const struct mode *mode = *state;
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        begin(mode, delays[i]);
        int before = count_open();
        assert_int_equal(port->spawn(&posix, argv), MVM_PORT_NOT_FOUND);
        assert_string_equal(reason_of(&posix), "spawn: No such file or directory");
        assert_int_equal(count_open(), before);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        end();
    }
}

/* It cannot report anything. */
static void a_child_that_dies_before_its_program_holds_up_no_start(void **state)
{
    const char *const argv[] = {self_path, "print", NULL};
    const struct mode *mode = *state;
    begin(mode, 60000);
    pid_t killer = fork();
    if (killer == 0) {
        char path[64];
        int pid = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)getppid(), (int)getppid());
        while (pid == 0 || pid == getpid()) { /* the other child */
            FILE *f = fopen(path, "re");
            while (f != NULL && fscanf(f, "%d", &pid) == 1 && pid == getpid()) {
            }
            fclose(f);
            sleep_ms(5);
        }
        kill(pid, SIGKILL);
        _exit(0);
    }
    uint64_t began = clock_ms();
    assert_int_equal(port->spawn(&posix, argv), 0);
    assert_true(clock_ms() - began < SOON_MS);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    struct mvm_exit e = await_exit();
    assert_true(e.signaled);
    assert_int_equal(e.code, SIGKILL);
    kill_and_close();
    end();
}

/* Nor does it end, on a machine that is that busy. */
static void a_child_that_takes_long_is_waited_for_no_longer(void **state)
{
    begin(*state, 2 * SOON_MS);
    uint64_t began = clock_ms();
    spawn_role("print", NULL);
    assert_true(clock_ms() - began < SOON_MS);
    kill_and_close();
    end();
}

static int count_inheritable(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) == 0 ? 1 : 0;
    }
    return n;
}

static void all_that_is_opened_is_closed_by_another_threads_exec(void **state)
{
    const struct mode *mode = *state;
    begin(mode, 0);
    int before = count_inheritable();
    watched = true;
    mvm_posix_end_left_over(&posix);
    spawn_role("hide", "leave");
    await_ready(1);
    assert_int_equal(count_inheritable(), before);
    await_exit();
    await_remaining(1);
    assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    kill_and_close();
    assert_int_equal(count_inheritable(), before);
    watched = false;
    assert_false(inheritable);
    end();
}

int main(int argc, char **argv)
{
    int code = play_role(argc, argv);
    if (code >= 0) {
        return code;
    }
    const struct CMUnitTest tests[] = {
        IN_MODE(a_program_starts_with_nothing_of_ours, by_proc),
        IN_MODE(a_program_starts_with_nothing_of_ours, by_cgroup),
        IN_MODE(a_program_that_cannot_start_is_an_error_and_leaves_nothing, by_proc),
        IN_MODE(a_program_that_cannot_start_is_an_error_and_leaves_nothing, by_cgroup),
        IN_MODE(a_child_that_dies_before_its_program_holds_up_no_start, by_proc),
        IN_MODE(all_that_is_opened_is_closed_by_another_threads_exec, by_proc),
        IN_MODE(all_that_is_opened_is_closed_by_another_threads_exec, by_cgroup),
        IN_MODE(a_child_that_takes_long_is_waited_for_no_longer, by_proc),
    };
    use(&by_proc);
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
