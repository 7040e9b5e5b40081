/* The caller's memory: listeners, connections, clients, then each client's buffers. */
#define _GNU_SOURCE
#include "server_internal.h"
#include <string.h>
#include <sys/mman.h>

enum { BUFFER_ALIGNMENT = 16, MEMORY_PAGE = 4096, STACK_TAKEN = 4 * MEMORY_PAGE };

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

_Static_assert(sizeof(struct mvm_server_connection) <= MVM_SERVER_CONNECTION_SIZE,
               "mvm_server.h states the size of a connection");
_Static_assert(sizeof(struct mvm_server_listener) <= MVM_SERVER_LISTENER_SIZE,
               "mvm_server.h states the size of a listener");

static size_t aligned(size_t size)
{
    return (size + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
}

/* The fields of a session that takes sources. */
enum { STREAM_FIELDS_CAP = MVM_BULK_DATA_MAX + MVM_ID_MAX + MVM_PROTO_SLACK };

/* Fills in the defaults. */
static struct mvm_server_config complete(const struct mvm_server_config *given)
{
    struct mvm_server_config c = *given;
    c.listen[0] = c.listen[0] != NULL ? c.listen[0] : "vsock:21470";
    c.clients = c.clients > 0 ? c.clients : MVM_CLIENTS_MAX;
    c.receive_cap = c.receive_cap > 0 ? c.receive_cap : MVM_RECEIVE_CAP;
    c.executor.stream_dir = mvm_proto_present ? c.executor.stream_dir : NULL;
    size_t send_cap = c.executor.stream_dir == NULL ? MVM_SEND_CAP : 2 * STREAM_FIELDS_CAP;
    c.send_cap = c.send_cap > 0 ? c.send_cap : send_cap;
    return c;
}

static size_t fields_cap(const struct mvm_server_config *c)
{
    return c->executor.stream_dir == NULL || STREAM_FIELDS_CAP < MVM_REQUEST_FIELDS_CAP
               ? MVM_REQUEST_FIELDS_CAP
               : STREAM_FIELDS_CAP;
}

/* What builds without disks need, whatever the number of clients. */
static size_t stream_size(const struct mvm_server_config *c)
{
    return c->executor.stream_dir == NULL ? 0 : MVM_SERVER_SOURCE_CAP + MVM_BULK_DATA_MAX;
}

static size_t buffers_size(const struct mvm_server_config *c)
{
    return aligned(c->receive_cap + c->send_cap + fields_cap(c));
}

static size_t count_listeners(const struct mvm_server_config *c)
{
    size_t n = 0;
    while (n < MVM_LISTENERS_MAX && c->listen[n] != NULL) {
        n++;
    }
    return n;
}

/* Whether the sizes can be added up, and each connection has a number in the epoll set. */
static bool is_possible(const struct mvm_server_config *c)
{
    size_t cap = SIZE_MAX / 4 / c->clients;
    return c->clients <= MVM_SERVER_CLIENTS_MOST && c->receive_cap <= cap && c->send_cap <= cap &&
           fields_cap(c) <= cap;
}

size_t mvm_server_needs(const struct mvm_server_config *config)
{
    struct mvm_server_config c = complete(config);
    if (!is_possible(&c)) {
        return SIZE_MAX;
    }
    return BUFFER_ALIGNMENT + aligned(count_listeners(&c) * sizeof(struct mvm_server_listener)) +
           aligned(c.clients * sizeof(struct mvm_server_connection)) +
           aligned(c.clients * sizeof(struct mvm_client)) + c.clients * buffers_size(&c) +
           stream_size(&c);
}

static void give_stream_memory(struct mvm_server_config *c, uint8_t *memory)
{
    if (c->executor.stream_dir != NULL) {
        c->executor.source_buffer = memory;
        c->executor.source_cap = MVM_SERVER_SOURCE_CAP;
        c->scheduler.bulk = memory + MVM_SERVER_SOURCE_CAP;
        c->scheduler.bulk_cap = MVM_BULK_DATA_MAX;
    }
    c->scheduler.stream_dir = c->executor.stream_dir;
}

bool mvm_server_memory_divide(struct mvm_server *s, void *memory, size_t size)
{
    size_t needs = mvm_server_needs(&s->config);
    if (memory == NULL || size < needs || needs == SIZE_MAX) {
        return false;
    }
    s->small_cap = s->config.send_cap > 0 ? 0 : MVM_SEND_CAP;
    s->config = complete(&s->config);
    s->listeners_len = count_listeners(&s->config);
    uint8_t *at = (uint8_t *)memory +
                  (BUFFER_ALIGNMENT - (uintptr_t)memory % BUFFER_ALIGNMENT) % BUFFER_ALIGNMENT;
    s->listeners = (struct mvm_server_listener *)(void *)at;
    at += aligned(s->listeners_len * sizeof s->listeners[0]);
    s->connections = (struct mvm_server_connection *)(void *)at;
    memset(at, 0, s->config.clients * sizeof s->connections[0]);
    at += aligned(s->config.clients * sizeof s->connections[0]);
    s->clients = (struct mvm_client *)(void *)at;
    s->buffers = at + aligned(s->config.clients * sizeof(struct mvm_client));
    give_stream_memory(&s->config, s->buffers + s->config.clients * buffers_size(&s->config));
    return true;
}

struct mvm_session_memory mvm_server_memory_buffers(const struct mvm_server *s, size_t i)
{
    const struct mvm_server_config *c = &s->config;
    uint8_t *receive = s->buffers + i * buffers_size(c);
    return (struct mvm_session_memory){
        .receive = receive,
        .receive_cap = c->receive_cap,
        .send = receive + c->receive_cap,
        .send_cap = c->send_cap,
        .fields = (char *)receive + c->receive_cap + c->send_cap,
        .fields_cap = fields_cap(c),
    };
}

/* Whole pages are taken by one call, which costs less than a fault for each; kernels before 5.14
 * do not have it. */
static void touch(void *memory, size_t size)
{
    uint8_t *page = (uint8_t *)((uintptr_t)memory & ~(uintptr_t)(MEMORY_PAGE - 1));
    size_t len = size + (size_t)((uint8_t *)memory - page);
    if (madvise(page, len, MADV_POPULATE_WRITE) < 0) {
        for (size_t i = 0; i < size; i += MEMORY_PAGE) {
            volatile uint8_t *byte = (uint8_t *)memory + i;
            *byte = *byte; /* cppcheck-suppress selfAssignment */
        }
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Touches now what a build with disks of the first client writes to, so that a kernel that has
 * overcommitted fails now, not hours into a build. From here on only further clients, builds that
 * wait, kept answers and builds without disks add to it. */
void mvm_server_memory_touch(struct mvm_server *s)
{
    volatile char stack[STACK_TAKEN];
    for (size_t i = 0; i < sizeof stack; i += MEMORY_PAGE) {
        stack[i] = 0;
    }
    struct mvm_session_memory first = mvm_server_memory_buffers(s, 0);
    touch(s, offsetof(struct mvm_server, scheduler.kept));
    touch(&s->scheduler.queue[0], sizeof s->scheduler.queue[0]);
    touch(first.receive, first.receive_cap + least(first.send_cap, MVM_SEND_CAP));
    touch(first.fields, least(first.fields_cap, MVM_REQUEST_FIELDS_CAP));
}
