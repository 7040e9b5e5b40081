/*
 * Every limit of the library, in one place: what it bounds, its unit, its default, why, and what
 * happens past it. Each may be set on the compiler's command line, as one decimal number
 * (-DMVM_QUEUE_MAX=4), down to the floor that is checked below it, and then for the library and for
 * the programs that include its headers alike: mvm_limits_match.h makes the linker refuse anything
 * else. Nothing is truncated silently: past a limit there is an error or, for log lines, a further
 * frame.
 */
#ifndef MVM_LIMITS_H
#define MVM_LIMITS_H

/* ---- the wire ---------------------------------------------------------------------------- */

/* Bytes of a decoded flake reference. PATH_MAX of Linux: a path flake can need that much.
 * Past it: the frame is refused, "flake_ref too long". */
#ifndef MVM_FLAKE_REF_MAX
#define MVM_FLAKE_REF_MAX 4096
#endif
#if MVM_FLAKE_REF_MAX < 16
#error "MVM_FLAKE_REF_MAX: at least 16, since \"/build-in\" must fit"
#endif

/* Bytes of a decoded attribute path. Real ones stay under 100.
 * Past it: the frame is refused, "attr too long". */
#ifndef MVM_ATTR_MAX
#define MVM_ATTR_MAX 1024
#endif
#if MVM_ATTR_MAX < 64
#error "MVM_ATTR_MAX: at least 64, since packages.SYSTEM.NAME must fit"
#endif

/* Bytes of a build's id, and of the id in `refused`. Ids have 16 to 64 characters.
 * Past it: the frame is refused, "id too long". */
#ifndef MVM_ID_MAX
#define MVM_ID_MAX 64
#endif
#if MVM_ID_MAX < 64
#error "MVM_ID_MAX: ids of 64 bytes are valid"
#endif

/* Bytes of a Hello's nonce, of the agent's name and version, and of the name of its boot.
 * Past it: the frame is refused, "nonce too long" and so on. */
#ifndef MVM_NONCE_MAX
#define MVM_NONCE_MAX 64
#endif
#ifndef MVM_AGENT_MAX
#define MVM_AGENT_MAX 64
#endif
#ifndef MVM_BOOT_MAX
#define MVM_BOOT_MAX 64
#endif
#if MVM_NONCE_MAX < 64 || MVM_AGENT_MAX < 64 || MVM_BOOT_MAX < 64
#error "MVM_NONCE_MAX, MVM_AGENT_MAX, MVM_BOOT_MAX: peers may send 64 bytes"
#endif

/* Bytes of the list of features. Past it: the frame is refused, "features too long". */
#ifndef MVM_FEATURES_MAX
#define MVM_FEATURES_MAX 256
#endif
#if MVM_FEATURES_MAX < 256
#error "MVM_FEATURES_MAX: peers may send 256 bytes"
#endif

/* Bytes of a word from an open list: an Err's category, a build's state in Cancelled.
 * Past it: the frame is refused, "category too long" or "was too long". */
#ifndef MVM_WORD_MAX
#define MVM_WORD_MAX 32
#endif
#if MVM_WORD_MAX < 32
#error "MVM_WORD_MAX: peers may send 32 bytes"
#endif

/* Bytes of one request frame, newline excluded. A Build with the longest texts, every byte written
 * as \u00XX (six for one), has 31 KiB; the rest is for white space and unknown fields.
 * Past it: the frame is refused, and its remaining bytes are discarded as they arrive. */
#ifndef MVM_REQUEST_FRAME_MAX
#define MVM_REQUEST_FRAME_MAX 65536
#endif
#if MVM_REQUEST_FRAME_MAX < MVM_FLAKE_REF_MAX + MVM_ATTR_MAX + 128
#error "MVM_REQUEST_FRAME_MAX: at least its texts and 128, since the longest Build must fit"
#endif

/* Bytes of one response frame, newline excluded. Other agents send log lines of any length.
 * Past it: as above. */
