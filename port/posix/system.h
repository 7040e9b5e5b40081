/*
 * Calls to the system besides the port, for the programs of this project: the time, the
 * environment, the names of errors. Not installed.
 */
#ifndef MVM_SYSTEM_H
#define MVM_SYSTEM_H

#include "mvm_text.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

_Static_assert(sizeof(off_t) == 8, "images have more than 2 GiB: -D_FILE_OFFSET_BITS=64");

/* ---- clock.c: a clock's time in nanoseconds; 0: there is no such clock ---- */
uint64_t mvm_posix_clock_ns(clockid_t clock);

/* ---- environment.c: a variable's value; NULL if unset or empty ---- */
const char *mvm_posix_variable(const char *name);

/* ---- absolute.c: writes `path`, below the working directory if it is relative. 0, or an errno:
 * ENAMETOOLONG: it does not fit `cap`; ENOENT: the working directory has no path ---- */
int mvm_posix_absolute(const char *path, char *buf, size_t cap);

/* ---- signals.c ---- */

/* SIG_DFL or SIG_IGN for a signal. */
void mvm_posix_signal(int sig, void (*handler)(int));

/* For a helper process: ignores what is sent to the agent's terminal, group or service, which is
 * for the agent to handle, and what a write can raise. */
void mvm_posix_helper_signals(void);

/* Whether a signal is ignored. SIGCHLD also is if the kernel is to discard exit statuses. */
bool mvm_posix_signal_ignored(int sig);

/* ---- worker.c: fork(2) without libc's handlers; the child may make system calls only ---- */
pid_t mvm_posix_fork(void);

/* ---- child.c: in a child: moves these to 0, 1 and 2 and `*report` to 3, and closes all others.
 * False: errno ---- */
bool mvm_posix_child_descriptors(const int standard[3], int *report);

/* ---- mount.c: makes a folder, with that mode, and what is missing above it; the slashes in `path`
 * are cut and put back. 0, also if it is there, or an errno ---- */
int mvm_posix_make_path(char *path, mode_t mode);

/* Whether an open block device cannot be written. */
bool mvm_posix_device_is_read_only(int fd);

/* ---- mount_reason.c: why a mount has failed ---- */
struct mvm_posix_kmsg {
    int fd; /* the kernel's log, from now on; -1: it cannot be read */
};

void mvm_posix_kmsg_open(struct mvm_posix_kmsg *k);
void mvm_posix_kmsg_close(struct mvm_posix_kmsg *k);

/* Appends ": " and what is known besides the errno: from the super block, else the kernel's log. */
void mvm_posix_explain_mount(struct mvm_writer *w, const char *device, bool read_only,
                             struct mvm_posix_kmsg *k);

/* ---- superblock.c: which file system is on an open device; NULL: no mark that is known ---- */
const char *mvm_posix_superblock_type(int fd);

/* ---- errors.c ---- */

/* The text for an errno; unknown_error for one without a text here. Static. */
const char *mvm_posix_error_text(int err);
extern const char mvm_posix_unknown_error[14];

#endif
