/* The real agent and clients that name their builds, over sockets and over a line without
 * connections. */
#define _GNU_SOURCE
#include "mvm_proto.h"
#include "support.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

#define BEAT(id)     "{\"Log\":{\"line\":\"\",\"id\":\"" id "\",\"beat\":true}}"
#define LOG(id, s)   "{\"Log\":{\"line\":\"" s "\",\"id\":\"" id "\"}}"
#define CANCEL(id)   "{\"Cancel\":{\"id\":\"" id "\"}}\n"
#define JOIN(id)     "{\"Join\":{\"id\":\"" id "\"}}\n"
#define HELLO(nonce) "{\"Hello\":{\"nonce\":\"" nonce "\"}}\n"

static void say_build(struct e2e_conn *c, const char *id, const char *attr, const char *more)
{
    char request[256];
    snprintf(request, sizeof request,
             "{\"Build\":{\"flake_ref\":\".\",\"attr\":\"%s\",\"id\":\"%s\"%s}}\n", attr, id, more);
    e2e_say(c, request);
}

static void assert_next(struct e2e_conn *c, const char *expected)
{
    struct mvm_text line;
    assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    assert_int_equal(line.len, strlen(expected));
    assert_memory_equal(line.bytes, expected, line.len);
}

/* The next line that contains `part`. */
static struct mvm_text await(struct e2e_conn *c, const char *part)
{
    struct mvm_text line;
    do {
        assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    } while (memmem(line.bytes, line.len, part, strlen(part)) == NULL);
    return line;
}

/* What it does: attribute `fails` fails, `waits` prints and waits, `floods` prints without end, any
 * other succeeds. */
static const char *write_nix(void)
{
    static char script[2 * E2E_PATH_CAP + 512];
    const char *store_path = e2e_store_image("a kernel", "a rootfs");
    snprintf(script, sizeof script,
             "for last; do :; done\n"
             "case $last in\n"
             "*fails) exit 1 ;;\n"
             "*waits) echo begun >&2; exec sleep 60 ;;\n"
             "*floods) exec yes a-line-of-a-flood ;;\n"
             "*shows) tr '\\0' '\\n' </proc/$$/environ >&2; echo \"$@\" >&2 ;;\n"
             "esac\n"
             "echo %s\n",
             store_path);
    e2e_write_nix(script);
    return store_path;
}

static void every_frame_of_a_build_has_its_id(void **state)
{
    (void)state;
    char ok[2 * E2E_PATH_CAP];
    const char *store_path = write_nix();
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say(c, HELLO("n-1"));
    await(c, "\"features\":\"ids cancel join keep");
    say_build(c, A, "works", "");
    assert_next(c, BEAT(A));
    snprintf(ok, sizeof ok, "{\"Ok\":{\"out_path\":\"%s\",\"id\":\"" A "\"}}", store_path);
    struct mvm_text line = await(c, "\"Ok\"");
    assert_memory_equal(line.bytes, ok, strlen(ok));
    say_build(c, B, "fails", "");
    await(c, "\"id\":\"" B "\",\"category\":\"build_failed\"");
}

static void say_hello(char boot[80])
{
    struct e2e_conn *c = e2e_dial("a");
    e2e_say(c, HELLO("n-1"));
    struct mvm_text line = await(c, "\"boot\":\"");
    assert_int_equal(sscanf(strstr(line.bytes, "\"boot\""), "\"boot\":\"%70[^\"]", boot), 1);
    assert_non_null(strstr(line.bytes, "\"agent\":\"mvm-guest "));
    e2e_close(c);
}

static void an_agents_boot_changes_when_it_is_started_again(void **state)
{
    (void)state;
    char first[80], second[80], third[80];
    pid_t agent = E2E_AGENT("a");
    say_hello(first);
    say_hello(second);
    assert_string_equal(first, second);
    e2e_end(agent, SIGTERM);
    E2E_AGENT("a");
    say_hello(third);
    assert_string_not_equal(first, third);
}

static void a_waiting_build_gets_a_heartbeat_within_its_time_out(void **state)
{
    (void)state;
    write_nix();
    E2E_AGENT("a");
    struct e2e_conn *first = e2e_dial("a"), *c = e2e_dial("a");
    say_build(first, A, "waits", "");
    await(first, LOG(A, "begun"));
    uint64_t since = e2e_now_ms();
    say_build(c, B, "works", ",\"timeout_secs\":10");
    await(c, "waiting for another build");
    assert_next(c, BEAT(B));
    assert_in_range(e2e_now_ms() - since, 1000, 9999);
}

