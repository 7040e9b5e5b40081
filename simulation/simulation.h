/*
 * A whole life of a service by chance: clients of every manner over both wires, builds that
 * succeed, fail, hang, hide and flood, disks that are missing, full, busy or broken, a port call
 * that fails. All of it is decided by the chances drawn, so the same chances give the same life.
 *
 * What must hold, whatever happens:
 *   - each Ping gets a Pong, each bad frame one Err, each Build one Ok or Err, for clients that
 * stay;
 *   - the lines of a build come in order, none lost, none twice;
 *   - a build that nothing goes wrong with is Ok;
 *   - Ok is only said when every artifact is whole and durable under its final name;
 *   - a final name never holds half a file, not even if the power goes;
 *   - no process, handle or mount is left that was not there;
 *   - the next build works.
 */
#ifndef MVM_SIMULATION_H
#define MVM_SIMULATION_H

#include "chance.h"
#include "mvm_port.h"
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

/*
 * Runs it with the `fail_at`-th call of the port (from 1) failing with `error`. What must hold is
 * the same. `*reached`: whether there was such a call.
 */
const char *simulate_fault(const struct scenario *s, unsigned fail_at, enum mvm_port_error error,
                           bool *reached, FILE *trace);

#endif
