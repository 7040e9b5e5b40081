/* CHECK: whether the build is allowed, and the request's texts are valid for a command line. */
#include "control.h"
#include "internal.h"
#include <string.h>

#define LITERAL(text)  #text
#define AS_TEXT(limit) LITERAL(limit)

/* Those that reorder text pass: a folder's name may have them, and the log masks them. */
static bool is_refused_control(struct mvm_text text)
{
    int32_t number = mvm_control_number(text);
    return number >= 0 && number < MVM_CONTROL_BIDIRECTIONAL;
}

/* What is wrong with a text that becomes part of nix's argument, or NULL. Shell characters are
 * fine: there is no shell. */
static const char *unsound(struct mvm_text text, size_t max)
{
    if (text.len == 0) {
        return "it is empty";
    }
    if (text.bytes[0] == '-') {
        return "it begins with '-'";
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] == '\0') {
            return "it holds a NUL byte";
        }
        if (is_refused_control((struct mvm_text){text.bytes + i, text.len - i})) {
            return "it holds a control character";
        }
    }
    return text.len > max ? "it is too long" : NULL;
}

static const char *unsound_flake(const struct mvm_job *job)
{
    struct mvm_text flake = job->flake_ref;
    bool is_root = job->has_source && flake.len == 0;
    const char *why = is_root ? NULL : unsound(flake, MVM_FLAKE_REF_MAX);
    if (why == NULL && job->has_source) {
        why = mvm_source_folder_unsound(flake);
    }
    if (is_root) {
        return why;
    }
    if (why == NULL && memchr(flake.bytes, '#', flake.len) != NULL) {
        return "it holds a '#'; the attribute has a field of its own";
    }
    return why;
}

static void refuse(struct mvm_executor *x, const char *what, const char *why)
{
    struct mvm_writer w;
    if (mvm_executor_fail(x, MVM_CATEGORY_INVALID_REQUEST, &w)) { /* COVERAGE: the first failure */
        mvm_writer_add3(&w, "invalid ", what, ": ");
        mvm_writer_add(&w, why);
        mvm_writer_finish(&w);
    }
}

static bool are_whole(const struct mvm_nix_option *options, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (options == NULL || options[i].name == NULL || options[i].value == NULL) {
            return false; /* nix's command would end there */
        }
    }
    return true;
}

/* nix gets the source as "path:DIR". Not every version decodes what a URL would have to escape. */
static bool is_in_urls(char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || strchr("/-._~!$&'()*+,;=:@", c) != NULL;
}

static const char *unsound_stream_dir(const char *dir)
{
    if (dir[0] != '/') {
        return "stream_dir: not an absolute path";
    }
    while (*dir != '\0' && is_in_urls(*dir)) {
        dir++;
    }
    return *dir != '\0' ? "stream_dir: it has a character that is not valid in a path of a URL"
                        : NULL;
}

const char *mvm_executor_config_unsound(const struct mvm_executor_config *c)
{
    if (c->nix_options_len > MVM_NIX_OPTIONS_MAX) {
        return "nix_options: there are too many";
    }
    if (!are_whole(c->nix_options, c->nix_options_len)) {
        return "nix_options: one of them is NULL";
    }
    if (c->stream_dir == NULL) {
        return c->out_dir == NULL ? "out_dir: NULL" : NULL;
    }
    if (c->source_buffer == NULL || c->source_cap < MVM_BULK_DATA_MAX) {
        return "source_buffer: too small";
    }
    return unsound_stream_dir(c->stream_dir);
}

static const char *unsound_stream(const struct mvm_executor *x, const struct mvm_job *job)
{
    if (!job->stream && x->config->out_dir == NULL) {
        return "builds with disks are not supported";
    }
    if (job->stream && (x->config->stream_dir == NULL || x->port->spawn_fed == NULL)) {
        return "builds without disks are not supported";
    }
    if (job->has_source && job->source_size > MVM_SOURCE_MAX) {
        return "it is larger than " AS_TEXT(MVM_SOURCE_MAX) " bytes";
    }
    return NULL;
}

static const char *unsound_job(const struct mvm_executor *x, const struct mvm_job *job,
                               const char **why)
{
    *why = mvm_executor_config_unsound(x->config);
    if (*why != NULL) {
        return "configuration";
    }
    *why = unsound_stream(x, job);
    if (*why != NULL) {
        return job->stream ? "source" : "request";
    }
    *why = unsound_flake(job);
    if (*why != NULL) {
        return "flake_ref";
    }
    *why = unsound(job->attr, MVM_ATTR_MAX);
    return *why != NULL ? "attr" : NULL;
}

void mvm_executor_accept(struct mvm_executor *x, const struct mvm_job *job)
{
    const char *why;
    const char *what = unsound_job(x, job, &why);
    if (what != NULL) {
        refuse(x, what, why);
        return;
    }
    x->wants_in = x->config->in_dir != NULL && !job->has_source &&
                  mvm_executor_wants_input(x, job->flake_ref);
    struct mvm_writer w;
    mvm_writer_init(&w, x->installable, sizeof x->installable);
    if (job->has_source) {
        bool in_root = job->flake_ref.len == 0 || job->flake_ref.bytes[0] == '?';
        mvm_writer_add3(&w, "path:", x->config->stream_dir, "/" MVM_STREAM_SOURCE);
        mvm_writer_add(&w, in_root ? "" : "/");
    }
    mvm_writer_add_text(&w, job->flake_ref);
    mvm_writer_add(&w, "#");
    mvm_writer_add_text(&w, job->attr);
    if (w.cut) {
        refuse(x, "flake_ref", "it is too long");
    }
}

/* The policy is checked first, so that a rejected client learns nothing about its request. */
enum mvm_executor_state mvm_executor_check(struct mvm_executor *x)
{
    if (!mvm_executor_check_policy(x)) {
        return x->state;
    }
    if (x->cancelled) {
        mvm_executor_fail_cancelled(x);
    }
    if (x->failed) {
        return MVM_EXECUTOR_END;
    }
    return x->stream ? MVM_EXECUTOR_SOURCE : MVM_EXECUTOR_MOUNT_OUT;
}