#ifndef MVM_RESPONSE_FRAME_MAX
#define MVM_RESPONSE_FRAME_MAX 16777216
#endif
#if MVM_RESPONSE_FRAME_MAX < 4096
#error "MVM_RESPONSE_FRAME_MAX: at least 4096, since an answer with a long store path must fit"
#endif

/* Bytes that a protobuf request may have besides its texts: at most 29 for tags, lengths, time-out
 * and flag; the rest is for fields of later versions, at least as many as one version has added.
 * Past it: the frame is refused, and its remaining bytes are discarded as they arrive. */
#ifndef MVM_PROTO_SLACK
#define MVM_PROTO_SLACK 512
#endif
#if MVM_PROTO_SLACK < 32
#error "MVM_PROTO_SLACK: a Build without unknown fields needs 29 bytes"
#endif

/* Bytes of data in one Source or Artifact: large enough for the frame's overhead to be negligible,
 * small enough that a Ping between two of them waits for less than a millisecond.
 * Past it: the frame is refused, "data too long". */
#ifndef MVM_BULK_DATA_MAX
#define MVM_BULK_DATA_MAX 65536
#endif
#if MVM_BULK_DATA_MAX < 512
#error "MVM_BULK_DATA_MAX: at least a disk's block, 512"
#endif

/* Bytes of one request frame on the protobuf wire: a Source with its other fields.
 * Past it: the stream is broken. */
#define MVM_PROTO_REQUEST_MAX                                                                      \
    ((MVM_BULK_DATA_MAX > MVM_REQUEST_FRAME_MAX ? MVM_BULK_DATA_MAX : MVM_REQUEST_FRAME_MAX) + 512)

/* Nesting of protobuf's deprecated groups inside an unknown field: libprotobuf's default. Each
 * level takes four bytes of stack. Past it: the frame is refused, "malformed protobuf message". */
#ifndef MVM_PROTO_GROUPS_MAX
#define MVM_PROTO_GROUPS_MAX 100
#endif
#if MVM_PROTO_GROUPS_MAX < 1
#error "MVM_PROTO_GROUPS_MAX: at least 1, since 0 would refuse every group"
#endif

/* Bytes of the archive with a flake's source; nixpkgs takes a third of this.
 * Past it: "invalid source", before the build begins. */
#ifndef MVM_SOURCE_MAX
#define MVM_SOURCE_MAX 1073741824
#endif
#if MVM_SOURCE_MAX < 65536
#error "MVM_SOURCE_MAX: at least 65536, since a small flake must fit"
#endif

/* Builds without disks whose artifacts are held for their clients.
 * Past it: those of the oldest are dropped, and a Get of them is refused. */
#ifndef MVM_STREAM_BUILDS
#define MVM_STREAM_BUILDS 8
#endif
#if MVM_STREAM_BUILDS < 1
#error "MVM_STREAM_BUILDS: at least 1, the one that runs"
#endif

/* Levels of nesting inside the value of an unknown field. Each takes one bit of decoder state.
 * Past it: the frame is refused, "nested too deep". */
#ifndef MVM_NESTING_MAX
#define MVM_NESTING_MAX 128
#endif
#if MVM_NESTING_MAX < 8
#error "MVM_NESTING_MAX: at least 8, since hosts may add fields that are arrays of objects"
#endif

/* ---- the build ---------------------------------------------------------------------------- */

/* Bytes of one Log line. A build's line over it goes out as several frames, cut between UTF-8
 * characters. Also the size of each of the executor's two pipe buffers. */
#ifndef MVM_LOG_LINE_MAX
#define MVM_LOG_LINE_MAX 16384
#endif
#if MVM_LOG_LINE_MAX < 1024
#error "MVM_LOG_LINE_MAX: at least 1024, since the line with the longest store path must fit"
#endif

/* Bytes of an Err message: the longest request quoted in the command line, with room to spare.
 * Past it: the message ends with " [cut]". */
#ifndef MVM_MESSAGE_MAX
#define MVM_MESSAGE_MAX 8192
#endif
#if MVM_MESSAGE_MAX < 256
#error "MVM_MESSAGE_MAX: at least 256, since an error with the name of a store path must fit"
#endif

