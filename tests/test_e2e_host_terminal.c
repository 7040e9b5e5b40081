/* What mvm-builder shows on a terminal: the status line, colours, and the last message. */
#define _GNU_SOURCE
#include "support_stream.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { STATUS_OK, STATUS_ERR, STATUS_USAGE, STATUS_NO_CONNECTION, STATUS_INTERRUPTED = 130 };

#define CLEAR "\r\033[K"
#define OWN   "\033[m"
#define DRAW  OWN CLEAR

static char address[E2E_PATH_CAP + 16];

/* ---- the terminal ---- */

static struct {
    int master;
    pid_t tool;
    size_t len;
    char seen[1 << 20]; /* NUL-terminated */
} terminal;

/* The tool with stderr, and stdout too if `both`, on its own terminal of so many columns: a byte 3
 * typed there is Ctrl-C. */
static void start_tool(unsigned short columns, bool both, const char *const words[])
{
    const char *argv[16] = {e2e_program("mvm-builder"), "--to", address};
    const struct winsize size = {.ws_row = 24, .ws_col = columns};
    for (int i = 0; words[i] != NULL; i++) {
        argv[i + 3] = words[i];
    }
    terminal.len = 0;
    terminal.seen[0] = '\0';
    terminal.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(grantpt(terminal.master), 0);
    assert_int_equal(unlockpt(terminal.master), 0);
    int slave = open(ptsname(terminal.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    const char *out = e2e_path("tool.out");
    terminal.tool = e2e_fork();
    if (terminal.tool == 0) {
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        dup2(slave, STDERR_FILENO);
        dup2(both ? slave : open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(slave);
}

#define START_TOOL(...) start_tool(80, true, (const char *const[]){__VA_ARGS__, NULL})

/* Reads more of the terminal's output; false: it was closed. */
static bool look(int ms)
{
    struct pollfd p = {.fd = terminal.master, .events = POLLIN};
    if (poll(&p, 1, ms) == 0) {
        return true;
    }
    size_t room = sizeof terminal.seen - 1 - terminal.len;
    assert_true(room > 0);
    ssize_t n = read(terminal.master, terminal.seen + terminal.len, room);
    if (n > 0) {
        terminal.len += (size_t)n;
        terminal.seen[terminal.len] = '\0';
    }
    return n > 0;
}

/* Waits until `text` follows `from`; returns what follows it. */
static const char *await(const char *from, const char *text)
{
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    const char *at;
    while ((at = strstr(from, text)) == NULL) {
        e2e_assert_in_time();
        if (!look(20) || e2e_now_ms() >= until) {
            fail_msg("\"%s\" does not come after: %s", text, from);
        }
    }
    return at + strlen(text);
}

/* Waits for a status line of `phase` that shows a later time than the first one does; returns what
 * follows it. */
static const char *await_progress(const char *from, const char *phase)
{
    char start[64];
    int first = -1, minutes = 0, seconds = 0, now;
    snprintf(start, sizeof start, DRAW "%s ", phase);
    do {
        from = await(from, start);
        const char *end = await(from, "\033"); /* the time is there in full */
        assert_int_equal(sscanf(from, "%d:%d", &minutes, &seconds), 2);
        now = minutes * 60 + seconds;
        first = first < 0 ? now : first;
        from = end - 1;
    } while (now == first);
    assert_true(now > first);
    return from;
}

/* Its end; the exit status. */
static int finish(void)
{
    uint64_t until = e2e_now_ms() + E2E_PATIENCE_MS;
    while (look(20)) {
        e2e_assert_in_time();
        assert_true(e2e_now_ms() < until);
    }
    close(terminal.master);
    int status = e2e_wait(terminal.tool, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int count(const char *text)
{
    int n = 0;
    for (const char *at = terminal.seen; (at = strstr(at, text)) != NULL; at++) {
        n++;
    }
    return n;
}

static void assert_ends_with(const char *text)
{
    size_t len = strlen(text);
    if (terminal.len < len || strcmp(terminal.seen + terminal.len - len, text) != 0) {
        fail_msg("does not end with \"%s\": %s", text, terminal.seen);
    }
}

/* ---- agents ---- */

static void start_agent(const char *body)
{
    e2e_write_nix(body);
    snprintf(address, sizeof address, "unix:%s", e2e_path("a.sock"));
    E2E_AGENT("a");
}

/* A socket for an agent played by this test. */
static int listen_as_agent(const char *name)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(to.sun_path, e2e_path("%s", name));
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(address, sizeof address, "unix:%s", to.sun_path);
    return fd;
}

static struct e2e_conn *accept_tool(int listener)
{
    struct e2e_conn *c = e2e_adopt(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    close(listener);
    return c;
}

/* … and has received its Build. This agent has no Hello. */
static struct e2e_conn *await_build(struct e2e_conn *c)
{
    struct mvm_text line;
    assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    assert_memory_equal(line.bytes, "{\"Hello\":", 9);
    e2e_say(c, "{\"Err\":{\"message\":\"parse error: unknown variant\"}}\n");
    assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    assert_memory_equal(line.bytes, "{\"Build\":", 9);
    return c;
}

static struct e2e_conn *accept_build(int listener)
{
    return await_build(accept_tool(listener));
}

static void say_log(struct e2e_conn *c, const char *line)
{
    char frame[512];
    snprintf(frame, sizeof frame, "{\"Log\":{\"line\":\"%s\"}}\n", line);
    e2e_say(c, frame);
}

/* ---- the status line ---- */

static void it_tells_the_time_and_leaves_no_trace(void **state)
{
    (void)state;
    start_agent("echo one; while [ ! -e \"$MVM_E2E/go\" ]; do sleep 0.1; done; echo two; exit 3");
    START_TOOL("build", "f", "a");
    const char *at = await_progress(terminal.seen, "building");
    e2e_write_text(e2e_path("go"), "");
    assert_int_equal(finish(), STATUS_ERR);
    await(at, CLEAR "two\r\n"); /* lines are not mixed up with it */
    const char *last = strrchr(terminal.seen, '\033');
    assert_non_null(strstr(last, "nix build failed")); /* wiped before the last words */
    assert_null(strstr(last, "building"));
}

static void connecting_takes_its_time_too(void **state)
{
    struct mvm_text line;
    (void)state;
    int listener = listen_as_agent("monitor");
    snprintf(address, sizeof address, "uds:%s:21470", e2e_path("monitor"));
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_tool(listener);
    assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    assert_string_equal(line.bytes, "CONNECT 21470");
    const char *at = await_progress(terminal.seen, "connecting"); /* nothing was received */
    e2e_say(c, "OK 1\n");
    await_build(c);
    await(at, DRAW "mounting 0:0");
    e2e_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/x\"}}\n");
    assert_int_equal(finish(), STATUS_OK);
}

static void the_agent_s_own_lines_make_the_phase(void **state)
{
    static const struct {
        const char *line; /* of the agent's */
        const char *shown;
    } steps[] = {
        {"mvm: waiting for another build, 2 ahead", "queued 0:0"},
        {"mvm: /dev/vdb is absent, /build-out is used as it is", "mounting 0:0"},
        {"a line", "building 0:0"},
        {"mvm: staging rootfs.ext4, 1048576 of 10737418240 bytes", " rootfs.ext4: 0.0 of 10.0 GiB"},
        {"mvm: staging rootfs.ext4, 1288490189 of 10737418240 bytes",
         " rootfs.ext4: 1.2 of 10.0 GiB, "},
    };
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a", "--log", e2e_path("log"));
    struct e2e_conn *c = accept_build(listener);
    const char *at = await(terminal.seen, DRAW "mounting 0:0");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        say_log(c, steps[i].line);
        at = await(at, steps[i].shown);
    }
    e2e_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/x\"}}\n");
    assert_int_equal(finish(), STATUS_OK);
    assert_int_equal(count("1288490189"), 0);               /* the status line has shown it */
    assert_int_equal(count("is used as it is\r\n"), 1);     /* the others are not shown */
    assert_non_null(strstr(e2e_read(e2e_path("log")).bytes, /* which has all of them */
                           "\nmvm: staging rootfs.ext4, 1288490189 of 10737418240 bytes\n"));
}

static void it_is_never_wider_than_the_terminal(void **state)
{
    (void)state;
    int listener = listen_as_agent("a.sock");
    start_tool(24, true, (const char *const[]){"build", "f", "a", NULL});
    struct e2e_conn *c = accept_build(listener);
    say_log(c, "mvm: staging rootfs.ext4, 1048576 of 10737418240 bytes");
    const char *at = await(terminal.seen, DRAW "staging 0:0");
    at = await(at, " rootfs.ext"); /* 23 of the 24 */
    e2e_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/x\"}}\n");
    assert_int_equal(finish(), STATUS_OK);
    assert_memory_equal(at, OWN CLEAR, 6);
}

static void it_is_drawn_ten_times_a_second_at_most(void **state)
{
    (void)state;
    start_agent("i=0; while [ $i -lt 150 ]; do i=$((i + 1)); echo $i; sleep 0.01; done; exit 3");
    uint64_t since = e2e_now_ms();
    START_TOOL("build", "f", "a");
    assert_int_equal(finish(), STATUS_ERR);
    int draws = count(DRAW "building") + count(DRAW "connecting") + count(DRAW "mounting");
    assert_in_range(draws, 2, 2 + (e2e_now_ms() - since) / 100);
    assert_int_equal(count("150\r\n"), 1); /* all lines are present */
}

/* All that is seen of two lines and an Err, with TERM as it is. */
static void assert_seen(const char *json, const char *expected)
{
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a", json);
    struct e2e_conn *c = accept_build(listener);
    say_log(c, "mvm: staging a, 1 of 2 bytes");
    say_log(c, "one");
    await(terminal.seen, "one");
    e2e_say(c, "{\"Err\":{\"message\":\"no\"}}\n");
    assert_int_equal(finish(), STATUS_ERR);
    assert_string_equal(terminal.seen, expected);
}

static void a_dumb_terminal_is_as_good_as_none(void **state)
{
    (void)state;
    setenv("TERM", "dumb", 1);
    assert_seen(NULL, "mvm: staging a, 1 of 2 bytes\r\none\r\nmvm-builder: no\r\n");
}

static void among_json_frames_nothing_is_drawn(void **state)
{
    (void)state;
    assert_seen("--json", "{\"Log\":{\"line\":\"mvm: staging a, 1 of 2 bytes\"}}\r\n"
                          "{\"Log\":{\"line\":\"one\"}}\r\n{\"Err\":{\"message\":\"no\"}}\r\n");
}

static void wait_has_one_as_well(void **state)
{
    (void)state;
    snprintf(address, sizeof address, "unix:%s", e2e_path("absent.sock"));
    START_TOOL("wait", "--for", "4");
    await_progress(terminal.seen, "waiting for the agent");
    assert_int_equal(finish(), STATUS_NO_CONNECTION);
    const char *last = strrchr(terminal.seen, '\033');
    assert_non_null(strstr(last, "[Kmvm-builder: no connection to "));
}

/* ---- colours ---- */

static void colours_of_the_log_pass_and_end_before_words_of_ours(void **state)
{
    (void)state;
    start_agent("printf '\\033[1;31mred\\nstill\\n'; "
                "while [ ! -e \"$MVM_E2E/go\" ]; do sleep 0.1; done; exit 3");
    START_TOOL("build", "f", "a");
    const char *at = await(terminal.seen, "\033[1;31mred\r\n");
    at = await(at, "still\r\n");
    at = await(at, DRAW "building 0:0");
    e2e_write_text(e2e_path("go"), "");
    assert_int_equal(finish(), STATUS_ERR);
    await(at, OWN CLEAR "mvm-builder: failed after 0:0");
}

/* A title, a clipboard, cursor movement, a C1 control and a line that would be ours. */
static void other_controls_are_shown_in_the_log_and_where_it_is_repeated(void **state)
{
    static const char sent[] = "\\u001b]0;title\\u0007a\\u001b]52;c;eA==\\u001b\\\\b\\u001b[2Jc"
                               "\\u009b2Jd\\rmvm-builder: done\\te\\u007f";
    static const char shown[] =
        "^[]0;title^Ga^[]52;c;eA==^[\\b^[[2Jc<9B>2Jd^Mmvm-builder: done\te^?";
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_build(listener);
    say_log(c, sent);
    const char *at = await(terminal.seen, shown);
    e2e_say(c, "{\"Err\":{\"message\":\"no\\nmvm-builder: done in 0:01\\u001b[1A\"}}\n");
    assert_int_equal(finish(), STATUS_ERR);
    at = await(at, "; the last lines of the log:\r\n  ");
    at = await(at, shown);
    assert_ends_with("\r\n" OWN "mvm-builder: no^Jmvm-builder: done in 0:01^[[1A" OWN "\r\n");
}

/* Such a terminal may have no way back from them. */
static void colours_are_shown_too_on_a_terminal_that_may_lack_them(void **state)
{
    static const char *const terms[] = {"dumb", "", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        if (terms[i] != NULL) {
            setenv("TERM", terms[i], 1);
        } else {
            unsetenv("TERM");
        }
        int listener = listen_as_agent("a.sock");
        START_TOOL("build", "f", "a");
        setenv("TERM", "xterm", 1);
        struct e2e_conn *c = accept_build(listener);
        say_log(c, "\\u001b[8mhidden\\u202e");
        e2e_say(c, "{\"Err\":{\"message\":\"\\u001b[8mno\"}}\n");
        assert_int_equal(finish(), STATUS_ERR);
        unlink(e2e_path("a.sock"));
        assert_string_equal(terminal.seen, "^[[8mhidden<202E>\r\nmvm-builder: ^[[8mno\r\n");
    }
}

static void colours_of_an_err_end_with_it(void **state)
{
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_build(listener);
    e2e_say(c, "{\"Err\":{\"message\":\"\\u001b[8mno\"}}\n");
    assert_int_equal(finish(), STATUS_ERR);
    assert_ends_with("mvm-builder: \033[8mno" OWN "\r\n");
}

static void frames_on_a_terminal_hold_no_control_characters_either(void **state)
{
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a", "--json");
    struct e2e_conn *c = accept_build(listener);
    say_log(c, "\\u001b[31m\\u009b2J\\u00a0\\u202e\\u2030\\u2069\\u061c\\u061b\\u007f");
    e2e_say(c, "{\"Err\":{\"message\":\"no\"}}\n");
    assert_int_equal(finish(), STATUS_ERR);
    await(terminal.seen,
          "{\"Log\":{\"line\":\"\\u001b["
          "31m\\u009b2J\xc2\xa0\\u202e\xe2\x80\xb0\\u2069\\u061c\xd8\x9b\\u007f\"}}\r\n");
}

/* ---- the end ---- */

/* Of 1000 bytes 500 have come. */
static void a_fetch_has_a_bar(void **state)
{
    char half[501];
    (void)state;
    STREAM_NEEDS_PROTOBUF();
    host_listen("a.sock");
    strcpy(address, host_address);
    start_tool(100, false,
               (const char *const[]){"build", "f", "a", "--output", e2e_path("out"), NULL});
    stream_welcome(STREAM_FEATURES);
    stream_await(MVM_MESSAGE_STREAM_BUILD);
    stream_say_beat();
    STREAM_SAY_OK(stream_item("rootfs.ext4", 1000));
    stream_await_get("rootfs.ext4", 0, 1000);
    const char *at = await(terminal.seen, "rootfs.ext4: 0/1000 bytes [....");
    memset(half, 'x', 500);
    half[500] = '\0';
    stream_say_piece("rootfs.ext4", 0, half, false);
    at = await(at, "rootfs.ext4: 500/1000 bytes");
    const char *bar = await(at, "[");
    await(bar, "]");
    size_t full = strspn(bar, "#"), rest = strspn(bar + full, ".");
    assert_true(full >= 5 && full >= rest && full - rest <= 1);
    stream_say_piece("rootfs.ext4", 500, half, true);
    stream_await(MVM_MESSAGE_DROP);
    assert_int_equal(finish(), STATUS_OK);
    const char *sum = strstr(terminal.seen, CLEAR "mvm-builder: ");
    assert_non_null(sum);
    assert_non_null(strstr(sum, "/rootfs.ext4: 1000 bytes\r\n"));
    assert_null(strstr(sum, "###")); /* nothing of the bar is left */
}

static void done_is_shown_with_its_time_before_the_store_path(void **state)
{
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_build(listener);
    e2e_say(c, "{\"Ok\":{\"out_path\":\"/nix/store/x\"}}\n");
    assert_int_equal(finish(), STATUS_OK);
    await(terminal.seen, "mvm-builder: done in 0:0");
    assert_ends_with("\r\n/nix/store/x\r\n");
    assert_int_equal(count("last lines"), 0);
}

static void after_a_failure_the_last_lines_come_again(void **state)
{
    char expected[512] = "; the last lines of the log:\r\n";
    (void)state;
    start_agent("seq 1 25; exit 3");
    START_TOOL("build", "f", "a");
    assert_int_equal(finish(), STATUS_ERR);
    const char *at = await(terminal.seen, "\n25\r\n");
    at = await(at, "mvm-builder: failed after 0:0");
    for (int i = 16; i <= 25; i++) {
        size_t len = strlen(expected);
        snprintf(expected + len, sizeof expected - len, "  %d" OWN "\r\n", i);
    }
    strcat(expected, OWN "mvm-builder: nix build failed (exit status: 3): ");
    assert_memory_equal(at + 1, expected, strlen(expected));
}

static void so_they_do_after_a_lost_connection_long_ones_cut(void **state)
{
    char line[520] = "";
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_build(listener);
    memset(line, 'x', sizeof line - 1);
    e2e_say(c, "{\"Log\":{\"line\":\"");
    e2e_say(c, line);
    e2e_say(c, "\"}}\n");
    const char *at = await(terminal.seen, line); /* complete at first */
    e2e_close(c);
    assert_int_equal(finish(), STATUS_NO_CONNECTION);
    line[512] = '\0';
    at = await(at, "; the last lines of the log:\r\n  ");
    at = await(at, line);
    await(at, OWN " [\xe2\x80\xa6 7 bytes more]\r\n");
    assert_ends_with("mvm-builder: connection lost before the answer: the agent's side closed "
                     "it\r\n");
}

static void a_failure_without_a_log_has_no_last_lines(void **state)
{
    (void)state;
    int listener = listen_as_agent("a.sock");
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_build(listener);
    say_log(c, ""); /* a heartbeat, not a line */
    e2e_say(c, "{\"Err\":{\"message\":\"no\"}}\n");
    assert_int_equal(finish(), STATUS_ERR);
    assert_int_equal(count("last lines"), 0);
    await(terminal.seen, "mvm-builder: failed after 0:0");
    assert_ends_with("\r\n" OWN "mvm-builder: no\r\n");
}

static void ctrl_c_says_that_it_cancels_and_repeats_nothing(void **state)
{
    (void)state;
    start_agent("echo begin; sleep 60");
    START_TOOL("build", "f", "a");
    await(terminal.seen, "begin\r\n");
    assert_int_equal(write(terminal.master, "\003", 1), 1);
    assert_int_equal(finish(), STATUS_INTERRUPTED);
    static const char said[] = "mvm-builder: interrupted; the build is cancelled\r\n";
    assert_int_equal(count(said), 1);
    const char *after = strstr(terminal.seen, said) + sizeof said - 1;
    if (*after != '\0') { /* the end took a moment to come */
        assert_non_null(strstr(after, "ending"));
        assert_ends_with("\x1b[K");
    }
    assert_int_equal(count("last lines"), 0);
    e2e_await_log("a", "build failed: build cancelled");
}

static void ctrl_c_before_there_is_a_build_cancels_none(void **state)
{
    (void)state;
    int listener = listen_as_agent("monitor");
    snprintf(address, sizeof address, "uds:%s:21470", e2e_path("monitor"));
    START_TOOL("build", "f", "a");
    struct e2e_conn *c = accept_tool(listener);
    await(terminal.seen, "connecting");
    assert_int_equal(write(terminal.master, "\003", 1), 1);
    assert_int_equal(finish(), STATUS_INTERRUPTED);
    assert_ends_with("mvm-builder: interrupted\r\n");
    e2e_close(c);
}

static int set_up(void **state)
{
    setenv("TERM", "xterm", 1);
    return e2e_set_up(state);
}

#define TEST(f) cmocka_unit_test_prestate_setup_teardown(f, set_up, e2e_tear_down, #f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_tells_the_time_and_leaves_no_trace),
        TEST(connecting_takes_its_time_too),
        TEST(the_agent_s_own_lines_make_the_phase),
        TEST(it_is_never_wider_than_the_terminal),
        TEST(it_is_drawn_ten_times_a_second_at_most),
        TEST(a_dumb_terminal_is_as_good_as_none),
        TEST(among_json_frames_nothing_is_drawn),
        TEST(wait_has_one_as_well),
        TEST(colours_of_the_log_pass_and_end_before_words_of_ours),
        TEST(other_controls_are_shown_in_the_log_and_where_it_is_repeated),
        TEST(colours_are_shown_too_on_a_terminal_that_may_lack_them),
        TEST(colours_of_an_err_end_with_it),
        TEST(frames_on_a_terminal_hold_no_control_characters_either),
        TEST(a_fetch_has_a_bar),
        TEST(done_is_shown_with_its_time_before_the_store_path),
        TEST(after_a_failure_the_last_lines_come_again),
        TEST(so_they_do_after_a_lost_connection_long_ones_cut),
        TEST(a_failure_without_a_log_has_no_last_lines),
        TEST(ctrl_c_says_that_it_cancels_and_repeats_nothing),
        TEST(ctrl_c_before_there_is_a_build_cancels_none),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
