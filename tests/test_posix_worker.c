/* The process that makes every disk call: what its caller sees of it, and that it ends. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_alone.h"
#include "test_posix_setsid.h"
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { MIB = 1 << 20, PATIENCE_MS = 60000, TRIES = 20 };

static int64_t size_of(const char *name)
{
    struct stat st;
    return stat(in_place(&place, 0, name), &st) == 0 ? st.st_size : 0;
}

static void make_source(int64_t len)
{
    static const uint8_t block[65536] = {1};
    int fd = open(in_place(&place, 0, "from"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (int64_t done = 0; done < len; done += (int64_t)sizeof block) {
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    }
    close(fd);
}

static int64_t copy_more(void)
{
    uint64_t size;
    return port->copy(&posix, NULL, in_place(&place, 0, "from"), in_place(&place, 1, "to"), &size);
}

static void *ask_once(void *ctx)
{
    *(int *)ctx = port->make_dir(&posix, in_place(&place, 0, "made"));
    poll(NULL, 0, 50); /* the worker has begun when this thread ends */
    return NULL;
}

/* A program may step the executor in threads that come and go. */
static void a_thread_that_ends_takes_no_worker_with_it(void **state)
{
    (void)state;
    pthread_t thread;
    int r;
    assert_int_equal(pthread_create(&thread, NULL, ask_once, &r), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    while (r == MVM_PORT_LATER) {
        ask_once(&r);
    }
    assert_int_equal(r, 0);
    for (int i = 0; i < 10; i++) {
        poll(NULL, 0, 10);
        assert_int_equal(waitpid(posix.worker.pid, NULL, WNOHANG), 0);
    }
    end_job(&posix);
}

/* Returns when it has stopped: before, it may still take what it is sent. */
static void stop_worker(void)
{
    siginfo_t info;
    assert_int_equal(kill(posix.worker.pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)posix.worker.pid, &info, WSTOPPED), 0);
}

/* Waits until the copy has reported a piece, or, with `all`, its end. */
static int64_t copy_until(bool all)
{
    int64_t n;
    while ((n = copy_more()) == MVM_PORT_LATER || (all && n > 0)) {
        if (n == MVM_PORT_LATER) {
            await_port(&posix);
        }
    }
    return n;
}

/* Begins a copy of many pieces and stops its process when it has reported one; again if on a busy
 * machine it was done before. */
static pid_t begin_and_stop(void)
{
    const int64_t size = 8 * (int64_t)MVM_STAGE_SLICE;
    make_source(size);
    for (int i = 0; i < TRIES; i++) {
        assert_true(copy_until(false) > 0);
        stop_worker();
        if (size_of("to") < size) {
            return posix.worker.pid;
        }
        assert_int_equal(kill(posix.worker.pid, SIGCONT), 0);
        assert_int_equal(copy_until(true), 0);
    }
    fail_msg("the copy is always done before its process has stopped");
    return -1;
}

static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static int make_dir(const char *name)
{
    int r;
    AWAIT(r, port->make_dir(&posix, in_place(&place, 0, name)));
    return r;
}

/* ---- answers ---- */

static void no_call_waits_for_the_worker(void **state)
{
    (void)state;
    pid_t pid = begin_and_stop();
    while (copy_more() > 0) { /* as reported before */
    }
    uint64_t before = clock_ms();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(copy_more(), MVM_PORT_LATER);
    }
    assert_true(clock_ms() - before < PATIENCE_MS);
    assert_int_equal(kill(pid, SIGCONT), 0);
    int64_t sum;
    assert_int_equal(
        copy_by_worker(&posix, NULL, in_place(&place, 0, "from"), in_place(&place, 1, "to"), &sum),
        0);
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
}

