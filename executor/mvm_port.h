/*
 * The world as the executor sees it: a table of functions and a context pointer. port/posix is
 * Linux, port/sim a world in memory. The interface lives here, with the one that needs it.
 *
 * Rules for a port:
 *  - It never calls into the executor. What comes later (output, an exit) is polled for; the
 *    loop around the executor learns from the port itself when to poll (mvm_posix.h: descriptors).
 *  - Paths and arguments are NUL-terminated and borrowed for the length of the call.
 *  - 0 or more is success, negative one of enum mvm_port_error: FAILED, or what else a call says
 *    that it can give. After a failure `reason` says in words which call failed and why ("open:
 *    Permission denied").
 *  - Only the calls marked [blocks] may take long; all else returns at once.
 *  - There is at most one build at a time: spawn … close_build. `nix --version` is one, too.
 */
#ifndef MVM_PORT_H
#define MVM_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_port_error {
    MVM_PORT_NOT_FOUND = -1,   /* nothing by that name, or no such device */
    MVM_PORT_NOT_REGULAR = -2, /* it is there, and no regular file */
    MVM_PORT_NOT_DIRECTORY = -3,
    MVM_PORT_BUSY = -4, /* in use: EBUSY */
    MVM_PORT_FAILED = -5,
};

enum mvm_stream {
    MVM_STDOUT = 0,
    MVM_STDERR = 1,
    MVM_STREAMS = 2,
};

/* read_output: the stream has ended. Not an error, and not the child's exit. */
#define MVM_PORT_END (-100)

/* copy, sync_file, close: being done; the same call again tells more. The loop learns from the port
 * when to ask, as for output. Not an error. */
#define MVM_PORT_LATER (-101)

struct mvm_exit {
    bool signaled;
    int code; /* the exit status, 0 to 255, or the signal's number */
};

enum mvm_signal {
    MVM_SIGNAL_TERM,
    MVM_SIGNAL_KILL,
};

struct mvm_port {
    /* ---- the build's processes ---- */

    /* The nix program's absolute path into path[0 … cap-1], terminated. NOT_FOUND: there is
     * none anywhere the port looks; `reason` says where it looked. */
    int (*find_nix)(void *ctx, char *path, size_t cap);

    /* Starts argv[0] with argv (ends with NULL), in a session of its own, stdin empty, stdout and
     * stderr on pipes, no other descriptor, default signals, with an environment fit for nix.
     * Everything it goes on to start is "the build" below. NOT_FOUND, NOT_DIRECTORY, BUSY. */
    int (*spawn)(void *ctx, const char *const argv[]);

    /* Up to cap bytes the build printed: > 0 bytes; 0 none now; MVM_PORT_END; or an error. */
    int (*read_output)(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);

    /* Whether the spawned process has exited: 1 yes, `*e` says how (again at every call until
     * close_build); 0 still running. */
    int (*poll_exit)(void *ctx, struct mvm_exit *e);

    /* Sends a signal to every process of the build that is left. 0, also where none is. */
    int (*signal_build)(void *ctx, enum mvm_signal signal);

    /* How many processes of the build are left besides an exited and collected first one: > 0
     * some, 0 none. Collects orphans that have ended. */
    int (*remaining)(void *ctx);

    /* Whether the kernel has killed a process of the build because memory ran out: 1 yes; 0 no, or
     * it cannot be determined. Before close_build. */
    int (*out_of_memory)(void *ctx);

    /* Ends the build's bookkeeping: closes pipes, drops what was not read. No process is left
     * when it is called, or all has been tried. Never fails; harmless without a build. */
    void (*close_build)(void *ctx);

    /* After a successful spawn: what the port cannot guarantee for this build, such as that no
     * process of it or of an earlier one is left; NULL: nothing. Valid until the next call. The
     * member may be NULL. */
    const char *(*limits)(void *ctx);

    /* The executor asks for nothing until its client has taken a line: the port need not wake its
     * loop. The next call that finds nothing lifts this. */
    void (*pause)(void *ctx);

    /* ---- disks ---- */

    int (*make_dir)(void *ctx, const char *dir); /* 0: is a directory now. NOT_DIRECTORY */

    /* 1: a mount point; 0: none. NOT_FOUND, NOT_DIRECTORY */
    int (*is_mounted)(void *ctx, const char *dir);

    /* Mounts with nosuid, nodev; the file system's type is found out. NOT_FOUND: no such
     * device. BUSY. [blocks] while the kernel reads the superblock and replays a journal. */
    int (*mount)(void *ctx, const char *device, const char *dir, bool read_only);

    /* syncfs(2). NOT_FOUND, NOT_DIRECTORY. [blocks] */
    int (*sync_fs)(void *ctx, const char *dir);

    /* BUSY: somebody holds it. NOT_FOUND, NOT_DIRECTORY. [blocks] */
    int (*unmount)(void *ctx, const char *dir);

    /* BUSY: somebody writes. NOT_FOUND, NOT_DIRECTORY. [blocks] */
    int (*remount_ro)(void *ctx, const char *dir);

    /* ---- files: handles are numbers from 0 of the port's own ---- */

    /* Follows links. `*size`: bytes of the file, as far as is known. NOT_FOUND, NOT_REGULAR */
    int (*open_read)(void *ctx, const char *path, uint64_t *size);

    /* A new empty file, mode 0644, replacing any. NOT_FOUND, NOT_DIRECTORY, BUSY */
    int (*open_new)(void *ctx, const char *path);

    /* Up to cap bytes at the handle's position: > 0; 0 at the end. */
    int (*read)(void *ctx, int handle, uint8_t *buf, size_t cap);

    /* Appends up to len bytes: > 0 how many. */
    int (*write)(void *ctx, int handle, const uint8_t *bytes, size_t len);

    /* Copies a file of which nothing was read to a new one, up to max bytes further at each call:
     * > 0 how many bytes it went on (a hole or a cloned extent counts whole, so this may exceed
     * max); 0 at the end, the target then as long as the source: the last call. Holes stay holes.
     * A port that has nobody else to do it moves a piece at each call; one that has says
     * MVM_PORT_LATER while nothing is new, and takes pieces as large as it likes. One copy or
     * sync_file at a time. */
    int64_t (*copy)(void *ctx, int from, int to, uint32_t max);

    int (*sync_file)(void *ctx, int handle); /* fdatasync(2); MVM_PORT_LATER, or [blocks] */

    /* The handle is gone, also after an error. MVM_PORT_LATER: a copy or sync was going on, which
     * ends now: not gone yet. */
    int (*close)(void *ctx, int handle);

    /* Replaces `to`. NOT_FOUND, NOT_DIRECTORY, BUSY */
    int (*rename)(void *ctx, const char *from, const char *to);

    int (*remove)(void *ctx, const char *path);  /* NOT_FOUND, NOT_DIRECTORY, BUSY */
    int (*sync_dir)(void *ctx, const char *dir); /* NOT_FOUND, NOT_DIRECTORY. [blocks] */

    /* Why the last call failed; valid until the next call. Never NULL. */
    const char *(*reason)(void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
