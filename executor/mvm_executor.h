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
 * States, and what leads out of each:
 *
 *   IDLE      start ─▶ CHECK
 *   CHECK     policy and request are sound ─▶ MOUNT_OUT · else ─▶ DONE
 *   MOUNT_OUT mounted, or was, or no device ─▶ MOUNT_IN · failed ─▶ SYNC
 *   MOUNT_IN  mounted, or not asked for ─▶ NIX · failed ─▶ SYNC
 *   NIX       its version is known ─▶ RUN · not yet ─▶ PROBE · no nix, no build.log ─▶ LOGFILE
 *   PROBE     `nix --version` has ended ─▶ DRAIN · takes too long, cancel ─▶ KILL
 *   RUN       nix build has ended ─▶ DRAIN · time-out, cancel, processes are left ─▶ TERM
 *   TERM      no process is left ─▶ DRAIN · the grace is over ─▶ KILL
 *   KILL      no process is left ─▶ DRAIN
 *   DRAIN     both pipes have ended, every line is taken ─▶ PICK · after a probe ─▶ RUN
 *   PICK      a store path ─▶ COPY · the build failed, or none ─▶ LOGFILE
 *   COPY      every artifact is whole and durable under a temporary name, or one failed ─▶ LOGFILE
 *   LOGFILE   build.log is durable under a temporary name ─▶ RENAME
 *   RENAME    every name is in place, the directory durable ─▶ SYNC
 *   SYNC      the output file system is on its disk ─▶ UNMOUNT
 *   UNMOUNT   what was mounted here is unmounted ─▶ DONE
 *   DONE      start ─▶ CHECK
 *
 * All artifacts are copied before the first is renamed, so a failure leaves the earlier set as it
 * was. Nothing touches the output disk after OK or ERR has been returned.
 */
#ifndef MVM_EXECUTOR_H
#define MVM_EXECUTOR_H

#include "mvm_category.h"
#include "mvm_json.h"
#include "mvm_limits.h"
#include "mvm_port.h"
#include "mvm_text.h"

#ifdef __cplusplus
extern "C" {
#endif

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
    const char *policy_file; /* JSON; absent file: builds are allowed. NULL: no policy; "": every
                              * build is rejected */
    const struct mvm_nix_option *nix_options; /* --option NAME VALUE for nix */
    size_t nix_options_len;                   /* up to MVM_NIX_OPTIONS_MAX */
    uint64_t timeout_secs; /* for requests that name none; 0: MVM_TIMEOUT_DEFAULT_SECS */
    /* Silence before an empty Log line; 0: no heartbeat. Half the build's time-out where that is
     * less: a host's read time-out is often the same, and it must hear something within it. */
    uint32_t heartbeat_ms;
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
    MVM_EXECUTOR_IDLE,
    MVM_EXECUTOR_CHECK,
    MVM_EXECUTOR_MOUNT_OUT,
    MVM_EXECUTOR_MOUNT_IN,
    MVM_EXECUTOR_NIX,
    MVM_EXECUTOR_PROBE,
    MVM_EXECUTOR_RUN,
    MVM_EXECUTOR_TERM,
    MVM_EXECUTOR_KILL,
    MVM_EXECUTOR_DRAIN,
    MVM_EXECUTOR_PICK,
    MVM_EXECUTOR_COPY,
    MVM_EXECUTOR_LOGFILE,
    MVM_EXECUTOR_RENAME,
    MVM_EXECUTOR_SYNC,
    MVM_EXECUTOR_UNMOUNT,
    MVM_EXECUTOR_DONE,
};

/* What `text` is while LOG stands: whose bytes are to be given up when it has been taken. */
enum mvm_pending {
    MVM_PENDING_NONE,
    MVM_PENDING_LINE, /* of the stream `turn` */
    MVM_PENDING_NOTE, /* the executor's own line, "mvm: …" */
    MVM_PENDING_HEARTBEAT,
};

/* How far a job is, for its client. */
enum mvm_executor_progress {
    MVM_EXECUTOR_BUILDING,
    MVM_EXECUTOR_STAGING, /* artifacts are written to the output disk: an earlier build's set is
                           * about to be replaced */
    MVM_EXECUTOR_PLACING, /* they get their names, or have them: a cancel has no effect */
};

/* How a build came to be ended. */
enum mvm_cause {
    MVM_CAUSE_NONE,
    MVM_CAUSE_TIMEOUT,
    MVM_CAUSE_CANCEL,
};

/* One of the build's pipes: bytes read and not yet taken, [start, end). Room for the longest line,
 * its CR and its LF, so that a line at the limit is seen whole. */
struct mvm_output {
    uint32_t start;
    uint32_t end;
    uint32_t scanned; /* no newline before this; ≥ start */
    uint32_t next;    /* while a line is pending: where the following one starts */
    bool ended;
    bool continued; /* what stands at `start` goes on a line that was over the limit */
    uint8_t bytes[MVM_LOG_LINE_MAX + 2];
};

