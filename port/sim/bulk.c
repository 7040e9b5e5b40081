/* Builds without disks: a process that is fed, trees, and files that are read piece by piece. */
#include "sim_internal.h"
#include <string.h>

static void begin_unpacking(struct mvm_sim *s, const char *dir)
{
    char path[sizeof s->unpacked->path];
    if (dir != NULL && mvm_text_join(path, sizeof path, dir, MVM_SIM_UNPACKED, "")) {
        s->unpacked = mvm_sim_new_file(s, path);
    }
}

int mvm_sim_spawn_fed(void *ctx, const char *const argv[])
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_start(s, &s->unpack, argv);
    s->fed = 0;
    s->feeding = r >= 0;
    s->unpacked = NULL;
    if (r >= 0) {
        begin_unpacking(s, argv[1] != NULL ? argv[2] : NULL);
    }
    return r;
}

static void unpack(struct mvm_sim_file *f, const uint8_t *bytes, size_t len)
{
    size_t room = sizeof f->bytes - f->len;
    len = len < room ? len : room;
    memcpy(f->bytes + f->len, bytes, len);
    f->len += len;
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

int mvm_sim_feed(void *ctx, const uint8_t *bytes, size_t len)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_FEED)) {
        return s->fail_as;
    }
    if (!s->feeding || s->now_ms >= s->ended_ms) {
        return mvm_sim_fail(s, MVM_PORT_FAILED, "send: its reader has ended");
    }
    if (s->running->reads_nothing) {
        return MVM_PORT_LATER;
    }
    uint64_t most = s->running->reads > 0 ? s->running->reads - s->fed : len;
    size_t n = mvm_sim_piece(s, len < most ? len : (size_t)most);
    s->fed += n;
    if (s->fed == s->running->reads) {
        mvm_sim_end_feed(s);
    }
    if (s->unpacked != NULL) {
        unpack(s->unpacked, bytes, n);
    }
    return (int)n;
}

int mvm_sim_remove_tree(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    size_t len = strlen(path);
    int r = mvm_sim_ask(s, MVM_SIM_REMOVE_TREE);
    for (int i = 0; r >= 0 && i < MVM_SIM_FILES; i++) {
        struct mvm_sim_file *f = &mvm_sim_owner(s)->files[i];
        if (f->there && strncmp(f->path, path, len) == 0 &&
            (f->path[len] == '/' || f->path[len] == '\0')) {
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

int64_t mvm_sim_read_data(void *ctx, const char *within, const char *path, uint64_t size,
                          uint64_t *offset, uint8_t *buf, size_t cap)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_file *f;
    int r = mvm_sim_ask(s, MVM_SIM_READ_DATA);
    (void)within;
    if (r < 0 || (r = find(s, path, &f)) < 0) {
        return r;
    }
    s->reads++;
    if (f->len != size) {
        return mvm_sim_fail(s, MVM_PORT_SOURCE_FAILED, "read: the file has changed");
    }
    size_t at = *offset < f->len ? (size_t)*offset : f->len;
    while (at < f->len && f->bytes[at] == 0) {
        at++;
    }
    if (at == f->len) {
        return 0;
    }
    const uint8_t *hole = memchr(f->bytes + at, 0, f->len - at);
    size_t left = hole != NULL ? (size_t)(hole - (f->bytes + at)) : f->len - at;
    size_t n = mvm_sim_piece(s, left < cap ? left : cap);
    *offset = at;
    memcpy(buf, f->bytes + at, n);
    return (int64_t)n;
}
