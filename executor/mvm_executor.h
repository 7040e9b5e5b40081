/*
 * The build job as a state machine: policy → mounts → nix build → result → stage → release →
 * answer. It accesses the system only through a port (mvm_port.h), never reads a clock (`now_ms` is
 * an argument, from any monotonic clock that does not wrap: extend a tick counter of 32 bits; if it
 * goes back, deadlines are late by as much) and has all its memory in one struct that the caller
 * owns. One build at a time; nothing to close.
 *
 *     struct mvm_executor x;                        // 70 KiB: static, or in your own struct
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
 * A step either advances to the next event or returns WAIT. Extra steps are harmless. No step waits
 * for a disk.
 *
 * docs/states.md lists the states and the transitions between them; a test compares it with what
 * the executor does.
 *
 * What a failure leaves on the output disk: before the first artifact is renamed, all are copied
 * under temporary names, and it is checked that each name can be replaced. A failure before that
 * leaves the earlier set unchanged. Names are then replaced one by one, each by rename(2): a power
 * cut, or a failure of the disk, between two of them leaves each file complete, old or new, but the
 * set mixed. No system call replaces several names atomically; the Err reports that the set is
 * mixed, and after a power cut no Ok was sent. The output disk is not accessed after OK or ERR has
 * been returned.
 *
 * A disk that does not respond blocks the build and nothing else. After a cancel or time-out, a
 * disk call that makes no progress for MVM_DISK_PATIENCE_MS is abandoned, and the job ends with
 * Err; that disk is then not released, which the Err reports.
 */
#ifndef MVM_EXECUTOR_H
#define MVM_EXECUTOR_H

#include "mvm_artifact.h"
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

/* Seconds, longer than any machine's uptime: no limit. In milliseconds it fits 64 bits. */
#define MVM_TIMEOUT_NONE_SECS (UINT64_MAX / 2000)

/* Strings are borrowed as long as the executor is used. A zeroed struct with out_dir set is a valid
 * configuration: no mounts, no policy, defaults for the rest. Paths may be relative to the working
 * directory at each build, unless stated otherwise. */
struct mvm_executor_config {
    const char *out_dir;     /* where artifacts go; "/build-out" for existing hosts. NULL, with a
                              * stream_dir: only builds without disks are done */
    const char *out_device;  /* mounted there unless something else is, which a Log line reports;
                              * NULL: never mount */
    const char *in_dir;      /* a flake in it needs the input disk; NULL: no flake does */
    const char *in_device;   /* likewise, read-only */
    const char *policy_file; /* JSON; absent file: builds are allowed. NULL: no policy; "": every
                              * build is rejected */
    const struct mvm_nix_option *nix_options; /* --option NAME VALUE for nix */
    size_t nix_options_len;                   /* up to MVM_NIX_OPTIONS_MAX */
    uint64_t timeout_secs; /* for requests without one; 0: MVM_TIMEOUT_DEFAULT_SECS; no limit:
                            * MVM_TIMEOUT_NONE_SECS */
    /* Silence before an empty Log line; 0: no heartbeat. Half the build's time-out if that is
     * less: a host's read time-out is often the same, and a frame must arrive well within it. */
    uint32_t heartbeat_ms;
    /* A device that is still absent after MVM_DEVICE_WAIT_MS fails the job, as does another mount
     * in its place; false: the directory is used as it is, and a Log line reports that. */
    bool require_devices;

    /* Builds without disks; NULL: not supported. A private directory, an absolute path of
     * characters that a URL's path may have, created if it is missing, on a file system with room:
     * sources are unpacked there, and roots there protect what was built from nix's garbage
     * collector. */
    const char *stream_dir;
    uint8_t *source_buffer; /* the caller's memory for bytes of a source on their way to nix */
    size_t source_cap;      /* at least MVM_BULK_DATA_MAX bytes */
};

/* What is wrong with a configuration, such as "nix_options: there are too many"; NULL: nothing.
 * With one that is wrong every job fails, "invalid configuration: …". */
const char *mvm_executor_config_unsound(const struct mvm_executor_config *c);

/* What a build without disks has in stream_dir: its source, and the root of each slot, whose number
 * follows. Nothing else there is touched. */
#define MVM_STREAM_SOURCE "mvm-source"
#define MVM_STREAM_ROOT   "mvm-root-"

/* A build to do; borrowed during start only. Not the wire's struct mvm_build: the executor does not
 * depend on the codec, and a job has what the scheduler decides, such as `slot`. */
struct mvm_job {
    struct mvm_text flake_ref;
    struct mvm_text attr;
    bool has_timeout;
    uint64_t timeout_secs; /* if has_timeout; 0: no limit */

