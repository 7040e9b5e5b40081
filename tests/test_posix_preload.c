/* What execve(2) will read of a program is read before: seen by the files' times of access. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_alone.h"
#include <elf.h>
#include <link.h>

static const char *path_of(const char *name)
{
    return in_place(&place, 0, name);
}

/* Last accessed in 1970, before it was modified: the next access is recorded also with relatime. */
static void make(const char *name, const void *bytes, size_t len)
{
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_nsec = UTIME_NOW}};
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

static bool was_read(const char *name)
{
    struct stat st;
    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_atim.tv_sec != 1;
}

static void make_script(const char *name, const char *format, const char *interpreter)
{
    char text[600];
    int len = snprintf(text, sizeof text, format, in_place(&place, 1, interpreter));
    make(name, text, (size_t)len);
}

static void need_times(void)
{
    char byte;
    make("probe", "x", 1);
    int fd = open(path_of("probe"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &byte, 1), 1);
    close(fd);
    if (!was_read("probe")) {
        SKIP_BECAUSE("this file system records no times of access");
    }
}

static void a_script_s_interpreters_are_read(void **state)
{
    static const char *const formats[] = {"#!%s\n", "#! %s -e\n", "#!\t%s\nmore\n", "#!%s"};
    (void)state;
    need_times();
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        make("last", "no script", 9);
        make_script("middle", formats[i], "last");
        make_script("first", formats[i], "middle");
        mvm_posix_preload(path_of("first"));
        assert_true(was_read("first"));
        assert_true(was_read("middle"));
        assert_true(was_read("last"));
    }
}

/* An ELF file whose second program header, from `offset` on, names a loader. */
static void make_elf(const char *name, const char *loader, size_t offset, uint16_t count)
{
    struct {
        ElfW(Ehdr) e;
        ElfW(Phdr) p[2];
        char loader[600];
    } f = {.e = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
                             sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32},
                 .e_phoff = offset,
                 .e_phnum = count},
           .p = {{.p_type = PT_LOAD, .p_filesz = sizeof f.e},
                 {.p_type = PT_INTERP,
                  .p_offset = sizeof f.e + sizeof f.p,
                  .p_filesz = (unsigned)strlen(loader) + 1}}};
    strcpy(f.loader, loader);
    make(name, &f, sizeof f);
}

static void a_program_s_loader_is_read(void **state)
{
    (void)state;
    need_times();
    make("loader", "x", 1);
    make_elf("program", in_place(&place, 1, "loader"), sizeof(ElfW(Ehdr)), 1);
    mvm_posix_preload(path_of("program")); /* the second header is not one */
    assert_false(was_read("loader"));
    make_elf("program", in_place(&place, 1, "loader"), sizeof(ElfW(Ehdr)), 2);
    mvm_posix_preload(path_of("program"));
    assert_true(was_read("loader"));
}

static void what_is_not_a_valid_program_is_left_at_that(void **state)
{
    (void)state;
    char loop[300];
    static const size_t offsets[] = {0, 700, 4095, 4096, SIZE_MAX, SIZE_MAX - 8};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        make_elf("program", "/nowhere", offsets[i], i % 2 == 0 ? UINT16_MAX : 1);
        mvm_posix_preload(path_of("program"));
    }
    for (size_t len = 0; len < 80; len++) {
        make("short", "\177ELF\2                 #!", len < 24 ? len : 24);
        mvm_posix_preload(path_of("short"));
    }
    make("short", "#!", 2);
    mvm_posix_preload(path_of("short"));
    snprintf(loop, sizeof loop, "#!%s\n", path_of("loop"));
    make("loop", loop, strlen(loop));
    mvm_posix_preload(path_of("loop"));
    mvm_posix_preload(place.dir);
    mvm_posix_preload("/nowhere");
    mvm_posix_preload("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(a_script_s_interpreters_are_read),
        ALONE(a_program_s_loader_is_read),
        ALONE(what_is_not_a_valid_program_is_left_at_that),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
