/*
 * The calls for files when one of their system calls fails or is interrupted: the first, the
 * second, and so on until none is left. What fails is an error with its reason, unless the result
 * is right anyway, and leaves no descriptor open. The link takes these calls from here.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_alone.h"
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

static struct {
    bool on;
    int err;         /* 0: a write accepts nothing, without an error */
    unsigned at;     /* which call is to fail … */
    unsigned calls;  /* … of so many until now */
    const char *hit; /* its name; NULL: there were fewer */
    bool written;    /* its descriptor was written to */
    bool keeps;      /* what is removed is there again at once */
    bool slow;       /* one byte is read or written at a time */
    bool inherited;  /* a descriptor was opened that a program would inherit */
} fault;

static size_t least(size_t len)
{
    return fault.on && fault.slow && len > 1 ? 1 : len;
}

static bool fails(const char *name, int fd)
{
    bool counts = fault.on && (fault.err != 0 || strcmp(name, "write") == 0);
    if (!counts || ++fault.calls != fault.at) {
        return false;
    }
    fault.hit = name;
    fault.written = fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
    errno = fault.err != 0 ? fault.err : errno;
    return true;
}

/* ---- system calls ---- */

static mode_t mode_of(int flags, va_list more)
{
    fault.inherited = fault.inherited || (fault.on && (flags & O_CLOEXEC) == 0);
    return (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return fails("open", -1) ? -1
                             : (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return fails("openat", -1) ? -1
                               : (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
}

int close(int fd)
{
    bool failed = fails("close", fd); /* it is closed nevertheless */
    int r = (int)syscall(SYS_close, fd);
    errno = failed ? fault.err : errno;
    return failed ? -1 : r;
}

ssize_t read(int fd, void *buf, size_t len)
{
    return fails("read", -1) ? -1 : syscall(SYS_read, fd, buf, least(len));
}

ssize_t write(int fd, const void *buf, size_t len)
{
    return fails("write", -1) ? fault.err == 0 ? 0 : -1 : syscall(SYS_write, fd, buf, least(len));
}

int fsync(int fd)
{
    return fails("fsync", -1) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails("fdatasync", -1) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
    return fails("syncfs", -1) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int unlink(const char *path)
{
    return fails("unlink", -1)       ? -1
           : fault.on && fault.keeps ? 0
                                     : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return fails("rmdir", -1) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int unlinkat(int dir, const char *path, int flags)
{
    return fails("unlinkat", -1) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fails("mkdir", -1) ? -1 : mkdirat(AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to)
{
    return fails("rename", -1) ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int stat(const char *path, struct stat *st)
{
    return fails("stat", -1) ? -1 : fstatat(AT_FDCWD, path, st, 0);
}

int lstat(const char *path, struct stat *st)
{
    return fails("lstat", -1) ? -1 : fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int fstat(int fd, struct stat *st)
{
    return fails("fstat", -1) ? -1 : fstatat(fd, "", st, AT_EMPTY_PATH);
}

#if UINTPTR_MAX == UINT64_MAX /* elsewhere an offset is not one argument */

off_t lseek(int fd, off_t at, int whence)
{
    return fails("lseek", -1) ? -1 : syscall(SYS_lseek, fd, at, whence);
}

int ftruncate(int fd, off_t len)
{
    return fails("ftruncate", -1) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
    return fails("pread", -1) ? -1 : syscall(SYS_pread64, fd, buf, least(len), at);
}

ssize_t sendfile(int to, int from, off_t *at, size_t len)
{
    return fails("sendfile", -1) || (fault.on && fault.err == 0 && !fault.slow)
               ? -1
               : syscall(SYS_sendfile, to, from, at, least(len));
}

int sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
    return fails("sync_file_range", -1) ? -1
                                        : (int)syscall(SYS_sync_file_range, fd, at, len, flags);
}

#endif

/* ---- what is called ---- */

static const char text[] = "a file's text";

static bool has_text(const char *name)
{
    char buf[sizeof text] = "";
    int fd = open(in_place(&place, 0, name), O_RDONLY | O_CLOEXEC);
    bool has = fd >= 0 && read(fd, buf, sizeof buf) == sizeof text - 1 && strcmp(buf, text) == 0;
    close(fd);
    return has;
}

static void ignore(void *ctx, int64_t bytes, uint64_t size)
{
    (void)ctx, (void)bytes, (void)size;
}

static int64_t call_copy(void)
{
    uint64_t size;
    char from[256];
    strcpy(from, in_place(&place, 0, "from"));
    const struct mvm_posix_copy copy = {
        .within = place.dir, .from = from, .to = in_place(&place, 1, "to"), .report = ignore};
    return mvm_posix_copy_file(&posix, &copy, &size);
}

static bool has_copy(void)
{
    return has_text("to");
}

static int64_t call_put(void)
{
    return mvm_posix_put(&posix, in_place(&place, 0, "to"), text);
}

static char buffer[64];

static int64_t call_read_file(void)
{
    int n;
    size_t len = 0;
    posix.worker.reading = -1;
    memset(buffer, 0, sizeof buffer);
    while ((n = mvm_posix_read_file(&posix, in_place(&place, 0, "from"), len, buffer + len, 5)) >
           0) {
        len += (size_t)n;
    }
    return n;
}

static bool was_read(void)
{
    return strcmp(buffer, text) == 0;
}

static uint64_t size_seen;

static int64_t call_file_size(void)
{
    return mvm_posix_file_size(&posix, place.dir, in_place(&place, 0, "from"), &size_seen);
}

static bool was_measured(void)
{
    return size_seen == sizeof text - 1;
}

static int64_t call_rename(void)
{
    return mvm_posix_rename(&posix, in_place(&place, 0, "from"), in_place(&place, 1, "to"));
}

static int64_t call_remove(void)
{
    return mvm_posix_remove(&posix, in_place(&place, 0, "from"));
}

static bool was_removed(void)
{
    return access(in_place(&place, 0, "from"), F_OK) < 0;
}

static int64_t call_replaceable(void)
{
    return mvm_posix_replaceable(&posix, in_place(&place, 0, "from"));
}

static int64_t call_find_file(void)
{
    return mvm_posix_find_file(&posix, in_place(&place, 0, "from"));
}

static int64_t call_sync_dir(void)
{
    return mvm_posix_sync_dir(&posix, place.dir);
}

static int64_t call_sync_fs(void)
{
    return mvm_posix_sync_fs(&posix, place.dir);
}

static int64_t call_make_dir(void)
{
    return mvm_posix_make_dir(&posix, in_place(&place, 0, "made/below"));
}

static bool was_made(void)
{
    return access(in_place(&place, 0, "made/below"), F_OK) == 0;
}

static int64_t call_remove_tree(void)
{
    return mvm_posix_remove_tree(&posix, in_place(&place, 0, "tree"));
}

static bool tree_was_removed(void)
{
    return access(in_place(&place, 0, "tree"), F_OK) < 0;
}

static int64_t call_mounted(void)
{
    return mvm_posix_mounted(&posix, place.dir, "/dev/null");
}

static int64_t call_environment(void)
{
    return mvm_posix_environment(&posix);
}

static bool has_environment(void)
{
    bool guarded = false;
    for (const char **entry = posix.env; *entry != NULL; entry++) {
        guarded = guarded || strncmp(*entry, "NIX_CONFIG=", 11) == 0;
    }
    return !guarded || fault.err == EIO;
}

static int64_t call_find_nix(void)
{
    return mvm_posix_find_nix(&posix, buffer, sizeof buffer) < 0 ? 0 : 1;
}

static int64_t call_proc(void)
{
    struct mvm_posix_process is = {.pid = 0};
    bool read = mvm_posix_process_read(AT_FDCWD, "/proc/self/stat", &is) && is.pid == getpid();
    size_seen = read && mvm_posix_proc_is_usable() ? 1 : 0;
    return 0;
}

static bool proc_was_read(void)
{
    return size_seen == 1 || fault.err == EIO;
}

static bool fine(void)
{
    return true;
}

static const struct called {
    const char *name;
    int64_t (*call)(void);
    bool (*is_right)(void);
} all[] = {
    {"copy", call_copy, has_copy},           {"put", call_put, has_copy},
    {"read_file", call_read_file, was_read}, {"file_size", call_file_size, was_measured},
    {"rename", call_rename, has_copy},       {"remove", call_remove, was_removed},
    {"replaceable", call_replaceable, fine}, {"find_file", call_find_file, fine},
    {"sync_dir", call_sync_dir, fine},       {"sync_fs", call_sync_fs, fine},
    {"make_dir", call_make_dir, was_made},   {"remove_tree", call_remove_tree, tree_was_removed},
    {"mounted", call_mounted, fine},         {"environment", call_environment, has_environment},
    {"find_nix", call_find_nix, fine},       {"proc", call_proc, proc_was_read},
};

static void fill_place(void)
{
    const char *const clear[] = {"rm", "-rf", in_place(&place, 0, "to"),
                                 in_place(&place, 1, "made"), NULL};
    run(clear);
    write_file(in_place(&place, 0, "from"), text);
    mkdir(in_place(&place, 0, "etc"), 0755);
    write_file(in_place(&place, 0, "etc/group"), "root:x:0:\nnixbld:x:30000:nixbld1\n");
    posix.root = place.dir;
    mkdir(in_place(&place, 0, "tree"), 0755);
    mkdir(in_place(&place, 0, "tree/below"), 0755);
    write_file(in_place(&place, 0, "tree/below/file"), text);
}

/* ---- each of its system calls ---- */

/* Makes the `at`th system call fail. The result; `fault` has which it was. */
static int64_t call_with_fault(const struct called *c, unsigned at, int err)
{
    fill_place();
    int before = count_descriptors();
    posix.reason[0] = '\0';
    fault.at = at;
    fault.err = err;
    fault.calls = 0;
    fault.hit = NULL;
    fault.on = true;
    errno = err; /* of an earlier call */
    int64_t r = c->call();
    fault.on = false;
    assert_int_equal(count_descriptors(), before);
    assert_false(fault.inherited);
    return r;
}

static bool is_among(const char *name, const char *const names[])
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether nothing can make up for a failure of the call. */
static bool is_decisive(const struct called *c)
{
    static const char *const always[] = {"fsync",    "fdatasync", "syncfs",          "unlink",
                                         "mkdir",    "rename",    "ftruncate",       "rmdir",
                                         "unlinkat", "pread",     "sync_file_range", NULL};
    static const char *const stats[] = {"file_size", "replaceable", "find_file", NULL};
    /* What it cannot unlink may be a directory, which it removes by rmdir. */
    if (strcmp(c->name, "remove_tree") == 0 && strstr(fault.hit, "unlink") != NULL) {
        return false;
    }
    bool opens = strcmp(c->name, "mounted") == 0 && strstr(fault.hit, "open") != NULL;
    return opens || (strstr(fault.hit, "stat") != NULL && is_among(c->name, stats)) ||
           is_among(fault.hit, always) || (strcmp(fault.hit, "close") == 0 && fault.written);
}

static void a_call_that_fails_is_an_error_or_makes_no_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        fault.hit = "";
        for (unsigned at = 1; fault.hit != NULL; at++) {
            int64_t r = call_with_fault(&all[i], at, EIO);
            bool has_reason = strstr(reason_of(&posix), "Input/output error") != NULL ||
                              strstr(reason_of(&posix), "the file changed") != NULL;
            if (r >= 0 ? !all[i].is_right() || (fault.hit != NULL && is_decisive(&all[i]))
                       : fault.hit == NULL || !has_reason) {
                fail_msg("%s: its call %u, %s: result %d, reason \"%s\"", all[i].name, at,
                         fault.hit != NULL ? fault.hit : "none", (int)r, reason_of(&posix));
            }
        }
    }
}

static void a_call_that_is_interrupted_makes_no_difference(void **state)
{
    static const char *const interruptible[] = {"read",     "write",           "pread", "close",
                                                "sendfile", "sync_file_range", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        fault.hit = "";
        for (unsigned at = 1; fault.hit != NULL; at++) {
            int64_t r = call_with_fault(&all[i], at, EINTR);
            if ((fault.hit == NULL || is_among(fault.hit, interruptible)) &&
                (r < 0 || !all[i].is_right())) {
                fail_msg("%s: its call %u, %s: result %d, reason \"%s\"", all[i].name, at,
                         fault.hit != NULL ? fault.hit : "none", (int)r, reason_of(&posix));
            }
        }
    }
}

static void a_call_that_does_less_than_it_might_is_repeated(void **state)
{
    (void)state;
    fault.slow = true;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int64_t r = call_with_fault(&all[i], 0, 0);
        if (r < 0 || !all[i].is_right()) {
            fail_msg("%s: result %d, reason \"%s\"", all[i].name, (int)r, reason_of(&posix));
        }
    }
    fault.slow = false;
}

static void a_write_that_accepts_nothing_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (int slow = 0; slow < 2; slow++) {
            fault.slow = slow == 1;
            assert_true(call_with_fault(&all[i], 1 + (unsigned)slow, 0) < 0 || fault.hit == NULL);
            assert_true(fault.hit == NULL ||
                        strcmp(reason_of(&posix), "write: Input/output error") == 0);
            assert_true(fault.hit != NULL || all[i].is_right());
        }
    }
    fault.slow = false;
}

/* Another process may be as fast. */
static void a_link_that_is_made_in_place_of_a_new_file_is_not_followed(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fill_place();
        write_file(in_place(&place, 0, "target"), "kept");
        assert_int_equal(symlink("target", in_place(&place, 1, "to")), 0);
        fault.on = fault.keeps = true;
        fault.at = 0;
        int64_t r = all[i].call();
        fault.on = fault.keeps = false;
        assert_int_equal(r, MVM_PORT_FAILED);
        assert_string_equal(reason_of(&posix), "open: File exists");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(a_call_that_fails_is_an_error_or_makes_no_difference),
        ALONE(a_call_that_is_interrupted_makes_no_difference),
        ALONE(a_link_that_is_made_in_place_of_a_new_file_is_not_followed),
        ALONE(a_write_that_accepts_nothing_is_an_error),
        ALONE(a_call_that_does_less_than_it_might_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
