/* Files: written bytes are durable after sync_file, names after sync_dir. */
#include "sim_internal.h"
#include <string.h>

void mvm_sim_drop(struct mvm_sim_file *f)
{
    f->shadow = f->named;
    f->there = false;
}

void mvm_sim_sync_names(struct mvm_sim *s, const char *dir)
{
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        struct mvm_sim_file *f = &s->files[i];
        if (strncmp(f->path, dir, strlen(dir)) == 0) {
            f->named = f->there;
            f->shadow = false;
        }
    }
}

static bool on_output(const struct mvm_sim *s, const char *path)
{
    return strncmp(path, s->out_dir, strlen(s->out_dir)) == 0;
}

static int open_handle(struct mvm_sim *s, struct mvm_sim_file *f)
{
    for (int i = 0; i < MVM_SIM_HANDLES; i++) {
        if (s->handles[i].file == NULL) {
            s->handles[i].file = f;
            s->handles[i].at = 0;
            return i;
        }
    }
    return mvm_sim_fail(s, MVM_PORT_FAILED, "too many handles");
}

int mvm_sim_open_read(void *ctx, const char *path, uint64_t *size)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_OPEN_READ)) {
        return s->fail_as;
    }
    struct mvm_sim_file *f = mvm_sim_file(s, path);
    if (f == NULL) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "open: no such file");
    }
    if (f->kind == MVM_SIM_OTHER) {
        return mvm_sim_fail(s, MVM_PORT_NOT_REGULAR, "open: not a regular file");
    }
    *size = f->len + f->blanks;
    return open_handle(s, f);
}

int mvm_sim_open_new(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_OPEN_NEW)) {
        return s->fail_as;
    }
    if (s->out.read_only) {
        return mvm_sim_fail(s, MVM_PORT_FAILED, "open: read-only file system");
    }
    struct mvm_sim_file *f = mvm_sim_file(s, path);
    if (f != NULL) {
        mvm_sim_drop(f);
    }
    f = mvm_sim_new_file(s, path);
    return f == NULL ? mvm_sim_fail(s, MVM_PORT_FAILED, "open: no inode") : open_handle(s, f);
}

int mvm_sim_read(void *ctx, int handle, uint8_t *buf, size_t cap)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_READ)) {
        return s->fail_as;
    }
    const struct mvm_sim_file *f = s->handles[handle].file;
    size_t at = s->handles[handle].at;
    bool blank = at >= f->len;
    size_t left = blank ? f->len + f->blanks - at : f->len - at;
    size_t n = mvm_sim_piece(s, left < cap ? left : cap);
    if (blank) {
        memset(buf, ' ', n);
    } else {
        memcpy(buf, f->bytes + at, n);
    }
    s->handles[handle].at += n;
    return (int)n;
}

static size_t used(const struct mvm_sim *s)
{
    size_t sum = 0;
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        if (s->files[i].there && on_output(s, s->files[i].path)) {
            sum += s->files[i].len;
        }
    }
    return sum;
}

static int append(struct mvm_sim *s, struct mvm_sim_file *f, const uint8_t *bytes, size_t len)
{
    size_t room = sizeof f->bytes - f->len;
    if (s->capacity != 0) {
        size_t left = s->capacity > used(s) ? s->capacity - used(s) : 0;
        room = left < room ? left : room;
    }
    size_t n = mvm_sim_piece(s, len < room ? len : room);
    if (n == 0 && len > 0) {
        return mvm_sim_fail(s, MVM_PORT_FAILED, "write: no space left");
    }
    memcpy(f->bytes + f->len, bytes, n);
    f->len += n;
    f->durable = false;
    return (int)n;
}

int mvm_sim_write(void *ctx, int handle, const uint8_t *bytes, size_t len)
{
    struct mvm_sim *s = ctx;
    return mvm_sim_call(s, MVM_SIM_WRITE) ? append(s, s->handles[handle].file, bytes, len)
                                          : s->fail_as;
}

/* Whether the work on files has come to something; it takes a moment, and then wants a new word. */
static bool has_news(struct mvm_sim *s)
{
    s->aside.busy = s->aside.busy && s->now_ms < s->aside.until_ms;
    return !s->aside.busy;
}

static bool works(struct mvm_sim *s, int from, int to)
{
    if (s->alone) {
        return true;
    }
    if (s->aside.busy) {
        return has_news(s);
    }
    s->aside.busy = true;
    s->aside.from = from;
    s->aside.to = to;
    s->aside.until_ms = s->now_ms + 1 + mvm_sim_delay(s);
    return false;
}

int64_t mvm_sim_copy(void *ctx, int from, int to, uint32_t max)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_COPY)) {
        s->aside.busy = false;
        return s->fail_as;
    }
    if (!works(s, from, to)) {
        return MVM_PORT_LATER;
    }
    const struct mvm_sim_file *f = s->handles[from].file;
    size_t left = f->len - s->handles[from].at;
    int n = append(s, s->handles[to].file, f->bytes + s->handles[from].at, left < max ? left : max);
    s->handles[from].at += n > 0 ? (size_t)n : 0;
    return n;
}

int mvm_sim_sync_file(void *ctx, int handle)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_SYNC_FILE)) {
        s->aside.busy = false;
        return s->fail_as;
    }
    if (!works(s, -1, handle)) {
        return MVM_PORT_LATER;
    }
    s->handles[handle].file->durable = true;
    return 0;
}

int mvm_sim_close(void *ctx, int handle)
{
    struct mvm_sim *s = ctx;
    bool closes = mvm_sim_call(s, MVM_SIM_CLOSE);
    if (s->aside.busy && (s->aside.from == handle || s->aside.to == handle)) {
        if (closes && !has_news(s)) {
            return MVM_PORT_LATER;
        }
        s->aside.busy = false;
    }
    s->handles[handle].file = NULL; /* also where it fails */
    return closes ? 0 : s->fail_as;
}

int mvm_sim_rename(void *ctx, const char *from, const char *to)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_RENAME)) {
        return s->fail_as;
    }
    struct mvm_sim_file *f = mvm_sim_file(s, from);
    struct mvm_sim_file *old = mvm_sim_file(s, to);
    if (f == NULL) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "rename: no such file");
    }
    if (old != NULL) {
        mvm_sim_drop(old);
    }
    strcpy(f->path, to);
    f->named = false;
    return 0;
}

int mvm_sim_remove(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_REMOVE)) {
        return s->fail_as;
    }
    struct mvm_sim_file *f = mvm_sim_file(s, path);
    if (f == NULL) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "remove: no such file");
    }
    mvm_sim_drop(f);
    return 0;
}

int mvm_sim_sync_dir(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_SYNC_DIR)) {
        return s->fail_as;
    }
    mvm_sim_sync_names(s, dir);
    return 0;
}
