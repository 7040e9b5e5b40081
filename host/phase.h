/*
 * A build's phase, from its log. Messages have no field for it: the agent's own lines, which
 * begin with "mvm: ", are parsed; with an agent that logs fewer it stays at "building".
 *
 *     mvm: waiting for another build, N ahead     queued
 *     (nothing yet, or another of its own lines)  mounting, or preparing
 *     (any other line)                            building
 *     mvm: staging NAME, M of N bytes             staging
 *
 * A build can print such lines too; they affect only what is shown.
 */
#ifndef MVM_PHASE_H
#define MVM_PHASE_H

#include "mvm_text.h"

/* Bytes of NAME, which is made of letters, digits, '.', '_' and '-'. Past it: a line like others.
 */
#define MVM_PHASE_NAME_MAX 32

/* The largest M and N, far more than a file system has room for. Past it: a line like others. */
#define MVM_PHASE_BYTES_MAX (UINT64_C(1) << 53)

enum mvm_phase_kind {
    MVM_PHASE_QUEUED,
    MVM_PHASE_MOUNTING,
    MVM_PHASE_SENDING, /* by mvm_phase_move alone */
    MVM_PHASE_BUILDING,
    MVM_PHASE_STAGING,
    MVM_PHASE_FETCHING, /* likewise */
};

struct mvm_phase {
    enum mvm_phase_kind kind;
    bool without_disks; /* set after init: nothing is mounted */
    uint64_t ahead;     /* QUEUED: builds before ours */

    /* SENDING, STAGING, FETCHING */
    char name[MVM_PHASE_NAME_MAX + 1];
    uint64_t total;
    uint64_t first; /* `done` when the first word of this file came */
    uint64_t done;
    uint64_t first_ms;
    uint64_t done_ms;
};

/* MOUNTING: what an agent does first. */
void mvm_phase_init(struct mvm_phase *p);

/* Parses a Log line that is not empty. True: it only reports a copy's progress, which the status
 * line shows, too. */
bool mvm_phase_parse(struct mvm_phase *p, struct mvm_text line, uint64_t now_ms);

/* Bytes that this program moves itself. */
void mvm_phase_move(struct mvm_phase *p, enum mvm_phase_kind kind, const char *name, uint64_t done,
                    uint64_t total, uint64_t now_ms);

/* "building". */
const char *mvm_phase_title(const struct mvm_phase *p);

/* How much of the bytes that this program moves itself is done, in thousandths; -1: it moves none.
 */
int mvm_phase_permille(const struct mvm_phase *p);

/* "rootfs.ext4: 1.2 of 10.0 GiB, 310.4 MiB/s", the rate over the file until now; of bytes that this
 * program moves itself "rootfs.ext4: 1.2/10.0 GiB, 310.4 MiB/s, 0:12 left"; or nothing. */
void mvm_phase_add_detail(const struct mvm_phase *p, struct mvm_writer *w);

#endif
