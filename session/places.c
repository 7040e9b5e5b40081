/* The places that hold what builds without disks have made, and the lists of it. */
#include "scheduler_internal.h"
#include <string.h>

void mvm_places_set(struct mvm_streams *s, unsigned place, enum mvm_place state)
{
    struct mvm_stream_build *b = &s->builds[place];
    s->dropped -= b->state == MVM_PLACE_DROPPED;
    s->dropped += state == MVM_PLACE_DROPPED;
    b->state = (uint8_t)state;
}

unsigned mvm_places_find(const struct mvm_scheduler *v, struct mvm_text id)
{
    for (unsigned i = 0; i < MVM_STREAM_BUILDS; i++) {
        const struct mvm_stream_build *b = &v->streams.builds[i];
        if (b->state == MVM_PLACE_HELD && b->id_len == id.len &&
            memcmp(b->id, id.bytes, id.len) == 0) {
            return i;
        }
    }
    return MVM_STREAM_BUILDS;
}

struct mvm_text mvm_places_list(const struct mvm_scheduler *v, unsigned place, uint8_t *list)
{
    size_t len = 0;
    const struct mvm_stream_build *b = &v->streams.builds[place];
    for (unsigned i = 0; i < b->items_len; i++) {
        struct mvm_artifact_item item = {mvm_text_from(b->items[i].name), b->items[i].size};
        len += mvm_proto_add_artifact(list + len, MVM_SCHEDULER_LIST_CAP - len, &item);
    }
    return (struct mvm_text){(const char *)list, len};
}

bool mvm_scheduler_holds(const struct mvm_scheduler *v)
{
    for (unsigned i = 0; i < MVM_STREAM_BUILDS; i++) {
        if (v->streams.builds[i].state == MVM_PLACE_HELD) {
            return true;
        }
    }
    return false;
}
