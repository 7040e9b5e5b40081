/* A build's progress, from the agent's own lines, and how it is shown. */
#include "phase.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mvm_phase phase;
static char detail[128];

static int reset(void **state)
{
    (void)state;
    mvm_phase_init(&phase);
    return 0;
}

static bool take(const char *line, uint64_t now_ms)
{
    return mvm_phase_parse(&phase, mvm_text_from(line), now_ms);
}

static void assert_shown(const char *title, const char *expected)
{
    struct mvm_writer w;
    mvm_writer_init(&w, detail, sizeof detail);
    mvm_phase_add_detail(&phase, &w);
    assert_string_equal(mvm_phase_title(&phase), title);
    assert_string_equal(detail, expected);
}

static void before_the_build_has_said_anything_disks_are_mounted(void **state)
{
    (void)state;
    assert_shown("mounting", "");
    assert_false(take("mvm: /dev/vdb is absent, /build-out is used as it is", 0));
    assert_shown("mounting", "");
    assert_false(take("hello", 0));
    assert_shown("building", "");
    assert_false(take("mvm: a process outside the build still holds its output; not waiting", 0));
    assert_shown("building", "");
}

static void without_disks_nothing_is_mounted(void **state)
{
    (void)state;
    phase.without_disks = true;
    assert_shown("preparing", "");
    take("mvm: waiting for another build, 1 ahead", 0);
    take("mvm: now it is our turn", 0);
    assert_shown("preparing", "");
    take("hello", 0);
    assert_shown("building", "");
}

static void a_build_may_wait_for_others_first(void **state)
{
    (void)state;
    assert_false(take("mvm: waiting for another build, 3 ahead", 0));
    assert_shown("queued", "3 ahead");
    assert_false(take("mvm: waiting for another build, 1 ahead", 0));
    assert_shown("queued", "1 ahead");
    assert_false(take("mvm: /dev/vdb is absent, /build-out is used as it is", 0));
    assert_shown("mounting", "");
    reset(NULL);
    take("mvm: waiting for another build, 1 ahead", 0);
    assert_false(take("x", 0));
    assert_shown("building", "");
}

static void nothing_of_the_build_s_comes_behind_staging(void **state)
{
    (void)state;
    take("mvm: staging a, 1 of 2 bytes", 0);
    assert_false(take("x", 0));
    assert_shown("staging", "a: 1 of 2 bytes");
}

static void a_copy_is_shown_with_bytes_and_rate(void **state)
{
    (void)state;
    assert_true(take("mvm: staging rootfs.ext4, 0 of 10737418240 bytes", 5000));
    assert_shown("staging", "rootfs.ext4: 0.0 of 10.0 GiB");
    assert_true(take("mvm: staging rootfs.ext4, 325477990 of 10737418240 bytes", 6000));
    assert_shown("staging", "rootfs.ext4: 0.3 of 10.0 GiB, 310.3 MiB/s");
    assert_true(take("mvm: staging rootfs.ext4, 10737418239 of 10737418240 bytes", 15000));
    assert_shown("staging", "rootfs.ext4: 9.9 of 10.0 GiB, 1023.9 MiB/s"); /* rounded down */
    assert_true(take("mvm: staging rootfs.ext4, 10737418240 of 10737418240 bytes", 15000));
    assert_shown("staging", "rootfs.ext4: 10.0 of 10.0 GiB, 1.0 GiB/s");
    assert_true(take("mvm: staging initrd, 0 of 38 bytes", 16000));
    assert_shown("staging", "initrd: 0 of 38 bytes");
    assert_true(take("mvm: staging initrd, 38 of 38 bytes", 16100));
    assert_shown("staging", "initrd: 38 of 38 bytes, 380 bytes/s");
}

static void bytes_of_our_own_have_the_time_left_and_a_bar(void **state)
{
    (void)state;
    assert_int_equal(mvm_phase_permille(&phase), -1);
    mvm_phase_move(&phase, MVM_PHASE_FETCHING, "rootfs.ext4", 0, 104857600, 1000);
    assert_shown("fetching", "rootfs.ext4: 0.0/100.0 MiB");
    assert_int_equal(mvm_phase_permille(&phase), 0);
    mvm_phase_move(&phase, MVM_PHASE_FETCHING, "rootfs.ext4", 10485760, 104857600, 3000);
    assert_shown("fetching", "rootfs.ext4: 10.0/100.0 MiB, 5.0 MiB/s, 0:18 left");
    assert_int_equal(mvm_phase_permille(&phase), 100);
    mvm_phase_move(&phase, MVM_PHASE_FETCHING, "rootfs.ext4", 104857600, 104857600, 21000);
    assert_shown("fetching", "rootfs.ext4: 100.0/100.0 MiB, 5.0 MiB/s");
    assert_int_equal(mvm_phase_permille(&phase), 1000);
    mvm_phase_move(&phase, MVM_PHASE_FETCHING, "initrd", 0, 0, 21000);
    assert_shown("fetching", "initrd: 0/0 bytes");
    assert_int_equal(mvm_phase_permille(&phase), 1000);
    mvm_phase_move(&phase, MVM_PHASE_SENDING, "the flake", 1, 2, 22000);
    assert_shown("sending", "the flake: 1/2 bytes");
    assert_int_equal(mvm_phase_permille(&phase), 500);
    assert_true(take("mvm: staging a, 1 of 2 bytes", 23000));
    assert_int_equal(mvm_phase_permille(&phase), -1);
}

