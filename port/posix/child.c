/*
 * What a child does before its own work: it moves its descriptors into place, closes all others and
 * resets its signals. It makes system calls only, none of which is a cancellation point of libc,
 * and changes nothing of the parent's but errno: it also runs between vfork(2) and execve(2).
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every machine; Linux 5.9 */
#endif

enum { CLOSE_MAX = 65536 };

int mvm_posix_raw_open(int dir, const char *path, int flags)
{
    return (int)syscall(SYS_openat, dir, path, flags, 0);
}

long mvm_posix_raw_write(int fd, const void *bytes, size_t len)
{
    return syscall(SYS_write, fd, bytes, len);
}

void mvm_posix_raw_close(int fd)
{
    syscall(SYS_close, fd);
}

/* Clears close-on-exec also if the descriptor is in its place already. */
static bool move_fd(int from, int to)
{
    return from == to ? fcntl(to, F_SETFD, 0) == 0 : dup2(from, to) == to;
}

/* Without close_range: one by one, except the directory that lists them. */
static bool close_listed(int from)
{
    struct mvm_posix_directory d = {
        .fd = mvm_posix_raw_open(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const char *name;
    if (d.fd < 0) {
        return false;
    }
    while ((name = mvm_posix_directory_next(&d)) != NULL) {
        int fd = (int)mvm_posix_number(mvm_text_from(name));
        if (fd >= from && fd != d.fd) {
            mvm_posix_raw_close(fd);
        }
    }
    mvm_posix_raw_close(d.fd);
    return true;
}

/* Without /proc as well: every possible number, up to a bound on the time this takes. */
static void close_each(int from)
{
    struct rlimit limit = {CLOSE_MAX, CLOSE_MAX};
    getrlimit(RLIMIT_NOFILE, &limit);
    int end = limit.rlim_cur < CLOSE_MAX ? (int)limit.rlim_cur : CLOSE_MAX;
    for (int fd = from; fd < end; fd++) {
        mvm_posix_raw_close(fd);
    }
}

/* Moves it above 0, 1 and 2. */
static int lift(int fd, int place)
{
    bool in_the_way = fd < MVM_POSIX_REPORT_FD && fd != place;
    return in_the_way ? fcntl(fd, F_DUPFD_CLOEXEC, MVM_POSIX_REPORT_FD + 1) : fd;
}

bool mvm_posix_child_descriptors(const int standard[3], int *report)
{
    int from[3];
    for (int i = 0; i < 3; i++) {
        from[i] = lift(standard[i], i);
    }
    *report = lift(*report, MVM_POSIX_REPORT_FD);
    for (int i = 0; i < 3; i++) {
        if (!move_fd(from[i], i)) {
            return false;
        }
    }
    if (!move_fd(*report, MVM_POSIX_REPORT_FD)) {
        return false;
    }
    *report = MVM_POSIX_REPORT_FD;
    fcntl(*report, F_SETFD, FD_CLOEXEC);
    int rest = MVM_POSIX_REPORT_FD + 1;
    if (syscall(SYS_close_range, rest, ~0u, 0) != 0 && !close_listed(rest)) {
        close_each(rest);
    }
    return true;
}

void mvm_posix_child_signals(void)
{
    sigset_t none;
    for (int sig = 1; sig < _NSIG; sig++) {
        mvm_posix_signal(sig, SIG_DFL); /* fails for those that are the kernel's own */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
