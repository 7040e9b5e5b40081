/*
 * Fresh directories for tests: below TMPDIR, unless that is so long that a socket's name below it
 * would not fit, else below /tmp.
 */
#ifndef MVM_TESTS_TEMPORARY_H
#define MVM_TESTS_TEMPORARY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPORARY_MAX = 60, TEMPORARY_CAP = TEMPORARY_MAX + 32 };

/* Makes DIR, "TMPDIR/mvm-NAME-XXXXXX"; false: it cannot be made. */
static inline bool make_temporary(char dir[TEMPORARY_CAP], const char *name)
{
    static char below[TEMPORARY_MAX + 1]; /* read once: tests set TMPDIR */
    if (below[0] == '\0') {
        const char *set = getenv("TMPDIR");
        bool usable = set != NULL && set[0] == '/' && strlen(set) <= TEMPORARY_MAX;
        strcpy(below, usable ? set : "/tmp");
    }
    snprintf(dir, TEMPORARY_CAP, "%s/mvm-%.12s-XXXXXX", below, name);
    return mkdtemp(dir) != NULL;
}

#endif
