/*
 * A client in the simulated world: it asks, reads, pauses, sends nonsense, goes, all by chance, and
 * knows what it has a right to hear.
 */
#ifndef MVM_PEER_H
#define MVM_PEER_H

#include "chance.h"
#include "mvm_scheduler.h"

enum { PEER_BUFFER_MAX = 1024 };

#define PEER_ANY_LINES UINT32_MAX

struct peer {
    struct mvm_client *client;  /* the service's; NULL: not connected */
    struct mvm_session session; /* this side */
    bool polite;                /* sends sound requests alone, reads at once, and stays */
    bool half_closed;
    bool ended;        /* its half has been ended on the service's side, too */
    bool gone;         /* left before it had everything */
    unsigned actions;  /* left to do */
    uint64_t act_ms;   /* when the next one is due */
    uint64_t reads_ms; /* reads nothing before */
    uint64_t goes_ms;  /* when it goes, whatever it waits for; 0: as chance has it */

    /* sent, and what came for it */
    unsigned pings, pongs;
    unsigned builds, oks, errs;
    unsigned bad_frames, parse_errors;
    unsigned next_line;    /* of the running build's numbered lines */
    const char *violation; /* it heard what it may not; NULL: no */

    uint8_t in[2][PEER_BUFFER_MAX]; /* of the service's side, of this side */
    uint8_t out[2][PEER_BUFFER_MAX];
    char request_fields[MVM_REQUEST_FIELDS_CAP];
    char response_fields[MVM_RESPONSE_FIELDS_CAP];
};

/* A fresh connection to the service. False: it has no slot. */
bool peer_connect(struct peer *p, struct mvm_scheduler *v, struct chance *c, uint64_t now_ms);

/* Does what is due by now; returns whether anything was. */
bool peer_act(struct peer *p, struct mvm_scheduler *v, struct chance *c, uint64_t now_ms);

/* Asks for a build, whatever chance says. False: there is no room to. */
bool peer_ask_build(struct peer *p, struct mvm_text flake_ref);

/* Moves bytes both ways and takes what came; a finished build had `lines` numbered ones. Returns
 * whether anything moved. */
bool peer_move(struct peer *p, struct chance *c, uint64_t now_ms, uint32_t lines);

/* When the peer does or reads something again; UINT64_MAX: it waits for the service. */
uint64_t peer_deadline(const struct peer *p, uint64_t now_ms);

/* What the peer has not got though it stayed; NULL: nothing. */
const char *peer_missing(const struct peer *p);

#endif
