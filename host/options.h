/* The command line of the host's tool. Strings are borrowed from argv and the environment. */
#ifndef MVM_HOST_OPTIONS_H
#define MVM_HOST_OPTIONS_H

#include "address.h"
#include "mvm_session.h"

enum mvm_host_command {
    MVM_HOST_PING,
    MVM_HOST_WAIT,
    MVM_HOST_HELLO,
    MVM_HOST_BUILD,
    MVM_HOST_JOIN,
    MVM_HOST_CANCEL,
    MVM_HOST_HELP,
    MVM_HOST_VERSION,
};

struct mvm_host_options {
    enum mvm_host_command command;
    struct mvm_peer peer;
    const char *address; /* the peer as it was written */
    const char *flake;   /* BUILD */
    const char *attr;    /* BUILD */
    const char *output;  /* BUILD: the folder for the artifacts; NULL: they stay in the guest */
    const char *folder;  /* BUILD: the folder to send, `flake` is in it; NULL: none. Good while the
                          * options are */
    bool all_files;      /* … and what git does not track */
    bool sha256;         /* BUILD, if output */
    uint64_t max_size;   /* likewise: bytes */
    const char *id;      /* JOIN, CANCEL · BUILD: NULL for a fresh one */
    const char *log;     /* BUILD, JOIN: a file for the log; NULL: none */
    bool has_timeout;
    uint64_t timeout_secs; /* BUILD, if has_timeout; 0: no limit */
    uint64_t retry_secs;   /* BUILD, JOIN: 0: a lost connection is the end */
    uint64_t silence_secs; /* BUILD, JOIN: 0: no limit */
    uint64_t for_secs;     /* WAIT; 0: one attempt */
    bool json;
    enum mvm_wire wire; /* JSON or PROTO */
    char folder_path[4096];
};

/* Permutes argv, and sets argv[0]. Reads MVM_BUILDER_TO if there is no --to. False: a mistake,
 * which was reported on stderr. */
bool mvm_host_options_parse(struct mvm_host_options *o, int argc, char *argv[]);

#endif
