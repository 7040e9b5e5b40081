/* A client that sends Hello and names its builds: what it requests, and what it may receive. */
#include "peer.h"
#include <stdio.h>
#include <string.h>

/* ---- Hello ---- */

/* Its first bytes. The line may hold an incomplete frame of its former host: a line feed ends that.
 * The resulting bad frame is the former host's. */
void named_begin(struct peer *p)
{
    if (!p->named) {
        return;
    }
    if (p->line) {
        p->session.memory.send[p->session.send_end++] = '\n';
    }
    struct mvm_message m = {.kind = MVM_MESSAGE_HELLO};
    snprintf(p->text[0], sizeof p->text[0], "host %u", p->hosts);
    m.hello.nonce = mvm_text_from(p->text[0]);
    mvm_session_send(&p->session, &m);
}

static void receive_welcome(struct peer *p, const struct mvm_message *m)
{
    char nonce[64];
    snprintf(nonce, sizeof nonce, "host %u", p->hosts);
    if (mvm_text_equal(m->hello.nonce, nonce)) {
        p->violation = p->welcomed ? "a second Welcome" : p->violation;
        p->welcomed = true;
    } else if (!p->line || p->welcomed) {
        p->violation = "a Welcome for another";
    }
}

/* ---- its builds ---- */

struct peer_build *named_find_build(struct peer *p, unsigned number)
{
    for (int i = 0; i < PEER_BUILDS; i++) {
        if (p->named_builds[i].open && p->named_builds[i].number == number) {
            return &p->named_builds[i];
        }
    }
    return NULL;
}

static bool open_build(struct peer *p, struct peer_world *w, unsigned number, bool joined)
{
    for (int i = 0; i < PEER_BUILDS; i++) {
        if (!p->named_builds[i].open) {
            p->named_builds[i] = (struct peer_build){.number = number,
                                                     .open = true,
                                                     .joined = joined,
                                                     .counts = !joined,
                                                     .asked = w->ledger->turn};
            w->ledger->builds[number].rude = w->ledger->builds[number].rude || !p->polite;
            return true;
        }
    }
    return false;
}

bool named_send_build(struct peer *p, struct peer_world *w, struct mvm_text flake_ref,
                      unsigned number)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_BUILD, .build = {.flake_ref = flake_ref}};
    if (!open_build(p, w, number, false)) {
        return false;
    }
    ledger_id(number, p->text[0]);
    snprintf(p->text[1], sizeof p->text[1], "n%u", number);
    m.id = mvm_text_from(p->text[0]);
    m.build.attr = mvm_text_from(p->text[1]);
    m.build.has_timeout = true;
    m.build.timeout_secs = 10;
    m.build.keep = w->ledger->builds[number].keep;
    streams_complete_build(&m, &w->ledger->builds[number]);
    mvm_session_send(&p->session, &m);
    return true;
}

/* Before its Hello is answered it does not know whether it may. */
bool named_ask_build(struct peer *p, struct peer_world *w, struct mvm_text flake_ref)
{
    if (!mvm_session_can_send(&p->session) || (!p->welcomed && !p->polite)) {
        return false;
    }
    unsigned number = ledger_add(w->ledger, true);
    if (number == LEDGER_MAX) {
        return false;
    }
    w->ledger->builds[number].keep = (uint8_t)rng_below(w->rng, 3); /* absent, false, true */
    streams_draw_build(p, w, &w->ledger->builds[number]);
    return named_send_build(p, w, flake_ref, number);
}

/* ---- Join, Cancel, an id that is taken ---- */

static unsigned some_build(struct peer_world *w)
{
    return w->ledger->count == 0 ? LEDGER_MAX - 1 : rng_below(w->rng, w->ledger->count);
}

static void send_id(struct peer *p, enum mvm_kind kind, unsigned number)
{
    struct mvm_message m = {.kind = kind};
    ledger_id(number, p->text[0]);
    m.id = mvm_text_from(p->text[0]);
    mvm_session_send(&p->session, &m);
}

