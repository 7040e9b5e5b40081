/*
 * SOURCE, TIDY: a build without disks whose flake is sent over the connection. The archive is not
 * parsed here: nix-store --restore reads it on its stdin, and decides whether it is valid. It
 * unpacks into the agent's own folder, which is emptied before and after.
 *
 * A root keeps nix's garbage collector from what was built; each slot has one, in its own folder.
 */
#include "internal.h"
#include <string.h>

enum { MAKE_DIR, CLEAR_SOURCE, CLEAR_ROOT, MAKE_ROOT, FIND, START };

/* ---- SOURCE ---- */

static void fail_prepare(struct mvm_executor *x)
{
    mvm_executor_fail_reason(x, MVM_CATEGORY_INTERNAL, "cannot use ", x->config->stream_dir);
}

static int prepare(struct mvm_executor *x)
{
    switch (x->step) {
    case MAKE_DIR:
        return x->port->make_dir(x->ctx, x->config->stream_dir);
    case CLEAR_SOURCE:
        return x->port->remove_tree(x->ctx, mvm_executor_source_path(x, 0));
    case CLEAR_ROOT:
        return x->port->remove_tree(x->ctx, mvm_executor_root_path(x, 0, ""));
    case MAKE_ROOT:
        return x->port->make_dir(x->ctx, mvm_executor_root_path(x, 0, ""));
    default:
        return x->port->find_nix(x->ctx, x->nix, sizeof x->nix);
    }
}

static enum mvm_executor_state start(struct mvm_executor *x)
{
    mvm_executor_make_unpack_command(x);
    mvm_executor_set_deadline(x);
    x->unpacking = mvm_executor_launch(x, x->port->spawn_fed);
    return x->unpacking ? MVM_EXECUTOR_RUN : MVM_EXECUTOR_SYNC;
}

enum mvm_executor_state mvm_executor_prepare(struct mvm_executor *x)
{
    if (x->cancelled && !x->asking) {
        mvm_executor_fail_cancelled(x);
        return MVM_EXECUTOR_SYNC;
    }
    if (x->step == START) {
        return start(x);
    }
    int r = prepare(x);
    if (mvm_executor_later(x, r)) {
        return x->state;
    }
    if (r < 0 && x->step == FIND) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_NIX_NOT_FOUND, "nix not found", "");
    } else if (r < 0) {
        fail_prepare(x);
    }
    x->step++;
    if (!x->failed && x->step == FIND && !x->has_source) {
        return MVM_EXECUTOR_MOUNT_IN;
    }
    return x->failed ? MVM_EXECUTOR_SYNC : x->state;
}

/* ---- bytes ---- */

static bool wants(const struct mvm_executor *x)
{
    return x->unpacking && x->state == MVM_EXECUTOR_RUN && !x->failed && !x->cancelled;
}

uint64_t mvm_executor_source_limit(const struct mvm_executor *x)
{
    const struct mvm_source *s = &x->source;
    if (!wants(x)) {
        return 0;
    }
    return s->size - s->out < x->config->source_cap ? s->size : s->out + x->config->source_cap;
}

/* at: how many bytes were right. */
static void refuse(struct mvm_executor *x, const char *why, uint64_t at)
{
    struct mvm_writer w;
    if (mvm_executor_fail(x, MVM_CATEGORY_INVALID_REQUEST, &w)) {
        mvm_writer_add3(&w, "invalid source: ", why, ", at byte ");
        mvm_writer_add_u64(&w, at);
        mvm_writer_add(&w, " of ");
        mvm_writer_add_u64(&w, x->source.size);
        mvm_writer_finish(&w);
    }
}

static void store(struct mvm_executor *x, struct mvm_text data)
{
    const size_t cap = x->config->source_cap;
    size_t at = (size_t)(x->source.in % cap);
    size_t first = data.len < cap - at ? data.len : cap - at;
    if (data.len > 0) {
        memcpy(x->config->source_buffer + at, data.bytes, first);
        memcpy(x->config->source_buffer, data.bytes + first, data.len - first);
    }
    x->source.in += data.len;
}

