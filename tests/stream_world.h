/*
 * Set-up for tests of builds without disks: the real scheduler and executor in the simulated world,
 * and clients on the protobuf wire. What a client receives is written down in words, one line a
 * message; lines of builds are left out.
 */
#ifndef TESTS_STREAM_WORLD_H
#define TESTS_STREAM_WORLD_H

#include "mvm_scheduler.h"
#include "mvm_sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"
#define C "cccccccccccccccc"

#define STORE "/nix/store/00000000000000000000000000000000-x"

enum {
    CLIENTS = 4,
    BUFFER = MVM_BULK_DATA_MAX + MVM_ID_MAX + MVM_PROTO_SLACK,
    SOURCE_CAP = 2 * MVM_BULK_DATA_MAX,
    SAID_CAP = 1 << 16,
    FILE_CAP = 4096,
    TURNS_MAX = 100000,
};

#define NO_SOURCE UINT64_MAX

struct client {
    struct mvm_client *slot; /* the scheduler's; NULL: not connected */
    struct mvm_session session;
    bool reads;      /* reads what it is sent */
    bool feeds;      /* answers Want, with bytes of its source */
    const char *id;  /* of its build */
    uint64_t source; /* bytes of its source */
    uint64_t piece;  /* … sent at a time, at most; 0: MVM_BULK_DATA_MAX */
    uint64_t sent;   /* … sent so far */
    uint64_t credit;
    size_t said_len;
    char said[SAID_CAP];
    uint8_t file[FILE_CAP]; /* the data received in Artifacts */
    uint64_t file_at;       /* where the next may begin */
    uint8_t in[2][BUFFER], out[2][2 * BUFFER];
    char fields[2][BUFFER];
};

static struct mvm_sim sim;
static struct mvm_sim reader;
static struct mvm_executor executor;
static struct mvm_executor_config config;
static struct mvm_scheduler_config scheduler_config;
static struct mvm_scheduler scheduler;
static struct mvm_client slots[CLIENTS];
static struct client clients[CLIENTS];
static uint8_t source_buffer[SOURCE_CAP];
static uint8_t bulk[MVM_BULK_DATA_MAX];
static const char source_bytes[MVM_BULK_DATA_MAX + 1];

/* ---- the world ---- */

static inline void start_agent(void)
{
    memset(slots, 0xa5, sizeof slots); /* attach must not rely on earlier contents */
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].slot = NULL;
    }
    mvm_executor_init(&executor, &mvm_sim_port, &sim, &config);
    mvm_scheduler_init(&scheduler, &executor, &scheduler_config, slots, CLIENTS);
}

static inline int world(void **state)
{
    (void)state;
    mvm_sim_init(&sim, "/build-out", "/build-in");
    mvm_sim_init(&reader, "/build-out", "/build-in");
    reader.owner = &sim;
    sim.build = (struct mvm_sim_script){.out = STORE "\n", .err = "building\n", .run_ms = 100};
    sim.unpack = (struct mvm_sim_script){.run_ms = 10};
    mvm_sim_put(&sim, STORE "/kernel", "a kernel");
    mvm_sim_put(&sim, STORE "/rootfs.ext4", "a root file system");
    config = (struct mvm_executor_config){.out_dir = "/build-out",
                                          .stream_dir = "/agent",
                                          .source_buffer = source_buffer,
                                          .source_cap = sizeof source_buffer};
    scheduler_config = (struct mvm_scheduler_config){.stream_dir = "/agent",
                                                     .reader = &mvm_sim_port,
                                                     .reader_ctx = &reader,
                                                     .bulk = bulk,
                                                     .bulk_cap = sizeof bulk};
    start_agent();
    return 0;
}

/* ---- clients ---- */

static inline struct client *connect_with(size_t send_cap, enum mvm_wire wire)
{
    struct client *c = clients;
    while (c->slot != NULL) {
        c++;
        assert_true(c < clients + CLIENTS);
    }
    struct mvm_session_memory theirs = {c->in[0], BUFFER,       c->out[0],
                                        send_cap, c->fields[0], BUFFER};
    struct mvm_session_memory ours = {c->in[1],         BUFFER,       c->out[1],
                                      sizeof c->out[1], c->fields[1], BUFFER};
    memset(c, 0, offsetof(struct client, in));
    c->slot = mvm_scheduler_attach(&scheduler, &theirs, sim.now_ms);
    assert_non_null(c->slot);
    c->reads = c->feeds = true;
    mvm_session_init(&c->session, MVM_DIRECTION_RESPONSES, &ours);
    mvm_session_speak(&c->session, wire);
    return c;
}

static inline struct client *connect_client(void)
{
    return connect_with(2 * BUFFER, MVM_WIRE_PROTO);
}

static inline void disconnect(struct client *c)
{
    mvm_scheduler_detach(&scheduler, c->slot);
    c->slot = NULL;
}

static inline void say(struct client *c, const struct mvm_message *m)
{
    assert_true(mvm_session_can_send(&c->session));
    mvm_session_send(&c->session, m);
}

