/* The ids of builds. Freestanding. */
#ifndef MVM_ID_H
#define MVM_ID_H

#include "mvm_text.h"

/* Whether `id` is MVM_ID_MIN to MVM_ID_MAX bytes of A-Z a-z 0-9 . _ - */
bool mvm_id_valid(struct mvm_text id);

#endif
