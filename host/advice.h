/* What a person can do about a build that failed, by its category. */
#ifndef MVM_ADVICE_H
#define MVM_ADVICE_H

#include "mvm_text.h"

/* A sentence; "" if the message of the Err says all there is, or the category is not known. */
const char *mvm_advice(struct mvm_text category);

#endif
