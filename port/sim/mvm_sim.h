/*
 * A simulated system in memory behind executor/mvm_port.h, for tests: files that are durable only
 * when synced, two disks, one build whose output and end are data. Time advances only when the test
 * sets the clock. Every call is counted and traced, and can be made to fail with any error that it
 * may return, to transfer less than requested, to be late, or to hang forever. No heap, no globals.
 */
#ifndef MVM_SIM_H
#define MVM_SIM_H

#include "mvm_limits.h"
#include "mvm_port.h"
#include "mvm_text.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct mvm_port mvm_sim_port; /* its context is a struct mvm_sim * */

#define MVM_SIM_UNPACKED "/flake.nix"

enum {
    MVM_SIM_FILES = 64,
    MVM_SIM_FILE_CAP = 4096, /* bytes; a write past it is a full disk */
    MVM_SIM_TRACE_CAP = 16384,
};

enum mvm_sim_kind { MVM_SIM_REGULAR, MVM_SIM_OTHER /* a directory, FIFO, device … */ };

struct mvm_sim_file {
    bool there;
    bool durable; /* the bytes are on the disk */
    bool named;   /* so is the name */
    bool shadow;  /* removed or replaced, but not yet on the disk */
    enum mvm_sim_kind kind;
    char path[256];
    size_t len;
    size_t blanks; /* appended to the bytes when it is read */
    uint8_t bytes[MVM_SIM_FILE_CAP];
};

/* A process as data: what it prints, when it ends, how it reacts to signals. */
struct mvm_sim_script {
    const char *out; /* printed immediately; NULL: nothing */
    size_t out_len;  /* 0: the length of the string */
    const char *err;
    size_t err_repeats;   /* how often `err` is printed; 0: once */
    uint64_t run_ms;      /* until it exits; UINT64_MAX: never */
    uint64_t reads;       /* of a fed process: the bytes that it reads before it exits; 0: all */
    bool reads_nothing;   /* of a fed process: its input has no room */
    struct mvm_exit exit; /* unless it is killed */
    uint64_t stops_ms;    /* SIGTERM is LATER for this long; UINT64_MAX: always */
    bool ignores_term;    /* SIGTERM does nothing */
    bool survives_kill;   /* in uninterruptible sleep */
    bool leaves_child;    /* which runs until it is signalled, and holds the pipes */
    bool child_ignores_term;
    bool outsider_holds_pipes; /* the pipes never end */
    bool out_of_memory;        /* the kernel killed one of its processes */
};

struct mvm_sim_disk {
    bool absent;
    bool mounted;        /* before the job, … */
    bool ours;           /* … and what is mounted is this device */
    bool over;           /* … or is something else over it */
    bool broken;         /* mount fails */
    bool busy;           /* unmount returns BUSY */
    bool stuck;          /* remount_ro does, too */
    uint64_t appears_ms; /* absent until then */
    uint64_t held_ms;    /* after unmount another process holds it until then */
    bool read_only;
};

struct mvm_sim {
    /* ---- set by the test ---- */
    uint64_t now_ms;
    struct mvm_sim_script build;
    struct mvm_sim_script unpack; /* of a process that is fed: from the end of its input on. What it
                                   * is fed is in the file UNPACKED in argv[2], as far as it fits */
    struct mvm_sim_disk out;
    struct mvm_sim_disk in;
    const char *out_dir;
    const char *in_dir;
    struct mvm_sim *owner; /* whose files this one uses, too; NULL: it has its own */
    bool no_nix;
    bool dir_in_the_way; /* make_dir fails */
    bool never_later;    /* no disk call returns LATER */
    unsigned hang_at;    /* the disk call that never ends, counted as fail_at is; 0: none */
    unsigned hang_run;   /* how many calls from there on hang, if they are disk calls; 0: one */
    bool log_full;       /* build.log accepts no more while this is set */
    size_t capacity;     /* bytes of the output disk; 0: enough */
    size_t piece;        /* bytes a read, write or copy moves at most; 0: all */
    uint32_t late_ms;    /* output, exits and signals are sometimes late by up to this, disk calls
                          * take as long, and less is transferred than possible; 0: never */
    uint64_t delay_seed; /* the seed that selects those times */
    unsigned fail_at;    /* the call that fails, from 1; 0: none */
    unsigned fail_run;   /* how many fail from there on; 0: one */
    /* Receives a copy of the simulation at the call `power_cut_at`; NULL: none. */
    struct mvm_sim *at_power_cut;
    unsigned power_cut_at; /* from 1 */
    unsigned fail_with;    /* index of the error, modulo the number of errors the call can return */

