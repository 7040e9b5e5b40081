/* Which kernel modules process 1 loads, in which order, and what it logs of those that it cannot:
 * with a finit_module(2) of the test's own. */
#define _GNU_SOURCE
#include "modules.h"
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

/* ---- the kernel ---- */

static char loaded[4096]; /* the names of files that were asked for, each followed by a blank */
static char flags[64];    /* … and their flags, a digit each */
static const char *refused;
static int refused_errno; /* … of files whose name contains that */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static long finit_module(int fd, long flag)
{
    char link[64], path[2 * E2E_PATH_CAP] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof path - 1) > 0);
    const char *name = strrchr(path, '/') + 1;
    strcat(strcat(loaded, name), " ");
    snprintf(flags + strlen(flags), sizeof flags - strlen(flags), "%ld", flag);
    if (refused != NULL && strstr(name, refused) != NULL) {
        errno = refused_errno;
        return -1;
    }
    return 0;
}

long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++) {
        a[i] = va_arg(args, long);
    }
    va_end(args);
    return number == SYS_finit_module ? finit_module((int)a[0], a[2])
                                      : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- its modules ---- */

static void make_module(const char *name)
{
    e2e_write_text(e2e_path("%s", name), "");
}

/* Loads them; what was logged, until the next call. */
static const char *load(const struct mvm_module *modules, size_t len)
{
    int kept = dup(STDERR_FILENO);
    int log = open(e2e_path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    loaded[0] = flags[0] = '\0';
    dup2(log, STDERR_FILENO);
    mvm_modules_load(modules, len);
    dup2(kept, STDERR_FILENO);
    close(log);
    close(kept);
    return e2e_read(e2e_path("log")).bytes;
}

static const char *load_file(const char *name)
{
    struct mvm_module module = {e2e_path("%s", name), false};
    return load(&module, 1);
}

static void refuse(const char *part, int err)
{
    refused = part;
    refused_errno = err;
}

/* ext4 looks for crc32c by name, so that no index has it as a dependency. */
static void crc32c_is_loaded_before_ext4(void **state)
{
    (void)state;
    struct mvm_module directory = {e2e_path("."), true};
    e2e_write_text(e2e_path("modules.dep"), "ext4.ko: jbd2.ko\njbd2.ko:\ncrc32c_generic.ko:\n");
    make_module("ext4.ko");
    make_module("jbd2.ko");
    make_module("crc32c_generic.ko");
    assert_string_equal(load(&directory, 1), "");
    assert_string_equal(loaded, "crc32c_generic.ko jbd2.ko ext4.ko ");
}

/* The errnos of a kernel that lacks the decompressor are those of some modules, too. */
static void once_the_kernel_has_decompressed_one_a_reason_is_the_modules_own(void **state)
{
    (void)state;
    make_module("first.ko.xz");
    make_module("plain.ko");
    make_module("bad.ko.xz");
    refuse("first", EOPNOTSUPP);
    assert_non_null(strstr(load_file("first.ko.xz"), "first.ko.xz: this kernel cannot decompress"));
    refuse("bad", EINVAL);
    load_file("plain.ko");
    assert_string_equal(flags, "0");
    assert_non_null(strstr(load_file("bad.ko.xz"), "bad.ko.xz: this kernel cannot decompress it"));
    assert_string_equal(load_file("first.ko.xz"), "");
    assert_string_equal(flags, "4");
    assert_non_null(strstr(load_file("bad.ko.xz"), "bad.ko.xz: Invalid argument"));
    refuse("bad", EOPNOTSUPP);
    assert_non_null(strstr(load_file("bad.ko.xz"), "bad.ko.xz: Operation not supported"));
    make_module("other.ko.gz"); /* a kernel has one format */
    refuse("other", EINVAL);
    assert_non_null(strstr(load_file("other.ko.gz"), "other.ko.gz: this kernel cannot decompress"));
}

/* `len` bytes, of which the last ones are the file's name. */
static void write_long_path(FILE *f, size_t len, const char *name)
{
    for (size_t i = strlen(name); i < len; i++) {
        fputc(i % 100 == 0 ? '/' : 'd', f);
    }
    fputs(name, f);
}

static void a_path_that_is_too_long_is_named_and_the_rest_loaded(void **state)
{
    (void)state;
    struct mvm_module modules[] = {{e2e_path("list"), true}, {e2e_path("."), true}};
    refuse(NULL, 0);
    FILE *f = fopen(modules[0].path, "w");
    write_long_path(f, 4096, "/far.ko");
    fprintf(f, "\n%s\n", e2e_path("near.ko"));
    fclose(f);
    f = fopen(e2e_path("modules.dep"), "w");
    fputs("ext4.ko: ", f);
    write_long_path(f, 4076, "/deep.ko"); /* short enough for a line, too long below a directory */
    fputs(" jbd2.ko\n", f);
    fclose(f);
    make_module("near.ko");
    make_module("jbd2.ko");
    make_module("ext4.ko");
    const char *log = load(modules, 2);
    assert_string_equal(loaded, "near.ko jbd2.ko ext4.ko ");
    assert_non_null(strstr(log, "cannot load far.ko: File name too long\n"));
    assert_non_null(strstr(log, "cannot load deep.ko: File name too long\n"));
}

static void a_second_directory_is_named(void **state)
{
    (void)state;
    struct mvm_module modules[] = {{e2e_path("."), true}, {e2e_path("second"), true}};
    char line[2 * E2E_PATH_CAP];
    e2e_make_dir(modules[1].path);
    e2e_write_text(e2e_path("modules.dep"), "ext4.ko:\n");
    make_module("ext4.ko");
    refuse(NULL, 0);
    const char *log = load(modules, 2);
    snprintf(line, sizeof line, "names of modules are found in another directory: %s; ignored",
             modules[1].path);
    assert_non_null(strstr(log, line));
    assert_string_equal(loaded, "ext4.ko ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(crc32c_is_loaded_before_ext4),
        E2E_TEST(once_the_kernel_has_decompressed_one_a_reason_is_the_modules_own),
        E2E_TEST(a_path_that_is_too_long_is_named_and_the_rest_loaded),
        E2E_TEST(a_second_directory_is_named),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
