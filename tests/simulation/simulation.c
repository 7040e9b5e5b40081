#include "simulation.h"
#include "ledger.h"
#include "mvm_sim.h"
#include "peer.h"
#include <limits.h>
#include <string.h>

enum {
    PEERS = 4,
    LINES_MAX = 60,
    TURNS_MAX = 200000,
};

/* What build n stages is "NAME of build n." */
static const struct artifact {
    const char *source; /* in the build's output */
    const char *name;
    const char *old;
    const char *begins;
} artifacts[] = {
    {"/kernel", "/build-out/vmlinux", "the old kernel", "kernel of build "},
    {"/rootfs.ext4", "/build-out/rootfs.ext4", "the old root", "root file system of build "},
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
    struct peer_world peer_world;
    struct ledger ledger;
    unsigned number;                   /* of the build that runs; LEDGER_MAX: none has one */
    char printed[LEDGER_PATH_CAP + 8]; /* what it prints */
    bool missing[ARTIFACTS];           /* no build makes it */
    bool restarted;
    unsigned restart_turn; /* when the agent is killed and started again; 0: never */
    char lines_text[LINES_MAX * 10];
    unsigned lines;
    bool kind;        /* nothing in it goes wrong */
    bool out_mounted; /* before */
    bool in_mounted;
    bool restless; /* steps come that nothing called for */
    bool keep_building;
    bool no_path;         /* what builds print is no path */
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
                "client %d%s: %u pings %u pongs, %u builds %u oks %u errs, %u bad frames %u parse "
                "errors%s%s\n",
                i,
                p->line    ? ", a line"
                : p->named ? ", with names"
                           : "",
                p->pings, p->pongs, p->builds, p->oks, p->errs, p->bad_frames, p->parse_errors,
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
    b->out = w.printed;
    w.no_path = false;
    if (w.kind) {
        b->run_ms = chance_below(&w.chance, 5000);
        return;
    }
    w.no_path = chance_one_in(&w.chance, 6);
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
        w.missing[i] = !w.kind && chance_one_in(&w.chance, 8);
        if (old_set) {
            mvm_sim_put(&w.sim, artifacts[i].name, artifacts[i].old);
        }
        w.kept[i] = old_set;
    }
}

static void artifact_text(unsigned number, int i, char text[64])
{
    snprintf(text, 64, "%s%u.", artifacts[i].begins, number);
}

static void source_path(unsigned number, int i, char path[64])
{
    char store[LEDGER_PATH_CAP];
    ledger_path(number, store);
    snprintf(path, 64, "%s%s", store, artifacts[i].source);
}

/* The output of build n appears in the store, and that of the one before goes. */
static void make_output(unsigned number)
{
    char path[64], text[64];
    for (int i = 0; i < ARTIFACTS; i++) {
        source_path(w.number, i, path);
        struct mvm_sim_file *before = mvm_sim_file(&w.sim, path);
        if (before != NULL) {
            before->there = false;
        }
        source_path(number, i, path);
        artifact_text(number, i, text);
        if (!w.missing[i]) {
            mvm_sim_put(&w.sim, path, text);
        }
    }
    w.number = number;
    char store[LEDGER_PATH_CAP] = "no path";
    if (!w.no_path) {
        ledger_path(number, store);
    }
    snprintf(w.printed, sizeof w.printed, "%s\n", store);
}

static void init_agent(void)
{
    struct mvm_scheduler_config scheduler = {
        .keep_building = w.keep_building,
        .heartbeat_ms = w.config.heartbeat_ms,
    };
    mvm_executor_init(&w.executor, &mvm_sim_port, &w.sim, &w.config);
    mvm_scheduler_init(&w.scheduler, &w.executor, &scheduler, w.slots, PEERS);
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
    w.keep_building = chance_one_in(&w.chance, 4);
    w.ledger = (struct ledger){.turn = 1, .limit = LEDGER_MAX - 1};
    w.number = LEDGER_MAX;
    w.restarted = false;
    w.restart_turn = w.kind || !chance_one_in(&w.chance, 4) ? 0 : 1 + chance_below(&w.chance, 400);
    init_agent();
}

/* ---- what must hold ---- */

