/* What the port's files share; each section is the file of that name. */
#ifndef MVM_POSIX_INTERNAL_H
#define MVM_POSIX_INTERNAL_H

#include "mvm_posix.h"
#include "small_files.h"
#include "system.h"
#include <sys/stat.h>

/* ---- reason.c ---- */

/* Sets the reason to "CALL: text of err" and returns the port's error for it: NOT_FOUND,
 * NOT_DIRECTORY, BUSY or FAILED. */
int mvm_posix_fail(struct mvm_posix *p, const char *call, int err);

/* Sets the reason to "CALL NAME: text of errno", for a file that the job's message does not name,
 * and returns FAILED. */
int mvm_posix_fail_file(struct mvm_posix *p, const char *call, const char *path);

/* Sets the reason to "CALL: text" and returns FAILED. */
int mvm_posix_fail_text(struct mvm_posix *p, const char *call, const char *text);

/* ---- environment.c: fills p->env; a port error and reason if it does not fit ---- */
int mvm_posix_environment(struct mvm_posix *p);

/* A build's PATH if the environment has none. */
const char *mvm_posix_default_path(void);

/* ---- find_nix.c ---- */
int mvm_posix_find_nix(void *ctx, char *path, size_t cap);

/* ---- preload.c: reads what execve(2) of a program will read ---- */
void mvm_posix_preload(const char *program);

/* ---- pipes.c: the build's pipes ---- */
void mvm_posix_output_none(struct mvm_posix_output *o);

/* A pipe, and the build's end of it. 0 or an errno. */
int mvm_posix_output_open(struct mvm_posix_output *o, int *theirs);
void mvm_posix_output_close(struct mvm_posix_output *o);
int mvm_posix_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);

/* ---- spawn.c ---- */
int mvm_posix_spawn(void *ctx, const char *const argv[]);
int mvm_posix_spawn_fed(void *ctx, const char *const argv[]);
void mvm_posix_close_build(void *ctx);

/* ---- exit.c ---- */
int mvm_posix_poll_exit(void *ctx, struct mvm_exit *e);

/* With caller_reaps: whether a child has ended, and its status is still missing after
 * MVM_STATUS_WAIT_MS. */
bool mvm_posix_is_overdue(struct mvm_posix_awaited *a, pid_t pid, int pidfd);

/* Whether the program has reaped a child. */
bool mvm_posix_is_reaped(pid_t pid);

/* Waits for a child's end. */
void mvm_posix_collect(pid_t pid);

/* ---- feed.c: the stdin of a process, from the executor ---- */
int mvm_posix_feed(void *ctx, const uint8_t *bytes, size_t len);
void mvm_posix_end_feed(void *ctx);

/* ---- proc.c: processes as /proc shows them ---- */
struct mvm_posix_process {
    pid_t pid;
    pid_t parent;
    pid_t session;
    char state;
    uint64_t threads;
    uint64_t since; /* when it began, in ticks since boot */
};

/* Ticks since boot now, as /proc/PID/stat counts them. */
uint64_t mvm_posix_ticks(void);

/* Reads PID/stat at a path below `dir`. False: errno. */
bool mvm_posix_process_read(int dir, const char *path, struct mvm_posix_process *is);
bool mvm_posix_process_is_dead(const struct mvm_posix_process *is);
bool mvm_posix_process_is_stopped(const struct mvm_posix_process *is);

/* "/proc/PID" and `rest`, into buf, which is returned. */
const char *mvm_posix_pid_path(char *buf, size_t cap, pid_t pid, const char *rest);

/* Whether /proc is mounted for this process's pid namespace, so that its numbers can be used. */
bool mvm_posix_proc_is_usable(void);

/* ---- members.c: which processes are the build's ---- */

struct mvm_posix_member {
    pid_t pid;
    uint32_t since; /* the low half: with the number it names a process */
};

struct mvm_posix_members {
    size_t len;
    struct mvm_posix_member list[MVM_POSIX_MEMBERS];
};

