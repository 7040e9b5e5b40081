/* What the parts of the simulated world share. */
#ifndef MVM_SIM_INTERNAL_H
#define MVM_SIM_INTERNAL_H

#include "deadline.h"
#include "mvm_sim.h"

struct mvm_sim_file *mvm_sim_new_file(struct mvm_sim *s, const char *path);

/* The simulation that has the files. */
static inline struct mvm_sim *mvm_sim_owner(struct mvm_sim *s)
{
    return s->owner != NULL ? s->owner : s;
}

/* Takes a file from its name; the disk learns of it with the next sync of the directory. */
void mvm_sim_drop(struct mvm_sim_file *f);

/* Makes the disk know all names below a directory. */
void mvm_sim_sync_names(struct mvm_sim *s, const char *dir);

/* fault.c */

enum mvm_sim_call {
    /* for the build: answered immediately */
    MVM_SIM_SPAWN,
    MVM_SIM_READ_OUTPUT,
    MVM_SIM_POLL_EXIT,
    MVM_SIM_TERM,
    MVM_SIM_KILL,
    MVM_SIM_REMAINING,
    MVM_SIM_WRITE_LOG,
    MVM_SIM_FEED,
    /* for disks: answered LATER */
    MVM_SIM_FIND_NIX,
    MVM_SIM_MAKE_DIR,
    MVM_SIM_MOUNTED,
    MVM_SIM_MOUNT,
    MVM_SIM_MOUNT_RO,
    MVM_SIM_SYNC_FS,
    MVM_SIM_UNMOUNT,
    MVM_SIM_REMOUNT_RO,
    MVM_SIM_RELEASED,
    MVM_SIM_READ_FILE,
    MVM_SIM_FIND_FILE,
    MVM_SIM_COPY,
    MVM_SIM_PUT,
    MVM_SIM_REPLACEABLE,
    MVM_SIM_RENAME,
    MVM_SIM_REMOVE,
    MVM_SIM_SYNC_DIR,
    MVM_SIM_OPEN_LOG,
    MVM_SIM_CLOSE_LOG,
    MVM_SIM_REMOVE_TREE,
    MVM_SIM_FILE_SIZE,
    MVM_SIM_READ_DATA,
};

/* Counts a call, and lets pass the time it takes; false: it fails, with s->fail_as. */
bool mvm_sim_call(struct mvm_sim *s, enum mvm_sim_call call);

/* A call for a disk: what it returns instead of its result, LATER or s->fail_as; 0: it takes effect
 * now. */
int mvm_sim_ask(struct mvm_sim *s, enum mvm_sim_call call);

/* Sets the reason; returns the error. */
int mvm_sim_fail(struct mvm_sim *s, enum mvm_port_error error, const char *why);

/* How much of `len` bytes is moved: at least one. */
size_t mvm_sim_piece(struct mvm_sim *s, size_t len);

/* How many milliseconds something is late by; mostly 0. */
uint64_t mvm_sim_delay(struct mvm_sim *s);

/* Whether what is there now shows only later: from `*until_ms` on, which this keeps. */
bool mvm_sim_comes_late(struct mvm_sim *s, uint64_t *until_ms);

/* file.c: whether a directory of that name has something in it */
bool mvm_sim_find_directory(const struct mvm_sim *s, const char *path);

/* bulk.c */
int mvm_sim_spawn_fed(void *ctx, const char *const argv[]);
int mvm_sim_feed(void *ctx, const uint8_t *bytes, size_t len);
void mvm_sim_end_feed(void *ctx);
int mvm_sim_remove_tree(void *ctx, const char *path);
int mvm_sim_file_size(void *ctx, const char *within, const char *path, uint64_t *size);
int64_t mvm_sim_read_data(void *ctx, const char *within, const char *path, uint64_t size,
                          uint64_t *offset, uint8_t *buf, size_t cap);

/* process.c */
int mvm_sim_find_nix(void *ctx, char *path, size_t cap);
int mvm_sim_spawn(void *ctx, const char *const argv[]);
int mvm_sim_start(struct mvm_sim *s, const struct mvm_sim_script *script, const char *const argv[]);
int mvm_sim_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);
int mvm_sim_poll_exit(void *ctx, struct mvm_exit *e);
int mvm_sim_signal_build(void *ctx, enum mvm_signal signal);
int mvm_sim_remaining(void *ctx);
int mvm_sim_out_of_memory(void *ctx);
void mvm_sim_close_build(void *ctx);

/* disk.c */
int mvm_sim_make_dir(void *ctx, const char *dir);
int mvm_sim_mounted(void *ctx, const char *dir, const char *device);
int mvm_sim_mount(void *ctx, const char *device, const char *dir, bool read_only);
int mvm_sim_sync_fs(void *ctx, const char *dir);
int mvm_sim_unmount(void *ctx, const char *dir);
int mvm_sim_remount_ro(void *ctx, const char *dir);
int mvm_sim_released(void *ctx, const char *device);

/* file.c */
int mvm_sim_read_file(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap);
int mvm_sim_find_file(void *ctx, const char *path);
int64_t mvm_sim_copy(void *ctx, const char *within, const char *from, const char *to,
                     uint64_t *size);
int mvm_sim_put_text(void *ctx, const char *path, const char *text);
int mvm_sim_replaceable(void *ctx, const char *path);
int mvm_sim_rename(void *ctx, const char *from, const char *to);
int mvm_sim_remove(void *ctx, const char *path);
int mvm_sim_sync_dir(void *ctx, const char *dir);
int mvm_sim_open_log(void *ctx, const char *path);
int mvm_sim_write_log(void *ctx, const uint8_t *bytes, size_t len);
int mvm_sim_close_log(void *ctx);
int mvm_sim_stop(void *ctx);
int mvm_sim_abandon(void *ctx);

#endif
