/* The port's calls for builds without disks: a process that is fed, trees, data and holes. */
#define _GNU_SOURCE
#include "test_posix_fixture.h"
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static struct mvm_posix posix;
static char dir[TEMPORARY_CAP];

static int set_up(void **state)
{
    (void)state;
    assert_true(make_temporary(dir, "bulk"));
    init_without_stdin(&posix, &(struct mvm_posix_config){.cgroup = ""});
    return 0;
}

static int tear_down(void **state)
{
    char command[TEMPORARY_CAP + 16];
    (void)state;
    mvm_posix_fini(&posix);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *at(const char *name)
{
    static char paths[4][TEMPORARY_CAP + 80];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void wait_for_port(void)
{
    struct pollfd fd = {mvm_posix_fd(&posix), POLLIN, 0};
    assert_in_range(poll(&fd, 1, 60000), 1, 1);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

#define ASK(r, call)                                                                               \
    while ((r = (call)) == MVM_PORT_LATER) {                                                       \
        wait_for_port();                                                                           \
    }

static void end_build(void)
{
    struct mvm_exit e;
    int r;
    while ((r = port->poll_exit(&posix, &e)) == 0) {
        wait_for_port();
    }
    assert_int_equal(r, 1);
    assert_false(e.signaled);
    assert_int_equal(e.code, 0);
    port->close_build(&posix);
}

static void what_is_fed_arrives_whole(void **state)
{
    (void)state;
    enum { TOTAL = 3 << 20 };
    static uint8_t bytes[TOTAL];
    char command[2 * TEMPORARY_CAP + 80];
    struct stat st;
    assert_int_equal(mkfifo(at("go"), 0600), 0);
    snprintf(command, sizeof command, "read x <%s; cat >%s", at("go"), at("out"));
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(port->spawn_fed(&posix, argv), 0);
    bool waited = false;
    for (size_t done = 0; done < TOTAL;) {
        int n = port->feed(&posix, bytes + done, TOTAL - done);
        if (n == MVM_PORT_LATER) {
            if (!waited) {
                put("go", "go\n");
            }
            waited = true;
            wait_for_port();
            continue;
        }
        assert_true(n > 0);
        done += (size_t)n;
    }
    assert_true(waited);
    port->end_feed(&posix);
    end_build();
    assert_int_equal(stat(at("out"), &st), 0);
    assert_int_equal(st.st_size, TOTAL);
}

static void a_process_that_reads_no_more_fails_the_feed_without_a_signal(void **state)
{
    (void)state;
    const char *const argv[] = {"/bin/true", NULL};
    uint8_t byte = 0;
    int n;
    assert_int_equal(port->spawn_fed(&posix, argv), 0);
    while ((n = port->feed(&posix, &byte, 1)) > 0 || n == MVM_PORT_LATER) {
    }
    assert_int_equal(n, MVM_PORT_FAILED);
    end_build();
    assert_int_equal(port->feed(&posix, &byte, 1), MVM_PORT_FAILED);
}

static void a_tree_is_removed_and_links_are_not_followed(void **state)
{
    (void)state;
    int r;
    assert_int_equal(mkdir(at("tree"), 0755), 0);
    assert_int_equal(mkdir(at("tree/a"), 0755), 0);
    assert_int_equal(mkdir(at("kept"), 0755), 0);
    put("kept/f", "kept");
    put("tree/a/f", "x");
    assert_int_equal(symlink(at("kept"), at("tree/a/link")), 0);
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "tree/a/%d", i);
        assert_int_equal(mkdir(at(name), 0755), 0);
        snprintf(name, sizeof name, "tree/a/%d/f", i);
        put(name, "x");
    }
    ASK(r, port->remove_tree(&posix, at("tree")));
    assert_int_equal(r, 0);
    assert_int_equal(access(at("tree"), F_OK), -1);
    assert_int_equal(access(at("kept/f"), F_OK), 0);
    ASK(r, port->remove_tree(&posix, at("tree")));
    assert_int_equal(r, 0);
    ASK(r, port->end_job(&posix));
}

static bool set_immutable(const char *path, bool is)
{
    unsigned long flags = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    flags = is ? flags | FS_IMMUTABLE_FL : flags & ~(unsigned long)FS_IMMUTABLE_FL;
    done = done && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

/* An immutable file is refused with the same errno as a directory is on other systems. */
static void a_file_that_cannot_be_removed_is_named(void **state)
{
    (void)state;
    int r;
    assert_int_equal(mkdir(at("tree"), 0755), 0);
    assert_int_equal(mkdir(at("tree/a"), 0755), 0);
    put("tree/a/f", "x");
    if (!set_immutable(at("tree/a/f"), true)) {
        SKIP_BECAUSE("no file can be made immutable here");
    }
    ASK(r, port->remove_tree(&posix, at("tree")));
    assert_true(set_immutable(at("tree/a/f"), false));
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(port->reason(&posix), "remove f: Operation not permitted");
    ASK(r, port->end_job(&posix));
}

static void sizes_are_of_regular_files_within_the_directory(void **state)
{
    (void)state;
    uint64_t size = 0;
    int r;
    put("f", "12345");
    assert_int_equal(symlink("/etc/passwd", at("out")), 0);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    ASK(r, port->file_size(&posix, dir, at("f"), &size));
    assert_int_equal(r, 0);
    assert_int_equal(size, 5);
    ASK(r, port->file_size(&posix, dir, at("none"), &size));
    assert_int_equal(r, MVM_PORT_NOT_FOUND);
    ASK(r, port->file_size(&posix, dir, at("fifo"), &size));
    assert_int_equal(r, MVM_PORT_NOT_REGULAR);
    ASK(r, port->file_size(&posix, dir, at("out"), &size));
    assert_int_equal(r, MVM_PORT_SOURCE_FAILED);
    ASK(r, port->end_job(&posix));
}

/* As the file system reports it. */
static size_t count_data(const char *name)
{
    off_t from, to = 0;
    size_t sum = 0;
    int fd = open(at(name), O_RDONLY);
    while ((from = lseek(fd, to, SEEK_DATA)) >= 0) {
        to = lseek(fd, from, SEEK_HOLE);
        sum += (size_t)(to - from);
    }
    close(fd);
    return sum;
}

static void data_is_read_and_holes_are_skipped(void **state)
{
    (void)state;
    enum { DATA = 1 << 20, SIZE = 4 << 20 };
    static uint8_t buf[MVM_BULK_DATA_MAX];
    int64_t r;
    int fd = open(at("sparse"), O_RDWR | O_CREAT, 0644);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    memset(buf, 'd', sizeof buf);
    assert_int_equal(pwrite(fd, buf, 65536, DATA), 65536);
    assert_int_equal(pwrite(fd, buf, 65536, DATA + 65536), 65536);
    close(fd);
    uint64_t offset = 0;
    size_t total = 0;
    size_t data = count_data("sparse");
    do {
        memset(buf, 0, sizeof buf);
        ASK(r, port->read_data(&posix, dir, at("sparse"), SIZE, &offset, buf, sizeof buf));
        for (int64_t i = 0; i < r; i++) {
            assert_true(buf[i] == (offset >= DATA && offset < DATA + 131072 ? 'd' : 0));
        }
        total += r > 0 ? (size_t)r : 0;
        offset += r > 0 ? (uint64_t)r : 0;
    } while (r > 0);
    assert_int_equal(r, 0);
    assert_int_equal(total, data);
    offset = SIZE;
    ASK(r, port->read_data(&posix, dir, at("sparse"), SIZE, &offset, buf, sizeof buf));
    assert_int_equal(r, 0);
    offset = 0;
    ASK(r, port->read_data(&posix, dir, at("none"), SIZE, &offset, buf, sizeof buf));
    assert_int_equal(r, MVM_PORT_NOT_FOUND);
    ASK(r, port->end_job(&posix));
}

/* What is sent next would not go with what was sent before it. */
static void a_file_that_changes_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static const struct {
        off_t size;      /* that it gets, … */
        const char *put; /* … and bytes at its end */
    } changes[] = {{SIZE / 2, ""}, {SIZE + 1, ""}, {0, ""}, {SIZE, "x"}};
    static uint8_t buf[MVM_BULK_DATA_MAX];
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint64_t offset = 0;
        int64_t r;
        int fd = open(at("changes"), O_RDWR | O_CREAT | O_TRUNC, 0644);
        const struct timespec old[] = {{1, 0}, {1, 0}}; /* as all of nix's store is */
        memset(buf, 'd', sizeof buf);
        for (off_t to = 0; to < SIZE; to += (off_t)sizeof buf) {
            assert_int_equal(pwrite(fd, buf, sizeof buf, to), sizeof buf);
        }
        assert_int_equal(futimens(fd, old), 0);
        ASK(r, port->read_data(&posix, dir, at("changes"), SIZE, &offset, buf, sizeof buf));
        assert_true(r > 0);
        assert_int_equal(ftruncate(fd, changes[i].size), 0);
        size_t len = strlen(changes[i].put);
        assert_int_equal(pwrite(fd, changes[i].put, len, SIZE - (off_t)len), len);
        close(fd);
        offset = SIZE - sizeof buf;
        ASK(r, port->read_data(&posix, dir, at("changes"), SIZE, &offset, buf, sizeof buf));
        assert_int_equal(r, MVM_PORT_SOURCE_FAILED);
        assert_string_equal(posix.reason, "read: the file has changed");
        ASK(r, port->end_job(&posix));
        if (changes[i].size != SIZE) { /* before the first read */
            ASK(r, port->read_data(&posix, dir, at("changes"), SIZE, &offset, buf, sizeof buf));
            assert_int_equal(r, MVM_PORT_SOURCE_FAILED);
            ASK(r, port->end_job(&posix));
        }
    }
}

