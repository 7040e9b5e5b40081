#include "peer.h"
#include <string.h>

/* ---- life ---- */

static size_t some_buffer(struct chance *c)
{
    return chance_one_in(c, 2) ? PEER_BUFFER_MAX : 1 + chance_below(c, PEER_BUFFER_MAX);
}

static enum mvm_wire some_wire(struct chance *c)
{
    return mvm_proto_present && chance_one_in(c, 2) ? MVM_WIRE_PROTO : MVM_WIRE_JSON;
}

bool peer_connect(struct peer *p, struct mvm_scheduler *v, struct chance *c, uint64_t now_ms)
{
    struct mvm_session_memory theirs = {p->in[0],          some_buffer(c),
                                        p->out[0],         some_buffer(c),
                                        p->request_fields, sizeof p->request_fields};
    struct mvm_session_memory ours = {p->in[1],           PEER_BUFFER_MAX,
                                      p->out[1],          PEER_BUFFER_MAX,
                                      p->response_fields, sizeof p->response_fields};
    memset(p, 0, offsetof(struct peer, in));
    p->client = mvm_scheduler_attach(v, &theirs, now_ms);
    if (p->client == NULL) {
        return false;
    }
    mvm_session_init(&p->session, MVM_DIRECTION_RESPONSES, &ours);
    mvm_session_speak(&p->session, some_wire(c));
    p->polite = chance_one_in(c, 3);
    p->actions = chance_below(c, 7);
    p->act_ms = now_ms + chance_below(c, 2000);
    return true;
}

static void leave(struct peer *p, struct mvm_scheduler *v)
{
    mvm_scheduler_detach(v, p->client);
    p->client = NULL;
    p->gone = true;
}

/* ---- what it does ---- */

bool peer_ask_build(struct peer *p, struct mvm_text flake_ref)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_BUILD,
                            .build = {.flake_ref = flake_ref, .attr = mvm_text_from("a")}};
    if (!mvm_session_can_send(&p->session)) {
        return false;
    }
    m.build.has_timeout = true;
    m.build.timeout_secs = 10;
    mvm_session_send(&p->session, &m);
    p->builds++;
    return true;
}

static void ask_ping(struct peer *p)
{
    struct mvm_message m = {.kind = MVM_MESSAGE_PING};
    if (mvm_session_can_send(&p->session)) {
        mvm_session_send(&p->session, &m);
        p->pings++;
    }
}

/* Nonsense goes past this side's encoder, straight to the service: between two frames. */
static void send_nonsense(struct peer *p, struct chance *c)
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
    struct mvm_text bytes = json ? lines[chance_below(c, sizeof lines / sizeof lines[0])]
                                 : frames[chance_below(c, sizeof frames / sizeof frames[0])];
    size_t room;
    uint8_t *place = mvm_session_room(&p->client->session, &room);
    bool first_decides = p->client->session.wire == MVM_WIRE_OPEN && !json;
    if (mvm_session_flushed(&p->session) && room >= bytes.len && !first_decides) {
        memcpy(place, bytes.bytes, bytes.len);
        mvm_session_received(&p->client->session, bytes.len);
        p->bad_frames++;
    }
}

static struct mvm_text some_flake(struct chance *c)
{
    static const char *const flakes[] = {"path:/f",  "path:/f", "/build-in",
                                         "--option", "a#b",     "\x01"};
    return mvm_text_from(flakes[chance_below(c, sizeof flakes / sizeof flakes[0])]);
}

static void act_rudely(struct peer *p, struct mvm_scheduler *v, struct chance *c, uint64_t now_ms)
{
    switch (chance_below(c, 5)) {
    case 0:
        send_nonsense(p, c);
        break;
    case 1:
        p->reads_ms = now_ms + 1000 * (uint64_t)chance_below(c, 100);
        break;
    case 2:
        p->half_closed = true;
        break;
    case 3:
        leave(p, v);
        break;
    default:
        ask_ping(p);
        break;
    }
}

bool peer_act(struct peer *p, struct mvm_scheduler *v, struct chance *c, uint64_t now_ms)
{
    if (p->client != NULL && p->goes_ms != 0 && now_ms >= p->goes_ms) {
        leave(p, v);
        return true;
    }
    if (p->client == NULL || p->actions == 0 || now_ms < p->act_ms || p->half_closed) {
        return false;
    }
    p->actions--;
    p->act_ms = now_ms + (chance_one_in(c, 2) ? 0 : chance_below(c, 8000));
    uint32_t what = chance_below(c, 4);
    if (what == 0) {
        ask_ping(p);
    } else if (what < 3) {
        peer_ask_build(p, some_flake(c));
    } else if (!p->polite) {
        act_rudely(p, v, c, now_ms);
    }
    return true;
}

