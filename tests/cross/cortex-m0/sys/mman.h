/* Bare metal has no pages to protect: the guard page of the tests is plain memory there. Reads past
 * the end are caught on the other machines. */
#ifndef CROSS_SYS_MMAN_H
#define CROSS_SYS_MMAN_H

#include <stdlib.h>

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 32 };

static inline void *mmap(void *at, size_t len, int protection, int flags, int fd, long offset)
{
    (void)at, (void)protection, (void)flags, (void)fd, (void)offset;
    return calloc(1, len);
}

static inline int mprotect(void *at, size_t len, int protection)
{
    (void)at, (void)len, (void)protection;
    return 0;
}

#endif