/* A file whose bytes encode their offset; `salt` distinguishes files. */
static uint8_t byte_at(uint64_t offset, unsigned salt)
{
    return (uint8_t)(offset % 251 + offset / 65536 * 7 + salt);
}

static void put_pattern(const char *name, size_t size, unsigned salt)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++) {
        fputc(byte_at(i, salt), f);
    }
    fclose(f);
}

static uint64_t size_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(at(name), &st), 0);
    return (uint64_t)st.st_size;
}

/* Reads once; returns how often it had to wait. */
static int read_piece(const char *name, unsigned salt, uint64_t offset, int64_t *r)
{
    static uint8_t buf[MVM_BULK_DATA_MAX];
    uint64_t from = offset;
    int waits = 0;
    while ((*r = port->read_data(&posix, dir, at(name), size_of(name), &offset, buf, sizeof buf)) ==
           MVM_PORT_LATER) {
        waits++;
        wait_for_port();
    }
    assert_true(*r >= 0);
    assert_int_equal(offset, from);
    for (int64_t i = 0; i < *r; i++) {
        assert_int_equal(buf[i], byte_at(offset + (uint64_t)i, salt));
    }
    return waits;
}

/* Whether this file system and this user's pipes allow it. */
static bool can_pass(const char *name, size_t bytes)
{
    int fds[2], fd = open(at(name), O_RDONLY);
    assert_int_equal(pipe(fds), 0);
    bool can = fcntl(fds[1], F_SETPIPE_SZ, bytes) >= (int)bytes &&
               splice(fd, NULL, fds[1], NULL, bytes, SPLICE_F_NONBLOCK) == (ssize_t)bytes;
    close(fds[0]);
    close(fds[1]);
    close(fd);
    return can;
}

