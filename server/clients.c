/* The set of connections: added, served, evicted, closed. */
#define _GNU_SOURCE
#include "server_internal.h"
#include <sys/socket.h>

static struct mvm_server_connection *free_connection(const struct mvm_server *s)
{
    for (size_t i = 0; i < s->config.clients; i++) {
        if (s->connections[i].client == NULL) {
            return &s->connections[i];
        }
    }
    return NULL;
}

bool mvm_server_clients_free(const struct mvm_server *s)
{
    return free_connection(s) != NULL;
}

static struct mvm_client *attach_client(struct mvm_server *s, const struct mvm_server_connection *c)
{
    struct mvm_session_memory buffers = mvm_server_memory_buffers(s, (size_t)(c - s->connections));
    struct mvm_client *client = mvm_scheduler_attach(&s->scheduler, &buffers, s->now_ms);
    if (client != NULL) {
        client->session.small_cap = s->small_cap;
    }
    return client;
}

bool mvm_server_clients_add(struct mvm_server *s, int fd, struct mvm_server_listener *listener)
{
    struct mvm_server_connection *c = free_connection(s);
    struct mvm_client *client = c != NULL ? attach_client(s, c) : NULL;
    if (client == NULL) {
        errno = EAGAIN;
        return false;
    }
    if (!mvm_server_watch_connection(s, c, fd)) {
        mvm_scheduler_detach(&s->scheduler, client);
        return false;
    }
    mvm_server_connection_init(c, client, fd, listener);
    if (c == &s->connections[s->served]) {
        s->served++;
    }
    s->active_ms = s->now_ms;
    s->again = true; /* it may have sent something already */
    return true;
}

static void close_connection(struct mvm_server *s, struct mvm_server_connection *c)
{
    mvm_scheduler_detach(&s->scheduler, c->client);
    c->client = NULL;
    mvm_server_connection_close(s, c);
    while (s->served > 0 && s->connections[s->served - 1].client == NULL) {
        s->served--;
    }
    if (c->listener != NULL) {
        c->listener->state = MVM_LISTENER_OVER;
    }
    for (size_t i = 0; i < s->listeners_len; i++) {
        if (s->listeners[i].state == MVM_LISTENER_UP) {
            s->listeners[i].retry_ms = 0; /* a connection is free */
        }
    }
    s->listen_ms = s->now_ms;
    s->full = false;
    s->active_ms = s->now_ms;
}

bool mvm_server_clients_hand_over(struct mvm_server *s, struct mvm_server_listener *l)
{
    for (size_t i = 0; i < s->served; i++) {
        struct mvm_server_connection *c = &s->connections[i];
        if (c->client == NULL || c->listener != l) {
            continue;
        }
        if (!mvm_server_watch_connection(s, c, l->fd)) {
            return false;
        }
        mvm_server_connection_reopen(c, l->fd);
        s->again = true;
        return true;
    }
    return mvm_server_clients_add(s, l->fd, l);
}

static struct mvm_server_connection *find_connection(struct mvm_server *s,
                                                     const struct mvm_client *client)
{
    for (size_t i = 0; client != NULL && i < s->served; i++) {
        if (s->connections[i].client == client) {
            return &s->connections[i];
        }
    }
    return NULL;
}

bool mvm_server_clients_evict(struct mvm_server *s)
{
    struct mvm_server_connection *idle =
        find_connection(s, mvm_scheduler_idlest(&s->scheduler, MVM_IDLE_EVICT_MS));
    if (idle != NULL) {
        close_connection(s, idle);
    }
    return idle != NULL;
}

void mvm_server_clients_read(struct mvm_server *s)
{
    const struct mvm_server_connection *end = s->connections + s->served;
    s->check_ms = MVM_NEVER;
    for (struct mvm_server_connection *c = s->connections; c < end; c++) {
        if (c->client != NULL && (c->awake || c->check_ms != 0)) {
            mvm_server_connection_read(s, c);
            s->check_ms = c->check_ms != 0 ? mvm_sooner(s->check_ms, c->check_ms) : s->check_ms;
        }
    }
}

