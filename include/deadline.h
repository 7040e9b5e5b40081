/* Points in time and lengths of time, in milliseconds; UINT64_MAX is never. */
#ifndef MVM_DEADLINE_H
#define MVM_DEADLINE_H

#include <stdint.h>

static inline uint64_t mvm_sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t mvm_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
