/* The commands with one request and one answer: ping, wait, hello, cancel. */
#include "deadline.h"
#include "greeting.h"
#include "run.h"
#include "visible.h"

static const struct mvm_message ping = {.kind = MVM_MESSAGE_PING};

/* Reports an Err in place of the answer. */
static int refused(struct mvm_run *r)
{
    mvm_display_err(&r->display, &r->conversation.session.message);
    return MVM_EXIT_ERR;
}

/* An agent without Hello: its Err to that, and what it cannot do. */
static int unable(struct mvm_run *r, const char *what)
{
    const char *refusal = r->conversation.refusal;
    bool answered = !r->conversation.agent.hello;
    MVM_DISPLAY_TELL(&r->display, what, answered ? ": " : "", answered ? refusal : "");
    return MVM_EXIT_ERR;
}

static enum mvm_arrival open_conversation(struct mvm_run *r)
{
    enum mvm_arrival how = mvm_conversation_open(&r->conversation, MVM_NEVER, MVM_HOST_ANSWER_MS);
    mvm_run_show_note(r);
    return how;
}

/* ---- ping ---- */

static void show_pong(struct mvm_run *r, uint64_t us)
{
    char text[64];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add(&w, "Pong in ");
    mvm_writer_add_u64(&w, us / 1000);
    mvm_writer_add(&w, us % 1000 < 100 ? ".0" : ".");
    mvm_writer_add_u64(&w, us % 1000 / 10);
    mvm_writer_add(&w, " ms");
    mvm_display_answer(&r->display, mvm_writer_finish(&w));
}

int mvm_run_ping(struct mvm_run *r)
{
    enum mvm_arrival how = open_conversation(r);
    uint64_t start_us = mvm_clock_us();
    if (how == MVM_CONVERSATION_ARRIVED) {
        how = mvm_conversation_ask(&r->conversation, &ping, MVM_MESSAGE_PONG);
    }
    if (how != MVM_CONVERSATION_ARRIVED) {
        return mvm_run_fail(r, how);
    }
    if (r->conversation.session.message.kind == MVM_MESSAGE_ERR) {
        return refused(r);
    }
    mvm_display_frame(&r->display, &r->conversation.session.message);
    show_pong(r, mvm_clock_us() - start_us);
    return MVM_EXIT_OK;
}

/* ---- wait ---- */

static void explain_err(struct mvm_conversation *c)
{
    struct mvm_writer why;
    mvm_writer_init(&why, c->why, sizeof c->why);
    struct mvm_text text = c->session.message.text;
    mvm_writer_add(&why, "connected, but it answers Err");
    mvm_writer_add(&why, text.len > 0 ? ": " : " without a reason");
    mvm_writer_add_text(&why, text);
    mvm_writer_finish(&why);
}

/* One attempt. ARRIVED: an agent that answers Ping. */
static enum mvm_arrival try_ping(struct mvm_run *r, uint64_t until_ms, uint64_t answer_ms)
{
    struct mvm_conversation *c = &r->conversation;
    enum mvm_arrival how = mvm_conversation_open(c, until_ms, answer_ms);
    if (how == MVM_CONVERSATION_ARRIVED) {
        c->answer_until_ms = mvm_sooner(c->answer_until_ms, until_ms);
        how = mvm_conversation_ask(c, &ping, MVM_MESSAGE_PONG);
    }
    if (how == MVM_CONVERSATION_ARRIVED && c->session.message.kind == MVM_MESSAGE_ERR) {
        explain_err(c);
        how = MVM_CONVERSATION_UNCONNECTED;
    }
    mvm_conversation_close(c, true);
    return how;
}

/* The time that is left of --for bounds an attempt, but for the only one of --for 0. An attempt
 * that was cut short so keeps the reason of the one before. */
