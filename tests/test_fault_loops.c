/*
 * Every call of the port fails with each error it can return, in every kind of scenario, alone and
 * with all that follow it: all properties (simulation.h) still hold, and the next build works.
 */
#include "simulation.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct scenario scenarios[] = {
    {.name = "success", .wire = MVM_WIRE_JSON, .run_ms = 100},
    {.name = "success from the input disk", .wire = MVM_WIRE_JSON, .from_disk = true},
    {.name = "success over protobuf", .wire = MVM_WIRE_PROTO, .run_ms = 100},
    {.name = "failing build", .wire = MVM_WIRE_JSON, .run_ms = 100, .exit_code = 1},
    {.name = "failing build over protobuf", .wire = MVM_WIRE_PROTO, .exit_code = 1},
    {.name = "time-out", .wire = MVM_WIRE_JSON, .run_ms = UINT64_MAX},
    {.name = "time-out of a stubborn one", .run_ms = UINT64_MAX, .ignores_term = true},
    {.name = "a child is left", .wire = MVM_WIRE_JSON, .leaves_child = true},
    {.name = "client gone", .wire = MVM_WIRE_JSON, .run_ms = UINT64_MAX, .goes_ms = 2500},
    {.name = "client gone over protobuf", .wire = MVM_WIRE_PROTO, .run_ms = 5000, .goes_ms = 2500},
    {.name = "client gone early", .wire = MVM_WIRE_JSON, .run_ms = 5000, .goes_ms = 1020},
    {.name = "queue", .wire = MVM_WIRE_JSON, .run_ms = 300, .queue = true},
    {.name = "queue over protobuf", .wire = MVM_WIRE_PROTO, .run_ms = 300, .queue = true},
    {.name = "queue behind one that leaves", .run_ms = 5000, .queue = true, .goes_ms = 2500},
};

/* Without disks: what the scheduler's own port does may fail, too. */
static const struct scenario streams[] = {
    {.name = "artifacts", .stream = true, .run_ms = 100},
    {.name = "a source", .stream = true, .run_ms = 100, .source_size = 20},
    {.name = "a failing build of a source", .stream = true, .source_size = 10, .exit_code = 1},
    {.name = "a source, time-out", .stream = true, .run_ms = UINT64_MAX, .source_size = 20},
    {.name = "a source, client gone",
     .stream = true,
     .run_ms = 5000,
     .source_size = 20,
     .goes_ms = 2500},
    {.name = "two sources", .stream = true, .run_ms = 300, .source_size = 20, .queue = true},
};

/* How many errors the call can return; 0: there is no such call. */
static unsigned make_fail(const struct scenario *s, const struct fault *f, unsigned *calls)
{
    unsigned kinds;
    const char *wrong = simulate_fault(s, f, &kinds, calls, NULL);
    if (wrong != NULL) {
        simulate_fault(s, f, &kinds, calls, stderr);
        fail_msg(
            "%s, %u calls from %u on fail with error %u, %u from %u on hang, power cut at %u: %s",
            s->name, f->run, f->at, f->with, f->hang_run, f->hang_at, f->power_cut_at, wrong);
    }
    return kinds;
}

/* How many faults were made. */
static unsigned make_all_fail_of(const struct scenario *s, unsigned run, bool reader)
{
    struct fault f = {.at = 1, .run = run, .reader = reader};
    unsigned calls, faults = 0;
    for (unsigned kinds; (kinds = make_fail(s, &f, &calls)) > 0; f.at++) {
        faults += kinds;
        for (f.with = 1; f.with < kinds; f.with++) {
            make_fail(s, &f, &calls);
        }
        f.with = 0;
    }
    return faults;
}

static unsigned make_all_fail(const struct scenario *s, unsigned run)
{
    unsigned faults = make_all_fail_of(s, run, false);
    return s->stream ? faults + make_all_fail_of(s, run, true) : faults;
}

/* How many calls there were at which the power was cut. */
static unsigned make_all_dark(const struct scenario *s, unsigned run)
{
    struct fault f = {.power_cut_at = 1};
    unsigned calls = run;
    if (s->stream) {
        return UINT_MAX; /* it writes nothing to a disk that must last */
    }
    do {
        make_fail(s, &f, &calls);
    } while (f.power_cut_at++ < calls);
    return calls;
}

/* How many calls were made to hang; a scenario without a time-out or a client that leaves has
 * none. */
static unsigned make_all_hang_of(const struct scenario *s, unsigned run, bool reader)
{
    struct fault f = {.hang_at = 0, .hang_run = run, .reader = reader};
    unsigned all, calls, hangs = 0;
    make_fail(s, &f, &all);
    while (f.hang_at++ < all) {
        hangs += make_fail(s, &f, &calls) > 0 ? 1 : 0;
    }
    return hangs;
}

static unsigned make_all_hang(const struct scenario *s, unsigned run)
{
    unsigned hangs = make_all_hang_of(s, run, false);
    return s->stream ? hangs + make_all_hang_of(s, run, true) : hangs;
}

static void in_each_life(unsigned (*do_all)(const struct scenario *s, unsigned run), unsigned run,
                         unsigned least)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        struct scenario s = scenarios[i];
        s.wire = s.wire == MVM_WIRE_OPEN || !mvm_proto_present ? MVM_WIRE_JSON : s.wire;
        unsigned done = do_all(&s, run);
        if (done < least) {
            fail_msg("%s: only %u of them", s.name, done);
        }
    }
    for (size_t i = 0; mvm_proto_present && i < sizeof streams / sizeof streams[0]; i++) {
        unsigned done = do_all(&streams[i], run);
        if (done < least / 2) {
            fail_msg("%s: only %u of them", streams[i].name, done);
        }
    }
}

static void any_one_call_may_fail(void **state)
{
    (void)state;
    in_each_life(make_all_fail, 1, 25);
}

static void any_two_calls_in_a_row_may_fail(void **state)
{
    (void)state;
    in_each_life(make_all_fail, 2, 25);
}

static void from_any_call_on_all_may_fail(void **state)
{
    (void)state;
    in_each_life(make_all_fail, UINT_MAX, 25);
}

static void the_power_may_go_at_any_call(void **state)
{
    (void)state;
    in_each_life(make_all_dark, 0, 25);
}

/* Each scenario's build has a time-out, or its client leaves. */
static void any_call_for_a_disk_may_hang(void **state)
{
    (void)state;
    in_each_life(make_all_hang, 1, 10);
}

static void from_any_call_on_all_for_a_disk_may_hang(void **state)
{
    (void)state;
    in_each_life(make_all_hang, UINT_MAX, 10);
}

/* The worlds that once failed, and some more. */
static void random_worlds_hold(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        const char *wrong = simulate(rng_by_seed(seed), NULL);
        if (wrong != NULL) {
            fail_msg("seed %u: %s", (unsigned)seed, wrong);
        }
    }
    assert_null(simulate(rng_by_seed(761), NULL)); /* waited for a client that had gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_call_may_fail),
        cmocka_unit_test(any_two_calls_in_a_row_may_fail),
        cmocka_unit_test(from_any_call_on_all_may_fail),
        cmocka_unit_test(the_power_may_go_at_any_call),
        cmocka_unit_test(any_call_for_a_disk_may_hang),
        cmocka_unit_test(from_any_call_on_all_for_a_disk_may_hang),
        cmocka_unit_test(random_worlds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
