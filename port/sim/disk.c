/* Two disks that can be absent, late, broken, in use, held elsewhere or read-only. */
#include "sim_internal.h"
#include <string.h>

static struct mvm_sim_disk *disk_of(struct mvm_sim *s, const char *dir)
{
    return strcmp(dir, s->out_dir) == 0 ? &s->out : &s->in;
}

int mvm_sim_make_dir(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_MAKE_DIR);
    (void)dir;
    if (r < 0) {
        return r;
    }
    return s->dir_in_the_way ? mvm_sim_fail(s, MVM_PORT_NOT_DIRECTORY, "a file is in the way") : 0;
}

int mvm_sim_mounted(void *ctx, const char *dir, const char *device)
{
    struct mvm_sim *s = ctx;
    const struct mvm_sim_disk *d = disk_of(s, dir);
    int r = mvm_sim_ask(s, MVM_SIM_MOUNTED);
    (void)device;
    if (r < 0) {
        return r;
    }
    if (!d->mounted) {
        return MVM_MOUNTED_NOTHING;
    }
    int other = d->over ? MVM_MOUNTED_OVER : MVM_MOUNTED_OTHER;
    return d->ours ? MVM_MOUNTED_DEVICE : other;
}

int mvm_sim_mount(void *ctx, const char *device, const char *dir, bool read_only)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_disk *d = disk_of(s, dir);
    int r = mvm_sim_ask(s, read_only ? MVM_SIM_MOUNT_RO : MVM_SIM_MOUNT);
    (void)device;
    if (r < 0) {
        return r;
    }
    if (d->absent || s->now_ms < d->appears_ms) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "no such device");
    }
    if (d->broken) {
        return mvm_sim_fail(s, MVM_PORT_FAILED, "no file system found");
    }
    d->mounted = d->ours = true;
    return 0;
}

int mvm_sim_sync_fs(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_SYNC_FS);
    for (int i = 0; r >= 0 && i < MVM_SIM_FILES; i++) {
        if (s->files[i].there && strncmp(s->files[i].path, dir, strlen(dir)) == 0) {
            s->files[i].durable = true;
        }
    }
    if (r >= 0) {
        mvm_sim_sync_names(s, dir);
    }
    return r;
}

int mvm_sim_unmount(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_disk *d = disk_of(s, dir);
    int r = mvm_sim_ask(s, MVM_SIM_UNMOUNT);
    if (r < 0) {
        return r;
    }
    if (d->busy) {
        return mvm_sim_fail(s, MVM_PORT_BUSY, "in use");
    }
    d->mounted = d->ours = d->read_only = false;
    return 0;
}

int mvm_sim_remount_ro(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_disk *d = disk_of(s, dir);
    int r = mvm_sim_ask(s, MVM_SIM_REMOUNT_RO);
    if (r < 0) {
        return r;
    }
    if (d->stuck) {
        return mvm_sim_fail(s, MVM_PORT_BUSY, "in use");
    }
    d->read_only = true;
    return 0;
}

int mvm_sim_released(void *ctx, const char *device)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_RELEASED);
    (void)device;
    if (r < 0) {
        return r;
    }
    return s->now_ms < s->out.held_ms ? mvm_sim_fail(s, MVM_PORT_BUSY, "held") : 0;
}