/* Pong, one Err, the end. */
static void frames_that_are_lost_end_the_connection(void **state)
{
    (void)state;
    static const char sent[] = "\0\0\0\0\2\x12\0a line\n\0\0\0\0\2\x12\0";
    static const char pong[] = "\0\0\0\0\2\x22\0";
    char heard[512];
    size_t len = 0;
    ssize_t n;
    if (!mvm_proto_present) {
        E2E_SKIP("no protobuf wire");
    }
    E2E_AGENT("a");
    int fd = e2e_try_connect(e2e_path("a.sock"));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, sent, sizeof sent - 1), sizeof sent - 1);
    while ((n = read(fd, heard + len, sizeof heard - 1 - len)) > 0) {
        len += (size_t)n;
    }
    assert_int_equal(n, 0);
    heard[len] = '\0';
    assert_memory_equal(heard, pong, 7);
    assert_non_null(memmem(heard, len, "parse error: not a length", 25));
    assert_int_equal(len, 7u + 5 + (unsigned char)heard[11]);
    close(fd);
}

static void an_id_is_shown_to_no_process_and_no_file(void **state)
{
    (void)state;
    write_nix();
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    say_build(c, A, "shows", "");
    await(c, "\"Ok\"");
    struct mvm_text log = e2e_read(e2e_path("a.out/build.log"));
    assert_non_null(strstr(log.bytes, "PATH="));
    assert_non_null(strstr(log.bytes, "#shows"));
    assert_null(strstr(log.bytes, A));
    assert_null(strstr(e2e_read(e2e_path("a.log")).bytes, A));
}

static void cancel_ends_a_build_from_another_connection(void **state)
{
    (void)state;
    write_nix();
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a"), *other = e2e_dial("a");
    say_build(c, A, "waits", "");
    await(c, LOG(A, "begun"));
    e2e_say(other, CANCEL(A));
    assert_next(other, "{\"Cancelled\":{\"id\":\"" A "\",\"was\":\"running\"}}");
    await(c, "\"message\":\"build cancelled");
    e2e_say(other, CANCEL(A));
    assert_next(other, "{\"Cancelled\":{\"id\":\"" A "\",\"was\":\"ended\"}}");
    e2e_assert_none_left("sleep 60", E2E_PATIENCE_MS);
}

static bool has_been_cancelled(const char *about)
{
    (void)about;
    return e2e_count_processes("a-line-of-a-flood") == 0;
}

static bool floods(const char *about)
{
    (void)about;
    return e2e_count_processes("a-line-of-a-flood") > 0;
}

/* The client does not read at all. */
static void cancel_is_read_though_the_log_is_not(void **state)
{
    (void)state;
    write_nix();
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    say_build(c, A, "floods", "");
    assert_true(e2e_until(floods, NULL, E2E_PATIENCE_MS));
    e2e_sleep_ms(500); /* all buffers are full */
    e2e_say(c, E2E_PING E2E_PING CANCEL(A));
    assert_true(e2e_until(has_been_cancelled, NULL, E2E_PATIENCE_MS));
    await(c, "\"message\":\"build cancelled");
}

/* More than all buffers on the way hold, and no build that keeps the agent awake. */
static void each_request_of_a_flood_is_answered_once_its_client_reads(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    if (e2e_fork() == 0) {
        for (int i = 0; i < MANY; i++) {
            e2e_say(c, i % 7 == 0 ? "nonsense\n" : CANCEL(A));
        }
        _exit(0);
    }
    e2e_sleep_ms(1000);
    for (int i = 0; i < MANY; i++) {
        struct mvm_text line;
        assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
        const char *begin = i % 7 == 0 ? "{\"Err\"" : "{\"Cancelled\"";
        assert_memory_equal(line.bytes, begin, strlen(begin));
    }
}

static void a_kept_build_is_joined_after_its_connection(void **state)
{
    (void)state;
    write_nix();
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    say_build(c, A, "waits", ",\"keep\":true");
    await(c, LOG(A, "begun"));
    e2e_close(c);
    struct e2e_conn *again = e2e_dial("a");
    e2e_say(again, JOIN(A));
    assert_next(again, BEAT(A));
    struct e2e_conn *third = e2e_dial("a");
    e2e_say(third, JOIN(A));
    assert_next(third, BEAT(A));
    await(again, "\"id\":\"" A "\",\"category\":\"moved\"");
    e2e_say(third, CANCEL(A));
    await(third, "\"was\":\"running\"");
    await(third, "\"id\":\"" A "\",\"category\":\"cancelled\"");
}

