/* How builds with an id have ended, for clients that come back: the last few, the oldest first. */
#include "scheduler_internal.h"
#include <string.h>

void mvm_kept_add(struct mvm_scheduler *v, struct mvm_text id, enum mvm_category category,
                  struct mvm_text text, bool awaited)
{
    struct mvm_kept_answer *k = &v->kept[v->kept_next];
    struct mvm_writer w;
    if (id.len == 0) {
        return;
    }
    k->ok = category == MVM_CATEGORY_NONE;
    k->stream = mvm_places_find(v, id) < MVM_STREAM_BUILDS;
    k->awaited = awaited;
    k->category = (uint8_t)category;
    k->id_len = (uint32_t)id.len;
    memcpy(k->id, id.bytes, id.len);
    mvm_writer_init(&w, k->text, sizeof k->text);
    mvm_writer_add_text(&w, text);
    k->text_len = (uint32_t)mvm_writer_finish(&w).len;
    v->kept_next = (v->kept_next + 1) % MVM_KEPT_ANSWERS;
}

static bool is_of(const struct mvm_kept_answer *k, struct mvm_text id)
{
    return k->id_len > 0 && k->id_len == id.len && memcmp(k->id, id.bytes, id.len) == 0;
}

/* MVM_KEPT_ANSWERS: none. A known id is refused, so there is one at most. */
static size_t index_of(const struct mvm_scheduler *v, struct mvm_text id)
{
    size_t i = 0;
    while (i < MVM_KEPT_ANSWERS && !is_of(&v->kept[i], id)) {
        i++;
    }
    return i;
}

const struct mvm_kept_answer *mvm_kept_find(const struct mvm_scheduler *v, struct mvm_text id)
{
    size_t i = index_of(v, id);
    return i < MVM_KEPT_ANSWERS ? &v->kept[i] : NULL;
}

void mvm_kept_given(struct mvm_scheduler *v, struct mvm_text id)
{
    size_t i = index_of(v, id);
    if (i < MVM_KEPT_ANSWERS) {
        v->kept[i].awaited = false;
    }
}

bool mvm_scheduler_awaits(const struct mvm_scheduler *v)
{
    bool awaits = false;
    for (size_t i = 0; i < MVM_KEPT_ANSWERS; i++) {
        awaits = awaits || (v->kept[i].id_len > 0 && v->kept[i].awaited);
    }
    return awaits;
}

static void supersede(struct mvm_kept_answer *k, enum mvm_reason reason)
{
    struct mvm_text message = mvm_text_from(mvm_reason_message(reason));
    k->ok = false;
    k->category = MVM_CATEGORY_SUPERSEDED;
    k->text_len = (uint32_t)message.len;
    memcpy(k->text, message.bytes, message.len);
}

void mvm_kept_supersede(struct mvm_scheduler *v)
{
    for (size_t i = 0; i < MVM_KEPT_ANSWERS; i++) {
        struct mvm_kept_answer *k = &v->kept[i];
        if (k->id_len > 0 && k->ok && !k->stream) {
            supersede(k, MVM_REASON_SUPERSEDED);
        }
    }
}

void mvm_kept_drop(struct mvm_scheduler *v, struct mvm_text id)
{
    size_t i = index_of(v, id);
    if (i < MVM_KEPT_ANSWERS) {
        supersede(&v->kept[i], MVM_REASON_DROPPED);
    }
}
