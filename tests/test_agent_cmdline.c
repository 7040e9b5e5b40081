/* Options on the kernel's command line. */
#include "cmdline.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS = 8 };

static char text[MVM_CMDLINE_CAP];
static char *args[ARGS];
static int args_len;

static bool split(const char *line, size_t max)
{
    memset(args, 0, sizeof args);
    strcpy(text, line);
    return mvm_cmdline_args(text, args, max, &args_len);
}

static void words_become_options(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *args[ARGS];
    } cases[] = {
        {"", {NULL}},
        {"\n", {NULL}},
        {"quiet console=ttyS0 panic=-1\n", {NULL}},
        {"mvm.init\n", {"--init"}},
        {"quiet mvm.listen=vsock:21470 ro\n", {"--listen=vsock:21470"}},
        {"  mvm.a=1\t mvm.b  mvm.c=\n", {"--a=1", "--b", "--c="}},
        {"mvm.a=b=c", {"--a=b=c"}},
        {"mvm.a=1 mvm.a=2", {"--a=1", "--a=2"}},
        {"mvm. mvm xmvm.a=1 mvmx.a=1 MVM.a=1", {NULL}},
        {"mvm.a=1 -- mvm.b=2", {"--a=1"}},
        {"mvm.a=1 --x mvm.b=2", {"--a=1", "--b=2"}},
        {"mvm.a=\"b c\" mvm.d", {"--a=b c", "--d"}},
        {"\"mvm.a=b c\" mvm.d", {"--a=b c", "--d"}},
        {"mvm.a=\"\" mvm.b=\"", {"--a=", "--b="}},
        {"mvm.a=\"b c", {"--a=b c"}},
        {"other=\"x mvm.a=1\" mvm.b", {"--b"}},
        {"mvm.nix-option=cores=2", {"--nix-option=cores", "2"}},
        {"mvm.nix-option=a=b=c", {"--nix-option=a", "b=c"}},
        {"mvm.nix-option=\"substituters=x y\"", {"--nix-option=substituters", "x y"}},
        {"mvm.nix-option=cores", {"--nix-option=cores"}},
        {"mvm.nix-options=a=b", {"--nix-options=a=b"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int len = 0;
        assert_true(split(cases[i].line, ARGS));
        for (; cases[i].args[len] != NULL; len++) {
            assert_true(len < args_len);
            assert_string_equal(args[len], cases[i].args[len]);
        }
        assert_int_equal(args_len, len);
    }
}

static void words_past_the_limit_are_left_out_and_told(void **state)
{
    (void)state;
    assert_true(split("mvm.a mvm.b", 2));
    assert_int_equal(args_len, 2);
    assert_false(split("mvm.a mvm.b mvm.c", 2));
    assert_int_equal(args_len, 2);
    assert_null(args[2]);
}

static void a_pair_is_never_halved(void **state)
{
    (void)state;
    assert_true(split("mvm.a mvm.nix-option=x=y", 3));
    assert_int_equal(args_len, 3);
    assert_false(split("mvm.a mvm.nix-option=x=y", 2));
    assert_int_equal(args_len, 1);
    assert_null(args[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_options),
        cmocka_unit_test(words_past_the_limit_are_left_out_and_told),
        cmocka_unit_test(a_pair_is_never_halved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