static void one_worker_does_all_of_a_job_and_ends_with_it(void **state)
{
    (void)state;
    uint8_t byte = 'x';
    int r;
    int before = count_descriptors();
    assert_int_equal(make_dir("a"), 0);
    pid_t pid = posix.worker.pid;
    AWAIT(r, port->put(&posix, in_place(&place, 0, "a/file"), "text"));
    assert_int_equal(r, 0);
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "a/log")));
    assert_int_equal(r, 0);
    AWAIT(r, port->write_log(&posix, &byte, 1));
    assert_int_equal(r, 1);
    AWAIT(r, port->close_log(&posix));
    assert_int_equal(r, 0);
    assert_int_equal(size_of("a/log"), 1);
    AWAIT(r, port->rename(&posix, in_place(&place, 0, "a/file"), in_place(&place, 1, "b")));
    assert_int_equal(r, 0);
    assert_int_equal(size_of("b"), 4);
    AWAIT(r, port->remove(&posix, in_place(&place, 0, "none")));
    assert_int_equal(r, MVM_PORT_NOT_FOUND);
    assert_string_equal(reason_of(&posix), "unlink: No such file or directory");
    assert_int_equal(posix.worker.pid, pid);
    end_job(&posix);
    assert_true(WIFEXITED(posix.worker.status)); /* it was not killed */
    assert_no_child();
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(port->end_job(&posix), 0);
}

static void one_call_is_in_progress_at_a_time(void **state)
{
    (void)state;
    begin_and_stop();
    assert_int_equal(port->sync_dir(&posix, place.dir), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "worker: another call is in progress");
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char path[MVM_PATH_MAX + 2];
    for (size_t over = 0; over <= 1; over++) {
        int r;
        memset(path, 'p', sizeof path);
        path[MVM_PATH_MAX - 1 + over] = '\0';
        AWAIT(r, port->find_file(&posix, path));
        assert_int_equal(r, over ? MVM_PORT_FAILED : MVM_PORT_SOURCE_FAILED);
        assert_string_equal(reason_of(&posix),
                            over ? "path: File name too long" : "open: File name too long");
    }
}

/* ---- build.log ---- */

static void a_log_is_written_while_nothing_is_asked(void **state)
{
    (void)state;
    static uint8_t bytes[MIB];
    int r;
    size_t done = 0;
    memset(bytes, 'l', sizeof bytes);
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    assert_int_equal(r, 0);
    while (done < sizeof bytes) {
        AWAIT(r, port->write_log(&posix, bytes + done, sizeof bytes - done));
        assert_true(r > 0);
        done += (size_t)r;
    }
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (size_of("log") < (int64_t)sizeof bytes && clock_ms() < until) {
        sleep_ms(5);
    }
    assert_int_equal(size_of("log"), sizeof bytes);
    AWAIT(r, port->close_log(&posix));
    assert_int_equal(r, 0);
}

static void a_log_whose_disk_hangs_takes_only_so_much(void **state)
{
    (void)state;
    static uint8_t bytes[65536];
    int r;
    size_t done = 0;
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    stop_worker();
    while ((r = port->write_log(&posix, bytes, sizeof bytes)) > 0) {
        done += (size_t)r;
        assert_true(done < 4 * MIB);
    }
    assert_int_equal(r, MVM_PORT_LATER);
    struct pollfd fd = {mvm_posix_fd(&posix), POLLIN, 0};
    assert_int_equal(poll(&fd, 1, 20), 0);
    kill(posix.worker.pid, SIGCONT);
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    AWAIT(r, port->write_log(&posix, bytes, 1));
    assert_int_equal(r, 1);
    AWAIT(r, port->close_log(&posix));
    assert_int_equal(r, 0);
    assert_int_equal(size_of("log"), done + 1);
}

static void a_log_can_be_opened_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int r;
        AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
        assert_int_equal(r, 0);
        AWAIT(r, port->write_log(&posix, (const uint8_t *)"line\n", 5));
        assert_int_equal(r, 5);
        AWAIT(r, port->close_log(&posix));
        assert_int_equal(r, 0);
        assert_int_equal(size_of("log"), 5);
    }
}

/* ---- its end ---- */

static void without_a_worker_there_is_nothing_to_end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(port->stop(&posix), 0);
        assert_int_equal(port->end_job(&posix), 0);
        assert_int_equal(port->abandon(&posix), 0);
        assert_int_equal(posix.worker.pid, 0);
        assert_int_equal(make_dir("one"), 0);
        end_job(&posix);
    }
}