static inline void ask(struct client *c, enum mvm_kind kind, const char *id)
{
    struct mvm_message m = {.kind = kind};
    m.id = id != NULL ? mvm_text_from(id) : m.id;
    say(c, &m);
}

static inline void ask_build_for(struct client *c, const char *id, uint64_t source, bool keep,
                                 uint64_t secs)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_STREAM_BUILD};
    m.id = id != NULL ? mvm_text_from(id) : m.id;
    m.build.flake_ref = mvm_text_from(source == NO_SOURCE ? "path:/f" : "");
    m.build.attr = mvm_text_from("a");
    m.build.keep = keep ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    m.build.has_timeout = true;
    m.build.timeout_secs = secs;
    m.build.has_source = source != NO_SOURCE;
    m.build.source_size = m.build.has_source ? source : 0;
    c->id = id;
    c->source = m.build.source_size;
    c->sent = c->credit = 0;
    say(c, &m);
}

static inline void ask_build(struct client *c, const char *id, uint64_t source)
{
    ask_build_for(c, id, source, false, 60);
}

static inline void ask_get(struct client *c, const char *id, const char *name, uint64_t offset,
                           uint64_t length)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_GET, .id = mvm_text_from(id)};
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = offset;
    m.bulk.length = length;
    memset(c->file, 0, sizeof c->file);
    c->file_at = offset;
    say(c, &m);
}

static inline void send_source(struct client *c, const char *id, uint64_t offset, size_t len,
                               bool last)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_SOURCE, .id = mvm_text_from(id)};
    m.text = (struct mvm_text){source_bytes, len};
    m.bulk.offset = offset;
    m.bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    say(c, &m);
}

/* ---- what clients receive ---- */

static inline void write_down(struct client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void write_down(struct client *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(c->said + c->said_len, SAID_CAP - c->said_len, format, args);
    va_end(args);
    assert_true(n > 0 && (size_t)n < SAID_CAP - c->said_len);
    c->said_len += (size_t)n;
}

static inline char letter(struct mvm_text id)
{
    return id.len > 0 ? id.bytes[0] : '-';
}

static inline void receive_ok(struct client *c, const struct mvm_message *m)
{
    struct mvm_text list = m->artifacts;
    struct mvm_artifact_item item;
    write_down(c, "Ok %c", letter(m->id));
    while (c->session.wire == MVM_WIRE_PROTO && mvm_proto_next_artifact(&list, &item)) {
        write_down(c, " %.*s=%u", (int)item.name.len, item.name.bytes, (unsigned)item.size);
    }
    write_down(c, "\n");
}

static inline void receive_err(struct client *c, const struct mvm_message *m)
{
    bool refused = m->refusal.refused.bytes != NULL;
    write_down(c, "%s %c %.*s: %.*s\n", refused ? "Refused" : "Err",
               letter(refused ? m->refusal.refused : m->id), (int)m->refusal.category.len,
               m->refusal.category.bytes, (int)m->text.len, m->text.bytes);
}

/* In order, and within the artifact; what is not covered stays 0. */
static inline void receive_artifact(struct client *c, const struct mvm_message *m)
{
    assert_true(m->bulk.offset >= c->file_at);
    assert_true(m->bulk.offset + m->text.len <= FILE_CAP);
    if (m->text.len > 0) {
        memcpy(c->file + m->bulk.offset, m->text.bytes, m->text.len);
    }
    c->file_at = m->bulk.offset + m->text.len;
    if (m->bulk.last == MVM_FLAG_TRUE) {
        write_down(c, "Artifact %c %.*s to %u\n", letter(m->id), (int)m->bulk.name.len,
                   m->bulk.name.bytes, (unsigned)c->file_at);
    }
}

static inline void receive_want(struct client *c, const struct mvm_message *m)
{
    c->credit += m->bulk.length;
    if (!c->feeds) {
        write_down(c, "Want %c %u\n", letter(m->id), (unsigned)m->bulk.length);
    }
}

static inline void receive(struct client *c)
{
    const struct mvm_message *m = &c->session.message;
    switch (m->kind) {
    case MVM_MESSAGE_OK:
        receive_ok(c, m);
        break;
    case MVM_MESSAGE_ERR:
        receive_err(c, m);
        break;
    case MVM_MESSAGE_LOG:
        if (m->beat == MVM_FLAG_TRUE) {
            write_down(c, "accepted %c\n", letter(m->id));
        }
        break;
    case MVM_MESSAGE_PONG:
        write_down(c, "Pong\n");
        break;
    case MVM_MESSAGE_CANCELLED:
        write_down(c, "Cancelled %c %.*s\n", letter(m->id), (int)m->text.len, m->text.bytes);
        break;
    case MVM_MESSAGE_WANT:
        receive_want(c, m);
        break;
    case MVM_MESSAGE_ARTIFACT:
        receive_artifact(c, m);
        break;
    default:
        write_down(c, "another message\n");
        break;
    }
}

/* Everything since the last call. */
static inline const char *heard(struct client *c)
{
    static char said[SAID_CAP];
    memcpy(said, c->said, c->said_len);
    said[c->said_len] = '\0';
    c->said_len = 0;
    return said;
}

/* ---- time ---- */

static inline bool carry(struct mvm_session *from, struct mvm_session *to)
{
    size_t len, room;
    const uint8_t *bytes = mvm_session_bytes(from, &len);
    uint8_t *place = mvm_session_room(to, &room);
    if (bytes == NULL || place == NULL) {
        return false;
    }
    size_t n = len < room ? len : room;
    memcpy(place, bytes, n);
    mvm_session_received(to, n);
    mvm_session_sent(from, n);
    return true;
}

/* Sends a piece of its source if it may. */
static inline bool feed(struct client *c)
{
    uint64_t end = c->credit < c->source ? c->credit : c->source;
    if (!c->feeds || c->sent >= end || !mvm_session_can_send(&c->session)) {
        return false;
    }
    uint64_t n = c->piece > 0 ? c->piece : MVM_BULK_DATA_MAX;
    n = end - c->sent < n ? end - c->sent : n;
    send_source(c, c->id, c->sent, (size_t)n, c->sent + n == c->source);
    c->sent += n;
    return true;
}

static inline bool move(struct client *c)
{
    if (c->slot == NULL) {
        return false;
    }
    bool moved = feed(c);
    moved = carry(&c->session, &c->slot->session) || moved;
    if (c->reads) {
        moved = carry(&c->slot->session, &c->session) || moved;
        enum mvm_session_event event;
        while ((event = mvm_session_next(&c->session)) == MVM_SESSION_MESSAGE) {
            receive(c);
        }
        assert_int_equal(event, MVM_SESSION_NOTHING);
    }
    return moved;
}

static inline bool is_due(const struct mvm_sim *s)
{
    return s->asked.call != 0 && s->asked.until_ms <= s->now_ms;
}

/* One step; whether there is more to do now. */
static inline bool turn(void)
{
    bool more = mvm_scheduler_step(&scheduler, sim.now_ms);
    for (int i = 0; i < CLIENTS; i++) {
        more = move(&clients[i]) || more;
    }
    return more || is_due(&sim) || is_due(&reader);
}

static inline void settle(void)
{
    unsigned turns = 0;
    while (turn()) {
        assert_in_range(++turns, 1, TURNS_MAX);
    }
}

/* Advances to the next event, or to `ms` if that is sooner. */
static inline void turn_clock(uint64_t ms)
{
    const uint64_t times[] = {mvm_scheduler_deadline(&scheduler), mvm_sim_next_ms(&sim),
                              mvm_sim_next_ms(&reader), ms};
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        at = times[i] < at ? times[i] : at;
    }
    sim.now_ms = reader.now_ms = at > sim.now_ms ? at : sim.now_ms + 1;
}

