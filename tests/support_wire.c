/* Connections to an agent: lines and frames, each with a time limit. */
#define _GNU_SOURCE
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct e2e_conn conns[E2E_CONNS];

void e2e_conns_begin(void)
{
    for (int i = 0; i < E2E_CONNS; i++) {
        conns[i].fd = -1;
    }
}

void e2e_conns_end(void)
{
    for (int i = 0; i < E2E_CONNS; i++) {
        e2e_close(&conns[i]);
    }
}

int e2e_try_connect(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof name.sun_path);
    strcpy(name.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

struct e2e_conn *e2e_adopt(int fd)
{
    assert_true(fd >= 0);
    for (int i = 0; i < E2E_CONNS; i++) {
        if (conns[i].fd < 0) {
            conns[i].fd = fd;
            conns[i].start = conns[i].end = 0;
            return &conns[i];
        }
    }
    fail_msg("too many connections in one test");
    return NULL;
}

struct e2e_conn *e2e_dial_path(const char *path)
{
    int fd = e2e_try_connect(path);
    if (fd < 0) {
        fail_msg("connect %s: %s", path, strerror(errno));
    }
    return e2e_adopt(fd);
}

struct e2e_conn *e2e_dial(const char *name)
{
    return e2e_dial_path(e2e_path("%s.sock", name));
}

void e2e_close(struct e2e_conn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

/* ---- sending ---- */

void e2e_say_bytes(struct e2e_conn *c, const void *bytes, size_t len)
{
    for (const char *at = bytes; len > 0;) {
        ssize_t n = write(c->fd, at, len);
        if (n <= 0) {
            fail_msg("write: %s", strerror(errno));
        }
        at += n;
        len -= (size_t)n;
    }
}

void e2e_say(struct e2e_conn *c, const char *text)
{
    e2e_say_bytes(c, text, strlen(text));
}

void e2e_say_build(struct e2e_conn *c, const char *flake, const char *attr, const char *more)
{
    char text[8192];
    int n = snprintf(text, sizeof text, "{\"Build\":{\"flake_ref\":\"%s\",\"attr\":\"%s\"%s}}\n",
                     flake, attr, more);
    assert_true(n > 0 && (size_t)n < sizeof text);
    e2e_say(c, text);
}

void e2e_say_build_secs(struct e2e_conn *c, const char *attr, unsigned secs)
{
    char more[64];
    snprintf(more, sizeof more, ",\"timeout_secs\":%u", secs);
    e2e_say_build(c, "flake", attr, more);
}

/* ---- receiving ---- */

/* More bytes; false: the end, or no more in time (`*late`). */
static bool receive(struct e2e_conn *c, uint64_t until, bool *late)
{
    *late = false;
    if (c->start > 0 && c->end == sizeof c->bytes) {
        memmove(c->bytes, c->bytes + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    if (c->end == sizeof c->bytes) {
        fail_msg("a line of more than %d bytes", E2E_LINE_CAP);
    }
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        uint64_t now = e2e_now_ms();
        int left = now < until ? (int)(until - now) : 0;
        int n = poll(&p, 1, left);
        e2e_assert_in_time();
        if (n > 0) {
            break;
        }
        if (left == 0) {
            *late = true;
            return false;
        }
    }
    ssize_t n = read(c->fd, c->bytes + c->end, sizeof c->bytes - c->end);
    c->end += n > 0 ? (size_t)n : 0;
    return n > 0;
}

bool e2e_line(struct e2e_conn *c, struct mvm_text *line, int ms)
{
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    size_t scanned = c->start;
    for (;;) {
        char *newline = memchr(c->bytes + scanned, '\n', c->end - scanned);
        if (newline != NULL) {
            *line = (struct mvm_text){c->bytes + c->start, (size_t)(newline - c->bytes) - c->start};
            *newline = '\0';
            c->start += line->len + 1;
            return true;
        }
        size_t have = c->end - c->start;
        bool late;
        if (!receive(c, until, &late)) {
            if (late) {
                fail_msg("no line came within %d ms, only %zu bytes", ms, have);
            }
            assert_int_equal(have, 0); /* the agent never ends in mid-line */
            return false;
        }
        scanned = c->start + have;
    }
}

struct e2e_frame e2e_frame(struct e2e_conn *c, int ms)
{
    struct e2e_frame f = {0};
    struct mvm_decoder d;
    size_t used;
    if (!e2e_line(c, &f.line, ms)) {
        fail_msg("the connection ended instead of a frame");
    }
    mvm_decoder_init(&d, MVM_DIRECTION_RESPONSES, c->fields, sizeof c->fields - 1);
    mvm_decoder_push(&d, (const uint8_t *)f.line.bytes, f.line.len, &used);
    if (used != f.line.len || mvm_decoder_finish(&d) != MVM_DECODER_MESSAGE) {
        fail_msg("no frame that a host knows: %.300s", f.line.bytes);
    }
    f.kind = d.message.kind;
    if (f.kind != MVM_MESSAGE_PONG) {
        f.text = d.message.text;
        c->fields[f.text.len] = '\0';
        f.text.bytes = f.text.len > 0 ? f.text.bytes : "";
    }
    return f;
}

struct e2e_frame e2e_answer(struct e2e_conn *c, int ms)
{
    uint64_t until = e2e_now_ms() + (uint64_t)ms;
    for (;;) {
        uint64_t now = e2e_now_ms();
        struct e2e_frame f = e2e_frame(c, now < until ? (int)(until - now) : 0);
        if (f.kind == MVM_MESSAGE_OK || f.kind == MVM_MESSAGE_ERR) {
            return f;
        }
    }
}

const char *e2e_assert_err(struct e2e_conn *c, const char *start, int ms)
{
    struct e2e_frame f = e2e_answer(c, ms);
    if (f.kind != MVM_MESSAGE_ERR || strncmp(f.text.bytes, start, strlen(start)) != 0) {
        fail_msg("expected Err \"%s…\", got %.600s", start, f.line.bytes);
    }
    return f.text.bytes;
}

const char *e2e_assert_ok(struct e2e_conn *c, int ms)
{
    struct e2e_frame f = e2e_answer(c, ms);
    if (f.kind != MVM_MESSAGE_OK) {
        fail_msg("expected Ok, got %.600s", f.line.bytes);
    }
    return f.text.bytes;
}

void e2e_await_line(struct e2e_conn *c, const char *line)
{
    struct e2e_frame f;
    do {
        f = e2e_frame(c, E2E_PATIENCE_MS);
        if (f.kind == MVM_MESSAGE_OK || f.kind == MVM_MESSAGE_ERR) {
            fail_msg("expected a Log \"%s\", got %.600s", line, f.line.bytes);
        }
    } while (f.kind != MVM_MESSAGE_LOG || strcmp(f.text.bytes, line) != 0);
}

int e2e_ping(struct e2e_conn *c, int ms)
{
    struct mvm_text line;
    uint64_t start = e2e_now_ms();
    e2e_say(c, E2E_PING);
    assert_true(e2e_line(c, &line, ms));
    assert_string_equal(line.bytes, E2E_PONG);
    return (int)(e2e_now_ms() - start);
}

void e2e_assert_silent(struct e2e_conn *c, int ms)
{
    bool late;
    assert_int_equal(c->start, c->end);
    if (receive(c, e2e_now_ms() + (uint64_t)ms, &late) || !late) {
        fail_msg("expected nothing, got %.*s", (int)(c->end - c->start), c->bytes + c->start);
    }
}

void e2e_assert_ended(struct e2e_conn *c, int ms)
{
    struct mvm_text line;
    if (e2e_line(c, &line, ms)) {
        fail_msg("expected the end, got %.300s", line.bytes);
    }
}

/* ---- a monitor's relay ---- */

/* Moves bytes one way; false: the end. */
static bool pass(int from, int to)
{
    char bytes[16384];
    ssize_t n = read(from, bytes, sizeof bytes);
    for (ssize_t at = 0; at < n;) {
        ssize_t wrote = write(to, bytes + at, (size_t)(n - at));
        if (wrote <= 0) {
            return false;
        }
        at += wrote;
    }
    return n > 0;
}

/* CONNECT arrives in one write, and the request may arrive in the same one. */
static void relay(int host, const char *agent_path)
{
    static const char connect_line[] = "CONNECT 21470\n";
    char bytes[4096];
    const size_t len = sizeof connect_line - 1;
    ssize_t n = read(host, bytes, sizeof bytes);
    int guest = e2e_try_connect(agent_path);
    if (n < (ssize_t)len || memcmp(bytes, connect_line, len) != 0 || guest < 0 ||
        write(host, "OK 1073741824\n", 14) != 14 ||
        write(guest, bytes + len, (size_t)n - len) != n - (ssize_t)len) {
        _exit(1); /* no listener in the guest: closed without a word */
    }
    for (bool open = true; open;) {
        struct pollfd p[2] = {{.fd = host, .events = POLLIN}, {.fd = guest, .events = POLLIN}};
        poll(p, 2, -1);
        open = (p[0].revents == 0 || pass(host, guest)) && (p[1].revents == 0 || pass(guest, host));
    }
    _exit(0);
}

static void serve_relay(int listener, const char *agent_path)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int host = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pid_t pid = host >= 0 ? fork() : -1;
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* a monitor that ends closes its connections */
            close(listener);
            relay(host, agent_path);
        }
        if (host >= 0) {
            close(host);
        }
    }
}

pid_t e2e_start_relay(const char *name, const char *agent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *agent_path = e2e_path("%s.sock", agent);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", e2e_path("%s.sock", name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    pid_t pid = e2e_fork();
    if (pid == 0) {
        serve_relay(fd, agent_path);
    }
    close(fd);
    return pid;
}

struct e2e_conn *e2e_dial_relay(const char *name)
{
    struct mvm_text line;
    struct e2e_conn *c = e2e_dial(name);
    e2e_say(c, "CONNECT 21470\n");
    assert_true(e2e_line(c, &line, E2E_PATIENCE_MS));
    assert_memory_equal(line.bytes, "OK ", 3);
    return c;
}