static bool holds(const struct mvm_sim_file *f, const char *text)
{
    return f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

/* Whether it is the old artifact, or that of some build, whole. */
static bool is_whole(const struct mvm_sim_file *f, int i)
{
    size_t begins = strlen(artifacts[i].begins);
    bool of_a_build = f->len > begins + 1 && f->bytes[f->len - 1] == '.' &&
                      memcmp(f->bytes, artifacts[i].begins, begins) == 0;
    return of_a_build || holds(f, artifacts[i].old);
}

static const char *check_whole(struct mvm_sim *sim)
{
    for (int i = 0; i < ARTIFACTS; i++) {
        const struct mvm_sim_file *f = mvm_sim_file(sim, artifacts[i].name);
        if (f != NULL && !is_whole(f, i)) {
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
        char text[64];
        const struct mvm_sim_file *f = mvm_sim_file(&w.sim, artifacts[i].name);
        artifact_text(w.number, i, text);
        if (f == NULL || !holds(f, text) || !f->durable || !f->named) {
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
    if (left != NULL && !is_undead && !(is_file && (w.sim.failed || w.restarted))) {
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
        const char *wrong = check_durable();
        w.ledger.builds[w.number].ok = true;
        return wrong;
    }
    const struct ledger_build *b = &w.ledger.builds[w.number];
    bool held_up = b->rude && mvm_text_begins(answer->text, "nix build timed out");
    bool wanted = (asked_politely() || b->keep || w.keep_building) && !held_up;
    if (w.kind && wanted && !b->cancelled && !mvm_text_begins(answer->text, "invalid ")) {
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

static struct peer_world *peer_world(void)
{
    w.peer_world = (struct peer_world){.scheduler = &w.scheduler,
                                       .ledger = &w.ledger,
                                       .chance = &w.chance,
                                       .now_ms = w.sim.now_ms,
                                       .lines = lines_due()};
    return &w.peer_world;
}

static bool move_all(void)
{
    bool moved = false;
    for (int i = 0; i < PEERS; i++) {
        moved = peer_act(&w.peers[i], peer_world()) || moved;
        moved = peer_move(&w.peers[i], peer_world()) || moved;
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

static void begin_build(void)
{
    struct mvm_job job = mvm_queued_build_job(&w.scheduler.queue[0]);
    make_output(ledger_number_of_attr(job.attr));
    ledger_begin(&w.ledger, w.number);
    tell("a build begins");
}

/* Once a build stages, or leaves the disk unreleased, what was staged before is not true any more.
 */
static void note_staging(void)
{
    const struct mvm_scheduler *v = &w.scheduler;
    bool stages =
        mvm_scheduler_building(v) && mvm_executor_progress(&w.executor) >= MVM_EXECUTOR_STAGING;
    bool unreleased = v->state == MVM_SCHEDULER_ANSWERING && v->answer.kind == MVM_MESSAGE_ERR &&
                      mvm_text_begins(v->answer.text, "failed to release");
    if (stages || unreleased) {
        ledger_supersede(&w.ledger, stages ? w.number : LEDGER_MAX);
    }
}

static const char *step(bool *more)
{
    enum mvm_scheduler_state before = w.scheduler.state;
    bool was_building = mvm_scheduler_building(&w.scheduler);
    *more = mvm_scheduler_step(&w.scheduler, w.sim.now_ms);
    enum mvm_scheduler_state now = w.scheduler.state;
    w.ledger.turn++;
    if (!was_building && mvm_scheduler_building(&w.scheduler)) {
        begin_build();
    }
    note_staging();
    const char *wrong = check_whole(&w.sim);
    if (wrong == NULL && now == MVM_SCHEDULER_ANSWERING && before != now) {
        tell_answer();
        wrong = check_answer();
    }
    return wrong;
}

/* The agent is killed and started again: its processes and handles are gone, and all it knew;
 * files, disks and mounts are as they were. */
static void restart_agent(void)
{
    tell("the agent is killed and started again");
    w.restart_turn = 0;
    w.restarted = true;
    for (int i = 0; i < PEERS; i++) {
        struct peer *p = &w.peers[i];
        if (p->client != NULL) {
            p->client = NULL;
            p->gone = true;
            p->back_ms = w.sim.now_ms + 1 + chance_below(&w.chance, 4000);
        }
    }
    w.sim.running = NULL;
    w.sim.child_alive = false;
    memset(w.sim.handles, 0, sizeof w.sim.handles);
    memset(&w.sim.aside, 0, sizeof w.sim.aside);
    w.out_mounted = w.sim.out.mounted;
    w.in_mounted = w.sim.in.mounted;
    init_agent();
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
        if (w.ledger.turn == w.restart_turn) {
            restart_agent();
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
        w.peers[i].back_ms = 0;
    }
    tell("the world is mended; one more build");
    w.kind = true;
    w.restart_turn = 0;
    w.sim.fail_at = 0;
    w.sim.failed = w.sim.abandoned = w.sim.no_nix = w.sim.dir_in_the_way = false;
    w.sim.capacity = 0;
    w.sim.out = (struct mvm_sim_disk){.mounted = w.sim.out.mounted};
    w.sim.in = (struct mvm_sim_disk){.mounted = w.sim.in.mounted};
    make_delays();
    make_build();
    memset(w.missing, 0, sizeof w.missing);
    w.ledger.limit = LEDGER_MAX;
    w.ledger.count = LEDGER_MAX - 1;
    p->line = false;
    if (!peer_connect(p, peer_world())) {
        return "a fresh client finds no slot";
    }
    p->actions = 0;
    p->polite = true;
    peer_ask_build(p, peer_world(), mvm_text_from("path:/f"));
    const char *wrong = live();
    return wrong != NULL                        ? wrong
           : w.ledger.builds[LEDGER_MAX - 1].ok ? peer_missing(p)
                                                : "the next build does not work";
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
        w.peers[i].back_ms = 0;
        w.peers[i].line = false;
    }
}

const char *simulate(struct chance chance, FILE *trace)
{
    w.chance = chance;
    w.trace = trace;
    make_world();
    forget_peers();
    w.peers[PEERS - 1].line = chance_one_in(&w.chance, 2);
    for (int i = 0; i < PEERS; i++) {
        if (i == 0 || chance_one_in(&w.chance, 2)) {
            peer_connect(&w.peers[i], peer_world());
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
        peer_connect(p, peer_world());
        p->polite = true;
        p->goes_ms = i == 0 ? s->goes_ms : 0;
        mvm_session_speak(&p->session, s->wire);
        peer_ask_build(p, peer_world(), mvm_text_from(s->from_disk ? "/build-in" : "path:/f"));
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