    /* Without disks: nothing is staged, the artifacts are listed. */
    bool stream;
    /* Which root holds what was built, below MVM_STREAM_BUILDS; replaces an earlier one. */
    unsigned slot;
    bool has_source;      /* flake_ref is a folder in an archive of … */
    uint64_t source_size; /* … so many bytes, which mvm_executor_source hands over */
};

enum mvm_executor_event {
    MVM_EXECUTOR_WAIT = 0, /* until the port has an event or the deadline is reached */
    MVM_EXECUTOR_AGAIN,    /* there is more to do immediately */
    MVM_EXECUTOR_LOG,      /* `text` is a line; the same again until mvm_executor_logged */
    MVM_EXECUTOR_OK,       /* `text` is the store path; the same again until start */
    MVM_EXECUTOR_ERR,      /* `text` is the message; likewise */
};

enum mvm_executor_state {
    MVM_EXECUTOR_IDLE,
    MVM_EXECUTOR_CHECK,     /* is the build allowed? */
    MVM_EXECUTOR_SOURCE,    /* without disks: makes room, starts to unpack a source */
    MVM_EXECUTOR_MOUNT_OUT, /* the output disk */
    MVM_EXECUTOR_MOUNT_IN,  /* the input disk, if the flake is on it */
    MVM_EXECUTOR_NIX,       /* opens build.log, finds nix, starts it */
    MVM_EXECUTOR_RUN,       /* nix build runs; before it nix-store, if a source is unpacked */
    MVM_EXECUTOR_TERM,      /* … its processes have got SIGTERM */
    MVM_EXECUTOR_KILL,      /* … SIGKILL */
    MVM_EXECUTOR_DRAIN,     /* no process is left; the rest of the output is read */
    MVM_EXECUTOR_LOGFILE,   /* build.log is made durable, under a temporary name */
    MVM_EXECUTOR_RESULT,    /* determines what was built */
    MVM_EXECUTOR_COPY,      /* artifacts are copied, under temporary names */
    MVM_EXECUTOR_LIST,      /* without disks: which artifacts there are */
    MVM_EXECUTOR_RENAME,    /* the copies get their names */
    MVM_EXECUTOR_SYNC,      /* the output disk's file system */
    MVM_EXECUTOR_UNMOUNT,   /* unmounts what was mounted, and checks that it is released */
    MVM_EXECUTOR_TIDY,      /* without disks: removes the source */
    MVM_EXECUTOR_END,       /* the port drops what it holds for the job */
    MVM_EXECUTOR_DONE,
};

/* What `text` is after LOG, which decides what is freed when it has been accepted. */
enum mvm_pending {
    MVM_EXECUTOR_PENDING_NONE,
    MVM_EXECUTOR_PENDING_LINE, /* of the stream `turn` */
    MVM_EXECUTOR_PENDING_NOTE, /* the executor's own line, "mvm: …" */
    MVM_EXECUTOR_PENDING_HEARTBEAT,
};

/* A job's progress, for its client. */
enum mvm_executor_progress {
    MVM_EXECUTOR_BUILDING,
    MVM_EXECUTOR_STAGING, /* artifacts are written to the output disk: an earlier build's set is
                           * about to be replaced */
    MVM_EXECUTOR_PLACING, /* they are being renamed, or are in place, or are held: a cancel has no
                           * effect */
};

/* Why a build was ended. */
enum mvm_cause {
    MVM_EXECUTOR_CAUSE_NONE,
    MVM_EXECUTOR_CAUSE_TIMEOUT,
    MVM_EXECUTOR_CAUSE_CANCEL,
};

/* One of the build's pipes: bytes read but not yet logged, [start, end). Room for the longest line,
 * its CR and its LF, so that a line at the limit is not split. */
struct mvm_output {
    uint32_t start;
    uint32_t end;
    uint32_t scanned; /* no newline before this; ≥ start */
    uint32_t next;    /* while a line is pending: where the following one starts */
    bool ended;
    bool continued; /* what is at `start` continues a line that was over the limit */
    uint8_t bytes[MVM_LOG_LINE_MAX + 2];
};

enum {
    MVM_EXECUTOR_ARGV_CAP = 16 + 3 * MVM_NIX_OPTIONS_MAX,
    MVM_EXECUTOR_INSTALLABLE_CAP = MVM_FLAKE_REF_MAX + 1 + MVM_ATTR_MAX + 1,
    MVM_EXECUTOR_REASON_CAP = 160,
    MVM_EXECUTOR_NOTE_CAP = 512,
};

