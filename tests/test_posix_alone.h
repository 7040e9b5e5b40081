/* For tests of the Linux port that have a port and a directory each. */
#ifndef TEST_POSIX_ALONE_H
#define TEST_POSIX_ALONE_H

#include "test_posix_fixture.h"

static struct mvm_posix posix;
static struct place place;

/* Also before a test: cmocka runs no tear-down after a test that failed. */
static int clean_up(void **state)
{
    (void)state;
    if (place.dir[0] == '\0') {
        return 0;
    }
    mvm_posix_fini(&posix);
    remove_place(&place);
    place.dir[0] = '\0';
    return 0;
}

static int set_up(void **state)
{
    static const struct mvm_posix_config config = {0};
    clean_up(state);
    make_place(&place);
    init_without_stdin(&posix, &config);
    return 0;
}

#define ALONE(test) cmocka_unit_test_setup_teardown(test, set_up, clean_up)

#endif