/* A walk over the build's processes. Fields are for reading. */
struct mvm_posix_scan {
    const struct mvm_posix *p;
    struct mvm_posix_members *members;
    pid_t self;
    uint64_t since; /* processes that are older are not the build's */
    pid_t session;  /* the first process's number; 0: it may be reused */
    int err;        /* why a process could not be examined; 0: all were */
    bool unusable;  /* /proc shows other processes than this one's, or none */

    struct mvm_posix_process is; /* the process found … */
    int dir;                     /* … its directory … */
    bool is_new;                 /* … and whether it lives and was not on the list before */

    struct mvm_posix_directory proc;
    int pass;
    size_t len_before;
    bool again;
};

/* Begins a scan that adds to `members` (its len is the caller's to set). */
void mvm_posix_scan_begin(struct mvm_posix_scan *s, const struct mvm_posix *p,
                          struct mvm_posix_members *members);

/* The next process of the build, zombies included; a live one may be returned more than once, but
 * with is_new only once. False: no more. */
bool mvm_posix_scan_next(struct mvm_posix_scan *s);

/* Opens a listed process as the scan's. False: it has ended. */
bool mvm_posix_scan_open(struct mvm_posix_scan *s, const struct mvm_posix_member *member);
void mvm_posix_scan_end(struct mvm_posix_scan *s);

/* ---- tree.c: signals to the build's processes, and what is left of them ---- */
int mvm_posix_signal_build(void *ctx, enum mvm_signal signal);
int mvm_posix_remaining(void *ctx);

/* Whether processes of a build that was closed with some left may still run. Reaps those that have
 * ended. */
bool mvm_posix_has_survivors(const struct mvm_posix *p);

/* SIGKILL to the first process and its process group. */
void mvm_posix_kill_group(const struct mvm_posix *p);

/* ---- guarantees.c: what cannot be guaranteed here ---- */
void mvm_posix_find_limits(struct mvm_posix *p); /* after a build's start, into p->limits */
const char *mvm_posix_limits(void *ctx);

/* ---- child.c ---- */

/* The descriptor on which a child reports to its parent: after 0, 1 and 2. */
enum { MVM_POSIX_REPORT_FD = 3 };

/* Resets all signals to their defaults and unblocks them. */
void mvm_posix_child_signals(void);

/* System calls that are not cancellation points, as libc's open, write and close are. */
int mvm_posix_raw_open(int dir, const char *path, int flags);
long mvm_posix_raw_write(int fd, const void *bytes, size_t len);
void mvm_posix_raw_close(int fd);

/* ---- start.c ---- */

/* A program to start with p->env as the leader of a session, in p's cgroup if there is one. */
struct mvm_posix_program {
    const char *const *argv;
    const int
        *standard; /* its 0, 1 and 2, all above 2 in this process; it gets no other descriptor */
};

/* A process's oom_score_adj. */
#define mvm_posix_oom_score_adj "/proc/self/oom_score_adj"

/* 0, and p->pid is set; or an errno. `*cgroup_err`: why it is not in its cgroup. */
int mvm_posix_start(struct mvm_posix *p, const struct mvm_posix_program *program, int *cgroup_err);

/* ---- start_spawn.c, start_fork.c: the ways, 0 or an errno ---- */
int mvm_posix_start_spawn(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid);
int mvm_posix_start_clone(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid);
int mvm_posix_start_vfork(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid, int *cgroup_err);

/* ---- cgroup.c ---- */

/* Makes a cgroup for the next build, or none if config allows that. Negative: the reason. */
int mvm_posix_cgroup_make(struct mvm_posix *p);

/* Moves a process in; 0: this one. If it has ended already that is not an error. 0 or an errno. */
int mvm_posix_cgroup_enter(const struct mvm_posix *p, pid_t pid);

/* Whether a process, given by its directory in /proc, is in the build's cgroup or below it. False
 * if there is no cgroup. */
bool mvm_posix_cgroup_holds(const struct mvm_posix *p, int process);

/* Whether a live process is in it. */
bool mvm_posix_cgroup_populated(const struct mvm_posix *p);

