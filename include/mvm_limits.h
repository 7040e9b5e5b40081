/*
 * Every limit of the library, in one place: what it bounds, its unit, its default, why, and what
 * happens past it. Each may be set on the compiler's command line, as one decimal number
 * (-DMVM_QUEUE_MAX=4), between the floor and the ceiling that are checked below it, and then for
 * the library and for the programs that include its headers alike: mvm_limits_match.h makes the
 * linker refuse anything else. Nothing is truncated silently: past a limit there is an error or,
 * for log lines, a further frame.
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
#elif MVM_FLAKE_REF_MAX > 65535
#error "MVM_FLAKE_REF_MAX: at most 65535, since Linux takes 128 KiB of one argument, FLAKE#ATTR"
#endif

/* Bytes of a decoded attribute path. Real ones stay under 100.
 * Past it: the frame is refused, "attr too long". */
#ifndef MVM_ATTR_MAX
#define MVM_ATTR_MAX 1024
#endif
#if MVM_ATTR_MAX < 64
#error "MVM_ATTR_MAX: at least 64, since packages.SYSTEM.NAME must fit"
#elif MVM_ATTR_MAX > 65535
#error "MVM_ATTR_MAX: at most 65535, since Linux takes 128 KiB of one argument, FLAKE#ATTR"
#endif

/* Bytes of a build's id, and of the id in `refused`. Ids have 16 to 64 characters.
 * Past it: the frame is refused, "id too long". */
#ifndef MVM_ID_MAX
#define MVM_ID_MAX 64
#endif
#if MVM_ID_MAX < 64
#error "MVM_ID_MAX: ids of 64 bytes are valid"
#elif MVM_ID_MAX > 255
#error "MVM_ID_MAX: at most 255, since a frame has room for 512 bytes beside its data"
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
#elif MVM_NONCE_MAX > 255 || MVM_AGENT_MAX > 255 || MVM_BOOT_MAX > 255
#error "MVM_NONCE_MAX, MVM_AGENT_MAX, MVM_BOOT_MAX: at most 255, as an id"
#endif

/* Bytes of the list of features. Past it: the frame is refused, "features too long". */
#ifndef MVM_FEATURES_MAX
#define MVM_FEATURES_MAX 256
#endif
#if MVM_FEATURES_MAX < 256
#error "MVM_FEATURES_MAX: peers may send 256 bytes"
#elif MVM_FEATURES_MAX > 1024
#error "MVM_FEATURES_MAX: at most 1024, since a Welcome takes no more than a Log line"
#endif

/* Bytes of a word from an open list: an Err's category, a build's state in Cancelled.
 * Past it: the frame is refused, "category too long" or "was too long". */
#ifndef MVM_WORD_MAX
#define MVM_WORD_MAX 32
#endif
#if MVM_WORD_MAX < 32
#error "MVM_WORD_MAX: peers may send 32 bytes"
#elif MVM_WORD_MAX > 255
#error "MVM_WORD_MAX: at most 255, since a frame has room for 512 bytes beside its data"
#endif

/* Bytes of one request frame, newline excluded. A Build with the longest texts, every byte written
 * as \u00XX (six for one), has 31 KiB; the rest is for white space and unknown fields.
 * Past it: the frame is refused, and its remaining bytes are discarded as they arrive. */
#ifndef MVM_REQUEST_FRAME_MAX
#define MVM_REQUEST_FRAME_MAX 65536
#endif
#if MVM_REQUEST_FRAME_MAX < MVM_FLAKE_REF_MAX + MVM_ATTR_MAX + MVM_ID_MAX + 128
#error "MVM_REQUEST_FRAME_MAX: at least its texts and 128, since the longest Build must fit"
#elif MVM_REQUEST_FRAME_MAX > 1073741824
#error "MVM_REQUEST_FRAME_MAX: at most 1073741824, since offsets in a frame have 32 bits"
#endif

/* Bytes of one response frame, newline excluded. Other agents send log lines of any length.
 * Past it: as above. */
#ifndef MVM_RESPONSE_FRAME_MAX
#define MVM_RESPONSE_FRAME_MAX 16777216
#endif

