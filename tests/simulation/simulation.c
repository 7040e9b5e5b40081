#include "simulation.h"
#include "deadline.h"
#include "world.h"
#include <string.h>

enum { TURNS_MAX = 200000 };

/* ---- time ---- */

static uint64_t next_ms(void)
{
    uint64_t at = mvm_sooner(mvm_scheduler_deadline(&world.scheduler), mvm_sim_next_ms(&world.sim));
    at = mvm_sooner(at, mvm_sim_next_ms(&world.reader));
    for (int i = 0; i < PEERS; i++) {
        at = mvm_sooner(at, peer_deadline(&world.peers[i], world.sim.now_ms));
    }
    return at;
}

/* Advances the clock to the next event, sometimes only part of the way. */
static void turn_clock(uint64_t at)
{
    uint64_t now = world.sim.now_ms;
    uint64_t ahead = at > now ? at - now : 1;
    if (world.restless && ahead > 1 && rng_one_in(&world.rng, 4)) {
        ahead = 1 + rng_below(&world.rng, (uint32_t)mvm_sooner(ahead - 1, 65536));
    }
    world.sim.now_ms = world.reader.now_ms = now + ahead;
}

/* ---- a turn ---- */

/* How many lines a finished build's client must have received. The pipe may be what failed, and an
 * incomplete line is not waited for if a process cannot be ended. */
static uint32_t lines_due(void)
{
    bool survives = world.sim.build.survives_kill && world.sim.late_ms > 0;
    return world.sim.failed || survives ? PEER_ANY_LINES : world.lines;
}

static struct peer_world *peer_world(void)
{
    world.peer_world = (struct peer_world){.scheduler = &world.scheduler,
                                           .ledger = &world.ledger,
                                           .rng = &world.rng,
                                           .now_ms = world.sim.now_ms,
                                           .lines = lines_due(),
                                           .streams = world.streams,
                                           .troubled = is_troubled(),
                                           .missing = world.missing};
    return &world.peer_world;
}

static bool move_all(void)
{
    bool moved = false;
    for (int i = 0; i < PEERS; i++) {
        moved = peer_act(&world.peers[i], peer_world()) || moved;
        moved = peer_move(&world.peers[i], peer_world()) || moved;
    }
    return moved;
}

static void close_some(void)
{
    for (int i = 0; i < PEERS; i++) {
        struct peer *p = &world.peers[i];
        if (p->client != NULL &&
            (p->client->stalled || mvm_scheduler_done(&world.scheduler, p->client))) {
            trace(p->client->stalled ? "a client is closed that takes nothing"
                                     : "a client is done");
            p->gone = p->client->stalled;
            named_leave(p, &world.ledger);
            mvm_scheduler_detach(&world.scheduler, p->client);
            p->client = NULL;
        }
    }
}

static void begin_build(void)
{
    struct mvm_job job = mvm_scheduler_job(&world.scheduler.queue[0]);
    unsigned oldest;
    make_output(ledger_number_of_attr(job.attr));
    ledger_begin(&world.ledger, world.number);
    if (job.stream && ledger_held(&world.ledger, &oldest) >= MVM_STREAM_BUILDS) {
        ledger_drop(&world.ledger, oldest);
        world.ledger.builds[oldest].dropped = true;
    }
    world.began_ms = world.sim.now_ms;
    if (!world.kind && rng_one_in(&world.rng, 8)) {
        world.sim.out.busy = world.sim.out.stuck = !world.sim.out.busy;
    }
    world.was_mounted = false;
    world.was_left = world.sim.out.mounted && world.sim.out.ours;
    trace("a build begins");
}

/* Once a build has the disk, stages, or leaves the disk unreleased, what earlier builds staged is
 * no longer true. */
static void note_staging(void)
{
    const struct mvm_scheduler *v = &world.scheduler;
    const struct mvm_sim_disk *d = &world.sim.out;
    bool mounted =
        (d->mounted && d->ours && !d->read_only) || !mvm_executor_released(&world.executor);
    bool building = mvm_scheduler_building(v);
    bool stages = building && !v->queue[0].stream &&
                  mvm_executor_progress(&world.executor) >= MVM_EXECUTOR_STAGING;
    bool failed = v->state == MVM_SCHEDULER_ANSWERING && v->answer.kind == MVM_MESSAGE_ERR;
    if (stages || (mounted && (building || failed))) {
        ledger_supersede(&world.ledger, building ? world.number : LEDGER_MAX);
    }
}

