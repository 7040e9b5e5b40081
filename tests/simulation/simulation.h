/*
 * A whole life of a service by chance: clients of every manner over both wires, builds that
 * succeed, fail, hang, hide and flood, disks that are missing, full, slow, busy or broken, port
 * calls that fail, once or from then on, that move less than asked for, that have nothing to give
 * yet, steps that nothing called for. All of it is decided by the chances drawn, so the same
 * chances give the same life.
 *
 * What must hold, whatever happens:
 *   - each Ping gets a Pong, each bad frame one Err, each Build one Ok or Err, for clients that
 * stay;
 *   - the lines of a build come in order, none lost, none twice;
 *   - a build that nothing goes wrong with is Ok;
 *   - Ok is only said when every artifact is whole and durable under its final name;
 *   - a final name never holds half a file, nor loses one, not even if the power goes;
 *   - every byte that was read of a build's output is in build.log;
 *   - no process, handle or mount is left that was not there;
 *   - the next build works.
 */
#ifndef MVM_SIMULATION_H
#define MVM_SIMULATION_H

#include "chance.h"
#include "mvm_session.h"
#include <stdio.h>

/* Runs one. NULL: everything held; else what did not, a static text. `trace`: where to tell what
 * happens; NULL: nowhere. Not reentrant: its world is static. */
const char *simulate(struct chance chance, FILE *trace);

/* A life that is told in advance. Everything that is 0 goes well. */
struct scenario {
    const char *name;
    enum mvm_wire wire;
    uint64_t run_ms; /* of the build */
    int exit_code;
    bool ignores_term;
    bool leaves_child;
    uint64_t goes_ms; /* when the first client goes; 0: it stays */
    bool queue;       /* a second client asks, too */
    bool from_disk;   /* the flake is on the input disk */
};

/* Which calls of the port fail in a scenario. */
struct fault {
    unsigned at;      /* the first, from 1 */
    unsigned run;     /* so many in a row; UINT_MAX: all from there on */
    unsigned with;    /* which of the errors that a call can give, from 0, counted round */
    unsigned dark_at; /* the call at which the power is thought to go; 0: none */
};

/* Runs it with a fault. What must hold is the same. `*kinds`: how many errors the call `at` can
 * give; 0: there was no such call. `*calls`: how many calls there were. */
const char *simulate_fault(const struct scenario *s, const struct fault *f, unsigned *kinds,
                           unsigned *calls, FILE *trace);

#endif