/* Bytes of a path that the executor builds: PATH_MAX of Linux, terminator included.
 * Past it: the step fails with "path too long". */
#ifndef MVM_PATH_MAX
#define MVM_PATH_MAX 4096
#endif
#if MVM_PATH_MAX < 272
#error "MVM_PATH_MAX: at least 272, since FILE in the longest store path must fit"
#endif

/* Bytes of a store path. nix allows names of 211 bytes, so a path is at most 255 long.
 * Past it: "nix build produced no store path". */
#ifndef MVM_STORE_PATH_MAX
#define MVM_STORE_PATH_MAX 1024
#endif
#if MVM_STORE_PATH_MAX < 256
#error "MVM_STORE_PATH_MAX: at least 256, since the longest path in /nix/store has 255 bytes"
#endif

/* Bytes of a policy file. Past it: builds are rejected, "policy file too long". */
#ifndef MVM_POLICY_MAX
#define MVM_POLICY_MAX 65536
#endif
#if MVM_POLICY_MAX < 64
#error "MVM_POLICY_MAX: at least 64, since {\"access\":{\"build\":true}} must fit"
#endif

/* Pairs of --nix-option. Past it: a usage error of the agent. */
#ifndef MVM_NIX_OPTIONS_MAX
#define MVM_NIX_OPTIONS_MAX 16
#endif
#if MVM_NIX_OPTIONS_MAX < 1
#error "MVM_NIX_OPTIONS_MAX: at least 1, since it is the length of an array"
#endif

/* Outputs of one build that are searched if none is called "out".
 * Past it: "nix build produced no store path", with the reason. */
#ifndef MVM_NIX_OUTPUTS_MAX
#define MVM_NIX_OUTPUTS_MAX 8
#endif
#if MVM_NIX_OUTPUTS_MAX < 1
#error "MVM_NIX_OUTPUTS_MAX: at least 1, since it is the length of an array"
#endif

/* Bytes of an artifact that are copied between two reports of progress. A disk that does not move
 * this much within MVM_DISK_PATIENCE_MS counts as hung. */
#ifndef MVM_STAGE_SLICE
#define MVM_STAGE_SLICE 8388608
#endif
#if MVM_STAGE_SLICE < 4096
#error "MVM_STAGE_SLICE: at least 4096, since a copy makes progress by whole blocks"
#endif

/* ---- time, in milliseconds unless the name says otherwise -------------------------------- */

/* Seconds that a build may take if the request sets no limit: the protocol's default. */
#ifndef MVM_TIMEOUT_DEFAULT_SECS
#define MVM_TIMEOUT_DEFAULT_SECS 1800
#endif
#if MVM_TIMEOUT_DEFAULT_SECS < 1
#error "MVM_TIMEOUT_DEFAULT_SECS: at least 1, since a build has a moment to run"
#endif

/* Silence after which an empty Log line goes out: well under any host's read time-out. */
#ifndef MVM_HEARTBEAT_MS
#define MVM_HEARTBEAT_MS 10000
#endif
#if MVM_HEARTBEAT_MS < 1
#error "MVM_HEARTBEAT_MS: at least 1, since a heartbeat is not sent without a pause"
#endif

/* Interval of the Log lines that report a copy's progress; a copy that takes less time than this
 * reports none. */
#ifndef MVM_PROGRESS_MS
#define MVM_PROGRESS_MS 2000
#endif
#if MVM_PROGRESS_MS < 1
#error "MVM_PROGRESS_MS: at least 1, since progress is not reported without a pause"
#endif

/* From SIGTERM to SIGKILL: nix needs a moment to end its builders and unlock its store. */
#ifndef MVM_TERM_GRACE_MS
#define MVM_TERM_GRACE_MS 5000
#endif
#if MVM_TERM_GRACE_MS < 1
#error "MVM_TERM_GRACE_MS: at least 1, since SIGTERM comes before SIGKILL"
#endif

/* Live processes of a build that one pass over /proc can list, 8 bytes each: more than a machine of
 * 64 processors keeps busy. Past it: those left are signalled, and found, after these have ended.
 */
