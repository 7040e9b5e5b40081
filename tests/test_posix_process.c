/*
 * Processes: what a build's first process gets, what it prints, and that none of its descendants is
 * left. The spawned programs are this program again, in a role.
 */
#define _GNU_SOURCE
#include "rng.h"
#include "test_posix_roles.h"
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct mode by_cgroup = {"a cgroup", {.subreaper = true}, false};
static const struct mode by_freezing = {"a cgroup without cgroup.kill", {.subreaper = true}, true};
static const struct mode by_proc = {"/proc", {.subreaper = true, .cgroup = ""}, false};
static const struct mode by_proc_alone = {"/proc, no subreaper", {.cgroup = ""}, false};

static const struct mode handed_by_cgroup = {
    "a cgroup, statuses handed over", {.subreaper = true, .caller_reaps = true}, false};
static const struct mode handed_by_proc = {
    "/proc, statuses handed over", {.subreaper = true, .caller_reaps = true, .cgroup = ""}, false};

/* ---- what the first process gets, and gives ---- */

static void arguments_reach_the_program_as_they_are(void **state)
{
    (void)state;
    use(&by_proc);
    const char *const argv[] = {self_path, "arguments", "$(id)", "a b", "", "`x`;'\"\\*", NULL};
    assert_int_equal(port->spawn(&posix, argv), 0);
    assert_stream(MVM_PORT_STDOUT, "$(id)\na b\n\n`x`;'\"\\*\n");
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void the_streams_and_the_exit_status_come_apart(void **state)
{
    (void)state;
    use(&by_proc);
    spawn_role("print", NULL);
    assert_stream(MVM_PORT_STDERR, "to stderr");
    assert_stream(MVM_PORT_STDOUT, "to stdout");
    struct mvm_exit e = await_exit();
    assert_false(e.signaled);
    assert_int_equal(e.code, 7);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void an_end_by_a_signal_is_reported_as_such_at_every_call(void **state)
{
    (void)state;
    use(&by_proc);
    spawn_role("die", NULL);
    for (int i = 0; i < 2; i++) {
        struct mvm_exit e = await_exit();
        assert_true(e.signaled);
        assert_int_equal(e.code, SIGKILL);
    }
    assert_int_equal(posix.watch.armed[MVM_POSIX_OF_EXIT], -1);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void a_program_starts_with_nothing_of_ours(void **state)
{
    (void)state;
    sigset_t blocked;
    sigset_t before;
    use(&by_proc);
    int inheritable = open("/dev/null", O_RDONLY);
    int high = fcntl(inheritable, F_DUPFD, 500);
    sigfillset(&blocked);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    ignore_signals(true);
    spawn_role("inspect", NULL);
    ignore_signals(false);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_stream(MVM_PORT_STDOUT, "");
    assert_int_equal(await_exit().code, 0);
    close(inheritable);
    close(high);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Without those of 0, 1 and 2 whose bits are set. */
static bool spawns_without(int closed)
{
    char text[64];
    use(&by_proc);
    for (int fd = 0; fd < 3; fd++) {
        if ((closed & 1 << fd) != 0) {
            close(fd);
        } else if (fcntl(fd, F_GETFD) < 0) {
            open("/dev/null", O_RDWR);
        }
    }
    const char *const argv[] = {self_path, "print", NULL};
    bool fine = port->spawn(&posix, argv) == 0;
    read_stream(MVM_PORT_STDOUT, text, sizeof text, sizeof text);
    fine = fine && strcmp(text, "to stdout") == 0;
    read_stream(MVM_PORT_STDERR, text, sizeof text, sizeof text);
    fine = fine && strcmp(text, "to stderr") == 0;
    mvm_posix_fini(&posix);
    return fine;
}

/* In a separate process: cmocka needs its stdout. */
static void a_process_without_standard_descriptors_can_spawn(void **state)
{
    (void)state;
    for (int closed = 0; closed < 8; closed++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            _exit(spawns_without(closed) ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void a_program_that_is_not_there_or_cannot_run_is_an_error_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *program;
        int error;
        const char *reason;
    } cases[] = {
        {"/nowhere/nix", MVM_PORT_NOT_FOUND, "spawn: No such file or directory"},
        {"/etc/passwd", MVM_PORT_FAILED, "spawn: Permission denied"},
    };
    const char *preloaded = getenv("LD_PRELOAD");
    if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL) {
        SKIP_BECAUSE("valgrind gives a spawned child memory of its own, and posix_spawn, which "
                     "shares it to tell of a failed exec, cannot see one");
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        use(&by_cgroup);
        int before = count_open();
        const char *const argv[] = {cases[i].program, NULL};
        assert_int_equal(port->spawn(&posix, argv), cases[i].error);
        assert_string_equal(reason_of(&posix), cases[i].reason);
        assert_int_equal(count_open(), before);
        port->close_build(&posix);
        mvm_posix_fini(&posix);
    }
}

static void a_second_spawn_waits_for_close_build(void **state)
{
    (void)state;
    use(&by_proc);
    spawn_role("stay", NULL);
    const char *const argv[] = {self_path, "print", NULL};
    assert_int_equal(port->spawn(&posix, argv), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "spawn: a build is running");
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void descriptors_are_as_before_after_a_build(void **state)
{
    (void)state;
    use(&by_cgroup);
    int before = count_open();
    spawn_role("print", NULL);
    await_exit();
    kill_and_close();
    assert_int_equal(count_open(), before);
    mvm_posix_fini(&posix);
}

static void without_a_build_there_is_nothing_to_signal_or_to_close(void **state)
{
    (void)state;
    use(&by_proc);
    assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
    assert_int_equal(port->remaining(&posix), 0);
    port->close_build(&posix);
    assert_int_equal(posix.output[MVM_PORT_STDOUT].fd, -1);
    assert_int_equal(posix.watch.armed[MVM_POSIX_OF_EXIT], -1);
    mvm_posix_fini(&posix);
}

/* ---- ends of pipes and of processes ---- */

static void the_end_of_the_pipes_is_not_the_exit(void **state)
{
    (void)state;
    struct mvm_exit e;
    use(&by_proc);
    spawn_role("close-and-stay", NULL);
    assert_stream(MVM_PORT_STDOUT, "");
    assert_stream(MVM_PORT_STDERR, "");
    assert_int_equal(port->poll_exit(&posix, &e), 0);
    assert_int_equal(port->remaining(&posix), 1);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* The first process ends, its grandchild lives on and holds the pipes. */
static void a_hidden_grandchild_is_found_and_only_sigkill_ends_it(void **state)
{
    uint8_t byte;
    spawn_in(*state, "hide", "leave");
    await_ready(1);
    assert_int_equal(await_exit().code, 0);
    assert_int_equal(port->read_output(&posix, MVM_PORT_STDOUT, &byte, 1), 0);
    await_remaining(1);
    assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    sleep_ms(50);
    assert_int_equal(port->remaining(&posix), 1);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void sigterm_reaches_the_first_process(void **state)
{
    spawn_in(*state, "stay", NULL);
    await_ready(1);
    assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    struct mvm_exit e = await_exit();
    assert_true(e.signaled);
    assert_int_equal(e.code, SIGTERM);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* A child born while signals are being sent gets one, too. */
static void one_sigterm_reaches_all_of_a_tree_that_grows(void **state)
{
    spawn_in(*state, "sow", NULL);
    await_ready(1);
    assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    await_remaining(0);
    assert_pipes_end();
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Skips a test before it forks: what it forked would be left to the next one. */
static void need_mode(const struct mode *mode)
{
    spawn_in(mode, "stopped", NULL);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Keeps every processor busy, for 20 seconds at most, by processes older than the build. */
static void keep_busy(pid_t *busy, long n)
{
    for (long i = 0; i < n; i++) {
        busy[i] = fork();
        if (busy[i] == 0) {
            alarm(20);
            for (;;) {
            }
        }
    }
    sleep_ms(30);
}

/* With processes that each wait long for a processor before they stop or fork. */
static void one_sigterm_reaches_all_of_a_tree_that_is_starved(void **state)
{
    char text[64];
    pid_t busy[64];
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    n = n < 64 ? n : 64;
    need_mode(*state);
    keep_busy(busy, n);
    spawn_in(*state, "starved-sow", NULL);
    bool runs = read_stream(MVM_PORT_STDOUT, text, sizeof text, 6) >= 6;
    uint64_t begin = clock_ms();
    int sent = runs ? signal_build(MVM_SIGNAL_TERM) : 0;
    bool in_time = runs && clock_ms() - begin < MVM_HOLD_MS;
    for (long i = 0; i < n; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
    assert_int_equal(sent, 0);
    if (in_time) {
        await_remaining(0);
        assert_pipes_end();
    }
    kill_and_close();
    mvm_posix_fini(&posix);
    if (!in_time) {
        SKIP_BECAUSE("this machine is so busy that its processes did not stop in time");
    }
}

static void sigterm_ends_processes_that_are_stopped(void **state)
{
    spawn_in(*state, "stopped", NULL);
    await_ready(2);
    sleep_ms(20);
    assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    await_remaining(0);
    assert_true(await_exit().signaled);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void one_that_does_not_stop_is_waited_for_only_so_long(void **state)
{
    (void)state;
    use(&by_proc);
    for (int i = 0; i < 2; i++) { /* an earlier build is no longer waited for */
        spawn_role("stay", NULL);
        await_ready(1);
        assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
        kill_and_close();
    }
    spawn_role("unstoppable", NULL);
    await_ready(1);
    uint64_t begin = clock_ms();
    assert_int_equal(port->signal_build(&posix, MVM_SIGNAL_TERM), MVM_PORT_LATER);
    assert_in_range(clock_ms() - begin, 0, MVM_HOLD_MS - 1);
    assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    assert_in_range(clock_ms() - begin, MVM_HOLD_MS, 4 * MVM_HOLD_MS);
    await_remaining(0);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void a_tree_of_sessions_is_counted_and_killed_whole(void **state)
{
    spawn_in(*state, "tree", NULL);
    await_ready(12);
    await_remaining(13);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void a_process_that_flees_by_forking_is_caught(void **state)
{
    spawn_in(*state, "flee", NULL);
    await_ready(1);
    sleep_ms(20);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* One SIGKILL must suffice: orphans cannot be found again. */
static void one_sigkill_ends_a_tree_without_a_subreaper_too(void **state)
{
    static const struct {
        const char *role;
        const char *argument;
        size_t ready;
        int count; /* 0: any */
    } cases[] = {{"tree", NULL, 12, 13}, {"chain", "65", 65, 65}, {"breed", NULL, 5, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        spawn_in(*state, cases[i].role, cases[i].argument);
        await_ready(cases[i].ready);
        if (cases[i].count != 0) {
            await_remaining(cases[i].count);
        }
        assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
        await_remaining(0);
        assert_pipes_end();
        kill_and_close();
        mvm_posix_fini(&posix);
    }
}

static void a_tree_deeper_than_is_killed_level_by_level_is_ended_too(void **state)
{
    spawn_in(*state, "chain", "100");
    await_ready(100);
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void an_orphan_is_found_by_its_session_without_a_subreaper(void **state)
{
    spawn_in(*state, "orphan", NULL);
    await_ready(1);
    await_remaining(2); /* its parent may still be ending */
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* ---- processes outside the build ---- */

static void a_child_from_before_is_neither_signalled_nor_collected(void **state)
{
    need_mode(*state);
    pid_t other = fork();
    if (other == 0) {
        for (;;) {
            pause();
        }
    }
    pid_t ended = fork();
    if (ended == 0) {
        _exit(3);
    }
    sleep_ms(30); /* a tick of the clock that measures start times */
    spawn_in(*state, "hide", "leave");
    await_ready(1);
    await_exit();
    await_remaining(1);
    do {
        assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
    } while (port->remaining(&posix) != 0);
    port->close_build(&posix);
    mvm_posix_fini(&posix);
    int status;
    assert_int_equal(waitpid(ended, &status, WNOHANG), ended);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(waitpid(other, &status, WNOHANG), 0);
    kill(other, SIGKILL);
    assert_int_equal(waitpid(other, &status, 0), other);
}

static void a_handed_status_is_taken_for_the_first_process_alone(void **state)
{
    (void)state;
    static const struct mode handed = {"handed", {.caller_reaps = true, .cgroup = ""}, false};
    struct mvm_exit e;
    int status;
    use(&handed);
    spawn_role("print", NULL);
    pid_t pid = posix.pid;
    assert_int_equal(posix.watch.armed[MVM_POSIX_OF_EXIT], -1);
    assert_int_equal(waitpid(-1, &status, 0), pid);
    assert_int_equal(port->poll_exit(&posix, &e), 0);
    assert_false(mvm_posix_child_exited(&posix, pid + 1, 0));
    assert_false(mvm_posix_child_exited(&posix, pid, W_STOPCODE(SIGSTOP)));
    assert_false(mvm_posix_child_exited(&posix, 0, 0));
    assert_false(mvm_posix_child_exited(&posix, -1, 0));
    assert_int_equal(port->poll_exit(&posix, &e), 0);
    assert_true(mvm_posix_child_exited(&posix, pid, status));
    assert_int_equal(port->poll_exit(&posix, &e), 1);
    assert_int_equal(e.code, 7);
    assert_int_equal(port->remaining(&posix), 0);
    port->close_build(&posix);
    assert_false(mvm_posix_child_exited(&posix, pid, status));
    mvm_posix_fini(&posix);
}

static void with_handed_statuses_orphans_are_left_to_the_program(void **state)
{
    (void)state;
    static const struct mode handed = {
        "handed", {.caller_reaps = true, .subreaper = true, .cgroup = ""}, false};
    int status;
    use(&handed);
    spawn_role("hide", "leave");
    await_ready(1);
    pid_t first = posix.pid;
    assert_int_equal(waitpid(first, &status, 0), first);
    assert_true(mvm_posix_child_exited(&posix, first, status));
    await_remaining(1);
    signal_build(MVM_SIGNAL_KILL);
    await_remaining(0);
    port->close_build(&posix);
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    mvm_posix_fini(&posix);
}

static void a_child_that_another_thread_reaped_is_an_error_and_no_hang(void **state)
{
    (void)state;
    struct mvm_exit e;
    use(&by_proc);
    spawn_role("print", NULL);
    pid_t pid = posix.pid;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(mvm_posix_child_exited(&posix, pid, 0)); /* caller_reaps is not set */
    assert_int_equal(port->poll_exit(&posix, &e), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix),
                        "waitid: another part of this program has taken the exit status: "
                        "it must pass it on, see caller_reaps");
    port->close_build(&posix);
    mvm_posix_fini(&posix);
}

/* Polls as a loop would, until the exit is known or an error. */
static int await_poll_exit(unsigned *polls)
{
    struct mvm_exit e;
    struct pollfd ready = {mvm_posix_fd(&posix), POLLIN, 0};
    int r;
    while ((r = port->poll_exit(&posix, &e)) == 0) {
        assert_int_equal(poll(&ready, 1, 10000), 1);
        ++*polls;
    }
    return r;
}

static void a_program_that_reaps_and_hands_nothing_over_gets_an_error_and_no_hang(void **state)
{
    (void)state;
    static const struct mode handed = {"handed", {.caller_reaps = true, .cgroup = ""}, false};
    int status;
    unsigned polls = 0;
    use(&handed);
    spawn_role("print", NULL);
    pid_t pid = posix.pid;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(await_poll_exit(&polls), MVM_PORT_FAILED);
    assert_true(polls >= MVM_STATUS_WAIT_MS / MVM_KILL_POLL_MS);
    assert_string_equal(reason_of(&posix),
                        "exit status: this program has set caller_reaps, but did not pass the "
                        "process to mvm_server_child_exited or mvm_posix_child_exited");
    assert_int_equal(port->remaining(&posix), 0);
    port->close_build(&posix);
    assert_false(posix.lost);
    spawn_role("print", NULL); /* and then does */
    pid = posix.pid;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(mvm_posix_child_exited(&posix, pid, status));
    assert_int_equal(await_exit().code, 7);
    port->close_build(&posix);
    mvm_posix_fini(&posix);
}

static void a_status_that_is_handed_over_late_is_not_an_error(void **state)
{
    (void)state;
    static const struct mode handed = {"handed", {.caller_reaps = true, .cgroup = ""}, false};
    struct mvm_exit e;
    int status;
    use(&handed);
    spawn_role("print", NULL);
    pid_t pid = posix.pid;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(port->poll_exit(&posix, &e), 0);
    posix.awaited.polls = MVM_STATUS_WAIT_MS / MVM_KILL_POLL_MS - 1;
    posix.awaited.polled_ms = 0; /* the whole program was stopped for long: one more poll */
    assert_int_equal(port->poll_exit(&posix, &e), 0);
    assert_true(mvm_posix_child_exited(&posix, pid, status));
    assert_int_equal(port->poll_exit(&posix, &e), 1);
    assert_int_equal(e.code, 7);
    port->close_build(&posix);
    mvm_posix_fini(&posix);
}

/* As a program does that owns SIGCHLD: it reaps all children and passes their status on. */
static void reap_and_hand_over(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        mvm_posix_child_exited(&posix, pid, status);
    }
}

/* Ends a build as the executor does, with SIGTERM first if `politely`. */
static void end_handed_build(bool politely)
{
    struct mvm_exit e;
    uint64_t until = clock_ms() + PATIENCE_MS;
    if (politely) {
        assert_int_equal(signal_build(MVM_SIGNAL_TERM), 0);
    }
    for (int round = 0;; round++) {
        reap_and_hand_over();
        if (port->poll_exit(&posix, &e) == 1 && port->remaining(&posix) == 0) {
            break;
        }
        assert_true(clock_ms() < until);
        if (!politely || round > 20) {
            assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
        }
        sleep_ms(1);
    }
    assert_true(e.signaled);
    assert_pipes_end();
    port->close_build(&posix);
}

static void cancels_of_a_tree_that_grows_leave_nothing_with_handed_statuses(void **state)
{
    const char *many = getenv("MVM_CANCELS"); /* make soak repeats it more often */
    const int cancels = many != NULL ? atoi(many) : 10;
    struct rng rng = rng_by_seed(1);
    spawn_in(*state, "stay", NULL);
    end_handed_build(false);
    int before = count_open();
    for (int i = 0; i < cancels; i++) {
        spawn_role("sow", NULL);
        sleep_ms((int)rng_below(&rng, 12));
        end_handed_build(rng_one_in(&rng, 2));
    }
    reap_and_hand_over();
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_open(), before);
    mvm_posix_fini(&posix);
}

/* ---- cgroups ---- */

static void the_builds_cgroup_is_removed_with_those_below_it(void **state)
{
    char parent[256];
    char path[256];
    spawn_in(*state, "stay", NULL);
    cgroup_path(path, sizeof path);
    strcpy(parent, path);
    *strrchr(parent, '/') = '\0';
    kill_and_close();
    assert_int_equal(access(path, F_OK), -1);

    spawn_role("subgroup", parent);
    await_ready(1);
    cgroup_path(path, sizeof path);
    assert_int_equal(port->remaining(&posix), 1);
    strcat(path, "/inner/deeper");
    assert_int_equal(access(path, F_OK), 0);
    kill_and_close();
    path[strlen(path) - strlen("/inner/deeper")] = '\0';
    assert_int_equal(access(path, F_OK), -1);
    mvm_posix_fini(&posix);
}

/* Like one that was forked before the first process had entered the cgroup. */
static void a_straggler_outside_of_the_cgroup_is_brought_in_and_killed(void **state)
{
    char path[256];
    char number[16];
    spawn_in(*state, "chain", "2");
    await_ready(2);
    cgroup_path(path, sizeof path);
    strcat(path, "/cgroup.procs");
    FILE *members = fopen(path, "re");
    int pid = 0;
    while (fscanf(members, "%d", &pid) == 1 && pid == posix.pid) {
    }
    fclose(members);
    assert_true(pid > 0 && pid != posix.pid);
    snprintf(number, sizeof number, "%d", pid);
    strcpy(strrchr(path, '/'), "/../cgroup.procs");
    write_file(path, number);
    assert_int_equal(port->remaining(&posix), 2);
    assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
    await_remaining(0);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* A cgroup that no other builder on this machine knows, into `path`. */
static void make_parent_cgroup(const struct mode *mode, char *path, size_t cap)
{
    char own[256];
    spawn_in(mode, "stay", NULL);
    cgroup_path(own, sizeof own);
    kill_and_close();
    mvm_posix_fini(&posix);
    *strrchr(own, '/') = '\0';
    snprintf(path, cap, "%s/mvm-test-%d", own, (int)getpid());
    assert_int_equal(mkdir(path, 0755), 0);
}

static void empty_cgroups_of_makers_that_are_gone_go_with_the_next_build(void **state)
{
    struct {
        pid_t maker;
        bool locked; /* as by a maker in another pid namespace */
        bool goes;
    } cases[] = {{fork(), false, true}, {getpid(), false, false}, {0, true, false}};
    char paths[3][360];
    char below[400];
    int lock = -1;
    char path[300];
    if (cases[0].maker == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(cases[0].maker, NULL, 0), cases[0].maker);
    cases[2].maker = cases[0].maker;
    make_parent_cgroup(*state, path, sizeof path);
    struct mode mode = by_cgroup;
    mode.config.cgroup = path;
    use(&mode);
    for (size_t i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/mvm-build-%d-%zu", path, (int)cases[i].maker, i);
        assert_int_equal(mkdir(paths[i], 0755), 0);
        if (cases[i].locked) {
            lock = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            assert_int_equal(flock(lock, LOCK_SH), 0);
        }
    }
    for (int i = 0; i < 3; i++) { /* below the one that goes */
        snprintf(below, sizeof below, "%s/%s", paths[0], i == 0 ? "a" : i == 1 ? "a/b" : "c");
        assert_int_equal(mkdir(below, 0755), 0);
    }
    spawn_role("stay", NULL);
    kill_and_close();
    mvm_posix_fini(&posix);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(access(paths[i], F_OK), cases[i].goes ? -1 : 0);
    }
    close(lock);
    assert_int_equal(rmdir(paths[1]), 0);
    assert_int_equal(rmdir(paths[2]), 0);
    assert_int_equal(rmdir(path), 0);
}

/* A process that makes a build and is killed; the first process of the build. Its zombie stays. */
static int leave_build(const struct mode *mode, pid_t *agent)
{
    int child;
    int fds[2];
    siginfo_t end;
    assert_int_equal(pipe(fds), 0);
    *agent = fork();
    if (*agent == 0) {
        use(mode);
        spawn_role("stay", NULL);
        await_ready(1);
        ssize_t n = write(fds[1], &posix.pid, sizeof posix.pid);
        raise(n > 0 ? SIGKILL : SIGTERM);
    }
    assert_int_equal(read(fds[0], &child, sizeof child), sizeof child);
    assert_int_equal(waitid(P_PID, (id_t)*agent, &end, WEXITED | WNOWAIT), 0);
    assert_int_equal(kill(child, 0), 0);
    close(fds[0]);
    close(fds[1]);
    return child;
}

/* An agent that is killed during a build leaves only a cgroup to the next one: to its start, or to
 * the first disk call of a job. */
static void what_a_killed_process_has_left_is_ended_before_a_build(void **state)
{
    for (int by_job = 0; by_job <= 1; by_job++) {
        int r, status;
        pid_t agent;
        char path[300];
        struct mode mode = by_cgroup;
        make_parent_cgroup(*state, path, sizeof path); /* other builders would end it, too */
        mode.config.cgroup = path;
        int child = leave_build(&mode, &agent);
        use(&mode);
        if (by_job) {
            AWAIT(r, port->make_dir(&posix, "/"));
            end_job(&posix);
        } else {
            mvm_posix_end_left_over(&posix);
        }
        mvm_posix_fini(&posix);
        uint64_t until = clock_ms() + PATIENCE_MS;
        while (kill(child, 0) == 0 && clock_ms() < until) {
            waitpid(child, &status, WNOHANG); /* if this process is the orphans' reaper */
            sleep_ms(5);
        }
        assert_int_equal(kill(child, 0), -1);
        assert_int_equal(waitpid(agent, &status, 0), agent);
        const char *const remove[] = {"find",  path,    "-depth", "-type", "d",
                                      "-exec", "rmdir", "{}",     ";",     NULL};
        run(remove);
        assert_int_equal(access(path, F_OK), -1);
    }
}

/* Below a threaded one a cgroup can be made, but no process can be put into it. */
static void make_threaded_cgroup(const struct mode *mode, char *path, size_t cap)
{
    make_parent_cgroup(mode, path, cap);
    write_in(path, "cgroup.type", "threaded");
}

static void a_cgroup_that_takes_no_process_fails_the_spawn_if_it_was_asked_for(void **state)
{
    static const enum mvm_posix_way by[] = {MVM_POSIX_ANY_WAY, MVM_POSIX_BY_VFORK};
    const char *const argv[] = {self_path, "stay", NULL};
    char path[300];
    struct mode mode = by_cgroup;
    make_threaded_cgroup(*state, path, sizeof path);
    mode.config.cgroup = path;
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++) {
        use(&mode);
        posix.way = by[i];
        int before = count_open();
        assert_int_equal(port->spawn(&posix, argv), MVM_PORT_FAILED);
        assert_string_equal(reason_of(&posix), "cgroup.procs: Operation not supported");
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(count_open(), before);
        assert_int_equal(posix.pid, 0);
        mvm_posix_fini(&posix);
    }
    assert_int_equal(rmdir(path), 0);
}

/* In a process that is in such a cgroup. */
static int spawn_in_threaded(const char *path)
{
    struct mvm_exit e;
    const char *const argv[] = {self_path, "print", NULL};
    write_in(path, "cgroup.procs", "0");
    use(&by_cgroup);
    if (port->spawn(&posix, argv) != 0 || posix.cgroup >= 0) {
        return 1;
    }
    while (port->poll_exit(&posix, &e) == 0) {
        sleep_ms(5);
    }
    port->close_build(&posix);
    mvm_posix_fini(&posix);
    return e.code == 7 ? 0 : 2;
}

static void if_it_was_not_asked_for_the_build_goes_on_without(void **state)
{
    int status;
    char path[300];
    make_threaded_cgroup(*state, path, sizeof path);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(spawn_in_threaded(path));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(rmdir(path), 0); /* empty: what was made below it is gone, too */
    assert_int_equal(status, 0);
}

/* In a process of its own: moves a build into a cgroup below its own, hides cgroup.kill as in
 * kernels before 5.14, and ends what is left over. */
static int end_below(const struct mode *mode, const char *parent, int child)
{
    char script[1024];
    snprintf(script, sizeof script,
             "cd %s/mvm-build-* && mkdir -p sub/empty && echo %d >sub/cgroup.procs && "
             "mount --bind /proc/version cgroup.kill",
             parent, child);
    const char *const argv[] = {"sh", "-c", script, NULL};
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        run(argv) != 0) {
        return 2;
    }
    use(mode);
    for (uint64_t end = clock_ms() + PATIENCE_MS / 2; kill(child, 0) == 0 && clock_ms() < end;) {
        mvm_posix_end_left_over(&posix);
        sleep_ms(5);
    }
    mvm_posix_fini(&posix);
    return kill(child, 0) == 0 ? 1 : 0;
}

static void what_is_left_below_a_cgroup_is_ended_by_old_kernels_too(void **state)
{
    int status;
    pid_t agent;
    char path[300];
    struct mode mode = by_cgroup;
    make_parent_cgroup(*state, path, sizeof path);
    mode.config.cgroup = path;
    int child = leave_build(&mode, &agent);
    pid_t ender = fork();
    if (ender == 0) {
        _exit(end_below(&mode, path, child));
    }
    uint64_t until = clock_ms() + PATIENCE_MS;
    while (waitpid(ender, &status, WNOHANG) == 0 && clock_ms() < until) {
        waitpid(child, NULL, WNOHANG); /* if this process is the orphans' reaper */
        sleep_ms(5);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(waitpid(agent, NULL, 0), agent);
    const char *const remove[] = {"find",  path,    "-depth", "-type", "d",
                                  "-exec", "rmdir", "{}",     ";",     NULL};
    while (run(remove) != 0 && access(path, F_OK) == 0 && clock_ms() < until) {
        sleep_ms(5);
    }
    if (WEXITSTATUS(status) == 2) {
        SKIP_BECAUSE("no private mounts");
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_cgroup_that_was_asked_for_and_is_none_fails_the_spawn(void **state)
{
    (void)state;
    static const struct mode cases[] = {
        {"absent", {.cgroup = "/nowhere"}, false},
        {"no cgroup", {.cgroup = "/tmp"}, false},
    };
    static const char *const reasons[] = {"cgroup: No such file or directory",
                                          "cgroup: Operation not supported"};
    for (size_t i = 0; i < 2; i++) {
        use(&cases[i]);
        const char *const argv[] = {self_path, "print", NULL};
        assert_int_equal(port->spawn(&posix, argv), MVM_PORT_FAILED);
        assert_string_equal(reason_of(&posix), reasons[i]);
        mvm_posix_fini(&posix);
    }
}

/* ---- the end ---- */

static void fini_ends_a_build_that_runs(void **state)
{
    int before = count_open();
    spawn_in(*state, "hide", NULL);
    await_ready(1);
    mvm_posix_fini(&posix);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(count_open(), before);
}

static int is_subreaper(void)
{
    int is = -1;
    prctl(PR_GET_CHILD_SUBREAPER, &is, 0L, 0L, 0L);
    return is;
}

static void a_subreaper_is_one_from_the_first_build_to_fini(void **state)
{
    (void)state;
    use(&by_proc);
    assert_int_equal(is_subreaper(), 0);
    for (int i = 0; i < 2; i++) {
        spawn_role("stay", NULL);
        kill_and_close();
        assert_int_equal(is_subreaper(), 1);
    }
    mvm_posix_fini(&posix);
    assert_int_equal(is_subreaper(), 0);
}

static void a_process_that_was_a_subreaper_before_remains_one(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    use(&by_proc);
    spawn_role("stay", NULL);
    kill_and_close();
    mvm_posix_fini(&posix);
    assert_int_equal(is_subreaper(), 1);
    prctl(PR_SET_CHILD_SUBREAPER, 0L, 0L, 0L, 0L);
}

#define ALONE(test) cmocka_unit_test_setup(test, clean_up)
#define IN_EACH_MODE(test)                                                                         \
    IN_MODE(test, by_cgroup), IN_MODE(test, by_freezing), IN_MODE(test, by_proc)

int main(int argc, char **argv)
{
    int code = play_role(argc, argv);
    if (code >= 0) {
        return code;
    }
    const struct CMUnitTest tests[] = {
        ALONE(arguments_reach_the_program_as_they_are),
        ALONE(the_streams_and_the_exit_status_come_apart),
        ALONE(an_end_by_a_signal_is_reported_as_such_at_every_call),
        ALONE(a_program_starts_with_nothing_of_ours),
        ALONE(a_process_without_standard_descriptors_can_spawn),
        ALONE(a_program_that_is_not_there_or_cannot_run_is_an_error_with_its_reason),
        ALONE(a_second_spawn_waits_for_close_build),
        ALONE(descriptors_are_as_before_after_a_build),
        ALONE(without_a_build_there_is_nothing_to_signal_or_to_close),
        ALONE(the_end_of_the_pipes_is_not_the_exit),
        IN_EACH_MODE(a_hidden_grandchild_is_found_and_only_sigkill_ends_it),
        IN_EACH_MODE(sigterm_reaches_the_first_process),
        IN_EACH_MODE(one_sigterm_reaches_all_of_a_tree_that_grows),
        IN_EACH_MODE(one_sigterm_reaches_all_of_a_tree_that_is_starved),
        IN_EACH_MODE(sigterm_ends_processes_that_are_stopped),
        ALONE(one_that_does_not_stop_is_waited_for_only_so_long),
        IN_EACH_MODE(a_tree_of_sessions_is_counted_and_killed_whole),
        IN_MODE(a_process_that_flees_by_forking_is_caught, by_cgroup),
        IN_MODE(a_process_that_flees_by_forking_is_caught, by_freezing),
        IN_MODE(one_sigkill_ends_a_tree_without_a_subreaper_too, by_proc_alone),
        IN_EACH_MODE(a_tree_deeper_than_is_killed_level_by_level_is_ended_too),
        IN_MODE(an_orphan_is_found_by_its_session_without_a_subreaper, by_proc_alone),
        IN_EACH_MODE(a_child_from_before_is_neither_signalled_nor_collected),
        ALONE(a_handed_status_is_taken_for_the_first_process_alone),
        ALONE(with_handed_statuses_orphans_are_left_to_the_program),
        ALONE(a_child_that_another_thread_reaped_is_an_error_and_no_hang),
        ALONE(a_program_that_reaps_and_hands_nothing_over_gets_an_error_and_no_hang),
        ALONE(a_status_that_is_handed_over_late_is_not_an_error),
        IN_MODE(cancels_of_a_tree_that_grows_leave_nothing_with_handed_statuses, handed_by_cgroup),
        IN_MODE(cancels_of_a_tree_that_grows_leave_nothing_with_handed_statuses, handed_by_proc),
        IN_MODE(the_builds_cgroup_is_removed_with_those_below_it, by_cgroup),
        IN_MODE(a_straggler_outside_of_the_cgroup_is_brought_in_and_killed, by_cgroup),
        IN_MODE(empty_cgroups_of_makers_that_are_gone_go_with_the_next_build, by_cgroup),
        IN_MODE(what_a_killed_process_has_left_is_ended_before_a_build, by_cgroup),
        IN_MODE(what_is_left_below_a_cgroup_is_ended_by_old_kernels_too, by_cgroup),
        ALONE(a_cgroup_that_was_asked_for_and_is_none_fails_the_spawn),
        IN_MODE(a_cgroup_that_takes_no_process_fails_the_spawn_if_it_was_asked_for, by_cgroup),
        IN_MODE(if_it_was_not_asked_for_the_build_goes_on_without, by_cgroup),
        IN_EACH_MODE(fini_ends_a_build_that_runs),
        ALONE(a_subreaper_is_one_from_the_first_build_to_fini),
        ALONE(a_process_that_was_a_subreaper_before_remains_one),
    };
    use(&by_proc_alone);
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
