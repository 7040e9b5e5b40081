/*
 * Artifacts on their way to clients, piece by piece, each client in its turn. A piece is sent only
 * if its frame fits the client's send buffer, so the memory for pieces is never borrowed by a
 * session, and a client that does not read does not delay others.
 */
#include "scheduler_internal.h"
#include <string.h>

/* Bytes of a frame beside the piece. */
enum { OVERHEAD = MVM_PROTO_SKELETON_CAP + MVM_ID_MAX + MVM_WORD_MAX };

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
size_t mvm_gets_piece(const struct mvm_scheduler *v, const struct mvm_client *c)
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
           c->session.memory.send_cap - c->session.send_end >= mvm_gets_piece(v, c) + OVERHEAD;
}

struct mvm_client *mvm_gets_next(struct mvm_scheduler *v)
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
void mvm_gets_finish(struct mvm_scheduler *v, int64_t result, uint64_t offset)
{
    struct mvm_client *c = v->streams.reading;
    v->streams.reading = NULL;
    if (c == NULL || !is_ready(v, c)) {
        return;
    }
    if (result < 0) {
        refuse(v, c, MVM_REASON_UNREADABLE);
    } else {
        send_piece(v, c, offset, (size_t)result);
    }
}
