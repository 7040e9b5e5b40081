/*
 * Artifacts on their way to clients, piece by piece, each client in its turn. The reader does what
 * may wait for a disk, one call at a time: it reads a piece, or removes the folder of a place. A
 * piece is sent only if its frame fits the client's send buffer, so the memory for pieces is
 * never borrowed by a session, and a client that does not read does not delay others.
 */
#include "scheduler_internal.h"
#include "store.h"
#include <string.h>

enum call { NO_CALL, READ, REMOVE_PLACE, REMOVE_SOURCE, END };

enum {
    PIECES = 4, /* of one step */
    /* Bytes of a frame beside the piece. */
    OVERHEAD = MVM_PROTO_SKELETON_CAP + MVM_ID_MAX + MVM_WORD_MAX,
};

static struct mvm_text id_of(const struct mvm_scheduler *v, unsigned place)
{
    const struct mvm_stream_build *b = &v->streams.builds[place];
    return (struct mvm_text){b->id, b->id_len};
}

/* ---- Get ---- */

static bool is_item(const struct mvm_stream_item *item, struct mvm_text name)
{
    return strlen(item->name) == name.len && memcmp(item->name, name.bytes, name.len) == 0;
}

/* MVM_REASONS: it is accepted, in `*get`. */
static enum mvm_reason check(const struct mvm_scheduler *v, const struct mvm_client *c,
                             const struct mvm_message *m, struct mvm_get *get)
{
    unsigned place = mvm_places_find(v, m->id);
    uint8_t i = 0;
    if (place == MVM_STREAM_BUILDS) {
        return v->streams.stopping ? MVM_REASON_STOPPING : MVM_REASON_UNKNOWN_ID;
    }
    const struct mvm_stream_build *b = &v->streams.builds[place];
    while (i < b->items_len && !is_item(&b->items[i], m->bulk.name)) {
        i++;
    }
    if (i == b->items_len) {
        return MVM_REASON_NO_ARTIFACT;
    }
    uint64_t size = b->items[i].size, offset = m->bulk.offset;
    if (offset > size) {
        return MVM_REASON_PAST_END;
    }
    if (c->session.memory.send_cap / 2 <= OVERHEAD) {
        return MVM_REASON_NO_ROOM;
    }
    uint64_t end = m->bulk.length < size - offset ? offset + m->bulk.length : size;
    *get = (struct mvm_get){true, (uint8_t)place, i, offset, end};
    return c->get.active ? MVM_REASON_SECOND_GET : MVM_REASONS;
}

void mvm_gets_add(struct mvm_scheduler *v, struct mvm_client *c, const struct mvm_message *m)
{
    struct mvm_get get;
    enum mvm_reason refusal = check(v, c, m, &get);
    if (refusal != MVM_REASONS) {
        mvm_owe_err(v, c, refusal, m->id);
    } else {
        c->get = get;
        v->streams.gets++;
    }
}

void mvm_gets_end(struct mvm_scheduler *v, struct mvm_client *c)
{
    v->streams.gets -= c->get.active;
    c->get.active = false;
    if (v->streams.reading == c) {
        v->streams.reading = NULL;
    }
}

static void refuse(struct mvm_scheduler *v, struct mvm_client *c, enum mvm_reason reason)
{
    struct mvm_text id = id_of(v, c->get.slot);
    mvm_gets_end(v, c);
    mvm_owe_err(v, c, reason, id);
}

void mvm_gets_refuse(struct mvm_scheduler *v, unsigned place, enum mvm_reason reason)
{
    for (size_t i = 0; i < v->clients_used; i++) {
        struct mvm_client *c = &v->clients[i];
        if (c->attached && c->get.active && c->get.slot == place) {
            refuse(v, c, reason);
        }
    }
}

/* ---- pieces ---- */

/* Two pieces fit the buffer: one is read while the one before it goes out. */
static size_t piece_of(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    uint64_t cap = c->session.memory.send_cap / 2 - OVERHEAD;
    cap = cap < v->config.bulk_cap ? cap : v->config.bulk_cap;
    cap = cap < MVM_BULK_DATA_MAX ? cap : MVM_BULK_DATA_MAX;
    cap = cap < c->get.end - c->get.offset ? cap : c->get.end - c->get.offset;
    return (size_t)cap;
}

static bool is_ready(const struct mvm_scheduler *v, const struct mvm_client *c)
{
    return c->attached && c->get.active && mvm_owed_none(c) &&
           c->session.memory.send_cap - c->session.send_end >= piece_of(v, c) + OVERHEAD;
}

/* `len` bytes of the client's artifact, at `offset`; none: the rest is a hole. */
static void send_piece(struct mvm_scheduler *v, struct mvm_client *c, uint64_t offset, size_t len)
{
    struct mvm_get *get = &c->get;
    const struct mvm_stream_item *item = &v->streams.builds[get->slot].items[get->item];
    if (len == 0 || offset >= get->end) {
        offset = get->end;
        len = 0;
    } else if (len > get->end - offset) {
        len = (size_t)(get->end - offset);
    }
    get->offset = offset + len;
    bool last = get->offset == get->end;
    struct mvm_message m = {.kind = MVM_MESSAGE_ARTIFACT,
                            .text = {(const char *)v->config.bulk, len},
                            .id = id_of(v, get->slot)};
    m.bulk.name = mvm_text_from(item->name);
    m.bulk.offset = offset;
    m.bulk.last = last ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    mvm_session_send(&c->session, &m);
    c->active_ms = v->now_ms;
    if (last) {
        mvm_gets_end(v, c);
    }
}

