/*
 * The build job as a state machine: policy → mounts → nix build → pick → stage → release →
 * answer. It reaches the world through a port (mvm_port.h) alone, asks for no time (`now_ms` is an
 * argument, from any monotonic clock) and keeps everything in one struct of the caller's. One
 * build at a time; nothing to close.
 *
 *     struct mvm_executor x;                        // about 50 KiB: static, or in your own struct
 *     mvm_executor_init(&x, &mvm_posix_port, &posix, &config);
 *     mvm_executor_start(&x, &build, now_ms());
 *     for (;;)
 *         switch (mvm_executor_step(&x, now_ms())) {
 *         case MVM_EXECUTOR_LOG:   send(x.text); mvm_executor_logged(&x, now_ms()); break;
 *         case MVM_EXECUTOR_OK:    answer(x.text); return;    // the store path
 *         case MVM_EXECUTOR_ERR:   answer(x.text); return;    // the message
 *         case MVM_EXECUTOR_AGAIN: break;                     // serve others, then step again
 *         case MVM_EXECUTOR_WAIT:  poll(until mvm_executor_deadline(&x)); break;
 *         }
 *
 * The law: a step either goes on by itself to the next thing that is worth returning, or says what
 * it waits for. Stepping too often costs time, never correctness.
 *
 * States (see enum mvm_executor_state) and what leads out of each:
 *
 *   IDLE      start ─▶ CHECK
 *   CHECK     policy and request are sound ─▶ MOUNT_OUT · else ─▶ DONE
 *   MOUNT_OUT mounted, or was, or no device ─▶ MOUNT_IN · failed ─▶ RELEASE
 *   MOUNT_IN  mounted, or not asked for ─▶ PROBE · failed ─▶ RELEASE
 *   PROBE     nix's version is known, or given up on ─▶ BUILD · no nix ─▶ RELEASE
 *   BUILD     child exits ─▶ DRAIN, or TERM where it left processes behind · time-out, cancel ─▶ TERM
 *   TERM      none left ─▶ DRAIN · the grace is over ─▶ KILL
 *   KILL      none left ─▶ DRAIN
 *   DRAIN     both pipes have ended and every line has been taken ─▶ PICK
 *   PICK      a store path ─▶ COPY · none, or the build failed ─▶ LOGFILE
 *   COPY      all artifacts are whole and durable under temporary names ─▶ LOGFILE · failed ─▶ LOGFILE
 *   LOGFILE   build.log is durable ─▶ RENAME
 *   RENAME    every name is in place, the directory durable ─▶ RELEASE
 *   RELEASE   synced, and what was mounted here is unmounted ─▶ DONE
 *   DONE      start ─▶ CHECK
 *
 * Nothing touches the output disk after OK or ERR has been returned.
 */
#ifndef MVM_EXECUTOR_H
#define MVM_EXECUTOR_H

#include "mvm_limits.h"
#include "mvm_port.h"
#include "mvm_text.h"

struct mvm_nix_option {
    const char *name;
    const char *value;
};

/* What the job works with. Strings are borrowed as long as the executor is used. A zeroed struct
 * with out_dir set is a sound configuration: no mounts, no policy, defaults for the rest. */
struct mvm_executor_config {
    const char *out_dir;     /* where artifacts go; "/build-out" for existing hosts */
    const char *out_device;  /* mounted there if nothing is; NULL: never mount */
    const char *in_dir;      /* the flake reference that asks for the input disk; NULL: none does */
    const char *in_device;   /* likewise, read-only */
    const char *policy_file; /* JSON; absent file: builds are allowed. NULL: no policy */
    const struct mvm_nix_option *nix_options; /* --option NAME VALUE for nix */
    size_t nix_options_len;                   /* up to MVM_NIX_OPTIONS_MAX */
    uint64_t timeout_secs; /* for requests that name none; 0: MVM_TIMEOUT_DEFAULT_SECS */
    uint32_t heartbeat_ms; /* silence before an empty Log line; 0: no heartbeat */
};

/* A build to do; borrowed for the length of start alone. */
struct mvm_job {
    struct mvm_text flake_ref;
    struct mvm_text attr;
    bool has_timeout;
    uint64_t timeout_secs; /* where has_timeout; 0: no limit */
};

enum mvm_executor_event {
    MVM_EXECUTOR_WAIT = 0, /* for the port (output, exit) or the deadline, whichever is first */
    MVM_EXECUTOR_AGAIN,    /* there is more to do at once */
    MVM_EXECUTOR_LOG,      /* `text` is a line; the same again until mvm_executor_logged */
    MVM_EXECUTOR_OK,       /* `text` is the store path; the same again until start */
    MVM_EXECUTOR_ERR,      /* `text` is the message; likewise */
};

enum mvm_executor_state {
    MVM_IDLE,
    MVM_CHECK,
    MVM_MOUNT_OUT,
    MVM_MOUNT_IN,
    MVM_PROBE,
    MVM_BUILD_RUNNING,
    MVM_TERM,
    MVM_KILL,
    MVM_DRAIN,
    MVM_PICK,
    MVM_COPY,
    MVM_LOGFILE,
    MVM_RENAME,
    MVM_RELEASE,
    MVM_DONE,
};

struct mvm_executor; /* whole below */

/* Port, its context and config must outlive the executor. */
void mvm_executor_init(struct mvm_executor *x, const struct mvm_port *port, void *port_ctx,
                       const struct mvm_executor_config *config);

/* Whether no build is going on: start may be called. */
bool mvm_executor_idle(const struct mvm_executor *x);

/* Begins a job; the executor must be idle. Nothing happens before the next step. */
void mvm_executor_start(struct mvm_executor *x, const struct mvm_job *job, uint64_t now_ms);

/* Goes as far as it can without waiting. Work a call: one line, one slice of a copy, or one
 * blocking call of the port. After OK or ERR the executor is idle. */
enum mvm_executor_event mvm_executor_step(struct mvm_executor *x, uint64_t now_ms);

/* The line of the last LOG has been taken; its bytes may change with the next step. */
void mvm_executor_logged(struct mvm_executor *x, uint64_t now_ms);

/* Nobody wants the result any more: ends the build's processes, keeps build.log, releases the
 * disk. ERR "build cancelled" comes in time. Harmless when idle. */
void mvm_executor_cancel(struct mvm_executor *x);

/* When to step again though the port is silent: a time on now_ms's clock, UINT64_MAX for never. */
uint64_t mvm_executor_deadline(const struct mvm_executor *x);

/* Whether a stream's bytes would be read by the next step; false while lines wait to be taken.
 * A level-triggered loop leaves the pipe out of its set then. */
bool mvm_executor_wants(const struct mvm_executor *x, enum mvm_stream stream);
