/*
 * The worker's loop: it serves one request after the other, and writes the bytes of build.log
 * between them. It works on the copy of the agent's struct from the time of the fork.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct server {
    struct mvm_posix *p;
    int requests;
    int log;         /* a socket */
    int data;        /* a pipe */
    uint64_t logged; /* bytes received */
    char texts[MVM_POSIX_TEXTS * MVM_PATH_MAX];
    struct mvm_posix_request request;
    const char *text[MVM_POSIX_TEXTS];
    struct mvm_posix_answer answer;
    size_t answer_len; /* bytes of its text */
    struct mvm_posix_reading reading;
};

/* If the answer cannot be sent, this process ends. */
static void send_answer(struct server *s)
{
    size_t len = offsetof(struct mvm_posix_answer, text) + s->answer_len;
    if (send(s->requests, &s->answer, len, MSG_NOSIGNAL) < 0 && errno != EINTR) {
        _exit(0);
    }
}

/* ---- build.log ---- */

static void write_log(struct server *s, const char *bytes, size_t len)
{
    struct mvm_posix *p = s->p;
    s->logged += len;
    while (len > 0 && p->worker.log_error == 0) {
        errno = EIO; /* if write(2) returns 0 */
        ssize_t n = write(p->worker.log_file, bytes, len);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno != EINTR) {
            p->worker.log_error = errno;
        }
    }
}

/* True: bytes were received. */
static bool move_log(struct server *s)
{
    char bytes[16384];
    ssize_t n = recv(s->log, bytes, sizeof bytes, 0);
    if (n > 0) {
        write_log(s, bytes, (size_t)n);
    }
    return n > 0;
}

static bool has_name(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 || st.st_nlink > 0;
}

/* Everything that was sent before the request is already in the socket. A build that removes the
 * file must not end with its artifacts in place, and another's log. */
static int close_log(struct server *s)
{
    struct mvm_posix *p = s->p;
    if (p->worker.log_file < 0) {
        return mvm_posix_fail_text(p, "close", "the process that wrote it has ended");
    }
    while (s->logged < s->request.number && move_log(s)) {
    }
    bool named = has_name(p->worker.log_file);
    int err = p->worker.log_error;
    const char *call = "write";
    if (err == 0 && fdatasync(p->worker.log_file) < 0) {
        err = errno;
        call = "fdatasync";
    }
    if (close(p->worker.log_file) < 0 && err == 0 && errno != EINTR) {
        err = errno;
        call = "close";
    }
    p->worker.log_file = -1;
    if (err == 0 && !named) {
        return mvm_posix_fail_text(p, "close", "it was removed during the build");
    }
    return err != 0 ? mvm_posix_fail(p, call, err) : 0;
}

static int open_log(struct server *s, const char *path)
{
    struct mvm_posix *p = s->p;
    int r = mvm_posix_claim(p, path);
    int fd = r < 0 ? r : mvm_posix_open_new(p, path);
    p->worker.log_file = fd;
    p->worker.log_error = 0;
    s->logged = 0;
    return fd < 0 ? fd : 0;
}

/* ---- the calls ---- */

static void report_copied(void *ctx, int64_t bytes, uint64_t size)
{
    struct server *s = ctx;
    s->answer.result = bytes;
    s->answer.number = size;
    s->answer_len = 0;
    send_answer(s);
}

static int64_t copy(struct server *s)
{
    const struct mvm_posix_copy copy = {.within = s->text[0][0] != '\0' ? s->text[0] : NULL,
                                        .from = s->text[1],
                                        .to = s->text[2],
                                        .report = report_copied,
                                        .ctx = s};
    return mvm_posix_copy_file(s->p, &copy, &s->answer.number);
}

static int64_t find_nix(struct server *s)
{
    int r = mvm_posix_find_nix(s->p, s->answer.text, sizeof s->answer.text);
    s->answer_len = r >= 0 ? strlen(s->answer.text) + 1 : 0;
    if (r >= 0) {
        mvm_posix_preload(s->answer.text);
    }
    return r;
}

static int64_t read_file(struct server *s)
{
    size_t cap = sizeof s->answer.text;
    cap = s->request.cap < cap ? s->request.cap : cap;
    int r = mvm_posix_read_file(s->p, s->text[0], s->request.number, s->answer.text, cap);
    s->answer_len = r > 0 ? (size_t)r : 0;
    return r;
}

