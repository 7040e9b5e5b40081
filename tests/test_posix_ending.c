/* Builds that are hard to end, and the messages about that. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_roles.h"
#include <sys/resource.h>

enum { LONG_CHAIN = 200, STEP_MS = 1500 };

static const struct mode by_cgroup = {"a cgroup", {.subreaper = true}, false};
static const struct mode by_freezing = {"a cgroup without cgroup.kill", {.subreaper = true}, true};
static const struct mode by_proc = {"/proc", {.subreaper = true, .cgroup = ""}, false};
static const struct mode by_proc_alone = {"/proc, no subreaper", {.cgroup = ""}, false};

/* ---- cgroups that cannot be killed ---- */

static void a_build_that_makes_its_cgroup_threaded_is_ended(void **state)
{
    char parent[256];
    char type[300];
    spawn_in(*state, "stay", NULL);
    cgroup_path(parent, sizeof parent);
    *strrchr(parent, '/') = '\0';
    kill_and_close();
    spawn_role("threaded", parent);
    await_ready(2);
    char text[32] = "";
    cgroup_path(type, sizeof type);
    strcat(type, "/cgroup.type");
    int fd = open(type, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_string_equal(text, "threaded\n");
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void a_cgroup_kill_that_fails_leaves_it_to_the_scan(void **state)
{
    spawn_in(*state, "hide", "leave");
    await_ready(1);
    close(posix.cgroup_kill);
    posix.cgroup_kill = open("/dev/null", O_RDONLY | O_CLOEXEC); /* write: EBADF */
    assert_true(posix.cgroup_kill >= 0);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Sets the soft limit so that no descriptor is left. */
static void without_a_free_descriptor_sigkill_still_reaches_the_build(void **state)
{
    struct rlimit before;
    struct rlimit none = {0, 0};
    const struct mode *mode = *state;
    spawn_in(mode, mode->config.cgroup == NULL ? "hide" : "deaf", NULL);
    await_ready(1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    signal_build(MVM_SIGNAL_KILL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    await_remaining(0);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Leaves so many descriptors free. */
static void leave_descriptors(int room)
{
    struct rlimit limit;
    int end = 0;
    for (int left = room; left > 0; end++) {
        left -= fcntl(end, F_GETFD) < 0 ? 1 : 0;
    }
    while (room == 0 && fcntl(end, F_GETFD) >= 0) {
        end++;
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)end;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

enum { ROOMS = 7 }; /* more than any call takes */

/* A process that cannot be examined without a descriptor is not taken for one that has ended. */
static void with_few_descriptors_what_cannot_be_counted_is_an_error(void **state)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    spawn_in(*state, "hide", "leave");
    await_ready(1);
    await_exit();
    await_remaining(1);
    for (int room = 0; room <= ROOMS; room++) {
        leave_descriptors(room);
        int left = port->remaining(&posix);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_true(left == 1 || (room < ROOMS && left == MVM_PORT_FAILED));
        if (left != 1) {
            assert_string_equal(reason_of(&posix), "/proc: Too many open files");
        }
    }
    kill_and_close();
    mvm_posix_fini(&posix);
}

static void with_few_descriptors_a_signal_reaches_all_or_is_an_error(void **state)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int room = 0; room <= ROOMS; room++) {
        spawn_in(*state, "stopped", NULL);
        await_ready(2);
        leave_descriptors(room);
        int r = signal_build(MVM_SIGNAL_TERM);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_true(r == 0 || (room < ROOMS && r == MVM_PORT_FAILED));
        if (r == 0) {
            await_remaining(0);
        } else {
            assert_string_equal(reason_of(&posix), "kill: Too many open files");
        }
        kill_and_close();
        mvm_posix_fini(&posix);
    }
}

/* ---- the work of a step ---- */

/* This process's own time: on a busy machine a step waits for a processor. */
static uint64_t used_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void a_signal_to_a_long_chain_takes_one_short_step(void **state)
{
    static const enum mvm_signal signals[] = {MVM_SIGNAL_TERM, MVM_SIGNAL_KILL};
    char count[16];
    snprintf(count, sizeof count, "%d", LONG_CHAIN);
    spawn_in(*state, "chain", count);
    await_ready(LONG_CHAIN);
    for (int i = 0; i < 2; i++) {
        uint64_t before = used_ms();
        assert_int_equal(signal_build(signals[i]), 0);
        assert_true(used_ms() - before < STEP_MS);
    }
    await_remaining(0);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* More than one scan can list: the others are found when the first have ended. */
static void more_processes_than_one_scan_lists_are_ended(void **state)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_cur < 2 * MVM_POSIX_MEMBERS) {
        SKIP_BECAUSE("this user may not have that many processes");
    }
    char text[16];
    spawn_in(*state, "crowd", "2100");
    read_stream(MVM_PORT_STDOUT, text, sizeof text, 6);
    if (strncmp(text, "ready\n", 6) != 0) {
        kill_and_close();
        mvm_posix_fini(&posix);
        SKIP_BECAUSE("there cannot be that many processes here");
    }
    assert_int_equal(port->remaining(&posix), MVM_POSIX_MEMBERS);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* ---- messages ---- */

static void a_limit_is_reported_if_there_is_one(void **state)
{
    static const struct {
        const struct mode *mode;
        const char *says;
    } cases[] = {{&by_cgroup, NULL}, {&by_proc, NULL}, {&by_proc_alone, "no subreaper"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        use(cases[i].mode);
        spawn_role("stay", NULL);
        const char *limits = port->limits(&posix);
        if (cases[i].says == NULL) {
            assert_null(limits);
        } else {
            assert_non_null(limits);
            assert_non_null(strstr(limits, cases[i].says));
        }
        kill_and_close();
        mvm_posix_fini(&posix);
    }
}

static void a_build_beside_processes_of_an_earlier_one_says_so(void **state)
{
    spawn_in(*state, "deaf", NULL);
    await_ready(1);
    pid_t survivor = posix.pid;
    posix.pid = 0; /* as if SIGKILL had no effect */
    posix.survivors_since = posix.since;
    port->close_build(&posix);

    spawn_role("stay", NULL);
    assert_non_null(port->limits(&posix));
    assert_non_null(strstr(port->limits(&posix), "an earlier build"));
    while (port->remaining(&posix) != 0) {
        signal_build(MVM_SIGNAL_KILL);
    }
    port->close_build(&posix);

    siginfo_t end;
    kill(survivor, SIGKILL);
    waitid(P_PID, (id_t)survivor, &end, WEXITED | WNOWAIT); /* of the same tick: reaped already */
    spawn_role("stay", NULL);
    assert_null(port->limits(&posix));
    assert_int_equal(waitpid(survivor, NULL, 0), -1); /* it was reaped */
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Nor is one of another port of this process. */
static void a_worker_is_not_taken_for_a_process_of_an_earlier_build(void **state)
{
    static struct mvm_posix reader;
    mvm_posix_init(&reader, &(struct mvm_posix_config){.cgroup = ""});
    use(*state);
    posix.beside = &reader;
    posix.survivors_since = mvm_posix_ticks();
    assert_int_equal(port->make_dir(&posix, "/"), MVM_PORT_LATER);
    assert_int_equal(port->make_dir(&reader, "/"), MVM_PORT_LATER);
    spawn_role("stay", NULL);
    assert_null(port->limits(&posix));
    end_job(&posix);
    end_job(&reader);
    kill_and_close();
    mvm_posix_fini(&reader);
    mvm_posix_fini(&posix);
}

static void a_build_that_is_closed_with_processes_left_is_remembered(void **state)
{
    spawn_in(*state, "deaf", NULL);
    await_ready(1);
    pid_t first = posix.pid;
    posix.config.caller_reaps = true; /* so that the port does not signal its group */
    posix.exited = true;
    port->close_build(&posix);
    assert_int_not_equal(posix.survivors_since, 0);
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    mvm_posix_fini(&posix);
}

#define ALONE(test) cmocka_unit_test_setup(test, clean_up)

int main(int argc, char **argv)
{
    int code = play_role(argc, argv);
    if (code >= 0) {
        return code;
    }
    const struct CMUnitTest tests[] = {
        IN_MODE(a_build_that_makes_its_cgroup_threaded_is_ended, by_cgroup),
        IN_MODE(a_build_that_makes_its_cgroup_threaded_is_ended, by_freezing),
        IN_MODE(a_cgroup_kill_that_fails_leaves_it_to_the_scan, by_cgroup),
        IN_MODE(without_a_free_descriptor_sigkill_still_reaches_the_build, by_cgroup),
        IN_MODE(without_a_free_descriptor_sigkill_still_reaches_the_build, by_proc),
        IN_MODE(with_few_descriptors_what_cannot_be_counted_is_an_error, by_cgroup),
        IN_MODE(with_few_descriptors_what_cannot_be_counted_is_an_error, by_proc),
        IN_MODE(with_few_descriptors_a_signal_reaches_all_or_is_an_error, by_cgroup),
        IN_MODE(with_few_descriptors_a_signal_reaches_all_or_is_an_error, by_freezing),
        IN_MODE(with_few_descriptors_a_signal_reaches_all_or_is_an_error, by_proc),
        IN_MODE(a_signal_to_a_long_chain_takes_one_short_step, by_cgroup),
        IN_MODE(a_signal_to_a_long_chain_takes_one_short_step, by_freezing),
        IN_MODE(a_signal_to_a_long_chain_takes_one_short_step, by_proc),
        IN_MODE(a_signal_to_a_long_chain_takes_one_short_step, by_proc_alone),
        IN_MODE(more_processes_than_one_scan_lists_are_ended, by_freezing),
        IN_MODE(more_processes_than_one_scan_lists_are_ended, by_proc),
        ALONE(a_limit_is_reported_if_there_is_one),
        IN_MODE(a_worker_is_not_taken_for_a_process_of_an_earlier_build, by_cgroup),
        IN_MODE(a_worker_is_not_taken_for_a_process_of_an_earlier_build, by_proc),
        IN_MODE(a_build_beside_processes_of_an_earlier_one_says_so, by_proc),
        IN_MODE(a_build_that_is_closed_with_processes_left_is_remembered, by_proc),
    };
    use(&by_proc);
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
