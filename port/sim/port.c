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

static int end_job(void *ctx)
{
    (void)ctx;
    return 0;
}

const struct mvm_port mvm_sim_port = {
    .spawn = mvm_sim_spawn,
    .read_output = mvm_sim_read_output,
    .poll_exit = mvm_sim_poll_exit,
    .signal_build = mvm_sim_signal_build,
    .remaining = mvm_sim_remaining,
    .out_of_memory = mvm_sim_out_of_memory,
    .close_build = mvm_sim_close_build,
    .pause = pause,
    .spawn_fed = mvm_sim_spawn_fed,
    .feed = mvm_sim_feed,
    .end_feed = mvm_sim_end_feed,
    .make_dir = mvm_sim_make_dir,
    .mounted = mvm_sim_mounted,
    .mount = mvm_sim_mount,
    .sync_fs = mvm_sim_sync_fs,
    .unmount = mvm_sim_unmount,
    .remount_ro = mvm_sim_remount_ro,
    .released = mvm_sim_released,
    .find_nix = mvm_sim_find_nix,
    .read_file = mvm_sim_read_file,
    .find_file = mvm_sim_find_file,
    .copy = mvm_sim_copy,
    .put = mvm_sim_put_text,
    .replaceable = mvm_sim_replaceable,
    .rename = mvm_sim_rename,
    .remove = mvm_sim_remove,
    .sync_dir = mvm_sim_sync_dir,
    .remove_tree = mvm_sim_remove_tree,
    .file_size = mvm_sim_file_size,
    .read_data = mvm_sim_read_data,
    .open_log = mvm_sim_open_log,
    .write_log = mvm_sim_write_log,
    .close_log = mvm_sim_close_log,
    .stop = mvm_sim_stop,
    .abandon = mvm_sim_abandon,
    .end_job = end_job,
    .reason = reason,
};