static void without_keep_a_build_ends_with_its_connection(void **state)
{
    (void)state;
    write_nix();
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    say_build(c, A, "waits", "");
    await(c, LOG(A, "begun"));
    e2e_close(c);
    e2e_assert_none_left("sleep 60", E2E_PATIENCE_MS);
    struct e2e_conn *again = e2e_dial("a");
    e2e_say(again, JOIN(A));
    await(again, "\"id\":\"" A "\",\"category\":\"cancelled\"");
}

/* ---- a line without connections ---- */

/* The host's end of the agent's serial line. */
static int open_line(void)
{
    static char address[80];
    struct termios raw;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    assert_int_equal(tcgetattr(master, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(master, TCSANOW, &raw), 0);
    snprintf(address, sizeof address, "serial:%s", ptsname(master));
    E2E_AGENT("a", "--listen", address);
    e2e_await_log("a", "listening on serial:");
    return master;
}

/* A client that sends this and is killed. */
static void a_client_on_a_line_takes_no_other_ones_answer(void **state)
{
    (void)state;
    static const char *const asks[] = {
        "{\"Build\":{\"flake_ref\":\".\",\"attr\":\"works\"}}\n",
        "{\"Build\":{\"flake_ref\":\".\",\"attr\":\"waits\"}}\n",
        HELLO("n-1") "{\"Build\":{\"flake_ref\":\".\",\"attr\":\"works\",\"id\":\"" A "\"}}\n",
        HELLO("n-1") "{\"Build\":{\"flake_ref\":\".\",\"attr\":\"waits\",\"id\":\"" A
                     "\"}}\n{\"Bui",
    };
    write_nix();
    struct e2e_conn *line = e2e_adopt(open_line());
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        char id[20], hello[64], nonce[16];
        snprintf(nonce, sizeof nonce, "other-%zu", i);
        snprintf(hello, sizeof hello, "\n" HELLO("%s"), nonce);
        snprintf(id, sizeof id, "of-the-other-one-%zu", i);
        e2e_say(line, asks[i]);
        e2e_sleep_ms(300);
        e2e_say(line, hello);
        say_build(line, id, "fails", "");
        await(line, nonce);
        for (bool over = false; !over;) {
            struct mvm_text frame;
            assert_true(e2e_line(line, &frame, E2E_PATIENCE_MS));
            assert_non_null(memmem(frame.bytes, frame.len, id, strlen(id)));
            over = memmem(frame.bytes, frame.len, "\"build_failed\"", 14) != NULL;
        }
    }
    e2e_assert_none_left("sleep 60", E2E_PATIENCE_MS);
}

static void a_kept_build_on_a_line_is_joined_by_the_next_client(void **state)
{
    (void)state;
    write_nix();
    struct e2e_conn *line = e2e_adopt(open_line());
    e2e_say(line, "\n" HELLO("n-1"));
    say_build(line, A, "waits", ",\"keep\":true");
    await(line, LOG(A, "begun"));
    e2e_say(line, "\n" HELLO("n-2") JOIN(A) CANCEL(A));
    await(line, "\"nonce\":\"n-2\"");
    assert_next(line, BEAT(A));
    await(line, "\"was\":\"running\"");
    await(line, "\"id\":\"" A "\",\"category\":\"cancelled\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(every_frame_of_a_build_has_its_id),
        E2E_TEST(an_agents_boot_changes_when_it_is_started_again),
        E2E_TEST(a_waiting_build_gets_a_heartbeat_within_its_time_out),
        E2E_TEST(frames_that_are_lost_end_the_connection),
        E2E_TEST(an_id_is_shown_to_no_process_and_no_file),
        E2E_TEST(cancel_ends_a_build_from_another_connection),
        E2E_TEST(cancel_is_read_though_the_log_is_not),
        E2E_TEST(each_request_of_a_flood_is_answered_once_its_client_reads),
        E2E_TEST(a_kept_build_is_joined_after_its_connection),
        E2E_TEST(without_keep_a_build_ends_with_its_connection),
        E2E_TEST(a_client_on_a_line_takes_no_other_ones_answer),
        E2E_TEST(a_kept_build_on_a_line_is_joined_by_the_next_client),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
