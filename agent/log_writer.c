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
#include "log_lost.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above the numbers of inherited descriptors. */
enum { OWN_FD_MIN = 512 };

struct output {
    int fd;
    int error; /* of the last write that failed */
    struct mvm_log_lost lost;
};

/* Whether a write that failed is to be repeated. Flags are shared with other processes: one of them
 * may have made it non-blocking. */
static bool goes_on(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return errno == EINTR || (errno == EAGAIN && poll(&p, 1, -1) >= 0);
}

/* How much of it was written. */
static size_t put(struct output *out, const char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(out->fd, bytes + done, len - done);
        if (n < 0 && goes_on(out->fd)) {
            continue;
        }
        if (n <= 0) {
            out->error = n < 0 ? errno : EIO;
            break;
        }
        done += (size_t)n;
        out->lost.cut = bytes[done - 1] != '\n';
    }
    return done;
}

/* Lines after the count of those that were lost. What the disk refuses is lost. */
static void put_lines(struct output *out, const char *bytes, size_t len)
{
    char report[MVM_LOG_LOST_CAP];
    size_t done = 0;
    size_t report_len = mvm_log_lost_report(&out->lost, report);
    if (put(out, report, report_len) == report_len) {
        out->lost.lines = 0;
        done = put(out, bytes, len);
    }
    mvm_log_lost_add(&out->lost, bytes + done, len - done, out->error);
}

/* The length without the beginning of a line that is not complete yet. */
static size_t whole_lines(const char *bytes, size_t len, size_t cap)
{
    size_t end = len;
    while (end > 0 && bytes[end - 1] != '\n') {
        end--;
    }
    return end == 0 && len == cap ? len : end;
}

static void copy(int from, struct output *out)
{
    char bytes[4096];
    size_t len = 0;
    ssize_t n;
    do {
        n = read(from, bytes + len, sizeof bytes - len);
        len += n > 0 ? (size_t)n : 0;
        size_t whole = whole_lines(bytes, len, sizeof bytes);
        if (whole > 0) {
            put_lines(out, bytes, whole);
        }
        len -= whole;
        memmove(bytes, bytes + whole, len);
    } while (n > 0 || (n < 0 && errno == EINTR));
    put_lines(out, bytes, len); /* if only to report what was lost */
}

/* A child that ends immediately, and leaves the writer to the system. First of all it closes the
 * agent's sockets: nothing but the agent may keep them open. The signals are
 * ignored before the fork, so the writer starts with them ignored. */
static void leave_writer(int bytes)
{
    const int standard[3] = {bytes, STDERR_FILENO, STDERR_FILENO};
    int fourth = bytes;
    if (!mvm_posix_child_descriptors(standard, &fourth)) {
        return;
    }
    setsid();
    mvm_posix_helper_signals();
    if (mvm_posix_fork() == 0) {
        struct output out = {.fd = STDOUT_FILENO};
        copy(STDIN_FILENO, &out);
    }
}

static bool start(int bytes)
{
    pid_t pid = mvm_posix_fork();
    if (pid == 0) {
        leave_writer(bytes);
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