/* SIGKILL to all in it, atomically. False: it cannot be done. */
bool mvm_posix_cgroup_kill(struct mvm_posix *p);

/* Freezes or thaws it, which takes a moment; a process that is forked meanwhile is frozen, too.
 * False: this kernel cannot (before 5.2). */
bool mvm_posix_cgroup_freeze(struct mvm_posix *p, bool frozen);
bool mvm_posix_cgroup_is_frozen(const struct mvm_posix *p);

/* Removes it, with those made below it. */
void mvm_posix_cgroup_remove(struct mvm_posix *p);

/* ---- watch.c ---- */
void mvm_posix_watch_init(struct mvm_posix *p);
void mvm_posix_watch_fini(struct mvm_posix *p);

/* Wakes the loop when `fd` can be read, or has room; until off, which comes before it is
 * closed: a copy in another process would keep it in the set. */
void mvm_posix_watch(struct mvm_posix *p, enum mvm_posix_source of, int fd, bool for_room);
void mvm_posix_watch_off(struct mvm_posix *p, enum mvm_posix_source of);
void mvm_posix_pause(void *ctx);

/* A descriptor that can be read in MVM_KILL_POLL_MS. */
int mvm_posix_timer(struct mvm_posix *p);

/* The descriptor to watch for a child's end: its pidfd, or a timer to poll by; -1: the program
 * reports the end. */
int mvm_posix_exit_fd(struct mvm_posix *p, const struct mvm_posix_awaited *a, int pidfd);

/* ---- watched.c: calls of pipes.c, exit.c and spawn.c, with a watch on what they wait for ---- */
int mvm_posix_read_watched(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);
int mvm_posix_poll_exit_watched(void *ctx, struct mvm_exit *e);
void mvm_posix_close_watched(void *ctx);

/* ---- memory.c ---- */

/* Enables the memory controller, if possible, so that the kernel counts its OOM kills per build. */
void mvm_posix_count_memory(int parent);
int mvm_posix_out_of_memory(void *ctx);

/* ---- mount.c: the worker's side of the port's calls ---- */
int mvm_posix_make_dir(struct mvm_posix *p, const char *dir);
int mvm_posix_mount(struct mvm_posix *p, const char *device, const char *dir, bool read_only);
int mvm_posix_sync_fs(struct mvm_posix *p, const char *dir);
int mvm_posix_unmount(struct mvm_posix *p, const char *dir);
int mvm_posix_remount_ro(struct mvm_posix *p, const char *dir);
int mvm_posix_released(struct mvm_posix *p, const char *device);

/* ---- mounted.c: likewise ---- */

/* The kernel's id of the mount that an open file is on; 0: unknown. */
uint64_t mvm_posix_mount_of(int fd);

/* Appends "on " and where a device is mounted. False: it is not, in this mount namespace. */
bool mvm_posix_add_mount_point(const char *device, struct mvm_writer *w);
int mvm_posix_mounted(struct mvm_posix *p, const char *dir, const char *device);

/* ---- files.c, open_source.c: likewise ---- */

/* Opens a regular file below the directory `within` (NULL: anywhere) for reading; anything else is
 * refused before it is opened. The descriptor; NOT_FOUND, NOT_REGULAR, SOURCE_FAILED. */
int mvm_posix_open_source(struct mvm_posix *p, const char *within, const char *path);
int mvm_posix_open_new(struct mvm_posix *p, const char *path); /* the descriptor */
int mvm_posix_find_file(struct mvm_posix *p, const char *path);
int mvm_posix_read_file(struct mvm_posix *p, const char *path, uint64_t offset, char *buf,
                        size_t cap);
int mvm_posix_put(struct mvm_posix *p, const char *path, const char *text);
int mvm_posix_replaceable(struct mvm_posix *p, const char *path);
int mvm_posix_rename(struct mvm_posix *p, const char *from, const char *to);
int mvm_posix_remove(struct mvm_posix *p, const char *path);
int mvm_posix_sync_dir(struct mvm_posix *p, const char *dir);

