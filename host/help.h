/* What --help prints. */
#ifndef MVM_HELP_H
#define MVM_HELP_H

/* The environment's variable that names the agent if --to does not. */
#define MVM_HOST_TO "MVM_BUILDER_TO"

extern const char mvm_host_help[];

#endif
