/* Copies whose system calls are interrupted by signals of the embedding program: each call
 * sometimes fails with EINTR. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_fixture.h"
#include <sys/sendfile.h>

enum { SIZE = 100005, EVERY = 3 };

static bool interrupts; /* during a copy, and not in cmocka's own calls */
static unsigned calls, interrupted;

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);
ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
int __real_sync_file_range(int fd, off_t at, off_t len, unsigned flags);
int __wrap_sync_file_range(int fd, off_t at, off_t len, unsigned flags);
ssize_t __real_sendfile64(int to, int from, off_t *at, size_t len);
ssize_t __wrap_sendfile64(int to, int from, off_t *at, size_t len);

static bool interrupt(void)
{
    if (!interrupts || calls++ % EVERY != 0) {
        return false;
    }
    interrupted++;
    errno = EINTR;
    return true;
}

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
    return interrupt() ? -1 : __real_read(fd, buf, len);
}

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
    return interrupt() ? -1 : __real_write(fd, buf, len);
}

int __wrap_sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
    return interrupt() ? -1 : __real_sync_file_range(fd, at, len, flags);
}

/* Always, so that the buffer is used. With 64-bit offsets sendfile has this name in glibc. */
ssize_t __wrap_sendfile64(int to, int from, off_t *at, size_t len)
{
    if (interrupts) {
        errno = EINTR;
        return -1;
    }
    return __real_sendfile64(to, from, at, len);
}

static void a_copy_that_is_interrupted_goes_on(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    int from = open(in_place(&place, 0, "from"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int to = open(in_place(&place, 1, "to"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    put_data(from, 0, SIZE);
    struct mvm_posix_work w = {.from = from, .to = to, .max = SIZE};
    int64_t n, done = 0;
    interrupts = true;
    while ((n = mvm_posix_copy_piece(&w)) > 0) {
        done += n;
    }
    interrupts = false;
    close(from);
    close(to);
    assert_int_equal(n, 0);
    assert_int_equal(done, SIZE);
    assert_true(interrupted > 5);
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_copy_that_is_interrupted_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
