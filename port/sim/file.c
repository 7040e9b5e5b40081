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

static int find(struct mvm_sim *s, const char *path, struct mvm_sim_file **f)
{
    *f = mvm_sim_find(s, path);
    if (*f == NULL) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "open: no such file");
    }
    if ((*f)->kind == MVM_SIM_OTHER) {
        return mvm_sim_fail(s, MVM_PORT_NOT_REGULAR, "open: not a regular file");
    }
    return 0;
}

/* A directory that has something in it is there. */
bool mvm_sim_find_directory(const struct mvm_sim *s, const char *path)
{
    const struct mvm_sim *owner = s->owner != NULL ? s->owner : s;
    size_t len = strlen(path);
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        const struct mvm_sim_file *f = &owner->files[i];
        if (f->there && strncmp(f->path, path, len) == 0 && f->path[len] == '/') {
            return true;
        }
    }
    return false;
}

int mvm_sim_find_file(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_file *f;
    int r = mvm_sim_ask(s, MVM_SIM_FIND_FILE);
    if (r < 0) {
        return r;
    }
    return mvm_sim_find_directory(s, path) ? mvm_sim_fail(s, MVM_PORT_NOT_REGULAR, "a directory")
                                           : find(s, path, &f);
}

int mvm_sim_read_file(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap)
{
    struct mvm_sim *s = ctx;
    struct mvm_sim_file *f;
    int r = mvm_sim_ask(s, MVM_SIM_READ_FILE);
    if (r < 0 || (r = find(s, path, &f)) < 0) {
        return r;
    }
    size_t at = (size_t)offset;
    bool blank = at >= f->len;
    size_t left = blank ? f->len + f->blanks - at : f->len - at;
    size_t n = mvm_sim_piece(s, left < cap ? left : cap);
    if (blank) {
        memset(buf, ' ', n);
    } else {
        memcpy(buf, f->bytes + at, n);
    }
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

/* A new file in place of any; NULL, with a reason: it cannot be made. */
static struct mvm_sim_file *make(struct mvm_sim *s, const char *path)
{
    if (s->out.read_only) {
        mvm_sim_fail(s, MVM_PORT_FAILED, "open: read-only file system");
        return NULL;
    }
    struct mvm_sim_file *f = mvm_sim_find(s, path);
    if (f != NULL) {
        mvm_sim_drop(f);
    }
    f = mvm_sim_new_file(s, path);
    if (f == NULL) {
        mvm_sim_fail(s, MVM_PORT_FAILED, "open: no inode");
    }
    return f;
}

static int begin_copy(struct mvm_sim *s, const char *from, const char *to)
{
    struct mvm_sim_file *source;
    int r = find(s, from, &source);
    if (r < 0) {
        return r;
    }
    s->copy.to = make(s, to);
    s->copy.from = s->copy.to != NULL ? source : NULL;
    s->copy.at = 0;
    return s->copy.to != NULL ? 0 : MVM_PORT_FAILED;
}

/* The next piece; the last is the sync. */
static int64_t copy_piece(struct mvm_sim *s)
{
    const struct mvm_sim_file *f = s->copy.from;
    size_t left = f->len - s->copy.at;
    int n = left > 0 ? append(s, s->copy.to, f->bytes + s->copy.at, left) : 0;
    s->copy.at += n > 0 ? (size_t)n : 0;
    if (n == 0) {
        s->copy.to->durable = true;
    }
    if (n <= 0) {
        s->copy.from = s->copy.to = NULL;
    }
    return n;
}

int64_t mvm_sim_copy(void *ctx, const char *within, const char *from, const char *to,
                     uint64_t *size)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_COPY);
    (void)within;
    if (r == MVM_PORT_LATER) {
        return r;
    }
    if (r < 0) {
        s->copy.from = s->copy.to = NULL;
        return r;
    }
    if (s->copy.from == NULL && (r = begin_copy(s, from, to)) < 0) {
        return r;
    }
    *size = s->copy.from->len;
    return copy_piece(s);
}

int mvm_sim_put_text(void *ctx, const char *path, const char *text)
{
    struct mvm_sim *s = ctx;
    size_t len = strlen(text);
    int r = mvm_sim_ask(s, MVM_SIM_PUT);
    if (r < 0) {
        return r;
    }
    struct mvm_sim_file *f = make(s, path);
    if (f == NULL) {
        return MVM_PORT_FAILED;
    }
    for (size_t at = 0; at < len; at += (size_t)r) {
        r = append(s, f, (const uint8_t *)text + at, len - at);
        if (r < 0) {
            return r;
        }
    }
    f->durable = true;
    return 0;
}

int mvm_sim_replaceable(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_REPLACEABLE);
    if (r < 0) {
        return r;
    }
    const struct mvm_sim_file *f = mvm_sim_find(s, path);
    bool blocked = f != NULL && f->kind == MVM_SIM_OTHER;
    return blocked ? mvm_sim_fail(s, MVM_PORT_FAILED, "is a directory") : 0;
}

int mvm_sim_rename(void *ctx, const char *from, const char *to)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_RENAME);
    if (r < 0) {
        return r;
    }
    struct mvm_sim_file *f = mvm_sim_find(s, from);
    struct mvm_sim_file *old = mvm_sim_find(s, to);
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
    int r = mvm_sim_ask(s, MVM_SIM_REMOVE);
    if (r < 0) {
        return r;
    }
    struct mvm_sim_file *f = mvm_sim_find(s, path);
    if (f == NULL) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "remove: no such file");
    }
    mvm_sim_drop(f);
    return 0;
}

int mvm_sim_sync_dir(void *ctx, const char *dir)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_SYNC_DIR);
    if (r >= 0) {
        mvm_sim_sync_names(s, dir);
    }
    return r;
}

/* ---- build.log ---- */

int mvm_sim_open_log(void *ctx, const char *path)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_OPEN_LOG);
    if (r < 0) {
        return r;
    }
    s->log = make(s, path);
    return s->log != NULL ? 0 : MVM_PORT_FAILED;
}

int mvm_sim_write_log(void *ctx, const uint8_t *bytes, size_t len)
{
    struct mvm_sim *s = ctx;
    if (s->log_full) {
        return MVM_PORT_LATER;
    }
    return mvm_sim_call(s, MVM_SIM_WRITE_LOG) ? append(s, s->log, bytes, len) : s->fail_as;
}

int mvm_sim_close_log(void *ctx)
{
    struct mvm_sim *s = ctx;
    int r = mvm_sim_ask(s, MVM_SIM_CLOSE_LOG);
    if (r == MVM_PORT_LATER) {
        return r;
    }
    s->log->durable = s->log->durable || r >= 0;
    s->log = NULL;
    return r;
}

/* ---- calls in progress ---- */

int mvm_sim_stop(void *ctx)
{
    struct mvm_sim *s = ctx;
    if (s->asked.call != 0 && s->now_ms < s->asked.until_ms) {
        return MVM_PORT_LATER;
    }
    s->asked.call = 0;
    s->copy.from = s->copy.to = NULL;
    return 0;
}

int mvm_sim_abandon(void *ctx)
{
    struct mvm_sim *s = ctx;
    s->asked.call = 0;
    s->copy.from = s->copy.to = NULL;
    s->log = NULL;
    s->log_full = false;
    return (int)++s->hung;
}
