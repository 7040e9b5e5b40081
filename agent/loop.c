/* The event loop: read, step the service, write, close, accept, wait. */
#define _GNU_SOURCE
#include "loop.h"
#include "log.h"
#include "system.h"
#include "watch.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, ACCEPTS = 16, PAGE = 4096, STACK_TAKEN = 4 * PAGE };

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static uint64_t clock_ms(void)
{
    return mvm_posix_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- connections ---- */

static struct mvm_connection *free_connection(struct mvm_agent *a)
{
    for (size_t i = 0; i < MVM_CLIENTS_MAX; i++) {
        if (a->connections[i].client == NULL) {
            return &a->connections[i];
        }
    }
    return NULL;
}

static struct mvm_client *attach(struct mvm_agent *a, const struct mvm_connection *c)
{
    struct mvm_buffers *b = &a->buffers[c - a->connections];
    struct mvm_session_memory memory = {
        .receive = b->receive,
        .receive_cap = sizeof b->receive,
        .send = b->send,
        .send_cap = sizeof b->send,
        .fields = b->fields,
        .fields_cap = sizeof b->fields,
    };
    return mvm_scheduler_attach(&a->scheduler, &memory, a->now_ms);
}

/* Serves `fd` from now on; where that cannot be, errno says why and `fd` stays the caller's. */
static bool add_connection(struct mvm_agent *a, int fd, struct mvm_listener *listener)
{
    struct mvm_connection *c = free_connection(a);
    struct mvm_client *client = c != NULL ? attach(a, c) : NULL;
    if (client == NULL) {
        errno = EAGAIN;
        return false;
    }
    if (!mvm_watch_connection(a, c, fd)) {
        mvm_scheduler_detach(&a->scheduler, client);
        return false;
    }
    mvm_connection_init(c, client, fd, listener);
    if (c == &a->connections[a->served]) {
        a->served++;
    }
    return true;
}

static void close_connection(struct mvm_agent *a, struct mvm_connection *c)
{
    mvm_scheduler_detach(&a->scheduler, c->client);
    c->client = NULL;
    close(c->fd);
    while (a->served > 0 && a->connections[a->served - 1].client == NULL) {
        a->served--;
    }
    if (c->listener != NULL) {
        c->listener->state = MVM_LISTENER_OVER;
    }
    for (size_t i = 0; i < a->options->listen_len; i++) {
        if (a->listeners[i].state == MVM_LISTENER_UP) {
            a->listeners[i].retry_ms = 0; /* a slot is free */
        }
    }
}

/* Whoever uses the line next gets a fresh session on it; what nobody took is lost, and said so. */
static void restart_serial(struct mvm_agent *a, struct mvm_connection *c)
{
    mvm_scheduler_detach(&a->scheduler, c->client);
    c->client = attach(a, c);
    c->client->permanent = true;
    c->awake = c->newline_due = true;
}

/* Closes a connection that has come to its end. */
static void reap(struct mvm_agent *a, struct mvm_connection *c)
{
    if (c->client->stalled) {
        mvm_log("a client takes nothing of what its build has to say: ", "given up", NULL);
    }
    if (c->client->stalled && c->kind == MVM_CONNECTION_SERIAL) {
        restart_serial(a, c);
    } else if (c->client->stalled || c->gone || mvm_scheduler_done(&a->scheduler, c->client)) {
        close_connection(a, c);
    }
}

static struct mvm_connection *connection_of(struct mvm_agent *a, const struct mvm_client *client)
{
    for (size_t i = 0; client != NULL && i < a->served; i++) {
        if (a->connections[i].client == client) {
            return &a->connections[i];
        }
    }
    return NULL;
}

/* ---- listeners ---- */

/* A slot for the connection that waits; the one idle longest makes room where all are taken. */
static bool make_room(struct mvm_agent *a, struct mvm_listener *l)
{
    if (free_connection(a) != NULL) {
        return true;
    }
    if (!mvm_listener_waits(l)) {
        l->pending = false;
        return false;
    }
    struct mvm_connection *idle =
        connection_of(a, mvm_scheduler_idlest(&a->scheduler, MVM_IDLE_EVICT_MS));
    if (idle == NULL) {
        l->retry_ms = a->now_ms + MVM_PAUSE_MS;
        return false;
    }
    close_connection(a, idle);
    return true;
}

static void accept_some(struct mvm_agent *a, struct mvm_listener *l)
{
    for (int i = 0; i < ACCEPTS && l->pending && l->retry_ms <= a->now_ms; i++) {
        int fd = make_room(a, l) ? mvm_listener_accept(l, a->options, a->now_ms) : -1;
        if (fd >= 0 && !add_connection(a, fd, NULL)) {
            mvm_log("cannot serve a client: ", mvm_posix_error_text(errno), NULL);
            close(fd);
        }
    }
}

/* Gives a SERVING listener's descriptor to its connection: the one it had, or a new one. */
static bool hand_over(struct mvm_agent *a, struct mvm_listener *l)
{
    for (size_t i = 0; i < a->served; i++) {
        struct mvm_connection *c = &a->connections[i];
        if (c->client == NULL || c->listener != l) {
            continue;
        }
        if (!mvm_watch_connection(a, c, l->fd)) {
            return false;
        }
        mvm_connection_reopen(c, l->fd);
        return true;
    }
    return add_connection(a, l->fd, l);
}

static void open_listener(struct mvm_agent *a, struct mvm_listener *l)
{
    if (!mvm_listener_open(l, a->now_ms)) {
        return;
    }
    bool served = l->state == MVM_LISTENER_SERVING
                      ? hand_over(a, l)
                      : mvm_watch(a, l->fd, MVM_SOURCE_LISTENER | (size_t)(l - a->listeners));
    if (served) {
        mvm_listener_say_up(l);
    } else {
        const char *why = mvm_posix_error_text(errno);
        close(l->fd);
        mvm_listener_lost(l, why, a->now_ms);
    }
}

static void tend_listeners(struct mvm_agent *a)
{
    for (size_t i = 0; i < a->options->listen_len && a->stop_ms == 0; i++) {
        struct mvm_listener *l = &a->listeners[i];
        if (l->state == MVM_LISTENER_DOWN && l->retry_ms <= a->now_ms) {
            open_listener(a, l);
        } else if (l->state == MVM_LISTENER_UP) {
            accept_some(a, l);
        }
    }
}

/* Whether a descriptor that was to be handed over could not be had. */
static bool any_missing(const struct mvm_agent *a)
{
    for (size_t i = 0; i < a->options->listen_len; i++) {
        if (a->listeners[i].state == MVM_LISTENER_OVER && a->listeners[i].said) {
            return true;
        }
    }
    return false;
}

static bool all_over(const struct mvm_agent *a)
{
    for (size_t i = 0; i < a->options->listen_len; i++) {
        if (a->listeners[i].state != MVM_LISTENER_OVER) {
            return false;
        }
    }
    return mvm_scheduler_idle(&a->scheduler);
}

/* ---- signals ---- */

static bool open_signals(struct mvm_agent *a)
{
    sigset_t set;
    mvm_posix_signal(SIGCHLD, SIG_DFL); /* ignored, it would take every exit status away */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (a->options->posix.status_is_handed) {
        sigaddset(&set, SIGCHLD);
    }
    mvm_posix_signal(SIGPIPE, SIG_IGN);
    mvm_posix_signal(SIGHUP, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return a->signals >= 0 && mvm_watch(a, a->signals, MVM_SOURCE_SIGNAL);
}

/* Every child, the build's and whatever came to process 1. */
static void collect_children(struct mvm_agent *a)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        mvm_posix_child_exited(&a->posix, pid, status);
    }
}

