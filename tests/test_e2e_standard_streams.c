/* A program that is started with descriptors 0, 1 and 2 closed. */
#define _GNU_SOURCE
#include "standard_streams.h"
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SKIPPED = 77 };

static bool enter(const char *root)
{
    return chroot(root) == 0 || (unshare(CLONE_NEWUSER) == 0 && chroot(root) == 0);
}

/* The status of a child that closes the descriptors in `closed`, a bit for each, fills them in that
 * root, and opens what must not become one of them. */
static int fill_in(const char *root, int closed)
{
    pid_t pid = e2e_fork();
    if (pid == 0) {
        if (root != NULL && !enter(root)) {
            _exit(SKIPPED);
        }
        for (int fd = 0; fd <= STDERR_FILENO; fd++) {
            if (closed >> fd & 1) {
                close(fd);
            }
        }
        mvm_standard_streams_fill();
        int later = eventfd(0, EFD_CLOEXEC);
        bool refused = true;
        for (int fd = 0; fd <= STDERR_FILENO; fd++) {
            refused = refused &&
                      (!(closed >> fd & 1) || (write(fd, "12345678", 8) < 0 && errno == EBADF));
        }
        _exit(later > STDERR_FILENO && refused ? 0 : 1);
    }
    int status = e2e_wait(pid, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void no_later_descriptor_becomes_one_of_them(void **state)
{
    (void)state;
    for (int closed = 0; closed < 8; closed++) {
        assert_int_equal(fill_in(NULL, closed), 0);
    }
}

static void nor_does_one_in_a_root_without_dev_null(void **state)
{
    (void)state;
    mkdir(e2e_path("root"), 0700);
    for (int closed = 0; closed < 8; closed++) {
        int status = fill_in(e2e_path("root"), closed);
        if (status == SKIPPED) {
            skip();
        }
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(no_later_descriptor_becomes_one_of_them),
        E2E_TEST(nor_does_one_in_a_root_without_dev_null),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