/* Of a client that was sent something else meanwhile its piece is read again. */
static void finish_read(struct mvm_scheduler *v, int64_t r, uint64_t offset)
{
    struct mvm_client *c = v->streams.reading;
    v->streams.reading = NULL;
    if (c == NULL || !is_ready(v, c)) {
        return;
    }
    if (r < 0) {
        refuse(v, c, MVM_REASON_UNREADABLE);
    } else {
        send_piece(v, c, offset, (size_t)r);
    }
}

/* ---- the reader's calls ---- */

static bool is_whole_output(const char *name)
{
    unsigned i = 0;
    while (strcmp(mvm_artifact_name(i), name) != 0) {
        i++;
    }
    return mvm_artifact_is_whole_output(i);
}

static void begin_read(struct mvm_scheduler *v, struct mvm_client *c)
{
    struct mvm_streams *s = &v->streams;
    const struct mvm_stream_build *b = &s->builds[c->get.slot];
    const struct mvm_stream_item *item = &b->items[c->get.item];
    bool whole = is_whole_output(item->name);
    s->call = READ;
    s->reading = c;
    s->size = item->size;
    s->offset = c->get.offset;
    s->cap = piece_of(v, c);
    mvm_text_join(s->path, sizeof s->path, b->path, whole ? "" : "/", whole ? "" : item->name);
}

/* The next client in turn for which a piece can be read; NULL: none. */
static struct mvm_client *next_client(struct mvm_scheduler *v)
{
    for (size_t i = 1; i <= v->clients_used; i++) {
        size_t at = (v->streams.turn + i) % v->clients_used;
        if (is_ready(v, &v->clients[at])) {
            v->streams.turn = at;
            return &v->clients[at];
        }
    }
    return NULL;
}

static void begin_remove(struct mvm_scheduler *v, enum call call, unsigned place)
{
    struct mvm_writer w;
    v->streams.call = (uint8_t)call;
    v->streams.removing = call == REMOVE_PLACE;
    v->streams.place = (uint8_t)place;
    mvm_writer_init(&w, v->streams.path, sizeof v->streams.path);
    mvm_writer_add3(&w, v->config.stream_dir, "/",
                    call == REMOVE_SOURCE ? MVM_STREAM_SOURCE : MVM_STREAM_ROOT);
    if (call == REMOVE_PLACE) {
        mvm_writer_add_u64(&w, place);
    }
    mvm_writer_finish(&w);
}

/* If there is one. */
static unsigned dropped_place(const struct mvm_streams *s)
{
    unsigned i = 0;
    while (s->builds[i].state != MVM_PLACE_DROPPED) {
        i++;
    }
    return i;
}

/* Chooses the reader's next call; false: it has none to do now. */
static bool choose(struct mvm_scheduler *v)
{
    struct mvm_streams *s = &v->streams;
    struct mvm_client *c;
    if (s->clears) {
        begin_remove(v, REMOVE_SOURCE, MVM_STREAM_BUILDS);
    } else if (s->dropped > 0) {
        begin_remove(v, REMOVE_PLACE, dropped_place(s));
    } else if (s->gets > 0 && (c = next_client(v)) != NULL) {
        begin_read(v, c);
    } else if (s->opened && s->gets == 0) {
        s->call = END;
    }
    s->called_ms = v->now_ms;
    return s->call != NO_CALL;
}

static int64_t poll_call(const struct mvm_scheduler *v, uint64_t *offset)
{
    const struct mvm_streams *s = &v->streams;
    const struct mvm_port *port = v->config.reader;
    void *ctx = v->config.reader_ctx;
    if (s->call == END) {
        return port->end_job(ctx);
    }
    if (s->call != READ) {
        return port->remove_tree(ctx, s->path);
    }
    return s->cap == 0
               ? 0
               : port->read_data(ctx, MVM_STORE, s->path, s->size, offset, v->config.bulk, s->cap);
}

/* Polls the call in progress; false: it is not done. One that takes too long is abandoned: what it
 * would have removed is removed by the next build in that place. */
static bool ask(struct mvm_scheduler *v)
{
    struct mvm_streams *s = &v->streams;
    enum call call = (enum call)s->call;
    uint64_t offset = s->offset;
    int64_t r = poll_call(v, &offset);
    if (r == MVM_PORT_LATER) {
        if (v->now_ms < mvm_gets_deadline(v)) {
            return false;
        }
        v->config.reader->abandon(v->config.reader_ctx);
        r = MVM_PORT_FAILED;
    }
    s->call = NO_CALL;
    s->removing = false;
    s->opened = call != END;
    s->clears = false; /* if it was set, this was its call */
    if (call == READ) {
        finish_read(v, r, offset);
    } else if (call == REMOVE_PLACE) {
        mvm_places_set(s, s->place, MVM_PLACE_FREE);
    }
    return true;
}

bool mvm_gets_drive(struct mvm_scheduler *v)
{
    bool done = false; /* a call: a build may have waited for it */
    for (int i = 0; i < PIECES; i++) {
        if ((v->streams.call == NO_CALL && !choose(v)) || !ask(v)) {
            return done;
        }
        done = true;
    }
    return true;
}

uint64_t mvm_gets_deadline(const struct mvm_scheduler *v)
{
    const struct mvm_streams *s = &v->streams;
    if (s->call != NO_CALL) {
        return s->called_ms + MVM_DISK_PATIENCE_MS;
    }
    return s->opened && s->gets == 0 ? v->now_ms : UINT64_MAX; /* the last one's client has gone */
}

bool mvm_scheduler_reading(const struct mvm_scheduler *v)
{
    const struct mvm_streams *s = &v->streams;
    if (v->config.stream_dir == NULL) {
        return false;
    }
    return s->call != NO_CALL || s->opened || s->gets > 0 || (s->stopping && s->dropped > 0);
}