enum {
    MVM_ARGV_CAP = 16 + 3 * MVM_NIX_OPTIONS_MAX,
    MVM_INSTALLABLE_CAP = MVM_FLAKE_REF_MAX + 1 + MVM_ATTR_MAX + 1,
    MVM_REASON_CAP = 160,
    MVM_NOTE_CAP = 512,
};

/* What is read out of `nix build --json`. */
struct mvm_nix_json {
    struct mvm_json json;
    char key[8];
    bool in_outputs;
    bool broken;
    uint16_t path_len; /* 0: none found */
    char path[MVM_STORE_PATH_MAX];
};

/* Read `text` and `state`; the rest is the executor's own. What is small stands first: machines
 * address the first 128 bytes of a struct by shorter instructions. */
struct mvm_executor {
    struct mvm_text text; /* after LOG, OK and ERR */
    enum mvm_executor_state state;

    /* the job */
    int from; /* handles, -1: none */
    int to;
    int log;
    uint8_t artifact; /* index of the one being copied or renamed */
    uint8_t staged;   /* bit n: artifact n has a temporary file */
    bool cancelled;
    bool failed;                /* `message` says why: the first reason stays */
    bool wants_in;              /* the flake is the input disk */
    bool out_ready;             /* out_dir is there */
    bool out_mounted;           /* by this job */
    bool in_mounted;            /* by this job */
    bool out_left_ro;           /* an earlier job could not unmount it and made it read-only */
    bool exited;                /* `exit` is known */
    bool probing;               /* the child is `nix --version` */
    bool use_json;              /* this nix has no --print-out-paths */
    bool log_failed;            /* build.log could not be written; `log_reason` */
    bool log_staged;            /* the temporary build.log is durable */
    bool out_of_memory;         /* the kernel killed a process of the build for want of memory */
    enum mvm_category category; /* of the failure */
    enum mvm_executor_progress progress;
    enum mvm_cause cause;
    enum mvm_pending pending;
    enum mvm_stream turn; /* whose lines are being given out */

    const struct mvm_port *port;
    void *ctx;
    const struct mvm_executor_config *config;

    /* time, on the caller's clock */
    uint64_t now_ms;
    uint64_t wake_ms;     /* when the last WAIT wants a step */
    uint64_t phase_ms;    /* when PROBE, TERM or DRAIN loses patience, KILL a `look` */
    uint64_t deadline_ms; /* of the build; UINT64_MAX: none */
    uint64_t look_ms;     /* when the process is looked at though there is output */
    uint64_t logged_ms;   /* when the last line was taken */
    uint64_t told_ms;     /* when the log was last told how far a copy is */
    uint64_t copied;      /* bytes of the artifact, … */
    uint64_t size;        /* … which had so many when it was opened */
    uint64_t timeout_secs;
    uint32_t drained; /* bytes read in DRAIN */
    uint32_t looks;   /* left before KILL loses patience */
    struct mvm_exit exit;

    /* output */
    struct mvm_output output[MVM_STREAMS];
    struct mvm_nix_json nix_json;

    /* texts */
    const char *argv[MVM_ARGV_CAP];
    char nix[MVM_PATH_MAX];
    char probed[MVM_PATH_MAX]; /* the nix that use_json is known for; "": none */
    char installable[MVM_INSTALLABLE_CAP];
    char store_path[MVM_STORE_PATH_MAX];
    char path[2][MVM_PATH_MAX];
    char note[MVM_NOTE_CAP];
    char log_reason[MVM_REASON_CAP];
    char message[MVM_MESSAGE_MAX];
};

/* Port, its context and config must outlive the executor. */
void mvm_executor_init(struct mvm_executor *x, const struct mvm_port *port, void *port_ctx,
                       const struct mvm_executor_config *config);
#define mvm_executor_init(...) (mvm_limits_match(), mvm_executor_init(__VA_ARGS__))

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
 * disk. ERR "build cancelled" comes in time; once the artifacts are being renamed it is too late,
 * and the job ends as it would have. Harmless when idle. */
void mvm_executor_cancel(struct mvm_executor *x);

/* When to step again though the port is silent: a time on now_ms's clock, UINT64_MAX for never. */
uint64_t mvm_executor_deadline(const struct mvm_executor *x);

/* Whether a stream's bytes would be read by the next step; false while lines wait to be taken.
 * A level-triggered loop leaves the pipe out of its set then. */
bool mvm_executor_wants(const struct mvm_executor *x, enum mvm_stream stream);

/* Likewise for what the port's child tells: the build's first process, that it has exited; whoever
 * copies, how far it is. */
bool mvm_executor_wants_child(const struct mvm_executor *x);

/* After ERR: why, for programs. NONE after OK. */
enum mvm_category mvm_executor_category(const struct mvm_executor *x);

/* After LOG: whether the line is a heartbeat and no line of the build. */
bool mvm_executor_is_heartbeat(const struct mvm_executor *x);

enum mvm_executor_progress mvm_executor_progress(const struct mvm_executor *x);

/* Whether the build's own time is over (from TERM or DRAIN on): a client that takes nothing now
 * only holds up others. */
bool mvm_executor_ending(const struct mvm_executor *x);

#ifdef __cplusplus
}
#endif

#endif
