/* mvm-builder as a person or a script uses it, against the real agent. */
#define _GNU_SOURCE
#include "support.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

enum { STATUS_OK, STATUS_ERR, STATUS_USAGE, STATUS_NO_CONNECTION, STATUS_INTERRUPTED = 130 };

static char unix_address[E2E_PATH_CAP + 16];

/* An agent whose builds run the stand-in's body, and its address. */
static pid_t start(const char *body)
{
    e2e_write_nix(body);
    snprintf(unix_address, sizeof unix_address, "unix:%s", e2e_path("a.sock"));
    return E2E_AGENT("a");
}

static int exit_status(const struct e2e_result *r)
{
    if (!WIFEXITED(r->status)) {
        fail_msg("ended by signal %d, stderr: %s", WTERMSIG(r->status), r->err);
    }
    return WEXITSTATUS(r->status);
}

/* ---- exit statuses ---- */

static void a_build_that_is_ok_prints_its_path_and_ends_with_0(void **state)
{
    char body[512], expected[E2E_PATH_CAP + 1];
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    snprintf(body, sizeof body, "echo to stderr >&2; sleep 0.1; echo %s", store);
    start(body);
    const struct e2e_result *r = E2E_TOOL(unix_address, "build", "flake", "attr");
    assert_int_equal(exit_status(r), STATUS_OK);
    snprintf(expected, sizeof expected, "%s\n", store);
    assert_string_equal(r->out, expected);
    assert_non_null(strstr(r->err, "to stderr\n")); /* two pipes: either line may be first */
    assert_null(strchr(r->err, '\r'));              /* no status line in a pipe */
    assert_null(strchr(r->err, '\033'));
    e2e_assert_file(e2e_path("a.out/vmlinux"), "kernel");
}

static void an_err_is_on_stderr_and_ends_with_1(void **state)
{
    (void)state;
    start("echo why; exit 7");
    const struct e2e_result *r = E2E_TOOL(unix_address, "build", "flake", "attr");
    assert_int_equal(exit_status(r), STATUS_ERR);
    assert_int_equal(r->out_len, 0);
    assert_memory_equal(r->err, "why\n", 4);
    assert_non_null(strstr(r->err, "nix build failed (exit status: 7): "));
}

