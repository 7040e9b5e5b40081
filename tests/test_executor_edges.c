/*
 * Every edge of docs/states.md is taken, and no other, by builds of every kind that the simulation
 * has: this program includes the executor's driver and records each edge.
 */
static void walk(int from, int to);
#define MVM_EXECUTOR_EDGE(from, to) walk((int)(from), (int)(to))
#define answer                      executor_answer /* the fixture has one, too */
#include "../executor/executor.c"
#undef answer

#include "simulation.h"
#include "stream_job.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STATES = MVM_EXECUTOR_DONE + 1, WORLDS = 3000, FAULTS = 200 };

static const char *const names[STATES] = {
    "IDLE",   "CHECK", "SOURCE",  "MOUNT_OUT", "MOUNT_IN", "NIX",  "RUN",
    "TERM",   "KILL",  "DRAIN",   "LOGFILE",   "RESULT",   "COPY", "LIST",
    "RENAME", "SYNC",  "UNMOUNT", "TIDY",      "END",      "DONE",
};

static bool drawn[STATES][STATES];
static bool walked[STATES][STATES];

static void walk(int from, int to)
{
    walked[from][to] = true;
}

static unsigned number_of(const char *name)
{
    for (unsigned i = 0; i < STATES; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    fail_msg("docs/states.md draws a state %s", name);
    return 0;
}

static int read_drawing(void **state)
{
    char line[256], from[32], to[32];
    FILE *f = fopen("docs/states.md", "r");
    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, " %31[A-Z_] --> %31[A-Z_] :", from, to) == 2) {
            drawn[number_of(from)][number_of(to)] = true;
        }
    }
    return fclose(f);
}

static void live(void)
{
    static const struct scenario scenarios[] = {
        {.name = "one after the other", .wire = MVM_WIRE_JSON, .run_ms = 100, .queue = true},
        {.name = "time-out", .wire = MVM_WIRE_JSON, .run_ms = UINT64_MAX},
        {.name = "gone", .wire = MVM_WIRE_JSON, .run_ms = 5000, .goes_ms = 2500, .from_disk = true},
    };
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        assert_null(simulate(rng_by_seed(seed), NULL));
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        for (unsigned n = 1; n <= FAULTS; n++) {
            unsigned kinds, calls;
            const struct fault fails = {.at = n};
            const struct fault hangs = {.hang_at = n, .hang_run = 1};
            assert_null(simulate_fault(&scenarios[i], &fails, &kinds, &calls, NULL));
            assert_null(simulate_fault(&scenarios[i], &hangs, &kinds, &calls, NULL));
        }
    }
}

static void live_without_disks(void)
{
    static const struct stream_case cases[] = {
        {.flake_ref = "", .has_source = true, .source_size = 1000, .sends = 1000},
        {.flake_ref = "", .has_source = true, .source_size = 1000, .sends = 999},
        {.flake_ref = "path:/f"},
    };
    for (size_t i = 0; i < 3 * sizeof cases / sizeof cases[0]; i++) {
        for (unsigned n = 1; n <= FAULTS / 2; n++) {
            stream_world();
            sim.fail_at = i / 3 == 0 ? n : 0;
            sim.hang_at = i / 3 == 1 ? n : 0;
            struct stream_case c = cases[i % 3];
            c.cancel_at_ms = i / 3 == 2 ? n * 5 : 0;
            stream_run(&c);
        }
    }
}

static void every_edge_that_is_drawn_is_walked_and_no_other(void **state)
{
    unsigned wrong = 0;
    (void)state;
    live();
    live_without_disks();
    for (unsigned from = 0; from < STATES; from++) {
        for (unsigned to = 0; to < STATES; to++) {
            if (drawn[from][to] != walked[from][to]) {
                print_error("%s --> %s is %s\n", names[from], names[to],
                            drawn[from][to] ? "drawn and never walked" : "walked and not drawn");
                wrong++;
            }
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_edge_that_is_drawn_is_walked_and_no_other, read_drawing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
