/*
 * What the executor's files share: one file a phase of the job, executor.c drives them. A phase
 * function does one thing and returns what the step is to do next; only executor.c assigns time,
 * and every file changes the state through mvm_executor_enter.
 */
#ifndef MVM_EXECUTOR_INTERNAL_H
#define MVM_EXECUTOR_INTERNAL_H

#include "mvm_executor.h"

/* What a phase returns. */
enum mvm_turn {
    MVM_TURN_ON,    /* go on at once: the state or `pending` has changed */
    MVM_TURN_YIELD, /* something that takes time was done: let others have their turn */
    MVM_TURN_WAIT,  /* nothing to do before an event of the port, or `wake_ms` */
    MVM_TURN_NONE,  /* no job, or it has ended */
};

/* ---- outcome.c ---- */
void mvm_executor_enter(struct mvm_executor *x, enum mvm_executor_state state);

/* The writer for the job's Err message, or one that throws everything away where the job has
 * failed already: the first reason stays. */
struct mvm_writer mvm_executor_fail(struct mvm_executor *x, enum mvm_category category);
void mvm_executor_fail_reason(struct mvm_executor *x, enum mvm_category category, const char *what,
                              const char *name);
void mvm_executor_fail_cancelled(struct mvm_executor *x);

/* A Log line of the executor's own, "mvm: " in front; at most one a turn. */
struct mvm_writer mvm_executor_note(struct mvm_executor *x);
void mvm_executor_noted(struct mvm_executor *x, const struct mvm_writer *w);

/* ---- check.c ---- */
enum mvm_turn mvm_executor_check(struct mvm_executor *x);

/* Copies the texts of a job into `installable`, FLAKE#ATTR, or fails the job where it is unsound.
 */
void mvm_executor_take(struct mvm_executor *x, const struct mvm_job *job);

/* ---- policy.c: fails the job unless the policy file allows builds ---- */
void mvm_executor_check_policy(struct mvm_executor *x);

/* ---- disks.c ---- */
enum mvm_turn mvm_executor_mount_out(struct mvm_executor *x);
enum mvm_turn mvm_executor_mount_in(struct mvm_executor *x);
enum mvm_turn mvm_executor_sync(struct mvm_executor *x);
enum mvm_turn mvm_executor_unmount(struct mvm_executor *x);

/* ---- command.c: which nix, its version, its arguments ---- */
enum mvm_turn mvm_executor_nix(struct mvm_executor *x);
void mvm_executor_start_build(struct mvm_executor *x);
void mvm_executor_take_version(struct mvm_executor *x, struct mvm_text line);
void mvm_executor_add_command(const struct mvm_executor *x, struct mvm_writer *w);

/* ---- process.c: PROBE, RUN, TERM, KILL, DRAIN ---- */
void mvm_executor_watch(struct mvm_executor *x); /* time-out, cancel, grace: cheap, every step */
enum mvm_turn mvm_executor_process(struct mvm_executor *x);

/* ---- output.c: pipes → lines, build.log, the store path ---- */
void mvm_executor_output_reset(struct mvm_executor *x);
bool mvm_executor_next_line(struct mvm_executor *x); /* true: `text` is a line of stream `turn` */
void mvm_executor_take_line(struct mvm_executor *x);
bool mvm_executor_fill(struct mvm_executor *x); /* true: bytes came or a stream ended */
bool mvm_executor_output_ended(const struct mvm_executor *x);

/* ---- pick.c ---- */
void mvm_nix_json_init(struct mvm_nix_json *n);
void mvm_nix_json_push(struct mvm_nix_json *n, const uint8_t *bytes, size_t len);
enum mvm_turn mvm_executor_pick(struct mvm_executor *x);

/* ---- stage.c: COPY, RENAME · build_log.c: LOGFILE and the writing before it ---- */
enum mvm_turn mvm_executor_copy(struct mvm_executor *x);
enum mvm_turn mvm_executor_rename(struct mvm_executor *x);
void mvm_executor_log_open(struct mvm_executor *x);
void mvm_executor_log_write(struct mvm_executor *x, const uint8_t *bytes, size_t len);
enum mvm_turn mvm_executor_logfile(struct mvm_executor *x);

/* Whether every path made of out_dir fits; else the job has failed. To be asked before any is. */
bool mvm_executor_paths_fit(struct mvm_executor *x);

/* `dir`/`name`, or the name's temporary form in out_dir, in path slot 0 or 1. */
const char *mvm_executor_path(struct mvm_executor *x, int slot, const char *dir, const char *name);
const char *mvm_executor_temporary(struct mvm_executor *x, int slot, const char *name);

#endif
