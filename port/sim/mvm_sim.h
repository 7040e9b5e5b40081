/*
 * A small world in memory behind executor/mvm_port.h, for tests: files that are durable only when
 * synced, two disks, one build whose output and end are data. Nothing in it moves but by the clock
 * that the test turns, every call is counted and written down, and may be made to fail with any
 * error it can give, to move less than asked for, to be late, or to hang for ever. No heap, no
 * globals.
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

enum {
    MVM_SIM_FILES = 32,
    MVM_SIM_FILE_CAP = 4096, /* bytes; a write past it is a full disk */
    MVM_SIM_TRACE_CAP = 16384,
};

enum mvm_sim_kind { MVM_SIM_REGULAR, MVM_SIM_OTHER /* a directory, FIFO, device … */ };

struct mvm_sim_file {
    bool there;
    bool durable; /* the bytes are on the disk */
    bool named;   /* so is the name */
    bool shadow;  /* not there any more, but the disk does not know it yet */
    enum mvm_sim_kind kind;
    char path[256];
    size_t len;
    size_t blanks; /* that stand behind the bytes when it is read */
    uint8_t bytes[MVM_SIM_FILE_CAP];
};

/* A process as data: what it prints, when it ends, how it takes a signal. */
struct mvm_sim_script {
    const char *out; /* printed at once; NULL: nothing */
    size_t out_len;  /* 0: as long as its text */
    const char *err;
    size_t err_repeats;   /* how often `err` is printed; 0: once */
    uint64_t run_ms;      /* until it ends by itself; UINT64_MAX: never */
    struct mvm_exit exit; /* how it ends by itself */
    bool ignores_term;    /* SIGTERM does nothing */
    bool survives_kill;   /* in uninterruptible sleep */
    bool leaves_child;    /* one that lives until it is signalled, and holds the pipes */
    bool child_ignores_term;
    bool stranger_holds_pipes; /* the pipes never end */
    bool out_of_memory;        /* the kernel killed one of its processes */
};

struct mvm_sim_disk {
    bool absent;
    bool mounted;        /* before the job, … */
    bool ours;           /* … and what is mounted is this device */
    bool broken;         /* mount fails */
    bool busy;           /* unmount gives BUSY */
    bool stuck;          /* remount_ro does, too */
    uint64_t appears_ms; /* absent until then */
    uint64_t held_ms;    /* after unmount something else holds it until then */
    bool read_only;
};

struct mvm_sim {
    /* ---- set by the test ---- */
    uint64_t now_ms;
    struct mvm_sim_script build;
    struct mvm_sim_script unpack; /* of a process that is fed: from the end of its input on */
    struct mvm_sim_disk out;
    struct mvm_sim_disk in;
    const char *out_dir;
    const char *in_dir;
    bool no_nix;
    bool dir_in_the_way;  /* make_dir fails */
    bool alone;           /* no call for a disk is ever LATER */
    unsigned hang_at;     /* the call for a disk that never ends, counted as fail_at is; 0: none */
    unsigned hang_run;    /* how many calls from there on do, if they are for a disk; 0: one */
    bool log_full;        /* build.log takes no more, until that is lifted */
    size_t capacity;      /* bytes of the output disk; 0: enough */
    size_t piece;         /* bytes a read, write or copy moves at most; 0: all */
    uint32_t late_ms;     /* at times output, exits and signals come late by up to this, calls
                           * that block take as long, and less is moved than could be; 0: no */
    uint64_t whims;       /* a seed: which times those are */
    unsigned fail_at;     /* the call that fails, from 1; 0: none */
    unsigned fail_run;    /* how many fail from there on; 0: one */
    struct mvm_sim *dark; /* the world as it is at the call `dark_at` is put here; NULL: no */
    unsigned dark_at;     /* from 1 */
    unsigned fail_with;   /* with which of the errors a call can give, counted round */

    /* ---- to look at ---- */
    unsigned calls; /* so far, but for `reason`, and those that end a build, a call, a job */
    unsigned hung;  /* calls that were abandoned */
    unsigned spawned;
    uint64_t fed;                /* bytes that it was fed */
    bool feeding;                /* its input has not ended */
    bool confused;               /* a call was made while another was in progress */
    bool failed;                 /* fail_at was reached; */
    unsigned fail_kinds;         /* … so many errors that call can give, … */
    enum mvm_port_error fail_as; /* … the last that failed gave this one */
    const char *argv[64];
    struct mvm_sim_file files[MVM_SIM_FILES];
    char trace[MVM_SIM_TRACE_CAP]; /* the calls' names in order, each with a space behind */
    size_t trace_len;

    /* ---- the world's own ---- */
    const struct mvm_sim_script *running;
    uint64_t started_ms;
    uint64_t ended_ms; /* when a signal took effect; UINT64_MAX: none did */
    bool killed;
    bool child_alive;
    bool abandoned;                     /* a build was closed that had a process left */
    uint64_t shows_ms[MVM_STREAMS + 1]; /* when streams and the exit show what is there */
    size_t given[MVM_STREAMS];          /* bytes read of each stream */
    struct mvm_sim_file *log;           /* open; NULL: it is not */
    struct {
        unsigned call; /* in progress, from 1; 0: none is */
        bool fails;
        uint64_t until_ms; /* when it has its result; UINT64_MAX: never */
    } asked;
    struct {
        struct mvm_sim_file *from; /* NULL: none is in progress */
        struct mvm_sim_file *to;
        size_t at;
    } copy;
    char reason[64];
};

void mvm_sim_init(struct mvm_sim *s, const char *out_dir, const char *in_dir);

/* Puts a durable file there, replacing any. */
void mvm_sim_put(struct mvm_sim *s, const char *path, const char *text);

/* The file by that path, or NULL. */
struct mvm_sim_file *mvm_sim_find(struct mvm_sim *s, const char *path);

/* Whether anything is left that a job must not leave: a process, an open handle, a temporary file
 * in out_dir, a mount that was not there before. Returns what, or NULL. */
const char *mvm_sim_left_over(struct mvm_sim *s);

/* When something comes by itself that is not there yet; UINT64_MAX: nothing does. */
uint64_t mvm_sim_next_ms(const struct mvm_sim *s);

/* The agent was killed and is started again: its processes and the calls in progress are gone;
 * files, disks, mounts and what was not durable stay. */
void mvm_sim_restart(struct mvm_sim *s);

/* The power goes: what was not durable is gone, and names that were not, too; what they replaced is
 * back. */
void mvm_sim_power_cut(struct mvm_sim *s);

#ifdef __cplusplus
}
#endif

#endif