static const char *step(bool *more)
{
    enum mvm_scheduler_state before = world.scheduler.state;
    bool was_building = mvm_scheduler_building(&world.scheduler);
    *more = mvm_scheduler_step(&world.scheduler, world.sim.now_ms);
    enum mvm_scheduler_state now = world.scheduler.state;
    world.ledger.turn++;
    if (!was_building && mvm_scheduler_building(&world.scheduler)) {
        begin_build();
    }
    world.was_mounted = world.was_mounted || (world.sim.out.mounted && world.sim.out.ours);
    note_staging();
    const char *wrong = world.violation != NULL ? world.violation : check_whole(&world.sim);
    if (wrong == NULL && now == MVM_SCHEDULER_ANSWERING && before != now) {
        trace_answer();
        wrong = check_answer();
    }
    return wrong;
}

/* The agent is killed and started again: its processes, handles and memory are gone; files, disks
 * and mounts are unchanged. */
static void restart_agent(void)
{
    trace("the agent is killed and started again");
    world.restart_turn = 0;
    world.restarted = true;
    for (int i = 0; i < PEERS; i++) {
        struct peer *p = &world.peers[i];
        if (p->client != NULL) {
            p->client = NULL;
            p->gone = true;
            p->back_ms = world.sim.now_ms + 1 + rng_below(&world.rng, 4000);
        }
    }
    mvm_sim_restart(&world.sim);
    mvm_sim_restart(&world.reader);
    for (unsigned i = 0; i < world.ledger.count; i++) {
        ledger_drop(&world.ledger, i);
        world.ledger.builds[i].dropped = true;
    }
    world.out_mounted = world.sim.out.mounted && !world.sim.out.ours;
    world.in_mounted = world.sim.in.mounted && !world.sim.in.ours;
    init_agent();
}

/* Until no event is left. */
static const char *live(void)
{
    for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
        bool more;
        const char *wrong = step(&more);
        wrong = wrong != NULL ? wrong : check_power_cut();
        if (wrong != NULL) {
            return wrong;
        }
        if (world.ledger.turn == world.restart_turn) {
            restart_agent();
            continue;
        }
        bool moved = move_all();
        close_some();
        if (more || moved) {
            continue;
        }
        uint64_t at = next_ms();
        if (at == MVM_NEVER) {
            return mvm_scheduler_idle(&world.scheduler) ? NULL : "a build waits for nothing";
        }
        turn_clock(at);
    }
    return "it comes to no end";
}

/* ---- a run ---- */

static const char *check_peers(void)
{
    const char *wrong = NULL;
    for (int i = 0; i < PEERS && wrong == NULL; i++) {
        wrong = peer_missing(&world.peers[i]);
    }
    return wrong;
}

/* The faults end, all clients leave, and a new one requests a build. */
static const char *one_more(void)
{
    struct peer *p = &world.peers[0];
    for (int i = 0; i < PEERS; i++) {
        if (world.peers[i].client != NULL) {
            mvm_scheduler_detach(&world.scheduler, world.peers[i].client);
            world.peers[i].client = NULL;
        }
        world.peers[i].back_ms = 0;
    }
    trace("the world is mended; one more build");
    world.kind = true;
    world.restart_turn = 0;
    world.sim.fail_at = world.sim.hang_at = world.reader.fail_at = world.reader.hang_at = 0;
    world.reader.failed = false;
    world.sim.unpack = (struct mvm_sim_script){0};
    world.sim.failed = world.sim.abandoned = world.sim.no_nix = world.sim.dir_in_the_way = false;
    world.sim.capacity = 0;
    world.sim.out =
        (struct mvm_sim_disk){.mounted = world.sim.out.mounted, .ours = world.sim.out.ours};
    world.sim.in =
        (struct mvm_sim_disk){.mounted = world.sim.in.mounted, .ours = world.sim.in.ours};
    make_delays();
    make_build();
    memset(world.missing, 0, sizeof world.missing);
    world.ledger.limit = LEDGER_MAX;
    world.ledger.count = LEDGER_MAX - 1;
    p->line = false;
    if (!peer_connect(p, peer_world())) {
        return "a fresh client finds no slot";
    }
    p->actions = 0;
    p->polite = true;
    peer_ask_build(p, peer_world(), mvm_text_from("path:/f"));
    const char *wrong = live();
    return wrong != NULL                            ? wrong
           : world.ledger.builds[LEDGER_MAX - 1].ok ? peer_missing(p)
                                                    : "the next build does not work";
}

