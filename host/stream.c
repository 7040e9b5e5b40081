#define _GNU_SOURCE
#include "stream.h"
#include "local_path.h"
#include "mvm_proto.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct mvm_writer begin_why(struct mvm_stream_files *s)
{
    struct mvm_writer why;
    mvm_writer_init(&why, s->why, sizeof s->why);
    return why;
}

static enum mvm_stream_result protocol_error(struct mvm_stream_files *s, const char *what,
                                             const char *more)
{
    struct mvm_writer why = begin_why(s);
    mvm_writer_add3(&why, what, more, "");
    mvm_writer_finish(&why);
    return MVM_STREAM_BROKEN;
}

/* ---- the source ---- */

static bool open_source(struct mvm_stream_files *s, const char *folder, bool all_files,
                        struct mvm_writer *why)
{
    enum mvm_tree_choice choice = all_files ? MVM_TREE_ALL : MVM_TREE_TRACKED;
    s->tree.waiter = s->waiter;
    if (!mvm_tree_list(&s->tree, folder, choice, why) ||
        !mvm_nar_open(&s->nar, folder, &s->tree, why)) {
        return false;
    }
    int64_t size = mvm_nar_measure(&s->nar, why);
    if (size < 0) {
        mvm_nar_close(&s->nar);
        return false;
    }
    s->folder = folder;
    s->source_size = (uint64_t)size;
    return true;
}

/* Another connection: the archive from its beginning. */
static bool rewind_source(struct mvm_stream_files *s, struct mvm_writer *why)
{
    mvm_nar_close(&s->nar);
    return mvm_nar_open(&s->nar, s->folder, &s->tree, why);
}

static bool fail_changed(struct mvm_stream_files *s, struct mvm_writer *why)
{
    return mvm_local_path_fail(why, MVM_LOCAL_PATH_SEND, s->folder, "",
                               "it changed while it was sent");
}

/* As many bytes as fit, in as many pieces as they are made in. */
static bool fill(struct mvm_stream_files *s, size_t cap, size_t *len, struct mvm_writer *why)
{
    for (*len = 0; *len < cap;) {
        ssize_t n = mvm_nar_pull(&s->nar, s->data + *len, cap - *len, why);
        if (n <= 0) {
            return n == 0 && fail_changed(s, why);
        }
        *len += (size_t)n;
    }
    return true;
}

/* The archive has just as many bytes as were measured. */
static bool is_at_end(struct mvm_stream_files *s, struct mvm_writer *why)
{
    uint8_t more;
    ssize_t n = mvm_nar_pull(&s->nar, &more, 1, why);
    return n == 0 || (n > 0 && fail_changed(s, why));
}

enum mvm_stream_result mvm_stream_source(struct mvm_stream_files *s, uint64_t at, uint64_t most,
                                         struct mvm_text *data)
{
    struct mvm_writer why = begin_why(s);
    size_t len = most < sizeof s->data ? (size_t)most : sizeof s->data;
    bool good = at > 0 || s->nar.bytes == 0 || rewind_source(s, &why);
    good = good && fill(s, len, &len, &why) && (at + len < s->source_size || is_at_end(s, &why));
    mvm_writer_finish(&why);
    *data = (struct mvm_text){(const char *)s->data, len};
    return good ? MVM_STREAM_GOOD : MVM_STREAM_DISK;
}

/* ---- artifacts ---- */

/* A list ends without bytes if an item of it is not one. */
static bool is_readable(struct mvm_text list, struct mvm_text rest)
{
    return list.len == 0 || rest.bytes != NULL;
}

static enum mvm_stream_result add_all(struct mvm_stream_files *s, struct mvm_text list)
{
    struct mvm_text rest = list;
    struct mvm_artifact_item item;
    while (mvm_proto_next_artifact(&rest, &item)) {
        struct mvm_writer why = begin_why(s);
        bool good = mvm_artifacts_add(&s->artifacts, item.name, item.size, &why);
        mvm_writer_finish(&why);
        if (!good) {
            return s->artifacts.disk_failed ? MVM_STREAM_DISK
                   : s->artifacts.too_large ? MVM_STREAM_LARGE
                                            : MVM_STREAM_BROKEN;
        }
    }
    if (!is_readable(list, rest)) {
        return protocol_error(s, "its Ok lists an artifact that cannot be read", "");
    }
    return s->artifacts.len > 0 ? MVM_STREAM_GOOD
                                : protocol_error(s, "its Ok lists no artifacts", "");
}

static bool is_listed_at(const struct mvm_stream_files *s, size_t i,
                         const struct mvm_artifact_item *item)
{
    const struct mvm_artifact_file *f = s->artifacts.files + i;
    return i < s->artifacts.len && mvm_text_equal(item->name, f->name) && item->size == f->size;
}

