#define _GNU_SOURCE
#include "support_host.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

char host_address[E2E_PATH_CAP + 32];

static pid_t tool;
static int listener;
static char id[128];
static char nonce[128];

/* ---- the tool ---- */

pid_t host_start_words(const char *const words[])
{
    const char *argv[24] = {e2e_program("mvm-builder"), "--to", host_address};
    for (int i = 0; words[i] != NULL; i++) {
        assert_true(i + 4 < 24);
        argv[i + 3] = words[i];
    }
    const char *out = e2e_path("tool.out"), *err = e2e_path("tool.err");
    e2e_write_text(out, "");
    e2e_write_text(err, "");
    tool = e2e_fork();
    if (tool == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(open(out, O_WRONLY | O_APPEND), STDOUT_FILENO);
        dup2(open(err, O_WRONLY | O_APPEND), STDERR_FILENO);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    return tool;
}

static int exit_status(int status)
{
    if (!WIFEXITED(status)) {
        fail_msg("the tool ended by signal %d", WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

int host_finish(void)
{
    return exit_status(e2e_wait(tool, E2E_PATIENCE_MS));
}

int host_end(int sig)
{
    return exit_status(e2e_end(tool, sig));
}

pid_t host_pid(void)
{
    return tool;
}

bool host_runs(void)
{
    return waitpid(tool, NULL, WNOHANG) == 0;
}

void host_pause(void)
{
    int status;
    kill(tool, SIGSTOP);
    assert_int_equal(waitpid(tool, &status, WUNTRACED), tool);
    assert_true(WIFSTOPPED(status));
}

void host_continue(void)
{
    kill(tool, SIGCONT);
}

const char *host_out(void)
{
    return e2e_read(e2e_path("tool.out")).bytes;
}

const char *host_err(void)
{
    return e2e_read(e2e_path("tool.err")).bytes;
}

static bool err_has(const char *text)
{
    return strstr(host_err(), text) != NULL;
}

void host_await_err(const char *text)
{
    if (!e2e_until(err_has, text, E2E_PATIENCE_MS)) {
        fail_msg("stderr lacks \"%s\": %s", text, host_err());
    }
}

void host_assert_err_has(const char *text)
{
    if (!err_has(text)) {
        fail_msg("stderr lacks \"%s\": %s", text, host_err());
    }
}

void host_assert_err_lacks(const char *text)
{
    if (err_has(text)) {
        fail_msg("stderr has \"%s\": %s", text, host_err());
    }
}

/* ---- connections ---- */

void host_listen(const char *name)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(to.sun_path, e2e_path("%s", name));
    unlink(to.sun_path);
    assert_int_equal(bind(listener, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(listener, 8), 0);
    snprintf(host_address, sizeof host_address, "unix:%s", to.sun_path);
}

void host_stop_listening(void)
{
    close(listener);
}

static bool comes(int ms)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

struct e2e_conn *host_accept(void)
{
    if (!comes(E2E_PATIENCE_MS)) {
        fail_msg("the tool does not connect: %s", host_err());
    }
    return e2e_adopt(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

void host_assert_no_connection(int ms)
{
    assert_false(comes(ms));
}

struct e2e_conn *host_pty(void)
{
    struct termios t;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    snprintf(host_address, sizeof host_address, "serial:%s", ptsname(master));
    /* Raw from the start, and held open: reading a pty whose last user has closed it is an
     * error. */
    int slave = open(host_address + 7, O_RDWR | O_NOCTTY);
    tcgetattr(slave, &t);
    cfmakeraw(&t);
    tcsetattr(slave, TCSANOW, &t);
    return e2e_adopt(master);
}

/* ---- frames ---- */

/* The string after `"key":"`, up to its quote. */
static void keep_field(const char *line, const char *key, char to[128])
{
    char start[32];
    snprintf(start, sizeof start, "\"%s\":\"", key);
    const char *at = strstr(line, start);
    if (at != NULL) {
        size_t len = strcspn(at + strlen(start), "\"");
        assert_true(len < 128);
        memcpy(to, at + strlen(start), len);
        to[len] = '\0';
    }
}

const char *host_await_request(struct e2e_conn *c, const char *start)
{
    struct mvm_text line;
    do {
        if (!e2e_line(c, &line, E2E_PATIENCE_MS)) {
            fail_msg("the tool closed the connection before %s; stderr: %s", start, host_err());
        }
    } while (line.len == 0); /* on a serial line a newline comes first */
    if (strncmp(line.bytes, start, strlen(start)) != 0) {
        fail_msg("expected %s, got %s", start, line.bytes);
    }
    keep_field(line.bytes, "id", id);
    keep_field(line.bytes, "nonce", nonce);
    return line.bytes;
}

void host_say(struct e2e_conn *c, const char *format, ...)
{
    static char text[1 << 17];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof text - 1);
    text[n] = '\n';
    e2e_say_bytes(c, text, (size_t)n + 1);
}

struct e2e_conn *host_welcome(struct e2e_conn *c, const char *features)
{
    host_await_request(c, "{\"Hello\":{\"nonce\":\"");
    host_say(c,
             "{\"Hello\":{\"nonce\":\"%s\",\"agent\":\"played 1.0\",\"boot\":\"b1\","
             "\"features\":\"%s\"}}",
             nonce, features);
    return c;
}

struct e2e_conn *host_refuse_hello(struct e2e_conn *c)
{
    host_await_request(c, "{\"Hello\":");
    host_say(c, HOST_PARSE_ERROR);
    return c;
}

const char *host_id(void)
{
    return id;
}

const char *host_nonce(void)
{
    return nonce;
}

static void say_accepted(struct e2e_conn *c)
{
    host_say(c, "{\"Log\":{\"line\":\"\",\"id\":\"%s\",\"beat\":true}}", id);
}

void host_accept_build(struct e2e_conn *c)
{
    host_await_request(c, "{\"Build\":");
    say_accepted(c);
}

void host_accept_join(struct e2e_conn *c)
{
    host_await_request(c, "{\"Join\":");
    say_accepted(c);
}

void host_say_log(struct e2e_conn *c, const char *line)
{
    host_say(c, "{\"Log\":{\"line\":\"%s\",\"id\":\"%s\"}}", line, id);
}

void host_say_ok(struct e2e_conn *c)
{
    host_say(c, "{\"Ok\":{\"out_path\":\"" HOST_STORE_PATH "\",\"id\":\"%s\"}}", id);
}
