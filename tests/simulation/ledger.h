/*
 * What is true of each build in a simulated world, recorded by the world and not by the code under
 * test: which builds there are, how each ended, and from when on its Ok is no longer true.
 */
#ifndef MVM_LEDGER_H
#define MVM_LEDGER_H

#include "mvm_message.h"

enum { LEDGER_MAX = 64, LEDGER_ID_LEN = 20 };

struct ledger_build {
    bool has_id;
    bool rude;                /* a client that may not read has asked for it or joined it */
    uint8_t keep;             /* enum mvm_flag: whether it outlives its connection */
    bool ok;                  /* the job went well */
    bool cancelled;           /* a client cancelled it, or left it */
    unsigned superseded_turn; /* when a later build had the disk; 0: not */

    /* without disks */
    bool stream;
    bool has_source;
    uint32_t source_size;
    unsigned ok_turn;   /* when the job went well; 0: not */
    unsigned drop_turn; /* from when on it may be held no more; 0: not */
    bool dropped;       /* it is held no more: the agent was restarted, or another displaced it */
};

struct ledger {
    unsigned turn;
    unsigned count;
    unsigned limit;
    struct ledger_build builds[LEDGER_MAX]; /* build n has the attribute "n<n>" */
};

/* A new build's number; LEDGER_MAX: there are no more. */
unsigned ledger_add(struct ledger *l, bool has_id);

/* The id of build n; the number of an id or of an attribute, LEDGER_MAX if it is none of ours. */
void ledger_id(unsigned n, char id[LEDGER_ID_LEN + 1]);
unsigned ledger_number(struct mvm_text id);
unsigned ledger_number_of_attr(struct mvm_text attr);

/* The store path that build n prints. */
enum { LEDGER_PATH_CAP = 40 };
void ledger_path(unsigned n, char path[LEDGER_PATH_CAP]);

/* The bytes of build n's source from `offset` on, up to LEDGER_SOURCE_MAX of them. */
enum { LEDGER_SOURCE_MAX = 4096 };
const char *ledger_source(unsigned n, uint64_t offset);

/* The artifacts that every build makes, but for those that are missing in the world. */
enum { LEDGER_ARTIFACTS = 2, LEDGER_TEXT_CAP = 64 };
extern const char *const ledger_artifacts[LEDGER_ARTIFACTS];
void ledger_artifact_text(unsigned n, unsigned artifact, char text[LEDGER_TEXT_CAP]);

/* Build n may be held no more. */
void ledger_drop(struct ledger *l, unsigned n);

/* All builds that may be held: how many; the oldest, or LEDGER_MAX. */
unsigned ledger_held(const struct ledger *l, unsigned *oldest);

/* Build n begins again. */
void ledger_begin(struct ledger *l, unsigned n);

/* A build has the disk, or stages: what earlier builds staged is no longer true. LEDGER_MAX: any
 * build. */
void ledger_supersede(struct ledger *l, unsigned n);

#endif
