/* Work on files in a process of its own: what the caller sees of it, and that it always ends. */
#define _GNU_SOURCE
#include "test_posix_alone.h"
#include <sys/resource.h>

enum { MIB = 1 << 20, PATIENCE_MS = 20000 };

static void nap(void)
{
    const struct timespec time = {0, 1000000};
    nanosleep(&time, NULL);
}

static int64_t size_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(in_place(&place, 0, name), &st), 0);
    return st.st_size;
}

/* A source that takes a while in pieces of `max` bytes, and its copy's target. */
static void open_both(int64_t len, int *from, int *to)
{
    static const uint8_t block[65536] = {1};
    int fd = open(in_place(&place, 0, "from"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (int64_t done = 0; done < len; done += (int64_t)sizeof block) {
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    }
    close(fd);
    *from = open_to_read(&posix, place.path[0]);
    *to = port->open_new(&posix, in_place(&place, 0, "to"));
    assert_true(*from >= 0 && *to >= 0);
}

/* Begins such a copy and stops its process when it has moved something. */
static pid_t begin_and_stop(int *from, int *to)
{
    open_both(64 * MIB, from, to);
    assert_true(copy_more(&posix, *from, *to, 32) > 0);
    assert_int_equal(kill(posix.aside.pid, SIGSTOP), 0);
    assert_true(size_of("to") < 64 * MIB);
    return posix.aside.pid;
}

static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void close_in_time(int handle)
{
    int r;
    for (int ms = 0; (r = port->close(&posix, handle)) == MVM_PORT_LATER && ms < PATIENCE_MS;
         ms++) {
        nap();
    }
    assert_int_equal(r, 0);
}

static void a_copy_never_makes_its_caller_wait(void **state)
{
    (void)state;
    int from;
    int to;
    begin_and_stop(&from, &to);
    while (port->copy(&posix, from, to, 32) > 0) { /* what was told before */
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(port->copy(&posix, from, to, 32), MVM_PORT_LATER);
    }
    assert_int_equal(kill(posix.aside.pid, SIGCONT), 0);
    assert_true(copy_more(&posix, from, to, 32) > 0);
}

static void closing_a_file_ends_the_work_on_it(void **state)
{
    (void)state;
    int before = count_descriptors();
    for (int i = 0; i < 2; i++) {
        int handles[2];
        begin_and_stop(&handles[0], &handles[1]);
        close_in_time(handles[i]);
        assert_no_child();
        close_in_time(handles[1 - i]);
        assert_int_equal(mvm_posix_child_fd(&posix), -1);
        assert_int_equal(count_descriptors(), before);
    }
}

static void the_end_of_the_port_ends_the_work(void **state)
{
    (void)state;
    int from;
    int to;
    int before = count_descriptors();
    begin_and_stop(&from, &to);
    mvm_posix_fini(&posix);
    assert_no_child();
    assert_int_equal(count_descriptors(), before - 1); /* the port's own, too */
}

static void work_that_somebody_ended_is_an_error(void **state)
{
    (void)state;
    int from;
    int to;
    kill(begin_and_stop(&from, &to), SIGKILL);
    int64_t n;
    while ((n = copy_more(&posix, from, to, 32)) > 0) {
    }
    assert_int_equal(n, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "copy: the process that did it was ended");
    assert_no_child();
    close_in_time(from);
    close_in_time(to);
}

static void one_work_at_a_time(void **state)
{
    (void)state;
    int from;
    int to;
    begin_and_stop(&from, &to);
    int other = port->open_new(&posix, in_place(&place, 0, "other"));
    assert_int_equal(port->sync_file(&posix, other), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "fdatasync: another file is being worked on");
    assert_int_equal(port->sync_file(&posix, to), MVM_PORT_FAILED);
    close_in_time(other);
    kill(posix.aside.pid, SIGCONT);
    assert_true(copy_more(&posix, from, to, 32) > 0);
}

/* Neither the caller's other files nor anything else is held open by it. */
static void it_has_its_two_files_and_its_report_and_nothing_else(void **state)
{
    (void)state;
    char path[64];
    int from;
    int to;
    snprintf(path, sizeof path, "/proc/%d/fd", begin_and_stop(&from, &to));
    DIR *dir = opendir(path);
    assert_non_null(dir);
    const struct dirent *e;
    int count = 0;
    while ((e = readdir(dir)) != NULL) {
        count += e->d_name[0] != '.' ? 1 : 0;
        assert_true(e->d_name[0] == '.' || atoi(e->d_name) < 4);
    }
    closedir(dir);
    assert_int_equal(count, 4);
}

/* A limit of open files leaves no room for the pipe. */
static void without_a_process_the_caller_does_the_work(void **state)
{
    (void)state;
    struct rlimit before;
    int from;
    int to;
    open_both(MIB, &from, &to);
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit none = {(rlim_t)posix.handles[to], before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    int64_t n = port->copy(&posix, from, to, 65536);
    int r = port->sync_file(&posix, to);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(n, 0);
    assert_int_equal(r, 0);
    assert_int_equal(size_of("to"), MIB);
}

static void where_statuses_are_handed_over_it_ends_with_its_own(void **state)
{
    (void)state;
    static const struct mvm_posix_config config = {.status_is_handed = true};
    int status;
    int from;
    int to;
    mvm_posix_init(&posix, &config);
    open_both(MIB, &from, &to);
    assert_int_equal(port->copy(&posix, from, to, MIB), MVM_PORT_LATER);
    while (mvm_posix_child_fd(&posix) >= 0) {
        int64_t n = port->copy(&posix, from, to, MIB);
        assert_true(n > 0 || n == MVM_PORT_LATER);
    }
    assert_int_equal(port->copy(&posix, from, to, MIB), MVM_PORT_LATER);
    pid_t pid = waitpid(-1, &status, 0);
    assert_true(mvm_posix_child_exited(&posix, pid, status));
    assert_false(mvm_posix_child_exited(&posix, pid, status));
    assert_int_equal(port->copy(&posix, from, to, MIB), 0);
    close_in_time(from);
    close_in_time(to);
}

/* A child process of ours runs `f`; its exit status. */
static int in_a_child(void (*f)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        f();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int handles_in_child[2];

static void copy_without_standard_descriptors(void)
{
    int64_t n;
    close(0), close(1), close(2);
    /* The source gets the number 1 and the target 0, each in the other's way. */
    open("/dev/null", O_RDONLY);
    handles_in_child[0] = open_to_read(&posix, in_place(&place, 0, "from"));
    close(0);
    handles_in_child[1] = port->open_new(&posix, in_place(&place, 0, "to"));
    while ((n = copy_more(&posix, handles_in_child[0], handles_in_child[1], MIB)) > 0) {
    }
    _exit(n == 0 && sync_whole(&posix, handles_in_child[1]) == 0 ? 0 : 1);
}

static void a_caller_without_standard_descriptors_has_its_copy(void **state)
{
    (void)state;
    int from;
    int to;
    open_both(3 * MIB, &from, &to);
    close_in_time(from);
    close_in_time(to);
    assert_int_equal(in_a_child(copy_without_standard_descriptors), 0);
    const char *const argv[] = {"cmp", in_place(&place, 0, "from"), in_place(&place, 1, "to"),
                                NULL};
    assert_int_equal(run(argv), 0);
}

static void begin_and_die(void)
{
    int from;
    int to;
    open_both(256 * MIB, &from, &to);
    if (port->copy(&posix, from, to, 32) == MVM_PORT_LATER && copy_more(&posix, from, to, 32) > 0) {
        raise(SIGKILL);
    }
}

static void it_does_not_outlive_its_caller(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(begin_and_die), 128 + SIGKILL);
    int64_t seen;
    int64_t now = size_of("to");
    do {
        seen = now;
        for (int i = 0; i < 50; i++) {
            nap();
        }
        now = size_of("to");
    } while (now != seen);
    assert_true(now < 256 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(a_copy_never_makes_its_caller_wait),
        ALONE(closing_a_file_ends_the_work_on_it),
        ALONE(the_end_of_the_port_ends_the_work),
        ALONE(work_that_somebody_ended_is_an_error),
        ALONE(one_work_at_a_time),
        ALONE(it_has_its_two_files_and_its_report_and_nothing_else),
        ALONE(without_a_process_the_caller_does_the_work),
        ALONE(where_statuses_are_handed_over_it_ends_with_its_own),
        ALONE(a_caller_without_standard_descriptors_has_its_copy),
        ALONE(it_does_not_outlive_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
