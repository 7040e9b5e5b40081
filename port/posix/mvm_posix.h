/*
 * The port for Linux: posix_spawn(3), clone3(2) or vfork(2), pidfds, and a worker: a child process
 * that does all disk I/O, from mount(2) to the last sync, so that no call of this port waits for a
 * disk. In the calling process the port reads /proc, /sys, /etc and the environment, and execve(2)
 * reads nix from the file system that this program is on itself. It implements executor/mvm_port.h
 * and never allocates; libc does for the length of a posix_spawn.
 *
 * Life: init → (the executor uses it) → fini, which ends a build that still runs. All state is in
 * one struct, which the caller owns; one build at a time, from one thread.
 *
 * Embedded in another program it leaves all else alone: it waits only for children that it started
 * (by pidfd, or by pid on kernels before 5.4) and, if this process reaps orphans, for those of the
 * build; it installs no signal handler, and becomes a subreaper only if configured. Every
 * descriptor that it opens is close-on-exec. SIGCHLD must not be ignored in the program, or the
 * kernel discards exit statuses: spawn then fails. A thread in spawn is not cancelled
 * (pthread_cancel) before spawn has returned.
 *
 * How all processes of a build are ended: each build runs in its own cgroup (v2) if one can be
 * created, and signals go to all processes in it; those of builds that a killed program left are
 * ended with the next job, or by mvm_posix_end_left_over. Without one, descendants and processes
 * of the build's session are found through /proc; with `subreaper` set also those whose parents
 * have ended. The first process and its process group are always signalled. What cannot be
 * guaranteed on a system is reported by the port's `limits` and listed in docs/processes.md.
 */
#ifndef MVM_POSIX_H
#define MVM_POSIX_H

#include "mvm_limits.h"
#include "mvm_port.h"
#include "mvm_text.h"
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const struct mvm_port mvm_posix_port; /* its context is a struct mvm_posix * */

/* Strings are borrowed until fini. A zeroed struct is a valid configuration. */
struct mvm_posix_config {
    const char *nix; /* the program to run; NULL: searched on PATH, in nix's profiles, in
                      * the store */
    bool subreaper;  /* PR_SET_CHILD_SUBREAPER on this process, from its first build to fini: for a
                      * program that has no other children, such as the agent, nor another port
                      * that builds: without cgroups, every child that was started after the
                      * build's first process counts as the build's, and is ended with it */
    bool caller_reaps;  /* the program, or its loop, as libev's default one, reaps every child; it
                         * must then pass each to mvm_posix_child_exited: a build whose process
                         * was not passed fails MVM_STATUS_WAIT_MS after its end */
    const char *cgroup; /* a cgroup v2 directory for the builds' cgroups: if it cannot be
                         * used, spawn fails; NULL: this process's own, /proc if that cannot
                         * be used; "": none, use /proc */
};

/* Bytes of a reason. Past it: it ends with " [cut]". */
enum { MVM_POSIX_REASON_CAP = 512 };

enum { MVM_POSIX_CGROUP_NAME_CAP = 64 };

/* One of the build's output pipes. */
struct mvm_posix_output {
    int fd;        /* our end; -1: none */
    int store[2];  /* a second pipe, for a build that prints fast; -1: not needed yet */
    size_t stored; /* bytes in it, which precede those in the build's pipe */
    bool floods;   /* the last read filled its buffer */
};

/* The events that make the port's one descriptor readable. */
enum mvm_posix_source {
    MVM_POSIX_OF_STDOUT,
    MVM_POSIX_OF_STDERR,
    MVM_POSIX_OF_EXIT,
    MVM_POSIX_OF_WORKER,
    MVM_POSIX_OF_LOG,
    MVM_POSIX_OF_FEED,
    MVM_POSIX_SOURCES,
};

struct mvm_posix_watch {
    int epoll;                    /* -1: could not be made */
    int timer;                    /* -1: not needed yet */
    int armed[MVM_POSIX_SOURCES]; /* descriptors in the set; -1: none */
};

/* Data of a file that the worker has passed on and that was not read yet. */
struct mvm_posix_passed {
    size_t left; /* bytes in the pipe */
    uint64_t at; /* their offset in the file */
    char path[MVM_PATH_MAX];
};

/* With caller_reaps: a child that has ended, and whose status was not passed on yet. */
struct mvm_posix_awaited {
    uint64_t polled_ms;
    uint32_t polls; /* 0: it has not ended */
};

