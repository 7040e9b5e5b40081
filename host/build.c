/* The commands build and join: the request, its log, its answer. */
#define _GNU_SOURCE /* PATH_MAX */
#include "run.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static void show_retrying(struct mvm_run *r)
{
    char secs[MVM_TEXT_DECIMAL_CAP + 1];
    struct mvm_writer w;
    mvm_writer_init(&w, secs, sizeof secs);
    mvm_writer_add_u64(&w, r->options->retry_secs);
    MVM_DISPLAY_TELL(&r->display,
                     r->exchange.failure == MVM_CONVERSATION_UNCONNECTED ? "no connection: "
                                                                         : "connection lost: ",
                     r->conversation.why, "; trying again for ", secs, " s");
    mvm_display_change(&r->display, "connecting");
}

static int lose(struct mvm_run *r)
{
    mvm_display_failure(&r->display);
    int status = mvm_run_fail(r, r->exchange.failure);
    mvm_run_show_way_back(r);
    return status;
}

static int finish_ok(struct mvm_run *r)
{
    const struct mvm_message *m = r->exchange.message;
    mvm_display_frame(&r->display, m);
    mvm_display_ok(&r->display, m->text);
    return MVM_EXIT_OK;
}

static int finish_err(struct mvm_run *r)
{
    mvm_display_failure(&r->display);
    mvm_display_err(&r->display, r->exchange.message);
    if (mvm_exchange_may_be_ours(&r->exchange)) {
        MVM_DISPLAY_TELL(
            &r->display, "it may be this build, from before the connection was lost: mvm-builder ",
            r->options->output == NULL ? "join " : "cancel ", r->id,
            r->options->output == NULL ? " comes back to it, cancel ends it" : " ends it");
    }
    return MVM_EXIT_ERR;
}

static int refuse(struct mvm_run *r)
{
    MVM_DISPLAY_TELL(&r->display, r->conversation.why);
    return r->options->output != NULL ? MVM_EXIT_NO_CONNECTION : MVM_EXIT_ERR;
}

/* The events of a build with --output; MVM_RUN_ON: it continues. */
static int move_bulk(struct mvm_run *r, enum mvm_exchange_event event)
{
    if (event == MVM_EXCHANGE_SOURCE) {
        return mvm_run_source(r);
    }
    return event == MVM_EXCHANGE_OK ? mvm_run_list(r) : mvm_run_artifact(r);
}

static int follow(struct mvm_run *r)
{
    for (int status = MVM_RUN_ON;;) {
        enum mvm_exchange_event event = mvm_exchange_next(&r->exchange);
        mvm_run_show_note(r);
        switch (event) {
        case MVM_EXCHANGE_ASKED:
            mvm_display_follow(&r->display);
            break;
        case MVM_EXCHANGE_LOG:
            mvm_display_log(&r->display, r->exchange.message);
            break;
        case MVM_EXCHANGE_RETRYING:
            show_retrying(r);
            break;
        case MVM_EXCHANGE_OK:
            if (r->options->output == NULL) {
                return finish_ok(r);
            }
            status = move_bulk(r, event);
            break;
        case MVM_EXCHANGE_SOURCE:
        case MVM_EXCHANGE_ARTIFACT:
            status = move_bulk(r, event);
            break;
        case MVM_EXCHANGE_ERR:
            return finish_err(r);
        case MVM_EXCHANGE_FAILED:
            return lose(r);
        case MVM_EXCHANGE_UNABLE:
            return refuse(r);
        case MVM_EXCHANGE_SIGNALLED:
            return mvm_run_interrupt(r);
        }
        if (status != MVM_RUN_ON) {
            return status;
        }
    }
}

/* False: reported. */
static bool choose_id(struct mvm_run *r)
{
    r->id = r->options->id;
    if (r->id == NULL && !mvm_id_make(r->fresh_id)) {
        MVM_DISPLAY_TELL(&r->display, "no random bytes for an id: getrandom: ", strerror(errno));
        return false;
    }
    r->id = r->id != NULL ? r->id : r->fresh_id;
    return true;
}

static struct mvm_message request_of(const struct mvm_run *r)
{
    const struct mvm_host_options *o = r->options;
    if (o->command == MVM_HOST_JOIN) {
        return (struct mvm_message){.kind = MVM_MESSAGE_JOIN, .id = mvm_text_from(r->id)};
    }
    return (struct mvm_message){
        .kind = o->output != NULL ? MVM_MESSAGE_STREAM_BUILD : MVM_MESSAGE_BUILD,
        .id = mvm_text_from(r->id),
        .build = {.flake_ref = mvm_text_from(o->flake),
                  .attr = mvm_text_from(o->attr),
                  .has_timeout = o->has_timeout,
                  .timeout_secs = o->timeout_secs,
                  .keep = o->retry_secs > 0 ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT,
                  .has_source = o->folder != NULL,
                  .source_size = o->folder != NULL ? r->stream.source_size : 0},
    };
}

/* MVM_RUN_ON, or an exit status whose reason was reported. */
static int open_stream(struct mvm_run *r)
{
    const struct mvm_host_options *o = r->options;
    if (o->sha256 && !mvm_sha256_works()) {
        MVM_DISPLAY_TELL(&r->display,
                         "--sha256: there is no sha256sum on PATH, or it does not work");
        return MVM_EXIT_USAGE;
    }
    r->stream.waiter = &r->waiter;
    if (o->output != NULL && !mvm_stream_open(&r->stream, o->folder, o->all_files, o->output,
                                              o->max_size, r->display.log.fd)) {
        MVM_DISPLAY_TELL(&r->display, r->stream.why);
        return r->waiter.signal != 0 ? MVM_EXIT_SIGNAL + r->waiter.signal : MVM_EXIT_USAGE;
    }
    return MVM_RUN_ON;
}

/* Whether the file is, or would be, in the folder. */
static bool is_in(const char *file, const char *folder)
{
    char path[PATH_MAX];
    struct stat a, b;
    const char *slash = strrchr(file, '/');
    size_t len = slash != NULL ? (size_t)(slash - file) + 1 : 0;
    if (len >= sizeof path) {
        return false;
    }
    memcpy(path, file, len);
    path[len] = '\0';
    return stat(len > 0 ? path : ".", &a) == 0 && stat(folder, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int mvm_run_build(struct mvm_run *r)
{
    const struct mvm_host_options *o = r->options;
    uint64_t silence_ms = o->silence_secs > 0 ? o->silence_secs * 1000 : MVM_NEVER;
    if (o->log != NULL && o->output != NULL && is_in(o->log, o->output)) {
        MVM_DISPLAY_TELL(&r->display, "--log ", o->log,
                         ": the folder of --output is replaced, with what is in it");
        return MVM_EXIT_USAGE;
    }
    if (o->log != NULL && !mvm_display_open_log(&r->display, o->log)) {
        return MVM_EXIT_USAGE;
    }
    if (!choose_id(r)) {
        return MVM_EXIT_NO_CONNECTION;
    }
    int status = open_stream(r);
    if (status == MVM_RUN_ON && !mvm_display_begin_log(&r->display)) {
        mvm_stream_close(&r->stream);
        status = MVM_EXIT_USAGE;
    }
    if (status != MVM_RUN_ON) {
        return status;
    }
    const struct mvm_message request = request_of(r);
    mvm_display_start(&r->display, "connecting");
    mvm_exchange_init(&r->exchange, &r->conversation, &request, o->retry_secs * 1000, silence_ms);
    r->exchange.renews = o->id == NULL;
    status = follow(r);
    mvm_exchange_finish(&r->exchange);
    mvm_stream_close(&r->stream);
    return status;
}
