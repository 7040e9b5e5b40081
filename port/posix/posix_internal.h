/* What the port's files share; each section is the file of that name. */
#ifndef MVM_POSIX_INTERNAL_H
#define MVM_POSIX_INTERNAL_H

#include "mvm_posix.h"
#include "small_files.h"
#include "system.h"

/* ---- reason.c ---- */

/* Sets the reason to "CALL: text of err" and returns the port's error for it: NOT_FOUND,
 * NOT_DIRECTORY, BUSY or FAILED. */
int mvm_posix_fail(struct mvm_posix *p, const char *call, int err);

/* Sets the reason to "CALL: text" and returns FAILED. */
int mvm_posix_fail_text(struct mvm_posix *p, const char *call, const char *text);

/* ---- environment.c: fills p->env; a port error and reason where it does not fit ---- */
int mvm_posix_environment(struct mvm_posix *p);

/* What a build gets for PATH where there is none. */
const char *mvm_posix_default_path(void);

/* ---- find_nix.c ---- */
int mvm_posix_find_nix(void *ctx, char *path, size_t cap);

/* ---- pipes.c: the build's pipes ---- */
void mvm_posix_output_none(struct mvm_posix_output *o);

/* A pipe, and the build's end of it. 0 or an errno. */
int mvm_posix_output_open(struct mvm_posix_output *o, int *theirs);
void mvm_posix_output_close(struct mvm_posix_output *o);
int mvm_posix_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);

/* ---- spawn.c ---- */
int mvm_posix_spawn(void *ctx, const char *const argv[]);
int mvm_posix_poll_exit(void *ctx, struct mvm_exit *e);
void mvm_posix_close_build(void *ctx);

/* ---- tree.c: the processes of the build ---- */
int mvm_posix_signal_build(void *ctx, enum mvm_signal signal);
int mvm_posix_remaining(void *ctx);

/* Ticks since boot now, as /proc/PID/stat counts them. */
uint64_t mvm_posix_ticks(void);

/* Moves processes of the build that are not in its cgroup there. */
void mvm_posix_adopt(struct mvm_posix *p);

/* ---- child.c ---- */

/* Where a child reports to its parent: behind 0, 1 and 2. */
enum { MVM_POSIX_REPORT_FD = 3 };

/* Moves these to 0, 1 and 2 and `*report` to its place, and closes all others. False: errno. */
bool mvm_posix_child_descriptors(const int standard[3], int *report);

/* Every signal does what it does by default, none is blocked. */
void mvm_posix_child_signals(void);

/* ---- start.c ---- */

/* Waits for a child's end. */
void mvm_posix_collect(pid_t pid);

/* Starts argv[0] with p->env as the leader of a session, with these as 0, 1 and 2 and nothing else,
 * in p's cgroup if there is one. 0, and p->pid is set; or an errno. `*cgroup_err`: why it is not in
 * there. */
int mvm_posix_start(struct mvm_posix *p, const char *const argv[], const int standard[3],
                    int *cgroup_err);

/* ---- cgroup.c ---- */

/* Makes a cgroup for the next build, or none where config allows that. Negative: the reason. */
int mvm_posix_cgroup_make(struct mvm_posix *p);

/* Moves a process in, 0: this one; one that has ended already is no error. 0 or an errno. */
int mvm_posix_cgroup_enter(const struct mvm_posix *p, pid_t pid);

/* Whether a process, given by its directory in /proc, is in the build's cgroup or below it; no
 * where there is none. */
bool mvm_posix_cgroup_holds(const struct mvm_posix *p, int process);

/* Whether a live process is in it. */
bool mvm_posix_cgroup_populated(const struct mvm_posix *p);

/* SIGKILL to all in it, at once. False: this kernel cannot. */
bool mvm_posix_cgroup_kill(struct mvm_posix *p);

/* Stops all in it, or lets them go on. False: this kernel cannot (before 5.2). */
bool mvm_posix_cgroup_freeze(struct mvm_posix *p, bool frozen);

/* Removes it, with those made below it. */
void mvm_posix_cgroup_remove(struct mvm_posix *p);

/* ---- superblock.c ---- */

/* The file system on an open device, by its name in mount(2); NULL: unknown. */
const char *mvm_posix_superblock_type(int fd);

/* ---- mount.c ---- */
int mvm_posix_make_dir(void *ctx, const char *dir);
int mvm_posix_is_mounted(void *ctx, const char *dir);
int mvm_posix_mount(void *ctx, const char *device, const char *dir, bool read_only);
int mvm_posix_sync_fs(void *ctx, const char *dir);
int mvm_posix_unmount(void *ctx, const char *dir);
int mvm_posix_remount_ro(void *ctx, const char *dir);

/* ---- handles.c ---- */

/* The descriptor behind a handle; -1, with a reason: there is none. */
int mvm_posix_handle(struct mvm_posix *p, int handle);

/* Gives an open file a handle; where none is free it is closed, with a reason. */
int mvm_posix_handle_keep(struct mvm_posix *p, int fd);

/* ---- files.c ---- */
int mvm_posix_open_read(void *ctx, const char *path, uint64_t *size);
int mvm_posix_open_new(void *ctx, const char *path);
int mvm_posix_read(void *ctx, int handle, uint8_t *buf, size_t cap);
int mvm_posix_write(void *ctx, int handle, const uint8_t *bytes, size_t len);
int mvm_posix_close(void *ctx, int handle);
int mvm_posix_rename(void *ctx, const char *from, const char *to);
int mvm_posix_remove(void *ctx, const char *path);
int mvm_posix_sync_dir(void *ctx, const char *dir);

/* ---- copy.c ---- */

/* Work on a file that may take long, a piece at a time. */
struct mvm_posix_work {
    int from; /* descriptors; a sync has no `from`: -1 */
    int to;
    int64_t max;      /* bytes of a piece */
    int64_t at;       /* how far it is, in both */
    int64_t end;      /* where the source ended when the copy began */
    const char *call; /* what failed … */
    int err;          /* … and the errno */
};

/* > 0 so many bytes further; 0: done; -1: `call` has failed with `err`. */
typedef int64_t mvm_posix_piece(struct mvm_posix_work *w);

mvm_posix_piece mvm_posix_copy_piece;
mvm_posix_piece mvm_posix_sync_piece;

/* ---- aside.c: such work in a process of its own ---- */
int64_t mvm_posix_copy(void *ctx, int from, int to, uint32_t max);
int mvm_posix_sync_file(void *ctx, int handle);

/* Ends the work on a handle, if there is some. False: it has not ended yet. */
bool mvm_posix_aside_release(struct mvm_posix *p, int handle);

/* Ends the work there is and waits for its end. */
void mvm_posix_aside_end(struct mvm_posix *p);

#endif
