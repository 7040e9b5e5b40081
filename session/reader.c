/*
 * The reader's calls, one at a time: what may wait for a disk while a build runs. One reads a piece
 * of an artifact for a client, or removes the folder of a place.
 */
#include "scheduler_internal.h"
#include "store.h"
#include <string.h>

enum call { NO_CALL, READ, REMOVE_PLACE, REMOVE_SOURCE, END };

enum { PIECES = 4 }; /* of one step */

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
    s->cap = mvm_gets_piece(v, c);
    mvm_text_join(s->path, sizeof s->path, b->path, whole ? "" : "/", whole ? "" : item->name);
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
    } else if (s->gets > 0 && (c = mvm_gets_next(v)) != NULL) {
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
        if (v->now_ms < mvm_reader_deadline(v)) {
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
        mvm_gets_finish(v, r, offset);
    } else if (call == REMOVE_PLACE) {
        mvm_places_set(s, s->place, MVM_PLACE_FREE);
    }
    return true;
}

bool mvm_reader_drive(struct mvm_scheduler *v)
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

uint64_t mvm_reader_deadline(const struct mvm_scheduler *v)
{
    const struct mvm_streams *s = &v->streams;
    if (s->call != NO_CALL) {
        return s->called_ms + MVM_DISK_PATIENCE_MS;
    }
    return s->opened && s->gets == 0 ? v->now_ms : MVM_NEVER; /* the last one's client has gone */
}

bool mvm_scheduler_reading(const struct mvm_scheduler *v)
{
    const struct mvm_streams *s = &v->streams;
    if (v->config.stream_dir == NULL) {
        return false;
    }
    return s->call != NO_CALL || s->opened || s->gets > 0 || (s->stopping && s->dropped > 0);
}