static enum mvm_arrival attempt(struct mvm_run *r, uint64_t until_ms)
{
    char before[MVM_WHY_CAP];
    uint64_t now = mvm_clock_ms();
    uint64_t left = until_ms > now ? until_ms - now : 0;
    if (r->options->for_secs == 0) {
        return try_ping(r, MVM_NEVER, MVM_HOST_WAIT_ANSWER_MS);
    }
    bool cut = left < MVM_HOST_WAIT_ANSWER_MS;
    mvm_text_join(before, sizeof before, r->conversation.why, "", "");
    enum mvm_arrival how = try_ping(r, until_ms, cut ? left : MVM_HOST_WAIT_ANSWER_MS);
    if (cut && before[0] != '\0') {
        mvm_text_join(r->conversation.why, sizeof before, before, "", "");
    }
    return how;
}

int mvm_run_wait(struct mvm_run *r)
{
    uint64_t until_ms = mvm_clock_after(r->options->for_secs * 1000);
    uint64_t retry_ms = MVM_HOST_RETRY_FIRST_MS;
    mvm_display_start(&r->display, "waiting for the agent");
    for (;;) {
        uint64_t next_ms = mvm_clock_after(retry_ms);
        enum mvm_arrival how = attempt(r, until_ms);
        if (how == MVM_CONVERSATION_ARRIVED) {
            mvm_display_frame(&r->display, &r->conversation.session.message);
            return MVM_EXIT_OK;
        }
        mvm_waiter_wait(&r->waiter, -1, 0, mvm_sooner(next_ms, until_ms), NULL);
        if (r->waiter.signal != 0) {
            return mvm_run_fail(r, MVM_CONVERSATION_SIGNALLED);
        }
        if (mvm_clock_ms() >= until_ms) {
            return mvm_run_fail(r, MVM_CONVERSATION_UNCONNECTED);
        }
        retry_ms = retry_ms * 2 < MVM_HOST_RETRY_MAX_MS ? retry_ms * 2 : MVM_HOST_RETRY_MAX_MS;
    }
}

/* ---- hello ---- */

static void show_field(struct mvm_run *r, const char *name, struct mvm_text value)
{
    char text[1024];
    struct mvm_writer w;
    mvm_writer_init(&w, text, sizeof text);
    mvm_writer_add(&w, name);
    while (value.len > 0) { /* one line each, for any contents */
        char shown[MVM_VISIBLE_CAP];
        mvm_writer_add_text(&w, mvm_visible_next(&value, false, shown));
    }
    mvm_display_answer(&r->display, mvm_writer_finish(&w));
}

int mvm_run_hello(struct mvm_run *r)
{
    const struct mvm_message *m = &r->conversation.session.message;
    enum mvm_arrival how = open_conversation(r);
    if (how != MVM_CONVERSATION_ARRIVED) {
        return mvm_run_fail(r, how);
    }
    if (!r->conversation.agent.hello) {
        return unable(r, "this agent has no Hello");
    }
    mvm_display_frame(&r->display, m);
    show_field(r, "agent:    ", m->hello.agent);
    show_field(r, "boot:     ", m->hello.boot);
    show_field(r, "features: ", m->hello.features);
    return MVM_EXIT_OK;
}

/* ---- cancel ---- */

int mvm_run_cancel(struct mvm_run *r)
{
    const struct mvm_message cancel = {
        .kind = MVM_MESSAGE_CANCEL,
        .id = mvm_text_from(r->options->id),
    };
    const struct mvm_message *m = &r->conversation.session.message;
    enum mvm_arrival how = open_conversation(r);
    if (how == MVM_CONVERSATION_ARRIVED && !r->conversation.agent.cancel) {
        return unable(r, "this agent cannot cancel a build by its id");
    }
    if (how == MVM_CONVERSATION_ARRIVED) {
        how = mvm_conversation_ask(&r->conversation, &cancel, MVM_MESSAGE_CANCELLED);
    }
    if (how != MVM_CONVERSATION_ARRIVED) {
        return mvm_run_fail(r, how);
    }
    if (m->kind == MVM_MESSAGE_ERR) {
        return refused(r);
    }
    mvm_display_frame(&r->display, m);
    show_field(r, "", m->text);
    return mvm_text_equal(m->text, "unknown") ? MVM_EXIT_ERR : MVM_EXIT_OK;
}
