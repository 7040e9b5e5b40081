/*
 * The worker: a process that does all disk I/O. Neither file I/O nor mount(2) has a non-blocking
 * form: a disk that is slow, frozen or gone blocks the worker, not the loop.
 *
 * It is a fork(2) of this process, created by the job's first disk call and ended with the job. It
 * closes all inherited descriptors except two sockets and a pipe: one for requests and their
 * answers, one for the bytes of build.log, one for data that is read. It ends when this process
 * ends. Its mounts are in the same mount namespace, so they are this process's, too.
 *
 * A worker whose disk hangs cannot be killed before the disk responds. It is abandoned, and the
 * next call starts another.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void mvm_posix_worker_init(struct mvm_posix *p)
{
    memset(&p->worker, 0, sizeof p->worker);
    p->worker.fd = p->worker.log = p->worker.data = p->worker.pidfd = p->worker.claim = -1;
}

/* ---- its beginning ---- */

/* fork(2) without libc's fork handlers: the child makes only system calls, so no library state has
 * to be made consistent for it. */
pid_t mvm_posix_fork(void)
{
#ifdef SYS_fork
    return (pid_t)syscall(SYS_fork);
#else
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

enum { FINI_ROUND_MS = 10 };

/* What connects it with this process: a pair of descriptors each, ours first. */
enum { REQUESTS, LOG, DATA, CHANNELS };

/* The kernel sends this signal when the thread that has forked ends, which may be long before the
 * process does, unless it is the first. Without it the worker ends as it finds its socket closed.
 */
static void end_with_parent(bool by_first_thread)
{
    if (by_first_thread) {
        prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
    }
}

/* In the child. */
static void be_worker(struct mvm_posix *p, pid_t parent, bool by_first_thread,
                      int ends[CHANNELS][2])
{
    const int standard[CHANNELS] = {ends[REQUESTS][1], ends[LOG][1], ends[DATA][1]};
    int fd = ends[REQUESTS][1];
    setsid();
    end_with_parent(by_first_thread);
    if (getppid() != parent || !mvm_posix_child_descriptors(standard, &fd)) {
        _exit(1);
    }
    mvm_posix_child_signals();
    mvm_posix_helper_signals();
    mvm_posix_serve(p, REQUESTS, LOG, DATA);
    _exit(0);
}

static void close_ends(int ends[CHANNELS][2], int which)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (ends[i][which] >= 0) {
            close(ends[i][which]);
        }
    }
}

static int fork_worker(struct mvm_posix *p, int ends[CHANNELS][2])
{
    sigset_t all;
    sigset_t before;
    pid_t self = getpid();
    bool by_first_thread = syscall(SYS_gettid) == self;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* no handler of this process runs in the child */
    pid_t pid = mvm_posix_fork();
    if (pid == 0) {
        be_worker(p, self, by_first_thread, ends);
    }
    int err = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close_ends(ends, 1);
    if (pid < 0) {
        close_ends(ends, 0);
        return err;
    }
    p->worker.pid = pid;
    p->worker.fd = ends[REQUESTS][0];
    p->worker.log = ends[LOG][0];
    p->worker.data = ends[DATA][0];
    p->worker.logged = 0;
    p->worker.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    p->worker.status = 0;
    p->worker.awaited.polls = 0;
    p->worker.ending = p->worker.claims = false;
    return 0;
}

static void collect_hung(struct mvm_posix *p)
{
    struct mvm_posix_worker *w = &p->worker;
    for (unsigned i = 0; i < w->hung_len;) {
        bool ended = p->config.caller_reaps ? mvm_posix_is_reaped(w->hung[i])
                                            : waitpid(w->hung[i], NULL, WNOHANG) != 0;
        if (ended) {
            w->hung[i] = w->hung[--w->hung_len];
        } else {
            i++;
        }
    }
    w->hung_claims = w->hung_claims && w->hung_len > 0;
}

unsigned mvm_posix_reap(struct mvm_posix *p)
{
    if (p->worker.hung_len > 0) {
        collect_hung(p);
    }
    return p->worker.hung_len;
}

/* NULL, or the call that failed. A pipe that cannot be made larger passes less at a time. */
static const char *connect_all(int ends[CHANNELS][2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends[REQUESTS]) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[LOG]) < 0) {
        return "socketpair";
    }
    if (pipe2(ends[DATA], O_CLOEXEC | O_NONBLOCK) < 0) {
        return "pipe";
    }
    fcntl(ends[DATA][1], F_SETPIPE_SZ, MVM_POSIX_PASS_SIZE);
    return NULL;
}

/* Whatever the file is that was asked for: it has not been looked at. */
static int fail_start(struct mvm_posix *p, const char *call, int err)
{
    struct mvm_writer w;
    mvm_writer_init(&w, p->reason, sizeof p->reason);
    mvm_writer_add3(&w, "cannot start the process that works on the disks: ", call, ": ");
    mvm_writer_add(&w, mvm_posix_error_text(err));
    mvm_writer_finish(&w);
    return MVM_PORT_FAILED;
}

