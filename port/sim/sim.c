/* The world itself: what tests set up and look at. */
#include "sim_internal.h"
#include <string.h>

void mvm_sim_init(struct mvm_sim *s, const char *out_dir, const char *in_dir)
{
    memset(s, 0, sizeof *s);
    s->out_dir = out_dir;
    s->in_dir = in_dir;
    s->ended_ms = MVM_NEVER;
}

struct mvm_sim_file *mvm_sim_find(struct mvm_sim *s, const char *path)
{
    s = mvm_sim_owner(s);
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        if (s->files[i].there && strcmp(s->files[i].path, path) == 0) {
            return &s->files[i];
        }
    }
    return NULL;
}

struct mvm_sim_file *mvm_sim_new_file(struct mvm_sim *s, const char *path)
{
    s = mvm_sim_owner(s);
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        struct mvm_sim_file *f = &s->files[i];
        if (!f->there && !f->shadow && strlen(path) < sizeof f->path) {
            memset(f, 0, sizeof *f);
            f->there = true;
            strcpy(f->path, path);
            return f;
        }
    }
    return NULL;
}

struct mvm_sim_file *mvm_sim_put_bytes(struct mvm_sim *s, const char *path, const void *bytes,
                                       size_t len)
{
    struct mvm_sim_file *f = mvm_sim_find(s, path);
    if (f == NULL) {
        f = mvm_sim_new_file(s, path);
    }
    if (f != NULL && len <= sizeof f->bytes) {
        f->len = len;
        memcpy(f->bytes, bytes, len);
        f->durable = f->named = true;
    }
    return f;
}

void mvm_sim_put(struct mvm_sim *s, const char *path, const char *text)
{
    mvm_sim_put_bytes(s, path, text, strlen(text));
}

static bool is_temporary(const struct mvm_sim *s, const struct mvm_sim_file *f)
{
    static const char mark[] = ".mvm-tmp";
    size_t len = strlen(f->path);
    return f->there && strncmp(f->path, s->out_dir, strlen(s->out_dir)) == 0 &&
           len >= sizeof mark && strcmp(f->path + len - (sizeof mark - 1), mark) == 0;
}

const char *mvm_sim_left_over(struct mvm_sim *s)
{
    if (s->running != NULL || s->abandoned) {
        return s->abandoned ? "a process" : "a build";
    }
    if (s->confused || s->asked.call != 0 || s->copy.from != NULL) {
        return s->confused ? "two calls at a time" : "a call in progress";
    }
    if (s->log != NULL) {
        return "an open log";
    }
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        if (is_temporary(s, &s->files[i])) {
            return s->files[i].path;
        }
    }
    return NULL;
}

void mvm_sim_restart(struct mvm_sim *s)
{
    s->running = NULL;
    s->child_alive = s->abandoned = false;
    s->log = s->unpacked = NULL;
    s->feeding = false;
    s->asked.call = 0;
    s->copy.from = s->copy.to = NULL;
}

void mvm_sim_power_cut(struct mvm_sim *s)
{
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        struct mvm_sim_file *f = &s->files[i];
        f->there = f->shadow || (f->there && f->named);
        if (!f->durable) {
            f->len /= 2; /* torn */
        }
    }
}