static void a_copy_can_be_stopped(void **state)
{
    (void)state;
    int before = count_descriptors();
    begin_and_stop();
    uint64_t begin = clock_ms();
    while (port->stop(&posix) == MVM_PORT_LATER) {
        await_port(&posix);
    }
    assert_true(clock_ms() - begin < PATIENCE_MS);
    assert_no_child();
    assert_int_equal(count_descriptors(), before);
    assert_true(size_of("to") < 8 * (int64_t)MVM_STAGE_SLICE);
    assert_int_equal(make_dir("next"), 0);
    end_job(&posix);
    assert_no_child();
}

/* A stopped process stands in for one whose disk hangs, except that SIGKILL ends it. */
static void a_worker_that_hangs_is_replaced(void **state)
{
    (void)state;
    int before = count_descriptors();
    pid_t pid = begin_and_stop();
    assert_int_equal(port->abandon(&posix), 1);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(make_dir("next"), 0);
    assert_int_not_equal(posix.worker.pid, pid);
    assert_true(mvm_posix_is_worker(&posix, posix.worker.pid));
    end_job(&posix);
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (port->abandon(&posix) != 0 && clock_ms() < until) {
        sleep_ms(5);
    }
    assert_no_child();
}

/* Another agent's job has the lock, or an abandoned worker of this one. */
static void a_directory_that_is_locked_belongs_to_another_agent(void **state)
{
    (void)state;
    int r, other = open(place.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    assert_int_equal(r, MVM_PORT_BUSY);
    assert_string_equal(port->reason(&posix), "in use: another agent builds in this directory");
    end_job(&posix);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
    }
    posix.worker.hung[posix.worker.hung_len++] = pid; /* as if another disk hung */
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    assert_int_equal(r, MVM_PORT_BUSY);
    end_job(&posix);
    posix.worker.hung_claims = true; /* as if this one did */
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    assert_int_equal(r, 0);
    end_job(&posix);
    close(other);
    kill(pid, SIGKILL);
    while (port->abandon(&posix) != 0) {
        sleep_ms(5);
    }
}

/* Both begin at the same time, as two agents with the same directory do. */
static void one_of_two_jobs_gets_a_directory(void **state)
{
    (void)state;
    static struct mvm_posix other;
    static const struct mvm_posix_config config = {0};
    mvm_posix_init(&other, &config);
    for (int round = 0; round < 100; round++) {
        struct mvm_posix *const both[] = {&posix, &other};
        int r[] = {MVM_PORT_LATER, MVM_PORT_LATER};
        uint64_t until = clock_ms() + PATIENCE_MS;
        while ((r[0] == MVM_PORT_LATER || r[1] == MVM_PORT_LATER) && clock_ms() < until) {
            for (int i = 0; i < 2; i++) {
                r[i] = r[i] == MVM_PORT_LATER ? port->open_log(both[i], in_place(&place, 0, ".log"))
                                              : r[i];
            }
        }
        assert_int_equal(r[0] + r[1], MVM_PORT_BUSY);
        end_job(&posix);
        end_job(&other);
    }
    mvm_posix_fini(&other);
}

/* Its build may do that: the answer must not be Ok, and another log beside the artifacts. */
static void a_log_that_was_removed_is_an_error_at_its_end(void **state)
{
    (void)state;
    int r;
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    assert_int_equal(r, 0);
    assert_int_equal(unlink(place.path[0]), 0);
    AWAIT(r, port->close_log(&posix));
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(port->reason(&posix), "close: it was removed during the build");
    end_job(&posix);
}

static void the_end_of_the_port_ends_the_work(void **state)
{
    (void)state;
    int before = count_descriptors();
    begin_and_stop();
    mvm_posix_fini(&posix);
    assert_no_child();
    assert_int_equal(count_descriptors(), before - 1); /* the port's own, too */
}

