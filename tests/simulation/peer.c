#include "peer.h"
#include <stdio.h>
#include <string.h>

/* ---- life ---- */

static size_t some_buffer(struct rng *c)
{
    return rng_one_in(c, 2) ? PEER_BUFFER_MAX : 1 + rng_below(c, PEER_BUFFER_MAX);
}

/* Builds without disks are asked for on one of them alone. */
static enum mvm_wire some_wire(const struct peer *p, struct peer_world *w)
{
    bool proto = mvm_proto_present && !p->line &&
                 (rng_one_in(w->rng, 2) || (w->streams && !rng_one_in(w->rng, 4)));
    return proto ? MVM_WIRE_PROTO : MVM_WIRE_JSON;
}

static void begin_session(struct peer *p, struct peer_world *w)
{
    struct mvm_session_memory ours = {p->in[1],           PEER_BUFFER_MAX,
                                      p->out[1],          PEER_BUFFER_MAX,
                                      p->response_fields, sizeof p->response_fields};
    mvm_session_init(&p->session, MVM_DIRECTION_RESPONSES, &ours);
    mvm_session_speak(&p->session, some_wire(p, w));
}

/* An agent without Hello would answer with a parse error, and the client would continue without
 * ids: it does so here too. */
static void greet_in_vain(struct peer *p)
{
    static const char greeting[] = "{\"Hullo\":{\"nonce\":\"1\"}}\n";
    size_t room, len = sizeof greeting - 1;
    uint8_t *place = mvm_session_room(&p->client->session, &room);
    if (p->session.wire == MVM_WIRE_JSON && room >= len) {
        memcpy(place, greeting, len);
        mvm_session_received(&p->client->session, len);
        p->bad_frames++;
    }
}

bool peer_connect(struct peer *p, struct peer_world *w)
{
    struct rng *c = w->rng;
    struct mvm_session_memory theirs = {p->in[0],          some_buffer(c),
                                        p->out[0],         some_buffer(c),
                                        p->request_fields, sizeof p->request_fields};
    bool line = p->line;
    memset(p, 0, offsetof(struct peer, in));
    p->line = line;
    p->client = mvm_scheduler_attach(w->scheduler, &theirs, w->now_ms);
    if (p->client == NULL) {
        return false;
    }
    p->client->permanent = line;
    p->named = line || rng_one_in(c, 2) || (w->streams && !rng_one_in(c, 4));
    begin_session(p, w);
    p->polite = rng_one_in(c, 3);
    p->actions = rng_below(c, p->named ? 12 : 7);
    p->act_ms = w->now_ms + rng_below(c, 2000);
    named_begin(p);
    if (!p->named && rng_one_in(c, 3)) {
        greet_in_vain(p);
    }
    return true;
}

static void leave(struct peer *p, struct peer_world *w)
{
    named_leave(p, w->ledger);
    mvm_scheduler_detach(w->scheduler, p->client);
    p->client = NULL;
    p->gone = true;
    if (rng_one_in(w->rng, 2)) {
        p->back_ms = w->now_ms + 1 + rng_below(w->rng, 8000);
    }
}

/* Sometimes the line reports that its host has gone; then earlier bytes on it are dropped. */
void peer_change_hosts(struct peer *p, struct peer_world *w)
{
    unsigned hosts = p->hosts + 1, actions = p->actions;
    uint64_t act_ms = p->act_ms;
    struct mvm_client *client = p->client;
    named_leave(p, w->ledger);
    if (rng_one_in(w->rng, 4)) {
        mvm_scheduler_hung_up(w->scheduler, client);
    }
    memset(p, 0, offsetof(struct peer, in));
    p->client = client;
    p->hosts = hosts;
    p->actions = actions;
    p->act_ms = act_ms;
    p->polite = rng_one_in(w->rng, 3);
    p->named = p->line = true;
    begin_session(p, w);
    named_begin(p);
}

/* ---- what it does ---- */

