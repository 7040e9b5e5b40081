/* Starting a program whose standard input and output are given. */
#ifndef MVM_CHILD_H
#define MVM_CHILD_H

#include <sys/types.h>

/* Searches PATH. `in`: -1 for ours. The program has every signal as a fresh process has it, not
 * blocked and ignored as here. Its pid; -1: errno is set. */
pid_t mvm_child_start(char *const argv[], int in, int out);

#endif