static void stop(struct mvm_agent *a, const char *why)
{
    mvm_log("stopping: ", why, NULL);
    mvm_scheduler_stop(&a->scheduler);
    a->stop_ms = UINT64_MAX;
}

static void take_signals(struct mvm_agent *a)
{
    struct signalfd_siginfo info;
    while (read(a->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            collect_children(a);
        } else if (a->stop_ms != 0) {
            a->stop_now = true;
        } else {
            stop(a, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        }
    }
}

static bool all_flushed(const struct mvm_agent *a)
{
    for (size_t i = 0; i < a->served; i++) {
        const struct mvm_connection *c = &a->connections[i];
        if (c->client != NULL && !mvm_session_flushed(&c->client->session)) {
            return false;
        }
    }
    return true;
}

/* Whether to leave the loop. Once no build is left, clients have a moment to take their answers. */
static bool finished(struct mvm_agent *a)
{
    if (a->stop_ms == 0) {
        return all_over(a);
    }
    if (!mvm_scheduler_idle(&a->scheduler)) {
        return a->stop_now;
    }
    a->stop_ms = sooner(a->stop_ms, a->now_ms + MVM_TERM_GRACE_MS);
    return a->stop_now || a->now_ms >= a->stop_ms || all_flushed(a);
}

/* ---- the loop ---- */

static void log_start(const struct mvm_scheduler *v)
{
    struct mvm_log_line line;
    struct mvm_job job = mvm_queued_build_job(&v->queue[0]);
    mvm_log_begin(&line, "build started: ");
    mvm_writer_add_text(&line.w, job.flake_ref);
    mvm_writer_add(&line.w, "#");
    mvm_writer_add_text(&line.w, job.attr);
    mvm_log_end(&line);
}

static void log_end(const struct mvm_scheduler *v)
{
    struct mvm_log_line line;
    mvm_log_begin(&line, v->answer.kind == MVM_MESSAGE_OK ? "build done: " : "build failed: ");
    mvm_writer_add_text(&line.w, v->answer.text);
    mvm_log_end(&line);
}

static bool step_service(struct mvm_agent *a)
{
    bool was_building = mvm_scheduler_building(&a->scheduler);
    bool more = mvm_scheduler_step(&a->scheduler, a->now_ms);
    bool is_building = mvm_scheduler_building(&a->scheduler);
    if (!was_building && is_building) {
        log_start(&a->scheduler);
    } else if (was_building && !is_building) {
        log_end(&a->scheduler);
        if (a->options->exit_after_build && a->stop_ms == 0) {
            stop(a, "the build has ended");
        }
    }
    return more;
}

static void read_connections(struct mvm_agent *a)
{
    const struct mvm_connection *end = a->connections + a->served;
    for (struct mvm_connection *c = a->connections; c < end; c++) {
        if (c->client != NULL && (c->awake || c->look_ms != 0)) {
            mvm_connection_read(c, a->now_ms);
        }
    }
}

/* `busy`: there was a build, so somebody may have been sent something without having asked just
 * now. Returns whether there is more to do at once. */
static bool write_connections(struct mvm_agent *a, bool busy)
{
    bool more = false;
    for (size_t i = 0; i < a->served; i++) {
        struct mvm_connection *c = &a->connections[i];
        if (c->client != NULL && (c->awake || busy)) {
            c->awake = mvm_connection_write(c, a->now_ms) || mvm_connection_ready(c);
            more = more || c->awake;
            mvm_watch_room(a, c);
            reap(a, c);
        }
    }
    return more;
}

static uint64_t deadline(const struct mvm_agent *a)
{
    uint64_t at = mvm_scheduler_deadline(&a->scheduler);
    if (mvm_scheduler_building(&a->scheduler) && mvm_posix_child_fd(&a->posix) < 0 &&
        !a->options->posix.status_is_handed && mvm_executor_wants_child(&a->executor)) {
        at = sooner(at, a->now_ms + MVM_KILL_POLL_MS); /* no pidfd in this kernel */
    }
    for (size_t i = 0; i < a->options->listen_len && a->stop_ms == 0; i++) {
        const struct mvm_listener *l = &a->listeners[i];
        if (l->state == MVM_LISTENER_DOWN || (l->state == MVM_LISTENER_UP && l->pending)) {
            at = sooner(at, l->retry_ms);
        }
    }
    for (size_t i = 0; i < a->served; i++) {
        const struct mvm_connection *c = &a->connections[i];
        if (c->client != NULL && c->look_ms != 0) {
            at = sooner(at, c->look_ms);
        }
    }
    return a->stop_ms != 0 ? sooner(at, a->stop_ms) : at;
}

static int patience(const struct mvm_agent *a, bool more)
{
    uint64_t at = more ? 0 : deadline(a);
    if (at == UINT64_MAX) {
        return -1;
    }
    uint64_t left = at > a->now_ms ? at - a->now_ms : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}

static void take_event(struct mvm_agent *a, const struct epoll_event *e)
{
    size_t index = e->data.u32 & 0xffff;
    switch ((enum mvm_source)(e->data.u32 - index)) {
    case MVM_SOURCE_CONNECTION:
        mvm_connection_event(&a->connections[index], e->events);
        break;
    case MVM_SOURCE_LISTENER:
        a->listeners[index].pending = true;
        break;
    case MVM_SOURCE_SIGNAL:
        take_signals(a);
        break;
    case MVM_SOURCE_BUILD: /* the step that follows looks for itself */
        break;
    }
}

static void wait_for_events(struct mvm_agent *a, bool more)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(a->epoll, events, EVENTS, patience(a, more));
    a->now_ms = clock_ms();
    for (int i = 0; i < n; i++) {
        take_event(a, &events[i]);
    }
}

