/* The ways to start a build: what each guarantees, whatever other threads do meanwhile. */
#define _GNU_SOURCE
#include "rng.h"
#include "small_files.h"
#include "test_posix_roles.h"
#include "test_posix_setsid.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { STARTS = 100, CANCELS = 60, SOON_MS = 10000, WORKER_MS = 30000 };

static const struct mode in_cgroup = {"a cgroup, no subreaper", {.subreaper = false}, false};
static const struct mode by_proc = {"/proc", {.subreaper = true, .cgroup = ""}, false};

/* The link wraps pipe2: a worker forked just after it holds both ends, as one forked by another
 * thread would that has no program to execute. */
int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);
static bool fork_after_pipe;
static pid_t workers[16];
static size_t workers_len;

int __wrap_pipe2(int fds[2], int flags)
{
    int r = __real_pipe2(fds, flags);
    if (r == 0 && fork_after_pipe && workers_len < sizeof workers / sizeof workers[0]) {
        pid_t pid = fork();
        if (pid == 0) {
            poll(NULL, 0, WORKER_MS);
            _exit(0);
        }
        workers[workers_len++] = pid;
    }
    return r;
}

static void end_workers(void)
{
    while (workers_len > 0) {
        pid_t pid = workers[--workers_len];
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

/* ---- each way ---- */

static const struct way_case {
    enum mvm_posix_way way;
    const struct mode *mode;
} ways[] = {
    {MVM_POSIX_BY_SPAWN, &in_cgroup}, {MVM_POSIX_BY_SPAWN, &by_proc},
    {MVM_POSIX_BY_CLONE, &in_cgroup}, {MVM_POSIX_BY_VFORK, &in_cgroup},
    {MVM_POSIX_BY_VFORK, &by_proc},   {MVM_POSIX_ANY_WAY, &in_cgroup},
};

/* Initializes the port for a case; skipped if this machine or its libc lacks the way. */
static void use_way(void **state)
{
    const struct way_case *c = *state;
#ifndef POSIX_SPAWN_SETCGROUP
    if (c->way == MVM_POSIX_BY_SPAWN) {
        SKIP_BECAUSE("this libc's posix_spawn has no cgroups (glibc 2.39 and later have)");
    }
#endif
    way = MVM_POSIX_ANY_WAY;
    if (c->mode->config.cgroup == NULL) {
        spawn_in(c->mode, "print", NULL); /* skips without cgroups */
        kill_and_close();
        mvm_posix_fini(&posix);
    }
    way = c->way;
    use(c->mode);
}

static void a_started_program_has_nothing_of_ours(void **state)
{
    use_way(state);
    int inheritable = open("/dev/null", O_RDONLY);
    int high = fcntl(inheritable, F_DUPFD, 500);
    ignore_signals(true);
    spawn_role("inspect", NULL);
    ignore_signals(false);
    assert_stream(MVM_PORT_STDOUT, "");
    assert_int_equal(await_exit().code, 0);
    close(inheritable);
    close(high);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* As before Linux 5.9. */
static bool refuse_close_range(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 436, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
           prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program) == 0;
}

static bool hide_proc(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/proc", "tmpfs", 0, NULL) == 0;
}

/* In a process of its own. Descriptors from the first that is not the program's to the last that
 * there may be are open. */
static int inspect_without_close_range(bool has_proc)
{
    enum { LAST = 600 };
    char text[256];
    const struct rlimit limit = {LAST + 1, LAST + 1};
    if ((!has_proc && !hide_proc()) || !refuse_close_range()) {
        return 2;
    }
    use(&by_proc);
    int fd;
    while ((fd = dup(STDOUT_FILENO)) >= 0 && fd < 40) {
    }
    fcntl(STDOUT_FILENO, F_DUPFD, LAST);
    setrlimit(RLIMIT_NOFILE, &limit);
    close(10), close(11), close(12), close(13), close(14), close(15), close(16), close(17);
    const char *const argv[] = {self_path, "inspect", NULL};
    if (port->spawn(&posix, argv) < 0) {
        return 3;
    }
    read_stream(MVM_PORT_STDOUT, text, sizeof text, sizeof text);
    fputs(text, stderr);
    return text[0] == '\0' ? 0 : 1;
}

static void without_close_range_a_program_has_nothing_of_ours_either(void **state)
{
    (void)state;
    for (int has_proc = 0; has_proc <= 1; has_proc++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            way = MVM_POSIX_BY_VFORK;
            _exit(inspect_without_close_range(has_proc == 1));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
            SKIP_BECAUSE("this account may not mount, or has no seccomp");
        }
        assert_int_equal(status, 0);
    }
}

static void a_program_that_cannot_start_is_an_error_and_leaves_nothing(void **state)
{
    static const struct {
        const char *program;
        const char *reason;
    } cases[] = {{"/nowhere/nix", "spawn: No such file or directory"},
                 {"/etc/passwd", "spawn: Permission denied"}};
    use_way(state);
    int before = count_open();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const argv[] = {cases[i].program, NULL};
        assert_true(port->spawn(&posix, argv) < 0);
        assert_string_equal(reason_of(&posix), cases[i].reason);
        assert_int_equal(count_open(), before);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
    mvm_posix_fini(&posix);
}

/* A start: the first process has ended, its grandchild lives in another session. */
static void start_and_end_a_grandchild(void)
{
    spawn_role("scatter", NULL);
    await_ready(1);
    await_exit();
    await_remaining(1);
    assert_int_equal(signal_build(MVM_SIGNAL_KILL), 0);
    await_remaining(0);
    assert_pipes_end();
    port->close_build(&posix);
}

/* Without a subreaper only processes born in the cgroup are found again. */
static void no_grandchild_of_a_program_that_forks_twice_at_once_is_lost(void **state)
{
    const char *many = getenv("MVM_STARTS"); /* make starts repeats it more often */
    const int starts = many != NULL ? atoi(many) : STARTS;
    use_way(state);
    int before = count_open();
    for (int i = 0; i < starts; i++) {
        start_and_end_a_grandchild();
    }
    assert_int_equal(count_open(), before);
    mvm_posix_fini(&posix);
}

static void a_process_forked_meanwhile_holds_up_no_start(void **state)
{
    use_way(state);
    for (int fails = 0; fails < 2; fails++) {
        const char *const argv[] = {fails ? "/nowhere/nix" : self_path, "print", NULL};
        fork_after_pipe = true;
        uint64_t before = clock_ms();
        int r = port->spawn(&posix, argv);
        uint64_t took = clock_ms() - before;
        fork_after_pipe = false;
        end_workers();
        assert_int_equal(r, fails ? MVM_PORT_NOT_FOUND : 0);
        assert_true(took < SOON_MS);
        if (!fails) {
            await_exit();
            kill_and_close();
        }
    }
    mvm_posix_fini(&posix);
}

/* It would run in its memory, or in a copy of it. */
static void no_handler_of_this_program_runs_in_the_child(void **state)
{
    use_way(state);
    signal_children();
    spawn_role("print", NULL);
#ifdef POSIX_SPAWN_SETCGROUP
    bool by_libc = way == MVM_POSIX_BY_SPAWN || way == MVM_POSIX_ANY_WAY;
#else
    bool by_libc = false;
#endif
    assert_no_child_handled(by_libc ? 0 : 1); /* libc calls its own setsid */
    assert_int_equal(await_exit().code, 7);
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* ---- cancellation ---- */

/* The threads have no variables on their stacks: AddressSanitizer does not follow a cancellation.
 */
static const char *const print[] = {self_path, "print", NULL};
static atomic_int result;
static int cancel_state;

/* The request is made before the start begins, so it is pending throughout. */
static void *spawn_with_a_pending_cancellation(void *unused)
{
    (void)unused;
    atomic_store(&result, -1);
    pthread_cancel(pthread_self());
    atomic_store(&result, port->spawn(&posix, print));
    pthread_testcancel();
    atomic_store(&result, -2);
    return NULL;
}

static void a_start_is_whole_although_its_thread_is_being_cancelled(void **state)
{
    pthread_t thread;
    void *ended;
    use_way(state);
    alarm(PATIENCE_MS / 1000);
    assert_int_equal(pthread_create(&thread, NULL, spawn_with_a_pending_cancellation, NULL), 0);
    assert_int_equal(pthread_join(thread, &ended), 0);
    alarm(0);
    assert_ptr_equal(ended, PTHREAD_CANCELED);
    assert_int_equal(atomic_load(&result), 0);
    await_exit();
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* Starts and ends builds until it is cancelled, which takes effect only between them. */
static void *spawn_until_cancelled(void *unused)
{
    (void)unused;
    for (;;) {
        if (port->spawn(&posix, print) != 0) {
            return NULL;
        }
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        while (port->remaining(&posix) != 0) {
            signal_build(MVM_SIGNAL_KILL);
        }
        port->close_build(&posix);
        pthread_setcancelstate(cancel_state, NULL);
        pthread_testcancel();
    }
}

static void cancellations_at_random_times_hang_no_start(void **state)
{
    struct rng rng = rng_by_seed(7);
    use_way(state);
    for (int i = 0; i < CANCELS; i++) {
        pthread_t thread;
        void *ended;
        alarm(PATIENCE_MS / 1000);
        assert_int_equal(pthread_create(&thread, NULL, spawn_until_cancelled, NULL), 0);
        usleep((useconds_t)rng_below(&rng, 4000));
        pthread_cancel(thread);
        assert_int_equal(pthread_join(thread, &ended), 0);
        alarm(0);
        assert_ptr_equal(ended, PTHREAD_CANCELED);
        port->close_build(&posix);
    }
    while (port->remaining(&posix) != 0) {
        signal_build(MVM_SIGNAL_KILL);
    }
    mvm_posix_fini(&posix);
}

/* ---- what the first process does not inherit ---- */

static bool set_oom_score(const char *score)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    assert_true(fd >= 0);
    bool set = write(fd, score, strlen(score)) > 0;
    close(fd);
    return set;
}

/* Setting a negative score needs a privilege, a positive one does not. */
static void the_agents_oom_score_is_not_the_builds(void **state)
{
    static const char *const scores[] = {"-700", "400"};
    char text[16] = "";
    (void)state;
    way = MVM_POSIX_ANY_WAY;
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        if (!set_oom_score(scores[i])) {
            continue;
        }
        use(&by_proc);
        spawn_role("inspect", NULL);
        assert_stream(MVM_PORT_STDOUT, "");
        kill_and_close();
        mvm_posix_fini(&posix);
        assert_true(mvm_posix_read_small(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof text));
        assert_true(set_oom_score("0"));
        assert_int_equal(atoi(text), atoi(scores[i]));
    }
}

static void a_build_starts_although_the_agents_directory_is_gone(void **state)
{
    struct place place;
    use_way(state);
    make_place(&place);
    assert_int_equal(chdir(place.dir), 0);
    assert_int_equal(rmdir(place.dir), 0);
    spawn_role("inspect", NULL);
    int back = chdir("/");
    assert_int_equal(back, 0);
    assert_stream(MVM_PORT_STDOUT, "");
    kill_and_close();
    mvm_posix_fini(&posix);
}

/* ---- reasons ---- */

/* A copy of this program with another loader. False: it has none. */
static bool make_elf_without_loader(const char *path)
{
    static char image[4 << 20];
    int from = open(self_path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(from, image, sizeof image);
    close(from);
    assert_true(len > 0 && len < (ssize_t)sizeof image);
    char *loader = memmem(image, (size_t)len, "/ld-", 4);
    if (loader == NULL) {
        return false;
    }
    memcpy(loader, "/no-", 4);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_int_equal(write(to, image, (size_t)len), len);
    close(to);
    return true;
}

static void a_missing_interpreter_is_distinguished_from_a_missing_program(void **state)
{
    struct place place;
    char reason[512];
    use_way(state);
    make_place(&place);
    const char *path = in_place(&place, 0, "nix");
    snprintf(reason, sizeof reason, "%s: its interpreter or loader is missing", path);
    for (int i = 0; i < 3; i++) {
        const char *const argv[] = {path, NULL};
        write_file(path, i == 0 ? "#!/nowhere/sh\n" : "#!/etc/passwd/sh\n");
        assert_int_equal(chmod(path, 0755), 0);
        if (i == 2 && !make_elf_without_loader(path)) {
            continue;
        }
        assert_int_equal(port->spawn(&posix, argv), MVM_PORT_FAILED);
        assert_string_equal(reason_of(&posix), reason);
        unlink(path);
    }
    remove_place(&place);
    mvm_posix_fini(&posix);
}

static void an_interpreter_that_may_not_be_executed_is_named_as_such(void **state)
{
    struct place place;
    char reason[512];
    use_way(state);
    make_place(&place);
    const char *path = in_place(&place, 0, "nix");
    const char *const argv[] = {path, NULL};
    write_file(path, "#!/etc/passwd\n");
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(reason, sizeof reason, "%s: its interpreter or loader may not be executed", path);
    assert_int_equal(port->spawn(&posix, argv), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), reason);
    remove_place(&place);
    mvm_posix_fini(&posix);
}

static void ignored_children_are_the_reason_of_a_start_that_fails(void **state)
{
    struct sigaction none = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    (void)state;
    const char *const argv[] = {self_path, "print", NULL};
    use(&by_proc);
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            signal(SIGCHLD, SIG_IGN);
        } else {
            sigaction(SIGCHLD, &none, NULL);
        }
        assert_int_equal(port->spawn(&posix, argv), MVM_PORT_FAILED);
        assert_non_null(strstr(reason_of(&posix), "SIGCHLD is ignored"));
    }
    signal(SIGCHLD, SIG_DFL);
    spawn_role("print", NULL);
    await_exit();
    kill_and_close();
    mvm_posix_fini(&posix);
}

