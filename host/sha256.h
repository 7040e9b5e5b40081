/* A file's SHA-256, by sha256sum(1) of coreutils or busybox. */
#ifndef MVM_SHA256_H
#define MVM_SHA256_H

#include "wait.h"

enum { MVM_SHA256_TEXT_CAP = 65 };

/* Hashes the file open at `fd` from its beginning, in lower-case hexadecimal. False: there is no
 * sha256sum on PATH, it could not read the file, or a signal has arrived (`w`, NULL: no signals).
 * Moves the file's offset. */
bool mvm_sha256_file(int fd, struct mvm_waiter *w, char text[MVM_SHA256_TEXT_CAP]);

/* Whether sha256sum is available. */
bool mvm_sha256_works(void);

#endif
