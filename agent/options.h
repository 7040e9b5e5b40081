/*
 * The command line. Parsing changes only its arguments, and borrows the strings in argv.
 */
#ifndef MVM_OPTIONS_H
#define MVM_OPTIONS_H

#include "mvm_address.h"
#include "mvm_executor.h"
#include "mvm_limits.h"
#include "mvm_posix.h"
#include "mvm_scheduler.h"
#include "mvm_text.h"

enum { MVM_ALLOWED_CIDS_MAX = 16, MVM_MODULES_MAX = 32 };

enum mvm_power {
    MVM_POWER_OFF,
    MVM_POWER_REBOOT,
    MVM_POWER_HALT,
};

/* A kernel module's file or name; `list`: a file that lists files, a path on each line, or a
 * directory of modules. */
struct mvm_module {
    const char *path;
    bool list;
};

/* The agent's options. The struct points into itself: do not copy it. */
struct mvm_options {
    struct mvm_address listen[MVM_LISTENERS_MAX];
    size_t listen_len;
    uint32_t allowed_cids[MVM_ALLOWED_CIDS_MAX]; /* besides the host, 2 */
    size_t allowed_cids_len;
    bool any_cid;
    struct mvm_nix_option nix_options[MVM_NIX_OPTIONS_MAX];
    struct mvm_executor_config executor;
    struct mvm_scheduler_config scheduler;
    struct mvm_posix_config posix;
    bool exit_after_build; /* stop after the first answered build */
    uint32_t exit_idle_ms; /* stop after so long without a build or a client; 0: never */
    bool policy_unclear;   /* an option of the policy was a mistake */

    /* ---- of a machine's first process alone ---- */
    bool init;
    bool contained; /* the pid namespace's alone, as in a container: see mvm_power_end */
    struct mvm_module modules[MVM_MODULES_MAX]; /* in the order given */
    size_t modules_len;
    const char *root;         /* a block device to switch to; NULL: stay */
    const char *store;        /* a block device for /nix; NULL: the root's own */
    uint64_t host_epoch_secs; /* the host's time when it started the machine; 0: not given */
    enum mvm_power end;
};

enum mvm_options_result {
    MVM_OPTIONS_RUN,
    MVM_OPTIONS_HELP,
    MVM_OPTIONS_VERSION,
    MVM_OPTIONS_MISTAKE, /* `why` names the option, the value and what is wrong with it */
};

/* Fills `*o` with defaults, then with argv[1 … argc-1]. The first --help, --version or mistake
 * ends it. */
enum mvm_options_result mvm_options_parse(struct mvm_options *o, int argc, char *const argv[],
                                          struct mvm_writer *why);

/* The same in steps, to parse options from several places and continue after a mistake, which is
 * ignored: begin, then parse_one for each of `*at` = 1 … argc-1 (it leaves `*at` at the last value
 * it used), then end. After a mistake in an option of the policy, end sets a policy that rejects
 * every build. */
void mvm_options_begin(struct mvm_options *o);
enum mvm_options_result mvm_options_parse_one(struct mvm_options *o, int argc, char *const argv[],
                                              int *at, struct mvm_writer *why);
void mvm_options_end(struct mvm_options *o);

/* Writes which disks are used only because no option names any, and how to prevent that. False:
 * none is. */
bool mvm_options_default_disks(const struct mvm_options *o, struct mvm_writer *w);

/* Every option with its default, for people; under 4 KiB. */
void mvm_options_help(struct mvm_writer *w);

#endif
