/* The whole: begin, step, stop, end. */
#define _GNU_SOURCE
#include "id.h"
#include "server_internal.h"
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 16,      /* of a step, while there is more to do */
    FIRST_ROUNDS = 2, /* a client is accepted, then answered */
    REAP_MS = 1000,
};

/* ---- begin ---- */

static int fail_init(struct mvm_server *s, enum mvm_server_error error, const char *what,
                     const char *why)
{
    s->error_what = what;
    s->error = why;
    struct mvm_server_line line;
    mvm_server_say_begin(&line, "cannot start: ");
    mvm_writer_add3(&line.w, what, ": ", why);
    mvm_server_say_end(s, &line);
    mvm_server_watch_close(s);
    return error;
}

static int parse_addresses(struct mvm_server *s)
{
    for (size_t i = 0; i < s->listeners_len; i++) {
        struct mvm_server_listener *l = &s->listeners[i];
        const char *text = s->config.listen[i];
        *l = (struct mvm_server_listener){.fd = -1, .parked = -1, .lock = -1, .name_watch = -1};
        const char *why = mvm_address_parse(&l->address, text);
        if (why == NULL && l->address.kind == MVM_ADDRESS_UNIX) {
            why = mvm_server_unix_init(l);
        }
        for (size_t k = 0; why == NULL && k < i; k++) {
            if (mvm_address_conflicts(&l->address, &s->listeners[k].address)) {
                why = "given twice";
            }
        }
        if (why != NULL) {
            const char *what = text[0] != '\0' ? text : "listen";
            return fail_init(s, MVM_SERVER_BAD_ADDRESS, what, why);
        }
    }
    return 0;
}

static int check(struct mvm_server *s, void *memory, size_t size)
{
    if (!mvm_server_memory_divide(s, memory, size)) {
        bool possible = mvm_server_needs(&s->config) < SIZE_MAX;
        return fail_init(s, MVM_SERVER_NO_MEMORY, possible ? "memory" : "clients and their buffers",
                         possible ? "less than mvm_server_needs" : "more than there can be");
    }
    const char *why = mvm_executor_config_unsound(&s->config.executor);
    why = s->config.allowed_cids_len > 0 && s->config.allowed_cids == NULL ? "allowed_cids: NULL"
                                                                           : why;
    if (why != NULL) {
        return fail_init(s, MVM_SERVER_BAD_CONFIG, "configuration", why);
    }
    if (mvm_posix_signal_ignored(SIGCHLD)) {
        return fail_init(s, MVM_SERVER_NO_STATUS, "SIGCHLD",
                         "ignored, so that no child leaves an exit status: set SIG_DFL");
    }
    return parse_addresses(s);
}

/* While it stops, the server accepts and answers as before: a client that waited in the queue of a
 * socket until the process ends would wait for nothing. An inherited socket is left to the next
 * process that serves it, and no listener is opened. */
static bool is_served(const struct mvm_server *s, const struct mvm_server_listener *l)
{
    return !s->stopping || (l->state == MVM_LISTENER_UP && l->address.kind != MVM_ADDRESS_FD);
}

static void step_listeners(struct mvm_server *s)
{
    s->listen_ms = MVM_NEVER;
    for (size_t i = 0; i < s->listeners_len; i++) {
        if (is_served(s, &s->listeners[i])) {
            s->listen_ms = mvm_sooner(s->listen_ms, mvm_server_listener_step(s, &s->listeners[i]));
        }
    }
}

/* Identifies this start of the program. */
static void draw_boot(struct mvm_server *s)
{
    uint8_t bytes[(sizeof s->boot - 1) / 2] = {0};
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        uint64_t now =
            mvm_posix_clock_ns(CLOCK_BOOTTIME); /* the kernel's generator is not seeded yet */
        memcpy(bytes, &now, sizeof now);
    }
    mvm_id_write(s->boot, bytes, sizeof bytes);
    s->config.scheduler.boot = s->boot;
}

/* It starts no build: its worker, which is no process of a build's either, is all it has. */
static void init_reader(struct mvm_server *s)
{
    struct mvm_posix_config config = {.caller_reaps = s->config.posix.caller_reaps, .cgroup = ""};
    if (s->config.executor.stream_dir != NULL) {
        mvm_posix_init(&s->reader, &config);
        s->posix.beside = &s->reader;
        s->config.scheduler.reader = &mvm_posix_port;
        s->config.scheduler.reader_ctx = &s->reader;
    }
}

static void fini_ports(struct mvm_server *s)
{
    mvm_posix_fini(&s->posix);
    if (s->config.executor.stream_dir != NULL) {
        mvm_posix_fini(&s->reader);
    }
}