/* Bytes that a protobuf request may have besides its texts: at most 29 for tags, lengths, time-out
 * and flag; the rest is for fields of later versions, at least as many as one version has added.
 * Past it: the frame is refused, and its remaining bytes are discarded as they arrive. */
#ifndef MVM_PROTO_SLACK
#define MVM_PROTO_SLACK 512
#endif
#if MVM_PROTO_SLACK < 32
#error "MVM_PROTO_SLACK: a Build without unknown fields needs 29 bytes"
#elif MVM_PROTO_SLACK > 65536
#error "MVM_PROTO_SLACK: at most 65536, since it is memory of each connection"
#endif

/* Bytes of data in one Source or Artifact: large enough for the frame's overhead to be negligible,
 * small enough that a Ping between two of them waits for less than a millisecond.
 * Past it: the frame is refused, "data too long". */
#ifndef MVM_BULK_DATA_MAX
#define MVM_BULK_DATA_MAX 65536
#endif
#if MVM_BULK_DATA_MAX < 65536
#error "MVM_BULK_DATA_MAX: at least 65536, since peers may send that much"
#elif MVM_BULK_DATA_MAX > 1048576
#error "MVM_BULK_DATA_MAX: at most 1048576, since a Ping waits until one of them has passed"
#endif
#if MVM_RESPONSE_FRAME_MAX < 98500
#error "MVM_RESPONSE_FRAME_MAX: at least 98500, since peers may send a Log of that length"
#elif MVM_RESPONSE_FRAME_MAX < MVM_BULK_DATA_MAX + 512
#error "MVM_RESPONSE_FRAME_MAX: at least its data and 512, since the longest Artifact must fit"
#elif MVM_RESPONSE_FRAME_MAX > 1073741824
#error "MVM_RESPONSE_FRAME_MAX: at most 1073741824, since offsets in a frame have 32 bits"
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
#elif MVM_PROTO_GROUPS_MAX > 1024
#error "MVM_PROTO_GROUPS_MAX: at most 1024, 4 KiB of stack"
#endif

/* Bytes of the archive with a flake's source; nixpkgs takes a third of this.
 * Past it: "invalid source", before the build begins. */
#ifndef MVM_SOURCE_MAX
#define MVM_SOURCE_MAX 1073741824
#endif
#if MVM_SOURCE_MAX < 65536
#error "MVM_SOURCE_MAX: at least 65536, since a small flake must fit"
#elif MVM_SOURCE_MAX > 4294967295
#error "MVM_SOURCE_MAX: at most 4294967295, since a Want's number of bytes has 32 bits"
#endif

/* Builds without disks whose artifacts are held for their clients.
 * Past it: those of the oldest are dropped, and a Get of them is refused. */
#ifndef MVM_STREAM_BUILDS
#define MVM_STREAM_BUILDS 8
#endif
#if MVM_STREAM_BUILDS < 1
#error "MVM_STREAM_BUILDS: at least 1, the one that runs"
#elif MVM_STREAM_BUILDS > 255
#error "MVM_STREAM_BUILDS: at most 255, since the number of a place is a byte"
#endif

/* Levels of nesting inside the value of an unknown field. Each takes one bit of decoder state.
 * Past it: the frame is refused, "nested too deep". */
#ifndef MVM_NESTING_MAX
#define MVM_NESTING_MAX 128
#endif
#if MVM_NESTING_MAX < 8
#error "MVM_NESTING_MAX: at least 8, since hosts may add fields that are arrays of objects"
#elif MVM_NESTING_MAX > 253
#error "MVM_NESTING_MAX: at most 253, since a depth, with the two levels of a request, is a byte"
#endif

/* ---- the build ---------------------------------------------------------------------------- */

/* Bytes of one Log line. A build's line over it goes out as several frames, cut between UTF-8
 * characters. Also the size of each of the executor's two pipe buffers. */
#ifndef MVM_LOG_LINE_MAX
#define MVM_LOG_LINE_MAX 16384
#endif
#if MVM_LOG_LINE_MAX < 1024
#error "MVM_LOG_LINE_MAX: at least 1024, since the line with the longest store path must fit"
#elif MVM_LOG_LINE_MAX > 16777216
#error "MVM_LOG_LINE_MAX: at most 16777216, since hosts take no longer frame by default"
#endif

