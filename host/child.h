/* A program whose standard input and output are given: its start and its end. */
#ifndef MVM_CHILD_H
#define MVM_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* Searches PATH. `in`: -1 for ours. The program has every signal as a fresh process has it, not
 * blocked and ignored as here. Its pid; -1: errno is set. */
pid_t mvm_child_start(char *const argv[], int in, int out);

/* Waits for its end. True: it exited with status 0. An end that cannot be learned is a failure:
 * while SIGCHLD is ignored the kernel keeps no status, so the caller must not ignore it (wait.h).
 */
bool mvm_child_succeeds(pid_t pid);

#endif
