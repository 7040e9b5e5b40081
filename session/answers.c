/* The messages that answer requests: Hello, Pong, Cancelled, acceptances, refusals, kept ends. */
#include "mvm_version.h"
#include "scheduler_internal.h"
#include <string.h>

#define FEATURES "ids cancel join keep"

/* On the protobuf wire, if builds without disks are done. */
#define STREAM_FEATURES FEATURES " source artifacts"

static const char *was_word(uint8_t was)
{
    static const char *const words[] = {
        [MVM_WAS_UNKNOWN] = "unknown", [MVM_WAS_WAITING] = "waiting", [MVM_WAS_RUNNING] = "running",
        [MVM_WAS_STAGING] = "staging", [MVM_WAS_ENDED] = "ended",
    };
    return words[was];
}

static void send_log(struct mvm_client *c, struct mvm_text id, struct mvm_text line, bool beat)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_LOG, .text = line, .id = id};
    if (beat && mvm_text_present(id)) {
        m.beat = MVM_FLAG_TRUE;
    }
    mvm_session_send(&c->session, &m);
}

static void send_welcome(const struct mvm_scheduler *v, struct mvm_client *c, struct mvm_text nonce)
{
    const char *agent = v->config.agent, *boot = v->config.boot;
    struct mvm_message m = {.kind = MVM_MESSAGE_WELCOME};
    m.hello.nonce = nonce;
    m.hello.agent = mvm_text_from(agent != NULL ? agent : "mvm-guest " MVM_VERSION);
    m.hello.boot = mvm_text_from(boot != NULL ? boot : "");
    bool streams = v->config.stream_dir != NULL && c->session.wire == MVM_WIRE_PROTO;
    m.hello.features = mvm_text_from(streams ? STREAM_FEATURES : FEATURES);
    mvm_session_send(&c->session, &m);
}

static void send_waiting(struct mvm_client *c, uint32_t ahead, struct mvm_text id)
{
    struct mvm_writer w;
    mvm_writer_init(&w, c->note, sizeof c->note);
    mvm_writer_add(&w, "mvm: waiting for another build, ");
    mvm_writer_add_u64(&w, ahead);
    mvm_writer_add(&w, " ahead");
    send_log(c, id, mvm_writer_finish(&w), false);
}

static void send_parse_error(struct mvm_client *c, const struct mvm_owed *o)
{
    struct mvm_writer w;
    mvm_writer_init(&w, c->note, sizeof c->note);
    mvm_decoder_error_explain((enum mvm_decoder_error)o->detail, (enum mvm_json_error)o->json_error,
                              o->field, o->number, &w);
    struct mvm_message m = {.kind = MVM_MESSAGE_ERR, .text = mvm_writer_finish(&w)};
    mvm_session_send(&c->session, &m);
}

static void send_err(struct mvm_client *c, enum mvm_reason reason, uint32_t number,
                     struct mvm_text id)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_ERR};
    struct mvm_writer w;
    mvm_writer_init(&w, c->note, sizeof c->note);
    mvm_writer_add(&w, mvm_reason_message(reason));
    if (reason == MVM_REASON_QUEUE_FULL) {
        mvm_writer_add(&w, " (1 running, ");
        mvm_writer_add_u64(&w, number - 1);
        mvm_writer_add(&w, " waiting)");
    }
    m.text = mvm_writer_finish(&w);
    if (mvm_text_present(id)) {
        m.refusal.category = mvm_text_from(mvm_category_word(mvm_reason_category(reason)));
        if (mvm_reason_refuses(reason)) {
            m.refusal.refused = id;
        } else {
            m.id = id;
        }
    }
    mvm_session_send(&c->session, &m);
}

/* The Ok of a build whose artifacts are held, however long ago it ended. */
static void send_held(const struct mvm_scheduler *v, struct mvm_client *c, unsigned place,
                      struct mvm_text id)
{
    struct mvm_writer w;
    mvm_writer_init(&w, c->note, sizeof c->note);
    mvm_writer_add(&w, v->streams.builds[place].path);
    struct mvm_message m = {.kind = MVM_MESSAGE_OK, .text = mvm_writer_finish(&w), .id = id};
    m.artifacts = mvm_places_list(v, place, c->list);
    mvm_session_send(&c->session, &m);
}

/* The answer is copied: others may take its slot before this client has taken it. */
static void send_kept(const struct mvm_scheduler *v, struct mvm_client *c, struct mvm_text id)
{
    const struct mvm_kept_answer *k = mvm_kept_find(v, id);
    unsigned place = mvm_places_find(v, id);
    if (place < MVM_STREAM_BUILDS) {
        send_held(v, c, place, id);
        return;
    }
    if (k == NULL) {
        send_err(c, MVM_REASON_UNKNOWN_ID, 0, id);
        return;
    }
    struct mvm_message m = {
        .kind = k->ok ? MVM_MESSAGE_OK : MVM_MESSAGE_ERR, .text = {c->note, k->text_len}, .id = id};
    memcpy(c->note, k->text, k->text_len);
    if (!k->ok) {
        m.refusal.category = mvm_text_from(mvm_category_word((enum mvm_category)k->category));
    }
    mvm_session_send(&c->session, &m);
}

static void send_cancelled(struct mvm_client *c, uint8_t was, struct mvm_text id)
{
    struct mvm_message m = {
        .kind = MVM_MESSAGE_CANCELLED, .text = mvm_text_from(was_word(was)), .id = id};
    mvm_session_send(&c->session, &m);
}

static void send_want(struct mvm_client *c, uint32_t bytes, struct mvm_text id)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_WANT, .id = id};
    m.bulk.length = bytes;
    mvm_session_send(&c->session, &m);
}

void mvm_answer_send(const struct mvm_scheduler *v, struct mvm_client *c)
{
    static const struct mvm_message pong = {.kind = MVM_MESSAGE_PONG};
    const struct mvm_owed *o = &c->sending;
    struct mvm_text text = {o->has_text ? o->text : NULL, o->text_len};
    switch ((enum mvm_owed_kind)o->kind) { /* COVERAGE: each kind has its case */
    case MVM_OWED_PONG:
        mvm_session_send(&c->session, &pong);
        break;
    case MVM_OWED_WELCOME:
        send_welcome(v, c, text);
        break;
    case MVM_OWED_BEAT:
        send_log(c, text, mvm_text_from(""), true);
        break;
    case MVM_OWED_WAITING:
        send_waiting(c, o->number, text);
        break;
    case MVM_OWED_PARSE_ERROR:
        send_parse_error(c, o);
        break;
    case MVM_OWED_ERR:
        send_err(c, (enum mvm_reason)o->detail, o->number, text);
        break;
    case MVM_OWED_CANCELLED:
        send_cancelled(c, o->detail, text);
        break;
    case MVM_OWED_KEPT:
        send_kept(v, c, text);
        break;
    case MVM_OWED_WANT:
        send_want(c, o->number, text);
        break;
    }
}