static void a_reader_that_goes_on_gets_several_pieces_for_one_wait(void **state)
{
    (void)state;
    enum { SIZE = (2 << 20) + 12345 };
    int waits = 0, pieces = 0;
    int64_t r;
    put_pattern("f", SIZE, 0);
    if (!can_pass("f", 4 * MVM_BULK_DATA_MAX)) {
        fprintf(stderr, "SKIPPED: no large pipe, or no splice(2) of files, here\n");
        skip();
    }
    for (uint64_t at_byte = 0; at_byte < SIZE; at_byte += (uint64_t)r) {
        waits += read_piece("f", 0, at_byte, &r);
        assert_true(r > 0);
        pieces++;
    }
    assert_in_range(waits, 1, pieces / 2);
    ASK(r, port->end_job(&posix));
}

static void places_of_several_files_are_read_in_any_order(void **state)
{
    static const struct {
        const char *name;
        unsigned salt;
        uint64_t offset;
    } places[] = {
        {"f", 0, 0},      {"f", 0, 65536},    {"f", 0, 131072}, {"g", 9, 196608}, {"g", 9, 262144},
        {"f", 0, 262144}, {"f", 0, 327680},   {"f", 0, 327680}, {"f", 0, 1},      {"f", 0, 65537},
        {"g", 9, 65537},  {"f", 0, 131073},   {"f", 0, 524287}, {"g", 9, 0},      {"ff", 17, 0},
        {"f", 0, 131072}, {"ff", 17, 262144},
    };
    (void)state;
    int64_t r;
    put_pattern("f", 524288, 0);
    put_pattern("g", 524288, 9);
    put_pattern("ff", 524288, 17);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        read_piece(places[i].name, places[i].salt, places[i].offset, &r);
        assert_true(r > 0);
    }
    uint64_t none = 1;
    uint8_t byte;
    ASK(r, port->read_data(&posix, dir, at("none"), 1, &none, &byte, 1));
    assert_int_equal(r, MVM_PORT_NOT_FOUND);
    read_piece("g", 9, 131072, &r); /* as before the one that is missing */
    assert_true(r > 0);
    ASK(r, port->end_job(&posix));
    read_piece("g", 9, 65536, &r); /* by another worker */
    assert_true(r > 0);
    ASK(r, port->end_job(&posix));
}

