/*
 * The server in every kind of loop: each is a whole program except for its main, in a process of
 * its own. Each must build, answer during a build, survive clients that flood, do not read or
 * leave, and sleep when there is nothing to do.
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include "support.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>

#if __has_include(<ev.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop
#define HAVE_LIBEV 1
#endif
#if __has_include(<systemd/sd-event.h>)
#include <systemd/sd-event.h>
#define HAVE_SD_EVENT 1
#endif

enum { CLIENTS = 4, BUILDS = 6, IDLE_MS = 500, TRIES = 10 };

static struct mvm_server server;
static char memory[MVM_SERVER_MEMORY(CLIENTS)];
static volatile unsigned long *rounds; /* of the loop, shared with the test */

static uint64_t step(void)
{
    ++*rounds;
    return mvm_server_step(&server, mvm_server_now_ms());
}

static int timeout_until(uint64_t deadline)
{
    return mvm_server_timeout(deadline, mvm_server_now_ms());
}

/* ---- the loops ---- */

static void loop_poll(void)
{
    for (;;) {
        struct pollfd p = {mvm_server_fd(&server), POLLIN, 0};
        poll(&p, 1, timeout_until(step()));
    }
}

/* It reaps every child and passes on none. */
static void loop_that_forgets(void)
{
    for (;;) {
        struct pollfd p = {mvm_server_fd(&server), POLLIN, 0};
        poll(&p, 1, timeout_until(step()));
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}

static void loop_select(void)
{
    int fd = mvm_server_fd(&server);
    for (;;) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        int ms = timeout_until(step());
        struct timeval t = {ms / 1000, ms % 1000 * 1000};
        select(fd + 1, &set, NULL, NULL, ms < 0 ? NULL : &t);
    }
}

static void loop_on_epoll(uint32_t events)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = events};
    epoll_ctl(set, EPOLL_CTL_ADD, mvm_server_fd(&server), &e);
    for (;;) {
        epoll_wait(set, &e, 1, timeout_until(step()));
    }
}

static void loop_epoll(void)
{
    loop_on_epoll(EPOLLIN);
}

static void loop_epoll_by_edge(void)
{
    loop_on_epoll(EPOLLIN | EPOLLET);
}

#ifdef HAVE_LIBEV
static ev_io ready;
static ev_timer due;
static ev_child reaped;

static void run_ev(struct ev_loop *loop)
{
    int ms = timeout_until(step());
    ev_timer_stop(loop, &due);
    if (ms >= 0) {
        ev_now_update(loop);
        ev_timer_set(&due, ms / 1e3, 0.);
        ev_timer_start(loop, &due);
    }
}

static void on_ready(struct ev_loop *loop, ev_io *w, int events)
{
    (void)w;
    (void)events;
    run_ev(loop);
}

static void on_due(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    run_ev(loop);
}

static void on_reaped(struct ev_loop *loop, ev_child *w, int events)
{
    (void)loop;
    (void)events;
    mvm_server_child_exited(&server, w->rpid, w->rstatus);
}

static void serve_ev(struct ev_loop *loop)
{
    ev_io_init(&ready, on_ready, mvm_server_fd(&server), EV_READ);
    ev_init(&due, on_due);
    ev_io_start(loop, &ready);
    run_ev(loop);
    ev_run(loop, 0);
}

static void loop_libev(void)
{
    serve_ev(ev_loop_new(0));
}

/* It collects every child of the process. */
static void loop_libev_default(void)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_child_init(&reaped, on_reaped, 0, 0);
    ev_child_start(loop, &reaped);
    serve_ev(loop);
}
#endif

#ifdef HAVE_SD_EVENT
static sd_event_source *timer;

