#include "world.h"
#include <limits.h>
#include <string.h>

const struct artifact artifacts[ARTIFACTS] = {
    {"/kernel", "/build-out/vmlinux", "the old kernel", "kernel of build "},
    {"/rootfs.ext4", "/build-out/rootfs.ext4", "the old root", "root file system of build "},
};

struct world world;

void trace(const char *what)
{
    if (world.trace != NULL) {
        fprintf(world.trace, "%8llu ms  %s\n", (unsigned long long)world.sim.now_ms, what);
    }
}

void trace_answer(void)
{
    const struct mvm_message *m = &world.scheduler.answer;
    trace(m->kind == MVM_MESSAGE_OK ? "a build ends: Ok" : "a build ends: Err");
    if (world.trace != NULL) {
        fprintf(world.trace, "             %.*s\n", (int)m->text.len, m->text.bytes);
    }
}

void trace_peers(void)
{
    for (int i = 0; i < PEERS && world.trace != NULL; i++) {
        const struct peer *p = &world.peers[i];
        fprintf(world.trace,
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
    char *at = world.lines_text;
    world.lines = rng_below(&world.rng, LINES_MAX);
    for (unsigned i = 0; i < world.lines; i++) {
        at += sprintf(at, "line %u\n", i);
    }
    *at = '\0';
}

void make_build(void)
{
    struct mvm_sim_script *b = &world.sim.build;
    static const uint64_t lengths[] = {0, 0, 300, 4000, 9000, 12000, UINT64_MAX};
    memset(b, 0, sizeof *b);
    make_lines();
    b->err = world.lines_text;
    b->out = world.printed;
    world.no_path = false;
    if (world.kind) {
        b->run_ms = rng_below(&world.rng, 5000);
        return;
    }
    world.no_path = rng_one_in(&world.rng, 6);
    b->run_ms = lengths[rng_below(&world.rng, sizeof lengths / sizeof lengths[0])];
    b->exit.code = rng_one_in(&world.rng, 4) ? 1 : 0;
    b->exit.signaled = b->exit.code != 0 && rng_one_in(&world.rng, 4);
    b->ignores_term = rng_one_in(&world.rng, 4);
    b->survives_kill = rng_one_in(&world.rng, 16);
    b->leaves_child = rng_one_in(&world.rng, 6);
    b->child_ignores_term = rng_one_in(&world.rng, 2);
    b->outsider_holds_pipes = rng_one_in(&world.rng, 16);
    b->stops_ms = rng_one_in(&world.rng, 4) ? rng_below(&world.rng, MVM_HOLD_MS) : 0;
    b->stops_ms = rng_one_in(&world.rng, 32) ? UINT64_MAX : b->stops_ms;
}

static void make_disk(struct mvm_sim_disk *d)
{
    d->absent = rng_one_in(&world.rng, 6);
    d->mounted = rng_one_in(&world.rng, 4);
    d->ours =
        d->mounted && !d->absent && rng_one_in(&world.rng, 2); /* by an agent that was killed */
    if (!d->absent && !d->mounted && rng_one_in(&world.rng, 4)) {
        d->appears_ms = world.sim.now_ms + rng_below(&world.rng, world.kind ? 1500 : 6000);
    }
    if (!world.kind) {
        d->over = d->mounted && !d->ours && rng_one_in(&world.rng, 8);
        d->broken = rng_one_in(&world.rng, 10);
        d->busy = rng_one_in(&world.rng, 10);
        d->stuck = d->busy && rng_one_in(&world.rng, 2);
        d->read_only = rng_one_in(&world.rng, 10);
    }
}

static void make_trouble(void)
{
    static const unsigned runs[] = {1, 1, 2, 10, UINT_MAX};
    world.sim.no_nix = rng_one_in(&world.rng, 20);
    world.sim.dir_in_the_way = rng_one_in(&world.rng, 20);
    if (rng_one_in(&world.rng, 8)) {
        world.sim.out.held_ms = 1000 * (uint64_t)rng_below(&world.rng, 40);
    }
    if (rng_one_in(&world.rng, 6)) {
        world.sim.capacity = 1 + rng_below(&world.rng, 200);
    }
    if (rng_one_in(&world.rng, 2)) {
        world.sim.fail_at = 1 + rng_below(&world.rng, 300);
        world.sim.fail_run = runs[rng_below(&world.rng, sizeof runs / sizeof runs[0])];
        world.sim.fail_with = rng_below(&world.rng, 4);
    }
    if (rng_one_in(&world.rng, 8)) {
        world.sim.hang_at = 1 + rng_below(&world.rng, 200);
        world.sim.hang_run = 1 + rng_below(&world.rng, 100);
    }
    if (world.streams && rng_one_in(&world.rng, 4)) {
        world.reader.fail_at = 1 + rng_below(&world.rng, 20);
        world.reader.fail_run = runs[rng_below(&world.rng, sizeof runs / sizeof runs[0])];
        world.reader.fail_with = rng_below(&world.rng, 4);
    }
    if (world.streams && rng_one_in(&world.rng, 6)) {
        world.reader.hang_at = 1 + rng_below(&world.rng, 20);
        world.reader.hang_run = 1 + rng_below(&world.rng, 4);
    }
}

/* A nix-store that refuses what it is sent, or is slow. */
static void make_unpacking(void)
{
    struct mvm_sim_script *u = &world.sim.unpack;
    memset(u, 0, sizeof *u);
    if (!world.streams || world.kind) {
        return;
    }
    u->run_ms = rng_one_in(&world.rng, 4) ? 9000 : rng_below(&world.rng, 300);
    u->exit.code = rng_one_in(&world.rng, 8) ? 1 : 0;
    u->reads = rng_one_in(&world.rng, 16) ? 1 + rng_below(&world.rng, 3000) : 0;
    u->reads_nothing = rng_one_in(&world.rng, 32);
    u->ignores_term = rng_one_in(&world.rng, 8);
}

/* Delays in a world without faults are short: no build reaches its time-out because of them. */
void make_delays(void)
{
    world.restless = rng_one_in(&world.rng, 2);
    world.sim.never_later = rng_one_in(&world.rng, 4);
    world.sim.late_ms = 0;
    world.sim.delay_seed = 0;
    if (rng_one_in(&world.rng, 2)) {
        world.sim.late_ms = 1 + rng_below(&world.rng, world.kind ? 20 : 2000);
        world.sim.delay_seed = rng_below(&world.rng, 65536);
    }
    world.reader.never_later = world.sim.never_later;
    world.reader.late_ms = world.sim.late_ms;
    world.reader.delay_seed = world.sim.delay_seed + 1;
    world.reader.piece = world.sim.piece;
}

static void make_files(void)
{
    bool old_set = rng_one_in(&world.rng, 2);
    for (int i = 0; i < ARTIFACTS; i++) {
        world.missing[i] = !world.kind && rng_one_in(&world.rng, 8);
        if (old_set) {
            mvm_sim_put(&world.sim, artifacts[i].name, artifacts[i].old);
        }
        world.kept[i] = old_set;
    }
}

void artifact_text(unsigned number, int i, char text[64])
{
    ledger_artifact_text(number, (unsigned)i, text);
}

static void source_path(unsigned number, int i, char path[64])
{
    char store[LEDGER_PATH_CAP];
    ledger_path(number, store);
    snprintf(path, 64, "%s%s", store, artifacts[i].source);
}

/* Whether a root of nix's collector links to the output of build n. */
static bool is_rooted(unsigned number)
{
    char store[LEDGER_PATH_CAP];
    ledger_path(number, store);
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        const struct mvm_sim_file *f = &world.sim.files[i];
        if (f->there && strncmp(f->path, "/agent/", 7) == 0 &&
            memcmp(f->bytes, store, strlen(store)) == 0) {
            return true;
        }
    }
    return false;
}

static void collect(unsigned number)
{
    char path[64];
    for (int i = 0; i < ARTIFACTS && !is_rooted(number); i++) {
        source_path(number, i, path);
        struct mvm_sim_file *f = mvm_sim_find(&world.sim, path);
        if (f != NULL) {
            f->there = false;
        }
    }
}

void make_output(unsigned number)
{
    char path[64], text[64];
    collect(world.number);
    for (unsigned i = 0; world.streams && i < world.ledger.count; i++) {
        collect(i);
    }
    for (int i = 0; i < ARTIFACTS; i++) {
        source_path(number, i, path);
        artifact_text(number, i, text);
        if (!world.missing[i]) {
            mvm_sim_put(&world.sim, path, text);
        }
    }
    world.number = number;
    char store[LEDGER_PATH_CAP] = "no path";
    if (!world.no_path) {
        ledger_path(number, store);
    }
    snprintf(world.printed, sizeof world.printed, "%s\n", store);
}

static int start(void *ctx, const char *const argv[])
{
    const char *wrong = check_start();
    world.violation = world.violation != NULL ? world.violation : wrong;
    return mvm_sim_port.spawn(ctx, argv);
}

void init_agent(void)
{
    struct mvm_scheduler_config scheduler = {
        .keep_building = world.keep_building,
        .heartbeat_ms = world.config.heartbeat_ms,
        .stream_dir = world.config.stream_dir,
        .stream_left = world.restarted,
        .reader = &mvm_sim_port,
        .reader_ctx = &world.reader,
        .bulk = world.bulk,
        .bulk_cap = sizeof world.bulk,
    };
    world.port = mvm_sim_port;
    world.port.spawn = start;
    mvm_executor_init(&world.executor, &world.port, &world.sim, &world.config);
    mvm_scheduler_init(&world.scheduler, &world.executor, &scheduler, world.slots, PEERS);
}

void make_world(void)
{
    world.kind = rng_one_in(&world.rng, 3);
    mvm_sim_init(&world.sim, "/build-out", "/build-in");
    mvm_sim_init(&world.reader, "/build-out", "/build-in");
    world.reader.owner = &world.sim;
    world.violation = NULL;
    world.sim.now_ms = world.reader.now_ms = 1000;
    world.sim.piece = rng_one_in(&world.rng, 2) ? 0 : 1 + rng_below(&world.rng, 40);
    make_build();
    make_disk(&world.sim.out);
    make_disk(&world.sim.in);
    if (!world.kind) {
        make_trouble();
    }
    make_delays();
    make_unpacking();
    make_files();
    world.out_mounted = world.sim.out.mounted && !world.sim.out.ours;
    world.in_mounted = world.sim.in.mounted && !world.sim.in.ours;
    world.sim.at_power_cut = &world.after_power_cut;
    world.sim.power_cut_at = 1 + rng_below(&world.rng, 300);
    world.config = (struct mvm_executor_config){
        .out_dir = "/build-out",
        .out_device = "/dev/vdb",
        .in_dir = "/build-in",
        .in_device = "/dev/vdc",
        .heartbeat_ms = rng_one_in(&world.rng, 2) ? 1000 : 0,
        .stream_dir = world.streams ? "/agent" : NULL,
        .source_buffer = world.source_buffer,
        .source_cap = sizeof world.source_buffer,
    };
    world.keep_building = rng_one_in(&world.rng, 4);
    world.ledger = (struct ledger){.turn = 1, .limit = LEDGER_MAX - 1};
    world.number = LEDGER_MAX;
    world.restarted = false;
    world.restart_turn =
        world.kind || !rng_one_in(&world.rng, 4) ? 0 : 1 + rng_below(&world.rng, 400);
    init_agent();
}