static bool init(struct mvm_agent *a, const struct mvm_options *options)
{
    a->options = options;
    a->now_ms = clock_ms();
    for (size_t i = 0; i < options->listen_len; i++) {
        mvm_listener_init(&a->listeners[i], &options->listen[i]);
    }
    mvm_watch_port(a);
    mvm_posix_init(&a->posix, &options->posix);
    mvm_executor_init(&a->executor, &a->port, a, &options->executor);
    mvm_scheduler_init(&a->scheduler, &a->executor, &options->scheduler, a->clients,
                       MVM_CLIENTS_MAX);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    return a->epoll >= 0 && open_signals(a);
}

/* Takes what a build of the first client writes to: a kernel that has promised more memory than
 * there is is found out now, not hours into a build. From here on nothing grows but by clients. One
 * call costs less than a fault for each page; kernels before 5.14 do not know it. */
static void take_memory(struct mvm_agent *a)
{
    volatile char stack[STACK_TAKEN];
    uintptr_t page = (uintptr_t)a & ~(uintptr_t)(PAGE - 1);
    for (size_t i = 0; i < sizeof stack; i += PAGE) {
        stack[i] = 0;
    }
    if (madvise((void *)page, (uintptr_t)&a->buffers[1] - page, MADV_POPULATE_WRITE) < 0) {
        memset(&a->buffers[0], 0, sizeof a->buffers[0]);
    }
}

int mvm_agent_run(struct mvm_agent *a, const struct mvm_options *options)
{
    take_memory(a);
    if (!init(a, options)) {
        mvm_log("cannot start: ", mvm_posix_error_text(errno), NULL);
        return 1;
    }
    if (options->posix.status_is_handed) {
        collect_children(a); /* of those that ended before the signal was watched */
    }
    bool more = true;
    tend_listeners(a);
    while (!finished(a)) {
        wait_for_events(a, more);
        read_connections(a);
        bool busy = !mvm_scheduler_idle(&a->scheduler);
        more = step_service(a);
        more = write_connections(a, busy) || more;
        tend_listeners(a);
    }
    for (size_t i = 0; i < options->listen_len; i++) {
        mvm_listener_close(&a->listeners[i]);
    }
    mvm_posix_fini(&a->posix);
    return a->stop_now || (a->stop_ms == 0 && any_missing(a)) ? 1 : 0;
}