struct mvm_text peer_some_flake(struct rng *c)
{
    static const char *const flakes[] = {"path:/f",  "path:/f", "/build-in",
                                         "--option", "a#b",     "\x01"};
    return mvm_text_from(flakes[rng_below(c, sizeof flakes / sizeof flakes[0])]);
}

static bool ask_anonymous(struct peer *p, struct peer_world *w, struct mvm_text flake_ref)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_BUILD, .build = {.flake_ref = flake_ref}};
    if (!mvm_session_can_send(&p->session)) {
        return false;
    }
    unsigned n = ledger_add(w->ledger, false);
    if (n == LEDGER_MAX) {
        return false;
    }
    w->ledger->builds[n].rude = !p->polite;
    snprintf(p->text[0], sizeof p->text[0], "n%u", n);
    m.build.attr = mvm_text_from(p->text[0]);
    m.build.has_timeout = true;
    m.build.timeout_secs = 10;
    mvm_session_send(&p->session, &m);
    p->builds++;
    return true;
}

bool peer_ask_build(struct peer *p, struct peer_world *w, struct mvm_text flake_ref)
{
    return p->named ? named_ask_build(p, w, flake_ref) : ask_anonymous(p, w, flake_ref);
}

bool peer_ask_ping(struct peer *p)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_PING};
    if (!mvm_session_can_send(&p->session)) {
        return false;
    }
    mvm_session_send(&p->session, &m);
    p->pings++;
    return true;
}

/* Invalid frames bypass this side's encoder and go straight to the scheduler, between two frames.
 * None of them makes the protobuf wire lose its framing: that would end the connection. */
static void send_nonsense(struct peer *p, struct rng *c)
{
#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
    static const struct mvm_text lines[] = {
        BYTES("nonsense\n"),
        BYTES("{\"Build\":{}}\n"),
        BYTES("{\"Build\":{\"flake_ref\":\"f\",\"attr\":1}}\n"),
        BYTES("\"Pong\"\n"),
        BYTES("{\"Join\":{}}\n"),
        BYTES("[[[[]\n"),
        BYTES("\xff\xfe\n"),
    };
    static const struct mvm_text frames[] = {
        BYTES("\1\0\0\0\1x"),          /* compressed */
        BYTES("\0\0\0\0\2\x12\1"),     /* a Ping longer than its frame */
        BYTES("\0\0\0\0\0"),           /* empty */
        BYTES("\0\0\0\0\3\x0a\1\xff"), /* a Build of half a tag */
    };
#undef BYTES
    bool json = p->session.wire == MVM_WIRE_JSON;
    struct mvm_text bytes = json ? lines[rng_below(c, sizeof lines / sizeof lines[0])]
                                 : frames[rng_below(c, sizeof frames / sizeof frames[0])];
    size_t room;
    uint8_t *place = mvm_session_room(&p->client->session, &room);
    bool first_decides = p->client->session.wire == MVM_WIRE_OPEN && !json;
    if (mvm_session_flushed(&p->session) && room >= bytes.len && !first_decides) {
        memcpy(place, bytes.bytes, bytes.len);
        mvm_session_received(&p->client->session, bytes.len);
        p->bad_frames++;
    }
}

static void act_rudely(struct peer *p, struct peer_world *w)
{
    switch (rng_below(w->rng, 5)) {
    case 0:
        send_nonsense(p, w->rng);
        break;
    case 1:
        p->reads_ms = w->now_ms + 1000 * (uint64_t)rng_below(w->rng, 100);
        break;
    case 2:
        p->half_closed = !p->line;
        break;
    case 3:
        if (p->line) {
            peer_change_hosts(p, w);
        } else {
            leave(p, w);
        }
        break;
    default:
        peer_ask_ping(p);
        break;
    }
}

