/*
 * What the end-to-end tests share: the real agent and the real host tool as processes, a stand-in
 * for nix as a small shell script, sockets in a fresh temporary directory, frames with a time
 * limit, and disks on loop devices. The names begin with e2e_; any of these functions fails the
 * running test if it cannot do its job.
 *
 *     static void a_ping_is_answered(void **state)
 *     {
 *         (void)state;
 *         E2E_AGENT("a", "--heartbeat", "1");
 *         struct e2e_conn *c = e2e_dial("a");
 *         e2e_say(c, E2E_PING);
 *         assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
 *     }
 *     … E2E_TEST(a_ping_is_answered) … cmocka_run_group_tests(tests, e2e_begin, NULL);
 *
 * A test that takes longer than E2E_TEST_SECS (or MVM_TEST_SECS of the environment) is named and
 * ended. Its end, good or bad, ends every process it started and everything those left behind, and
 * removes directory, disks, mounts and store paths. MVM_BUILD of the environment names the
 * directory with the programs ("build").
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "mvm_decoder.h"
#include "mvm_limits.h"
#include "mvm_message.h"
#include "sanitizer.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    E2E_TEST_SECS = 240,
    E2E_SANITIZER_KIB = MVM_SANITIZER_KIB,
    E2E_PATIENCE_MS = 40000, /* for what should arrive immediately, on a busy machine */
    E2E_PATH_CAP = 256,
    E2E_CONNS = 208,        /* open at a time in one test */
    E2E_LINE_CAP = 1 << 18, /* the longest Log, each byte as \u00XX */
    E2E_RESULT_CAP = 1 << 22,
};

#define E2E_PING "\"Ping\"\n"
#define E2E_PONG "\"Pong\""

#define E2E_TEST(f) cmocka_unit_test_prestate_setup_teardown(f, e2e_set_up, e2e_tear_down, #f)

/* Skips the test and prints why it cannot run here. */
#define E2E_SKIP(...)                                                                              \
    do {                                                                                           \
        fprintf(stderr, "SKIPPED %s: ", e2e_test);                                                 \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        skip();                                                                                    \
    } while (0)

/* ---- a test's life (support.c) ---- */

extern const char *e2e_test; /* the running test's name */

int e2e_begin(void **state); /* group set-up */
int e2e_set_up(void **state);
int e2e_tear_down(void **state);

uint64_t e2e_now_ms(void);
void e2e_sleep_ms(int ms);

/* Asserts that the process comes to rest: for a while it uses at most a tenth of a processor.
 * What it still had to do may take a busy machine some seconds. */
void e2e_assert_idle(pid_t pid);

/* Whether `ready` became true within `ms`; polled every 10 ms. */
bool e2e_until(bool (*ready)(const char *about), const char *about, int ms);

/* ---- files ---- */

/* NAME in the test's directory, formatted as by printf; valid until the test's end. */
const char *e2e_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
void e2e_make_dir(const char *path);
void e2e_write(const char *path, const void *bytes, size_t len);
void e2e_write_text(const char *path, const char *text);
bool e2e_exists(const char *path);

/* A whole file of up to 32 MiB, NUL-terminated; valid until the next call. */
struct mvm_text e2e_read(const char *path);
void e2e_assert_file(const char *path, const char *text);

/* ---- processes ---- */

/* fork(2): the child dies with the test. */
pid_t e2e_fork(void);
/* waitpid(2) with a limit; the status. */
int e2e_wait(pid_t pid, int ms);
/* Sends a signal, then waits. */
int e2e_end(pid_t pid, int sig);

/* A program that ran to its end. `out` and `err` are NUL-terminated. */
struct e2e_result {
    int status; /* as waitpid(2) has it */
    size_t out_len;
    size_t err_len;
    char out[E2E_RESULT_CAP];
    char err[E2E_RESULT_CAP];
};

/* Runs argv, found on PATH, with `input` (or nothing) as stdin; valid until the next call. */
const struct e2e_result *e2e_run(const char *const argv[], const char *input, int ms);
#define E2E_RUN(...) e2e_run((const char *const[]){__VA_ARGS__, NULL}, NULL, E2E_PATIENCE_MS)
bool e2e_have(const char *program);

/* mvm-builder --to ADDRESS … */
const struct e2e_result *e2e_tool(const char *address, const char *const more[]);
#define E2E_TOOL(address, ...) e2e_tool(address, (const char *const[]){__VA_ARGS__, NULL})

/* A program of the build directory. */
const char *e2e_program(const char *name);

/* How many processes of this test, except it and agents, have `mark` in their command line or
 * environment, which also have the test's directory: other programs may say `sleep 60`, too. */
int e2e_count_processes(const char *mark);
/* None of them is left within `ms`. */
void e2e_assert_none_left(const char *mark, int ms);
/* A number in /proc/PID/status, such as VmRSS, in KiB. */
long e2e_status_kib(pid_t pid, const char *key);
/* Zombies whose parent is `pid`. */
int e2e_count_zombies(pid_t pid);

/* ---- the agent ---- */

/*
 * Starts the agent NAME: its socket is NAME.sock, its --out-dir NAME.out, its stderr NAME.log, all
 * in the test's directory; no disks, no policy, the stand-in `nix` of that directory. More
 * arguments are appended and override these. Returns when the socket accepts connections.
 */
pid_t e2e_start_agent(const char *const name_and_more[]);
#define E2E_AGENT(...) e2e_start_agent((const char *const[]){__VA_ARGS__, NULL})

