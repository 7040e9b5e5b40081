/*
 * Clients on the protobuf wire against the scheduler, with the real executor on the simulated
 * machine: messages of every kind in any order, right and wrong ones, and bytes that are none.
 * Whatever they send, what comes back is frames, every build ends when its clients have gone, and
 * nothing is left of any.
 */
#include "fuzz.h"
#include "mvm_scheduler.h"
#include "mvm_sim.h"
#include <string.h>

enum { CLIENTS = 3, BUFFER = 2048, PIECE_MAX = 600, TURNS_MAX = 20000, BUILD_SECS = 5 };

struct input {
    const uint8_t *data;
    size_t size;
};

struct client {
    struct mvm_client *slot; /* NULL: not connected */
    struct mvm_session session;
    uint8_t in[2][BUFFER], out[2][BUFFER];
    char fields[2][MVM_REQUEST_FIELDS_CAP];
};

static struct mvm_sim sim;
static struct mvm_sim reader;
static struct mvm_executor executor;
static struct mvm_executor_config config;
static struct mvm_scheduler scheduler;
static struct mvm_client slots[CLIENTS];
static struct client clients[CLIENTS];
static uint8_t source_buffer[MVM_BULK_DATA_MAX];
static uint8_t bulk[MVM_BULK_DATA_MAX];

static uint32_t take(struct input *in, unsigned bytes)
{
    uint32_t value = 0;
    for (; bytes > 0 && in->size > 0; bytes--, in->data++, in->size--) {
        value = value << 8 | *in->data;
    }
    return value;
}

static struct mvm_text take_text(struct input *in, size_t max)
{
    size_t len = take(in, 1) % (max + 1);
    len = len < in->size ? len : in->size;
    struct mvm_text text = {(const char *)in->data, len};
    in->data += len;
    in->size -= len;
    return text;
}

/* ---- the world ---- */

static void begin(struct input *in)
{
    uint32_t how = take(in, 2);
    mvm_sim_init(&sim, "/build-out", "/build-in");
    mvm_sim_init(&reader, "/build-out", "/build-in");
    reader.owner = &sim;
    sim.build.out = "/nix/store/00000000000000000000000000000000-x\n";
    sim.build.run_ms = how % 4 == 0 ? 3000 : 10;
    sim.build.exit.code = how % 16 == 1;
    sim.unpack.reads = how % 16 == 2 ? 100 : 0;
    sim.late_ms = reader.late_ms = how & 0x100 ? 20 : 0;
    sim.piece = reader.piece = how & 0x200 ? 7 : 0;
    mvm_sim_put(&sim, "/nix/store/00000000000000000000000000000000-x/kernel", "a kernel");
    mvm_sim_put(&sim, "/nix/store/00000000000000000000000000000000-x/rootfs.ext4", "a root");
    config = (struct mvm_executor_config){.out_dir = "/build-out",
                                          .stream_dir = "/agent",
                                          .source_buffer = source_buffer,
                                          .source_cap = sizeof source_buffer};
    const struct mvm_scheduler_config schedule = {.stream_dir = "/agent",
                                                  .heartbeat_ms = 1000,
                                                  .reader = &mvm_sim_port,
                                                  .reader_ctx = &reader,
                                                  .bulk = bulk,
                                                  .bulk_cap = sizeof bulk};
    mvm_executor_init(&executor, &mvm_sim_port, &sim, &config);
    mvm_scheduler_init(&scheduler, &executor, &schedule, slots, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].slot = NULL;
    }
}

static void connect_client(struct client *c)
{
    struct mvm_session_memory theirs = {c->in[0], BUFFER,       c->out[0],
                                        BUFFER,   c->fields[0], sizeof c->fields[0]};
    struct mvm_session_memory ours = {c->in[1], BUFFER,       c->out[1],
                                      BUFFER,   c->fields[1], sizeof c->fields[1]};
    c->slot = mvm_scheduler_attach(&scheduler, &theirs, sim.now_ms);
    FUZZ_CHECK(c->slot != NULL);
    mvm_session_init(&c->session, MVM_DIRECTION_RESPONSES, &ours);
    mvm_session_speak(&c->session, MVM_WIRE_PROTO);
}

static void disconnect(struct client *c)
{
    if (c->slot != NULL) {
        mvm_scheduler_detach(&scheduler, c->slot);
        c->slot = NULL;
    }
}

/* ---- messages ---- */

static struct mvm_text some_id(struct input *in)
{
    static const char *const ids[] = {"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc",
                                      "short"};
    return mvm_text_from(ids[take(in, 1) % 4]);
}

static uint64_t some_number(struct input *in)
{
    uint32_t first = take(in, 1);
    return first < 200 ? first : first < 250 ? take(in, 2) : UINT64_MAX - take(in, 1);
}

static void complete_build(struct input *in, struct mvm_message *m)
{
    uint32_t how = take(in, 1);
    m->build.flake_ref = how & 1 ? mvm_text_from("path:/f") : take_text(in, 20);
    m->build.attr = mvm_text_from("a");
    m->build.has_timeout = true;
    m->build.timeout_secs = how & 2 ? BUILD_SECS : 1;
    m->build.keep = how & 4 ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    m->build.has_source = m->kind == MVM_MESSAGE_STREAM_BUILD && (how & 8) != 0;
    m->build.source_size = m->build.has_source ? some_number(in) : 0;
}

