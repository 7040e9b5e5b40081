/* Files and copies: what is opened and what is refused, and that a copy equals its source. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_alone.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- opening ---- */

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void only_regular_files_are_opened_for_reading(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int error;
        const char *reason;
    } cases[] = {
        {"absent", MVM_PORT_NOT_FOUND, "open: No such file or directory"},
        {"file/below", MVM_PORT_NOT_FOUND, "open: Not a directory"},
        {"dangling", MVM_PORT_NOT_FOUND, "open: No such file or directory"},
        {"directory", MVM_PORT_NOT_REGULAR, "open: not a regular file"},
        {"fifo", MVM_PORT_NOT_REGULAR, "open: not a regular file"},
        {"device", MVM_PORT_NOT_REGULAR, "open: not a regular file"},
        {"socket", MVM_PORT_NOT_REGULAR, "open: not a regular file"},
        {"loop", MVM_PORT_SOURCE_FAILED, "open: Too many levels of symbolic links"},
    };
    write_file(in_place(&place, 0, "file"), "text");
    assert_int_equal(symlink("nowhere", in_place(&place, 0, "dangling")), 0);
    assert_int_equal(mkdir(in_place(&place, 0, "directory"), 0755), 0);
    assert_int_equal(mkfifo(in_place(&place, 0, "fifo"), 0644), 0);
    assert_int_equal(symlink("/dev/zero", in_place(&place, 0, "device")), 0);
    assert_int_equal(symlink("loop", in_place(&place, 0, "loop")), 0);
    make_socket(in_place(&place, 0, "socket"));
    int before = count_descriptors();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = in_place(&place, 0, cases[i].name);
        assert_int_equal(mvm_posix_open_source(&posix, NULL, path), cases[i].error);
        assert_string_equal(reason_of(&posix), cases[i].reason);
    }
    assert_int_equal(count_descriptors(), before);
}

