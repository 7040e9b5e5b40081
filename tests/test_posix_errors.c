/* The texts of errors. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_fixture.h"

/* glibc's texts, which the page on troubleshooting quotes; the list has some dozens. */
static void each_name_is_that_of_strerror(void **state)
{
    (void)state;
    int named = 0;
    for (int err = 1; err < 200; err++) {
        const char *text = mvm_posix_error_text(err);
        if (text != mvm_posix_unknown_error) {
            assert_string_equal(text, strerror(err));
            named++;
        }
    }
    assert_in_range(named, 35, 60);
}

static void what_goes_wrong_with_disks_and_processes_has_a_name(void **state)
{
    (void)state;
    static const int errors[] = {EPERM,  ENOENT, EIO,    ENXIO,  ENOEXEC, EAGAIN,
                                 ENOMEM, EACCES, EBUSY,  ENODEV, ENOTDIR, EINVAL,
                                 ENFILE, EMFILE, EFBIG,  ENOSPC, EROFS,   ENAMETOOLONG,
                                 ENOSYS, ELOOP,  EDQUOT, EUCLEAN};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_ptr_not_equal(mvm_posix_error_text(errors[i]), mvm_posix_unknown_error);
    }
}

static void one_without_a_name_is_reported_by_its_number(void **state)
{
    (void)state;
    static struct mvm_posix posix;
    static const struct mvm_posix_config config = {0};
    mvm_posix_init(&posix, &config);
    assert_int_equal(mvm_posix_fail(&posix, "open", 4095), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "open: unknown error 4095");
    mvm_posix_fini(&posix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_is_that_of_strerror),
        cmocka_unit_test(what_goes_wrong_with_disks_and_processes_has_a_name),
        cmocka_unit_test(one_without_a_name_is_reported_by_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
