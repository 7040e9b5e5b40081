/*
 * Every call of the port fails once, with each error it can give, in every kind of life that a
 * build can have: whatever must hold (simulation.h) still does, and the next build works.
 */
#include "simulation.h"
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
    {.name = "client gone at once", .wire = MVM_WIRE_JSON, .run_ms = 5000, .goes_ms = 1001},
    {.name = "queue", .wire = MVM_WIRE_JSON, .run_ms = 300, .queue = true},
    {.name = "queue over protobuf", .wire = MVM_WIRE_PROTO, .run_ms = 300, .queue = true},
    {.name = "queue behind one who goes", .run_ms = 5000, .queue = true, .goes_ms = 2500},
};

static const enum mvm_port_error errors[] = {MVM_PORT_FAILED, MVM_PORT_NOT_FOUND, MVM_PORT_BUSY,
                                             MVM_PORT_NOT_REGULAR};

/* How many faults there were to make. */
static unsigned make_all_fail(const struct scenario *s, enum mvm_port_error error)
{
    unsigned n = 0;
    bool reached = true;
    while (reached) {
        n++;
        const char *wrong = simulate_fault(s, n, error, &reached, NULL);
        if (wrong != NULL) {
            simulate_fault(s, n, error, &reached, stderr);
            fail_msg("%s, call %u failed as %d: %s", s->name, n, (int)error, wrong);
        }
    }
    return n - 1;
}

static void any_one_call_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        struct scenario s = scenarios[i];
        s.wire = s.wire == MVM_WIRE_OPEN || !mvm_proto_present ? MVM_WIRE_JSON : s.wire;
        for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
            unsigned faults = make_all_fail(&s, errors[e]);
            if (faults < 10) {
                fail_msg("%s: only %u calls to fail", s.name, faults);
            }
        }
    }
}

/* The worlds that once broke something, and some more. */
static void random_worlds_hold(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        const char *wrong = simulate(chance_by_seed(seed), NULL);
        if (wrong != NULL) {
            fail_msg("seed %u: %s", (unsigned)seed, wrong);
        }
    }
    assert_null(simulate(chance_by_seed(3142), NULL)); /* waited for a client that had gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_call_may_fail),
        cmocka_unit_test(random_worlds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
