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

static bool wait_readable(int fd, struct mvm_waiter *w, uint64_t until_ms, struct mvm_writer *why)
{
    switch (mvm_waiter_wait(w, fd, POLLIN, until_ms, NULL)) {
    case MVM_WAKE_READY:
        return true;
    case MVM_WAKE_TIME:
        return fail(why, "no answer in time");
    case MVM_WAKE_SIGNAL:
        return fail(why, "interrupted");
    }
    return false;
}

static bool read_byte(int fd, char *byte, struct mvm_waiter *w, uint64_t until_ms,
                      struct mvm_writer *why)
{
    for (;;) {
        ssize_t n = recv(fd, byte, 1, 0);
        if (n == 1) {
            return true;
        }
        if (n == 0) {
            return fail(why, no_listener);
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail_by(why, "recv", errno);
        }
        if (!wait_readable(fd, w, until_ms, why)) {
            return false;
        }
    }
}

static bool not_ok(const char *line, size_t len, struct mvm_writer *why)
{
    mvm_writer_add(why, "the answer to CONNECT is not an OK line: ");
    mvm_quote_add(why, (struct mvm_text){line, len});
    return false;
}

bool mvm_hybrid_handshake(int fd, uint32_t port, struct mvm_waiter *w, uint64_t until_ms,
                          struct mvm_writer *why)
{
    char line[OK_LINE_MAX + 1];
    uint64_t host_port;
    size_t len = 0;
    if (!send_connect(fd, port, why)) {
        return false;
    }
    for (;; len++) {
        if (len == OK_LINE_MAX) {
            return not_ok(line, len, why);
        }
        if (!read_byte(fd, &line[len], w, until_ms, why)) {
            return false;
        }
        if (line[len] == '\n') {
            break;
        }
    }
    line[len] = '\0';
    if (strncmp(line, "OK ", 3) != 0 ||
        mvm_parse_u64(line + 3, UINT32_MAX, &host_port) != MVM_NUMBER_FINE) {
        return not_ok(line, len, why);
    }
    return true;
}