/* Opening a FIFO would wake the process at its other end; opening a device can have effects. */
static void what_is_not_a_regular_file_is_not_even_opened(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_place(&place, 0, "fifo"), 0644), 0);
    int reader = open(place.path[0], O_RDWR | O_NONBLOCK | O_CLOEXEC);
    close(reader);
    assert_int_equal(mvm_posix_open_source(&posix, NULL, place.path[0]), MVM_PORT_NOT_REGULAR);
    int writer = open(place.path[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(writer, -1);
    assert_int_equal(errno, ENXIO);
}

static void make_stores(void)
{
    assert_int_equal(mkdir(in_place(&place, 0, "store"), 0755), 0);
    assert_int_equal(mkdir(in_place(&place, 0, "store2"), 0755), 0);
    write_file(in_place(&place, 0, "store/file"), "in");
    write_file(in_place(&place, 0, "store2/file"), "out");
    assert_int_equal(symlink("file", in_place(&place, 0, "store/link")), 0);
    assert_int_equal(symlink("/etc/passwd", in_place(&place, 0, "store/away")), 0);
    assert_int_equal(symlink("../store/file", in_place(&place, 0, "store/around")), 0);
    assert_int_equal(symlink("away", in_place(&place, 0, "store/double")), 0);
    assert_int_equal(symlink("store", in_place(&place, 0, "alias")), 0);
}

/* What is opened, or refused, against what should be; NULL: all is right. */
static const char *wrong_source(void)
{
    static const struct {
        const char *within;
        const char *name;
        bool is_within;
    } cases[] = {{"store", "store/file", true},   {"store", "store/link", true},
                 {"store", "store/away", false},  {"store", "store/around", true},
                 {"store", "store2/file", false}, {"store", "store/../store2/file", false},
                 {"store", "alias/file", true},   {"store", "store/double", false},
                 {"alias", "store/file", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = mvm_posix_open_source(&posix, in_place(&place, 1, cases[i].within),
                                       in_place(&place, 0, cases[i].name));
        bool refused = fd == MVM_PORT_SOURCE_FAILED &&
                       strstr(reason_of(&posix), "it leads to /") != NULL &&
                       strstr(reason_of(&posix), ", which is not in ") != NULL;
        if (cases[i].is_within ? fd < 0 : !refused) {
            return cases[i].name;
        }
        close(fd);
    }
    return NULL;
}

static void a_source_is_below_its_directory_wherever_its_links_lead(void **state)
{
    (void)state;
    make_stores();
    assert_null(wrong_source());
}

/* In a process with mounts of its own. */
static void it_is_so_without_a_proc_too(void **state)
{
    int status;
    (void)state;
    make_stores();
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/proc", "tmpfs", 0, NULL) < 0) {
            _exit(2);
        }
        _exit(access("/proc/self", F_OK) < 0 && wrong_source() == NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 2) {
        SKIP_BECAUSE("this user may not mount");
    }
    assert_int_equal(status, 0);
}

static void a_link_to_a_file_is_followed_and_read_to_its_end(void **state)
{
    (void)state;
    uint8_t buf[8];
    int r;
    write_file(in_place(&place, 0, "file"), "text");
    assert_int_equal(symlink("file", in_place(&place, 0, "link")), 0);
    const char *path = in_place(&place, 0, "link");
    AWAIT(r, port->read_file(&posix, path, 0, buf, 3));
    assert_int_equal(r, 3);
    assert_memory_equal(buf, "tex", 3);
    write_file(in_place(&place, 1, "other"), "another file");
    assert_int_equal(rename(in_place(&place, 1, "other"), in_place(&place, 0, "file")), 0);
    path = in_place(&place, 0, "link");
    AWAIT(r, port->read_file(&posix, path, 3, buf, sizeof buf));
    assert_int_equal(r, 1);
    assert_int_equal(buf[0], 't');
    AWAIT(r, port->read_file(&posix, path, 4, buf, sizeof buf));
    assert_int_equal(r, 0);
}

/* A policy that cannot be read does not permit builds. */
static void only_a_name_that_does_not_exist_is_not_found(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int error;
    } cases[] = {
        {"absent", MVM_PORT_NOT_FOUND}, {"none/absent", MVM_PORT_NOT_FOUND},
        {"dangling", MVM_PORT_FAILED},  {"file/below", MVM_PORT_FAILED},
        {"loop", MVM_PORT_FAILED},      {"directory", MVM_PORT_NOT_REGULAR},
    };
    write_file(in_place(&place, 0, "file"), "text");
    assert_int_equal(symlink("nowhere", in_place(&place, 0, "dangling")), 0);
    assert_int_equal(symlink("loop", in_place(&place, 0, "loop")), 0);
    assert_int_equal(mkdir(in_place(&place, 0, "directory"), 0755), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t byte;
        int r;
        AWAIT(r, port->read_file(&posix, in_place(&place, 0, cases[i].name), 0, &byte, 1));
        assert_int_equal(r, cases[i].error);
    }
}

static void a_new_file_takes_the_place_of_a_link_and_spares_its_target(void **state)
{
    (void)state;
    struct stat st;
    int r;
    write_file(in_place(&place, 0, "target"), "kept");
    assert_int_equal(symlink("target", in_place(&place, 1, "new")), 0);
    mode_t mask = umask(0077);
    AWAIT(r, port->put(&posix, in_place(&place, 1, "new"), "abcde"));
    umask(mask);
    assert_int_equal(r, 0);
    assert_int_equal(lstat(in_place(&place, 1, "new"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(stat(in_place(&place, 0, "target"), &st), 0);
    assert_int_equal(st.st_size, 4);
}

static void a_new_file_where_a_directory_stands_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_place(&place, 0, "directory"), 0755), 0);
    assert_int_equal(mvm_posix_open_new(&posix, in_place(&place, 0, "directory")), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "unlink directory: Is a directory");
}

static void what_cannot_be_replaced_is_known_before(void **state)
{
    (void)state;
    write_file(in_place(&place, 0, "file"), "text");
    assert_int_equal(mvm_posix_replaceable(&posix, place.path[0]), 0);
    assert_int_equal(mvm_posix_replaceable(&posix, in_place(&place, 0, "absent")), 0);
    assert_int_equal(symlink("directory", in_place(&place, 0, "link")), 0);
    assert_int_equal(mkdir(in_place(&place, 1, "directory"), 0755), 0);
    assert_int_equal(mvm_posix_replaceable(&posix, place.path[0]), 0);
    assert_int_equal(mvm_posix_replaceable(&posix, place.path[1]), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "rename: Is a directory");
}