static int64_t pass_data(struct server *s)
{
    s->answer.number = s->request.number;
    return mvm_posix_pass_data(s->p, &s->reading, s->request.expected, s->text[0], s->text[1],
                               &s->answer.number, s->data, s->request.cap);
}

static int64_t serve_bulk(struct server *s)
{
    const char *const *t = s->text;
    switch (s->request.call) {
    case MVM_POSIX_REMOVE_TREE:
        return mvm_posix_remove_tree(s->p, t[0]);
    case MVM_POSIX_FILE_SIZE:
        return mvm_posix_file_size(s->p, t[0], t[1], &s->answer.number);
    case MVM_POSIX_READ_DATA:
        return pass_data(s);
    default:
        return close_log(s);
    }
}

static int64_t serve_file(struct server *s)
{
    const char *const *t = s->text;
    switch (s->request.call) {
    case MVM_POSIX_FIND_NIX:
        return find_nix(s);
    case MVM_POSIX_READ_FILE:
        return read_file(s);
    case MVM_POSIX_FIND_FILE:
        return mvm_posix_find_file(s->p, t[0]);
    case MVM_POSIX_COPY:
        return copy(s);
    case MVM_POSIX_PUT:
        return mvm_posix_put(s->p, t[0], t[1]);
    case MVM_POSIX_REPLACEABLE:
        return mvm_posix_replaceable(s->p, t[0]);
    case MVM_POSIX_RENAME:
        return mvm_posix_rename(s->p, t[0], t[1]);
    case MVM_POSIX_REMOVE:
        return mvm_posix_remove(s->p, t[0]);
    case MVM_POSIX_SYNC_DIR:
        return mvm_posix_sync_dir(s->p, t[0]);
    case MVM_POSIX_OPEN_LOG:
        return open_log(s, t[0]);
    default:
        return serve_bulk(s);
    }
}

static int64_t serve_call(struct server *s)
{
    const char *const *t = s->text;
    switch (s->request.call) {
    case MVM_POSIX_MAKE_DIR:
        return mvm_posix_make_dir(s->p, t[0]);
    case MVM_POSIX_MOUNTED:
        return mvm_posix_mounted(s->p, t[0], t[1]);
    case MVM_POSIX_MOUNT:
        return s->request.read_only ? mvm_posix_mount(s->p, t[0], t[1], true)
                                    : mvm_posix_mount_claimed(s->p, t[0], t[1]);
    case MVM_POSIX_SYNC_FS:
        return mvm_posix_sync_fs(s->p, t[0]);
    case MVM_POSIX_UNMOUNT:
        mvm_posix_drop_claim(s->p, t[0]);
        return mvm_posix_unmount(s->p, t[0]);
    case MVM_POSIX_REMOUNT_RO:
        mvm_posix_drop_claim(s->p, t[0]);
        return mvm_posix_remount_ro(s->p, t[0]);
    case MVM_POSIX_RELEASED:
        return mvm_posix_released(s->p, t[0]);
    default:
        return serve_file(s);
    }
}

/* ---- requests ---- */

/* False: end of requests. */
static bool receive(struct server *s)
{
    struct iovec parts[2] = {{&s->request, sizeof s->request}, {s->texts, sizeof s->texts}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = recvmsg(s->requests, &m, 0);
    const char *at = s->texts;
    for (int i = 0; n > 0 && i < MVM_POSIX_TEXTS; i++) {
        s->text[i] = at;
        at += s->request.len[i];
    }
    return n > 0;
}

static void serve_request(struct server *s)
{
    s->answer_len = 0;
    s->answer.number = 0;
    int64_t r = serve_call(s);
    s->answer.result = r;
    if (r < 0) {
        s->answer_len = strlen(s->p->reason);
        memcpy(s->answer.text, s->p->reason, s->answer_len);
    }
    send_answer(s);
}

void mvm_posix_serve(struct mvm_posix *p, int requests, int log, int data)
{
    struct server s = {.p = p, .requests = requests, .log = log, .data = data};
    s.reading.fd = -1;
    p->worker.log_file = p->worker.reading = -1;
    for (;;) {
        struct pollfd fds[2] = {{requests, POLLIN, 0},
                                {p->worker.log_file >= 0 ? log : -1, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return;
        }
        bool logs = fds[1].revents != 0;
        if (logs && !move_log(&s)) {
            log = -1; /* its other end is closed: only requests, or the end, can follow */
        }
        if (!logs && fds[0].revents != 0) {
            if (!receive(&s)) {
                return;
            }
            serve_request(&s);
        }
    }
}
