/* Ids of builds and nonces of connections: their form, and how a fresh one is made. */
#ifndef MVM_IDENTITY_H
#define MVM_IDENTITY_H

#include "mvm_text.h"

/* The shortest and longest id, by the protocol: A-Z a-z 0-9 . _ - */
#define MVM_ID_MIN 16
#define MVM_ID_MAX 64

/* Length of a fresh one: 128 random bits in hexadecimal. */
#define MVM_ID_FRESH_LEN 32

bool mvm_id_is_valid(struct mvm_text id);

/* Writes a fresh id with a terminator. False: the kernel gave no random bytes, errno says why. */
bool mvm_id_make(char id[MVM_ID_FRESH_LEN + 1]);

#endif