/* The policy file, as far as it has been read. */
struct mvm_policy {
    struct mvm_json json;
    char key[8];
    bool in_access;
    bool at_build; /* the next value is access.build */
    bool allowed;
    uint32_t len;
};

/* What nix reports as built. Candidates for the result: path[0 … paths-1]. */
struct mvm_nix_result {
    struct mvm_json json;
    char key[8];
    bool in_outputs;
    bool has_out; /* path[0] is the output "out", and the others are ignored */
    bool too_many;
    bool whole;       /* the value that the paths are from was read to its end */
    bool fresh;       /* the present value has had no object yet */
    bool over;        /* … has ended, or is not JSON: the next line that begins with [ is tried */
    bool line_begins; /* the next byte is the first of a line */
    uint8_t paths;
    char path[MVM_NIX_OUTPUTS_MAX][MVM_STORE_PATH_MAX];
    char line[MVM_STORE_PATH_MAX];       /* the last line that begins like a store path; "": none */
    char other[MVM_EXECUTOR_REASON_CAP]; /* the last that begins with another path; "": none */
};

/* The source of a build without disks: [out, in) is in the buffer, which is a ring. */
struct mvm_source {
    uint64_t size;
    uint64_t in;  /* bytes received */
    uint64_t out; /* bytes that nix-store has accepted */
    bool ended;   /* its input has ended */
};

struct mvm_artifact_found {
    uint64_t size;
    uint8_t name; /* index, see mvm_artifact_name */
};

/* Read `text` and `state`; the rest is the executor's own. Small members come first: machines
 * address the first 128 bytes of a struct by shorter instructions. */
struct mvm_executor {
    struct mvm_text text; /* after LOG, OK and ERR */
    enum mvm_executor_state state;

    /* the job */
    uint8_t step;        /* how far a phase is, from 0; each names its steps */
    uint8_t pace;        /* what the step does after a phase has returned (internal.h) */
    uint8_t artifact;    /* index of the one being copied or renamed */
    uint8_t staged;      /* bit n: artifact n has a temporary file */
    int8_t first_result; /* the port's result for an artifact's first source */
    uint8_t hangs;       /* calls of this job that were abandoned */
    bool asking;         /* a call for a disk is in progress */
    bool overdue;        /* … and `deadline_ms` is when it is abandoned */
    bool late;           /* … since it was still in progress when asked after that */
    bool cancelled;
    bool failed;   /* for the reason in `message`; the first reason stays */
    bool wants_in; /* the flake is on the input disk */
    bool stream;   /* without disks */
    bool has_source;
    bool unpacking; /* the process is nix-store */
    uint8_t slot;
    uint8_t found_len;
    bool out_ready;   /* out_dir is there */
    bool out_mounted; /* the device is mounted there, and is this job's to release */
    bool in_mounted;
    bool unreleased;    /* what is on the output disk is not, or not known to be, released */
    bool exited;        /* `exit` is known */
    bool out_of_memory; /* the kernel killed a process of the build for lack of memory */
    bool elsewhere;     /* the store path is not on this machine */
    bool log_open;
    bool log_failed; /* build.log could not be written; `log_reason` */
    bool log_staged; /* the temporary build.log is durable */
    enum mvm_cause cause;
    enum mvm_pending pending;
    enum mvm_stream turn; /* whose lines are being returned */
    enum mvm_stream unlogged_of;
    uint32_t unlogged; /* bytes at the end of that stream's buffer that are not in build.log yet */
    enum mvm_category category; /* of the failure */
    enum mvm_executor_progress progress;

    const struct mvm_port *port;
    void *ctx;
    const struct mvm_executor_config *config;

    /* time, on the caller's clock */
    uint64_t now_ms;
    uint64_t wake_ms;     /* when to step after the last WAIT */
    uint64_t phase_ms;    /* the phase's deadline: of a wait for a device, of TERM, KILL, DRAIN */
    uint64_t signal_ms;   /* when SIGTERM is tried again; UINT64_MAX: it was sent */
    uint64_t deadline_ms; /* the build's; UINT64_MAX: none */
    uint64_t peeked_ms;   /* when the process was last asked about though there was output */
    uint64_t logged_ms;   /* when the last line was accepted */
    uint64_t progress_logged_ms; /* when the last line about a copy's progress was written */
    uint64_t copied;             /* bytes of the artifact, … */
    uint64_t size;               /* … which has so many */
    uint64_t timeout_secs;
    uint32_t drained;    /* bytes read in DRAIN */
    uint32_t kills_left; /* SIGKILLs until KILL gives up */
    struct mvm_exit exit;

    /* without disks */
    struct mvm_source source;
    struct mvm_artifact_found found[MVM_ARTIFACTS_MAX];

