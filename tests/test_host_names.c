/* Which texts are valid store paths and ids. */
#include "advice.h"
#include "id.h"
#include "identity.h"
#include "mvm_category.h"
#include "mvm_limits.h"
#include "store_path.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool is_path(const char *text)
{
    return mvm_is_store_path(mvm_text_from(text));
}

static void a_store_path_is_one_name_in_the_store(void **state)
{
    static const char *const paths[] = {
        "/nix/store/x",
        "/nix/store/1b9fvkzkqsfm3cpxh0mfzp8wkhj4rj2a-image",
        "/nix/store/a+-._?=Z09",
    };
    static const char *const others[] = {
        "",
        "nix/store/x",
        "/nix/store",
        "/nix/store/",
        "/nix/store/x/",
        "/nix/store/x/kernel",
        "/nix/store/.",
        "/nix/store/..",
        "/nix/store/.links",
        "/nix/store//x",
        "/nix/stores/x",
        " /nix/store/x",
        "/nix/store/x ",
        "/nix/store/x\n",
        "/nix/store/x\n/nix/store/y",
        "/nix/store/\033]52;c;eA==\a",
        "/nix/store/\xc3\xa4",
        "/etc/shadow",
    };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_true(is_path(paths[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (is_path(others[i])) {
            fail_msg("taken for a store path: %s", others[i]);
        }
    }
    assert_false(mvm_is_store_path((struct mvm_text){"/nix/store/x\0y", 14}));
}

static void a_store_path_has_the_length_that_nix_allows(void **state)
{
    char text[512] = "/nix/store/";
    size_t start = strlen(text);
    (void)state;
    memset(text + start, 'x', MVM_STORE_NAME_MAX + 1);
    assert_false(is_path(text));
    text[start + MVM_STORE_NAME_MAX] = '\0';
    assert_true(is_path(text));
}

static bool is_id(const char *text)
{
    return mvm_id_valid(mvm_text_from(text));
}

static void an_id_is_of_its_characters_and_length(void **state)
{
    char longest[MVM_ID_MAX + 2];
    (void)state;
    assert_true(is_id("0123456789abcdef"));
    assert_true(is_id("AZaz09._-AZaz09._-"));
    assert_false(is_id("0123456789abcde"));
    assert_false(is_id("0123456789abcde f"));
    assert_false(is_id("0123456789abcde/f"));
    assert_false(is_id("0123456789abcde\xc3\xa4"));
    assert_false(is_id(""));
    memset(longest, 'x', sizeof longest);
    longest[MVM_ID_MAX + 1] = '\0';
    assert_false(is_id(longest));
    longest[MVM_ID_MAX] = '\0';
    assert_true(is_id(longest));
}

static void a_fresh_id_is_one_and_new_each_time(void **state)
{
    char a[MVM_ID_FRESH_LEN + 1], b[MVM_ID_FRESH_LEN + 1];
    (void)state;
    assert_true(mvm_id_make(a) && mvm_id_make(b));
    assert_int_equal(strlen(a), MVM_ID_FRESH_LEN);
    assert_true(is_id(a));
    assert_string_not_equal(a, b);
}

/* No advice where the message, or nix's log, has everything. */
static void every_category_has_a_sentence_that_helps_or_needs_none(void **state)
{
    (void)state;
    for (enum mvm_category i = MVM_CATEGORY_NONE + 1; i < MVM_CATEGORIES; i++) {
        const char *advice = mvm_advice(mvm_text_from(mvm_category_word(i)));
        bool none = i == MVM_CATEGORY_INVALID_REQUEST || i == MVM_CATEGORY_BUILD_FAILED;
        assert_int_equal(advice[0] == '\0', none);
    }
    assert_string_equal(mvm_advice(mvm_text_from("out_of_memory")),
                        "out of memory in the VM: give it more");
    assert_string_equal(mvm_advice(mvm_text_from("a_new_one")), "");
    assert_string_equal(mvm_advice((struct mvm_text){NULL, 0}), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_path_is_one_name_in_the_store),
        cmocka_unit_test(a_store_path_has_the_length_that_nix_allows),
        cmocka_unit_test(an_id_is_of_its_characters_and_length),
        cmocka_unit_test(a_fresh_id_is_one_and_new_each_time),
        cmocka_unit_test(every_category_has_a_sentence_that_helps_or_needs_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