static void ask_cancel(struct peer *p, struct peer_world *w, unsigned number)
{
    if (p->cancels - p->cancelled == PEER_CANCELS) {
        return;
    }
    p->cancel_of[p->cancels++ % PEER_CANCELS] = number;
    w->ledger->builds[number].cancelled = true;
    send_id(p, MVM_MESSAGE_CANCEL, number);
}

void named_act(struct peer *p, struct peer_world *w)
{
    unsigned number = some_build(w);
    if (!mvm_session_can_send(&p->session) || !p->welcomed) {
        return;
    }
    if (w->streams && rng_one_in(w->rng, 2)) {
        streams_act(p, w, number);
        return;
    }
    switch (rng_below(w->rng, 4)) {
    case 0:
        if (!p->polite && w->ledger->builds[number].has_id && !w->ledger->builds[number].stream &&
            named_find_build(p, number) == NULL) {
            named_send_build(p, w, mvm_text_from("path:/f"), number);
        }
        break;
    case 1:
        if (!p->polite) {
            ask_cancel(p, w, number);
        }
        break;
    default:
        if (named_find_build(p, number) == NULL && !p->get.open && open_build(p, w, number, true)) {
            /* what another has sent of a source is lost */
            w->ledger->builds[number].cancelled |= w->ledger->builds[number].has_source;
            send_id(p, MVM_MESSAGE_JOIN, number);
        }
        break;
    }
}

void named_leave(struct peer *p, struct ledger *l)
{
    for (int i = 0; i < PEER_BUILDS; i++) {
        struct ledger_build *b = &l->builds[p->named_builds[i].number];
        bool ends = b->keep != MVM_FLAG_TRUE || b->has_source;
        b->cancelled = b->cancelled || (p->named_builds[i].open && ends);
    }
}

/* ---- what it receives ---- */

static void receive_first(struct peer *p, struct peer_build *b, const struct mvm_message *m)
{
    if (m->text.len > 0 || m->beat != MVM_FLAG_TRUE) {
        p->violation = "the first frame of a build is not its acceptance";
    }
    b->accepted = true;
}

static void receive_line(struct peer *p, struct peer_build *b, struct mvm_text line, uint32_t lines)
{
    unsigned number = 0;
    if (!mvm_text_begins(line, "line ")) {
        return;
    }
    for (size_t i = 5; i < line.len; i++) {
        number = number * 10 + (unsigned)(line.bytes[i] - '0');
    }
    if (b->counts && number != b->next_line && lines != PEER_ANY_LINES) {
        p->violation = "a line is lost, twice or out of order";
    }
    b->counts = true;
    b->next_line = number + 1;
}

static void receive_log(struct peer *p, const struct mvm_message *m, uint32_t lines)
{
    struct peer_build *b = named_find_build(p, ledger_number(m->id));
    if (b == NULL) {
        p->violation = "a line of a build that is not the client's";
    } else if (!b->accepted) {
        receive_first(p, b, m);
    } else if (m->beat == MVM_FLAG_ABSENT) {
        receive_line(p, b, m->text, lines);
    } else if (m->text.len > 0) {
        p->violation = "a heartbeat that says something";
    }
}

/* An answer that was true when the client asked may be untrue when it arrives. */
static bool was_true(const struct peer_build *b, const struct ledger *l)
{
    const struct ledger_build *truth = &l->builds[b->number];
    return truth->ok &&
           (truth->stream || truth->superseded_turn == 0 || truth->superseded_turn >= b->asked);
}

static void receive_ok(struct peer *p, struct peer_world *w, const struct mvm_message *m)
{
    struct peer_build *b = named_find_build(p, ledger_number(m->id));
    char expected[LEDGER_PATH_CAP];
    if (b == NULL) {
        p->violation = "Ok for a build that is not the client's";
        return;
    }
    ledger_path(b->number, expected);
    if (!mvm_text_equal(m->text, expected)) {
        p->violation = "Ok is another build's";
    } else if (!b->joined && !b->accepted) {
        p->violation = "Ok comes before its build is accepted";
    } else if (!was_true(b, w->ledger)) {
        p->violation = "a kept Ok is no longer true";
    } else if (b->counts && b->accepted && w->lines != PEER_ANY_LINES && b->next_line != w->lines) {
        p->violation = "Ok comes before all lines";
    } else if (w->ledger->builds[b->number].stream && p->session.wire == MVM_WIRE_PROTO) {
        streams_receive_ok(p, w, m);
    }
    b->open = false;
}

