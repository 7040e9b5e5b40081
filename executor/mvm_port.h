/*
 * The system as the executor sees it: a table of functions and a context pointer. port/posix is
 * Linux, port/sim a simulation in memory.
 *
 * Rules for a port:
 *  - Every call returns immediately. One that has to wait for a disk returns MVM_PORT_LATER: repeat
 *    the call, with the same arguments, for the result, or LATER again. One such call is in
 *    progress at a time.
 *  - A port never calls into the executor. Each port defines how its loop learns when to step
 *    (mvm_posix.h: one descriptor).
 *  - Paths and arguments are NUL-terminated and borrowed for the length of the call.
 *  - 0 or more is success, negative one of enum mvm_port_error: FAILED, or another one that the
 *    call's comment names. After a failure `reason` returns which call failed and why, for people
 *    ("open: Permission denied").
 *  - A call that moves bytes returns at most as many as it was asked for. More fails the job.
 *  - There is at most one build at a time, spawn … close_build, and one job, which begins with the
 *    first call for a disk and ends with end_job.
 */
#ifndef MVM_PORT_H
#define MVM_PORT_H

#include "mvm_layout.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_port_error {
    MVM_PORT_NOT_FOUND = -1,   /* no such file, directory or device */
    MVM_PORT_NOT_REGULAR = -2, /* it exists and is not a regular file */
    MVM_PORT_NOT_DIRECTORY = -3,
    MVM_PORT_BUSY = -4, /* in use: EBUSY */
    MVM_PORT_FAILED = -5,
    MVM_PORT_SOURCE_FAILED = -6, /* copy: as FAILED, with the source at fault */
};

enum mvm_stream {
    MVM_PORT_STDOUT = 0,
    MVM_PORT_STDERR = 1,
    MVM_PORT_STREAMS = 2,
};

/* read_output: the stream has ended. Not an error, and not the child's exit. */
#define MVM_PORT_END (-100)

/* In progress: repeat the call for the result. Not an error. */
#define MVM_PORT_LATER (-101)

/* What `mounted` found. */
enum mvm_mounted {
    MVM_MOUNTED_NOTHING = 0, /* the directory is not a mount point */
    MVM_MOUNTED_OTHER = 1,   /* something else than the device */
    MVM_MOUNTED_DEVICE = 2,  /* the device, whatever process mounted it */
    MVM_MOUNTED_OVER = 3,    /* something else, over a mount of the device */
};

struct mvm_exit {
    bool signaled;
    int code; /* the exit status, 0 to 255, or the signal's number */
};

enum mvm_signal {
    MVM_SIGNAL_TERM,
    MVM_SIGNAL_KILL,
};

struct mvm_port {
    /* ---- the build's processes: never LATER, except signal_build ---- */

    /* Starts argv[0] with argv (ends with NULL), in a session of its own, stdin empty, stdout and
     * stderr on pipes, no other descriptor, default signals, with an environment fit for nix. It
     * and all its descendants are "the build" below. NOT_FOUND, NOT_DIRECTORY, BUSY. */
    int (*spawn)(void *ctx, const char *const argv[]);

    /* Reads up to cap bytes of the build's output: > 0 bytes; 0 none now; MVM_PORT_END; or an
     * error. */
    int (*read_output)(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);

    /* Whether the spawned process has exited: 1 yes, with its status in `*e` (at every call until
     * close_build); 0 still running. */
    int (*poll_exit)(void *ctx, struct mvm_exit *e);

    /* Sends a signal to every process of the build that is left, once. 0, also if none is. LATER:
     * none was sent yet, and the build is held meanwhile; repeat the call soon. */
    int (*signal_build)(void *ctx, enum mvm_signal signal);

    /* Whether processes of the build are left, besides an exited and reaped first one: > 0 some, 0
     * none. Reaps orphans that have ended. */
    int (*remaining)(void *ctx);

    /* Whether the kernel has killed a process of the build because memory ran out: 1 yes; 0 no, or
     * it cannot be determined. Before close_build. */
    int (*out_of_memory)(void *ctx);

    /* Ends the build's bookkeeping: closes pipes, drops unread output. Called when no process is
     * left, or none that can be killed. Never fails; harmless without a build. */
    void (*close_build)(void *ctx);

    /* After a successful spawn: what the port cannot guarantee for this build, such as that no
     * process of it or of an earlier one is left; NULL: nothing. Valid until the next call. The
     * member may be NULL. */
    const char *(*limits)(void *ctx);

    /* The executor makes no calls until its client has accepted a line: the port need not wake its
     * loop. Ended by the next call that finds nothing. */
    void (*pause)(void *ctx);

    /* ---- a process that is fed (builds without disks; each of the three may be NULL) ---- */

    /* As spawn, but its stdin receives the bytes of `feed`. */
    int (*spawn_fed)(void *ctx, const char *const argv[]);

    /* > 0: the number of bytes accepted; LATER: no room now. FAILED: the process has closed it. */
    int (*feed)(void *ctx, const uint8_t *bytes, size_t len);

    /* Ends its stdin. Harmless if that has ended. */
    void (*end_feed)(void *ctx);

    /* ---- disks: each may be LATER ---- */

    int (*make_dir)(void *ctx, const char *dir); /* 0: is a directory now. NOT_DIRECTORY */

