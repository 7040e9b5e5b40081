/* How far a copy is: what is taken for such a line, and how it is shown. */
#include "progress.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct mvm_progress progress;
static char shown[128];

static int reset(void **state)
{
    (void)state;
    memset(&progress, 0, sizeof progress);
    return 0;
}

static bool take(const char *line, uint64_t now_ms)
{
    return mvm_progress_take(&progress, mvm_text_from(line), now_ms);
}

static const char *show(void)
{
    struct mvm_writer w;
    mvm_writer_init(&w, shown, sizeof shown);
    mvm_progress_show(&progress, &w);
    return shown;
}

static void only_the_agent_s_own_lines_are_taken(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "mvm: copying ",
        "mvm: copying vmlinux",
        "mvm: copying vmlinux: bytes so far",
        "mvm: copying vmlinux:  bytes so far",
        "mvm: copying vmlinux 12 bytes so far",
        "mvm: copying : 12 bytes so far",
        "mvm: copying vmlinux: 12 bytes so far!",
        "mvm: copying vmlinux: -12 bytes so fa",
        " mvm: copying vmlinux: 12 bytes so far",
        "mvm: copying a-name-that-is-longer-than-any-artifact-has-and-than-the-place-for-it: 1 "
        "bytes "
        "so far",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(take(others[i], 1000));
        assert_string_equal(progress.name, "");
    }
    assert_true(take("mvm: copying vmlinux: 12 bytes so far", 1000));
    assert_string_equal(progress.name, "vmlinux");
    assert_int_equal(progress.bytes, 12);
}

static void amounts_have_the_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *shown;
    } cases[] = {
        {"mvm: copying a: 0 bytes so far", "a, 0.0 KiB"},
        {"mvm: copying a: 1023 bytes so far", "a, 0.9 KiB"},
        {"mvm: copying a: 1048575 bytes so far", "a, 1023.9 KiB"},
        {"mvm: copying a: 1048576 bytes so far", "a, 1.0 MiB"},
        {"mvm: copying a: 1610612736 bytes so far", "a, 1.5 GiB"},
        {"mvm: copying a: 9000000000000000000 bytes so far", "a, 8185452.3 TiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(take(cases[i].line, 1000));
        assert_string_equal(show(), cases[i].shown);
    }
}

static void the_rate_is_that_between_two_lines_of_one_copy(void **state)
{
    (void)state;
    assert_true(take("mvm: copying a: 1048576 bytes so far", 1000));
    assert_string_equal(show(), "a, 1.0 MiB");
    assert_true(take("mvm: copying a: 5242880 bytes so far", 3000));
    assert_string_equal(show(), "a, 5.0 MiB, 2.0 MiB/s");
    assert_true(take("mvm: copying b: 5242880 bytes so far", 4000));
    assert_string_equal(show(), "b, 5.0 MiB");
    assert_true(take("mvm: copying b: 5242880 bytes so far", 4000)); /* at once: no rate */
    assert_string_equal(show(), "b, 5.0 MiB");
    assert_true(take("mvm: copying b: 1 bytes so far", 5000)); /* another build's */
    assert_string_equal(show(), "b, 0.0 KiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_the_agent_s_own_lines_are_taken, reset),
        cmocka_unit_test_setup(amounts_have_the_unit_that_fits, reset),
        cmocka_unit_test_setup(the_rate_is_that_between_two_lines_of_one_copy, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
