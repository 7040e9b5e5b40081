/* Points in time and lengths of time, in milliseconds. */
#ifndef MVM_DEADLINE_H
#define MVM_DEADLINE_H

#include <stdint.h>

/* The public headers say UINT64_MAX. */
#define MVM_NEVER UINT64_MAX

static inline uint64_t mvm_sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t mvm_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
