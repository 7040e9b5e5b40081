/*
 * Options on the kernel's command line, for an agent that is process 1:
 *     mvm.listen=serial:org.mvm.builder mvm.exit-after-build mvm.nix-option=cores=2
 * is --listen=serial:org.mvm.builder --exit-after-build --nix-option=cores 2. Quotes keep blanks,
 * as for the kernel. Words after "--" are not read: the kernel passes them to process 1 as
 * arguments.
 */
#ifndef MVM_CMDLINE_H
#define MVM_CMDLINE_H

#include <stdbool.h>

enum { MVM_CMDLINE_CAP = 4096 }; /* bytes; Linux takes up to 4096, most machines 2048 */

/* Cuts the next word mvm.* off the NUL-terminated `*rest`, in place: words[0] is the option, with
 * its value after a '='; words[1] the second value of --nix-option. Returns how many there are; 0:
 * no more. */
int mvm_cmdline_next(char **rest, char *words[2]);

/* Whether a quote is not closed: what follows it is one value, and a policy's option may be in
 * there. To be asked before the words are cut off. */
bool mvm_cmdline_is_open(const char *text);

#endif