/* ---- bulk.c: likewise, for builds without disks ---- */
int mvm_posix_remove_tree(struct mvm_posix *p, const char *path);
int mvm_posix_file_size(struct mvm_posix *p, const char *within, const char *path, uint64_t *size);

/* What read_data keeps open between two calls. */
struct mvm_posix_reading {
    int fd;             /* -1: none */
    struct stat before; /* as it was opened */
    uint64_t data;      /* it has data from here … */
    uint64_t hole;      /* … to here; the same: not known */
    char path[MVM_PATH_MAX];
};

/* Puts up to `cap` bytes of data into the empty pipe `to`, after it has moved `*offset` past a
 * hole.
 */
int64_t mvm_posix_pass_data(struct mvm_posix *p, struct mvm_posix_reading *r, uint64_t size,
                            const char *within, const char *path, uint64_t *offset, int to,
                            size_t cap);

/* ---- copy.c ---- */

/* Work on a file, a piece at a time. */
struct mvm_posix_work {
    int from; /* descriptors; a sync has no `from`: -1 */
    int to;
    int64_t max;      /* bytes of a piece */
    int64_t at;       /* the offset, in both */
    int64_t end;      /* size of the source when the copy began */
    const char *call; /* what failed … */
    int err;          /* … and the errno */
};

/* > 0 so many bytes further; 0: done; -1: `call` has failed with `err`. */
int64_t mvm_posix_copy_piece(struct mvm_posix_work *w);
int64_t mvm_posix_sync_piece(struct mvm_posix_work *w);

/* ---- copy_file.c ---- */
struct mvm_posix_copy {
    const char *within; /* NULL: anywhere */
    const char *from;
    const char *to;
    void (*report)(void *ctx, int64_t bytes, uint64_t size); /* bytes since the last one */
    void *ctx;
};

/* 0: the target is complete and durable; `*size`: the source's. */
int64_t mvm_posix_copy_file(struct mvm_posix *p, const struct mvm_posix_copy *copy, uint64_t *size);

/* Whether an open file was not written to since. Its ctime may change: nix joins equal files of its
 * store by links. */
bool mvm_posix_is_unchanged(int fd, const struct stat *before);

/* ---- worker.c: the agent's side ---- */

enum mvm_posix_call {
    MVM_POSIX_NONE,
    MVM_POSIX_MAKE_DIR,
    MVM_POSIX_MOUNTED,
    MVM_POSIX_MOUNT,
    MVM_POSIX_SYNC_FS,
    MVM_POSIX_UNMOUNT,
    MVM_POSIX_REMOUNT_RO,
    MVM_POSIX_RELEASED,
    MVM_POSIX_FIND_NIX,
    MVM_POSIX_READ_FILE,
    MVM_POSIX_FIND_FILE,
    MVM_POSIX_COPY,
    MVM_POSIX_PUT,
    MVM_POSIX_REPLACEABLE,
    MVM_POSIX_RENAME,
    MVM_POSIX_REMOVE,
    MVM_POSIX_SYNC_DIR,
    MVM_POSIX_OPEN_LOG,
    MVM_POSIX_CLOSE_LOG,
    MVM_POSIX_REMOVE_TREE,
    MVM_POSIX_FILE_SIZE,
    MVM_POSIX_READ_DATA,
};

enum { MVM_POSIX_TEXTS = 3 };

struct mvm_posix_ask {
    enum mvm_posix_call call;
    bool read_only;
    uint64_t number;
    uint64_t expected;                 /* the size that a file to read has */
    const char *text[MVM_POSIX_TEXTS]; /* NULL is "" */
    void *room;                        /* for the data of the result */
    size_t cap;
    uint64_t *size; /* NULL: not wanted */
};

/* On the socket: a request and its texts, each with its NUL byte. */
struct mvm_posix_request {
    uint8_t call;
    bool read_only;
    uint16_t len[MVM_POSIX_TEXTS];
    uint32_t cap;
    uint64_t number;
    uint64_t expected;
};