    /* output */
    struct mvm_output output[MVM_PORT_STREAMS];
    struct mvm_nix_result result;
    struct mvm_policy policy;

    /* texts */
    const char *argv[MVM_EXECUTOR_ARGV_CAP];
    char nix[MVM_PATH_MAX];
    char installable[MVM_EXECUTOR_INSTALLABLE_CAP];
    char store_path[MVM_STORE_PATH_MAX];
    char path[2][MVM_PATH_MAX];
    char note[MVM_EXECUTOR_NOTE_CAP];
    char log_reason[MVM_EXECUTOR_REASON_CAP];
    char message[MVM_MESSAGE_MAX];
};

/* Port, its context and config must outlive the executor. */
void mvm_executor_init(struct mvm_executor *x, const struct mvm_port *port, void *port_ctx,
                       const struct mvm_executor_config *config);
#define mvm_executor_init(...) (mvm_limits_match(), mvm_executor_init(__VA_ARGS__))

/* Whether no build is running: start may be called. */
bool mvm_executor_idle(const struct mvm_executor *x);

/* The time limit that a job has: its own, else the configuration's, else the wire's default; 0:
 * none.
 */
uint64_t mvm_executor_timeout_secs(const struct mvm_executor *x, const struct mvm_job *job);

/* Begins a job; the executor must be idle. The work begins with the next step. */
void mvm_executor_start(struct mvm_executor *x, const struct mvm_job *job, uint64_t now_ms);

/* Advances as far as possible without waiting. Work a call: one line, or one result of the port.
 * After OK or ERR the executor is idle. */
enum mvm_executor_event mvm_executor_step(struct mvm_executor *x, uint64_t now_ms);

/* The line of the last LOG has been accepted; its bytes may change with the next step. */
void mvm_executor_logged(struct mvm_executor *x, uint64_t now_ms);

/* Cancels the job: ends the build's processes, keeps build.log, releases the disk. A later step
 * returns ERR "build cancelled". Once the artifacts are being renamed, or the job of a build
 * without disks has nothing left to do but to end, this has no effect. Harmless when idle. */
void mvm_executor_cancel(struct mvm_executor *x);

/* Whether the job was to be cancelled, with or without effect; until the next start. */
bool mvm_executor_cancelled(const struct mvm_executor *x);

/* When to step again if the port has no event: a time on now_ms's clock, UINT64_MAX for never. */
uint64_t mvm_executor_deadline(const struct mvm_executor *x);

/* For a loop with its own port, which has to know what to wait for: whether the next step would
 * read from a stream; false while a line is pending. */
bool mvm_executor_wants(const struct mvm_executor *x, enum mvm_stream stream);

/* Likewise for the exit of the build's first process, and for the result of a disk call. */
bool mvm_executor_wants_child(const struct mvm_executor *x);

/* After ERR: the reason, for programs. NONE after OK. */
enum mvm_category mvm_executor_category(const struct mvm_executor *x);

/* Whether the output disk is released: not while a job has it mounted, or is mounting it. After
 * ERR: even if the job failed. */
bool mvm_executor_released(const struct mvm_executor *x);

/* After LOG: whether the line is a heartbeat and not a line of the build. */
bool mvm_executor_is_heartbeat(const struct mvm_executor *x);

enum mvm_executor_progress mvm_executor_progress(const struct mvm_executor *x);

/* Total bytes of the source that may have been passed so far. It grows as nix accepts them; 0: no
 * source is wanted (any more). */
uint64_t mvm_executor_source_limit(const struct mvm_executor *x);

/* Passes the next bytes of the source, which are copied; step afterwards. Bytes that are out of
 * order, over the limit, or more or fewer than source_size fail the job; if no source is wanted
 * they are dropped. `last`: the source ends with them. */
void mvm_executor_source(struct mvm_executor *x, uint64_t offset, struct mvm_text data, bool last);

/* Nothing of the source came for so long, and others wait: fails the job, "build cancelled: …". No
 * effect if no source is wanted. */
void mvm_executor_give_up_source(struct mvm_executor *x, uint64_t waited_ms);

/* After OK without disks: how many artifacts there are, and the name and size of one. */
unsigned mvm_executor_artifacts(const struct mvm_executor *x);
const char *mvm_executor_artifact(const struct mvm_executor *x, unsigned index, uint64_t *size);

/* Whether the build itself has ended (from TERM or DRAIN on): a client that stops reading now only
 * delays others. */
bool mvm_executor_ending(const struct mvm_executor *x);

MVM_LAYOUT_OF(struct mvm_executor, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