static void receive_end(struct peer *p, struct peer_world *w, const struct mvm_message *m)
{
    struct peer_build *b = named_find_build(p, ledger_number(m->id));
    if (b == NULL) {
        p->violation = "an Err for a build that is not the client's";
        return;
    }
    const struct ledger_build *truth = &w->ledger->builds[b->number];
    if (mvm_text_equal(m->refusal.category, "superseded") && truth->superseded_turn == 0 &&
        truth->drop_turn == 0) {
        p->violation = "a kept Ok was superseded by nothing";
    }
    b->open = false;
}

static void receive_refusal(struct peer *p, const struct peer_world *w, const struct mvm_message *m)
{
    struct peer_build *b = named_find_build(p, ledger_number(m->refusal.refused));
    bool conflict = mvm_text_equal(m->refusal.category, "id_conflict");
    if (b == NULL && streams_receive_refusal(p, w, m)) {
        return;
    }
    if (b == NULL || b->accepted || conflict == b->joined) {
        p->violation = "a refusal of what was not asked for";
        return;
    }
    b->open = false;
}

static void receive_err(struct peer *p, struct peer_world *w, const struct mvm_message *m)
{
    if (m->refusal.refused.bytes != NULL) {
        receive_refusal(p, w, m);
    } else if (m->id.bytes != NULL) {
        receive_end(p, w, m);
    } else if (mvm_text_begins(m->text, "parse error: ")) {
        p->parse_errors++;
    } else {
        p->violation = "an Err that names no build";
    }
    if ((m->id.bytes != NULL || m->refusal.refused.bytes != NULL) && m->refusal.category.len == 0) {
        p->violation = "an Err without a category";
    }
}

static void receive_cancelled(struct peer *p, const struct mvm_message *m)
{
    if (p->cancelled == p->cancels ||
        ledger_number(m->id) != p->cancel_of[p->cancelled++ % PEER_CANCELS]) {
        p->violation = "a Cancelled that was not asked for";
    }
}

/* On a line, frames before its own Hello's answer are for others. */
void named_receive(struct peer *p, struct peer_world *w)
{
    const struct mvm_message *m = &p->session.message;
    if (m->kind == MVM_MESSAGE_WELCOME) {
        receive_welcome(p, m);
    } else if (p->line && !p->welcomed) {
        return;
    } else if (m->kind == MVM_MESSAGE_PONG) {
        p->pongs++;
    } else if (m->kind == MVM_MESSAGE_LOG) {
        receive_log(p, m, w->lines);
    } else if (m->kind == MVM_MESSAGE_OK) {
        receive_ok(p, w, m);
    } else if (m->kind == MVM_MESSAGE_ERR) {
        receive_err(p, w, m);
    } else if (m->kind == MVM_MESSAGE_CANCELLED) {
        receive_cancelled(p, m);
    } else if (!streams_receive(p, w)) {
        p->violation = "a request comes from the agent";
    }
    if (p->pongs > p->pings || p->parse_errors > p->bad_frames) {
        p->violation = "an answer without a request";
    }
}

const char *named_missing(const struct peer *p)
{
    for (int i = 0; i < PEER_BUILDS; i++) {
        if (p->named_builds[i].open) {
            return p->named_builds[i].joined ? "a Join has no answer" : "a Build has no answer";
        }
    }
    return !p->welcomed                 ? "a Hello has no answer"
           : p->cancels != p->cancelled ? "a Cancel has no answer"
           : p->get.open                ? "a Get has no answer"
                                        : NULL;
}
