/* What the tests of the executor share: a world without faults, a job in it, and its result. */
#ifndef TEST_EXECUTOR_FIXTURE_H
#define TEST_EXECUTOR_FIXTURE_H

#include "mvm_executor.h"
#include "mvm_sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STORE "/nix/store/00000000000000000000000000000000-x"

enum { LOG_CAP = 1 << 16 };

static struct mvm_sim sim;
static struct mvm_executor x;
static struct mvm_executor_config config;
static char log_text[LOG_CAP]; /* the logged lines, each with a newline */
static size_t log_len;
static unsigned log_lines;
static size_t log_longest;
static bool answered_ok;
static char answer[MVM_MESSAGE_MAX];

/* ---- a world without faults ---- */

static inline int setup(void **state)
{
    (void)state;
    mvm_sim_init(&sim, "/build-out", "/build-in");
    config = (struct mvm_executor_config){
        .out_dir = "/build-out",
        .out_device = "/dev/vdb",
        .in_dir = "/build-in",
        .in_device = "/dev/vdc",
        .policy_file = "/policy.json",
    };
    sim.build.out = STORE "\n";
    sim.build.err = "building\n";
    mvm_sim_put(&sim, STORE "/kernel", "new kernel");
    mvm_sim_put(&sim, STORE "/rootfs.ext4", "new rootfs");
    mvm_executor_init(&x, &mvm_sim_port, &sim, &config);
    return 0;
}

/* What an earlier job may have left: anything. */
static inline void spoil_executor(void)
{
    const struct mvm_port *port = x.port;
    enum mvm_executor_state state = x.state;
    memset(&x, 0xa5, sizeof x);
    x.port = port;
    x.ctx = &sim;
    x.config = &config;
    x.state = state;
}

static inline void start_with(const char *flake_ref, const char *attr, bool has_timeout,
                              uint64_t secs)
{
    struct mvm_job job = {.flake_ref = mvm_text_from(flake_ref),
                          .attr = mvm_text_from(attr),
                          .has_timeout = has_timeout,
                          .timeout_secs = secs};
    log_len = log_lines = 0;
    log_longest = 0;
    log_text[0] = '\0';
    sim.spawned = 0;
    spoil_executor();
    mvm_executor_start(&x, &job, sim.now_ms);
}

static inline void start(void)
{
    start_with("path:/f", "a", false, 0);
}

static inline void take_log(void)
{
    log_lines++;
    log_longest = x.text.len > log_longest ? x.text.len : log_longest;
    if (log_len + x.text.len + 2 < LOG_CAP) {
        memcpy(log_text + log_len, x.text.bytes, x.text.len);
        log_len += x.text.len;
        log_text[log_len++] = '\n';
        log_text[log_len] = '\0';
    }
    mvm_executor_logged(&x, sim.now_ms);
}

/* One event; the clock advances to the deadline when the job waits. False: it has answered. */
static inline bool turn(void)
{
    switch (mvm_executor_step(&x, sim.now_ms)) {
    case MVM_EXECUTOR_LOG:
        take_log();
        return true;
    case MVM_EXECUTOR_AGAIN:
        return true;
    case MVM_EXECUTOR_WAIT: {
        const uint64_t times[] = {mvm_executor_deadline(&x), mvm_sim_next_ms(&sim)};
        uint64_t at = sim.now_ms + 100; /* the port may have an event that it cannot signal */
        for (int i = 0; i < 2; i++) {
            at = times[i] < at ? times[i] : at;
        }
        sim.now_ms = at > sim.now_ms ? at : sim.now_ms;
        return true;
    }
    case MVM_EXECUTOR_OK:
        answered_ok = true;
        break;
    case MVM_EXECUTOR_ERR:
        answered_ok = false;
        break;
    }
    memcpy(answer, x.text.bytes, x.text.len);
    answer[x.text.len] = '\0';
    return false;
}

static inline void finish(void)
{
    unsigned turns = 0;
    while (turn()) {
        assert_in_range(++turns, 1, 2000000);
    }
    assert_true(mvm_executor_idle(&x));
}

static inline void run(void)
{
    start();
    finish();
}

static inline void assert_begins(const char *text, const char *beginning)
{
    if (strncmp(text, beginning, strlen(beginning)) != 0) {
        fail_msg("\"%s\" does not begin with \"%s\"", text, beginning);
    }
}

static inline void assert_err(const char *beginning)
{
    assert_false(answered_ok);
    assert_begins(answer, beginning);
    assert_null(mvm_sim_left_over(&sim));
}

static inline void assert_ok(void)
{
    if (!answered_ok) {
        fail_msg("Err: %s", answer);
    }
    assert_string_equal(answer, STORE);
    assert_null(mvm_sim_left_over(&sim));
}

static inline bool holds(const char *path, const char *text)
{
    const struct mvm_sim_file *f = mvm_sim_find(&sim, path);
    return f != NULL && f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

static inline void assert_holds(const char *path, const char *text)
{
    if (!holds(path, text)) {
        fail_msg("%s does not hold \"%s\"", path, text);
    }
}

static inline void put_old_set(void)
{
    mvm_sim_put(&sim, "/build-out/vmlinux", "old kernel");
    mvm_sim_put(&sim, "/build-out/rootfs.ext4", "old rootfs");
    mvm_sim_put(&sim, "/build-out/initrd", "old initrd");
    mvm_sim_put(&sim, "/build-out/fc-base.json", "old base");
    mvm_sim_put(&sim, "/build-out/build.log", "old log");
}

static inline void assert_old_set(void)
{
    assert_holds("/build-out/vmlinux", "old kernel");
    assert_holds("/build-out/rootfs.ext4", "old rootfs");
    assert_holds("/build-out/initrd", "old initrd");
    assert_holds("/build-out/fc-base.json", "old base");
}

#define T(name) cmocka_unit_test_setup(name, setup)

#endif