/* 0, or the failure. What a killed agent's build has left must not use the disks of this job. */
static int start(struct mvm_posix *p)
{
    int ends[CHANNELS][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    collect_hung(p);
    mvm_posix_end_left_over(p);
    const char *call = connect_all(ends);
    if (call != NULL) {
        int err = errno;
        close_ends(ends, 0);
        close_ends(ends, 1);
        return fail_start(p, call, err);
    }
    int err = fork_worker(p, ends);
    return err != 0 ? fail_start(p, "fork", err) : 0;
}

/* ---- its end ---- */

static void close_all(struct mvm_posix *p)
{
    const int all[] = {p->worker.fd, p->worker.log, p->worker.data, p->worker.pidfd};
    mvm_posix_watch_off(p, MVM_POSIX_OF_WORKER);
    mvm_posix_watch_off(p, MVM_POSIX_OF_LOG);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] >= 0) {
            close(all[i]);
        }
    }
    p->worker.fd = p->worker.log = p->worker.data = p->worker.pidfd = -1;
    p->worker.asked = 0;
    p->worker.ending = false;
    p->worker.passed.left = 0;
    p->worker.passed.at = 0;
    p->worker.passed.path[0] = '\0';
}

/* If the caller reaps children, mvm_posix_child_exited reports the end; if it does not in time, no
 * build waits for that. */
static bool collect(struct mvm_posix *p)
{
    struct mvm_posix_worker *w = &p->worker;
    return p->config.caller_reaps ? mvm_posix_is_overdue(&w->awaited, w->pid, w->pidfd)
                                  : waitpid(w->pid, &w->status, WNOHANG) != 0;
}

/* Whether the worker has ended; reaps it. Never waits: a worker that ends may have to close files
 * on a disk that hangs. */
static bool has_ended(struct mvm_posix *p)
{
    struct mvm_posix_worker *w = &p->worker;
    if (w->pid != 0 && collect(p)) {
        w->pid = 0;
    }
    if (w->pid == 0) {
        close_all(p);
        return true;
    }
    mvm_posix_watch_off(p, MVM_POSIX_OF_WORKER);
    mvm_posix_watch(p, MVM_POSIX_OF_WORKER, mvm_posix_exit_fd(p, &w->awaited, w->pidfd), false);
    return false;
}

int mvm_posix_stop(void *ctx)
{
    struct mvm_posix *p = ctx;
    if (p->worker.pid != 0 && !p->worker.ending) {
        kill(p->worker.pid, SIGKILL);
        p->worker.ending = true;
    }
    return has_ended(p) ? 0 : MVM_PORT_LATER;
}

int mvm_posix_end_job(void *ctx)
{
    struct mvm_posix *p = ctx;
    collect_hung(p);
    if (p->worker.pid != 0 && !p->worker.ending) {
        if (shutdown(p->worker.fd, SHUT_WR) < 0) {
            kill(p->worker.pid, SIGKILL);
        }
        p->worker.ending = true;
    }
    return has_ended(p) ? 0 : MVM_PORT_LATER;
}

int mvm_posix_abandon(void *ctx)
{
    struct mvm_posix *p = ctx;
    struct mvm_posix_worker *w = &p->worker;
    collect_hung(p);
    if (w->pid != 0) {
        kill(w->pid, SIGKILL);
        if (w->hung_len < MVM_POSIX_HUNG_MAX) {
            w->hung[w->hung_len++] = w->pid;
            w->hung_claims = w->hung_claims || w->claims;
        }
        w->pid = 0;
    }
    close_all(p);
    return (int)w->hung_len;
}

bool mvm_posix_is_worker(const struct mvm_posix *p, pid_t pid)
{
    const struct mvm_posix_worker *w = &p->worker;
    bool is = pid == w->pid;
    for (unsigned i = 0; i < w->hung_len; i++) {
        is = is || w->hung[i] == pid;
    }
    return is;
}

bool mvm_posix_worker_exited(struct mvm_posix *p, pid_t pid)
{
    struct mvm_posix_worker *w = &p->worker;
    if (pid == w->pid) {
        w->pid = 0;
        return true;
    }
    for (unsigned i = 0; i < w->hung_len; i++) {
        if (w->hung[i] == pid) {
            w->hung[i] = w->hung[--w->hung_len];
            return true;
        }
    }
    return false;
}

bool mvm_posix_fini_waits(uint64_t until_ns)
{
    if (mvm_posix_clock_ns(CLOCK_MONOTONIC) >= until_ns) {
        return false;
    }
    poll(NULL, 0, FINI_ROUND_MS);
    return true;
}

void mvm_posix_worker_fini(struct mvm_posix *p, uint64_t until_ns)
{
    mvm_posix_reap(p);
    while (p->worker.hung_len > 0 && !p->config.caller_reaps && mvm_posix_fini_waits(until_ns)) {
        collect_hung(p);
    }
}

/* ---- requests and answers ---- */

/* The worker has ended without an answer, or is ending; one that cannot be reached is killed.
 * FAILED, or LATER until its exit status is known. */
