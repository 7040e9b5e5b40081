/*
 * Calls to the system besides the port, for the programs of this project: the time, the
 * environment, the names of errors. Not installed.
 */
#ifndef MVM_SYSTEM_H
#define MVM_SYSTEM_H

#include <stdint.h>
#include <sys/types.h>

/* ---- clock.c: a clock's time in nanoseconds ---- */
uint64_t mvm_posix_clock_ns(clockid_t clock);

/* ---- environment.c: a variable's value; NULL if unset or empty ---- */
const char *mvm_posix_variable(const char *name);

/* ---- child.c: SIG_DFL or SIG_IGN for a signal ---- */
void mvm_posix_signal(int sig, void (*handler)(int));

/* ---- superblock.c: which file system is on an open device; NULL: no mark that is known ---- */
const char *mvm_posix_superblock_type(int fd);

/* ---- errors.c ---- */

/* The text for an errno; unknown_error for one without a text here. Static. */
const char *mvm_posix_error_text(int err);
extern const char mvm_posix_unknown_error[14];

#endif
