/*
 * Those of <string.h> that the solver has not, or has in too much detail. What they may touch is
 * checked. What memcpy leaves behind is anything: no harness leans on the bytes copied, and unknown
 * ones are a superset of the real ones. So are memchr's answers, it may overlook a byte, and memcmp's.
 */
#include "any.h"
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    prove(CAN_READ(from, len), "memcpy reads what is there");
    prove(CAN_WRITE(to, len), "memcpy writes what is there");
    prove(!__CPROVER_same_object(to, from) || len == 0, "memcpy's two sides do not overlap");
    __CPROVER_havoc_slice(to, len);
    return to;
}

void *memchr(const void *bytes, int byte, size_t len)
{
    prove(CAN_READ(bytes, len), "memchr reads what is there");
    size_t at = any_size();
    if (at >= len || ((const unsigned char *)bytes)[at] != (unsigned char)byte) {
        return NULL;
    }
    return (unsigned char *)bytes + at;
}

int memcmp(const void *a, const void *b, size_t len)
{
    int any;
    prove(CAN_READ(a, len) && CAN_READ(b, len), "memcmp reads what is there");
    return any;
}
