/* What a person can do about a build that failed, by its category. */
#ifndef MVM_ADVICE_H
#define MVM_ADVICE_H

#include "mvm_text.h"

/* A sentence; "" if there is nothing to add to the Err's message, or the category is unknown. */
const char *mvm_advice(struct mvm_text category);

#endif
