/*
 * The part of cmocka's interface that the tests of the freestanding modules use, for machines
 * without cmocka: the same test programs compile with this header in its place. A failing test ends
 * there and the next one runs. tests/run counts the output.
 */
#ifndef CROSS_CMOCKA_H
#define CROSS_CMOCKA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func;
    CMFixtureFunction teardown_func;
};

#define cmocka_unit_test_setup_teardown(test, setup, teardown)                                     \
    {                                                                                              \
#test, test, setup, teardown                                                               \
    }
#define cmocka_unit_test(test)              cmocka_unit_test_setup_teardown(test, NULL, NULL)
#define cmocka_unit_test_setup(test, setup) cmocka_unit_test_setup_teardown(test, setup, NULL)

/* Returns how many tests failed. */
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cross_run(tests, sizeof(tests) / sizeof *(tests), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    cmocka_run_group_tests(tests, setup, teardown)
int cross_run(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
              CMFixtureFunction teardown);

/* Where a check is in the source. */
struct cross_place {
    const char *file;
    int line;
};
#define CROSS_HERE ((struct cross_place){__FILE__, __LINE__})

/* The format is not checked by the compiler: a type that is unsigned here may be unsigned long on
 * another machine. */
_Noreturn void cross_fail(struct cross_place place, const char *format, ...);
_Noreturn void cross_skip(void);
void cross_equal(struct cross_place place, uintmax_t a, uintmax_t b, int equal);
void cross_in_range(struct cross_place place, uintmax_t value, uintmax_t low, uintmax_t high);
void cross_strings(struct cross_place place, const char *a, const char *b, int equal);
void cross_memory(struct cross_place place, const void *a, const void *b, size_t len, int equal);

#define fail_msg(...) cross_fail(CROSS_HERE, __VA_ARGS__)
#define fail()        cross_fail(CROSS_HERE, "fail()")
#define skip()        cross_skip()

#define assert_true(c)                                                                             \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            cross_fail(CROSS_HERE, "%s", #c);                                                      \
        }                                                                                          \
    } while (0)
#define assert_false(c)    assert_true(!(c))
#define assert_null(p)     assert_true((p) == NULL)
#define assert_non_null(p) assert_true((p) != NULL)

#define assert_int_equal(a, b)     cross_equal(CROSS_HERE, (uintmax_t)(a), (uintmax_t)(b), 1)
#define assert_int_not_equal(a, b) cross_equal(CROSS_HERE, (uintmax_t)(a), (uintmax_t)(b), 0)
#define assert_ptr_equal(a, b)     cross_equal(CROSS_HERE, (uintptr_t)(a), (uintptr_t)(b), 1)
#define assert_ptr_not_equal(a, b) cross_equal(CROSS_HERE, (uintptr_t)(a), (uintptr_t)(b), 0)
#define assert_in_range(value, low, high)                                                          \
    cross_in_range(CROSS_HERE, (uintmax_t)(value), (uintmax_t)(low), (uintmax_t)(high))
#define assert_string_equal(a, b)          cross_strings(CROSS_HERE, a, b, 1)
#define assert_string_not_equal(a, b)      cross_strings(CROSS_HERE, a, b, 0)
#define assert_memory_equal(a, b, len)     cross_memory(CROSS_HERE, a, b, len, 1)
#define assert_memory_not_equal(a, b, len) cross_memory(CROSS_HERE, a, b, len, 0)

#endif
