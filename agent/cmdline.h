/*
 * Options on the kernel's command line, so that a machine needs no file for them:
 *     mvm.listen=serial:org.mvm.builder mvm.exit-after-build mvm.nix-option=cores=2
 * stands for --listen=serial:org.mvm.builder --exit-after-build --nix-option=cores 2. Quotes hold
 * blanks together as they do for the kernel. What stands behind a word "--" is left alone: the
 * kernel hands it to process 1 as arguments.
 */
#ifndef MVM_CMDLINE_H
#define MVM_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

/* Linux takes up to 4096 bytes, most machines 2048. */
enum { MVM_CMDLINE_CAP = 4096, MVM_CMDLINE_ARGS_MAX = 64 };

/* Turns the words mvm.* of NUL-terminated `text` into arguments, in place: argv[0 … *argc-1] point
 * into it. Every other word is passed over. False: there are more than `max`; those are left out.
 */
bool mvm_cmdline_args(char *text, char *argv[], size_t max, int *argc);

#endif
