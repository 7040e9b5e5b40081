/*
 * A whole random life of a scheduler: clients of every kind over both wires, old ones and such
 * as name their builds, cancel, join, lose their connection and come back; a line without
 * connections at whose other end one host follows another; builds that succeed, fail, hang, hide
 * and flood; disks that are missing, full, slow, busy or broken; port calls that fail, once or from
 * then on, that move less than asked for, that have nothing to give yet; steps without a reason; an
 * agent that is killed and started again in mid-build; builds without disks, whose sources come in
 * pieces, right and wrong, whose artifacts are fetched and dropped by any client with the id. All
 * of it is decided by random numbers, so the same seed gives the same life.
 *
 * What must hold, whatever happens:
 *   - each Ping gets a Pong, each bad frame one Err, each Hello one Hello, each Cancel one
 * Cancelled, each Build and each Join one Ok or Err, for clients that stay;
 *   - every Ok that a client gets is that of its own build, and at that time every artifact was
 * whole and durable under its final name; a kept Ok is given only as long as that is so;
 *   - a client on a line hears nothing of what came before its Hello was answered;
 *   - old clients get no field and no variant that is new;
 *   - the lines of a build come in order, none lost, none twice;
 *   - a build that nothing goes wrong with is Ok, and a kept one does not end with its connection;
 *   - a final name always has a complete file, even after a power cut;
 *   - every byte that was read of a build's output is in build.log;
 *   - what a build without disks builds is its own source, whole; each Get has one end, and brings
 * that build's bytes; what is held can be fetched, and with nothing held the agent's folder is
 * empty;
 *   - no process, handle or mount is left that was not there;
 *   - the next build works.
 */
#ifndef MVM_SIMULATION_H
#define MVM_SIMULATION_H

#include "mvm_session.h"
#include "rng.h"
#include <stdio.h>

/* Runs one. NULL: all properties held; else the one that did not, a static text. `trace`: where to
 * print what happens; NULL: nowhere. Not reentrant: its world is static. */
const char *simulate(struct rng rng, FILE *trace);

/* A scenario given in advance. Zero is the case without faults. */
struct scenario {
    const char *name;
    enum mvm_wire wire;
    uint64_t run_ms; /* of the build */
    int exit_code;
    bool ignores_term;
    bool leaves_child;
    uint64_t goes_ms;     /* when the first client leaves; 0: never */
    bool queue;           /* a second client requests a build, too */
    bool from_disk;       /* the flake is on the input disk */
    bool stream;          /* without disks; what was built is fetched and dropped */
    uint32_t source_size; /* of the flake that is sent; 0: none is */
};

/* Which calls of the port fail in a scenario. */
struct fault {
    unsigned at;      /* the first, from 1 */
    unsigned run;     /* how many in a row; UINT_MAX: all from there on */
    unsigned with;    /* which of the call's errors, from 0, modulo their number */
    unsigned hang_at; /* the disk call that never returns, from 1; 0: none */
    unsigned hang_run;
    unsigned power_cut_at; /* the call at which the power is cut; 0: none */
    bool reader;           /* the calls are those of the scheduler's own port */
};

/* Runs it with a fault. The same properties must hold. `*kinds`: how many errors the call `at` can
 * return; 0: there was no such call. `*calls`: how many calls there were. */
const char *simulate_fault(const struct scenario *s, const struct fault *f, unsigned *kinds,
                           unsigned *calls, FILE *trace);

#endif