static void act(struct peer *p, struct peer_world *w)
{
    uint32_t what = rng_below(w->rng, 6);
    p->actions--;
    p->act_ms = w->now_ms + (rng_one_in(w->rng, 2) ? 0 : rng_below(w->rng, 8000));
    if (what == 0) {
        peer_ask_ping(p);
    } else if (what < 3) {
        peer_ask_build(p, w, peer_some_flake(w->rng));
    } else if (what < 5 && p->named) {
        named_act(p, w);
    } else if (!p->polite) {
        act_rudely(p, w);
    }
}

static bool come_back(struct peer *p, struct peer_world *w)
{
    if (p->client != NULL || p->back_ms == 0 || w->now_ms < p->back_ms) {
        return false;
    }
    p->back_ms = 0;
    const char *violation = p->violation;
    bool connected = peer_connect(p, w);
    p->gone = !connected;
    p->violation = violation;
    return connected;
}

bool peer_act(struct peer *p, struct peer_world *w)
{
    if (p->client != NULL && p->goes_ms != 0 && w->now_ms >= p->goes_ms) {
        leave(p, w);
        return true;
    }
    if (come_back(p, w)) {
        return true;
    }
    if (p->client == NULL || p->actions == 0 || w->now_ms < p->act_ms || p->half_closed) {
        return false;
    }
    act(p, w);
    return true;
}

uint64_t peer_deadline(const struct peer *p, uint64_t now_ms)
{
    uint64_t at = UINT64_MAX;
    if (p->client == NULL) {
        return p->back_ms != 0 ? p->back_ms : at;
    }
    if (p->actions > 0 && !p->half_closed) {
        at = p->act_ms;
    }
    if (p->goes_ms != 0 && p->goes_ms < at) {
        at = p->goes_ms;
    }
    return p->reads_ms > now_ms && p->reads_ms < at ? p->reads_ms : at;
}

/* ---- what a client without ids receives ---- */

static bool all_lines(const struct peer *p, uint32_t lines)
{
    return lines == PEER_ANY_LINES || p->next_line == lines;
}

static void receive_err(struct peer *p, struct mvm_text message, uint32_t lines)
{
    if (mvm_text_begins(message, "parse error: ")) {
        p->parse_errors++;
        return;
    }
    p->errs++;
    if (mvm_text_begins(message, "nix build failed (exit status") && !all_lines(p, lines)) {
        p->violation = "a build that was not cancelled is answered before all of its lines";
    }
    if (!mvm_text_begins(message, "build rejected: queue full")) {
        p->next_line = 0;
    }
}

/* Its builds are answered in the order in which it asked. */
static void receive_ok(struct peer *p, struct mvm_text path, uint32_t lines)
{
    char expected[LEDGER_PATH_CAP];
    unsigned n = p->last_ok;
    do {
        ledger_path(n, expected);
    } while (!mvm_text_equal(path, expected) && ++n < LEDGER_MAX);
    p->oks++;
    p->last_ok = n + 1;
    if (n == LEDGER_MAX) {
        p->violation = "Ok is another build's";
    }
    if (!all_lines(p, lines)) {
        p->violation = "Ok comes before all lines";
    }
    p->next_line = 0;
}

/* Numbered lines are "line N"; others are nix's path, notes and heartbeats. */
static void receive_line(struct peer *p, struct mvm_text line, uint32_t lines)
{
    unsigned number = 0;
    if (!mvm_text_begins(line, "line ")) {
        return;
    }
    for (size_t i = 5; i < line.len; i++) {
        number = number * 10 + (unsigned)(line.bytes[i] - '0');
    }
    if (number != p->next_line && lines != PEER_ANY_LINES) {
        p->violation = "a line is lost, twice or out of order";
    }
    p->next_line++;
}

static bool has_new_fields(const struct mvm_message *m)
{
    return m->id.bytes != NULL || (m->kind == MVM_MESSAGE_LOG && m->beat != MVM_FLAG_ABSENT) ||
           (m->kind == MVM_MESSAGE_ERR &&
            (m->refusal.refused.bytes != NULL || m->refusal.category.bytes != NULL));
}