/* splice(2) fails from now on in this process, so this is the last test. */
static bool refuse_splice(unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_splice, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
           prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program) == 0;
}

/* Counts in the worker, too, which is a fork of this process. With 64-bit offsets lseek has this
 * name in glibc. */
static int *lseeks;
off_t __real_lseek64(int fd, off_t offset, int whence);
off_t __wrap_lseek64(int fd, off_t offset, int whence);
static bool without_holes;
off_t __wrap_lseek64(int fd, off_t offset, int whence)
{
    if (without_holes && whence == SEEK_DATA) {
        errno = EINVAL;
        return -1;
    }
    if (lseeks != NULL) {
        ++*lseeks;
    }
    return __real_lseek64(fd, offset, whence);
}

/* Some file systems look at every page of a run to find its end. */
static void the_end_of_a_run_of_data_is_looked_for_once(void **state)
{
    (void)state;
    enum { SIZE = 2 << 20 };
    int64_t r;
    put_pattern("f", SIZE, 0);
    lseeks = mmap(NULL, sizeof *lseeks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(lseeks != MAP_FAILED);
    for (uint64_t at_byte = 0; at_byte < SIZE; at_byte += (uint64_t)r) {
        read_piece("f", 0, at_byte, &r);
        assert_true(r > 0);
    }
    ASK(r, port->end_job(&posix));
    assert_in_range(*lseeks, 1, 4);
    munmap(lseeks, sizeof *lseeks);
    lseeks = NULL;
}

static void a_file_system_that_does_not_report_holes_has_data_alone(void **state)
{
    enum { SIZE = 300001 };
    (void)state;
    int64_t r;
    put_pattern("f", SIZE, 5);
    without_holes = true;
    for (uint64_t at_byte = 0; at_byte < SIZE; at_byte += (uint64_t)r) {
        read_piece("f", 5, at_byte, &r);
        assert_true(r > 0);
    }
    ASK(r, port->end_job(&posix));
    without_holes = false;
}

/* As in file systems that lack it, and in sandboxes. */
static void without_splice_data_is_copied(void **state)
{
    static const unsigned errors[] = {EINVAL, ENOSYS, EPERM};
    enum { SIZE = 300001 };
    (void)state;
    put_pattern("f", SIZE, 3);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        int64_t r;
        if (!refuse_splice(errors[i])) {
            skip();
        }
        for (uint64_t at_byte = 0; at_byte < SIZE; at_byte += (uint64_t)r) {
            read_piece("f", 3, at_byte, &r);
            assert_true(r > 0);
        }
        ASK(r, port->end_job(&posix));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_fed_arrives_whole),
        TEST(a_process_that_reads_no_more_fails_the_feed_without_a_signal),
        TEST(a_tree_is_removed_and_links_are_not_followed),
        TEST(a_file_that_cannot_be_removed_is_named),
        TEST(sizes_are_of_regular_files_within_the_directory),
        TEST(data_is_read_and_holes_are_skipped),
        TEST(a_file_that_changes_while_it_is_read_is_an_error),
        TEST(a_reader_that_goes_on_gets_several_pieces_for_one_wait),
        TEST(places_of_several_files_are_read_in_any_order),
        TEST(the_end_of_a_run_of_data_is_looked_for_once),
        TEST(a_file_system_that_does_not_report_holes_has_data_alone),
        TEST(without_splice_data_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
