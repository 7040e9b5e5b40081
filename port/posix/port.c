/* The table, and the beginning and the end of the port. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { FINI_MS = 2000 };

static const char *reason(void *ctx)
{
    const struct mvm_posix *p = ctx;
    return p->reason;
}

const struct mvm_port mvm_posix_port = {
    .spawn = mvm_posix_spawn,
    .read_output = mvm_posix_read_watched,
    .poll_exit = mvm_posix_poll_exit_watched,
    .signal_build = mvm_posix_signal_build,
    .remaining = mvm_posix_remaining,
    .out_of_memory = mvm_posix_out_of_memory,
    .close_build = mvm_posix_close_watched,
    .limits = mvm_posix_limits,
    .pause = mvm_posix_pause,
    .spawn_fed = mvm_posix_spawn_fed,
    .feed = mvm_posix_feed,
    .end_feed = mvm_posix_end_feed,
    .make_dir = mvm_posix_ask_make_dir,
    .mounted = mvm_posix_ask_mounted,
    .mount = mvm_posix_ask_mount,
    .sync_fs = mvm_posix_ask_sync_fs,
    .unmount = mvm_posix_ask_unmount,
    .remount_ro = mvm_posix_ask_remount_ro,
    .released = mvm_posix_ask_released,
    .find_nix = mvm_posix_ask_find_nix,
    .read_file = mvm_posix_ask_read_file,
    .find_file = mvm_posix_ask_find_file,
    .copy = mvm_posix_ask_copy,
    .put = mvm_posix_ask_put,
    .replaceable = mvm_posix_ask_replaceable,
    .rename = mvm_posix_ask_rename,
    .remove = mvm_posix_ask_remove,
    .sync_dir = mvm_posix_ask_sync_dir,
    .remove_tree = mvm_posix_ask_remove_tree,
    .file_size = mvm_posix_ask_file_size,
    .read_data = mvm_posix_ask_read_data,
    .open_log = mvm_posix_ask_open_log,
    .write_log = mvm_posix_write_log,
    .close_log = mvm_posix_ask_close_log,
    .stop = mvm_posix_stop,
    .abandon = mvm_posix_abandon,
    .end_job = mvm_posix_end_job,
    .reason = reason,
};

void(mvm_posix_init)(struct mvm_posix *p, const struct mvm_posix_config *config)
{
    memset(p, 0, offsetof(struct mvm_posix, env)); /* the rest is written before it is read */
    p->limits[0] = p->reason[0] = '\0';
    p->config = *config;
    p->feed = -1;
    p->pidfd = p->cgroup = p->cgroup_parent = p->cgroup_kill = -1;
    mvm_posix_output_none(&p->output[MVM_PORT_STDOUT]);
    mvm_posix_output_none(&p->output[MVM_PORT_STDERR]);
    mvm_posix_worker_init(p);
    p->root = "";
    mvm_posix_watch_init(p);
}

/* One scan of /proc may take as long as a round, or longer. */
static void kill_build(struct mvm_posix *p, uint64_t until_ns)
{
    bool waits = true;
    while (waits && mvm_posix_remaining(p) != 0) {
        mvm_posix_signal_build(p, MVM_SIGNAL_KILL);
        waits = mvm_posix_fini_waits(until_ns);
    }
    mvm_posix_close_watched(p);
}

void mvm_posix_fini(struct mvm_posix *p)
{
    uint64_t until_ns = mvm_posix_clock_ns(CLOCK_MONOTONIC) + FINI_MS * UINT64_C(1000000);
    mvm_posix_abandon(p);
    if (p->pid != 0) {
        kill_build(p, until_ns);
    }
    mvm_posix_worker_fini(p, until_ns);
    mvm_posix_watch_fini(p);
    if (p->became_subreaper) {
        prctl(PR_SET_CHILD_SUBREAPER, 0L, 0L, 0L, 0L);
    }
}