int(mvm_server_init)(struct mvm_server *s, const struct mvm_server_config *config, void *memory,
                     size_t size)
{
    memset(s, 0, offsetof(struct mvm_server, posix)); /* what follows has its own init */
    s->config = *config;
    s->epoll = s->wake = s->reserve = s->names = s->caller_fd = -1;
    s->stop_ms = s->flush_ms = s->linger_ms = s->drain_ms = s->refused_ms = MVM_NEVER;
    s->now_ms = s->active_ms = mvm_server_now_ms();
    s->stream_lock = -1;
    int r = check(s, memory, size);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < s->listeners_len; i++) {
        mvm_server_listener_init(s, &s->listeners[i]);
    }
    mvm_server_stream_lock(s);
    if (s->config.scheduler.boot == NULL) {
        draw_boot(s);
    }
    mvm_posix_init(&s->posix, &s->config.posix);
    init_reader(s);
    mvm_executor_init(&s->executor, &mvm_posix_port, &s->posix, &s->config.executor);
    mvm_scheduler_init(&s->scheduler, &s->executor, &s->config.scheduler, s->clients,
                       s->config.clients);
    if (!mvm_server_watch_init(s)) {
        int error = errno;
        fini_ports(s);
        mvm_server_stream_unlock(s);
        return fail_init(s, MVM_SERVER_FAILED, "epoll", mvm_posix_error_text(error));
    }
    mvm_server_reserve(s);
    step_listeners(s);
    return 0;
}

void mvm_server_explain(const struct mvm_server *s, struct mvm_writer *w)
{
    if (s->error != NULL) {
        mvm_writer_add3(w, s->error_what, ": ", s->error);
    }
    mvm_writer_finish(w);
}

int mvm_server_fd(const struct mvm_server *s)
{
    return s->epoll;
}

/* ---- stopping ---- */

static void begin_to_stop(struct mvm_server *s)
{
    if (!s->stopping) {
        s->stopping = true;
        mvm_server_peer_say_counts(s, true);
        for (size_t i = 0; i < s->scheduler.queued; i++) {
            mvm_server_clients_answered(s, s->scheduler.queue[i].client);
        }
        if (s->collect_ms > 0) {
            mvm_server_clients_all_answered(s); /* one has joined */
        }
        mvm_scheduler_stop(&s->scheduler);
    }
    mvm_server_watch_arm(s);
}

static void stop_itself(struct mvm_server *s, const char *why)
{
    mvm_server_say(s, "stopping: ", why, "");
    begin_to_stop(s);
}

void mvm_server_stop(struct mvm_server *s, uint32_t grace_ms)
{
    begin_to_stop(s);
    s->stop_ms = mvm_sooner(s->stop_ms, mvm_server_now_ms() + grace_ms);
    if (grace_ms == 0) {
        s->stopped = s->incomplete = true;
    }
}

/* Whether clients can no longer connect: every listener was inherited, and is closed. */
static bool all_over(const struct mvm_server *s)
{
    for (size_t i = 0; i < s->listeners_len; i++) {
        if (s->listeners[i].state != MVM_LISTENER_OVER) {
            return false;
        }
    }
    return mvm_scheduler_idle(&s->scheduler);
}

/* Whether clients need be waited for no longer: what was sent must be in the kernel, and if the
 * machine ends with us it must have been read. */
static bool clients_are_served(struct mvm_server *s)
{
    s->flush_ms = mvm_sooner(s->flush_ms, s->now_ms + MVM_TERM_GRACE_MS);
    if (!mvm_server_clients_flushed(s) || mvm_scheduler_reading(&s->scheduler)) {
        return s->now_ms >= s->flush_ms;
    }
    s->linger_ms = mvm_sooner(s->linger_ms, s->now_ms + s->config.linger_ms);
    s->drain_ms = MVM_NEVER;
    return s->now_ms >= s->linger_ms || mvm_server_clients_gone(s);
}

static bool is_finished(struct mvm_server *s)
{
    if (!s->stopping) {
        return all_over(s);
    }
    if (s->now_ms >= s->stop_ms) {
        s->incomplete = true;
        return true;
    }
    return mvm_scheduler_idle(&s->scheduler) && clients_are_served(s);
}

bool mvm_server_stopped(const struct mvm_server *s)
{
    return s->stopped;
}

bool mvm_server_orderly(const struct mvm_server *s)
{
    for (size_t i = 0; i < s->listeners_len && !s->stopping; i++) {
        if (s->listeners[i].state == MVM_LISTENER_OVER && s->listeners[i].logged) {
            return false; /* it could not be opened */
        }
    }
    return !s->incomplete;
}

/* ---- step ---- */

static void leave_if_idle(struct mvm_server *s)
{
    if (s->config.exit_idle_ms == 0 || s->stopping) {
        return;
    }
    if (!mvm_scheduler_idle(&s->scheduler) || mvm_server_clients_any(s) ||
        s->now_ms < s->collect_ms) {
        s->active_ms = s->now_ms;
    } else if (s->now_ms >= s->active_ms + s->config.exit_idle_ms) {
        stop_itself(s, "idle for the configured time");
    }
}

static void leave_if_built(struct mvm_server *s)
{
    if (!s->built || s->stopping) {
        return;
    }
    if (s->collect_ms > 0 && mvm_scheduler_reading(&s->scheduler)) {
        s->collect_ms = s->now_ms + MVM_COLLECT_MS;
    }
    bool holds = mvm_scheduler_holds(&s->scheduler);
    bool waits = holds || mvm_scheduler_awaits(&s->scheduler);
    bool late = s->now_ms >= s->collect_ms && !(holds && mvm_server_clients_any(s));
    if (!waits || late) {
        stop_itself(s, "the build has ended");
    }
}