static void a_worker_that_was_killed_is_an_error_and_the_next_call_works(void **state)
{
    (void)state;
    kill(begin_and_stop(), SIGKILL);
    int64_t n;
    while ((n = copy_more()) > 0 || n == MVM_PORT_LATER) {
        if (n == MVM_PORT_LATER) {
            await_port(&posix);
        }
    }
    assert_int_equal(n, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix),
                        "the process that works on the disks has ended by signal 9");
    assert_no_child();
    assert_int_equal(make_dir("next"), 0);
}

static void a_worker_that_ends_between_two_calls_is_an_error(void **state)
{
    siginfo_t info;
    (void)state;
    assert_int_equal(make_dir("one"), 0);
    assert_int_equal(kill(posix.worker.pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)posix.worker.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(make_dir("two"), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix),
                        "the process that works on the disks has ended by signal 9");
    assert_no_child();
    assert_int_equal(make_dir("three"), 0);
}

static void a_log_whose_worker_was_killed_is_an_error(void **state)
{
    (void)state;
    int r;
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    kill(posix.worker.pid, SIGKILL);
    do {
        AWAIT(r, port->write_log(&posix, (const uint8_t *)"x", 1));
    } while (r > 0);
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix),
                        "the process that works on the disks has ended by signal 9");
    AWAIT(r, port->close_log(&posix));
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "close: the process that wrote it has ended");
}

static void a_log_that_nothing_writes_to_any_more_costs_no_time(void **state)
{
    (void)state;
    int r;
    struct rusage before, after;
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "log")));
    assert_int_equal(r, 0);
    shutdown(posix.worker.log, SHUT_WR); /* as if the agent had ended during the call */
    const struct timespec nap = {1, 0};
    getrusage(RUSAGE_CHILDREN, &before);
    nanosleep(&nap, NULL);
    AWAIT(r, port->end_job(&posix));
    getrusage(RUSAGE_CHILDREN, &after);
    long used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
                   after.ru_utime.tv_usec - before.ru_utime.tv_usec +
                   (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                   after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    assert_in_range(used_us, 0, 200000);
}

static void signals_for_the_agent_do_not_end_it(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,
                                  SIGPWR,  SIGPIPE, SIGTTOU, SIGXFSZ};
    assert_int_equal(make_dir("one"), 0);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(kill(posix.worker.pid, signals[i]), 0);
        assert_int_equal(make_dir("two"), 0);
    }
}

/* Neither the caller's other files nor anything else is held open by it. */
static void it_has_two_sockets_and_a_pipe_and_nothing_else(void **state)
{
    (void)state;
    char path[64];
    char link[64];
    assert_int_equal(make_dir("one"), 0);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)posix.worker.pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    const struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] != '.') {
            ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof link - 1);
            assert_true(n > 0 && atoi(e->d_name) < 4);
            bool is_pipe = atoi(e->d_name) == STDERR_FILENO;
            assert_memory_equal(link, is_pipe ? "pipe:" : "socket:", is_pipe ? 5 : 7);
        }
    }
    closedir(dir);
}

static void no_handler_of_this_program_runs_in_it(void **state)
{
    (void)state;
    signal_children();
    assert_int_equal(make_dir("one"), 0);
    assert_no_child_handled(1);
}

/* What has a name of its own again, for a pipe's ends. */
static int move_up(int fd)
{
    int above = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    assert_true(above >= 10);
    close(fd);
    return above;
}

/* A reader of the agent's output would wait for the end of a copy on a disk that hangs. */
static void it_keeps_none_of_the_agents_standard_descriptors_open(void **state)
{
    (void)state;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        int reader = move_up(ends[0]);
        int writer = move_up(ends[1]);
        int before = fcntl(fd, F_DUPFD_CLOEXEC, 10); /* -1: it is free */
        dup2(writer, fd);
        close(writer);
        int r = make_dir("made");
        close(fd);
        if (before >= 0) {
            dup2(before, fd);
            close(before);
        }
        assert_int_equal(r, 0);
        assert_int_equal(poll(&(struct pollfd){reader, POLLIN, 0}, 1, PATIENCE_MS), 1);
        assert_int_equal(read(reader, &r, 1), 0);
        close(reader);
        assert_int_not_equal(posix.worker.pid, 0);
        end_job(&posix);
    }
}

