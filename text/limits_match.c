/* The limits that this library was compiled with: see mvm_limits_match.h. */
#include "mvm_limits.h"

#define DEFINE(name, value) const char MVM_LIMIT_CONSTANT(name, value) = 0;

MVM_LIMITS_OF_LAYOUT(DEFINE)
MVM_LIMITS_OF_CODEC(DEFINE)
MVM_LIMITS_OF_BUILD(DEFINE)
