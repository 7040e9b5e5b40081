/* The simulated world: its contents, how it is made, and what must hold in it. */
#ifndef MVM_WORLD_H
#define MVM_WORLD_H

#include "ledger.h"
#include "mvm_sim.h"
#include "peer.h"
#include <stdio.h>

enum {
    PEERS = 4,
    LINES_MAX = 60,
    ARTIFACTS = 2,
};

struct artifact {
    const char *source; /* in the build's output */
    const char *name;
    const char *old;
    const char *begins; /* build n stages "BEGINS n." */
};

extern const struct artifact artifacts[ARTIFACTS];

struct world {
    struct rng rng;
    FILE *trace;
    struct mvm_sim sim;
    struct mvm_sim reader; /* the scheduler's own port, on the same files */
    struct mvm_port port;  /* the executor's: the simulated one, with a look at each start */
    bool streams;          /* there are builds without disks */
    const char *violation; /* that look has found something wrong */
    uint8_t source_buffer[MVM_BULK_DATA_MAX];
    uint8_t bulk[MVM_BULK_DATA_MAX];
    struct mvm_sim after_power_cut; /* the world at a power cut */
    struct mvm_executor_config config;
    struct mvm_executor executor;
    struct mvm_scheduler scheduler;
    struct mvm_client slots[PEERS];
    struct peer peers[PEERS];
    struct peer_world peer_world;
    struct ledger ledger;
    unsigned number;                   /* of the build that runs; LEDGER_MAX: none has one */
    char printed[LEDGER_PATH_CAP + 8]; /* what it prints */
    bool missing[ARTIFACTS];           /* no build can produce it */
    bool restarted;
    unsigned restart_turn; /* when the agent is killed and started again; 0: never */
    char lines_text[LINES_MAX * 10];
    unsigned lines;
    bool kind;        /* without faults */
    bool out_mounted; /* before */
    bool in_mounted;
    bool was_mounted;  /* the output disk, by the running build or one that was killed */
    bool was_left;     /* … and when that build began, by an earlier one */
    uint64_t began_ms; /* when the running build began */
    bool restless;     /* there are steps without a reason */
    bool keep_building;
    bool no_path;         /* what builds print is not a path */
    bool kept[ARTIFACTS]; /* whether the artifact is durable on the disk */
};

extern struct world world;

void trace(const char *what);
void trace_answer(void);
void trace_peers(void);

/* ---- making it: world.c ---- */

void make_world(void);
void make_build(void);
void make_delays(void);

/* The output of build n appears in the store, and that of the one before goes. */
void make_output(unsigned number);
void artifact_text(unsigned number, int i, char text[64]);

/* A fresh executor and scheduler in the existing world. */
void init_agent(void);

/* ---- what must hold: checks.c. NULL: it does, else what does not ---- */

/* No incomplete file under a final name. */
const char *check_whole(struct mvm_sim *sim);

/* After a simulated power cut: what is left. */
const char *check_power_cut(void);
const char *check_left_over(void);

/* The answer that the running build ends with. */
const char *check_answer(void);

/* ---- what must hold of builds without disks: check_streams.c ---- */

/* A process starts: what it builds is whole, and is the running build's. */
const char *check_start(void);

/* A build without disks has ended. */
const char *check_stream_end(void);

/* When all is quiet, and nothing is held. */
const char *check_folder(void);

/* A call was made to fail, or hangs. */
bool is_troubled(void);

#endif
