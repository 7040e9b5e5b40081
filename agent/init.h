/*
 * What a machine's first process does before it serves: file systems, console, options from the
 * kernel's command line, environment, modules, name, loopback. A step that fails is said on stderr
 * and passed over: a builder that lacks something is better than a machine that does not start.
 */
#ifndef MVM_INIT_H
#define MVM_INIT_H

#include "options.h"

/* Does all of it, and fills `*o` from argv and then from the kernel's command line, whose words
 * hold over those in argv; a word that is no option is said and passed over. Every child's status
 * is the caller's to collect from now on. Once a process, whose environment it may replace. */
void mvm_init_begin(struct mvm_options *o, int argc, char *const argv[]);

#endif
