#define _GNU_SOURCE
#include "hybrid.h"
#include "parse.h"
#include "quote.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* "OK 4294967295", with room to spare. */
enum { OK_LINE_MAX = 32 };

static const char no_listener[] =
    "closed without a word: nothing listens on that port in the guest";

static bool fail(struct mvm_writer *why, const char *text)
{
    mvm_writer_add(why, text);
    return false;
}

/* A reset or broken pipe is a refusal, too: while the guest boots, monitors do either. */
static bool fail_by(struct mvm_writer *why, const char *call, int error)
{
    if (error == ECONNRESET || error == EPIPE) {
        return fail(why, no_listener);
    }
    mvm_writer_add3(why, call, ": ", strerror(error));
    return false;
}

static bool send_connect(int fd, uint32_t port, struct mvm_writer *why)
{
    char text[40];
    struct mvm_writer line;
    mvm_writer_init(&line, text, sizeof text);
    mvm_writer_add(&line, "CONNECT ");
    mvm_writer_add_u64(&line, port);
    mvm_writer_add(&line, "\n");
    ssize_t n = send(fd, text, line.len, MSG_NOSIGNAL);
    if (n < 0) {
        return fail_by(why, "send", errno);
    }
    return (size_t)n == line.len || fail(why, "send: CONNECT was cut short");
}

/* The part of the answer received so far. */
struct answer {
    char line[OK_LINE_MAX + 1];
    size_t len;
};

static bool not_ok(const struct answer *a, struct mvm_writer *why)
{
    mvm_writer_add(why, "the answer to CONNECT is not an OK line: ");
    mvm_quote_add(why, (struct mvm_text){a->line, a->len});
    return false;
}

/* Nothing more will come. */
static bool end(const struct answer *a, struct mvm_writer *why, const char *text)
{
    return a->len > 0 ? not_ok(a, why) : fail(why, text);
}

static bool wait_readable(int fd, const struct answer *a, struct mvm_waiter *w, uint64_t until_ms,
                          struct mvm_writer *why)
{
    switch (mvm_waiter_wait(w, fd, POLLIN, until_ms, NULL)) {
    case MVM_WAKE_READY:
        return true;
    case MVM_WAKE_TIME:
        return end(a, why, "no answer in time");
    case MVM_WAKE_SIGNAL:
        return fail(why, "interrupted");
    }
    return false;
}

static bool read_byte(int fd, struct answer *a, struct mvm_waiter *w, uint64_t until_ms,
                      struct mvm_writer *why)
{
    for (;;) {
        ssize_t n = recv(fd, &a->line[a->len], 1, 0);
        if (n == 1) {
            return true;
        }
        if (n == 0 || errno == ECONNRESET) {
            return end(a, why, no_listener);
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail_by(why, "recv", errno);
        }
        if (!wait_readable(fd, a, w, until_ms, why)) {
            return false;
        }
    }
}

bool mvm_hybrid_handshake(int fd, uint32_t port, struct mvm_waiter *w, uint64_t until_ms,
                          struct mvm_writer *why)
{
    struct answer a = {.len = 0};
    uint64_t host_port;
    if (!send_connect(fd, port, why)) {
        return false;
    }
    for (;; a.len++) {
        if (a.len == OK_LINE_MAX) {
            return not_ok(&a, why);
        }
        if (!read_byte(fd, &a, w, until_ms, why)) {
            return false;
        }
        if (a.line[a.len] == '\n') {
            break;
        }
    }
    a.line[a.len] = '\0';
    return (strncmp(a.line, "OK ", 3) == 0 &&
            mvm_parse_u64(a.line + 3, UINT32_MAX, &host_port) == MVM_NUMBER_FINE) ||
           not_ok(&a, why);
}
