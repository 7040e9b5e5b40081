/*
 * The CID rule. The kernel may have no vsock: a socket's domain and peer are faked, and Unix
 * sockets carry the bytes.
 */
#define _GNU_SOURCE
#include "mvm_server.h"
#include "support.h"
#include <poll.h>
#include <sys/socket.h>

enum { CLIENTS = 2, REFUSED = 100 };

static struct mvm_server server;
static char memory[MVM_SERVER_MEMORY(CLIENTS)];
static char lines[1 << 14];
static uint32_t peer_cid; /* of every socket; 0: the real ones */

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_getpeername(int fd, struct sockaddr *name, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *name, socklen_t *len);

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int r = __real_getsockopt(fd, level, name, value, len);
    if (r == 0 && peer_cid != 0 && level == SOL_SOCKET && name == SO_DOMAIN) {
        memcpy(value, &(int){AF_VSOCK}, sizeof(int));
    }
    return r;
}

/* As struct sockaddr_vm has it: family, reserved, port, CID. */
int __wrap_getpeername(int fd, struct sockaddr *name, socklen_t *len)
{
    if (peer_cid == 0) {
        return __real_getpeername(fd, name, len);
    }
    memset(name, 0, sizeof *name);
    name->sa_family = AF_VSOCK;
    memcpy((char *)name + 8, &peer_cid, sizeof peer_cid);
    return 0;
}

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    strcat(strcat(lines, line), "\n");
}

static int count(const char *what)
{
    int n = 0;
    for (const char *p = lines; (p = strstr(p, what)) != NULL; p++) {
        n++;
    }
    return n;
}

static void start(const char *address, uint32_t cid)
{
    struct mvm_server_config c = {.listen = {address}, .clients = CLIENTS, .log = keep_line};
    c.executor.out_dir = e2e_path("out");
    c.posix.cgroup = "";
    lines[0] = '\0';
    peer_cid = cid;
    assert_int_equal(mvm_server_init(&server, &c, memory, sizeof memory), 0);
}

static void end(void)
{
    mvm_server_fini(&server);
    peer_cid = 0;
}

static void step_until_quiet(void)
{
    struct pollfd p = {mvm_server_fd(&server), POLLIN, 0};
    do {
        mvm_server_step(&server, mvm_server_now_ms());
    } while (poll(&p, 1, 0) > 0 && !mvm_server_stopped(&server));
}

static bool is_answered(struct e2e_conn *c)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    e2e_say(c, E2E_PING);
    step_until_quiet();
    return poll(&p, 1, 0) == 1 && e2e_frame(c, E2E_PATIENCE_MS).kind == MVM_MESSAGE_PONG;
}

static const char *socket_address(void)
{
    static char address[E2E_PATH_CAP + 8];
    snprintf(address, sizeof address, "unix:%s", e2e_path("sock"));
    return address;
}

static void a_connection_handed_over_is_served_if_its_peer_is_the_host(void **state)
{
    (void)state;
    for (uint32_t cid = 2; cid <= 5; cid += 3) {
        int pair[2];
        char address[16];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        struct e2e_conn *c = e2e_adopt(pair[0]);
        snprintf(address, sizeof address, "fd:%d", pair[1]);
        start(address, cid);
        if (cid == 2) {
            assert_true(is_answered(c));
        } else {
            step_until_quiet();
            assert_true(mvm_server_stopped(&server));
            assert_false(mvm_server_orderly(&server));
            assert_int_equal(count("refused a client: vsock CID 5 is neither the host nor"), 1);
            e2e_assert_ended(c, E2E_PATIENCE_MS);
        }
        end();
        e2e_close(c);
    }
}

/* They are checked before room is made, and logged once. */
static void refused_peers_cost_no_client_its_place(void **state)
{
    (void)state;
    struct e2e_conn *served[CLIENTS];
    start(socket_address(), 2);
    for (int i = 0; i < CLIENTS; i++) {
        served[i] = e2e_dial_path(e2e_path("sock"));
        assert_true(is_answered(served[i]));
    }
    e2e_sleep_ms(MVM_IDLE_EVICT_MS + 100); /* each could be evicted */
    peer_cid = 1;
    for (int i = 0; i < REFUSED; i++) {
        int fd = e2e_try_connect(e2e_path("sock"));
        assert_true(fd >= 0);
        step_until_quiet();
        close(fd);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(is_answered(served[i]));
    }
    assert_int_equal(count("refused a client: vsock CID 1"), 1);
    assert_int_equal(count("refused "), 1);
    mvm_server_stop(&server, 0);
    assert_int_equal(count("refused 99 more clients: vsock CID 1\n"), 1);
    end();
}

/* More peers than are counted separately. */
static void many_refused_peers_are_counted_together(void **state)
{
    (void)state;
    start(socket_address(), 2);
    for (uint32_t cid = 100; cid < 200; cid++) {
        peer_cid = cid;
        int fd = e2e_try_connect(e2e_path("sock"));
        step_until_quiet();
        close(fd);
    }
    assert_int_equal(count("refused a client: "), MVM_SERVER_REFUSED_CIDS);
    mvm_server_stop(&server, 0);
    assert_int_equal(count("refused 92 more clients: vsock CID 107 and others\n"), 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_connection_handed_over_is_served_if_its_peer_is_the_host),
        E2E_TEST(refused_peers_cost_no_client_its_place),
        E2E_TEST(many_refused_peers_are_counted_together),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
