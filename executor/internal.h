/*
 * What the executor's files share. executor.c calls the phases, each of which does one thing and
 * returns the next state; below them are the files that several phases use. Only executor.c assigns
 * the state.
 */
#ifndef MVM_EXECUTOR_INTERNAL_H
#define MVM_EXECUTOR_INTERNAL_H

#include "mvm_executor.h"

/* What the step does after a phase has returned, as x->pace; ON unless the phase says otherwise. */
enum {
    MVM_PACE_ON,    /* continue immediately: the state, the step or `pending` has changed */
    MVM_PACE_YIELD, /* return to the caller, then continue */
    MVM_PACE_WAIT,  /* nothing to do before an event of the port, or `wake_ms` */
};

/* ---- phases: executor.c calls them, and they do not call each other ---- */

enum mvm_executor_state mvm_executor_check(struct mvm_executor *x);     /* check.c */
enum mvm_executor_state mvm_executor_prepare(struct mvm_executor *x);   /* source.c */
enum mvm_executor_state mvm_executor_mount_out(struct mvm_executor *x); /* mount.c */
enum mvm_executor_state mvm_executor_mount_in(struct mvm_executor *x);
enum mvm_executor_state mvm_executor_nix(struct mvm_executor *x);     /* nix.c */
enum mvm_executor_state mvm_executor_process(struct mvm_executor *x); /* process.c */
enum mvm_executor_state mvm_executor_logfile(struct mvm_executor *x); /* build_log.c */
enum mvm_executor_state mvm_executor_result(struct mvm_executor *x);  /* result.c */
enum mvm_executor_state mvm_executor_copy(struct mvm_executor *x);    /* copy.c */
enum mvm_executor_state mvm_executor_list(struct mvm_executor *x);    /* list.c */
enum mvm_executor_state mvm_executor_rename(struct mvm_executor *x);  /* rename.c */
enum mvm_executor_state mvm_executor_sync(struct mvm_executor *x);    /* release.c */
enum mvm_executor_state mvm_executor_unmount(struct mvm_executor *x);
enum mvm_executor_state mvm_executor_tidy(struct mvm_executor *x); /* source.c */

/* Checks the texts of a job and makes `installable` of them, FLAKE#ATTR, or fails the job. */
void mvm_executor_accept(struct mvm_executor *x, const struct mvm_job *job); /* check.c */

/* Time-out, cancel and grace of a running build, also while a line is pending; returns the
 * resulting state. Cheap: called by every step. */
enum mvm_executor_state mvm_executor_watch_process(struct mvm_executor *x); /* process.c */

/* A disk call hangs and its time is over: abandons it, fails the job, and returns the state that
 * does what can still be done. */
enum mvm_executor_state mvm_executor_hang(struct mvm_executor *x); /* hang.c */

/* ---- policy.c: one call at a time; false: not decided yet. Fails the job unless builds are
 * allowed. ---- */
bool mvm_executor_check_policy(struct mvm_executor *x);

/* ---- input.c: whether a flake reference, of up to MVM_FLAKE_REF_MAX bytes, names the input
 * directory or something in it; uses `installable` and `path` as scratch memory ---- */
bool mvm_executor_wants_input(struct mvm_executor *x, struct mvm_text flake_ref);

/* Takes the next byte of a path, with %XX decoded. */
char mvm_flake_next_byte(struct mvm_text *t);

/* ---- source.c: the source of a build without disks ---- */

/* Passes received bytes of the source to nix-store. */
void mvm_executor_feed(struct mvm_executor *x);

/* nix-store has succeeded: whether it has read all of the source. Else the job has failed. */
void mvm_executor_check_source(struct mvm_executor *x);

/* A folder in the source, or "": what is wrong with it, or NULL. */
const char *mvm_source_folder_unsound(struct mvm_text folder);

/* ---- command.c: nix's arguments ---- */
void mvm_executor_make_command(struct mvm_executor *x);
void mvm_executor_make_unpack_command(struct mvm_executor *x);
void mvm_executor_add_command(const struct mvm_executor *x, struct mvm_writer *w);

/* ---- launch.c: starts the command in argv by a port call; false: the job has failed ---- */
bool mvm_executor_launch(struct mvm_executor *x, int (*spawn)(void *ctx, const char *const argv[]));

/* ---- output.c: pipes → lines and build.log ---- */
void mvm_executor_output_reset(struct mvm_executor *x);
bool mvm_executor_next_line(struct mvm_executor *x); /* true: `text` is a line of stream `turn` */
void mvm_executor_drop_line(struct mvm_executor *x); /* it has been logged */
bool mvm_executor_fill(struct mvm_executor *x);      /* true: bytes were read or a stream ended */
bool mvm_executor_output_ended(const struct mvm_executor *x);

