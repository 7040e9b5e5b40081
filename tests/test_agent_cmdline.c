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

/* Every option of the line, one after the other. */
static void split(const char *line)
{
    char *rest = text;
    int len;
    args_len = 0;
    strcpy(text, line);
    while (args_len < ARGS - 1 && (len = mvm_cmdline_next(&rest, args + args_len)) > 0) {
        args_len += len;
    }
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
        {"mvm.nix-option=substituters=\"x y\" mvm.b", {"--nix-option=substituters", "x y", "--b"}},
        {"mvm.nix-option=a=\"\" mvm.b", {"--nix-option=a", "", "--b"}},
        {"mvm.nix-option=a=\"b", {"--nix-option=a", "b"}},
        {"mvm.nix-option=cores", {"--nix-option=cores"}},
        {"mvm.nix-options=a=b", {"--nix-options=a=b"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int len = 0;
        split(cases[i].line);
        for (; cases[i].args[len] != NULL; len++) {
            assert_true(len < args_len);
            assert_string_equal(args[len], cases[i].args[len]);
        }
        assert_int_equal(args_len, len);
    }
}

static void what_is_behind_two_dashes_is_never_read(void **state)
{
    (void)state;
    char *rest = text;
    char *words[2];
    strcpy(text, "-- mvm.a mvm.b");
    assert_int_equal(mvm_cmdline_next(&rest, words), 0);
    assert_int_equal(mvm_cmdline_next(&rest, words), 0);
    assert_false(mvm_cmdline_is_open("") || mvm_cmdline_is_open("a=\"b c\" d"));
    assert_true(mvm_cmdline_is_open("\"") && mvm_cmdline_is_open("a=\"b\" c=\"d e"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_options),
        cmocka_unit_test(what_is_behind_two_dashes_is_never_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
