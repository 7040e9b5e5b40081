#include "simulation.h"
#include "mvm_sim.h"
#include "peer.h"
#include <limits.h>
#include <string.h>

enum {
    PEERS = 4,
    LINES_MAX = 60,
    TURNS_MAX = 200000,
};

#define STORE "/nix/store/0123-image"

static const struct artifact {
    const char *source;
    const char *name;
    const char *old;
    const char *new;
} artifacts[] = {
    {STORE "/kernel", "/build-out/vmlinux", "the old kernel", "a kernel, new"},
    {STORE "/rootfs.ext4", "/build-out/rootfs.ext4", "the old root", "a root file system, new"},
};

enum { ARTIFACTS = sizeof artifacts / sizeof artifacts[0] };

static struct world {
    struct chance chance;
    FILE *trace;
    struct mvm_sim sim;
    struct mvm_sim dark; /* the world at a power cut */
    struct mvm_executor_config config;
    struct mvm_executor executor;
    struct mvm_scheduler scheduler;
    struct mvm_client slots[PEERS];
    struct peer peers[PEERS];
    char lines_text[LINES_MAX * 10];
    unsigned lines;
    bool kind;        /* nothing in it goes wrong */
    bool out_mounted; /* before */
    bool in_mounted;
    bool restless;        /* steps come that nothing called for */
    bool kept[ARTIFACTS]; /* whether there is one on the disk for good */
} w;

static void tell(const char *what)
{
    if (w.trace != NULL) {
        fprintf(w.trace, "%8llu ms  %s\n", (unsigned long long)w.sim.now_ms, what);
    }
}

static void tell_answer(void)
{
    const struct mvm_message *m = &w.scheduler.answer;
    tell(m->kind == MVM_MESSAGE_OK ? "a build ends: Ok" : "a build ends: Err");
    if (w.trace != NULL) {
        fprintf(w.trace, "             %.*s\n", (int)m->text.len, m->text.bytes);
    }
}

static void tell_peers(void)
{
    for (int i = 0; i < PEERS && w.trace != NULL; i++) {
        const struct peer *p = &w.peers[i];
        fprintf(w.trace,
                "client %d: %u pings %u pongs, %u builds %u oks %u errs, %u bad frames %u parse "
                "errors%s%s\n",
                i, p->pings, p->pongs, p->builds, p->oks, p->errs, p->bad_frames, p->parse_errors,
                p->gone ? ", gone" : "", p->session.wire == MVM_WIRE_PROTO ? ", protobuf" : "");
    }
}

/* ---- making a world ---- */

static void make_lines(void)
{
    char *at = w.lines_text;
    w.lines = chance_below(&w.chance, LINES_MAX);
    for (unsigned i = 0; i < w.lines; i++) {
        at += sprintf(at, "line %u\n", i);
    }
    *at = '\0';
}

static void make_build(void)
{
    struct mvm_sim_script *b = &w.sim.build;
    static const uint64_t lengths[] = {0, 0, 300, 4000, 9000, 12000, UINT64_MAX};
    memset(b, 0, sizeof *b);
    make_lines();
    b->err = w.lines_text;
    b->out = STORE "\n";
    if (w.kind) {
        b->run_ms = chance_below(&w.chance, 5000);
        return;
    }
    b->out = chance_one_in(&w.chance, 6) ? "no path\n" : STORE "\n";
    b->run_ms = lengths[chance_below(&w.chance, sizeof lengths / sizeof lengths[0])];
    b->exit.code = chance_one_in(&w.chance, 4) ? 1 : 0;
    b->exit.signaled = b->exit.code != 0 && chance_one_in(&w.chance, 4);
    b->ignores_term = chance_one_in(&w.chance, 4);
    b->survives_kill = chance_one_in(&w.chance, 16);
    b->leaves_child = chance_one_in(&w.chance, 6);
    b->child_ignores_term = chance_one_in(&w.chance, 2);
    b->stranger_holds_pipes = chance_one_in(&w.chance, 16);
}

static void make_disk(struct mvm_sim_disk *d)
{
    d->absent = chance_one_in(&w.chance, 6);
    d->mounted = chance_one_in(&w.chance, 4);
    if (!w.kind) {
        d->broken = chance_one_in(&w.chance, 10);
        d->busy = chance_one_in(&w.chance, 10);
        d->read_only = chance_one_in(&w.chance, 10);
    }
}