/* For so long. */
static inline void wait_ms(uint64_t ms)
{
    uint64_t end = sim.now_ms + ms;
    settle();
    while (sim.now_ms < end) {
        turn_clock(end);
        settle();
    }
}

/* Until no build is left. */
static inline void finish(void)
{
    unsigned turns = 0;
    for (settle(); !mvm_scheduler_idle(&scheduler); settle()) {
        turn_clock(UINT64_MAX);
        assert_in_range(++turns, 1, TURNS_MAX);
    }
}

/* ---- what must hold ---- */

static inline bool is_below(const struct mvm_sim_file *f, const char *dir)
{
    return f->there && strncmp(f->path, dir, strlen(dir)) == 0;
}

/* How many files are in the agent's folder. */
static inline int left(void)
{
    int files = 0;
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        files += is_below(&sim.files[i], "/agent/");
    }
    return files;
}

/* … and with nothing held there are none, nor a process or a call. */
static inline void assert_nothing_left(void)
{
    wait_ms(2 * MVM_DISK_PATIENCE_MS);
    if (left() != 0) {
        for (int i = 0; i < MVM_SIM_FILES; i++) {
            if (is_below(&sim.files[i], "/agent/")) {
                fail_msg("%s is left", sim.files[i].path);
            }
        }
    }
    assert_null(mvm_sim_left_over(&sim));
    assert_null(mvm_sim_left_over(&reader));
}

static inline void assert_heard(struct client *c, const char *expected)
{
    assert_string_equal(heard(c), expected);
}

static inline void assert_heard_begins(struct client *c, const char *expected)
{
    const char *said = heard(c);
    if (strncmp(said, expected, strlen(expected)) != 0) {
        fail_msg("\"%s\" does not begin with \"%s\"", said, expected);
    }
}

#define ACCEPTED_A "accepted a\n"
#define OK_A       "Ok a kernel=8 rootfs.ext4=18\n"

/* A build that is held under that id, its client the first. */
static inline struct client *built(const char *id)
{
    struct client *c = connect_client();
    ask_build(c, id, NO_SOURCE);
    finish();
    heard(c);
    return c;
}

#define TEST(f) cmocka_unit_test_setup(f, world)

#endif