#ifndef MVM_POSIX_MEMBERS
#define MVM_POSIX_MEMBERS 2048
#endif
#if MVM_POSIX_MEMBERS < 1
#error "MVM_POSIX_MEMBERS: at least 1, the build's first process"
#endif

/* How long a build's processes may take to stop, so that none is forked while SIGTERM is sent to
 * all; one in uninterruptible sleep does not stop. Past it: SIGTERM is sent, then further passes
 * over the processes find those forked meanwhile. */
#ifndef MVM_HOLD_MS
#define MVM_HOLD_MS 2000
#endif
#if MVM_HOLD_MS < 1
#error "MVM_HOLD_MS: at least 1, since a process takes a moment to stop"
#endif

/* Poll interval for the remaining processes of a build that is being ended, and for the main
 * process of a build that prints without a pause. */
#ifndef MVM_KILL_POLL_MS
#define MVM_KILL_POLL_MS 20
#endif
#if MVM_KILL_POLL_MS < 1
#error "MVM_KILL_POLL_MS: at least 1, since polling without a pause would spin"
#endif

/* How long to wait for processes that survive SIGKILL (in uninterruptible sleep). Past it: the job
 * continues without them and reports that in a Log line. */
#ifndef MVM_KILL_PATIENCE_MS
#define MVM_KILL_PATIENCE_MS 10000
#endif
#if MVM_KILL_PATIENCE_MS < 1
#error "MVM_KILL_PATIENCE_MS: at least 1, since a killed process takes a moment to end"
#endif

/* How long to wait for the exit status of a child that has ended, if the program reaps children
 * itself and passes their statuses on (caller_reaps). Past it: the build fails, and its Err names
 * the call that is missing. */
#ifndef MVM_STATUS_WAIT_MS
#define MVM_STATUS_WAIT_MS 2000
#endif
#if MVM_STATUS_WAIT_MS < 1
#error "MVM_STATUS_WAIT_MS: at least 1, since a program takes a moment to pass a status on"
#endif

/* How long to keep reading a pipe after the build's last process has ended: its end of file should
 * follow immediately. */
#ifndef MVM_DRAIN_MS
#define MVM_DRAIN_MS 1000
#endif
#if MVM_DRAIN_MS < 1
#error "MVM_DRAIN_MS: at least 1, since the end of a pipe takes a moment to come"
#endif

/* Bytes to read from such a pipe (F_SETPIPE_SZ allows 1 MiB without privilege). Past both limits: a
 * process outside the build is writing, and the pipe is not read any further. */
#ifndef MVM_DRAIN_MAX
#define MVM_DRAIN_MAX 2097152
#endif
#if MVM_DRAIN_MAX < MVM_LOG_LINE_MAX
#error "MVM_DRAIN_MAX: at least MVM_LOG_LINE_MAX, since one line must fit"
#endif

/* How long to wait for a configured device that is absent: with hot-plug and slow buses it appears
 * late. Past it: there is no such disk. MVM_DEVICE_POLL_MS is the poll interval, also for the
 * release of an unmounted device, which may take MVM_RELEASE_WAIT_MS. Past it: "failed to
 * release". */
#ifndef MVM_DEVICE_WAIT_MS
#define MVM_DEVICE_WAIT_MS 2000
#endif
#if MVM_DEVICE_WAIT_MS < 1
#error "MVM_DEVICE_WAIT_MS: at least 1, since a device is asked for once at least"
#endif
#ifndef MVM_DEVICE_POLL_MS
#define MVM_DEVICE_POLL_MS 50
#endif
#if MVM_DEVICE_POLL_MS < 1
#error "MVM_DEVICE_POLL_MS: at least 1, since polling without a pause would spin"
#endif
#ifndef MVM_RELEASE_WAIT_MS
#define MVM_RELEASE_WAIT_MS 5000
#endif
#if MVM_RELEASE_WAIT_MS < 1
#error "MVM_RELEASE_WAIT_MS: at least 1, since a file system takes a moment to go"
#endif

/* How long disk I/O may make no progress after the build was cancelled or has timed out.
 * Past it: the call is abandoned, and the job ends with Err. */