static void make_trouble(void)
{
    static const unsigned runs[] = {1, 1, 2, 10, UINT_MAX};
    w.sim.no_nix = chance_one_in(&w.chance, 20);
    w.sim.dir_in_the_way = chance_one_in(&w.chance, 20);
    if (chance_one_in(&w.chance, 6)) {
        w.sim.capacity = 1 + chance_below(&w.chance, 200);
    }
    if (chance_one_in(&w.chance, 2)) {
        w.sim.fail_at = 1 + chance_below(&w.chance, 300);
        w.sim.fail_run = runs[chance_below(&w.chance, sizeof runs / sizeof runs[0])];
        w.sim.fail_with = chance_below(&w.chance, 4);
    }
}

/* What is late in a kind world is so by little: no build comes near its time-out for it. */
static void make_delays(void)
{
    w.restless = chance_one_in(&w.chance, 2);
    w.sim.alone = chance_one_in(&w.chance, 4);
    w.sim.late_ms = 0;
    w.sim.whims = 0;
    if (chance_one_in(&w.chance, 2)) {
        w.sim.late_ms = 1 + chance_below(&w.chance, w.kind ? 20 : 2000);
        w.sim.whims = chance_below(&w.chance, 65536);
    }
}

static void make_files(void)
{
    bool old_set = chance_one_in(&w.chance, 2);
    for (int i = 0; i < ARTIFACTS; i++) {
        if (w.kind || !chance_one_in(&w.chance, 8)) {
            mvm_sim_put(&w.sim, artifacts[i].source, artifacts[i].new);
        }
        if (old_set) {
            mvm_sim_put(&w.sim, artifacts[i].name, artifacts[i].old);
        }
        w.kept[i] = old_set;
    }
}

static void make_world(void)
{
    w.kind = chance_one_in(&w.chance, 3);
    mvm_sim_init(&w.sim, "/build-out", "/build-in");
    w.sim.now_ms = 1000;
    w.sim.piece = chance_one_in(&w.chance, 2) ? 0 : 1 + chance_below(&w.chance, 40);
    make_build();
    make_disk(&w.sim.out);
    make_disk(&w.sim.in);
    if (!w.kind) {
        make_trouble();
    }
    make_delays();
    make_files();
    w.out_mounted = w.sim.out.mounted;
    w.in_mounted = w.sim.in.mounted;
    w.sim.dark = &w.dark;
    w.sim.dark_at = 1 + chance_below(&w.chance, 300);
    w.config = (struct mvm_executor_config){
        .out_dir = "/build-out",
        .out_device = "/dev/vdb",
        .in_dir = "/build-in",
        .in_device = "/dev/vdc",
        .heartbeat_ms = chance_one_in(&w.chance, 2) ? 1000 : 0,
    };
    mvm_executor_init(&w.executor, &mvm_sim_port, &w.sim, &w.config);
    struct mvm_scheduler_config scheduler = {
        .keep_building = chance_one_in(&w.chance, 4),
        .heartbeat_ms = w.config.heartbeat_ms,
    };
    mvm_scheduler_init(&w.scheduler, &w.executor, &scheduler, w.slots, PEERS);
}

/* ---- what must hold ---- */

