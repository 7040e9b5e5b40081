/*
 * A client in the simulated world: it sends requests, reads, pauses, sends invalid frames, leaves
 * and returns, all at random, and knows what it may receive. An old one uses only Ping and Build;
 * the others send Hello and name their builds. One of them may be a line without connections, at
 * whose other end one host follows another.
 */
#ifndef MVM_PEER_H
#define MVM_PEER_H

#include "ledger.h"
#include "mvm_scheduler.h"
#include "rng.h"

enum { PEER_BUFFER_MAX = 1024, PEER_BUILDS = 8, PEER_CANCELS = 16 };

#define PEER_ANY_LINES UINT32_MAX

/* A build that a client asked for or joined. */
struct peer_build {
    unsigned number;
    bool open;      /* its answer is due */
    bool accepted;  /* its first frame was received */
    bool joined;    /* by Join, not by Build */
    bool counts;    /* `next_line` is known: from the first numbered line after a join on */
    unsigned asked; /* the turn */
    unsigned next_line;
    uint64_t credit; /* bytes of its source that were asked for, … */
    uint64_t sent;   /* … and sent */
    bool silent;     /* no more are sent */
};

/* What is wrong with a Get. */
enum { PEER_BAD_OFFSET = 1, PEER_BAD_NAME };

struct peer_get {
    bool open; /* its end is due */
    uint8_t bad;
    unsigned number;
    unsigned artifact;
    unsigned asked; /* the turn */
    uint64_t at;    /* where the next byte is */
    uint64_t end;
};

struct peer {
    struct mvm_client *client;  /* the scheduler's; NULL: not connected */
    struct mvm_session session; /* this side's session */
    bool polite;                /* sends only valid requests, reads immediately, and stays */
    bool named;                 /* says Hello, and gives its builds ids */
    bool line;                  /* a line without connections: it has earlier and later hosts */
    bool welcomed;              /* its own Hello was answered */
    bool half_closed;
    bool ended;        /* its half has been ended on the scheduler's side, too */
    bool gone;         /* it left before it had received everything */
    unsigned hosts;    /* of a line: how many hosts it has had; part of the nonce */
    unsigned actions;  /* actions left */
    uint64_t act_ms;   /* when the next action is due */
    uint64_t reads_ms; /* reads nothing before this time */
    uint64_t goes_ms;  /* when it leaves, whatever it waits for; 0: at random */
    uint64_t back_ms;  /* when it reconnects; 0: never */

    /* sent, and the answers received */
    unsigned pings, pongs;
    unsigned builds, oks, errs; /* without ids */
    unsigned bad_frames, parse_errors;
    unsigned next_line; /* of the running build's numbered lines */
    unsigned last_ok;   /* 1 + the number of the last Ok without an id */
    struct peer_build named_builds[PEER_BUILDS];
    unsigned cancels, cancelled; /* requested and answered: a ring */
    unsigned cancel_of[PEER_CANCELS];
    struct peer_get get;
    unsigned fetches, fetched; /* 1 + the build whose artifacts it fetches, and how many it has */
    const char *violation;     /* it received what it may not: why; NULL: it has not */

    uint8_t in[2][PEER_BUFFER_MAX]; /* of the scheduler's side, of this side */
    uint8_t out[2][PEER_BUFFER_MAX];
    char request_fields[MVM_REQUEST_FIELDS_CAP];
    char response_fields[MVM_RESPONSE_FIELDS_CAP];
    char text[2][64]; /* of the request being sent */
};

/* What clients share. */
struct peer_world {
    struct mvm_scheduler *scheduler;
    struct ledger *ledger;
    struct rng *rng;
    uint64_t now_ms;
    uint32_t lines;      /* how many numbered lines a finished build has */
    bool streams;        /* there are builds without disks, … */
    bool troubled;       /* … whose artifacts may be lacking or unreadable, … */
    const bool *missing; /* … and may lack one */
};

/* A fresh connection to the scheduler. False: it has no slot. */
bool peer_connect(struct peer *p, struct peer_world *w);

/* Another host at the end of the line, with no state of the former one. */
void peer_change_hosts(struct peer *p, struct peer_world *w);

/* Does what is due by now; returns whether anything was. */
bool peer_act(struct peer *p, struct peer_world *w);

/* Requests a build. False: there is no room for it. */
bool peer_ask_build(struct peer *p, struct peer_world *w, struct mvm_text flake_ref);

/* Moves bytes both ways and handles what was received. Returns whether anything moved. */
bool peer_move(struct peer *p, struct peer_world *w);

/* When the peer does or reads something again; UINT64_MAX: it waits for the scheduler. */
uint64_t peer_deadline(const struct peer *p, uint64_t now_ms);

/* What the peer should have received and has not; NULL: nothing. */
const char *peer_missing(const struct peer *p);

/* ---- of peer.c, for named.c ---- */

struct mvm_text peer_some_flake(struct rng *c);
bool peer_ask_ping(struct peer *p);

/* ---- named.c ---- */

/* The client leaves: its builds without `keep` end, even if another client joins them meanwhile. */
void named_leave(struct peer *p, struct ledger *l);

/* Its side of the next connection begins. */
void named_begin(struct peer *p);
void named_act(struct peer *p, struct peer_world *w);
bool named_ask_build(struct peer *p, struct peer_world *w, struct mvm_text flake_ref);
void named_receive(struct peer *p, struct peer_world *w);
const char *named_missing(const struct peer *p);

/* Its own build of that number whose end is due, or NULL. */
struct peer_build *named_find_build(struct peer *p, unsigned number);

/* Asks for build n of the ledger. False: too many are open. */
bool named_send_build(struct peer *p, struct peer_world *w, struct mvm_text flake_ref,
                      unsigned number);

/* ---- streams.c: builds without disks ---- */

/* Whether a new build is one, and of what. */
void streams_draw_build(const struct peer *p, struct peer_world *w, struct ledger_build *b);

/* Makes a Build of the ledger's kind. */
void streams_complete_build(struct mvm_message *m, const struct ledger_build *b);

/* Get or Drop of a build. */
void streams_act(struct peer *p, struct peer_world *w, unsigned number);

/* Sends what is due of sources and Gets. Returns whether there was anything. */
bool streams_move(struct peer *p, struct peer_world *w);

/* The message that came is one of these; false: it is another. */
bool streams_receive(struct peer *p, struct peer_world *w);
void streams_receive_ok(struct peer *p, const struct peer_world *w, const struct mvm_message *m);

/* The end of a Get; false: it is another's. */
bool streams_receive_refusal(struct peer *p, const struct peer_world *w,
                             const struct mvm_message *m);

#endif
