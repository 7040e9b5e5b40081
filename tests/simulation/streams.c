/* A client of builds without disks: it sends its source as it is asked for it, fetches what was
 * built, and drops it. What it knows of them is in the ledger. */
#include "peer.h"
#include <stdio.h>
#include <string.h>

enum { SOURCE_SMALL = 3000, SOURCE_LARGE = 70000, BUFFER_SMALL = 512 };

/* ---- StreamBuild ---- */

static uint32_t some_size(const struct peer *p, struct rng *c)
{
    bool large = p->client->session.memory.receive_cap >= BUFFER_SMALL && rng_one_in(c, 8);
    uint32_t small = rng_one_in(c, 8) ? 0 : rng_below(c, SOURCE_SMALL);
    return large ? SOURCE_LARGE + rng_below(c, SOURCE_LARGE / 2) : small;
}

void streams_draw_build(const struct peer *p, struct peer_world *w, struct ledger_build *b)
{
    if (w->streams && p->session.wire == MVM_WIRE_PROTO && !rng_one_in(w->rng, 4)) {
        b->stream = true;
        b->has_source = !rng_one_in(w->rng, 3);
        b->source_size = b->has_source ? some_size(p, w->rng) : 0;
    }
}

void streams_complete_build(struct mvm_message *m, const struct ledger_build *b)
{
    if (b->stream) {
        m->kind = MVM_MESSAGE_STREAM_BUILD;
        m->build.has_source = b->has_source;
        m->build.source_size = b->source_size;
    }
}

/* ---- Want and Source ---- */

static void receive_want(struct peer *p, const struct peer_world *w, const struct mvm_message *m)
{
    unsigned number = ledger_number(m->id);
    struct peer_build *b = named_find_build(p, number);
    if (b == NULL || !w->ledger->builds[number].has_source) {
        p->violation = "a Want for a build that is not the client's or has no source";
        return;
    }
    b->credit += m->bulk.length;
    b->silent = w->ledger->builds[number].source_size > SOURCE_SMALL &&
                p->client->session.memory.receive_cap < BUFFER_SMALL;
    if (b->credit > w->ledger->builds[number].source_size) {
        p->violation = "more of a source is asked for than there is";
    }
}

/* What a rude client does wrong, sometimes; then its build may end. */
static void spoil(struct peer *p, struct peer_world *w, struct peer_build *b, struct mvm_message *m)
{
    if (p->polite || !rng_one_in(w->rng, 16)) {
        return;
    }
    w->ledger->builds[b->number].cancelled = true;
    switch (rng_below(w->rng, 4)) {
    case 0:
        m->bulk.offset += rng_one_in(w->rng, 2) ? 1 : UINT64_MAX;
        break;
    case 1:
        m->bulk.last = MVM_FLAG_TRUE;
        break;
    case 2:
        m->text.len = LEDGER_SOURCE_MAX;
        break;
    default:
        b->silent = true;
        break;
    }
}

static void send_piece(struct peer *p, struct peer_world *w, struct peer_build *b)
{
    uint64_t size = w->ledger->builds[b->number].source_size;
    uint64_t n = 1 + rng_below(w->rng, LEDGER_SOURCE_MAX);
    n = p->polite ? LEDGER_SOURCE_MAX : n;
    n = n < b->credit - b->sent ? n : b->credit - b->sent;
    struct mvm_message m = {.kind = MVM_MESSAGE_SOURCE};
    ledger_id(b->number, p->text[0]);
    m.id = mvm_text_from(p->text[0]);
    m.text = (struct mvm_text){ledger_source(b->number, b->sent), (size_t)n};
    m.bulk.offset = b->sent;
    m.bulk.last = b->sent + n == size ? MVM_FLAG_TRUE : MVM_FLAG_ABSENT;
    spoil(p, w, b, &m);
    b->sent += n;
    mvm_session_send(&p->session, &m);
}

static bool send_source(struct peer *p, struct peer_world *w)
{
    for (int i = 0; i < PEER_BUILDS; i++) {
        struct peer_build *b = &p->named_builds[i];
        if (b->open && !b->silent && b->sent < b->credit) {
            send_piece(p, w, b);
            return true;
        }
    }
    return false;
}

/* ---- Get, Artifact, Drop ---- */

static size_t size_of(unsigned number, unsigned artifact)
{
    char text[LEDGER_TEXT_CAP];
    ledger_artifact_text(number, artifact, text);
    return strlen(text);
}

static void send_get(struct peer *p, struct peer_world *w, uint64_t length, const char *name)
{
    struct peer_get *g = &p->get;
    uint64_t size = size_of(g->number, g->artifact);
    struct mvm_message m = {.kind = MVM_MESSAGE_GET};
    g->asked = w->ledger->turn;
    g->end = length < size - g->at ? g->at + length : size;
    ledger_id(g->number, p->text[0]);
    m.id = mvm_text_from(p->text[0]);
    m.bulk.name = mvm_text_from(name);
    m.bulk.offset = g->bad == PEER_BAD_OFFSET ? size + 1 : g->at;
    m.bulk.length = length;
    mvm_session_send(&p->session, &m);
}

static void ask_get(struct peer *p, struct peer_world *w, unsigned number)
{
    struct rng *c = w->rng;
    if (p->get.open || named_find_build(p, number) != NULL) {
        return;
    }
    p->get = (struct peer_get){.open = true, .number = number};
    p->get.artifact = rng_below(c, LEDGER_ARTIFACTS);
    if (!p->polite && rng_one_in(c, 4)) {
        p->get.bad = rng_one_in(c, 2) ? PEER_BAD_OFFSET : PEER_BAD_NAME;
    }
    uint32_t size = (uint32_t)size_of(number, p->get.artifact);
    p->get.at = rng_below(c, size + 1);
    uint64_t length = rng_one_in(c, 2) ? UINT64_MAX : rng_below(c, size + 2);
    send_get(p, w, length,
             p->get.bad == PEER_BAD_NAME ? "../kernel" : ledger_artifacts[p->get.artifact]);
}

