#include "cmocka.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum outcome { RUNNING, FAILED, SKIPPED };

static jmp_buf end_of_test;

void cross_fail(struct cross_place place, const char *format, ...)
{
    va_list arguments;
    printf("%s:%d: ", place.file, place.line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    longjmp(end_of_test, FAILED);
}

void cross_skip(void)
{
    longjmp(end_of_test, SKIPPED);
}

/* Not every C library prints 64 bits: in two halves. */
static unsigned long half(uintmax_t value, unsigned shift)
{
    return (unsigned long)(value >> shift & 0xffffffff);
}

void cross_equal(struct cross_place place, uintmax_t a, uintmax_t b, int equal)
{
    if ((a == b) != equal) {
        cross_fail(place, "0x%08lx%08lx %s 0x%08lx%08lx", half(a, 32), half(a, 0),
                   equal ? "is not" : "is", half(b, 32), half(b, 0));
    }
}

void cross_in_range(struct cross_place place, uintmax_t value, uintmax_t low, uintmax_t high)
{
    if (value < low || value > high) {
        cross_fail(place, "0x%08lx%08lx is out of range", half(value, 32), half(value, 0));
    }
}

void cross_strings(struct cross_place place, const char *a, const char *b, int equal)
{
    if ((strcmp(a, b) == 0) != equal) {
        cross_fail(place, "\"%s\" %s \"%s\"", a, equal ? "is not" : "is", b);
    }
}

void cross_memory(struct cross_place place, const void *a, const void *b, size_t len, int equal)
{
    if ((memcmp(a, b, len) == 0) != equal) {
        cross_fail(place, "%lu bytes %s", (unsigned long)len, equal ? "differ" : "are the same");
    }
}

static enum outcome run_test(const struct CMUnitTest *test, void **state)
{
    switch (setjmp(end_of_test)) {
    case RUNNING:
        if (test->setup_func != NULL && test->setup_func(state) != 0) {
            return FAILED;
        }
        test->test_func(state);
        if (test->teardown_func != NULL && test->teardown_func(state) != 0) {
            return FAILED;
        }
        return RUNNING;
    case SKIPPED:
        return SKIPPED;
    default:
        return FAILED;
    }
}

int cross_run(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
              CMFixtureFunction teardown)
{
    static const char *const words[] = {
        [RUNNING] = "      OK", [FAILED] = " FAILED ", [SKIPPED] = "SKIPPED"};
    unsigned outcomes[] = {0, 0, 0};
    void *shared = NULL;
    if (setup != NULL && setup(&shared) != 0) {
        printf("the group's setup failed\n");
        return 1;
    }
    for (size_t n = 0; n < count; n++) {
        void *state = shared;
        enum outcome outcome = run_test(&tests[n], &state);
        outcomes[outcome]++;
        printf("[ %8s ] %s\n", words[outcome], tests[n].name);
    }
    if (teardown != NULL && teardown(&shared) != 0) {
        printf("the group's teardown failed\n");
        outcomes[FAILED]++;
    }
    printf("[  PASSED  ] %u test(s).\n", outcomes[RUNNING]);
    printf("[  FAILED  ] %u test(s).\n", outcomes[FAILED]);
    printf("[  SKIPPED ] %u test(s).\n", outcomes[SKIPPED]);
    return (int)outcomes[FAILED];
}
