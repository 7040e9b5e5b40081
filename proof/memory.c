/*
 * Those of <string.h> that the solver has not, or has in too much detail. What they may touch is
 * checked. The bytes that memcpy copies are not followed: it leaves what was there, which is
 * unknown in every harness, and nothing decides by it (names are compared by memcmp alone). memchr
 * may overlook a byte and memcmp answers anything, so that all real answers are among theirs.
 */
#include "any.h"
#include <string.h>

/* Each harness says it: an object may be a struct, of which only one array may be written to. */
bool copy_stays_in_place(const void *to, size_t len);

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    prove(CAN_READ(from, len), "memcpy reads what is there");
    prove(CAN_WRITE(to, len), "memcpy writes what is there");
    prove(!__CPROVER_same_object(to, from) || len == 0, "memcpy's two sides do not overlap");
    prove(copy_stays_in_place(to, len), "memcpy stays within the member it was given");
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
