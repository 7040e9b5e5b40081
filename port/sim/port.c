/* The table that the executor sees. */
#include "sim_internal.h"

static const char *reason(void *ctx)
{
    return ((struct mvm_sim *)ctx)->reason;
}

static void pause(void *ctx)
{
    (void)ctx;
}

const struct mvm_port mvm_sim_port = {
    .find_nix = mvm_sim_find_nix,
    .spawn = mvm_sim_spawn,
    .read_output = mvm_sim_read_output,
    .poll_exit = mvm_sim_poll_exit,
    .signal_build = mvm_sim_signal_build,
    .remaining = mvm_sim_remaining,
    .out_of_memory = mvm_sim_out_of_memory,
    .pause = pause,
    .close_build = mvm_sim_close_build,
    .make_dir = mvm_sim_make_dir,
    .is_mounted = mvm_sim_is_mounted,
    .mount = mvm_sim_mount,
    .sync_fs = mvm_sim_sync_fs,
    .unmount = mvm_sim_unmount,
    .remount_ro = mvm_sim_remount_ro,
    .open_read = mvm_sim_open_read,
    .open_new = mvm_sim_open_new,
    .read = mvm_sim_read,
    .write = mvm_sim_write,
    .copy = mvm_sim_copy,
    .sync_file = mvm_sim_sync_file,
    .close = mvm_sim_close,
    .rename = mvm_sim_rename,
    .remove = mvm_sim_remove,
    .sync_dir = mvm_sim_sync_dir,
    .reason = reason,
};