static bool holds(const struct mvm_sim_file *f, const char *text)
{
    return f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

static const char *check_whole(struct mvm_sim *sim)
{
    for (int i = 0; i < ARTIFACTS; i++) {
        const struct mvm_sim_file *f = mvm_sim_file(sim, artifacts[i].name);
        if (f != NULL && !holds(f, artifacts[i].old) && !holds(f, artifacts[i].new)) {
            return "half a file under a final name";
        }
    }
    return NULL;
}

/* Every byte of the build's output that was read is in it. */
static bool log_is_whole(void)
{
    const struct mvm_sim_file *f = mvm_sim_file(&w.sim, "/build-out/build.log");
    return f != NULL && f->durable && f->named &&
           f->len == w.sim.given[MVM_STDOUT] + w.sim.given[MVM_STDERR];
}

static const char *check_durable(void)
{
    if (!log_is_whole()) {
        return "Ok, and build.log is not whole";
    }
    for (int i = 0; i < ARTIFACTS; i++) {
        const struct mvm_sim_file *f = mvm_sim_file(&w.sim, artifacts[i].name);
        if (f == NULL || !holds(f, artifacts[i].new) || !f->durable || !f->named) {
            return "Ok, and an artifact is not durable";
        }
        w.kept[i] = true;
    }
    return NULL;
}

/* Looked at after the step in which the power went, in a copy. */
static const char *check_dark(void)
{
    if (w.sim.dark == NULL || w.sim.dark_at == 0 || w.sim.calls < w.sim.dark_at) {
        return NULL;
    }
    w.sim.dark = NULL;
    mvm_sim_power_cut(&w.dark);
    for (int i = 0; i < ARTIFACTS; i++) {
        if (w.kept[i] && mvm_sim_file(&w.dark, artifacts[i].name) == NULL) {
            return "a file is lost when the power goes";
        }
    }
    return check_whole(&w.dark);
}

/* A call that was made to fail may have been the one that removes or unmounts. */
static const char *check_left_over(void)
{
    const char *left = mvm_sim_left_over(&w.sim);
    bool is_file = left != NULL && left[0] == '/';
    /* Nobody can end a process that takes no signal, or to which none can be sent any more. */
    bool is_undead =
        w.sim.abandoned && (w.sim.build.survives_kill || (w.sim.failed && w.sim.fail_run > 2));
    if (left != NULL && !is_undead && !(is_file && w.sim.failed)) {
        return "something is left of a build";
    }
    if (!w.sim.failed && !w.sim.out.busy && w.sim.out.mounted != w.out_mounted) {
        return "the output disk is left mounted";
    }
    if (!w.sim.failed && !w.sim.in.busy && w.sim.in.mounted != w.in_mounted) {
        return "the input disk is left mounted";
    }
    return NULL;
}

/* Whether the running build's client takes what it is sent: others hold their own builds up. */
static bool asked_politely(void)
{
    for (int i = 0; i < PEERS; i++) {
        if (w.peers[i].client != NULL && w.peers[i].client == w.scheduler.queue[0].client) {
            return w.peers[i].polite;
        }
    }
    return false;
}

/* A build of a sound request in a kind world has nothing to fail by. */
static const char *check_answer(void)
{
    const struct mvm_message *answer = &w.scheduler.answer;
    if (answer->kind == MVM_MESSAGE_OK) {
        return check_durable();
    }
    if (w.kind && asked_politely() && !mvm_text_begins(answer->text, "invalid ")) {
        return "a build failed that nothing was wrong with";
    }
    return NULL;
}

/* ---- time ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_ms(void)
{
    uint64_t at = sooner(mvm_scheduler_deadline(&w.scheduler), mvm_sim_next_ms(&w.sim));
    for (int i = 0; i < PEERS; i++) {
        at = sooner(at, peer_deadline(&w.peers[i], w.sim.now_ms));
    }
    return at;
}

/* Turns the clock to the next thing that happens; at times to some moment before. */
static void turn_clock(uint64_t at)
{
    uint64_t now = w.sim.now_ms;
    uint64_t ahead = at > now ? at - now : 1;
    if (w.restless && ahead > 1 && chance_one_in(&w.chance, 4)) {
        ahead = 1 + chance_below(&w.chance, (uint32_t)sooner(ahead - 1, 65536));
    }
    w.sim.now_ms = now + ahead;
}

/* ---- a turn ---- */

/* How many lines a finished build's client has a right to. The pipe may have been what failed; and
 * of one that cannot be ended nobody waits for the rest of a line. */
static uint32_t lines_due(void)
{
    bool survives = w.sim.build.survives_kill && w.sim.late_ms > 0;
    return w.sim.failed || survives ? PEER_ANY_LINES : w.lines;
}

static bool move_all(void)
{
    bool moved = false;
    uint32_t lines = lines_due();
    for (int i = 0; i < PEERS; i++) {
        moved = peer_act(&w.peers[i], &w.scheduler, &w.chance, w.sim.now_ms) || moved;
        moved = peer_move(&w.peers[i], &w.chance, w.sim.now_ms, lines) || moved;
    }
    return moved;
}

static void close_some(void)
{
    for (int i = 0; i < PEERS; i++) {
        struct peer *p = &w.peers[i];
        if (p->client != NULL &&
            (p->client->stalled || mvm_scheduler_done(&w.scheduler, p->client))) {
            tell(p->client->stalled ? "a client is closed that takes nothing" : "a client is done");
            p->gone = p->client->stalled;
            mvm_scheduler_detach(&w.scheduler, p->client);
            p->client = NULL;
        }
    }
}

static const char *step(bool *more)
{
    enum mvm_scheduler_state before = w.scheduler.state;
    *more = mvm_scheduler_step(&w.scheduler, w.sim.now_ms);
    enum mvm_scheduler_state now = w.scheduler.state;
    const char *wrong = check_whole(&w.sim);
    if (wrong == NULL && now == MVM_SCHEDULER_ANSWERING && before != now) {
        tell_answer();
        wrong = check_answer();
    }
    return wrong;
}

/* Until nothing is left to happen. */
static const char *live(void)
{
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        bool more;
        const char *wrong = step(&more);
        wrong = wrong != NULL ? wrong : check_dark();
        if (wrong != NULL) {
            return wrong;
        }
        bool moved = move_all();
        close_some();
        if (more || moved) {
            continue;
        }
        uint64_t at = next_ms();
        if (at == UINT64_MAX) {
            return mvm_scheduler_idle(&w.scheduler) ? NULL : "a build waits for nothing";
        }
        turn_clock(at);
    }
    return "it comes to no end";
}