static void a_mistake_ends_with_2_and_says_what(void **state)
{
    static const struct {
        const char *words[6];
        const char *says;
    } cases[] = {
        {{"ping"}, "--to"},
        {{"--to", "unix:/x"}, "command"},
        {{"--to", "unix:/x", "frobnicate"}, "frobnicate"},
        {{"--to", "unix:/x", "build"}, "flake"},
        {{"--to", "unix:/x", "build", "f"}, "attribute"},
        {{"--to", "unix:/x", "build", "f", "a", "b"}, "attribute"},
        {{"--to", "http://x", "ping"}, "http://x"},
        {{"--to", "uds:/x", "ping"}, "uds:/x"},
        {{"--to", "vsock:3", "ping"}, "vsock:3"},
        {{"--to", "unix:/x", "wait", "--for", "x"},
         "mvm-builder: --for x: not a number of seconds;"},
        {{"--to", "unix:/x", "--retry", "1e3"}, "mvm-builder: --retry 1e3: not a number"},
        {{"--to", "unix:/x", "--timeout", ""}, "mvm-builder: --timeout : not a number"},
        {{"--to", "unix:/x", "--max-size", "x"}, "mvm-builder: --max-size x: not a number"},
        {{"--to", "unix:/x", "--id", "short"}, "mvm-builder: --id short: an id is 16 to 64"},
        {{"--to", "unix:/x", "--output", ""}, "mvm-builder: --output : not the name"},
        {{"--to", "unix:/x", "--nonsense", "ping"}, "nonsense"},
        {{"--to", "unix:/x", "wait", "--for", "99999999999"}, "too large a number of seconds"},
        {{"--to", "unix:/x", "--retry", "9", "hello"}, "--retry is for build"},
        {{"--to", "unix:/x", "--silence", "9", "cancel"}, "--silence is for build"},
        {{"--to", "unix:/x", "join"}, "id"},
        {{"--to", "unix:/x", "join", "too-short"}, "16 to 64"},
        {{"--to", "unix:/x", "cancel", "no spaces in an id"}, "16 to 64"},
        {{"--to", "unix:/x", "--log", "f", "ping"}, "--log is for build"},
        {{"--to", "unix:/x", "--log", "f", "wait"}, "--log is for build"},
        {{"--to", "unix:/x", "--wire", "xml", "ping"},
         "mvm-builder: --wire xml: the wire is json or proto"},
        {{"--to", "serial:/x", "--wire", "proto", "ping"}, "serial"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *argv[8] = {e2e_program("mvm-builder")};
        memcpy(argv + 1, cases[i].words, sizeof cases[i].words);
        const struct e2e_result *r = e2e_run(argv, NULL, E2E_PATIENCE_MS);
        assert_int_equal(exit_status(r), STATUS_USAGE);
        assert_non_null(strstr(r->err, cases[i].says));
        assert_memory_equal(r->err, "mvm-builder: ", 13);
        assert_int_equal(r->out_len, 0);
    }
}

static void no_connection_ends_with_3_and_says_why(void **state)
{
    static const char *const commands[] = {"ping", "build"};
    (void)state;
    snprintf(unix_address, sizeof unix_address, "unix:%s", e2e_path("absent.sock"));
    for (size_t i = 0; i < 2; i++) {
        const char *const more[] = {commands[i], i == 1 ? "f" : NULL, "a", NULL};
        const struct e2e_result *r = e2e_tool(unix_address, more);
        assert_int_equal(exit_status(r), STATUS_NO_CONNECTION);
        assert_non_null(strstr(r->err, "absent.sock"));
        assert_non_null(strstr(r->err, "No such file"));
    }
}

/* Starts the tool with both its outputs in files; its pid. */
static pid_t start_tool(const char *const words[])
{
    const char *argv[12] = {e2e_program("mvm-builder"), "--to", unix_address};
    for (int i = 0; words[i] != NULL; i++) {
        argv[i + 3] = words[i];
    }
    const char *out = e2e_path("tool.out"), *err = e2e_path("tool.err");
    pid_t pid = e2e_fork();
    if (pid == 0) {
        dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
        dup2(open(err, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    return pid;
}

#define START_TOOL(...) start_tool((const char *const[]){__VA_ARGS__, NULL})

static bool says_begin(const char *path)
{
    return e2e_exists(path) && strstr(e2e_read(path).bytes, "begin\n") != NULL;
}

static bool runs(const char *mark)
{
    return e2e_count_processes(mark) > 0;
}

static void an_agent_that_goes_in_mid_build_ends_it_with_3(void **state)
{
    (void)state;
    pid_t agent = start("echo begin; sleep 60");
    pid_t tool = START_TOOL("build", "flake", "attr");
    assert_true(e2e_until(says_begin, e2e_path("tool.err"), E2E_PATIENCE_MS));
    e2e_end(agent, SIGKILL);
    assert_int_equal(WEXITSTATUS(e2e_wait(tool, E2E_PATIENCE_MS)), STATUS_NO_CONNECTION);
    assert_non_null(strstr(e2e_read(e2e_path("tool.err")).bytes, "lost before the answer"));
}

static void ctrl_c_ends_with_130_and_the_agent_cancels(void **state)
{
    (void)state;
    start("export MARK=tool-interrupted; echo begin; sleep 60");
    pid_t tool = START_TOOL("build", "flake", "attr");
    assert_true(e2e_until(says_begin, e2e_path("tool.err"), E2E_PATIENCE_MS));
    assert_true(e2e_until(runs, "MARK=tool-interrupted", E2E_PATIENCE_MS));
    assert_int_equal(WEXITSTATUS(e2e_end(tool, SIGINT)), STATUS_INTERRUPTED);
    assert_string_equal(e2e_read(e2e_path("tool.err")).bytes,
                        "begin\nmvm-builder: interrupted; the build is cancelled\n");
    e2e_await_log("a", "build failed: build cancelled");
    e2e_assert_none_left("MARK=tool-interrupted", 0);
    assert_int_equal(e2e_read(e2e_path("tool.out")).len, 0);
}

static void a_time_out_is_the_tool_s_to_give(void **state)
{
    (void)state;
    start("sleep 60");
    const struct e2e_result *r = E2E_TOOL(unix_address, "build", "flake", "attr", "--timeout", "1");
    assert_int_equal(exit_status(r), STATUS_ERR);
    assert_non_null(strstr(r->err, "nix build timed out after 1 s: "));
}

/* ---- ping and wait ---- */

static void a_ping_says_pong(void **state)
{
    (void)state;
    start("exit 3");
    const struct e2e_result *r = E2E_TOOL(unix_address, "ping");
    assert_int_equal(exit_status(r), STATUS_OK);
    assert_memory_equal(r->out, "Pong", 4);
}

static void wait_ends_when_the_agent_is_there(void **state)
{
    (void)state;
    snprintf(unix_address, sizeof unix_address, "unix:%s", e2e_path("a.sock"));
    pid_t tool = START_TOOL("wait", "--for", "30");
    e2e_sleep_ms(700);
    assert_int_equal(waitpid(tool, NULL, WNOHANG), 0);
    start("exit 3");
    assert_int_equal(WEXITSTATUS(e2e_wait(tool, E2E_PATIENCE_MS)), STATUS_OK);
}

static void wait_gives_up_after_the_time_it_was_given(void **state)
{
    (void)state;
    snprintf(unix_address, sizeof unix_address, "unix:%s", e2e_path("absent.sock"));
    uint64_t since = e2e_now_ms();
    assert_int_equal(exit_status(E2E_TOOL(unix_address, "wait", "--for", "1")),
                     STATUS_NO_CONNECTION);
    assert_in_range(e2e_now_ms() - since, 1000, 1000 + E2E_PATIENCE_MS);
}

/* Each attempt reaches a socket that accepts and closes. */
static void wait_asks_ever_more_rarely(void **state)
{
    int attempts = 0;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)state;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strcpy(to.sun_path, e2e_path("a.sock"));
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(fd, 64), 0);
    snprintf(unix_address, sizeof unix_address, "unix:%s", to.sun_path);
    pid_t tool = START_TOOL("wait", "--for", "3");
    for (int status; waitpid(tool, &status, WNOHANG) == 0; e2e_sleep_ms(5)) {
        int client = accept(fd, NULL, NULL);
        if (client >= 0) {
            close(client);
            attempts++;
        }
    }
    close(fd);
    /* At 0, 50, 150, 350, 750, 1550 and 2550 ms, or later; the seventh attempt at intervals of 400
     * ms would be at 2400. */
    assert_in_range(attempts, 3, 7);
}

/* ---- where the agent is ---- */

static int set_no_address(void **state)
{
    unsetenv("MVM_BUILDER_TO");
    return e2e_tear_down(state);
}

#define ENV_TEST(f) cmocka_unit_test_prestate_setup_teardown(f, e2e_set_up, set_no_address, #f)

#define BARE_TOOL(...) E2E_RUN(e2e_program("mvm-builder"), __VA_ARGS__)

static void the_environment_names_the_agent_where_nothing_else_does(void **state)
{
    (void)state;
    start("exit 3");
    setenv("MVM_BUILDER_TO", unix_address, 1);
    assert_int_equal(exit_status(BARE_TOOL("ping")), STATUS_OK);
    setenv("MVM_BUILDER_TO", "nonsense", 1); /* --to alone counts */
    assert_int_equal(exit_status(E2E_TOOL(unix_address, "ping")), STATUS_OK);
    setenv("MVM_BUILDER_TO", unix_address, 1);
    assert_int_equal(exit_status(E2E_TOOL("unix:/absent", "ping")), STATUS_NO_CONNECTION);
}

static void an_invalid_address_is_reported_with_its_source(void **state)
{
    static const struct {
        const char *environment;
        const char *to;
        const char *says;
    } cases[] = {
        {"http://x", NULL,
         "mvm-builder: MVM_BUILDER_TO=http://x: it begins with none of unix:, vsock:, uds: and "
         "serial:; see --help\n"},
        {"unix:/x", "uds:/y",
         "mvm-builder: --to uds:/y: no port after the path (uds:PATH:PORT); see --help\n"},
        {"", NULL,
         "mvm-builder: give the agent's address: --to ADDRESS, or MVM_BUILDER_TO; see --help\n"},
        {NULL, NULL,
         "mvm-builder: give the agent's address: --to ADDRESS, or MVM_BUILDER_TO; see --help\n"},
        {"serial:/x", NULL, "mvm-builder: serial:/x: a serial line carries --wire json alone; "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsetenv("MVM_BUILDER_TO");
        if (cases[i].environment != NULL) {
            setenv("MVM_BUILDER_TO", cases[i].environment, 1);
        }
        const struct e2e_result *r = cases[i].to != NULL ? E2E_TOOL(cases[i].to, "ping")
                                                         : BARE_TOOL("--wire", "proto", "ping");
        assert_int_equal(exit_status(r), STATUS_USAGE);
        assert_memory_equal(r->err, cases[i].says, strlen(cases[i].says));
    }
}

/* ---- what it prints ---- */

#define ID         "0123456789abcdef"
#define WITH_ID    ",\"id\":\"" ID "\""
#define ACCEPTED   "{\"Log\":{\"line\":\"\"" WITH_ID ",\"beat\":true}}\n"
#define FIRST_LINE ACCEPTED "{\"Log\":{\"line\":\"a\\u001b\xef\xbf\xbd\"" WITH_ID "}}\n"

static void json_prints_the_frames_of_the_build(void **state)
{
    static const char expected[] = FIRST_LINE "{\"Err\":";
    (void)state;
    start("printf 'a\\033\\377\\n'; exit 3");
    const struct e2e_result *r =
        E2E_TOOL(unix_address, "--json", "--id", ID, "build", "flake", "attr");
    assert_int_equal(exit_status(r), STATUS_ERR);
    assert_int_equal(r->err_len, 0);
    assert_int_equal(strncmp(r->out, expected, sizeof expected - 1), 0);
    assert_non_null(strstr(r->out, WITH_ID ",\"category\":\"build_failed\"}}\n"));
    assert_int_equal(r->out[r->out_len - 1], '\n');
    r = E2E_TOOL(unix_address, "--json", "ping");
    assert_int_equal(exit_status(r), STATUS_OK);
    assert_string_equal(r->out, E2E_PONG "\n");
}

static void over_the_protobuf_wire_it_is_the_same_and_lines_cross_unharmed(void **state)
{
    static const char expected[] = FIRST_LINE "{\"Log\":";
    (void)state;
    start("printf 'a\\033\\377\\n'; seq 20000; exit 3");
    const struct e2e_result *r =
        E2E_TOOL(unix_address, "--wire", "proto", "build", "flake", "attr");
    assert_int_equal(exit_status(r), STATUS_ERR);
    assert_memory_equal(r->err, "a\033\377\n1\n2\n", 8); /* a byte that is not UTF-8, too */
    assert_non_null(strstr(r->err, "\n20000\nmvm-builder: nix build failed (exit status: 3): "));
    r = E2E_TOOL(unix_address, "--wire=proto", "--json", "--id", ID, "build", "flake", "attr2");
    assert_int_equal(strncmp(r->out, expected, sizeof expected - 1), 0);
    assert_non_null(strstr(r->out, "\n{\"Err\":{\"message\":\"nix build failed"));
    r = E2E_TOOL(unix_address, "--wire=proto", "--json", "ping");
    assert_int_equal(exit_status(r), STATUS_OK);
    assert_string_equal(r->out, E2E_PONG "\n");
}

static void heartbeats_are_not_shown(void **state)
{
    (void)state;
    start("echo one; sleep 2.5; exit 3");
    snprintf(unix_address, sizeof unix_address, "unix:%s", e2e_path("b.sock"));
    E2E_AGENT("b", "--heartbeat", "1");
    const struct e2e_result *r = E2E_TOOL(unix_address, "build", "flake", "attr");
    assert_memory_equal(r->err, "one\nmvm-builder: nix build failed", 33);
}

static void a_flood_is_passed_on_whole(void **state)
{
    (void)state;
    start("seq 100000; exit 3");
    const struct e2e_result *r = E2E_TOOL(unix_address, "build", "flake", "attr");
    char *at = (char *)r->err;
    for (int i = 1; i <= 100000; i++) {
        assert_int_equal(strtol(at, &at, 10), i);
        assert_int_equal(*at++, '\n');
    }
    assert_non_null(strstr(at, "nix build failed (exit status: 3): "));
}

static void words_with_quotes_and_beyond_ascii_arrive_as_given(void **state)
{
    (void)state;
    start("printf '%s\\n' \"$installable\"; exit 3");
    const struct e2e_result *r =
        E2E_TOOL(unix_address, "build", "path:/\xc3\xa4 \"b\"\\c", "x.\"y z\".$(w)");
    const char *expected = "path:/\xc3\xa4 \"b\"\\c#x.\"y z\".$(w)\n";
    assert_memory_equal(r->err, expected, strlen(expected));
}

/* ---- other ways to reach an agent ---- */

static void hybrid_vsock_is_reached_through_its_handshake(void **state)
{
    (void)state;
    start("echo one; exit 3");
    e2e_start_relay("vsock", "a");
    char address[E2E_PATH_CAP + 32];
    snprintf(address, sizeof address, "uds:%s:21470", e2e_path("vsock.sock"));
    assert_int_equal(exit_status(E2E_TOOL(address, "ping")), STATUS_OK);
    const struct e2e_result *r = E2E_TOOL(address, "build", "flake", "attr");
    assert_int_equal(exit_status(r), STATUS_ERR);
    assert_memory_equal(r->err, "one\n", 4);
    snprintf(address, sizeof address, "uds:%s:21471", e2e_path("vsock.sock"));
    assert_int_equal(exit_status(E2E_TOOL(address, "ping")), STATUS_NO_CONNECTION);
}

static void ctrl_c_through_hybrid_vsock_cancels_too(void **state)
{
    (void)state;
    start("export MARK=tool-hybrid; echo begin; sleep 60");
    e2e_start_relay("vsock", "a");
    snprintf(unix_address, sizeof unix_address, "uds:%s:21470", e2e_path("vsock.sock"));
    pid_t tool = START_TOOL("build", "flake", "attr");
    assert_true(e2e_until(says_begin, e2e_path("tool.err"), E2E_PATIENCE_MS));
    assert_int_equal(WEXITSTATUS(e2e_end(tool, SIGINT)), STATUS_INTERRUPTED);
    e2e_assert_none_left("MARK=tool-hybrid", E2E_PATIENCE_MS);
}

/* Two ptys with their masters connected: a cable. */
static pid_t join(char names[2][64])
{
    int masters[2];
    for (int i = 0; i < 2; i++) {
        masters[i] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_int_equal(grantpt(masters[i]), 0);
        assert_int_equal(unlockpt(masters[i]), 0);
        snprintf(names[i], 64, "serial:%s", ptsname(masters[i]));
        int slave = open(names[i] + 7, O_RDWR | O_NOCTTY); /* held open, and raw from the start */
        struct termios t;
        tcgetattr(slave, &t);
        cfmakeraw(&t);
        tcsetattr(slave, TCSANOW, &t);
    }
    pid_t pid = e2e_fork();
    if (pid == 0) {
        for (int i = 0; i < 2; i++) {
            if (i == 1 || fork() == 0) {
                char bytes[4096];
                ssize_t n;
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while ((n = read(masters[i], bytes, sizeof bytes)) > 0 &&
                       write(masters[1 - i], bytes, (size_t)n) == n) {
                }
                _exit(0);
            }
        }
    }
    close(masters[0]);
    close(masters[1]);
    return pid;
}

static void a_serial_line_carries_a_build(void **state)
{
    (void)state;
    char names[2][64];
    e2e_write_nix("seq 1000; exit 3");
    join(names);
    E2E_AGENT("a", "--listen", names[0]);
    e2e_await_log("a", "listening on serial:");
    assert_int_equal(exit_status(E2E_TOOL(names[1], "ping")), STATUS_OK);
    const struct e2e_result *r = E2E_TOOL(names[1], "build", "flake", "attr");
    assert_int_equal(exit_status(r), STATUS_ERR);
    assert_memory_equal(r->err, "1\n2\n3\n", 6);
    assert_non_null(strstr(r->err, "\n1000\nmvm-builder: nix build failed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_build_that_is_ok_prints_its_path_and_ends_with_0),
        E2E_TEST(an_err_is_on_stderr_and_ends_with_1),
        E2E_TEST(a_mistake_ends_with_2_and_says_what),
        E2E_TEST(no_connection_ends_with_3_and_says_why),
        E2E_TEST(an_agent_that_goes_in_mid_build_ends_it_with_3),
        E2E_TEST(ctrl_c_ends_with_130_and_the_agent_cancels),
        E2E_TEST(a_time_out_is_the_tool_s_to_give),
        E2E_TEST(a_ping_says_pong),
        E2E_TEST(wait_ends_when_the_agent_is_there),
        E2E_TEST(wait_gives_up_after_the_time_it_was_given),
        E2E_TEST(wait_asks_ever_more_rarely),
        ENV_TEST(the_environment_names_the_agent_where_nothing_else_does),
        ENV_TEST(an_invalid_address_is_reported_with_its_source),
        E2E_TEST(json_prints_the_frames_of_the_build),
        E2E_TEST(over_the_protobuf_wire_it_is_the_same_and_lines_cross_unharmed),
        E2E_TEST(heartbeats_are_not_shown),
        E2E_TEST(a_flood_is_passed_on_whole),
        E2E_TEST(words_with_quotes_and_beyond_ascii_arrive_as_given),
        E2E_TEST(hybrid_vsock_is_reached_through_its_handshake),
        E2E_TEST(ctrl_c_through_hybrid_vsock_cancels_too),
        E2E_TEST(a_serial_line_carries_a_build),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