static void renaming_replaces_and_removing_wants_something_there(void **state)
{
    (void)state;
    struct stat st;
    write_file(in_place(&place, 0, "from"), "new text");
    write_file(in_place(&place, 1, "to"), "old");
    assert_int_equal(mvm_posix_rename(&posix, place.path[0], place.path[1]), 0);
    assert_int_equal(stat(place.path[1], &st), 0);
    assert_int_equal(st.st_size, 8);
    assert_int_equal(mvm_posix_sync_dir(&posix, place.dir), 0);
    assert_int_equal(mvm_posix_sync_dir(&posix, place.path[1]), MVM_PORT_NOT_DIRECTORY);
    assert_int_equal(mvm_posix_sync_fs(&posix, place.path[1]), MVM_PORT_NOT_DIRECTORY);
    assert_int_equal(mvm_posix_remove(&posix, place.path[1]), 0);
    assert_int_equal(mvm_posix_remove(&posix, place.path[1]), MVM_PORT_NOT_FOUND);
    assert_string_equal(reason_of(&posix), "unlink: No such file or directory");
    assert_int_equal(mvm_posix_rename(&posix, place.path[0], place.path[1]), MVM_PORT_NOT_FOUND);
}

/* ---- copies ---- */

enum { SLICE = 65536, MIB = 1 << 20, HOLE = 8 * MIB };