/* Bytes of an Err message: the longest request quoted in the command line, with room to spare.
 * Past it: the message ends with " [cut]". */
#ifndef MVM_MESSAGE_MAX
#define MVM_MESSAGE_MAX 8192
#endif
#if MVM_MESSAGE_MAX < 256
#error "MVM_MESSAGE_MAX: at least 256, since an error with the name of a store path must fit"
#elif MVM_MESSAGE_MAX > 16777216
#error "MVM_MESSAGE_MAX: at most 16777216, since hosts take no longer frame by default"
#endif

/* Bytes of a path that the executor builds: PATH_MAX of Linux, terminator included.
 * Past it: the step fails with "path too long". */
#ifndef MVM_PATH_MAX
#define MVM_PATH_MAX 4096
#endif

/* Bytes of a store path. nix allows names of 211 bytes, so a path is at most 255 long.
 * Past it: "nix build produced no store path". */
#ifndef MVM_STORE_PATH_MAX
#define MVM_STORE_PATH_MAX 1024
#endif
#if MVM_STORE_PATH_MAX < 256
#error "MVM_STORE_PATH_MAX: at least 256, since the longest path in /nix/store has 255 bytes"
#elif MVM_STORE_PATH_MAX > 4096
#error "MVM_STORE_PATH_MAX: at most 4096, PATH_MAX of Linux"
#elif MVM_STORE_PATH_MAX > MVM_LOG_LINE_MAX
#error "MVM_STORE_PATH_MAX: at most MVM_LOG_LINE_MAX, since an Ok takes no more than a Log line"
#endif
#if MVM_PATH_MAX < MVM_STORE_PATH_MAX + 32
#error "MVM_PATH_MAX: at least a store path and 32, since FILE in the longest store path must fit"
#elif MVM_PATH_MAX > 65535
#error "MVM_PATH_MAX: at most 65535, since its length has 16 bits on the way to the worker"
#endif

/* Bytes of a policy file. Past it: builds are rejected, "policy file too long". */
#ifndef MVM_POLICY_MAX
#define MVM_POLICY_MAX 65536
#endif
#if MVM_POLICY_MAX < 64
#error "MVM_POLICY_MAX: at least 64, since {\"access\":{\"build\":true}} must fit"
#elif MVM_POLICY_MAX > 1073741824
#error "MVM_POLICY_MAX: at most 1073741824, since its length has 32 bits"
#endif

/* Pairs of --nix-option. Past it: a usage error of the agent. */
#ifndef MVM_NIX_OPTIONS_MAX
#define MVM_NIX_OPTIONS_MAX 16
#endif
#if MVM_NIX_OPTIONS_MAX < 1
#error "MVM_NIX_OPTIONS_MAX: at least 1, since it is the length of an array"
#elif MVM_NIX_OPTIONS_MAX > 1024
#error "MVM_NIX_OPTIONS_MAX: at most 1024, since offsets of the agent's options have 16 bits"
#endif

/* Outputs of one build that are searched if none is called "out".
 * Past it: "nix build produced no store path", with the reason. */
#ifndef MVM_NIX_OUTPUTS_MAX
#define MVM_NIX_OUTPUTS_MAX 8
#endif
#if MVM_NIX_OUTPUTS_MAX < 1
#error "MVM_NIX_OUTPUTS_MAX: at least 1, since it is the length of an array"
#elif MVM_NIX_OUTPUTS_MAX > 255
#error "MVM_NIX_OUTPUTS_MAX: at most 255, since their number is a byte"
#endif

/* Bytes of an artifact that are copied between two reports of progress. A disk that does not move
 * this much within MVM_DISK_PATIENCE_MS counts as hung. */
#ifndef MVM_STAGE_SLICE
#define MVM_STAGE_SLICE 8388608
#endif
#if MVM_STAGE_SLICE < 4096
#error "MVM_STAGE_SLICE: at least 4096, since a copy makes progress by whole blocks"
#elif MVM_STAGE_SLICE > 1073741824
#error "MVM_STAGE_SLICE: at most 1073741824, since no call of Linux copies 2 GiB"
#endif

/* ---- time, in milliseconds unless the name says otherwise -------------------------------- */

