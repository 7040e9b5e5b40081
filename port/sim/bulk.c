/* Builds without disks: a process that is fed, trees, and files that are read piece by piece. */
#include "sim_internal.h"
#include <string.h>

int mvm_sim_spawn_fed(void *ctx, const char *const argv[])
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_start(s, &s->unpack, argv);
    s->fed = 0;
    s->feeding = r >= 0;
    return r;
}

int mvm_sim_feed(void *ctx, const uint8_t *bytes, size_t len)
{
    struct mvm_sim *s = ctx;
    (void)bytes;
    if (!mvm_sim_call(s, MVM_SIM_FEED)) {
        return s->fail_as;
    }
    if (s->now_ms >= s->ended_ms) {
        return mvm_sim_fail(s, MVM_PORT_FAILED, "send: its reader has ended");
    }
    size_t n = mvm_sim_piece(s, len);
    s->fed += n;
    return (int)n;
}

/* Its run begins again with the end of its input. */
void mvm_sim_end_feed(void *ctx)
{
    struct mvm_sim *s = ctx;
    if (s->feeding) {
        s->feeding = false;
        s->started_ms = s->now_ms < s->ended_ms ? s->now_ms : s->started_ms;
    }
}

int mvm_sim_remove_tree(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    size_t len = strlen(path);
    int r = mvm_sim_ask(s, MVM_SIM_REMOVE_TREE);
    for (int i = 0; r >= 0 && i < MVM_SIM_FILES; i++) {
        struct mvm_sim_file *f = &s->files[i];
        if (f->there && strncmp(f->path, path, len) == 0 && f->path[len] == '/') {
            mvm_sim_drop(f);
        }
    }
    return r;
}

static int find(struct mvm_sim *s, const char *path, struct mvm_sim_file **f)
{
    *f = mvm_sim_find(s, path);
    if (*f == NULL) {
        return mvm_sim_find_directory(s, path)
                   ? mvm_sim_fail(s, MVM_PORT_NOT_REGULAR, "open: a directory")
                   : mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "open: no such file");
    }
    return (*f)->kind == MVM_SIM_OTHER
               ? mvm_sim_fail(s, MVM_PORT_NOT_REGULAR, "open: not a regular file")
               : 0;
}

int mvm_sim_file_size(void *ctx, const char *within, const char *path, uint64_t *size)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_file *f;
    int r = mvm_sim_ask(s, MVM_SIM_FILE_SIZE);
    (void)within;
    if (r >= 0 && (r = find(s, path, &f)) >= 0) {
        *size = f->len;
    }
    return r;
}

int64_t mvm_sim_read_data(void *ctx, const char *within, const char *path, uint64_t *offset,
                          uint8_t *buf, size_t cap)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_file *f;
    int r = mvm_sim_ask(s, MVM_SIM_READ_DATA);
    (void)within;
    if (r < 0 || (r = find(s, path, &f)) < 0) {
        return r;
    }
    if (*offset >= f->len) {
        return 0;
    }
    size_t left = f->len - (size_t)*offset;
    size_t n = mvm_sim_piece(s, left < cap ? left : cap);
    memcpy(buf, f->bytes + *offset, n);
    return (int64_t)n;
}
