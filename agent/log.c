#define _GNU_SOURCE
#include "log.h"
#include "control.h"
#include "log_lost.h"
#include "log_writer.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FINISH_MS = 1000 }; /* for the writer's last lines, if its disk does not hang */

enum kind {
    KIND_UNKNOWN, /* not examined yet */
    KIND_SOCKET,  /* send(2) has a flag for it */
    KIND_WRITER,  /* a socket, too: to the process that writes what may block */
    KIND_OWN,     /* an open file of our own, with a flag of its own */
    KIND_SHARED,  /* neither, without a writer: write when poll(2) reports room */
    KIND_HELD,    /* neither, and the writer is still to come: everything waits */
};

static struct {
    enum kind kind;
    int fd;
    size_t len;        /* bytes that wait */
    size_t report_len; /* the first of them, which report lost lines */
    uint64_t reported; /* how many */
    bool in_line;      /* the last byte accepted was not the end of a line */
    struct mvm_log_lost lost;
    char waiting[MVM_LOG_WAITING_CAP];
} stderr_log;

/* ---- stderr, without waiting ---- */

static bool can_be_opened_again(const struct stat *st)
{
    return S_ISCHR(st->st_mode) || S_ISFIFO(st->st_mode);
}

static int open_again(void)
{
    return mvm_log_high(open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/* A pipe or a terminal is opened again by its name in /proc, which gives it flags that are not
 * shared. A file on a disk has no such flags: it always counts as ready. */
static void find_stderr(void)
{
    struct stat st;
    int own = -1;
    stderr_log.fd = STDERR_FILENO;
    stderr_log.kind = KIND_SHARED;
    if (fstat(STDERR_FILENO, &st) < 0) {
        return;
    }
    if (S_ISSOCK(st.st_mode)) {
        stderr_log.kind = KIND_SOCKET;
    } else if (can_be_opened_again(&st)) {
        own = open_again();
    }
    if (own >= 0) {
        stderr_log.kind = KIND_OWN;
        stderr_log.fd = own;
    }
}

static bool has_room(void)
{
    struct pollfd p = {.fd = stderr_log.fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0;
}

/* The result of a non-blocking write: > 0 bytes accepted; else none now, or never. */
static ssize_t put_now(const char *bytes, size_t len)
{
    if (stderr_log.kind == KIND_UNKNOWN) {
        find_stderr();
    }
    switch (stderr_log.kind) {
    case KIND_SOCKET:
    case KIND_WRITER:
        return send(stderr_log.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case KIND_OWN:
        return write(stderr_log.fd, bytes, len);
    case KIND_HELD:
        errno = EAGAIN;
        return -1;
    case KIND_UNKNOWN:
    case KIND_SHARED:
        break;
    }
    if (!has_room()) {
        errno = EAGAIN;
        return -1;
    }
    return write(stderr_log.fd, bytes, len < PIPE_BUF ? len : PIPE_BUF);
}

/* ---- what waits ---- */

/* Lines are written as before mvm_log_start. */
static void use_no_writer(void)
{
    stderr_log.fd = STDERR_FILENO;
    stderr_log.kind = KIND_SHARED;
}

static void end_writer(void)
{
    close(stderr_log.fd);
    use_no_writer();
}

static void accepted(size_t n)
{
    stderr_log.in_line = stderr_log.waiting[n - 1] != '\n';
    if (n < stderr_log.report_len) {
        stderr_log.report_len -= n;
    } else if (stderr_log.report_len > 0) {
        stderr_log.report_len = 0;
        stderr_log.lost.lines -= stderr_log.reported;
        stderr_log.lost.cut = false;
    }
    stderr_log.len -= n;
    memmove(stderr_log.waiting, stderr_log.waiting + n, stderr_log.len);
}

/* What stderr refuses is lost, as on a full disk; what comes later may be accepted. */
static void drop_waiting(int error)
{
    mvm_log_lost_add(&stderr_log.lost, stderr_log.waiting + stderr_log.report_len,
                     stderr_log.len - stderr_log.report_len, error);
    stderr_log.lost.cut = stderr_log.in_line;
    stderr_log.report_len = 0;
    stderr_log.len = 0;
}

/* Whether nothing waits any more, and nothing was refused. */
static bool put_waiting(void)
{
    while (stderr_log.len > 0) {
        ssize_t n = put_now(stderr_log.waiting, stderr_log.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EPIPE && stderr_log.kind == KIND_WRITER) {
            end_writer();
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            drop_waiting(errno);
        }
        if (n <= 0) {
            return false;
        }
        accepted((size_t)n);
    }
    return true;
}

/* After lines that were refused, none is accepted before their count is. */
static bool is_refused(void)
{
    return stderr_log.lost.lines > 0 && stderr_log.len == 0;
}

static void add_waiting(const char *bytes, size_t len)
{
    if (is_refused()) {
        mvm_log_lost_add(&stderr_log.lost, bytes, len, stderr_log.lost.error);
    } else if (len > sizeof stderr_log.waiting - stderr_log.len) {
        mvm_log_lost_add(&stderr_log.lost, bytes, len, 0);
    } else {
        memcpy(stderr_log.waiting + stderr_log.len, bytes, len);
        stderr_log.len += len;
    }
}

/* If nothing waits. */
static void report_lost(void)
{
    stderr_log.reported = stderr_log.lost.lines;
    stderr_log.report_len = mvm_log_lost_report(&stderr_log.lost, stderr_log.waiting);
    stderr_log.len = stderr_log.report_len;
}

void mvm_log_flush(void)
{
    if (put_waiting() && stderr_log.lost.lines > 0) {
        report_lost();
        put_waiting();
    }
}

int mvm_log_fd(void)
{
    return stderr_log.len > 0 ? stderr_log.fd : -1;
}

void mvm_log_hold(void)
{
    stderr_log.kind = KIND_HELD;
    stderr_log.fd = -1;
}

void mvm_log_again(void)
{
    stderr_log.kind = KIND_UNKNOWN;
    mvm_log_flush();
}

/* ---- the writer ---- */

void mvm_log_start(void)
{
    struct stat st;
    if (stderr_log.kind == KIND_UNKNOWN || stderr_log.kind == KIND_SHARED) {
        find_stderr(); /* /proc may have been mounted since */
    }
    if (stderr_log.kind == KIND_SHARED && fstat(STDERR_FILENO, &st) == 0) {
        stderr_log.kind = KIND_HELD;
        stderr_log.fd = -1;
    }
}

void mvm_log_release(void)
{
    if (stderr_log.kind != KIND_HELD) {
        return;
    }
    stderr_log.kind = KIND_WRITER;
    stderr_log.fd = mvm_log_writer_start();
    if (stderr_log.fd < 0) {
        use_no_writer();
    }
    mvm_log_flush();
}

void mvm_log_finish(void)
{
    mvm_log_release();
    struct pollfd p = {.fd = stderr_log.fd, .events = POLLOUT};
    if (stderr_log.kind != KIND_WRITER) {
        return;
    }
    mvm_log_flush();
    if (stderr_log.len > 0 && poll(&p, 1, FINISH_MS) > 0) {
        mvm_log_flush();
    }
    shutdown(p.fd, SHUT_WR);
    p.events = POLLIN; /* its end */
    poll(&p, 1, FINISH_MS);
    if (stderr_log.kind == KIND_WRITER) {
        end_writer();
    }
}

/* ---- lines ---- */

void mvm_log_begin(struct mvm_log_line *l, const char *what)
{
    /* One byte is kept for the newline. */
    mvm_writer_init(&l->w, l->text, sizeof l->text - 1);
    mvm_writer_add(&l->w, "mvm-builder-agent: ");
    mvm_writer_add(&l->w, what);
}

void mvm_log_end(struct mvm_log_line *l)
{
    size_t len = mvm_writer_finish(&l->w).len;
    mvm_control_mask(l->text, len);
    l->text[len] = '\n';
    mvm_log_flush();
    add_waiting(l->text, len + 1);
    mvm_log_flush();
}

void mvm_log(const char *what, const char *name, const char *why)
{
    struct mvm_log_line l;
    mvm_log_begin(&l, what);
    if (name != NULL) {
        mvm_writer_add(&l.w, name);
    }
    if (why != NULL) {
        mvm_writer_add(&l.w, why);
    }
    mvm_log_end(&l);
}