/* Seconds that a build may take if the request sets no limit: the protocol's default. */
#ifndef MVM_TIMEOUT_DEFAULT_SECS
#define MVM_TIMEOUT_DEFAULT_SECS 1800
#endif
#if MVM_TIMEOUT_DEFAULT_SECS < 1
#error "MVM_TIMEOUT_DEFAULT_SECS: at least 1, since a build has a moment to run"
#elif MVM_TIMEOUT_DEFAULT_SECS > 9223372036854775
#error "MVM_TIMEOUT_DEFAULT_SECS: at most 9223372036854775, since its milliseconds have 63 bits"
#endif

/* Silence after which an empty Log line goes out: well under any host's read time-out. */
#ifndef MVM_HEARTBEAT_MS
#define MVM_HEARTBEAT_MS 10000
#endif
#if MVM_HEARTBEAT_MS < 1
#error "MVM_HEARTBEAT_MS: at least 1, since a heartbeat is not sent without a pause"
#elif MVM_HEARTBEAT_MS > 604800000
#error "MVM_HEARTBEAT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Interval of the Log lines that report a copy's progress; a copy that takes less time than this
 * reports none. */
#ifndef MVM_PROGRESS_MS
#define MVM_PROGRESS_MS 2000
#endif
#if MVM_PROGRESS_MS < 1
#error "MVM_PROGRESS_MS: at least 1, since progress is not reported without a pause"
#elif MVM_PROGRESS_MS > 604800000
#error "MVM_PROGRESS_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* From SIGTERM to SIGKILL: nix needs a moment to end its builders and unlock its store. */
#ifndef MVM_TERM_GRACE_MS
#define MVM_TERM_GRACE_MS 5000
#endif
#if MVM_TERM_GRACE_MS < 1
#error "MVM_TERM_GRACE_MS: at least 1, since SIGTERM comes before SIGKILL"
#elif MVM_TERM_GRACE_MS > 604800000
#error "MVM_TERM_GRACE_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Live processes of a build that one pass over /proc can list, 8 bytes each: more than a machine of
 * 64 processors keeps busy. Past it: those left are signalled, and found, after these have ended.
 */
#ifndef MVM_POSIX_MEMBERS
#define MVM_POSIX_MEMBERS 2048
#endif
#if MVM_POSIX_MEMBERS < 1
#error "MVM_POSIX_MEMBERS: at least 1, the build's first process"
#elif MVM_POSIX_MEMBERS > 65536
#error "MVM_POSIX_MEMBERS: at most 65536, 512 KiB of stack"
#endif

/* How long a build's processes may take to stop, so that none is forked while SIGTERM is sent to
 * all; one in uninterruptible sleep does not stop. Past it: SIGTERM is sent, then further passes
 * over the processes find those forked meanwhile. */
#ifndef MVM_HOLD_MS
#define MVM_HOLD_MS 2000
#endif
#if MVM_HOLD_MS < 1
#error "MVM_HOLD_MS: at least 1, since a process takes a moment to stop"
#elif MVM_HOLD_MS > 604800000
#error "MVM_HOLD_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Poll interval for the remaining processes of a build that is being ended, and for the main
 * process of a build that prints without a pause. */
#ifndef MVM_KILL_POLL_MS
#define MVM_KILL_POLL_MS 20
#endif
#if MVM_KILL_POLL_MS < 1
#error "MVM_KILL_POLL_MS: at least 1, since polling without a pause would spin"
#elif MVM_KILL_POLL_MS > 999
#error "MVM_KILL_POLL_MS: at most 999, since a timer is set to less than a second"
#endif

/* How long to wait for processes that survive SIGKILL (in uninterruptible sleep). Past it: the job
 * continues without them and reports that in a Log line. */
#ifndef MVM_KILL_PATIENCE_MS
#define MVM_KILL_PATIENCE_MS 10000
#endif
#if MVM_KILL_PATIENCE_MS < MVM_KILL_POLL_MS
#error "MVM_KILL_PATIENCE_MS: at least MVM_KILL_POLL_MS, since the polls are counted"
#elif MVM_KILL_PATIENCE_MS > 604800000
#error "MVM_KILL_PATIENCE_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long to wait for the exit status of a child that has ended, if the program reaps children
 * itself and passes their statuses on (caller_reaps). Past it: the build fails, and its Err names
 * the call that is missing. */