/* The process that does all disk I/O. */
struct mvm_posix_worker {
    pid_t pid;     /* 0: none, or it was reaped */
    int fd;        /* a socket: requests and their answers; -1: none */
    int log;       /* a socket: the bytes of build.log */
    int data;      /* a pipe: the bytes of read_data */
    uint8_t asked; /* the call in progress; 0: none is */
    bool ending;
    int pidfd;  /* -1: none */
    int status; /* as of waitpid(2) */
    struct mvm_posix_awaited awaited;
    uint64_t logged; /* bytes written to `log` since it was opened */
    struct mvm_posix_passed passed;
    unsigned hung_len;
    pid_t hung[MVM_POSIX_HUNG_MAX]; /* abandoned workers, whose disks hang */
    bool claims;                    /* this one may have claimed the output directory … */
    bool hung_claims;               /* … or one of those */
    /* in the worker itself: */
    int log_file;
    int log_error; /* an errno */
    int claim;     /* the output directory, which is this job's; -1: none */
    int reading;   /* the file that read_file reads in pieces */
};

/* The ways to start a build, best first. */
enum mvm_posix_way {
    MVM_POSIX_ANY_WAY, /* the best that works */
    MVM_POSIX_BY_SPAWN,
    MVM_POSIX_BY_CLONE,
    MVM_POSIX_BY_VFORK,
};

struct mvm_posix {
    struct mvm_posix_config config;
    /* ---- the implementation's own, given here so that the caller can own the memory ---- */

    /* the build */
    pid_t pid; /* its first process, reaped by close_build; 0: no build */
    int pidfd; /* -1: none */
    struct mvm_posix_output output[MVM_PORT_STREAMS];
    int cgroup;        /* its directory; -1: none */
    int cgroup_parent; /* its parent's directory */
    int cgroup_kill;   /* its cgroup.kill; -1: none, freeze instead */
    bool exited;       /* `exit` is known */
    bool lost;         /* … and never will be: another part of the program has taken it */
    struct mvm_posix_awaited awaited;
    bool became_subreaper;  /* for fini to restore */
    bool no_cgroup_kill;    /* for tests: as if the kernel had no cgroup.kill */
    enum mvm_posix_way way; /* for tests: the only way to start a build */
    struct mvm_exit exit;
    uint64_t since;           /* when the build was started: ticks since boot */
    uint64_t held_since_ms;   /* since when its processes are being stopped; 0: they are not */
    uint64_t survivors_since; /* of an earlier build that was closed with processes left; 0: none */
    const char *root;         /* for tests: prefix of the fixed paths; else "" */

    int feed; /* a socket: the stdin of a process that is fed; -1: none */

    const struct mvm_posix *beside; /* another port of this process, whose worker is no process of
                                     * this one's build; NULL: none. After init */

    struct mvm_posix_watch watch;
    struct mvm_posix_worker worker;
    char cgroup_name[MVM_POSIX_CGROUP_NAME_CAP];

    /* what spawn passes to the child */
    const char *env[MVM_POSIX_ENV + 1];
    char home[MVM_PATH_MAX];
    char nix_config[MVM_POSIX_NIX_CONFIG_CAP];

    char limits[MVM_POSIX_REASON_CAP]; /* what cannot be guaranteed for this build; "": nothing */
    char reason[MVM_POSIX_REASON_CAP];
};

/* Copies `config`; opens one descriptor, mvm_posix_fd. */
void mvm_posix_init(struct mvm_posix *p, const struct mvm_posix_config *config);
#define mvm_posix_init(...) (mvm_limits_match(), mvm_posix_init(__VA_ARGS__))

/* Ends the builds that a killed program with the same parent cgroup has left running. Each job does
 * the same before its first disk call: this is for a program that may get none. */
void mvm_posix_end_left_over(const struct mvm_posix *p);

/* Collects abandoned workers that have ended, as the next job would. Returns how many have not.
 * With caller_reaps the program collects them. */
unsigned mvm_posix_reap(struct mvm_posix *p);

/* Ends a build that still runs, and a worker, by SIGKILL, and waits up to two seconds for both,
 * plus one scan of /proc; closes everything. The struct may be used again after another init.
 */
void mvm_posix_fini(struct mvm_posix *p);

/* The one descriptor to poll for reading, level or edge triggered, from init to fini: it is
 * readable when the executor should be stepped. -1 if the process had no descriptor left at init:
 * then step the executor every MVM_KILL_POLL_MS. */
int mvm_posix_fd(const struct mvm_posix *p);

/* With caller_reaps: child `pid` was reaped with this waitpid(2) status. True: it was the
 * build's first process or a worker: step the executor. Any other pid is ignored. */
bool mvm_posix_child_exited(struct mvm_posix *p, pid_t pid, int status);

MVM_LAYOUT_OF(struct mvm_posix, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
