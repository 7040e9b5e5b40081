/*
 * The server in a program that does what programs do: it forks children that hold copies of its
 * descriptors, and gives it configurations that cannot work.
 */
#define _GNU_SOURCE
#include "mvm_proto.h"
#include "mvm_server.h"
#include "support.h"
#include <poll.h>
#include <sys/socket.h>

enum { FEW = 4 };

static struct mvm_server server;
static char memory[MVM_SERVER_STREAM_MEMORY(FEW)];
static char lines[1 << 14];

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    if (strlen(lines) + strlen(line) + 2 < sizeof lines) {
        strcat(strcat(lines, line), "\n");
    }
}

static struct mvm_server_config fixture(void)
{
    static char address[E2E_PATH_CAP + 8];
    snprintf(address, sizeof address, "unix:%s", e2e_path("sock"));
    lines[0] = '\0';
    return (struct mvm_server_config){
        .listen = {address},
        .clients = FEW,
        .executor = {.out_dir = e2e_path("out"), .stream_dir = e2e_path("stream")},
        .posix = {.nix = e2e_path("nix"), .cgroup = ""},
        .log = keep_line,
    };
}

static void start(const struct mvm_server_config *config)
{
    memset(&server, 0xa5, sizeof server);
    assert_int_equal(mvm_server_init(&server, config, memory, sizeof memory), 0);
}

static void step_for(int ms)
{
    for (uint64_t end = e2e_now_ms() + (uint64_t)ms; e2e_now_ms() < end;) {
        struct pollfd p = {mvm_server_fd(&server), POLLIN, 0};
        mvm_server_step(&server, mvm_server_now_ms());
        poll(&p, 1, 10);
    }
}

/* Steps until the client has something to read. */
static void step_for_client(const struct e2e_conn *c)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    while (poll(&p, 1, 0) == 0) {
        e2e_assert_in_time();
        step_for(10);
    }
}

static struct e2e_conn *dial(void)
{
    return e2e_dial_path(e2e_path("sock"));
}

/* A child that lives on with copies of all descriptors but the client's own. */
static pid_t fork_a_copy(struct e2e_conn *c)
{
    pid_t pid = e2e_fork();
    if (pid == 0) {
        close(c->fd);
        for (;;) {
            pause();
        }
    }
    return pid;
}

/* ---- children of the program ---- */

static void a_client_sees_its_end_though_a_child_has_a_copy_of_its_connection(void **state)
{
    (void)state;
    struct mvm_server_config config = fixture();
    start(&config);
    struct e2e_conn *c = dial();
    e2e_say(c, E2E_PING);
    step_for_client(c);
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    fork_a_copy(c);
    shutdown(c->fd, SHUT_WR);
    step_for_client(c);
    e2e_assert_ended(c, E2E_PATIENCE_MS);
    mvm_server_fini(&server);
}

/* The entry of the first connection would still be in the epoll set, with the number of the second
 * one. */
static void a_connection_that_a_child_has_a_copy_of_ends_no_other_one(void **state)
{
    (void)state;
    struct mvm_server_config config = fixture();
    start(&config);
    struct e2e_conn *first = dial();
    e2e_say(first, E2E_PING);
    step_for_client(first);
    fork_a_copy(first);
    shutdown(first->fd, SHUT_WR);
    step_for(100);
    struct e2e_conn *second = dial();
    e2e_say(second, E2E_PING);
    step_for_client(second);
    assert_int_equal(e2e_frame(second, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    e2e_close(first);
    step_for(100);
    e2e_say(second, E2E_PING);
    step_for_client(second);
    assert_int_equal(e2e_frame(second, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    mvm_server_fini(&server);
}

static void a_child_with_copies_keeps_no_lock(void **state)
{
    (void)state;
    struct mvm_server_config config = fixture();
    for (int i = 0; i < 3; i++) {
        start(&config);
        step_for(20);
        struct e2e_conn *c = dial();
        e2e_say(c, E2E_PING);
        step_for_client(c);
        assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
        fork_a_copy(c);
        e2e_close(c);
        mvm_server_fini(&server);
    }
    assert_null(strstr(lines, "in use"));
}

/* ---- configurations ---- */

static void assert_refused(const struct mvm_server_config *config, const char *why)
{
    char words[128];
    struct mvm_writer w;
    assert_int_equal(mvm_server_init(&server, config, memory, sizeof memory),
                     MVM_SERVER_BAD_CONFIG);
    mvm_writer_init(&w, words, sizeof words);
    mvm_server_explain(&server, &w);
    assert_string_equal(words, why);
    assert_non_null(strstr(lines, why));
    mvm_server_fini(&server);
}

static void a_configuration_that_cannot_work_is_refused_in_words(void **state)
{
    (void)state;
    struct mvm_server_config config = fixture();
    if (mvm_proto_present) { /* else there are no builds without disks, and it is not looked at */
        config.executor.stream_dir = "relative";
        assert_refused(&config, "configuration: stream_dir: not an absolute path");
    }
    config = fixture();
    config.executor.out_dir = config.executor.stream_dir = NULL;
    assert_refused(&config, "configuration: out_dir: NULL");
    config = fixture();
    config.executor.nix_options_len = 1;
    assert_refused(&config, "configuration: nix_options: one of them is NULL");
    config = fixture();
    config.allowed_cids_len = 2;
    assert_refused(&config, "configuration: allowed_cids: NULL");
    config = fixture();
    assert_int_equal(mvm_server_init(&server, &config, NULL, sizeof memory), MVM_SERVER_NO_MEMORY);
    mvm_server_fini(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_client_sees_its_end_though_a_child_has_a_copy_of_its_connection),
        E2E_TEST(a_connection_that_a_child_has_a_copy_of_ends_no_other_one),
        E2E_TEST(a_child_with_copies_keeps_no_lock),
        E2E_TEST(a_configuration_that_cannot_work_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