#ifndef MVM_STATUS_WAIT_MS
#define MVM_STATUS_WAIT_MS 2000
#endif
#if MVM_STATUS_WAIT_MS < MVM_KILL_POLL_MS
#error "MVM_STATUS_WAIT_MS: at least MVM_KILL_POLL_MS, since the polls are counted"
#elif MVM_STATUS_WAIT_MS > 604800000
#error "MVM_STATUS_WAIT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long to keep reading a pipe after the build's last process has ended: its end of file should
 * follow immediately. */
#ifndef MVM_DRAIN_MS
#define MVM_DRAIN_MS 1000
#endif
#if MVM_DRAIN_MS < 1
#error "MVM_DRAIN_MS: at least 1, since the end of a pipe takes a moment to come"
#elif MVM_DRAIN_MS > 604800000
#error "MVM_DRAIN_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Bytes to read from such a pipe (F_SETPIPE_SZ allows 1 MiB without privilege). Past both limits: a
 * process outside the build is writing, and the pipe is not read any further. */
#ifndef MVM_DRAIN_MAX
#define MVM_DRAIN_MAX 2097152
#endif
#if MVM_DRAIN_MAX < MVM_LOG_LINE_MAX
#error "MVM_DRAIN_MAX: at least MVM_LOG_LINE_MAX, since one line must fit"
#elif MVM_DRAIN_MAX > 1073741824
#error "MVM_DRAIN_MAX: at most 1073741824, since the bytes are counted by 32 bits"
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
#elif MVM_DEVICE_WAIT_MS > 604800000
#error "MVM_DEVICE_WAIT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif
#ifndef MVM_DEVICE_POLL_MS
#define MVM_DEVICE_POLL_MS 50
#endif
#if MVM_DEVICE_POLL_MS < 1
#error "MVM_DEVICE_POLL_MS: at least 1, since polling without a pause would spin"
#elif MVM_DEVICE_POLL_MS > 604800000
#error "MVM_DEVICE_POLL_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif
#ifndef MVM_RELEASE_WAIT_MS
#define MVM_RELEASE_WAIT_MS 5000
#endif
#if MVM_RELEASE_WAIT_MS < 1
#error "MVM_RELEASE_WAIT_MS: at least 1, since a file system takes a moment to go"
#elif MVM_RELEASE_WAIT_MS > 604800000
#error "MVM_RELEASE_WAIT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long disk I/O may make no progress after the build was cancelled or has timed out.
 * Past it: the call is abandoned, and the job ends with Err. */
#ifndef MVM_DISK_PATIENCE_MS
#define MVM_DISK_PATIENCE_MS 10000
#endif
#if MVM_DISK_PATIENCE_MS < 10
#error "MVM_DISK_PATIENCE_MS: at least 10, since its tenth is the patience with a second call"
#elif MVM_DISK_PATIENCE_MS > 604800000
#error "MVM_DISK_PATIENCE_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Abandoned workers that are tracked until their disks respond. Past it: they are not collected,
 * and become zombies of the program. */
#ifndef MVM_POSIX_HUNG_MAX
#define MVM_POSIX_HUNG_MAX 16
#endif
#if MVM_POSIX_HUNG_MAX < 1
#error "MVM_POSIX_HUNG_MAX: at least 1, since an abandoned worker has to be collected"
#elif MVM_POSIX_HUNG_MAX > 4096
#error "MVM_POSIX_HUNG_MAX: at most 4096, since each of them is a process"
#endif

/* Variables of a build's environment. Past it: the build fails, "environment: too many variables".
 */
#ifndef MVM_POSIX_ENV
#define MVM_POSIX_ENV 1024
#endif
#if MVM_POSIX_ENV < 16
#error "MVM_POSIX_ENV: at least 16, since those that nix needs must fit"
#elif MVM_POSIX_ENV > 131072
#error "MVM_POSIX_ENV: at most 131072, 1 MiB of pointers: Linux takes 2 MiB with the texts"
#endif

/* Bytes of a NIX_CONFIG to which build-users-group had to be added, terminator included. Past it:
 * the build fails, "NIX_CONFIG: too long". */
