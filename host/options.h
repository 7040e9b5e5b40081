/* The command line of the host's tool. Strings are borrowed from argv and the environment. */
#ifndef MVM_HOST_OPTIONS_H
#define MVM_HOST_OPTIONS_H

#include "address.h"
#include "mvm_session.h"

enum mvm_host_command {
    MVM_HOST_PING,
    MVM_HOST_WAIT,
    MVM_HOST_BUILD,
    MVM_HOST_HELP,
    MVM_HOST_VERSION,
};

/* The environment's variable that names the agent where --to does not. */
#define MVM_HOST_TO "MVM_BUILDER_TO"

/* How long `wait` waits where nothing is said. */
#define MVM_WAIT_FOR_SECS 60

struct mvm_host_options {
    enum mvm_host_command command;
    struct mvm_peer peer;
    const char *address; /* the peer as it was written */
    const char *flake;   /* BUILD */
    const char *attr;    /* BUILD */
    const char *log;     /* BUILD: a file for the log; NULL: none */
    bool has_timeout;
    uint64_t timeout_secs; /* BUILD, where has_timeout; 0: no limit */
    uint64_t for_secs;     /* WAIT */
    bool json;
    enum mvm_wire wire; /* JSON or PROTO */
};

/* Looks at MVM_HOST_TO where there is no --to. False: a mistake, which has been told on stderr. */
bool mvm_host_options_parse(struct mvm_host_options *o, int argc, char *argv[]);

extern const char mvm_host_help[];

#endif
