/* The port's disk calls, as requests to the worker. */
#include "posix_internal.h"

static int ask_path(void *ctx, enum mvm_posix_call call, const char *path)
{
    return (int)mvm_posix_ask(ctx, &(struct mvm_posix_ask){.call = call, .text = {path}});
}

static int ask_paths(void *ctx, enum mvm_posix_call call, const char *a, const char *b)
{
    return (int)mvm_posix_ask(ctx, &(struct mvm_posix_ask){.call = call, .text = {a, b}});
}

int mvm_posix_ask_make_dir(void *ctx, const char *dir)
{
    return ask_path(ctx, MVM_POSIX_MAKE_DIR, dir);
}

int mvm_posix_ask_mounted(void *ctx, const char *dir, const char *device)
{
    return ask_paths(ctx, MVM_POSIX_MOUNTED, dir, device);
}

int mvm_posix_ask_mount(void *ctx, const char *device, const char *dir, bool read_only)
{
    return (int)mvm_posix_ask(ctx, &(struct mvm_posix_ask){.call = MVM_POSIX_MOUNT,
                                                           .text = {device, dir},
                                                           .read_only = read_only});
}

int mvm_posix_ask_sync_fs(void *ctx, const char *dir)
{
    return ask_path(ctx, MVM_POSIX_SYNC_FS, dir);
}

int mvm_posix_ask_unmount(void *ctx, const char *dir)
{
    return ask_path(ctx, MVM_POSIX_UNMOUNT, dir);
}

int mvm_posix_ask_remount_ro(void *ctx, const char *dir)
{
    return ask_path(ctx, MVM_POSIX_REMOUNT_RO, dir);
}

int mvm_posix_ask_released(void *ctx, const char *device)
{
    return ask_path(ctx, MVM_POSIX_RELEASED, device);
}

int mvm_posix_ask_find_nix(void *ctx, char *path, size_t cap)
{
    return (int)mvm_posix_ask(
        ctx, &(struct mvm_posix_ask){.call = MVM_POSIX_FIND_NIX, .room = path, .cap = cap});
}

int mvm_posix_ask_read_file(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap)
{
    return (int)mvm_posix_ask(ctx, &(struct mvm_posix_ask){.call = MVM_POSIX_READ_FILE,
                                                           .text = {path},
                                                           .number = offset,
                                                           .room = buf,
                                                           .cap = cap});
}

int mvm_posix_ask_find_file(void *ctx, const char *path)
{
    return ask_path(ctx, MVM_POSIX_FIND_FILE, path);
}

int64_t mvm_posix_ask_copy(void *ctx, const char *within, const char *from, const char *to,
                           uint64_t *size)
{
    return mvm_posix_ask(
        ctx,
        &(struct mvm_posix_ask){.call = MVM_POSIX_COPY, .text = {within, from, to}, .size = size});
}

int mvm_posix_ask_put(void *ctx, const char *path, const char *text)
{
    return ask_paths(ctx, MVM_POSIX_PUT, path, text);
}

int mvm_posix_ask_replaceable(void *ctx, const char *path)
{
    return ask_path(ctx, MVM_POSIX_REPLACEABLE, path);
}

int mvm_posix_ask_rename(void *ctx, const char *from, const char *to)
{
    return ask_paths(ctx, MVM_POSIX_RENAME, from, to);
}

int mvm_posix_ask_remove(void *ctx, const char *path)
{
    return ask_path(ctx, MVM_POSIX_REMOVE, path);
}

int mvm_posix_ask_sync_dir(void *ctx, const char *dir)
{
    return ask_path(ctx, MVM_POSIX_SYNC_DIR, dir);
}

int mvm_posix_ask_open_log(void *ctx, const char *path)
{
    struct mvm_posix *p = ctx;
    p->worker.logged = 0;
    return ask_path(ctx, MVM_POSIX_OPEN_LOG, path);
}

int mvm_posix_ask_remove_tree(void *ctx, const char *path)
{
    return ask_path(ctx, MVM_POSIX_REMOVE_TREE, path);
}

int mvm_posix_ask_file_size(void *ctx, const char *within, const char *path, uint64_t *size)
{
    return (int)mvm_posix_ask(
        ctx,
        &(struct mvm_posix_ask){.call = MVM_POSIX_FILE_SIZE, .text = {within, path}, .size = size});
}

int mvm_posix_ask_close_log(void *ctx)
{
    struct mvm_posix *p = ctx;
    return (int)mvm_posix_ask(
        ctx, &(struct mvm_posix_ask){.call = MVM_POSIX_CLOSE_LOG, .number = p->worker.logged});
}
