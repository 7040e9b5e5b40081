/* Signals that come in while a child of the port runs this program: the link takes setsid(2), which
 * such a child calls first, from here. */
#ifndef TEST_POSIX_SETSID_H
#define TEST_POSIX_SETSID_H

#include "test_posix_fixture.h"
#include <sys/mman.h>
#include <sys/syscall.h>

/* Shared with children; NULL: none is signalled. */
static struct handled {
    pid_t agent;
    int by_child;
    int children;
} * handled;

pid_t setsid(void)
{
    if (handled != NULL) {
        handled->children++;
        kill(getpid(), SIGURG); /* ignored by default, and so by the child's program */
    }
    return (pid_t)syscall(SYS_setsid);
}

static void handle(int sig)
{
    (void)sig;
    handled->by_child += getpid() != handled->agent ? 1 : 0;
}

static inline void signal_children(void)
{
    void *shared =
        mmap(NULL, sizeof *handled, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    handled = shared;
    handled->agent = getpid();
    signal(SIGURG, handle);
}

/* Whether a handler of this process has run in a child of it since signal_children. */
static inline void assert_no_child_handled(int children)
{
    struct handled seen = *handled;
    signal(SIGURG, SIG_DFL);
    munmap(handled, sizeof *handled);
    handled = NULL;
    assert_int_equal(seen.children, children);
    assert_int_equal(seen.by_child, 0);
}

#endif