static void run_sd(void)
{
    uint64_t deadline = step();
    sd_event_source_set_time(timer, deadline == UINT64_MAX ? UINT64_MAX : deadline * 1000);
    sd_event_source_set_enabled(timer, deadline == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_sd_io(sd_event_source *s, int fd, uint32_t events, void *data)
{
    (void)s;
    (void)fd;
    (void)events;
    (void)data;
    run_sd();
    return 0;
}

static int on_sd_time(sd_event_source *s, uint64_t usec, void *data)
{
    (void)s;
    (void)usec;
    (void)data;
    run_sd();
    return 0;
}

static void loop_sd_event(void)
{
    sd_event *loop;
    sd_event_new(&loop);
    sd_event_add_io(loop, NULL, mvm_server_fd(&server), EPOLLIN, on_sd_io, NULL);
    sd_event_add_time(loop, &timer, CLOCK_MONOTONIC, 0, 1, on_sd_time, NULL);
    sd_event_loop(loop);
}
#endif

static const struct loop {
    const char *name;
    void (*run)(void); /* NULL: its library is not installed */
    bool reaps;        /* the statuses of children are handed over */
} loops[] = {
    {"poll", loop_poll, false},         {"select", loop_select, false},
    {"epoll", loop_epoll, false},       {"epoll, edge-triggered", loop_epoll_by_edge, false},
#ifdef HAVE_LIBEV
    {"libev", loop_libev, false},       {"libev, its default loop", loop_libev_default, true},
#else
    {"libev", NULL, false},
#endif
#ifdef HAVE_SD_EVENT
    {"sd-event", loop_sd_event, false},
#else
    {"sd-event", NULL, false},
#endif
};

/* ---- the program around them ---- */

static bool accepts(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static pid_t start(const struct loop *l)
{
    char listen[E2E_PATH_CAP + 8];
    snprintf(listen, sizeof listen, "unix:%s", e2e_path("sock"));
    struct mvm_server_config config = {
        .listen = {listen},
        .clients = CLIENTS,
        .executor = {.out_dir = e2e_path("out")},
        .posix = {.nix = e2e_path("nix"), .cgroup = "", .caller_reaps = l->reaps},
    };
    pid_t pid = e2e_fork();
    if (pid == 0) {
        if (mvm_server_init(&server, &config, memory, sizeof memory) == 0) {
            l->run();
        }
        _exit(1);
    }
    assert_true(e2e_until(accepts, e2e_path("sock"), E2E_PATIENCE_MS));
    return pid;
}

static pid_t program; /* the one that is tested */

static struct e2e_conn *dial(void)
{
    return e2e_dial_path(e2e_path("sock"));
}

/* A build that prints more than all buffers hold, then fails. */
static const char script[] = "case $attr in\n"
                             "slow) echo begun >&2; exec sleep 60;;\n"
                             "flood) exec yes flood >&2;;\n"
                             "late) echo begun >&2; exec >&- 2>&-; sleep 0.2; exit 4;;\n"
                             "esac\n"
                             "yes line | head -n 100000 >&2\n"
                             "exit 3\n";

static void build_several_times(void)
{
    for (int i = 0; i < BUILDS; i++) {
        struct e2e_conn *c = dial();
        e2e_say_build(c, "f", "quick", "");
        e2e_assert_err(c, "nix build failed (exit status: 3)", E2E_PATIENCE_MS);
        e2e_close(c);
    }
}

static void answer_beside_builds(void)
{
    struct e2e_conn *c = dial(), *other = dial();
    e2e_say_build(c, "f", "flood", "");
    e2e_await_line(c, "flood");
    e2e_ping(other, E2E_PATIENCE_MS);
    e2e_sleep_ms(100); /* all buffers are full by now: nothing is read of it */
    e2e_ping(other, E2E_PATIENCE_MS);
    e2e_close(c);
    c = dial();
    e2e_say_build(c, "f", "slow", "");
    e2e_await_line(c, "begun");
    e2e_ping(other, E2E_PATIENCE_MS);
    e2e_close(c);
    e2e_close(other);
    build_several_times();
}

/* A build ends while the loop is kept from running: all that then waits for it comes at once. */
static void end_unseen(void)
{
    for (int i = 0; i < 2; i++) {
        struct e2e_conn *c = dial();
        e2e_say_build(c, "f", "late", "");
        e2e_await_line(c, "begun");
        kill(program, SIGSTOP);
        e2e_sleep_ms(400);
        kill(program, SIGCONT);
        e2e_assert_err(c, "nix build failed (exit status: 4)", E2E_PATIENCE_MS);
        e2e_close(c);
    }
}

/* An event by time alone: a build's time-out. */
static void end_in_time(void)
{
    struct e2e_conn *c = dial();
    e2e_say_build(c, "f", "slow", ",\"timeout_secs\":1");
    e2e_assert_err(c, "nix build timed out after 1 s", E2E_PATIENCE_MS);
    e2e_close(c);
}

static void sleep_when_idle(void)
{
    struct e2e_conn *c = dial();
    unsigned long before;
    int tries = 0;
    e2e_ping(c, E2E_PATIENCE_MS);
    do { /* on a busy machine what came before may still be handled */
        before = *rounds;
        e2e_sleep_ms(IDLE_MS);
    } while (*rounds != before && ++tries < TRIES);
    assert_int_equal(*rounds, before);
    e2e_close(c);
}

static void in_each_loop(void (*run)(void))
{
    size_t skipped = 0;
    rounds = mmap(NULL, sizeof *rounds, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(rounds, MAP_FAILED);
    e2e_write_nix(script);
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        if (loops[i].run == NULL) {
            fprintf(stderr, "%s: %s is not installed\n", e2e_test, loops[i].name);
            skipped++;
            continue;
        }
        program = start(&loops[i]);
        run();
        e2e_end(program, SIGKILL);
        unlink(e2e_path("sock"));
    }
    munmap((void *)rounds, sizeof *rounds);
    if (skipped > 0) {
        E2E_SKIP("%zu of the loops", skipped);
    }
}

static void builds_end_in_every_loop(void **state)
{
    (void)state;
    in_each_loop(build_several_times);
}

static void clients_are_answered_beside_builds_in_every_loop(void **state)
{
    (void)state;
    in_each_loop(answer_beside_builds);
}

static void no_exit_status_is_lost_in_any_loop(void **state)
{
    (void)state;
    in_each_loop(end_unseen);
}

static void deadlines_are_kept_in_every_loop(void **state)
{
    (void)state;
    in_each_loop(end_in_time);
}

static void every_loop_sleeps_when_idle(void **state)
{
    (void)state;
    in_each_loop(sleep_when_idle);
}

static void a_program_that_passes_on_no_child_gets_an_err_that_names_the_call(void **state)
{
    (void)state;
    static const struct loop forgets = {"poll", loop_that_forgets, true};
    unsigned long count;
    rounds = &count; /* nothing here looks at it */
    e2e_write_nix(script);
    program = start(&forgets);
    for (int i = 0; i < 2; i++) {
        struct e2e_conn *c = dial();
        e2e_say_build(c, "f", "quick", ",\"timeout_secs\":0");
        e2e_assert_err(c,
                       "nix build failed (exit status: this program has set caller_reaps, but "
                       "did not pass the process to mvm_server_child_exited",
                       E2E_PATIENCE_MS);
        e2e_close(c);
    }
    e2e_end(program, SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(builds_end_in_every_loop),
        E2E_TEST(clients_are_answered_beside_builds_in_every_loop),
        E2E_TEST(no_exit_status_is_lost_in_any_loop),
        E2E_TEST(deadlines_are_kept_in_every_loop),
        E2E_TEST(every_loop_sleeps_when_idle),
        E2E_TEST(a_program_that_passes_on_no_child_gets_an_err_that_names_the_call),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