/* Starts it with only these arguments and this environment, and does not wait. */
pid_t e2e_start_bare_agent(const char *name, const char *const args[], const char *const env[]);

/* Writes the stand-in for nix: `body` is the shell code that it runs to build. */
void e2e_write_nix(const char *body);

/* Waits until `text` is in NAME.log. */
void e2e_await_log(const char *name, const char *text);
int e2e_count_in_log(const char *name, const char *text);
/* The log contains it `n` times, perhaps after a moment. */
void e2e_assert_in_log(const char *name, const char *text, int n);

/* ---- the wire (support_wire.c) ---- */

struct e2e_conn {
    int fd; /* -1: free */
    size_t start;
    size_t end;
    char fields[MVM_RESPONSE_FIELDS_CAP + 1];
    char bytes[E2E_LINE_CAP];
};

struct e2e_frame {
    enum mvm_kind kind;   /* OK, ERR, LOG, PONG */
    struct mvm_text text; /* of the first three; NUL-terminated. Valid until the next frame */
    struct mvm_text line; /* as it came, without the newline; likewise */
};

/* A connection to agent NAME; to any Unix socket; over a descriptor, which it then owns. All are
 * closed when the test ends. */
struct e2e_conn *e2e_dial(const char *name);
struct e2e_conn *e2e_dial_path(const char *path);
struct e2e_conn *e2e_adopt(int fd);
/* connect(2) alone: the descriptor, or -1. */
int e2e_try_connect(const char *path);
void e2e_close(struct e2e_conn *c);

void e2e_say(struct e2e_conn *c, const char *text);
void e2e_say_bytes(struct e2e_conn *c, const void *bytes, size_t len);

/* A Build request for FLAKE, ATTR (which need no escapes); `more` such as ",\"timeout_secs\":1". */
void e2e_say_build(struct e2e_conn *c, const char *flake, const char *attr, const char *more);
void e2e_say_build_secs(struct e2e_conn *c, const char *attr, unsigned secs);

/* The next line, without its newline and undecoded; false: end of file. */
bool e2e_line(struct e2e_conn *c, struct mvm_text *line, int ms);
/* The next frame; any other line fails the test, as does the end of the connection. */
struct e2e_frame e2e_frame(struct e2e_conn *c, int ms);
/* The next Ok or Err; Log lines are skipped. */
struct e2e_frame e2e_answer(struct e2e_conn *c, int ms);
/* The answer is Err and begins with `start`; its message. */
const char *e2e_assert_err(struct e2e_conn *c, const char *start, int ms);
/* The answer is Ok; its store path. */
const char *e2e_assert_ok(struct e2e_conn *c, int ms);
/* A Log with this line arrives, perhaps after others. */
void e2e_await_line(struct e2e_conn *c, const char *line);
/* A Ping is answered within `ms`, before anything else arrives; how long it took, in ms. */
int e2e_ping(struct e2e_conn *c, int ms);
/* Nothing arrives for `ms`, and the connection stays open. */
void e2e_assert_silent(struct e2e_conn *c, int ms);
/* The connection ends without another frame. */
void e2e_assert_ended(struct e2e_conn *c, int ms);

/* Hybrid vsock as a monitor offers it: a socket RELAY.sock that accepts "CONNECT 21470\n", answers
 * "OK N\n" and relays to agent NAME. There is no half-close: an end on either side ends both. */
pid_t e2e_start_relay(const char *relay, const char *name);
/* Performs the CONNECT handshake. */
struct e2e_conn *e2e_dial_relay(const char *relay);

/* ---- disks and store paths (support_disk.c) ---- */

/* Skips the test if there are no private mounts or no loop devices. */
void e2e_need_disks(void);
/* An ext4 image of so many KiB, filled from directory `from` unless NULL; its path. */
const char *e2e_make_image(const char *name, unsigned kib, const char *from);
/* A fresh loop device on the image, until the test's end; its path. */
const char *e2e_loop(const char *image, bool read_only);
/* Mounts an ext4 or tmpfs on a fresh directory of the test; its path. */
const char *e2e_mount(const char *device, const char *name, bool read_only);
void e2e_unmount(const char *path);

/* A fresh directory in /nix/store; skips the test if none can be made. */
const char *e2e_store_path(void);
/* A fresh one with a kernel and a rootfs of these contents. */
const char *e2e_store_image(const char *kernel, const char *rootfs);
void e2e_write_store(const char *store_path, const char *name, const char *text);

/* ---- latencies (support_pings.c) ---- */

/* Pings in a row, one a millisecond; at the end the 99th percentile in ms. MVM_PINGS_REPORT names a
 * file to which `what`, their number, median, 99th percentile and longest are appended. */
void e2e_pings_begin(void);
void e2e_pings_add(struct e2e_conn *c);
double e2e_pings_end(const char *what);

/* Freezes the file system that is mounted in a directory, as a disk that hangs would. 0, or an
 * error: ENODEV: it is not the device's, but this machine's, say. */
int e2e_freeze(const char *mounted, const char *device);
/* All that is frozen; the tear-down does it, too. */
void e2e_thaw(void);

/* For support.c: whether mounts are private, and the disks' part of set-up and tear-down. */
void e2e_disks_begin(void);
void e2e_disks_end(void);
void e2e_conns_begin(void);
void e2e_conns_end(void);
void e2e_assert_in_time(void); /* fails a test whose time is over */

#endif
