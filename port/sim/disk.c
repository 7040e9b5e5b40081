/* Two disks that can be absent, broken, in use or read-only. */
#include "sim_internal.h"
#include <string.h>

static struct mvm_sim_disk *disk_of(struct mvm_sim *s, const char *dir)
{
    return strcmp(dir, s->out_dir) == 0 ? &s->out : &s->in;
}

int mvm_sim_make_dir(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    (void)dir;
    if (!mvm_sim_call(s, MVM_SIM_MAKE_DIR)) {
        return s->fail_as;
    }
    return s->dir_in_the_way ? mvm_sim_fail(s, MVM_PORT_NOT_DIRECTORY, "a file is in the way") : 0;
}

int mvm_sim_is_mounted(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_IS_MOUNTED)) {
        return s->fail_as;
    }
    return disk_of(s, dir)->mounted ? 1 : 0;
}

int mvm_sim_mount(void *ctx, const char *device, const char *dir, bool read_only)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_disk *d = disk_of(s, dir);
    (void)device;
    if (!mvm_sim_call(s, read_only ? MVM_SIM_MOUNT_RO : MVM_SIM_MOUNT)) {
        return s->fail_as;
    }
    if (d->absent) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "no such device");
    }
    if (d->broken) {
        return mvm_sim_fail(s, MVM_PORT_FAILED, "no file system found");
    }
    d->mounted = true;
    return 0;
}

int mvm_sim_sync_fs(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_SYNC_FS)) {
        return s->fail_as;
    }
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        if (s->files[i].there && strncmp(s->files[i].path, dir, strlen(dir)) == 0) {
            s->files[i].durable = true;
        }
    }
    mvm_sim_sync_names(s, dir);
    return 0;
}

int mvm_sim_unmount(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_disk *d = disk_of(s, dir);
    if (!mvm_sim_call(s, MVM_SIM_UNMOUNT)) {
        return s->fail_as;
    }
    if (d->busy) {
        return mvm_sim_fail(s, MVM_PORT_BUSY, "in use");
    }
    d->mounted = false;
    d->read_only = false;
    return 0;
}

int mvm_sim_remount_ro(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_REMOUNT_RO)) {
        return s->fail_as;
    }
    disk_of(s, dir)->read_only = true;
    return 0;
}
