/* The server's own messages: lines for the program around it. */
#define _GNU_SOURCE
#include "control.h"
#include "server_internal.h"
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

void mvm_server_say_begin(struct mvm_server_line *line, const char *what)
{
    mvm_writer_init(&line->w, line->text, sizeof line->text);
    mvm_writer_add(&line->w, what);
}

void mvm_server_say_end(struct mvm_server *s, struct mvm_server_line *line)
{
    mvm_control_mask(line->text, mvm_writer_finish(&line->w).len);
    if (s->config.log != NULL) {
        s->config.log(s->config.ctx, line->text);
    }
}

void mvm_server_say(struct mvm_server *s, const char *a, const char *b, const char *c)
{
    struct mvm_server_line line;
    mvm_server_say_begin(&line, "");
    mvm_writer_add3(&line.w, a, b, c);
    mvm_server_say_end(s, &line);
}

/* A terminal that is ready for a byte may still wait with a line, if its output is stopped; opened
 * again, it does not, and the descriptor that others share keeps its flags. -1: none. */
static int open_terminal(void)
{
    return isatty(STDERR_FILENO)
               ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
               : -1;
}

/* A pipe that is ready takes a line without waiting; one without a reader would raise SIGPIPE. */
void mvm_server_print(void *ctx, const char *line)
{
    const struct iovec parts[] = {{(void *)(uintptr_t)line, strlen(line)},
                                  {(void *)(uintptr_t) "\n", 1}};
    struct pollfd ready = {STDERR_FILENO, POLLOUT, 0};
    (void)ctx;
    if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT) {
        int terminal = open_terminal();
        ssize_t n = writev(terminal >= 0 ? terminal : STDERR_FILENO, parts, 2);
        (void)n; /* a line that cannot be written is dropped */
        if (terminal >= 0) {
            close(terminal);
        }
    }
}
