/* Builds without disks: which place each gets, and the source of the one that runs. The executor
 * makes a place's folder anew when a build begins there. */
#include "scheduler_internal.h"
#include <string.h>

enum { NO_PLACE = MVM_STREAM_BUILDS };

/* The reader removes what an earlier agent has left. */
void mvm_streams_init(struct mvm_scheduler *v)
{
    struct mvm_streams *s = &v->streams;
    bool there = v->config.stream_dir != NULL && v->config.reader != NULL;
    v->config.stream_dir = there ? v->config.stream_dir : NULL;
    memset(s, 0, offsetof(struct mvm_streams, builds));
    s->running = NO_PLACE;
    s->clears = there && v->config.stream_left;
    for (unsigned i = 0; i < MVM_STREAM_BUILDS; i++) {
        s->builds[i].state = MVM_PLACE_FREE;
        mvm_places_set(s, i, s->clears ? MVM_PLACE_DROPPED : MVM_PLACE_FREE);
        s->builds[i].id_len = 0;
        s->builds[i].items_len = 0;
        s->builds[i].number = 0;
    }
}

static struct mvm_text id_of(const struct mvm_stream_build *b)
{
    return (struct mvm_text){b->id, b->id_len};
}

/* ---- places ---- */

/* Clients' state about it is no longer valid. */
static void drop_place(struct mvm_scheduler *v, unsigned place)
{
    struct mvm_stream_build *b = &v->streams.builds[place];
    if (b->state == MVM_PLACE_HELD) {
        mvm_places_set(&v->streams, place, MVM_PLACE_DROPPED);
        mvm_gets_refuse(v, place,
                        v->streams.stopping ? MVM_REASON_STOPPING : MVM_REASON_UNKNOWN_ID);
        mvm_kept_drop(v, id_of(b));
    }
}

/* Whether place `a` should be taken rather than `b`: free ones first, then those that are to be
 * emptied, then the oldest. */
static bool is_better(const struct mvm_stream_build *a, const struct mvm_stream_build *b)
{
    bool a_held = a->state == MVM_PLACE_HELD, b_held = b->state == MVM_PLACE_HELD;
    if (a_held != b_held) {
        return b_held;
    }
    return a_held ? a->number < b->number : a->state < b->state;
}

/* One that is being emptied is not taken, but waited for before a held one is dropped. */
static unsigned best_place(const struct mvm_streams *s)
{
    unsigned best = NO_PLACE;
    for (unsigned i = 0; i < MVM_STREAM_BUILDS; i++) {
        bool busy = s->removing && s->place == i;
        if (!busy && (best == NO_PLACE || is_better(&s->builds[i], &s->builds[best]))) {
            best = i;
        }
    }
    if (best == NO_PLACE) { /* COVERAGE: if there is one place */
        return NO_PLACE;    /* COVERAGE: if there is one place */
    }
    return s->builds[best].state == MVM_PLACE_HELD && s->removing ? NO_PLACE : best;
}

int mvm_streams_begin(struct mvm_scheduler *v)
{
    struct mvm_streams *s = &v->streams;
    const struct mvm_queued_build *t = &v->queue[0];
    unsigned place = s->clears ? NO_PLACE : best_place(s);
    if (place == NO_PLACE) {
        return -1;
    }
    struct mvm_stream_build *b = &s->builds[place];
    drop_place(v, place);
    mvm_places_set(s, place, MVM_PLACE_BUILDING);
    b->number = ++s->begun;
    b->id_len = t->id_len;
    memcpy(b->id, t->id, t->id_len);
    s->running = (uint8_t)place;
    s->credit = s->received = 0;
    s->source_ms = v->now_ms;
    return (int)place;
}

static void hold(struct mvm_scheduler *v, struct mvm_stream_build *b)
{
    struct mvm_writer w;
    mvm_writer_init(&w, b->path, sizeof b->path);
    mvm_writer_add_text(&w, v->executor->text);
    mvm_writer_finish(&w);
    b->items_len = (uint8_t)mvm_executor_artifacts(v->executor);
    for (unsigned i = 0; i < b->items_len; i++) {
        b->items[i].name = mvm_executor_artifact(v->executor, i, &b->items[i].size);
    }
}

struct mvm_text mvm_streams_end(struct mvm_scheduler *v, bool ok)
{
    struct mvm_streams *s = &v->streams;
    unsigned place = s->running;
    s->running = NO_PLACE;
    if (place == NO_PLACE) {
        return (struct mvm_text){NULL, 0};
    }
    if (!ok) {
        /* The executor has tried to empty it; trying again costs nothing. */
        mvm_places_set(s, place, MVM_PLACE_DROPPED);
        return (struct mvm_text){NULL, 0};
    }
    hold(v, &s->builds[place]);
    mvm_places_set(s, place, MVM_PLACE_HELD);
    return mvm_places_list(v, place, s->list);
}

void mvm_streams_drop(struct mvm_scheduler *v, struct mvm_text id)
{
    unsigned place = mvm_places_find(v, id);
    if (place != NO_PLACE) {
        drop_place(v, place);
    }
}

void mvm_streams_stop(struct mvm_scheduler *v)
{
    v->streams.stopping = true;
    for (unsigned i = 0; i < MVM_STREAM_BUILDS; i++) {
        drop_place(v, i);
    }
}

/* ---- the source ---- */

static bool has_source(const struct mvm_scheduler *v)
{
    return v->state != MVM_SCHEDULER_IDLE && v->streams.running != NO_PLACE &&
           v->queue[0].has_source;
}

/* What was not requested yet, or is no longer needed, is dropped. */
void mvm_streams_source(struct mvm_scheduler *v, const struct mvm_client *c,
                        const struct mvm_message *m)
{
    bool wanted = has_source(v) && mvm_executor_source_limit(v->executor) > 0;
    if (wanted && v->queue[0].client == c && mvm_queue_find(v, m->id) == 0) {
        v->streams.received += m->text.len;
        v->streams.source_ms = v->now_ms;
        mvm_executor_source(v->executor, m->bulk.offset, m->text, m->bulk.last == MVM_FLAG_TRUE);
    }
}

/* Small pieces of credit would cost a frame each: half a Source's, or the rest. */
void mvm_streams_want(struct mvm_scheduler *v)
{
    struct mvm_streams *s = &v->streams;
    if (!has_source(v) || v->queue[0].client == NULL || !mvm_owed_none(v->queue[0].client)) {
        return;
    }
    uint64_t limit = mvm_executor_source_limit(v->executor);
    uint64_t more = limit > s->credit ? limit - s->credit : 0;
    more = more < MVM_SOURCE_MAX ? more : MVM_SOURCE_MAX;
    bool rest = limit == v->queue[0].source_size;
    if (more == 0 || (!rest && more < MVM_BULK_DATA_MAX / 2)) {
        return;
    }
    s->credit = limit;
    s->source_ms = v->now_ms;
    mvm_owe(v, v->queue[0].client, MVM_OWED_WANT, 0, (uint32_t)more,
            mvm_queued_build_id(&v->queue[0]));
}

bool mvm_streams_source_awaited(const struct mvm_scheduler *v)
{
    return has_source(v) && mvm_executor_source_limit(v->executor) > v->streams.received;
}

bool mvm_streams_restart_source(struct mvm_scheduler *v)
{
    struct mvm_streams *s = &v->streams;
    if (!has_source(v) || s->received >= v->queue[0].source_size) {
        return true;
    }
    s->credit = 0;
    return s->received == 0;
}