/* The next user of the line gets a fresh session; unsent bytes are lost, which is logged. */
static void restart_serial(struct mvm_server *s, struct mvm_server_connection *c)
{
    mvm_scheduler_detach(&s->scheduler, c->client);
    c->client = attach_client(s, c);
    c->client->permanent = c->client->session.json_alone = true;
    c->awake = c->newline_due = true;
}

/* Closes a connection that has ended. */
static void close_ended(struct mvm_server *s, struct mvm_server_connection *c)
{
    if (c->client->stalled) {
        mvm_server_say(s, "a client stopped reading its build's output: disconnected", "", "");
    }
    if (c->client->stalled && c->kind == MVM_CONNECTION_SERIAL) {
        restart_serial(s, c);
    } else if (c->client->stalled || c->gone || mvm_scheduler_done(&s->scheduler, c->client)) {
        close_connection(s, c);
    }
}

bool mvm_server_clients_write(struct mvm_server *s, bool all)
{
    bool more = false;
    for (size_t i = 0; i < s->served; i++) {
        struct mvm_server_connection *c = &s->connections[i];
        if (c->client != NULL && (c->awake || all)) {
            c->awake = mvm_server_connection_write(s, c) || mvm_server_connection_ready(c);
            more = more || c->awake;
            mvm_server_watch_room(s, c);
            close_ended(s, c);
        }
    }
    return more;
}

void mvm_server_clients_answered(struct mvm_server *s, const struct mvm_client *client)
{
    struct mvm_server_connection *c = find_connection(s, client);
    if (c != NULL) {
        c->answered = true;
    }
}

void mvm_server_clients_all_answered(struct mvm_server *s)
{
    for (size_t i = 0; i < s->served; i++) {
        s->connections[i].answered = s->connections[i].client != NULL;
    }
}

bool mvm_server_clients_flushed(const struct mvm_server *s)
{
    for (size_t i = 0; i < s->served; i++) {
        const struct mvm_server_connection *c = &s->connections[i];
        if (c->client != NULL && !mvm_scheduler_flushed(c->client)) {
            return false;
        }
    }
    return true;
}

/* Whether there is no point in waiting for a client that was answered. A stream is shut down, so
 * that the client sees its end and closes; on vsock that might cut what is under way. */
static bool has_read_all(struct mvm_server *s, struct mvm_server_connection *c)
{
    if (c->kind == MVM_CONNECTION_STREAM && c->socket && !c->shut) {
        c->shut = true;
        shutdown(c->fd, SHUT_WR);
    }
    if (c->kind != MVM_CONNECTION_SERIAL) {
        return false;
    }
    if (c->fd < 0 || c->away || c->check_ms != 0) {
        return true; /* no host is there */
    }
    if (c->tty && !mvm_server_connection_drained(c)) {
        s->drain_ms = s->now_ms + MVM_LISTENER_PAUSE_MS;
        return false;
    }
    return c->tty;
}

bool mvm_server_clients_gone(struct mvm_server *s)
{
    bool all = true;
    for (size_t i = 0; i < s->served; i++) {
        struct mvm_server_connection *c = &s->connections[i];
        if (c->client != NULL && c->answered && !has_read_all(s, c)) {
            all = false;
        }
    }
    return all;
}

bool mvm_server_clients_any(const struct mvm_server *s)
{
    for (size_t i = 0; i < s->served; i++) {
        if (s->connections[i].client != NULL && s->connections[i].kind != MVM_CONNECTION_SERIAL) {
            return true;
        }
    }
    return false;
}

void mvm_server_clients_close_all(struct mvm_server *s)
{
    while (s->served > 0) {
        close_connection(s, &s->connections[s->served - 1]);
    }
}
