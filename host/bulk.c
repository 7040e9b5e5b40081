/* build --output: passes data between the exchange, the files and the display. */
#define _GNU_SOURCE /* PATH_MAX */
#include "local_path.h"
#include "run.h"
#include <limits.h>
#include <string.h>

/* What is wrong on this machine ends the build or releases what was built. */
static int fail_here(struct mvm_run *r, int status)
{
    if (r->waiter.signal != 0) {
        return mvm_run_interrupt(r);
    }
    mvm_display_failure(&r->display);
    MVM_DISPLAY_TELL(&r->display, r->stream.why);
    mvm_exchange_interrupt(&r->exchange);
    return status;
}

static int reject(struct mvm_run *r, enum mvm_stream_result result)
{
    if (r->exchange.built) {
        mvm_exchange_drop(&r->exchange);
    }
    mvm_conversation_set_why(&r->conversation, r->stream.why);
    mvm_exchange_reject(&r->exchange);
    mvm_display_failure(&r->display);
    if (result == MVM_STREAM_LARGE) { /* the answer is as good as any */
        MVM_DISPLAY_TELL(&r->display, r->stream.why);
        return MVM_EXIT_NO_CONNECTION;
    }
    return mvm_run_fail(r, r->exchange.failure);
}

int mvm_run_source(struct mvm_run *r)
{
    struct mvm_exchange *x = &r->exchange;
    struct mvm_text data;
    if (mvm_stream_source(&r->stream, x->source_at, x->credit, &data) != MVM_STREAM_GOOD) {
        return fail_here(r, MVM_EXIT_USAGE);
    }
    mvm_exchange_source(x, data);
    mvm_display_move(&r->display, MVM_PHASE_SENDING, "the flake", x->source_at,
                     r->stream.source_size);
    return MVM_RUN_ON;
}

/* ---- the end ---- */

static void show_artifact(struct mvm_run *r, size_t i)
{
    const struct mvm_artifact_file *f = &r->stream.artifacts.files[i];
    const char *sum = r->options->sha256 ? r->stream.sums[i] : "";
    char size[MVM_TEXT_DECIMAL_CAP + 1];
    struct mvm_writer w;
    mvm_writer_init(&w, size, sizeof size);
    mvm_writer_add_u64(&w, f->size);
    mvm_writer_finish(&w);
    char path[2 * PATH_MAX];
    mvm_local_path_join(path, sizeof path, r->options->output, f->name);
    MVM_DISPLAY_TELL(&r->display, path, ": ", size, " bytes", sum[0] != '\0' ? ", sha256 " : "",
                     sum);
}

static void show_total(struct mvm_run *r)
{
    const struct mvm_artifacts *a = &r->stream.artifacts;
    uint64_t total = 0;
    char text[128];
    struct mvm_writer w;
    for (size_t i = 0; i < a->len; i++) {
        total += a->files[i].size;
    }
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add_u64(&w, a->len);
    mvm_writer_add(&w, " artifacts, ");
    mvm_writer_add_u64(&w, total);
    mvm_writer_finish(&w);
    char path[PATH_MAX];
    mvm_local_path_join(path, sizeof path, r->options->output, "");
    MVM_DISPLAY_TELL(&r->display, path, ": ", text, " bytes");
}

static void show_artifacts(struct mvm_run *r)
{
    for (size_t i = 0; i < r->stream.artifacts.len; i++) {
        show_artifact(r, i);
    }
    if (r->stream.artifacts.len > 1) {
        show_total(r);
    }
}

/* The Ok as a line of JSON, its artifacts among its fields. Store paths, ids and the names of
 * artifacts have no character that JSON escapes. */
static void show_json(struct mvm_run *r)
{
    char line[8192];
    struct mvm_writer w;
    const struct mvm_artifacts *a = &r->stream.artifacts;
    mvm_writer_init(&w, line, sizeof line);
    mvm_writer_add3(&w, "{\"Ok\":{\"out_path\":\"", r->store_path, "\",\"id\":\"");
    mvm_writer_add_text(&w, r->exchange.request.id);
    mvm_writer_add(&w, "\",\"artifacts\":[");
    for (size_t i = 0; i < a->len; i++) {
        const char *sum = r->options->sha256 ? r->stream.sums[i] : "";
        mvm_writer_add3(&w, i > 0 ? ",{\"name\":\"" : "{\"name\":\"", a->files[i].name,
                        "\",\"size\":");
        mvm_writer_add_u64(&w, a->files[i].size);
        if (sum[0] != '\0') {
            mvm_writer_add3(&w, ",\"sha256\":\"", sum, "\"");
        }
        mvm_writer_add(&w, "}");
    }
    mvm_writer_add(&w, "]}}");
    mvm_display_json(&r->display, mvm_writer_finish(&w));
}

static int finish(struct mvm_run *r)
{
    mvm_display_change(&r->display, "writing");
    if (mvm_stream_commit(&r->stream, r->options->sha256) != MVM_STREAM_GOOD) {
        return fail_here(r, MVM_EXIT_OUTPUT);
    }
    mvm_exchange_drop(&r->exchange);
    if (r->stream.why[0] != '\0') {
        MVM_DISPLAY_TELL(&r->display, r->stream.why);
    }
    if (!r->options->json) {
        show_artifacts(r);
    }
    show_json(r);
    mvm_display_ok(&r->display, mvm_text_from(r->store_path));
    return MVM_EXIT_OK;
}

/* ---- artifacts ---- */

static void show_progress(struct mvm_run *r)
{
    const struct mvm_artifact_file *f = &r->stream.artifacts.files[r->stream.current];
    mvm_display_move(&r->display, MVM_PHASE_FETCHING, f->name, f->done, f->size);
}

static int ask_for_next(struct mvm_run *r)
{
    const struct mvm_stream_files *s = &r->stream;
    if (s->current == s->artifacts.len) {
        return finish(r);
    }
    const struct mvm_artifact_file *f = &s->artifacts.files[s->current];
    mvm_exchange_get(&r->exchange, f->name, f->done, f->size - f->done);
    show_progress(r);
    return MVM_RUN_ON;
}

static int judge(struct mvm_run *r, enum mvm_stream_result result)
{
    return result == MVM_STREAM_DISK ? fail_here(r, MVM_EXIT_OUTPUT) : reject(r, result);
}

int mvm_run_list(struct mvm_run *r)
{
    const struct mvm_message *m = r->exchange.message;
    enum mvm_stream_result result = mvm_stream_list(&r->stream, m);
    if (result != MVM_STREAM_GOOD) {
        return judge(r, result);
    }
    memcpy(r->store_path, m->text.bytes, m->text.len); /* its length was checked */
    r->store_path[m->text.len] = '\0';
    return ask_for_next(r);
}

int mvm_run_artifact(struct mvm_run *r)
{
    enum mvm_stream_result result = mvm_stream_artifact(&r->stream, r->exchange.message);
    switch (result) {
    case MVM_STREAM_ENDED:
        return ask_for_next(r);
    case MVM_STREAM_GOOD:
        show_progress(r);
        return MVM_RUN_ON;
    case MVM_STREAM_DISK:
    case MVM_STREAM_BROKEN:
    case MVM_STREAM_LARGE:
        break;
    }
    return judge(r, result);
}