uint64_t peer_deadline(const struct peer *p, uint64_t now_ms)
{
    uint64_t at = UINT64_MAX;
    if (p->client == NULL) {
        return at;
    }
    if (p->actions > 0 && !p->half_closed) {
        at = p->act_ms;
    }
    if (p->goes_ms != 0 && p->goes_ms < at) {
        at = p->goes_ms;
    }
    return p->reads_ms > now_ms && p->reads_ms < at ? p->reads_ms : at;
}

/* ---- what it hears ---- */

static bool all_lines(const struct peer *p, uint32_t lines)
{
    return lines == PEER_ANY_LINES || p->next_line == lines;
}

static void hear_err(struct peer *p, struct mvm_text message, uint32_t lines)
{
    if (mvm_text_begins(message, "parse error: ")) {
        p->parse_errors++;
        return;
    }
    p->errs++;
    if (mvm_text_begins(message, "nix build failed (exit status") && !all_lines(p, lines)) {
        p->violation = "a build that ended by itself is answered before all of its lines";
    }
    if (!mvm_text_begins(message, "build rejected: queue full")) {
        p->next_line = 0;
    }
}

/* Numbered lines are "line N"; others are nix's path, notes and heartbeats. */
static void hear_line(struct peer *p, struct mvm_text line, uint32_t lines)
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

static void hear(struct peer *p, uint32_t lines)
{
    const struct mvm_message *m = &p->session.message;
    switch (m->kind) {
    case MVM_MESSAGE_PONG:
        p->pongs++;
        break;
    case MVM_MESSAGE_LOG:
        hear_line(p, m->text, lines);
        break;
    case MVM_MESSAGE_OK:
        p->oks++;
        if (!all_lines(p, lines)) {
            p->violation = "Ok comes before all lines";
        }
        p->next_line = 0;
        break;
    case MVM_MESSAGE_ERR:
        hear_err(p, m->text, lines);
        break;
    case MVM_MESSAGE_PING:
    case MVM_MESSAGE_BUILD:
    case MVM_MESSAGE_HELLO:
    case MVM_MESSAGE_JOIN:
    case MVM_MESSAGE_CANCEL:
    case MVM_MESSAGE_WELCOME:
    case MVM_MESSAGE_CANCELLED:
        p->violation = "a request comes from the agent";
        break;
    }
    if (p->pongs > p->pings || p->oks + p->errs > p->builds || p->parse_errors > p->bad_frames) {
        p->violation = "an answer that nobody asked for";
    }
}

/* ---- bytes ---- */

static size_t some_bytes(struct peer *p, struct chance *c, size_t max)
{
    if (p->polite || chance_one_in(c, 2)) {
        return max;
    }
    return 1 + chance_below(c, (uint32_t)(max < 65536 ? max : 65536));
}

static bool carry(struct peer *p, struct chance *c, struct mvm_session *from,
                  struct mvm_session *to)
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

static bool take(struct peer *p, uint32_t lines)
{
    bool taken = false;
    for (;;) {
        switch (mvm_session_next(&p->session)) {
        case MVM_SESSION_MESSAGE:
            hear(p, lines);
            taken = true;
            break;
        case MVM_SESSION_BAD_FRAME:
            p->violation = "what comes from the agent is no frame";
            taken = true;
            break;
        case MVM_SESSION_NOTHING:
        case MVM_SESSION_ENDED:
            return taken;
        }
    }
}

bool peer_move(struct peer *p, struct chance *c, uint64_t now_ms, uint32_t lines)
{
    if (p->client == NULL) {
        return false;
    }
    bool moved = carry(p, c, &p->session, &p->client->session);
    if (p->half_closed && !p->ended && mvm_session_flushed(&p->session)) {
        mvm_session_peer_ended(&p->client->session);
        p->ended = moved = true;
    }
    if (now_ms >= p->reads_ms) {
        moved = carry(p, c, &p->client->session, &p->session) || moved;
        moved = take(p, lines) || moved;
    }
    return moved;
}

const char *peer_missing(const struct peer *p)
{
    if (p->violation != NULL) {
        return p->violation;
    }
    if (p->gone) {
        return NULL;
    }
    return p->pongs != p->pings               ? "a Ping has no Pong"
           : p->oks + p->errs != p->builds    ? "a Build has no answer"
           : p->parse_errors != p->bad_frames ? "a bad frame has no Err"
                                              : NULL;
}
