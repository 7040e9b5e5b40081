/* What --help prints. */
#ifndef MVM_HELP_H
#define MVM_HELP_H

/* The environment variable with the agent's address if there is no --to. */
#define MVM_HOST_TO "MVM_BUILDER_TO"

extern const char mvm_host_help[];

#endif
