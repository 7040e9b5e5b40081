/*
 * What a machine's first process does before it serves: file systems, console, options from the
 * kernel's command line, environment, modules, name, loopback. A step that fails is reported on
 * stderr and skipped: a builder that lacks something is better than a machine that does not start.
 */
#ifndef MVM_INIT_H
#define MVM_INIT_H

#include "options.h"

/* Does all of it, and fills `*o` from argv and then from the kernel's command line, whose words
 * override those in argv; a word that is not an option is reported and ignored. Every child's
 * status is the caller's to collect from now on. Once a process, whose environment it may replace.
 */
void mvm_init_begin(struct mvm_options *o, int argc, char *const argv[]);

#endif
