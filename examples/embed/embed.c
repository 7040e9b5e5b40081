/*
 * The library without its server, in a program of one's own: a builder for one connection on its
 * standard input and output, whatever these are:
 *     socat UNIX-LISTEN:/tmp/builder.sock EXEC:"build/examples/embed/embed /tmp/out"
 * builds into /tmp/out; without the argument it mounts /dev/vdb as /build-out, as the agent does.
 * For sockets and several clients take server/mvm_server.h instead. It is C11 and C++17 at once:
 *     c++ -std=c++17 -x c++ embed.c $(pkg-config --cflags --libs mvm-guest)
 */
#define _POSIX_C_SOURCE 200809L
#include "mvm_posix.h"
#include "mvm_scheduler.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#ifndef PIPE_BUF
#define PIPE_BUF 4096
#endif

/* All the memory there is. */
static struct mvm_posix posix;
static struct mvm_executor executor;
static struct mvm_scheduler scheduler;
static struct mvm_client clients[1];
static uint8_t in[4096];
static uint8_t out[16384];
static char fields[MVM_REQUEST_FIELDS_CAP];

/* Its configuration: zero is valid for every member except out_dir. */
static struct mvm_posix_config port;
static struct mvm_executor_config job;
static struct mvm_scheduler_config serving;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Whether an error only means: not now. The flags of standard input and output are shared with
 * other processes, so any of these may make them non-blocking. */
static bool is_passing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* At most one read, of a descriptor that is ready. */
static void read_client(struct mvm_session *s)
{
    size_t room;
    uint8_t *place = mvm_session_room(s, &room);
    ssize_t n = read(STDIN_FILENO, place, room);
    if (n > 0) {
        mvm_session_received(s, (size_t)n);
    } else if (n == 0 || !is_passing(errno)) {
        mvm_session_peer_ended(s);
    }
}

/* At most one write, of no more than a descriptor that is ready takes without waiting. False: the
 * client is gone. */
static bool write_client(struct mvm_session *s)
{
    size_t len;
    const uint8_t *bytes = mvm_session_bytes(s, &len);
    ssize_t n = write(STDOUT_FILENO, bytes, len < PIPE_BUF ? len : PIPE_BUF);
    if (n > 0) {
        mvm_session_sent(s, (size_t)n);
    }
    return n >= 0 || is_passing(errno);
}

/* Waits for the client, the build, or the next deadline. False: the client is gone. */
static bool wait_and_move(struct mvm_session *s, bool more)
{
    size_t room, len;
    bool reads = mvm_session_room(s, &room) != NULL;
    bool writes = mvm_session_bytes(s, &len) != NULL;
    struct pollfd fds[] = {
        {reads ? STDIN_FILENO : -1, POLLIN, 0},
        {STDOUT_FILENO, (short)(writes ? POLLOUT : 0), 0}, /* always: it reports a hang-up */
        {mvm_posix_fd(&posix), POLLIN, 0},
    };
    uint64_t now = now_ms();
    uint64_t at = more ? now : mvm_scheduler_deadline(&scheduler);
    uint64_t left = at > now ? at - now : 0;
    poll(fds, 3, at == UINT64_MAX ? -1 : left < INT_MAX ? (int)left : INT_MAX);
    if (reads && fds[0].revents != 0) {
        read_client(s);
    }
    if ((fds[1].revents & (POLLERR | POLLHUP)) != 0) {
        return false;
    }
    return !writes || (fds[1].revents & POLLOUT) == 0 || write_client(s);
}

int main(int argc, char *argv[])
{
    struct mvm_session_memory memory = {in, sizeof in, out, sizeof out, fields, sizeof fields};

    job.out_dir = argc > 1 ? argv[1] : "/build-out";
    job.out_device = argc > 1 ? NULL : "/dev/vdb";
    port.subreaper = true;
    job.heartbeat_ms = serving.heartbeat_ms = MVM_HEARTBEAT_MS;

    signal(SIGPIPE, SIG_IGN); /* builds have its default anyway */
    mvm_posix_init(&posix, &port);
    mvm_executor_init(&executor, &mvm_posix_port, &posix, &job);
    mvm_scheduler_init(&scheduler, &executor, &serving, clients, 1);
    struct mvm_client *client = mvm_scheduler_attach(&scheduler, &memory, now_ms());

    for (;;) {
        bool more = mvm_scheduler_step(&scheduler, now_ms());
        if (client->stalled || mvm_scheduler_done(&scheduler, client)) {
            break;
        }
        if (!wait_and_move(&client->session, more)) {
            mvm_scheduler_detach(&scheduler, client); /* its build is cancelled */
            break;
        }
    }
    mvm_posix_fini(&posix); /* ends a build that still runs */
    return 0;
}