static const char *live_and_check(void)
{
    const char *wrong = live();
    trace_peers();
    wrong = wrong != NULL ? wrong : check_peers();
    wrong = wrong != NULL ? wrong : check_left_over();
    return wrong;
}

static void trace_calls(void)
{
    if (world.trace != NULL) {
        fprintf(world.trace, "the port's calls: %s\n", world.sim.trace);
    }
}

static void forget_peers(void)
{
    for (int i = 0; i < PEERS; i++) {
        world.peers[i].client = NULL;
        world.peers[i].gone = true;
        world.peers[i].violation = NULL;
        world.peers[i].back_ms = 0;
        world.peers[i].line = false;
    }
}

/* By a number that the life itself does not draw: lives without such builds stay as they are. */
static bool has_streams(struct rng rng)
{
    rng.state ^= 0x5851f42d4c957f2d;
    return mvm_proto_present && rng_one_in(&rng, 2);
}

const char *simulate(struct rng rng, FILE *trace)
{
    world.rng = rng;
    world.streams = has_streams(rng);
    world.trace = trace;
    make_world();
    forget_peers();
    world.peers[PEERS - 1].line = rng_one_in(&world.rng, 2);
    for (int i = 0; i < PEERS; i++) {
        if (i == 0 || rng_one_in(&world.rng, 2)) {
            peer_connect(&world.peers[i], peer_world());
        }
    }
    const char *wrong = live_and_check();
    wrong = wrong != NULL ? wrong : one_more();
    trace_calls();
    return wrong;
}

/* ---- a scenario given in advance ---- */

/* A client of such a world has said Hello on the protobuf wire. */
static void ask_stream(struct peer *p, const struct scenario *s)
{
    unsigned number = ledger_add(&world.ledger, true);
    struct ledger_build *b = &world.ledger.builds[number];
    b->stream = true;
    b->has_source = s->source_size > 0;
    b->source_size = s->source_size;
    named_send_build(p, peer_world(), mvm_text_from(b->has_source ? "" : "path:/f"), number);
}

/* With no bytes every number is 0: a world without faults. */
static void make_scenario(const struct scenario *s)
{
    world.streams = s->stream;
    make_world();
    world.lines = 2;
    strcpy(world.lines_text, "line 0\nline 1\n");
    world.sim.build.run_ms = s->run_ms;
    world.sim.build.exit.code = s->exit_code;
    world.sim.build.ignores_term = s->ignores_term;
    world.sim.build.leaves_child = s->leaves_child;
    for (int i = 0; i < ARTIFACTS; i++) {
        mvm_sim_put(&world.sim, artifacts[i].name, artifacts[i].old);
        world.kept[i] = true;
    }
    forget_peers();
    for (int i = 0; i < (s->queue ? 2 : 1); i++) {
        struct peer *p = &world.peers[i];
        peer_connect(p, peer_world());
        p->polite = true;
        p->goes_ms = i == 0 ? s->goes_ms : 0;
        if (s->stream) {
            ask_stream(p, s);
            continue;
        }
        mvm_session_speak(&p->session, s->wire);
        peer_ask_build(p, peer_world(), mvm_text_from(s->from_disk ? "/build-in" : "path:/f"));
    }
}

const char *simulate_fault(const struct scenario *s, const struct fault *f, unsigned *kinds,
                           unsigned *calls, FILE *trace)
{
    world.rng = rng_zeros();
    world.trace = trace;
    make_scenario(s);
    struct mvm_sim *sim = f->reader ? &world.reader : &world.sim;
    sim->fail_at = f->at;
    sim->fail_run = f->run;
    sim->fail_with = f->with;
    sim->hang_at = f->hang_at;
    sim->hang_run = f->hang_run;
    world.sim.power_cut_at = f->power_cut_at;
    const char *wrong = live_and_check();
    *kinds = sim->fail_kinds;
    *calls = sim->calls;
    wrong = wrong != NULL ? wrong : one_more();
    trace_calls();
    return wrong;
}