static int make_source(const char *name)
{
    int fd = open(in_place(&place, 0, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Copies `from` to `to`, both in `place`, in pieces; the number of bytes that they reported. */
static int64_t copy_all(uint32_t max)
{
    int from = mvm_posix_open_source(&posix, NULL, in_place(&place, 0, "from"));
    int to = mvm_posix_open_new(&posix, in_place(&place, 1, "to"));
    struct mvm_posix_work w = {.from = from, .to = to, .max = max};
    int64_t sum = 0;
    int64_t n;
    assert_true(from >= 0 && to >= 0);
    while ((n = mvm_posix_copy_piece(&w)) > 0) {
        sum += n;
    }
    assert_int_equal(n, 0);
    assert_int_equal(mvm_posix_sync_piece(&w), 0);
    close(from);
    close(to);
    return sum;
}

static void copies_of_every_size_are_whole(void **state)
{
    (void)state;
    static const int64_t sizes[] = {
        0,           1,           4095,          4096,           4097,           SLICE - 1,
        SLICE,       SLICE + 1,   3 * SLICE,     4 * MIB - 1,    4 * MIB,        4 * MIB + 1,
        4 * MIB + 5, 8 * MIB - 1, 8 * MIB + 512, 16 * MIB + 512, 20 * MIB - 511, 20 * MIB + 5,
    };
    static const uint32_t slices[] = {SLICE, MIB, 2 * MIB + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = make_source("from");
        put_data(fd, 0, sizes[i]);
        close(fd);
        for (size_t k = 0; k < sizeof slices / sizeof slices[0]; k++) {
            assert_int_equal(copy_all(slices[k]), sizes[i]);
            assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
        }
    }
}

static void a_slice_of_one_byte_will_do(void **state)
{
    (void)state;
    int fd = make_source("from");
    put_data(fd, 0, 300);
    close(fd);
    assert_int_equal(copy_all(1), 300);
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
}

static bool keeps_holes(void)
{
    struct stat st;
    int fd = make_source("probe");
    assert_int_equal(ftruncate(fd, HOLE), 0);
    assert_int_equal(fstat(fd, &st), 0);
    bool keeps = lseek(fd, 0, SEEK_DATA) < 0 && st.st_blocks < 8;
    close(fd);
    return keeps;
}

static void holes_stay_holes_wherever_they_are(void **state)
{
    (void)state;
    static const struct {
        int64_t size;
        int64_t data[2][2]; /* where, how long */
    } cases[] = {
        {HOLE, {{0, 0}, {0, 0}}},
        {HOLE + 8192, {{HOLE, 8192}, {0, 0}}},
        {HOLE, {{0, 8192}, {0, 0}}},
        {HOLE, {{0, 4096}, {HOLE - 100, 100}}},
        {3 * HOLE + 1, {{HOLE, 100000}, {2 * HOLE, 5000}}},
        {3 * HOLE + 1, {{HOLE, 5 * MIB}, {2 * HOLE + 4096, 4 * MIB + 5}}},
        {3 * HOLE, {{HOLE - 4096, 4 * MIB + 4096}, {3 * HOLE - 5 * MIB - 5, 5 * MIB + 5}}},
    };
    if (!keeps_holes()) {
        SKIP_BECAUSE("the file system of /tmp has no holes");
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stat st;
        int fd = make_source("from");
        int64_t data = 0;
        for (int k = 0; k < 2; k++) {
            put_data(fd, cases[i].data[k][0], cases[i].data[k][1]);
            data += cases[i].data[k][1];
        }
        assert_int_equal(ftruncate(fd, cases[i].size), 0);
        close(fd);
        assert_int_equal(copy_all(MIB), cases[i].size);
        assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
        assert_int_equal(stat(in_place(&place, 1, "to"), &st), 0);
        assert_int_equal(st.st_size, cases[i].size);
        assert_true(st.st_blocks * 512 <= data + 32768);
    }
}

static void assert_same_at(int64_t at, size_t len)
{
    uint8_t bytes[2][8192];
    assert_true(len <= sizeof bytes[0]);
    for (int i = 0; i < 2; i++) {
        int fd = open(in_place(&place, i, i == 0 ? "from" : "to"), O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, bytes[i], len, at), (ssize_t)len);
        close(fd);
    }
    assert_memory_equal(bytes[0], bytes[1], len);
}

/* Past 32 bits: a size kept in too few bits would fail here. */
static void a_sparse_file_of_more_than_4_gib_takes_the_room_of_its_data(void **state)
{
    (void)state;
    static const int64_t border = 4ll << 30;
    struct stat st;
    if (!keeps_holes()) {
        SKIP_BECAUSE("the file system of /tmp has no holes");
    }
    int fd = make_source("from");
    put_data(fd, 0, 4096);
    put_data(fd, border - 2048, 4096);
    put_data(fd, border + HOLE, 5);
    assert_int_equal(ftruncate(fd, border + 2 * HOLE + 1), 0);
    close(fd);
    assert_int_equal(copy_all(SLICE), border + 2 * HOLE + 1);
    assert_int_equal(stat(in_place(&place, 1, "to"), &st), 0);
    assert_int_equal(st.st_size, border + 2 * HOLE + 1);
    assert_true(st.st_blocks * 512 <= 65536);
    assert_same_at(0, 4096);
    assert_same_at(border - 2048, 4096);
    assert_same_at(border - 4096, 8192);
    assert_same_at(border + HOLE, 4096);
    assert_same_at(border + 2 * HOLE, 1);
}

/* ---- by pieces, with changes between them ---- */

static int64_t copy_to_the_end(struct mvm_posix_work *w)
{
    struct stat st;
    int64_t n;
    while ((n = mvm_posix_copy_piece(w)) > 0) {
    }
    assert_int_equal(n, 0);
    assert_int_equal(fstat(w->to, &st), 0);
    close(w->to);
    return st.st_size;
}

static void begin_copy(struct mvm_posix_work *w, int from)
{
    int to = open(in_place(&place, 1, "to"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    *w = (struct mvm_posix_work){.from = from, .to = to, .max = SLICE};
    assert_true(to >= 0);
    assert_int_equal(lseek(from, 0, SEEK_SET), 0);
    assert_int_equal(mvm_posix_copy_piece(w), SLICE);
}

static void a_source_that_shrinks_ends_the_copy_where_it_ends(void **state)
{
    (void)state;
    static const int64_t sizes[] = {2 * SLICE + 10, 1000};
    static const int64_t ends[] = {2 * SLICE + 10, SLICE};
    for (size_t i = 0; i < 2; i++) {
        struct mvm_posix_work w;
        int fd = make_source("from");
        put_data(fd, 0, 8 * SLICE);
        begin_copy(&w, fd);
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        assert_int_equal(copy_to_the_end(&w), ends[i]);
        close(fd);
    }
}

static void a_source_that_grows_is_copied_as_it_was(void **state)
{
    (void)state;
    struct mvm_posix_work w;
    int fd = make_source("from");
    put_data(fd, 0, 3 * SLICE);
    begin_copy(&w, fd);
    put_data(fd, 3 * SLICE, 3 * SLICE);
    assert_int_equal(copy_to_the_end(&w), 3 * SLICE);
    close(fd);
}

/* At any moment: a mapping of truncated pages must not end a process. */
static void a_source_that_shrinks_under_a_copy_is_an_error(void **state)
{
    (void)state;
    int fd = make_source("from");
    unsigned changed = 0;
    for (int i = 0; i < 40; i++) {
        const struct timespec moment = {0, i * 50000};
        int64_t sum;
        uint64_t size;
        put_data(fd, 0, 8 * MIB);
        const char *from = in_place(&place, 0, "from");
        const char *to = in_place(&place, 1, "to");
        assert_int_equal(port->copy(&posix, NULL, from, to, &size), MVM_PORT_LATER);
        nanosleep(&moment, NULL);
        assert_int_equal(ftruncate(fd, 100001), 0);
        int64_t r = copy_by_worker(&posix, NULL, from, to, &sum);
        if (r < 0) {
            assert_int_equal(r, MVM_PORT_SOURCE_FAILED);
            assert_string_equal(reason_of(&posix), "copy: the file changed while it was copied");
            changed++;
        } else {
            assert_same_at(0, 8192);
        }
    }
    assert_true(changed > 0);
    close(fd);
}

struct spoiler {
    int fd;
    int64_t at; /* < 0: nothing is written */
    int64_t size;
    int done;
};

/* During a copy. */
static void spoil(void *ctx, int64_t bytes, uint64_t size)
{
    struct spoiler *s = ctx;
    (void)bytes, (void)size;
    if (s->done++ == 0) {
        assert_int_equal(s->at < 0 ? 1 : pwrite(s->fd, "x", 1, s->at), 1);
        assert_int_equal(ftruncate(s->fd, s->size), 0);
    }
}

static void a_source_that_changes_while_it_is_copied_is_an_error(void **state)
{
    (void)state;
    const int64_t len = 2 * (int64_t)MVM_STAGE_SLICE + 5;
    static const struct {
        int64_t at;
        int64_t change;
    } cases[] = {{0, 0}, {MVM_STAGE_SLICE + 1, 0}, {-1, -1}, {-1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t size;
        int fd = make_source("from");
        put_data(fd, 0, len);
        const struct timespec old[2] = {{1, 0}, {1, 0}};
        assert_int_equal(futimens(fd, old), 0);
        struct spoiler s = {fd, cases[i].at, len + cases[i].change, 0};
        const struct mvm_posix_copy copy = {.from = in_place(&place, 0, "from"),
                                            .to = in_place(&place, 1, "to"),
                                            .report = spoil,
                                            .ctx = &s};
        assert_int_equal(mvm_posix_copy_file(&posix, &copy, &size), MVM_PORT_SOURCE_FAILED);
        assert_string_equal(reason_of(&posix), "copy: the file changed while it was copied");
        close(fd);
    }
}

/* The kernel does not splice into a file opened with O_APPEND. */
static void where_the_kernel_moves_no_bytes_a_buffer_does(void **state)
{
    (void)state;
    int fd = make_source("from");
    put_data(fd, 0, 3 * SLICE + 5);
    int to = open(in_place(&place, 1, "to"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct mvm_posix_work w = {.from = fd, .to = to, .max = SLICE};
    assert_int_equal(sendfile(to, fd, NULL, 1), -1);
    assert_int_equal(copy_to_the_end(&w), 3 * SLICE + 5);
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
    close(fd);
}

/* A write error is reported by the last method, as write(2) gives it. */
static void a_target_that_takes_nothing_is_an_error(void **state)
{
    (void)state;
    struct rlimit before;
    int fd = make_source("from");
    put_data(fd, 0, 12 * MIB);
    int to = open(in_place(&place, 1, "to"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct mvm_posix_work w = {.from = fd, .to = to, .max = 8 * MIB};
    getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit limit = {8 * MIB + SLICE, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int64_t n;
    while ((n = mvm_posix_copy_piece(&w)) > 0) {
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(n, -1);
    assert_string_equal(w.call, "write");
    assert_int_equal(w.err, EFBIG);
    close(to);
    close(fd);
}

/* A limit on file sizes, which ends most processes by SIGXFSZ, is an error of the copy. */
static void a_file_past_the_limit_on_sizes_is_an_error(void **state)
{
    (void)state;
    struct rlimit before;
    int64_t sum;
    int fd = make_source("from");
    put_data(fd, 0, 2 * MIB);
    close(fd);
    getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit limit = {MIB, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    int64_t r =
        copy_by_worker(&posix, NULL, in_place(&place, 0, "from"), in_place(&place, 1, "to"), &sum);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "write: File too large");
}

/* /proc has regular files without a size; such a source is empty, and not an error. */
static void a_source_that_gives_less_than_it_says_ends_the_copy(void **state)
{
    (void)state;
    int from = mvm_posix_open_source(&posix, NULL, "/proc/self/stat");
    int to = mvm_posix_open_new(&posix, in_place(&place, 1, "to"));
    struct mvm_posix_work w = {.from = from, .to = to, .max = SLICE};
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(mvm_posix_copy_piece(&w), 0);
    close(from);
    close(to);
}

/* sysfs says 4096 bytes for every file, and has no sendfile(2) in some kernels. */
static void a_file_of_the_kernels_is_copied_as_long_as_it_is(void **state)
{
    (void)state;
    struct stat st;
    const char *path = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    int from = mvm_posix_open_source(&posix, NULL, path);
    if (from < 0) {
        SKIP_BECAUSE("this kernel has no %s", path);
    }
    int to = mvm_posix_open_new(&posix, in_place(&place, 1, "to"));
    struct mvm_posix_work w = {.from = from, .to = to, .max = SLICE};
    assert_int_equal(mvm_posix_copy_piece(&w), 8);
    assert_int_equal(mvm_posix_copy_piece(&w), 0);
    assert_int_equal(fstat(to, &st), 0);
    assert_int_equal(st.st_size, 8);
    close(from);
    close(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(only_regular_files_are_opened_for_reading),
        ALONE(what_is_not_a_regular_file_is_not_even_opened),
        ALONE(a_source_is_below_its_directory_wherever_its_links_lead),
        ALONE(it_is_so_without_a_proc_too),
        ALONE(a_link_to_a_file_is_followed_and_read_to_its_end),
        ALONE(only_a_name_that_does_not_exist_is_not_found),
        ALONE(a_new_file_takes_the_place_of_a_link_and_spares_its_target),
        ALONE(a_new_file_where_a_directory_stands_is_refused),
        ALONE(what_cannot_be_replaced_is_known_before),
        ALONE(renaming_replaces_and_removing_wants_something_there),
        ALONE(copies_of_every_size_are_whole),
        ALONE(a_slice_of_one_byte_will_do),
        ALONE(holes_stay_holes_wherever_they_are),
        ALONE(a_sparse_file_of_more_than_4_gib_takes_the_room_of_its_data),
        ALONE(a_source_that_shrinks_ends_the_copy_where_it_ends),
        ALONE(a_source_that_grows_is_copied_as_it_was),
        ALONE(a_source_that_shrinks_under_a_copy_is_an_error),
        ALONE(a_source_that_changes_while_it_is_copied_is_an_error),
        ALONE(a_file_past_the_limit_on_sizes_is_an_error),
        ALONE(where_the_kernel_moves_no_bytes_a_buffer_does),
        ALONE(a_target_that_takes_nothing_is_an_error),
        ALONE(a_source_that_gives_less_than_it_says_ends_the_copy),
        ALONE(a_file_of_the_kernels_is_copied_as_long_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