    /* ---- read by the test ---- */
    unsigned calls; /* so far, except `reason` and those that end a build, a call or a job */
    unsigned hung;  /* calls that were abandoned */
    unsigned spawned;
    uint64_t fed;                /* bytes written to its stdin */
    unsigned reads;              /* calls of read_data that found the file */
    bool feeding;                /* its input has not ended */
    bool confused;               /* a call was made while another was in progress */
    bool failed;                 /* fail_at was reached; */
    unsigned fail_kinds;         /* … the number of errors that call can return, … */
    enum mvm_port_error fail_as; /* … the one that the last failed call returned */
    const char *argv[64];
    struct mvm_sim_file files[MVM_SIM_FILES];
    char trace[MVM_SIM_TRACE_CAP]; /* the calls' names in order, each followed by a space */
    size_t trace_len;

    /* ---- internal ---- */
    const struct mvm_sim_script *running;
    uint64_t started_ms;
    uint64_t stopping_ms; /* when SIGTERM was sent first; UINT64_MAX: not yet */
    uint64_t ended_ms;    /* when a signal took effect; UINT64_MAX: not yet */
    bool killed;
    bool child_alive;
    bool abandoned; /* a build was closed that had a process left */
    uint64_t
        shows_ms[MVM_PORT_STREAMS + 1]; /* when output of each stream, and the exit, are visible */
    size_t given[MVM_PORT_STREAMS];     /* bytes read of each stream */
    struct mvm_sim_file *log;           /* open; NULL: it is not */
    struct mvm_sim_file *unpacked;      /* what a fed process writes */
    char link[256];                     /* the running build's --out-link, or "" */
    struct {
        unsigned call; /* in progress, from 1; 0: none is */
        bool fails;
        uint64_t until_ms; /* when it completes; UINT64_MAX: never */
    } asked;
    struct {
        struct mvm_sim_file *from; /* NULL: none is in progress */
        struct mvm_sim_file *to;
        size_t at;
    } copy;
    char reason[64];
};

void mvm_sim_init(struct mvm_sim *s, const char *out_dir, const char *in_dir);

/* Creates a durable file, replacing an existing one. */
void mvm_sim_put(struct mvm_sim *s, const char *path, const char *text);

/* The file at that path, or NULL. */
struct mvm_sim_file *mvm_sim_find(struct mvm_sim *s, const char *path);

/* Likewise of any bytes, up to MVM_SIM_FILE_CAP; NULL: there is no room. In a file that read_data
 * reads, bytes of value 0 are a hole. */
struct mvm_sim_file *mvm_sim_put_bytes(struct mvm_sim *s, const char *path, const void *bytes,
                                       size_t len);

/* What the job has left but must not leave: a process, an open handle, a temporary file in out_dir,
 * a new mount. Returns its name; NULL: nothing. */
const char *mvm_sim_left_over(struct mvm_sim *s);

/* The time of the next event that needs no call; UINT64_MAX: none. */
uint64_t mvm_sim_next_ms(const struct mvm_sim *s);

/* The agent is killed and restarted: processes and calls in progress are gone; files, disks, mounts
 * and what was not durable stay. */
void mvm_sim_restart(struct mvm_sim *s);

/* A power cut: data and names that were not durable are lost; what they replaced is back. */
void mvm_sim_power_cut(struct mvm_sim *s);

MVM_LAYOUT_OF(struct mvm_sim, uint64_t);

#ifdef __cplusplus
}
#endif

#endif