/* ---- build_log.c ---- */
int mvm_executor_log_open(struct mvm_executor *x); /* 0, LATER, or the job has failed */

/* Writes what is unlogged. False: the log has no room. */
bool mvm_executor_log_flush(struct mvm_executor *x);
void mvm_executor_log_give_up(struct mvm_executor *x, const char *reason);

/* ---- nix_result.c: what nix prints on its standard output ---- */
void mvm_nix_result_reset(struct mvm_nix_result *n);
void mvm_nix_result_push(struct mvm_nix_result *n, const uint8_t *bytes, size_t len);
void mvm_nix_result_line(struct mvm_nix_result *n, struct mvm_text line);

/* ---- staged.c: what is staged on the output disk, and by what names ---- */
enum { MVM_ARTIFACTS = 4 };

enum mvm_need {
    MVM_NEED_REQUIRED,
    MVM_NEED_OPTIONAL, /* not built: removed from the disk, so that no old one is taken for it */
    MVM_NEED_DEFAULT,  /* not built: `fallback` is written */
};

struct mvm_artifact {
    const char *target;
    const char *sources[2]; /* the first that is a regular file counts */
    enum mvm_need need;
    const char *fallback;
};

extern const struct mvm_artifact mvm_artifacts[MVM_ARTIFACTS];

/* ---- paths.c: made in x->path[slot], 0 or 1, and valid until the next one is made there ---- */

#define MVM_BUILD_LOG "build.log"

/* Whether every path made of out_dir fits; else the job has failed. Before any is made. */
bool mvm_executor_paths_fit(struct mvm_executor *x);

/* `dir`/`name`, and the temporary form of a name in out_dir. */
const char *mvm_executor_path(struct mvm_executor *x, int slot, const char *dir, const char *name);
const char *mvm_executor_temporary(struct mvm_executor *x, int slot, const char *name);

/* The source of a build without disks, and a name in the root of the job's slot ("": the root). */
const char *mvm_executor_source_path(struct mvm_executor *x, int slot);
const char *mvm_executor_root_path(struct mvm_executor *x, int slot, const char *name);

/* ---- report.c: failures and the executor's own lines ---- */

/* Begins the job's Err message. False: it has failed already, and the first reason stays. */
bool mvm_executor_fail(struct mvm_executor *x, enum mvm_category category, struct mvm_writer *w);

/* Why the last call of the port failed, or returned what it may not: more than was asked for. */
const char *mvm_executor_reason(const struct mvm_executor *x, bool too_much);

/* "WHAT" "NAME" ": " and the port's reason. */
void mvm_executor_fail_reason(struct mvm_executor *x, enum mvm_category category, const char *what,
                              const char *name);

/* "failed to release OUT_DIR: REASON", also behind another failure's message: the category is
 * RELEASE then, since the client must not use the disk. */
void mvm_executor_fail_release(struct mvm_executor *x, const char *reason);

/* "failed to copy artifacts: NAME: REASON"; if the job has failed already, as a Log line. */
void mvm_executor_fail_copy(struct mvm_executor *x, const char *name, const char *reason);

/* The reason: no image is empty. A build that went wrong without an error leaves such files. */
#define MVM_EXECUTOR_EMPTY "the file is empty"

/* Begins such a text. False: it is a note, for mvm_executor_noted. */
bool mvm_executor_begin_fail_copy(struct mvm_executor *x, struct mvm_writer *w);

/* Begins the message of a build that was cancelled, or whose time is over: "build cancelled: ",
 * "nix build timed out after N s: ". False: the job has failed already. */
bool mvm_executor_fail_stopped(struct mvm_executor *x, bool cancelled, struct mvm_writer *w);
void mvm_executor_fail_cancelled(struct mvm_executor *x);

/* A Log line of the executor's own, "mvm: " in front; at most one each time a phase is called. */
struct mvm_writer mvm_executor_note(struct mvm_executor *x);
void mvm_executor_noted(struct mvm_executor *x, const struct mvm_writer *w);

/* ---- pace.c: what a phase waits for ---- */

/* The phase waits, until `ms` at most; returns the present state. */
enum mvm_executor_state mvm_executor_wait(struct mvm_executor *x, uint64_t ms);

/* Whether a call for a disk is in progress, by its result; if so the phase waits. */
bool mvm_executor_later(struct mvm_executor *x, int64_t r);

/* Starts the time limit of the build, or of the disk work before and after it. */
void mvm_executor_set_deadline(struct mvm_executor *x);

#endif
