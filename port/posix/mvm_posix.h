/*
 * The port for Linux: posix_spawn(3), pidfds, mount(2), copies in the kernel. It implements
 * executor/mvm_port.h and calls no allocator itself.
 *
 * Life: init → (the executor uses it) → fini, which ends a build that still runs. One struct of
 * the caller's holds everything; one build at a time, from one thread.
 *
 * In somebody else's process it touches nothing that is not its own: it waits for the child it
 * started (pidfd, or waitpid(pid) on kernels before 5.4) and for no other, installs no signal
 * handler, and only becomes a subreaper when told so.
 *
 * How nothing outlives a build: each runs in a cgroup (v2) of its own where one can be made, and
 * signals go to all in it. Where none can be made, descendants are found through /proc; with
 * `subreaper` set that also finds those whose parents have gone.
 */
#ifndef MVM_POSIX_H
#define MVM_POSIX_H

#include "mvm_limits.h"
#include "mvm_port.h"
#include "mvm_text.h"
#include <sys/types.h>

extern const struct mvm_port mvm_posix_port; /* its context is a struct mvm_posix * */

struct mvm_posix_config {
    const char *nix;        /* the program to run; NULL: looked for */
    bool subreaper;         /* PR_SET_CHILD_SUBREAPER on this process: for a process that has no
                             * other business, as the agent; an init is one anyway */
    bool status_is_handed;  /* the program owns SIGCHLD and reaps every child itself, then calls
                             * mvm_posix_child_exited */
    const char *cgroup;     /* a cgroup v2 directory to make builds' cgroups in; NULL: found out;
                             * "": none, use /proc */
};

enum { MVM_POSIX_HANDLES = 8, MVM_POSIX_ENV = 256 };

struct mvm_posix {
    struct mvm_posix_config config;
    /* ---- the implementation's own, given here so that the caller can own the memory ---- */
    /* … */
};

void mvm_posix_init(struct mvm_posix *p, const struct mvm_posix_config *config);
void mvm_posix_fini(struct mvm_posix *p);

/* Descriptors to poll for reading while a build runs, -1 where there is none: the build's stdout
 * and stderr (where the executor wants them, mvm_executor_wants), and a pidfd. They change with
 * spawn and close_build: ask anew before each wait. No pidfd (kernel before 5.3): step the executor
 * every MVM_KILL_POLL_MS. */
int mvm_posix_output_fd(const struct mvm_posix *p, enum mvm_stream stream);
int mvm_posix_exit_fd(const struct mvm_posix *p);

/* With status_is_handed: child `pid` was reaped with this waitpid(2) status. Returns whether it was
 * the build's first process; any other pid is ignored. */
bool mvm_posix_child_exited(struct mvm_posix *p, pid_t pid, int status);

#endif