#ifndef MVM_POSIX_NIX_CONFIG_CAP
#define MVM_POSIX_NIX_CONFIG_CAP 8192
#endif
#if MVM_POSIX_NIX_CONFIG_CAP < 64
#error "MVM_POSIX_NIX_CONFIG_CAP: at least 64, since the group's own line must fit"
#elif MVM_POSIX_NIX_CONFIG_CAP > 131072
#error "MVM_POSIX_NIX_CONFIG_CAP: at most 131072, since Linux takes 128 KiB of one variable"
#endif

/* How long a client may read none of what its build has for it, while the build of another client
 * waits behind its own or when its own has ended. Past it: its connection is closed. It is
 * MVM_TERM_GRACE_MS instead if another client has joined the build, or while stopping. */
#ifndef MVM_STALL_MS
#define MVM_STALL_MS 60000
#endif
#if MVM_STALL_MS < 1
#error "MVM_STALL_MS: at least 1, since a client takes a moment to read"
#elif MVM_STALL_MS > 604800000
#error "MVM_STALL_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* ---- the server --------------------------------------------------------------------------- */

/* Builds that wait or run at a time. Past it: Err, "build rejected: queue full". */
#ifndef MVM_QUEUE_MAX
#define MVM_QUEUE_MAX 8
#endif
#if MVM_QUEUE_MAX < 1
#error "MVM_QUEUE_MAX: at least 1, since it is the length of an array"
#elif MVM_QUEUE_MAX > 1024
#error "MVM_QUEUE_MAX: at most 1024, since every answer looks through the queue"
#endif

/* The shortest id of a build: a guess does not find one. Past it: Err, "invalid id". */
#ifndef MVM_ID_MIN
#define MVM_ID_MIN 16
#endif
#if MVM_ID_MIN < 16
#error "MVM_ID_MIN: at least 16, since shorter ids can be guessed"
#elif MVM_ID_MIN > MVM_ID_MAX
#error "MVM_ID_MIN: at most MVM_ID_MAX, since no id would be valid"
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
#elif MVM_KEPT_ANSWERS > 1024
#error "MVM_KEPT_ANSWERS: at most 1024, since every Join looks through them"
#endif

/* Bytes of a kept answer: any store path, and the beginning of an Err message.
 * Past it: the message ends with " [cut]". */
#ifndef MVM_KEPT_TEXT_MAX
#define MVM_KEPT_TEXT_MAX 1024
#endif
#if MVM_KEPT_TEXT_MAX < MVM_STORE_PATH_MAX
#error "MVM_KEPT_TEXT_MAX: a store path is kept whole"
#elif MVM_KEPT_TEXT_MAX > 65536
#error "MVM_KEPT_TEXT_MAX: at most 65536, since it is memory of each client and of each kept answer"
#endif

/* Connections of the agent at a time. Past it new ones wait in the listener's backlog; the one
 * idle longest, if for MVM_IDLE_EVICT_MS at least, makes room. */
#ifndef MVM_CLIENTS_MAX
#define MVM_CLIENTS_MAX 64
#endif
#if MVM_CLIENTS_MAX < 1
#error "MVM_CLIENTS_MAX: at least 1, since it is the length of an array"
#elif MVM_CLIENTS_MAX > 4096
#error "MVM_CLIENTS_MAX: at most 4096, since the agent has 256 KiB of memory for each"
#endif

#ifndef MVM_IDLE_EVICT_MS
#define MVM_IDLE_EVICT_MS 1000
#endif
#if MVM_IDLE_EVICT_MS < 1
#error "MVM_IDLE_EVICT_MS: at least 1, since a client takes a moment to send its request"
#elif MVM_IDLE_EVICT_MS > 604800000
#error "MVM_IDLE_EVICT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Interval of the lines that report how many clients of a refused vsock peer there were; the first
 * one is logged immediately. */
#ifndef MVM_REFUSED_SAY_MS
#define MVM_REFUSED_SAY_MS 60000
#endif
#if MVM_REFUSED_SAY_MS < 1
#error "MVM_REFUSED_SAY_MS: at least 1, since 0 would log every refusal"
#elif MVM_REFUSED_SAY_MS > 604800000
#error "MVM_REFUSED_SAY_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long a machine's agent, before it ends the machine, waits for clients that got an answer to
 * close: what they have not read yet is in the monitor's buffers and lost with it. Some 500 KiB may
 * be, which takes 10 s at 50 kB/s. Past it the machine ends. */