    /* An enum mvm_mounted. NOT_FOUND, NOT_DIRECTORY */
    int (*mounted)(void *ctx, const char *dir, const char *device);

    /* Mounts with nosuid, nodev; the file system's type is detected. NOT_FOUND: no such device.
     * BUSY. */
    int (*mount)(void *ctx, const char *device, const char *dir, bool read_only);

    /* syncfs(2). NOT_FOUND, NOT_DIRECTORY. */
    int (*sync_fs)(void *ctx, const char *dir);

    /* BUSY: a process uses it. NOT_FOUND, NOT_DIRECTORY. */
    int (*unmount)(void *ctx, const char *dir);

    /* BUSY: a process writes to it. NOT_FOUND, NOT_DIRECTORY. */
    int (*remount_ro)(void *ctx, const char *dir);

    /* 0: the device's file system is not mounted anywhere in this machine. BUSY: it is, if only in
     * another mount namespace. NOT_FOUND */
    int (*released)(void *ctx, const char *device);

    /* ---- files: each may be LATER ---- */

    /* Writes the nix program's absolute path to path[0 … cap-1], terminated. NOT_FOUND: there is
     * none; `reason` lists the places that were searched. */
    int (*find_nix)(void *ctx, char *path, size_t cap);

    /* Reads up to cap bytes of a regular file, from `offset` on: > 0; 0 at the end. One file at a
     * time is read, with increasing offsets from 0 to the end, or until a call fails. NOT_FOUND: no
     * such name; a dangling link, or a file as part of the path, is FAILED. NOT_REGULAR */
    int (*read_file)(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap);

    /* 0: the path is a regular file, links followed. NOT_FOUND, NOT_REGULAR */
    int (*find_file)(void *ctx, const char *path);

    /* Copies a regular file to a new one, mode 0644, which replaces an existing one and is durable
     * when 0 is returned. > 0: this many more bytes were copied (holes and cloned extents count in
     * full), and `*size` is the source's size: call again. Holes stay holes. A source whose path,
     * links resolved, is not below the directory `within` is refused before it is opened; if it
     * changes during the copy, that fails. Source: NOT_FOUND, NOT_REGULAR, SOURCE_FAILED. Target:
     * FAILED */
    int64_t (*copy)(void *ctx, const char *within, const char *from, const char *to,
                    uint64_t *size);

    /* Writes a small text to a new file, mode 0644, which replaces an existing one, durably. */
    int (*put)(void *ctx, const char *path, const char *text);

    /* 0: a file can be renamed to that name, as far as can be known in advance. BUSY: it is a mount
     * point. FAILED, also if its directory is not the one of open_log. */
    int (*replaceable)(void *ctx, const char *path);

    /* Replaces `to`. NOT_FOUND, NOT_DIRECTORY, BUSY */
    int (*rename)(void *ctx, const char *from, const char *to);

    int (*remove)(void *ctx, const char *path);  /* NOT_FOUND, NOT_DIRECTORY, BUSY */
    int (*sync_dir)(void *ctx, const char *dir); /* NOT_FOUND, NOT_DIRECTORY */

    /* ---- files of builds without disks: each may be LATER, and may be NULL ---- */

    /* Removes a directory and all that is in it. 0, also if it does not exist. */
    int (*remove_tree)(void *ctx, const char *path);

    /* 0: a regular file, as `copy` would accept it, of `*size` bytes. NOT_FOUND, NOT_REGULAR,
     * SOURCE_FAILED */
    int (*file_size)(void *ctx, const char *within, const char *path, uint64_t *size);

    /* Reads from such a file, after it has moved `*offset` to the next byte that is not in a hole:
     * > 0 bytes; 0: nothing is left but a hole. SOURCE_FAILED, too, if it has not `size` bytes any
     * more, or is written to between the first read and the last. Errors as file_size. */
    int64_t (*read_data)(void *ctx, const char *within, const char *path, uint64_t size,
                         uint64_t *offset, uint8_t *buf, size_t cap);

    /* ---- build.log ---- */

    /* Creates an empty file for write_log, mode 0644, replacing an existing one. */
    int (*open_log)(void *ctx, const char *path); /* BUSY: a job of another process has it */

    /* Appends up to len bytes: > 0 how many; LATER: no room now. Disk errors may be reported only
     * by close_log. */
    int (*write_log)(void *ctx, const uint8_t *bytes, size_t len);

    /* Makes the log durable and closes it, also after an error. */
    int (*close_log)(void *ctx);

    /* ---- calls in progress ---- */

    /* Ends the copy in progress and drops its files, or LATER: not yet. Never fails. */
    int (*stop)(void *ctx);

    /* The executor stops waiting for the call in progress, or for room in the log, because the disk
     * hangs. The log is closed, and the next call starts afresh. Returns how many abandoned calls
     * have not ended yet. */
    int (*abandon)(void *ctx);

    /* Ends the job: afterwards the port holds no disk. LATER; never fails. */
    int (*end_job)(void *ctx);

    /* Why the last call failed; valid until the next call. Never NULL. */
    const char *(*reason)(void *ctx);
};

MVM_LAYOUT_OF(struct mvm_port, size_t);

#ifdef __cplusplus
}
#endif

#endif