/* The limit of open files leaves no room for the sockets: the call fails, and is not made in the
 * loop's process. */
static void without_a_worker_a_call_fails(void **state)
{
    (void)state;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int taken = open("/dev/null", O_RDONLY | O_CLOEXEC); /* gets 0 */
    int lowest = dup(STDOUT_FILENO);                     /* of those that are free */
    close(lowest);
    struct rlimit none = {(rlim_t)lowest, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    int r = port->make_dir(&posix, in_place(&place, 0, "dir"));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(close(taken), 0); /* it is still open */
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "cannot start the process that works on the disks: "
                                           "socketpair: Too many open files");
    assert_int_equal(make_dir("dir"), 0);
}

static void where_statuses_are_handed_over_it_ends_with_its_own(void **state)
{
    (void)state;
    static const struct mvm_posix_config config = {.caller_reaps = true};
    int status;
    mvm_posix_init(&posix, &config);
    assert_int_equal(make_dir("one"), 0);
    pid_t pid = posix.worker.pid;
    assert_int_equal(port->end_job(&posix), MVM_PORT_LATER);
    assert_int_equal(waitpid(-1, &status, 0), pid);
    assert_int_equal(port->end_job(&posix), MVM_PORT_LATER);
    assert_true(mvm_posix_child_exited(&posix, pid, status));
    assert_false(mvm_posix_child_exited(&posix, pid, status));
    assert_int_equal(port->end_job(&posix), 0);
}

static void without_a_status_handed_over_it_ends_anyway(void **state)
{
    (void)state;
    static const struct mvm_posix_config config = {.caller_reaps = true};
    int status;
    init_without_stdin(&posix, &config);
    struct pollfd ready = {mvm_posix_fd(&posix), POLLIN, 0};
    assert_int_equal(make_dir("one"), 0);
    pid_t pid = posix.worker.pid;
    assert_int_equal(port->end_job(&posix), MVM_PORT_LATER);
    assert_int_equal(waitpid(-1, NULL, 0), pid);
    while (port->end_job(&posix) == MVM_PORT_LATER) {
        assert_int_equal(poll(&ready, 1, 10000), 1);
    }
    assert_int_equal(make_dir("two"), 0);
    posix.worker.hung[posix.worker.hung_len++] = pid; /* reaped, too: forgotten by the next job */
    assert_int_equal(mvm_posix_reap(&posix), 0);
    assert_int_equal(port->end_job(&posix), MVM_PORT_LATER);
    pid = posix.worker.pid;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(mvm_posix_child_exited(&posix, pid, status));
    assert_int_equal(port->end_job(&posix), 0);
    assert_no_child();
}

/* Runs `f` in a child process; its exit status. */
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

static void copy_without_standard_descriptors(void)
{
    int64_t sum;
    mvm_posix_fini(&posix);
    close(0), close(1), close(2);
    static const struct mvm_posix_config config = {0};
    mvm_posix_init(&posix, &config);
    int64_t r =
        copy_by_worker(&posix, NULL, in_place(&place, 0, "from"), in_place(&place, 1, "to"), &sum);
    _exit(r == 0 ? 0 : 1);
}

static void a_caller_without_standard_descriptors_has_its_copy(void **state)
{
    (void)state;
    make_source(3 * MIB);
    assert_int_equal(in_a_child(copy_without_standard_descriptors), 0);
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
}

static void begin_and_die(void)
{
    if (copy_until(false) > 0) {
        raise(SIGKILL);
    }
}

static void it_does_not_outlive_its_caller(void **state)
{
    (void)state;
    const int64_t size = 32 * (int64_t)MVM_STAGE_SLICE;
    int64_t seen = size;
    make_source(size);
    for (int i = 0; i < TRIES && seen == size; i++) { /* it may have been done before */
        unlink(in_place(&place, 0, "to"));
        assert_int_equal(in_a_child(begin_and_die), 128 + SIGKILL);
        int64_t now = size_of("to");
        do {
            seen = now;
            sleep_ms(500);
            now = size_of("to");
        } while (now != seen);
    }
    assert_true(seen < size);
}

