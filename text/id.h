/* The ids of builds, and of starts of the agent. Freestanding. */
#ifndef MVM_ID_H
#define MVM_ID_H

#include "mvm_text.h"

/* Whether `id` is MVM_ID_MIN to MVM_ID_MAX bytes of A-Z a-z 0-9 . _ - */
bool mvm_id_valid(struct mvm_text id);

/* Writes an id of 2 · len hexadecimal digits with a terminator. */
void mvm_id_write(char *id, const uint8_t *bytes, size_t len);

#endif