#ifndef MVM_DISK_PATIENCE_MS
#define MVM_DISK_PATIENCE_MS 10000
#endif
#if MVM_DISK_PATIENCE_MS < 10
#error "MVM_DISK_PATIENCE_MS: at least 10, since its tenth is the patience with a second call"
#endif

/* Abandoned workers that are tracked until their disks respond. Past it: they are not collected,
 * and become zombies of the program. */
#ifndef MVM_POSIX_HUNG_MAX
#define MVM_POSIX_HUNG_MAX 16
#endif
#if MVM_POSIX_HUNG_MAX < 1
#error "MVM_POSIX_HUNG_MAX: at least 1, since an abandoned worker has to be collected"
#endif

/* Variables of a build's environment. Past it: the build fails, "environment: too many variables".
 */
#ifndef MVM_POSIX_ENV
#define MVM_POSIX_ENV 1024
#endif
#if MVM_POSIX_ENV < 16
#error "MVM_POSIX_ENV: at least 16, since those that nix needs must fit"
#endif

/* Bytes of a NIX_CONFIG to which build-users-group had to be added, terminator included. Past it:
 * the build fails, "NIX_CONFIG: too long". */
#ifndef MVM_POSIX_NIX_CONFIG_CAP
#define MVM_POSIX_NIX_CONFIG_CAP 8192
#endif
#if MVM_POSIX_NIX_CONFIG_CAP < 64
#error "MVM_POSIX_NIX_CONFIG_CAP: at least 64, since the group's own line must fit"
#endif

/* How long a client whose build has ended may read none of what is left to send before its
 * connection is closed: it holds up all other clients' builds. */
#ifndef MVM_STALL_MS
#define MVM_STALL_MS 60000
#endif
#if MVM_STALL_MS < 1
#error "MVM_STALL_MS: at least 1, since a client takes a moment to read"
#endif

/* ---- the service -------------------------------------------------------------------------- */

/* Builds that wait or run at a time. Past it: Err, "build rejected: queue full". */
#ifndef MVM_QUEUE_MAX
#define MVM_QUEUE_MAX 8
#endif
#if MVM_QUEUE_MAX < 1
#error "MVM_QUEUE_MAX: at least 1, since it is the length of an array"
#endif

/* The shortest id of a build: a guess does not find one. Past it: Err, "invalid id". */
#ifndef MVM_ID_MIN
#define MVM_ID_MIN 16
#endif
#if MVM_ID_MIN < 16
#error "MVM_ID_MIN: at least 16, since shorter ids can be guessed"
#endif

/* Answers that wait in a client for room: the end of each of its builds, and as many again for what
 * it has asked since it last read. Past it: the client is not read from. */
#define MVM_OWED_MAX (2 * MVM_QUEUE_MAX + 8)

/* Ended builds with an id whose answers are kept for Join: as many as can wait and run.
 * Past it: the oldest is forgotten, and its id is unknown. */
#ifndef MVM_KEPT_ANSWERS
#define MVM_KEPT_ANSWERS 8
#endif
#if MVM_KEPT_ANSWERS < 1
#error "MVM_KEPT_ANSWERS: a client that comes back needs its answer"
#endif

/* Bytes of a kept answer: any store path, and the beginning of an Err message.
 * Past it: the message ends with " [cut]". */
#ifndef MVM_KEPT_TEXT_MAX
#define MVM_KEPT_TEXT_MAX 1024
#endif
#if MVM_KEPT_TEXT_MAX < MVM_STORE_PATH_MAX
#error "MVM_KEPT_TEXT_MAX: a store path is kept whole"
#endif

/* Connections of the agent at a time. Past it new ones wait in the listener's backlog; the one
 * idle longest, if for MVM_IDLE_EVICT_MS at least, makes room. */
#ifndef MVM_CLIENTS_MAX
#define MVM_CLIENTS_MAX 64
#endif
#if MVM_CLIENTS_MAX < 1
#error "MVM_CLIENTS_MAX: at least 1, since it is the length of an array"
#endif