static void *make_one_dir(void *unused)
{
    make_dir("one");
    return unused;
}

/* Without a signal at its end, which the kernel would send when the thread ends: it finds its
 * socket closed, which no process but the caller may hold. */
static void nor_if_another_thread_has_made_it(void **state)
{
    int fds[2];
    pid_t worker;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, make_one_dir, NULL);
        pthread_join(thread, NULL);
        ssize_t n = write(fds[1], &posix.worker.pid, sizeof worker);
        pause();
        _exit(n > 0 ? 0 : 1);
    }
    assert_int_equal(read(fds[0], &worker, sizeof worker), sizeof worker);
    int pidfd = (int)syscall(SYS_pidfd_open, worker, 0);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fds[0]), close(fds[1]);
    if (pidfd < 0) {
        SKIP_BECAUSE("this kernel has no pidfd_open");
    }
    assert_int_equal(poll(&(struct pollfd){pidfd, POLLIN, 0}, 1, PATIENCE_MS), 1);
    close(pidfd);
}

static pid_t fork_sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

/* One past the limit is not collected: it stays a zombie of this process. */
static void abandoned_ones_are_tracked_up_to_the_limit(void **state)
{
    (void)state;
    struct mvm_posix_worker *w = &posix.worker;
    for (w->hung_len = 0; w->hung_len < MVM_POSIX_HUNG_MAX; w->hung_len++) {
        w->hung[w->hung_len] = fork_sleeper();
    }
    assert_int_equal(port->sync_dir(&posix, place.dir), MVM_PORT_LATER);
    pid_t untracked = w->pid;
    assert_int_equal(port->abandon(&posix), MVM_POSIX_HUNG_MAX);
    assert_int_equal(mvm_posix_reap(&posix), MVM_POSIX_HUNG_MAX);
    assert_int_equal(waitpid(untracked, NULL, 0), untracked);
    for (int i = 0; i < MVM_POSIX_HUNG_MAX; i++) {
        kill(w->hung[i], SIGKILL);
    }
    while (mvm_posix_reap(&posix) != 0) {
        sleep_ms(1);
    }
    assert_no_child();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(no_call_waits_for_the_worker),
        ALONE(a_thread_that_ends_takes_no_worker_with_it),
        ALONE(one_worker_does_all_of_a_job_and_ends_with_it),
        ALONE(one_call_is_in_progress_at_a_time),
        ALONE(a_path_that_is_too_long_is_refused),
        ALONE(a_log_is_written_while_nothing_is_asked),
        ALONE(a_log_whose_disk_hangs_takes_only_so_much),
        ALONE(a_log_can_be_opened_again),
        ALONE(without_a_worker_there_is_nothing_to_end),
        ALONE(a_copy_can_be_stopped),
        ALONE(a_worker_that_hangs_is_replaced),
        ALONE(a_directory_that_is_locked_belongs_to_another_agent),
        ALONE(one_of_two_jobs_gets_a_directory),
        ALONE(a_log_that_was_removed_is_an_error_at_its_end),
        ALONE(the_end_of_the_port_ends_the_work),
        ALONE(a_worker_that_was_killed_is_an_error_and_the_next_call_works),
        ALONE(a_worker_that_ends_between_two_calls_is_an_error),
        ALONE(a_log_whose_worker_was_killed_is_an_error),
        ALONE(a_log_that_nothing_writes_to_any_more_costs_no_time),
        ALONE(signals_for_the_agent_do_not_end_it),
        ALONE(it_has_two_sockets_and_a_pipe_and_nothing_else),
        ALONE(no_handler_of_this_program_runs_in_it),
        ALONE(it_keeps_none_of_the_agents_standard_descriptors_open),
        ALONE(without_a_worker_a_call_fails),
        ALONE(where_statuses_are_handed_over_it_ends_with_its_own),
        ALONE(without_a_status_handed_over_it_ends_anyway),
        ALONE(a_caller_without_standard_descriptors_has_its_copy),
        ALONE(it_does_not_outlive_its_caller),
        ALONE(nor_if_another_thread_has_made_it),
        ALONE(abandoned_ones_are_tracked_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