void mvm_executor_source(struct mvm_executor *x, uint64_t offset, struct mvm_text data, bool last)
{
    struct mvm_source *s = &x->source;
    if (!wants(x)) {
        return;
    }
    const uint64_t limit = mvm_executor_source_limit(x);
    x->wake_ms = x->now_ms;
    if (offset != s->in) {
        refuse(x, "its bytes are not in order", s->in);
    } else if (data.len > s->size - s->in) {
        refuse(x, "it is longer than was said", s->size);
    } else if (data.len > limit - s->in) {
        refuse(x, "more bytes came than were asked for", limit);
    } else {
        store(x, data);
        if (last && s->in < s->size) {
            refuse(x, "it is shorter than was said", s->in);
        }
    }
}

void mvm_executor_give_up_source(struct mvm_executor *x, uint64_t waited_ms)
{
    struct mvm_writer w;
    if (wants(x)) { /* which a job that has failed does not */
        mvm_executor_fail_stopped(x, true, &w);
        mvm_writer_add(&w, "others wait, and nothing of its source came for ");
        mvm_writer_add_u64(&w, waited_ms / 1000);
        mvm_writer_add(&w, " s, at byte ");
        mvm_writer_add_u64(&w, x->source.in);
        mvm_writer_add(&w, " of ");
        mvm_writer_add_u64(&w, x->source.size);
        mvm_writer_finish(&w);
        x->wake_ms = x->now_ms;
    }
}

/* A process that has closed its stdin has ended, or will report why. */
void mvm_executor_feed(struct mvm_executor *x)
{
    struct mvm_source *s = &x->source;
    const size_t cap = x->config->source_cap;
    while (s->out < s->in) {
        size_t at = (size_t)(s->out % cap);
        size_t len = (size_t)(s->in - s->out);
        len = len < cap - at ? len : cap - at;
        int n = x->port->feed(x->ctx, x->config->source_buffer + at, len);
        if (n <= 0 || (size_t)n > len) {
            return;
        }
        s->out += (uint64_t)n;
    }
    if (s->out == s->size && !s->ended) {
        x->port->end_feed(x->ctx);
        s->ended = true;
    }
}

void mvm_executor_check_source(struct mvm_executor *x)
{
    if (x->source.out < x->source.size) {
        refuse(x, "its archive ends before it does", x->source.in);
    }
}

static bool separates(char c)
{
    return c == '/' || c == '?' || c == '&' || c == '=';
}

/* A relative path without "..", perhaps with a query, which has none either: nothing outside of the
 * source. nix decodes %XX in both. */
const char *mvm_source_folder_unsound(struct mvm_text folder)
{
    bool only_dots = true; /* the component, so far, … */
    unsigned len = 0;      /* … of so many bytes */
    for (bool first = true; folder.len > 0; first = false) {
        char c = mvm_flake_next_byte(&folder);
        if (first && c == '/') {
            return "it is not a folder in the source";
        }
        if (!separates(c)) {
            only_dots = only_dots && c == '.';
            len++;
            continue;
        }
        if (only_dots && len == 2) {
            break;
        }
        only_dots = true;
        len = 0;
    }
    return only_dots && len == 2 ? "it leads out of the source" : NULL;
}

/* ---- TIDY ---- */

/* A root without a result holds nothing, and goes too. Removing a large source takes a while, in
 * which the build can still be cancelled. */
enum mvm_executor_state mvm_executor_tidy(struct mvm_executor *x)
{
    enum { SOURCE, ROOT };
    if (x->cancelled) {
        mvm_executor_fail_cancelled(x);
    }
    int r = x->step == SOURCE ? x->port->remove_tree(x->ctx, mvm_executor_source_path(x, 0))
                              : x->port->remove_tree(x->ctx, mvm_executor_root_path(x, 0, ""));
    if (mvm_executor_later(x, r)) {
        return x->state;
    }
    if (r < 0) {
        struct mvm_writer w = mvm_executor_note(x);
        mvm_writer_add3(&w, x->path[0], ": ", x->port->reason(x->ctx));
        mvm_executor_noted(x, &w);
    }
    x->step++;
    if (x->step <= ROOT && x->failed) {
        return x->state;
    }
    x->progress = MVM_EXECUTOR_PLACING;
    return MVM_EXECUTOR_END;
}