#ifndef MVM_IDLE_EVICT_MS
#define MVM_IDLE_EVICT_MS 1000
#endif
#if MVM_IDLE_EVICT_MS < 1
#error "MVM_IDLE_EVICT_MS: at least 1, since a client takes a moment to send its request"
#endif

/* Interval of the lines that report how many clients of a refused vsock peer there were; the first
 * one is logged immediately. */
#ifndef MVM_REFUSED_SAY_MS
#define MVM_REFUSED_SAY_MS 60000
#endif
#if MVM_REFUSED_SAY_MS < 1
#error "MVM_REFUSED_SAY_MS: at least 1, since 0 would log every refusal"
#endif

/* How long a machine's agent, before it ends the machine, waits for clients that got an answer to
 * close: what they have not read yet is in the monitor's buffers and lost with it. Some 500 KiB may
 * be, which takes 10 s at 50 kB/s. Past it the machine ends. */
#ifndef MVM_LINGER_MS
#define MVM_LINGER_MS 15000
#endif
#if MVM_LINGER_MS < 1
#error "MVM_LINGER_MS: at least 1, since 0 would lose what the monitor holds"
#endif

/* How long the agent may take to end after SIGTERM: the graces of a build that is killed, of the
 * clients, and what a disk takes. Past it, it ends with what is left undone, exit status 1. */
#ifndef MVM_STOP_MS
#define MVM_STOP_MS 60000
#endif
#if MVM_STOP_MS < 1
#error "MVM_STOP_MS: at least 1, since 0 would end the agent without its answers"
#endif

/* How long an agent that ends after a build waits for the client of a build that was to be kept: for
 * it to come back and join, and for what it fetches. A monitor is restarted, or a machine saved and
 * restored, within it. Past it: the agent ends, and the answer is lost. */
#ifndef MVM_COLLECT_MS
#define MVM_COLLECT_MS 60000
#endif
#if MVM_COLLECT_MS < 1
#error "MVM_COLLECT_MS: at least 1, since a client needs a moment to connect again"
#endif

/* Listeners of the agent. Past it: a usage error. */
#ifndef MVM_LISTENERS_MAX
#define MVM_LISTENERS_MAX 8
#endif
#if MVM_LISTENERS_MAX < 1
#error "MVM_LISTENERS_MAX: at least 1, since it is the length of an array"
#endif

/* Bytes of a session's receive and send buffers in the agent. The send buffer bounds the system
 * calls a log line costs; either works down to one byte. */
#ifndef MVM_RECEIVE_CAP
#define MVM_RECEIVE_CAP 4096
#endif
#if MVM_RECEIVE_CAP < 1
#error "MVM_RECEIVE_CAP: at least 1, since a buffer has a byte"
#endif
#ifndef MVM_SEND_CAP
#define MVM_SEND_CAP 32768
#endif
#if MVM_SEND_CAP < 1
#error "MVM_SEND_CAP: at least 1, since a buffer has a byte"
#endif

#include "mvm_limits_match.h"

/* ---- the agent as process 1 ---------------------------------------------------------------- */

/* How far the clock may be from the host's before a build sets it. Past it: set, and logged. */
#ifndef MVM_CLOCK_OFF_MS
#define MVM_CLOCK_OFF_MS 2000
#endif
#if MVM_CLOCK_OFF_MS < 1
#error "MVM_CLOCK_OFF_MS: no two clocks agree"
#endif

/* How long the root file system's device may take to appear. Past it: logged, and the machine goes
 * on in the root it has. */
#ifndef MVM_ROOT_WAIT_MS
#define MVM_ROOT_WAIT_MS 10000
#endif
#if MVM_ROOT_WAIT_MS < 1
#error "MVM_ROOT_WAIT_MS: at least 1, since a disk takes a moment to appear"
#endif

/* The latest time that an option may name: the most seconds whose nanoseconds fit 63 bits, as in
 * the kernel; in the year 2262. Past it, as with milliseconds instead: too large a number of
 * seconds. */
#define MVM_EPOCH_MAX_SECS 9223372036

#endif