static int fail_ended(struct mvm_posix *p)
{
    struct mvm_writer w;
    if (mvm_posix_stop(p) == MVM_PORT_LATER) {
        return MVM_PORT_LATER;
    }
    mvm_writer_init(&w, p->reason, sizeof p->reason);
    mvm_writer_add(&w, "the process that works on the disks has ended");
    if (WIFSIGNALED(p->worker.status)) {
        mvm_writer_add(&w, " by signal ");
        mvm_writer_add_u64(&w, (uint64_t)WTERMSIG(p->worker.status));
    }
    mvm_writer_finish(&w);
    return MVM_PORT_FAILED;
}

static int send_request(struct mvm_posix *p, const struct mvm_posix_ask *ask)
{
    struct mvm_posix_request r = {.call = (uint8_t)ask->call,
                                  .read_only = ask->read_only,
                                  .cap = (uint32_t)ask->cap,
                                  .number = ask->number,
                                  .expected = ask->expected};
    struct iovec parts[1 + MVM_POSIX_TEXTS] = {{&r, sizeof r}};
    for (int i = 0; i < MVM_POSIX_TEXTS; i++) {
        const char *text = ask->text[i] != NULL ? ask->text[i] : "";
        size_t len = strlen(text) + 1;
        if (len > MVM_PATH_MAX) {
            return mvm_posix_fail(p, "path", ENAMETOOLONG);
        }
        r.len[i] = (uint16_t)len;
        parts[1 + i].iov_base = (void *)(uintptr_t)text;
        parts[1 + i].iov_len = len;
    }
    const struct msghdr m = {.msg_iov = parts, .msg_iovlen = 1 + MVM_POSIX_TEXTS};
    ssize_t n;
    do {
        n = sendmsg(p->worker.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EPIPE || errno == ECONNRESET ? fail_ended(p)
                                                     : mvm_posix_fail(p, "send", errno);
    }
    p->worker.asked = r.call;
    p->worker.claims =
        p->worker.claims || ask->call == MVM_POSIX_MOUNT || ask->call == MVM_POSIX_OPEN_LOG;
    return 0;
}

static int64_t accept_answer(struct mvm_posix *p, const struct mvm_posix_ask *ask,
                             const struct mvm_posix_answer *a, size_t text)
{
    mvm_posix_watch_off(p, MVM_POSIX_OF_WORKER);
    if (a->result <= 0 || ask->call != MVM_POSIX_COPY) {
        p->worker.asked = 0;
    }
    if (a->result < 0) {
        struct mvm_writer w;
        mvm_writer_init(&w, p->reason, sizeof p->reason);
        mvm_writer_add_text(&w, (struct mvm_text){a->text, text});
        mvm_writer_finish(&w);
    } else if (text > 0 && text <= ask->cap) {
        memcpy(ask->room, a->text, text);
    }
    if (ask->size != NULL) {
        *ask->size = a->number;
    }
    return a->result;
}

static ssize_t receive(int fd, struct mvm_posix_answer *a)
{
    ssize_t n;
    do {
        n = recv(fd, a, sizeof *a, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

int64_t mvm_posix_ask(struct mvm_posix *p, const struct mvm_posix_ask *ask)
{
    struct mvm_posix_worker *w = &p->worker;
    struct mvm_posix_answer a;
    const size_t head = offsetof(struct mvm_posix_answer, text);
    if (w->ending) {
        return fail_ended(p);
    }
    if (w->asked != 0 && w->asked != (uint8_t)ask->call) {
        return mvm_posix_fail_text(p, "worker", "another call is in progress");
    }
    if (w->asked == 0) {
        int r = w->fd < 0 ? start(p) : 0;
        if (r < 0 || (r = send_request(p, ask)) < 0) {
            return r;
        }
        mvm_posix_watch(p, MVM_POSIX_OF_WORKER, w->fd, false);
        return MVM_PORT_LATER;
    }
    ssize_t n = receive(w->fd, &a);
    if (n < 0 && errno == EAGAIN) {
        mvm_posix_watch(p, MVM_POSIX_OF_WORKER, w->fd, false);
        return MVM_PORT_LATER;
    }
    if (n < (ssize_t)head) {
        return fail_ended(p);
    }
    return accept_answer(p, ask, &a, (size_t)n - head);
}

/* ---- build.log ---- */

int mvm_posix_write_log(void *ctx, const uint8_t *bytes, size_t len)
{
    struct mvm_posix *p = ctx;
    ssize_t n;
    if (p->worker.ending) {
        return fail_ended(p);
    }
    do {
        n = send(p->worker.log, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        mvm_posix_watch(p, MVM_POSIX_OF_LOG, p->worker.log, true);
        return MVM_PORT_LATER;
    }
    mvm_posix_watch_off(p, MVM_POSIX_OF_LOG);
    if (n < 0) {
        return errno == EPIPE || errno == ECONNRESET ? fail_ended(p)
                                                     : mvm_posix_fail(p, "write", errno);
    }
    p->worker.logged += (uint64_t)n;
    return (int)n;
}