/* A worker whose disk hangs ends long after its job. */
static void reap_workers(struct mvm_server *s)
{
    unsigned hung = mvm_posix_reap(&s->posix);
    hung += s->config.executor.stream_dir != NULL ? mvm_posix_reap(&s->reader) : 0;
    bool ours = hung > 0 && !s->config.posix.caller_reaps;
    s->reap_ms = ours ? s->now_ms + REAP_MS : MVM_NEVER;
}

/* One pass over everything. Returns whether there is more to do now. */
static bool step_all(struct mvm_server *s)
{
    mvm_server_clients_read(s);
    bool busy = !mvm_scheduler_idle(&s->scheduler) ||
                mvm_scheduler_reading(&s->scheduler); /* any client may have been sent something */
    bool more = mvm_server_build_step(s);
    more = mvm_server_clients_write(s, busy) || more;
    leave_if_built(s); /* the last client may just have gone */
    step_listeners(s);
    reap_workers(s);
    more = more || s->again;
    s->again = false;
    return more;
}

/* Timers. */
static uint64_t next_deadline(const struct mvm_server *s)
{
    uint64_t at = mvm_sooner(mvm_scheduler_deadline(&s->scheduler), s->refused_ms);
    at = mvm_sooner(at, mvm_sooner(s->listen_ms, mvm_sooner(s->check_ms, s->reap_ms)));
    if (s->stopping) {
        uint64_t lingering = mvm_sooner(s->linger_ms, s->drain_ms);
        at = mvm_sooner(at, s->stop_ms);
        at = mvm_sooner(at, s->linger_ms != MVM_NEVER ? lingering : s->flush_ms);
        return at;
    }
    at = s->collect_ms > s->now_ms ? mvm_sooner(at, s->collect_ms) : at;
    if (s->config.exit_idle_ms > 0) {
        at = mvm_sooner(at, s->active_ms + s->config.exit_idle_ms);
    }
    return at;
}

/* The first step only serves clients that were there before; the second begins with what they need
 * not wait for. Returns how many rounds a step has. */
static int first_steps(struct mvm_server *s)
{
    if (!s->stepped) {
        s->stepped = true;
        return FIRST_ROUNDS;
    }
    s->settled = true;
    mvm_server_memory_touch(s);
    mvm_posix_end_left_over(&s->posix);
    return ROUNDS;
}

/* `more`: not all that has happened was taken. Returns the deadline. */
static uint64_t work(struct mvm_server *s, bool more)
{
    int rounds = s->settled ? ROUNDS : first_steps(s);
    for (int i = 0; i < rounds && (i == 0 || more) && !s->stopped; i++) {
        bool events = i == 0 ? more : mvm_server_events(s, 0);
        more = step_all(s) || events;
        mvm_server_peer_say_counts(s, false);
        leave_if_idle(s);
        s->stopped = is_finished(s);
    }
    if (more || s->stopped || !s->settled) {
        mvm_server_watch_arm(s);
        return s->now_ms;
    }
    return next_deadline(s);
}

uint64_t mvm_server_step(struct mvm_server *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    s->deadline_ms = work(s, mvm_server_events(s, 0));
    return s->deadline_ms;
}

bool mvm_server_wait(struct mvm_server *s, int fd)
{
    if (fd != s->caller_fd && mvm_server_watch_caller(s, fd)) {
        s->caller_fd = fd;
    }
    s->caller_ready = false;
    bool more = mvm_server_events(s, mvm_server_timeout(s->deadline_ms, s->now_ms));
    s->now_ms = mvm_server_now_ms();
    s->deadline_ms = work(s, more);
    return s->caller_ready;
}

bool mvm_server_child_exited(struct mvm_server *s, pid_t pid, int status)
{
    bool ours =
        mvm_posix_child_exited(&s->posix, pid, status) ||
        (s->config.executor.stream_dir != NULL && mvm_posix_child_exited(&s->reader, pid, status));
    if (ours) {
        mvm_server_watch_arm(s);
    }
    return ours;
}

/* ---- end ---- */

void mvm_server_fini(struct mvm_server *s)
{
    if (s->epoll < 0) {
        return; /* init has failed, or all is closed already */
    }
    for (size_t i = 0; i < s->listeners_len; i++) {
        mvm_server_listener_close(s, &s->listeners[i]);
    }
    mvm_server_clients_close_all(s);
    fini_ports(s);
    mvm_server_stream_unlock(s);
    mvm_server_watch_close(s);
}

/* ---- for the loop around it ---- */

uint64_t mvm_server_now_ms(void)
{
    return mvm_posix_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int mvm_server_timeout(uint64_t deadline, uint64_t now_ms)
{
    if (deadline == MVM_NEVER) {
        return -1;
    }
    uint64_t left = deadline > now_ms ? deadline - now_ms : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}