static void send_drop(struct peer *p, struct peer_world *w, unsigned number)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_DROP};
    ledger_drop(w->ledger, number);
    ledger_id(number, p->text[0]);
    m.id = mvm_text_from(p->text[0]);
    mvm_session_send(&p->session, &m);
}

void streams_act(struct peer *p, struct peer_world *w, unsigned number)
{
    if (number >= w->ledger->count || !w->ledger->builds[number].stream ||
        p->session.wire != MVM_WIRE_PROTO) {
        return;
    }
    if (!p->polite && rng_one_in(w->rng, 4)) {
        send_drop(p, w, number);
    } else {
        ask_get(p, w, number);
    }
}

/* A polite client fetches all that its build has made, and then drops it. */
static bool fetch(struct peer *p, struct peer_world *w)
{
    if (p->fetches == 0 || p->get.open) {
        return false;
    }
    unsigned number = p->fetches - 1, next = p->fetched++;
    while (next < LEDGER_ARTIFACTS && w->missing[next]) {
        next = p->fetched++;
    }
    if (next < LEDGER_ARTIFACTS) {
        p->get = (struct peer_get){.open = true, .number = number, .artifact = next};
        send_get(p, w, UINT64_MAX, ledger_artifacts[next]);
        return true;
    }
    p->fetches = 0;
    send_drop(p, w, number);
    return true;
}

bool streams_move(struct peer *p, struct peer_world *w)
{
    return mvm_session_can_send(&p->session) && (send_source(p, w) || fetch(p, w));
}

/* ---- what it hears ---- */

static unsigned artifact_of(struct mvm_text name)
{
    unsigned i = 0;
    while (i < LEDGER_ARTIFACTS && !mvm_text_equal(name, ledger_artifacts[i])) {
        i++;
    }
    return i;
}

void streams_receive_ok(struct peer *p, const struct peer_world *w, const struct mvm_message *m)
{
    unsigned number = ledger_number(m->id), seen = 0;
    struct mvm_text list = m->artifacts;
    struct mvm_artifact_item item;
    while (mvm_proto_next_artifact(&list, &item)) {
        unsigned i = artifact_of(item.name);
        if (i == LEDGER_ARTIFACTS || w->missing[i] || item.size != size_of(number, i)) {
            p->violation = "an artifact is listed that the build has not made";
        }
        seen++;
    }
    unsigned made = 0;
    for (unsigned i = 0; i < LEDGER_ARTIFACTS; i++) {
        made += !w->missing[i];
    }
    if (seen != made && !w->troubled) {
        p->violation = "the list of artifacts is not whole";
    }
    if (p->polite && p->fetches == 0) {
        p->fetches = number + 1;
        p->fetched = 0;
    }
}

static void receive_artifact(struct peer *p, const struct mvm_message *m)
{
    struct peer_get *g = &p->get;
    char text[LEDGER_TEXT_CAP];
    ledger_artifact_text(g->number, g->artifact, text);
    if (!g->open || g->bad != 0 || ledger_number(m->id) != g->number ||
        artifact_of(m->bulk.name) != g->artifact) {
        p->violation = "an artifact that was not asked for";
    } else if (m->bulk.offset != g->at || m->text.len > g->end - g->at ||
               (m->text.len > 0 && memcmp(m->text.bytes, text + g->at, m->text.len) != 0)) {
        p->violation = "an artifact's bytes are not its own";
    } else {
        g->at += m->text.len;
        g->open = m->bulk.last != MVM_FLAG_TRUE;
        if (!g->open && g->at != g->end) {
            p->violation = "an artifact ends before all of it came";
        }
    }
}

bool streams_receive(struct peer *p, struct peer_world *w)
{
    const struct mvm_message *m = &p->session.message;
    if (m->kind == MVM_MESSAGE_WANT) {
        receive_want(p, w, m);
    } else if (m->kind == MVM_MESSAGE_ARTIFACT) {
        receive_artifact(p, m);
    }
    return m->kind == MVM_MESSAGE_WANT || m->kind == MVM_MESSAGE_ARTIFACT;
}

/* Whether this refusal of a Get may be. */
static bool may_refuse(const struct peer *p, const struct peer_world *w, struct mvm_text category)
{
    const struct peer_get *g = &p->get;
    const struct ledger_build *truth = &w->ledger->builds[g->number];
    if (mvm_text_equal(category, "unknown_id")) {
        return truth->ok_turn == 0 || truth->ok_turn >= g->asked || truth->drop_turn != 0;
    }
    if (mvm_text_equal(category, "invalid_request")) {
        return g->bad != 0 || w->missing[g->artifact] || w->troubled;
    }
    if (mvm_text_equal(category, "rejected")) {
        return p->client->session.memory.send_cap < BUFFER_SMALL;
    }
    return mvm_text_equal(category, "internal") && w->troubled;
}

bool streams_receive_refusal(struct peer *p, const struct peer_world *w,
                             const struct mvm_message *m)
{
    if (!p->get.open || ledger_number(m->refusal.refused) != p->get.number) {
        return false;
    }
    if (!may_refuse(p, w, m->refusal.category)) {
        p->violation = "what is held cannot be fetched";
    }
    p->get.open = false;
    return true;
}