static void complete_bulk(struct input *in, struct mvm_message *m)
{
    static const char zeros[PIECE_MAX];
    uint32_t name = take(in, 1);
    m->bulk.offset = some_number(in);
    m->bulk.length = some_number(in);
    m->bulk.last = take(in, 1) % 4 == 0 ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    if (m->kind == MVM_MESSAGE_SOURCE) {
        m->text = (struct mvm_text){zeros, take(in, 2) % PIECE_MAX};
    } else {
        m->bulk.name = name % 4 == 0 ? take_text(in, MVM_WORD_MAX)
                                     : mvm_text_from(name % 2 ? "kernel" : "rootfs.ext4");
    }
}

static void send(struct input *in, struct client *c)
{
    static const enum mvm_kind kinds[] = {
        MVM_MESSAGE_STREAM_BUILD, MVM_MESSAGE_SOURCE, MVM_MESSAGE_GET,  MVM_MESSAGE_DROP,
        MVM_MESSAGE_JOIN,         MVM_MESSAGE_CANCEL, MVM_MESSAGE_PING, MVM_MESSAGE_BUILD,
        MVM_MESSAGE_SOURCE,       MVM_MESSAGE_GET};
    struct mvm_message m = {.kind = kinds[take(in, 1) % (sizeof kinds / sizeof kinds[0])]};
    if (!mvm_session_can_send(&c->session)) {
        return;
    }
    m.id = m.kind != MVM_MESSAGE_PING ? some_id(in) : m.id;
    if (m.kind == MVM_MESSAGE_STREAM_BUILD || m.kind == MVM_MESSAGE_BUILD) {
        complete_build(in, &m);
    } else if (m.kind == MVM_MESSAGE_SOURCE || m.kind == MVM_MESSAGE_GET) {
        complete_bulk(in, &m);
    }
    mvm_session_send(&c->session, &m);
}

static void send_raw(struct input *in, struct client *c)
{
    size_t room;
    struct mvm_text bytes = take_text(in, 255);
    uint8_t *place = mvm_session_room(&c->slot->session, &room);
    if (place != NULL && bytes.len > 0 && bytes.len <= room) {
        memcpy(place, bytes.bytes, bytes.len);
        mvm_session_received(&c->slot->session, bytes.len);
    }
}

/* ---- time ---- */

static bool carry(struct mvm_session *from, struct mvm_session *to)
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

static bool move(struct client *c)
{
    enum mvm_session_event event;
    if (c->slot == NULL) {
        return false;
    }
    bool moved = carry(&c->session, &c->slot->session);
    moved = carry(&c->slot->session, &c->session) || moved;
    while ((event = mvm_session_next(&c->session)) == MVM_SESSION_MESSAGE) {
    }
    /* What is not protobuf is answered in JSON, on the wire that its first byte chose. */
    FUZZ_CHECK(event == MVM_SESSION_NOTHING || c->slot->session.wire != MVM_WIRE_PROTO);
    if (mvm_scheduler_done(&scheduler, c->slot) || c->slot->stalled) {
        disconnect(c);
    }
    return moved;
}

static bool turn(void)
{
    bool more = mvm_scheduler_step(&scheduler, sim.now_ms);
    for (int i = 0; i < CLIENTS; i++) {
        more = move(&clients[i]) || more;
    }
    return more;
}

static void turn_clock(uint64_t ms)
{
    const uint64_t times[] = {mvm_scheduler_deadline(&scheduler), mvm_sim_next_ms(&sim),
                              mvm_sim_next_ms(&reader), sim.now_ms + ms};
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        at = times[i] < at ? times[i] : at;
    }
    sim.now_ms = reader.now_ms = at > sim.now_ms ? at : sim.now_ms;
}

static void act(struct input *in)
{
    struct client *c = &clients[take(in, 1) % CLIENTS];
    uint32_t what = take(in, 1) % 16;
    if (c->slot == NULL) {
        connect_client(c);
    }
    if (what == 0) {
        disconnect(c);
    } else if (what == 1) {
        send_raw(in, c);
    } else if (what < 5) {
        turn_clock(1 + take(in, 1) * 20);
    } else {
        send(in, c);
    }
    turn();
}

/* Without clients every build comes to its end; after that nothing is held. */
static void end(void)
{
    unsigned turns = 0;
    for (int i = 0; i < CLIENTS; i++) {
        disconnect(&clients[i]);
    }
    while (!mvm_scheduler_idle(&scheduler)) {
        if (!turn()) {
            turn_clock(1000);
        }
        FUZZ_CHECK(++turns < TURNS_MAX);
    }
    mvm_scheduler_stop(&scheduler);
    while (turn() || mvm_scheduler_reading(&scheduler)) {
        turn_clock(1000);
        FUZZ_CHECK(++turns < TURNS_MAX);
    }
    FUZZ_CHECK(!mvm_scheduler_holds(&scheduler));
    FUZZ_CHECK(mvm_sim_left_over(&sim) == NULL && mvm_sim_left_over(&reader) == NULL);
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        FUZZ_CHECK(!sim.files[i].there || strncmp(sim.files[i].path, "/agent/", 7) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    begin(&in);
    while (in.size > 0) {
        act(&in);
    }
    end();
    return 0;
}