#ifndef MVM_LINGER_MS
#define MVM_LINGER_MS 15000
#endif
#if MVM_LINGER_MS < 1
#error "MVM_LINGER_MS: at least 1, since 0 would lose what the monitor holds"
#elif MVM_LINGER_MS > 604800000
#error "MVM_LINGER_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long the agent may take to end after SIGTERM: the graces of a build that is killed, of the
 * clients, and what a disk takes. Past it, it ends with what is left undone, exit status 1. */
#ifndef MVM_STOP_MS
#define MVM_STOP_MS 60000
#endif
#if MVM_STOP_MS < 1
#error "MVM_STOP_MS: at least 1, since 0 would end the agent without its answers"
#elif MVM_STOP_MS > 604800000
#error "MVM_STOP_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long an agent that ends after a build waits for the client of a build that was to be kept:
 * for it to come back and join, and for what it fetches. A monitor is restarted, or a machine saved
 * and restored, within it. Past it: the agent ends, and the answer is lost. */
#ifndef MVM_COLLECT_MS
#define MVM_COLLECT_MS 60000
#endif
#if MVM_COLLECT_MS < 1
#error "MVM_COLLECT_MS: at least 1, since a client needs a moment to connect again"
#elif MVM_COLLECT_MS > 604800000
#error "MVM_COLLECT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* Listeners of the agent. Past it: a usage error. */
#ifndef MVM_LISTENERS_MAX
#define MVM_LISTENERS_MAX 8
#endif
#if MVM_LISTENERS_MAX < 1
#error "MVM_LISTENERS_MAX: at least 1, since it is the length of an array"
#elif MVM_LISTENERS_MAX > 256
#error "MVM_LISTENERS_MAX: at most 256, since offsets of the agent's options have 16 bits"
#endif

/* Bytes of a session's receive and send buffers in the agent. The send buffer bounds the system
 * calls a log line costs; either works down to one byte. */
#ifndef MVM_RECEIVE_CAP
#define MVM_RECEIVE_CAP 4096
#endif
#if MVM_RECEIVE_CAP < 1
#error "MVM_RECEIVE_CAP: at least 1, since a buffer has a byte"
#elif MVM_RECEIVE_CAP > 16777216
#error "MVM_RECEIVE_CAP: at most 16777216, since it is memory of each client"
#endif
#ifndef MVM_SEND_CAP
#define MVM_SEND_CAP 32768
#endif
#if MVM_SEND_CAP < 1
#error "MVM_SEND_CAP: at least 1, since a buffer has a byte"
#elif MVM_SEND_CAP > 16777216
#error "MVM_SEND_CAP: at most 16777216, since it is memory of each client"
#endif

#include "mvm_limits_match.h"

/* ---- the agent as process 1 ---------------------------------------------------------------- */

/* How far the clock may be from the host's before a build sets it. Past it: set, and logged. */
#ifndef MVM_CLOCK_OFF_MS
#define MVM_CLOCK_OFF_MS 2000
#endif
#if MVM_CLOCK_OFF_MS < 1
#error "MVM_CLOCK_OFF_MS: no two clocks agree"
#elif MVM_CLOCK_OFF_MS > 604800000
#error "MVM_CLOCK_OFF_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* How long the root file system's device may take to appear. Past it: logged, and the machine goes
 * on in the root it has. */
#ifndef MVM_ROOT_WAIT_MS
#define MVM_ROOT_WAIT_MS 10000
#endif
#if MVM_ROOT_WAIT_MS < 1
#error "MVM_ROOT_WAIT_MS: at least 1, since a disk takes a moment to appear"
#elif MVM_ROOT_WAIT_MS > 604800000
#error "MVM_ROOT_WAIT_MS: at most 604800000, a week: milliseconds are counted by ints"
#endif

/* The latest time that an option may name: the most seconds whose nanoseconds fit 63 bits, as in
 * the kernel; in the year 2262. Past it, as with milliseconds instead: too large a number of
 * seconds. */
#define MVM_EPOCH_MAX_SECS 9223372036

#endif