/* Its answer, followed by the data; after a failure by the reason. */
struct mvm_posix_answer {
    int64_t result;
    uint64_t number;
    char text[MVM_PATH_MAX];
};

void mvm_posix_worker_init(struct mvm_posix *p);
void mvm_posix_worker_fini(struct mvm_posix *p, uint64_t until_ns); /* waits for abandoned ones */

/* Waits a moment for what fini has killed. False: it is `until_ns`. */
bool mvm_posix_fini_waits(uint64_t until_ns);
int64_t mvm_posix_ask(struct mvm_posix *p, const struct mvm_posix_ask *ask);

/* Whether a child of this process is a worker, not a process of a build. */
bool mvm_posix_is_worker(const struct mvm_posix *p, pid_t pid);

/* Handles a child whose status the caller has collected. False: it is not a worker. */
bool mvm_posix_worker_exited(struct mvm_posix *p, pid_t pid);

int mvm_posix_write_log(void *ctx, const uint8_t *bytes, size_t len);
int mvm_posix_stop(void *ctx);
int mvm_posix_abandon(void *ctx);
int mvm_posix_end_job(void *ctx);

/* ---- claim.c: the worker's side; the output directory is this job's ---- */

/* Mounts the output disk, and keeps others from unmounting it. BUSY, as for the next. */
int mvm_posix_mount_claimed(struct mvm_posix *p, const char *device, const char *dir);

/* Locks the directory of a file that is to be made. BUSY: another agent has. */
int mvm_posix_claim(struct mvm_posix *p, const char *file);

/* 0: a file's name is in the claimed directory, if one is claimed, and is not a mount point. */
int mvm_posix_check_claim(struct mvm_posix *p, const char *file);

/* Before `dir` is unmounted. */
void mvm_posix_drop_claim(struct mvm_posix *p, const char *dir);

/* ---- serve.c: the worker's side; returns when the agent's has gone ---- */
void mvm_posix_serve(struct mvm_posix *p, int requests, int log, int data);

/* ---- data_pipe.c: what came through the pipe ---- */

/* Bytes for one request of a reader that continues where it was. Some pieces, so that neither side
 * is woken for each; it takes no memory, since the pages are the file's. */
enum { MVM_POSIX_PASS_SIZE = 262144 };

/* ---- calls.c: the port's calls for disks, each as a request ---- */
int mvm_posix_ask_make_dir(void *ctx, const char *dir);
int mvm_posix_ask_mounted(void *ctx, const char *dir, const char *device);
int mvm_posix_ask_mount(void *ctx, const char *device, const char *dir, bool read_only);
int mvm_posix_ask_sync_fs(void *ctx, const char *dir);
int mvm_posix_ask_unmount(void *ctx, const char *dir);
int mvm_posix_ask_remount_ro(void *ctx, const char *dir);
int mvm_posix_ask_released(void *ctx, const char *device);
int mvm_posix_ask_find_nix(void *ctx, char *path, size_t cap);
int mvm_posix_ask_read_file(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap);
int mvm_posix_ask_find_file(void *ctx, const char *path);
int64_t mvm_posix_ask_copy(void *ctx, const char *within, const char *from, const char *to,
                           uint64_t *size);
int mvm_posix_ask_put(void *ctx, const char *path, const char *text);
int mvm_posix_ask_replaceable(void *ctx, const char *path);
int mvm_posix_ask_rename(void *ctx, const char *from, const char *to);
int mvm_posix_ask_remove(void *ctx, const char *path);
int mvm_posix_ask_sync_dir(void *ctx, const char *dir);
int mvm_posix_ask_open_log(void *ctx, const char *path);
int mvm_posix_ask_close_log(void *ctx);
int mvm_posix_ask_remove_tree(void *ctx, const char *path);
int mvm_posix_ask_file_size(void *ctx, const char *within, const char *path, uint64_t *size);
int64_t mvm_posix_ask_read_data(void *ctx, const char *within, const char *path, uint64_t size,
                                uint64_t *offset, uint8_t *buf, size_t cap);

#endif