/* ---- the whole ---- */

static const char *check_peers(void)
{
    const char *wrong = NULL;
    for (int i = 0; i < PEERS && wrong == NULL; i++) {
        wrong = peer_missing(&w.peers[i]);
    }
    return wrong;
}

/* The world mends itself, everybody goes, and somebody asks for a build. */
static const char *one_more(void)
{
    struct peer *p = &w.peers[0];
    for (int i = 0; i < PEERS; i++) {
        if (w.peers[i].client != NULL) {
            mvm_scheduler_detach(&w.scheduler, w.peers[i].client);
            w.peers[i].client = NULL;
        }
    }
    tell("the world is mended; one more build");
    w.kind = true;
    w.sim.fail_at = 0;
    w.sim.failed = w.sim.abandoned = w.sim.no_nix = w.sim.dir_in_the_way = false;
    w.sim.capacity = 0;
    w.sim.out = (struct mvm_sim_disk){.mounted = w.sim.out.mounted};
    w.sim.in = (struct mvm_sim_disk){.mounted = w.sim.in.mounted};
    make_delays();
    make_build();
    for (int i = 0; i < ARTIFACTS; i++) {
        mvm_sim_put(&w.sim, artifacts[i].source, artifacts[i].new);
    }
    if (!peer_connect(p, &w.scheduler, &w.chance, w.sim.now_ms)) {
        return "a fresh client finds no slot";
    }
    p->actions = 0;
    p->polite = true;
    peer_ask_build(p, mvm_text_from("path:/f"));
    const char *wrong = live();
    return wrong != NULL ? wrong : p->oks == 1 ? peer_missing(p) : "the next build does not work";
}

static const char *live_and_check(void)
{
    const char *wrong = live();
    tell_peers();
    wrong = wrong != NULL ? wrong : check_peers();
    wrong = wrong != NULL ? wrong : check_left_over();
    return wrong;
}

static void tell_calls(void)
{
    if (w.trace != NULL) {
        fprintf(w.trace, "the port's calls: %s\n", w.sim.trace);
    }
}

static void forget_peers(void)
{
    for (int i = 0; i < PEERS; i++) {
        w.peers[i].client = NULL;
        w.peers[i].gone = true;
        w.peers[i].violation = NULL;
    }
}

const char *simulate(struct chance chance, FILE *trace)
{
    w.chance = chance;
    w.trace = trace;
    make_world();
    forget_peers();
    for (int i = 0; i < PEERS; i++) {
        if (i == 0 || chance_one_in(&w.chance, 2)) {
            peer_connect(&w.peers[i], &w.scheduler, &w.chance, w.sim.now_ms);
        }
    }
    const char *wrong = live_and_check();
    wrong = wrong != NULL ? wrong : one_more();
    tell_calls();
    return wrong;
}

/* ---- a life told in advance ---- */

/* Drawn from no bytes, every chance is 0: a world where all goes well. */
static void make_scenario(const struct scenario *s)
{
    make_world();
    w.lines = 2;
    strcpy(w.lines_text, "line 0\nline 1\n");
    w.sim.build.run_ms = s->run_ms;
    w.sim.build.exit.code = s->exit_code;
    w.sim.build.ignores_term = s->ignores_term;
    w.sim.build.leaves_child = s->leaves_child;
    for (int i = 0; i < ARTIFACTS; i++) {
        mvm_sim_put(&w.sim, artifacts[i].name, artifacts[i].old);
        w.kept[i] = true;
    }
    forget_peers();
    for (int i = 0; i < (s->queue ? 2 : 1); i++) {
        struct peer *p = &w.peers[i];
        peer_connect(p, &w.scheduler, &w.chance, w.sim.now_ms);
        p->polite = true;
        p->goes_ms = i == 0 ? s->goes_ms : 0;
        mvm_session_speak(&p->session, s->wire);
        peer_ask_build(p, mvm_text_from(s->from_disk ? "/build-in" : "path:/f"));
    }
}

const char *simulate_fault(const struct scenario *s, const struct fault *f, unsigned *kinds,
                           unsigned *calls, FILE *trace)
{
    static const uint8_t nothing;
    w.chance = chance_by_bytes(&nothing, 0);
    w.trace = trace;
    make_scenario(s);
    w.sim.fail_at = f->at;
    w.sim.fail_run = f->run;
    w.sim.fail_with = f->with;
    w.sim.dark_at = f->dark_at;
    const char *wrong = live_and_check();
    *kinds = w.sim.fail_kinds;
    *calls = w.sim.calls;
    wrong = wrong != NULL ? wrong : one_more();
    tell_calls();
    return wrong;
}