static void receive_as_usual(struct peer *p, uint32_t lines)
{
    const struct mvm_message *m = &p->session.message;
    if (has_new_fields(m)) {
        p->violation = "an old client gets a new field";
    }
    switch (m->kind) {
    case MVM_MESSAGE_PONG:
        p->pongs++;
        break;
    case MVM_MESSAGE_LOG:
        receive_line(p, m->text, lines);
        break;
    case MVM_MESSAGE_OK:
        receive_ok(p, m->text, lines);
        break;
    case MVM_MESSAGE_ERR:
        receive_err(p, m->text, lines);
        break;
    case MVM_MESSAGE_PING:
    case MVM_MESSAGE_BUILD:
    case MVM_MESSAGE_HELLO:
    case MVM_MESSAGE_JOIN:
    case MVM_MESSAGE_CANCEL:
    case MVM_MESSAGE_STREAM_BUILD:
    case MVM_MESSAGE_SOURCE:
    case MVM_MESSAGE_GET:
    case MVM_MESSAGE_DROP:
        p->violation = "a request comes from the agent";
        break;
    case MVM_MESSAGE_WELCOME:
    case MVM_MESSAGE_CANCELLED:
    case MVM_MESSAGE_WANT:
    case MVM_MESSAGE_ARTIFACT:
        p->violation = "an old client gets a new variant";
        break;
    }
    if (p->pongs > p->pings || p->oks + p->errs > p->builds || p->parse_errors > p->bad_frames) {
        p->violation = "an answer without a request";
    }
}

/* ---- bytes ---- */

static size_t some_bytes(struct peer *p, struct rng *c, size_t max)
{
    if (p->polite || rng_one_in(c, 2)) {
        return max;
    }
    return 1 + rng_below(c, (uint32_t)(max < 65536 ? max : 65536));
}

static bool carry(struct peer *p, struct rng *c, struct mvm_session *from, struct mvm_session *to)
{
    size_t len, room;
    const uint8_t *bytes = mvm_session_bytes(from, &len);
    uint8_t *place = mvm_session_room(to, &room);
    if (bytes == NULL || place == NULL) {
        return false;
    }
    size_t n = some_bytes(p, c, len < room ? len : room);
    memcpy(place, bytes, n);
    mvm_session_received(to, n);
    mvm_session_sent(from, n);
    return true;
}

static bool take(struct peer *p, struct peer_world *w)
{
    bool taken = false;
    for (;;) {
        switch (mvm_session_next(&p->session)) {
        case MVM_SESSION_MESSAGE:
            if (p->named) {
                named_receive(p, w);
            } else {
                receive_as_usual(p, w->lines);
            }
            taken = true;
            break;
        case MVM_SESSION_BAD_FRAME:
            /* The end of a frame whose beginning the former host received. */
            if (!p->line || p->welcomed) {
                p->violation = "what the agent sent is not a frame";
            }
            taken = true;
            break;
        case MVM_SESSION_NOTHING:
        case MVM_SESSION_ENDED:
            return taken;
        }
    }
}

bool peer_move(struct peer *p, struct peer_world *w)
{
    if (p->client == NULL) {
        return false;
    }
    bool moved = streams_move(p, w);
    moved = carry(p, w->rng, &p->session, &p->client->session) || moved;
    if (p->half_closed && !p->ended && mvm_session_flushed(&p->session)) {
        mvm_session_peer_ended(&p->client->session);
        p->ended = moved = true;
    }
    if (w->now_ms >= p->reads_ms) {
        moved = carry(p, w->rng, &p->client->session, &p->session) || moved;
        moved = take(p, w) || moved;
    }
    return moved;
}

const char *peer_missing(const struct peer *p)
{
    if (p->violation != NULL) {
        return p->violation;
    }
    if (p->gone || p->client == NULL) {
        return NULL;
    }
    return p->pongs != p->pings               ? "a Ping has no Pong"
           : p->oks + p->errs != p->builds    ? "a Build has no answer"
           : p->parse_errors != p->bad_frames ? "a bad frame has no Err"
           : p->named                         ? named_missing(p)
                                              : NULL;
}
