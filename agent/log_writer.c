/*
 * The process that writes the log if stderr may block, as a file on a disk does: file I/O has no
 * non-blocking form.
 *
 * It is not the agent's child, so that it is neither a build's process nor one to wait for; signals
 * to the agent's terminal, group or service are for the agent. It ends when it has written what the
 * agent has sent before its own end.
 */
#define _GNU_SOURCE
#include "log_writer.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above the numbers of inherited descriptors. */
enum { OWN_FD_MIN = 512 };

/* What the disk refuses is lost, as it would be with one process. */
static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n <= 0 && errno != EINTR) {
            return;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

static void copy(int from, int to)
{
    char bytes[4096];
    ssize_t n;
    do {
        n = read(from, bytes, sizeof bytes);
        if (n > 0) {
            write_all(to, bytes, (size_t)n);
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTTOU, SIGXFSZ};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        mvm_posix_signal(ignored[i], SIG_IGN);
    }
}

static void be_writer(int bytes)
{
    const int standard[3] = {bytes, STDERR_FILENO, STDERR_FILENO};
    int fourth = bytes;
    if (mvm_posix_child_descriptors(standard, &fourth)) {
        copy(STDIN_FILENO, STDOUT_FILENO);
    }
    _exit(0);
}

/* By a child that ends immediately, and leaves the writer to the system. The writer is born with
 * the signals ignored: none can come before it ignores them. */
static bool start(int bytes)
{
    pid_t pid = mvm_posix_fork();
    if (pid == 0) {
        setsid();
        ignore_signals();
        if (mvm_posix_fork() == 0) {
            be_writer(bytes);
        }
        _exit(0); /* if there is no writer, the socket's other end is closed */
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return pid > 0;
}

int mvm_log_high(int fd)
{
    int high = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, OWN_FD_MIN) : -1;
    if (high >= 0) {
        close(fd);
    }
    return high >= 0 ? high : fd;
}

int mvm_log_writer_start(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return -1;
    }
    bool started = start(ends[1]);
    close(ends[1]);
    if (!started) {
        close(ends[0]);
        return -1;
    }
    return mvm_log_high(ends[0]);
}
