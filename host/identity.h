/* Fresh ids of builds and nonces of connections. */
#ifndef MVM_IDENTITY_H
#define MVM_IDENTITY_H

#include <stdbool.h>

/* Their length: 128 random bits in hexadecimal. */
#define MVM_ID_FRESH_LEN 32

/* Writes a fresh id with a terminator. False: the kernel gave no random bytes, errno says why. */
bool mvm_id_make(char id[MVM_ID_FRESH_LEN + 1]);

#endif
