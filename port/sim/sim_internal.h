/* What the parts of the simulated world share. */
#ifndef MVM_SIM_INTERNAL_H
#define MVM_SIM_INTERNAL_H

#include "mvm_sim.h"

/* Counts a call; false: it is the one that fails, with s->fail_as. */
bool mvm_sim_call(struct mvm_sim *s, const char *name);
int mvm_sim_fail(struct mvm_sim *s, enum mvm_port_error error, const char *why);
size_t mvm_sim_piece(const struct mvm_sim *s, size_t len);
struct mvm_sim_file *mvm_sim_new_file(struct mvm_sim *s, const char *path);

/* process.c */
int mvm_sim_find_nix(void *ctx, char *path, size_t cap);
int mvm_sim_spawn(void *ctx, const char *const argv[]);
int mvm_sim_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap);
int mvm_sim_poll_exit(void *ctx, struct mvm_exit *e);
int mvm_sim_signal_build(void *ctx, enum mvm_signal signal);
int mvm_sim_remaining(void *ctx);
void mvm_sim_close_build(void *ctx);

/* disk.c */
int mvm_sim_make_dir(void *ctx, const char *dir);
int mvm_sim_is_mounted(void *ctx, const char *dir);
int mvm_sim_mount(void *ctx, const char *device, const char *dir, bool read_only);
int mvm_sim_sync_fs(void *ctx, const char *dir);
int mvm_sim_unmount(void *ctx, const char *dir);
int mvm_sim_remount_ro(void *ctx, const char *dir);

/* file.c */
int mvm_sim_open_read(void *ctx, const char *path);
int mvm_sim_open_new(void *ctx, const char *path);
int mvm_sim_read(void *ctx, int handle, uint8_t *buf, size_t cap);
int mvm_sim_write(void *ctx, int handle, const uint8_t *bytes, size_t len);
int64_t mvm_sim_copy(void *ctx, int from, int to, uint32_t max);
int mvm_sim_sync_file(void *ctx, int handle);
int mvm_sim_close(void *ctx, int handle);
int mvm_sim_rename(void *ctx, const char *from, const char *to);
int mvm_sim_remove(void *ctx, const char *path);
int mvm_sim_sync_dir(void *ctx, const char *dir);

#endif