static void the_rate_is_of_what_was_seen(void **state)
{
    (void)state;
    take("mvm: staging a, 1048576 of 10485760 bytes", 1000); /* its first line was missed */
    assert_shown("staging", "a: 1.0 of 10.0 MiB");
    take("mvm: staging a, 3145728 of 10485760 bytes", 2000);
    assert_shown("staging", "a: 3.0 of 10.0 MiB, 2.0 MiB/s");
    take("mvm: staging a, 1048576 of 10485760 bytes", 3000); /* again from the start */
    assert_shown("staging", "a: 1.0 of 10.0 MiB");
}

static void amounts_are_in_the_unit_of_the_whole(void **state)
{
    static const struct {
        const char *line;
        const char *detail;
    } cases[] = {
        {"mvm: staging a, 0 of 0 bytes", "a: 0 of 0 bytes"},
        {"mvm: staging a, 1 of 1023 bytes", "a: 1 of 1023 bytes"},
        {"mvm: staging a, 1023 of 1024 bytes", "a: 0.9 of 1.0 KiB"},
        {"mvm: staging a, 1048575 of 1048575 bytes", "a: 1023.9 of 1023.9 KiB"},
        {"mvm: staging a, 1048575 of 1048576 bytes", "a: 0.9 of 1.0 MiB"},
        {"mvm: staging a, 0 of 1099511627776 bytes", "a: 0.0 of 1.0 TiB"},
        {"mvm: staging a, 1 of 9007199254740992 bytes", "a: 0.0 of 8192.0 TiB"}, /* the limit */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reset(NULL);
        assert_true(take(cases[i].line, 0));
        assert_shown("staging", cases[i].detail);
    }
}

static void the_greatest_amount_at_once_overflows_nothing(void **state)
{
    (void)state;
    take("mvm: staging a, 0 of 9007199254740992 bytes", 0);
    take("mvm: staging a, 9007199254740992 of 9007199254740992 bytes", 1);
    assert_shown("staging", "a: 8192.0 of 8192.0 TiB, 8192000.0 TiB/s");
}

static void what_is_not_quite_such_a_line_changes_nothing(void **state)
{
    static const char *const lines[] = {
        "mvm:",
        "mvm: ",
        "mvm: staging",
        "mvm: staging ",
        "mvm: staging a",
        "mvm: staging a, ",
        "mvm: staging a, bytes",
        "mvm: staging a, 1",
        "mvm: staging a, 1 bytes",
        "mvm: staging a, 1 of 1 byte",
        "mvm: staging a, 1 of 1 bytes ",
        "mvm: staging a, -1 of 1 bytes",
        "mvm: staging a, 1 of bytes",
        "mvm: staging a, 2 of 1 bytes",
        "mvm: staging a, 1 of 2",
        "mvm: staging , 1 of 1 bytes",
        "mvm: staging a b, 1 of 1 bytes",
        "mvm: staging a\033[H, 1 of 1 bytes",
        "mvm: staging a, 0 of 9007199254740993 bytes", /* one past the limit */
        "mvm: staging a, 0 of 18446744073709551617 bytes",
        "mvm: staging a, 9007199254740993 of 9007199254740993 bytes",
        "mvm: staging a12345678901234567890123456789012, 1 of 1 bytes",
        "mvm: waiting for another build, x ahead",
        "mvm: waiting for another build, 1 behind",
        " mvm: staging a, 1 of 1 bytes",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        phase.kind = MVM_PHASE_BUILDING;
        if (take(lines[i], 0) || phase.kind != MVM_PHASE_BUILDING) {
            fail_msg("understood: %s", lines[i]);
        }
    }
}

static void the_longest_name_is_taken(void **state)
{
    (void)state;
    take("mvm: staging a1234567890123456789012345678901, 1 of 1 bytes", 0);
    assert_shown("staging", "a1234567890123456789012345678901: 1 of 1 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(before_the_build_has_said_anything_disks_are_mounted, reset),
        cmocka_unit_test_setup(without_disks_nothing_is_mounted, reset),
        cmocka_unit_test_setup(a_build_may_wait_for_others_first, reset),
        cmocka_unit_test_setup(nothing_of_the_build_s_comes_behind_staging, reset),
        cmocka_unit_test_setup(a_copy_is_shown_with_bytes_and_rate, reset),
        cmocka_unit_test_setup(bytes_of_our_own_have_the_time_left_and_a_bar, reset),
        cmocka_unit_test_setup(the_rate_is_of_what_was_seen, reset),
        cmocka_unit_test_setup(amounts_are_in_the_unit_of_the_whole, reset),
        cmocka_unit_test_setup(the_greatest_amount_at_once_overflows_nothing, reset),
        cmocka_unit_test_setup(what_is_not_quite_such_a_line_changes_nothing, reset),
        cmocka_unit_test_setup(the_longest_name_is_taken, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
