/* The command line of the host's tool. Strings are borrowed from argv. */
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

/* How long `wait` waits where nothing is said. */
#define MVM_WAIT_FOR_SECS 60

struct mvm_host_options {
    enum mvm_host_command command;
    struct mvm_peer peer;
    const char *address; /* the peer as it was written */
    const char *flake;   /* BUILD */
    const char *attr;    /* BUILD */
    bool has_timeout;
    uint64_t timeout_secs; /* BUILD, where has_timeout; 0: no limit */
    uint64_t for_secs;     /* WAIT */
    bool json;
    const char *log;    /* BUILD: the file that gets the log, too; NULL: none does */
    enum mvm_wire wire; /* JSON or PROTO */
};

/* False: a mistake, which has been told on stderr. */
bool mvm_host_options_parse(struct mvm_host_options *o, int argc, char *argv[]);

extern const char mvm_host_help[];

#endif