static enum mvm_stream_result compare_all(struct mvm_stream_files *s, struct mvm_text list)
{
    struct mvm_artifact_item item;
    size_t len = 0;
    struct mvm_text rest = list;
    bool same = true;
    while (same && mvm_proto_next_artifact(&rest, &item)) {
        same = is_listed_at(s, len, &item);
        len++;
    }
    return same && len == s->artifacts.len && is_readable(list, rest)
               ? MVM_STREAM_GOOD
               : protocol_error(s, "its Ok lists other artifacts than before", "");
}

/* An artifact with all its bytes is complete, even if its last frame was lost. */
static void skip_whole(struct mvm_stream_files *s)
{
    const struct mvm_artifacts *a = &s->artifacts;
    while (s->current < a->len && a->files[s->current].done == a->files[s->current].size) {
        s->current++;
    }
}

enum mvm_stream_result mvm_stream_list(struct mvm_stream_files *s, const struct mvm_message *ok)
{
    enum mvm_stream_result result =
        s->artifacts.len == 0 ? add_all(s, ok->artifacts) : compare_all(s, ok->artifacts);
    skip_whole(s);
    return result;
}

enum mvm_stream_result mvm_stream_artifact(struct mvm_stream_files *s, const struct mvm_message *m)
{
    struct mvm_artifact_file *f = &s->artifacts.files[s->current];
    bool last = m->bulk.last == MVM_FLAG_TRUE;
    if (!mvm_artifacts_fits(f, m->bulk.offset, m->text.len)) {
        return protocol_error(s, f->name, ": bytes out of order or past its end");
    }
    if (m->text.len == 0 && !last) {
        return protocol_error(s, f->name, ": a piece without bytes");
    }
    struct mvm_writer why = begin_why(s);
    bool good = mvm_artifacts_write(&s->artifacts, s->current, m->bulk.offset, m->text, &why);
    mvm_writer_finish(&why);
    if (!good) {
        return MVM_STREAM_DISK;
    }
    if (last) {
        mvm_artifacts_end(f);
        skip_whole(s);
    }
    return last ? MVM_STREAM_ENDED : MVM_STREAM_GOOD;
}

/* ---- the set ---- */

/* Files that this program writes are left out of the source: they would change while it is sent,
 * and one build's artifacts would be sent for the next. */
static void leave_out_our_files(struct mvm_stream_files *s, const char *output, int log)
{
    int old = open(output, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    s->tree.left_out_len = 0;
    mvm_tree_leave_out(&s->tree, old);
    mvm_tree_leave_out(&s->tree, s->artifacts.dir);
    mvm_tree_leave_out(&s->tree, STDOUT_FILENO);
    mvm_tree_leave_out(&s->tree, STDERR_FILENO);
    mvm_tree_leave_out(&s->tree, log);
    if (old >= 0) {
        close(old);
    }
}

bool mvm_stream_open(struct mvm_stream_files *s, const char *folder, bool all_files,
                     const char *output, uint64_t max_size, int log)
{
    struct mvm_writer why = begin_why(s);
    s->source_size = 0;
    s->current = 0;
    s->folder = NULL;
    s->open = mvm_artifacts_open(&s->artifacts, output, max_size, &why);
    if (s->open && folder != NULL) {
        leave_out_our_files(s, output, log);
        s->open = open_source(s, folder, all_files, &why);
        if (!s->open) {
            mvm_tree_free(&s->tree);
            mvm_artifacts_abandon(&s->artifacts);
        }
    }
    mvm_writer_finish(&why);
    return s->open;
}

static bool add_up(struct mvm_stream_files *s, struct mvm_writer *why)
{
    for (size_t i = 0; i < s->artifacts.len; i++) {
        const struct mvm_artifact_file *f = &s->artifacts.files[i];
        if (!mvm_sha256_file(f->fd, s->waiter, s->sums[i])) {
            return mvm_local_path_fail(why, MVM_LOCAL_PATH_OUTPUT, s->artifacts.folder, f->name,
                                       "sha256sum failed");
        }
    }
    return true;
}

enum mvm_stream_result mvm_stream_commit(struct mvm_stream_files *s, bool sums)
{
    struct mvm_writer why = begin_why(s);
    bool good = (!sums || add_up(s, &why)) && mvm_artifacts_commit(&s->artifacts, &why);
    mvm_writer_finish(&why);
    return good ? MVM_STREAM_GOOD : MVM_STREAM_DISK;
}

void mvm_stream_close(struct mvm_stream_files *s)
{
    if (s->open) {
        mvm_artifacts_abandon(&s->artifacts);
    }
    if (s->open && s->folder != NULL) {
        mvm_nar_close(&s->nar);
        mvm_tree_free(&s->tree);
    }
    s->open = false;
}
