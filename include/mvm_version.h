#ifndef MVM_VERSION_H
#define MVM_VERSION_H

/* The release this source belongs to; `--version` of both programs prints it. */
#define MVM_VERSION "0.1.0"

#endif