#define ALONE(test) cmocka_unit_test_setup(test, clean_up)
#define BY(test, i)                                                                                \
    {                                                                                              \
#test " (" #i ")", test, clean_up, NULL, (void *)(uintptr_t)&ways[i]                       \
    }
#define EACH_WAY(test)               BY(test, 0), BY(test, 1), BY(test, 2), BY(test, 3), BY(test, 4), BY(test, 5)
#define EACH_WAY_INTO_A_CGROUP(test) BY(test, 0), BY(test, 2), BY(test, 3), BY(test, 5)

int main(int argc, char **argv)
{
    int code = play_role(argc, argv);
    if (code >= 0) {
        return code;
    }
    const struct CMUnitTest tests[] = {
        EACH_WAY(a_started_program_has_nothing_of_ours),
        ALONE(without_close_range_a_program_has_nothing_of_ours_either),
        EACH_WAY(a_program_that_cannot_start_is_an_error_and_leaves_nothing),
        EACH_WAY_INTO_A_CGROUP(no_grandchild_of_a_program_that_forks_twice_at_once_is_lost),
        EACH_WAY(a_process_forked_meanwhile_holds_up_no_start),
        EACH_WAY(no_handler_of_this_program_runs_in_the_child),
        EACH_WAY(a_start_is_whole_although_its_thread_is_being_cancelled),
        EACH_WAY(cancellations_at_random_times_hang_no_start),
        ALONE(the_agents_oom_score_is_not_the_builds),
        EACH_WAY(a_build_starts_although_the_agents_directory_is_gone),
        EACH_WAY(a_missing_interpreter_is_distinguished_from_a_missing_program),
        EACH_WAY(an_interpreter_that_may_not_be_executed_is_named_as_such),
        ALONE(ignored_children_are_the_reason_of_a_start_that_fails),
    };
    use(&by_proc);
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
