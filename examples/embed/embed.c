/*
 * The library in a program of one's own: a builder that serves one connection on its standard input
 * and output. Give it a socket, a serial line or a pipe:
 *     socat UNIX-LISTEN:/tmp/builder.sock EXEC:"build/examples/embed/embed /tmp/out"
 * builds into /tmp/out; without the argument it mounts /dev/vdb as /build-out, as the agent does.
 * An agent for several clients is this with more of the same; an init adds its own children. It is
 * C11 and C++17 at once:
 *     c++ -std=c++17 -x c++ embed.c $(pkg-config --cflags --libs mvm-guest)
 */
#define _POSIX_C_SOURCE 200809L
#include "mvm_posix.h"
#include "mvm_scheduler.h"
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* All the memory there is. */
static struct mvm_posix posix;
static struct mvm_executor executor;
static struct mvm_scheduler scheduler;
static struct mvm_client clients[1];
static uint8_t in[4096];
static uint8_t out[16384];
static char fields[MVM_REQUEST_FIELDS_CAP];

/* How it is to work: a zero is a sound choice everywhere but for out_dir. */
static struct mvm_posix_config port;
static struct mvm_executor_config job;
static struct mvm_scheduler_config serving;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits for whatever can go on: the client, the build's pipes and its end, who copies
 * what it made, or the next deadline. */
static void wait_for_events(short client_in, short client_out)
{
    bool out_wanted = mvm_executor_wants(&executor, MVM_STDOUT);
    bool err_wanted = mvm_executor_wants(&executor, MVM_STDERR);
    bool child_wanted = mvm_executor_wants_child(&executor);
    struct pollfd fds[] = {
        {client_in != 0 ? STDIN_FILENO : -1, client_in, 0},
        {client_out != 0 ? STDOUT_FILENO : -1, client_out, 0},
        {out_wanted ? mvm_posix_output_fd(&posix, MVM_STDOUT) : -1, POLLIN, 0},
        {err_wanted ? mvm_posix_output_fd(&posix, MVM_STDERR) : -1, POLLIN, 0},
        {child_wanted ? mvm_posix_child_fd(&posix) : -1, POLLIN, 0},
    };
    uint64_t now = now_ms();
    uint64_t at = mvm_scheduler_deadline(&scheduler);
    int ms = at == UINT64_MAX ? -1 : at <= now ? 0 : at - now < 1000 ? (int)(at - now) : 1000;
    poll(fds, sizeof fds / sizeof fds[0], ms);
}

int main(int argc, char *argv[])
{
    struct mvm_session_memory memory = {in, sizeof in, out, sizeof out, fields, sizeof fields};

    job.out_dir = argc > 1 ? argv[1] : "/build-out";
    job.out_device = argc > 1 ? NULL : "/dev/vdb";
    port.subreaper = true;
    serving.heartbeat_ms = 10000;

    signal(SIGPIPE, SIG_IGN);
    mvm_posix_init(&posix, &port);
    mvm_executor_init(&executor, &mvm_posix_port, &posix, &job);
    mvm_scheduler_init(&scheduler, &executor, &serving, clients, 1);
    struct mvm_client *client = mvm_scheduler_attach(&scheduler, &memory, now_ms());
    struct mvm_session *s = &client->session;

    for (;;) {
        size_t room, len;
        bool more = mvm_scheduler_step(&scheduler, now_ms());
        if (mvm_scheduler_done(&scheduler, client)) { /* asked between the step and the wait */
            break;
        }
        uint8_t *place = mvm_session_room(s, &room);
        const uint8_t *bytes = mvm_session_bytes(s, &len);
        if (!more) {
            wait_for_events(place != NULL ? POLLIN : 0, bytes != NULL ? POLLOUT : 0);
        }
        struct pollfd ready = {STDIN_FILENO, POLLIN, 0};
        if (place != NULL && poll(&ready, 1, 0) > 0) {
            ssize_t n = read(STDIN_FILENO, place, room);
            if (n > 0) {
                mvm_session_received(s, (size_t)n);
            } else {
                mvm_session_peer_ended(s);
            }
        }
        if (bytes != NULL) {
            ssize_t n = write(STDOUT_FILENO, bytes, len);
            if (n < 0) {
                mvm_scheduler_detach(&scheduler, client); /* gone: its build is cancelled */
                break;
            }
            mvm_session_sent(s, (size_t)n);
        }
    }
    mvm_posix_fini(&posix); /* ends a build that still runs */
    return 0;
}
