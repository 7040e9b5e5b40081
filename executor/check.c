/* CHECK: is the build allowed, and is what is asked for fit for a command line? */
#include "internal.h"
#include <string.h>

/* What is wrong with a text that becomes part of nix's argument, or NULL. Shell characters are
 * fine: there is no shell. */
static const char *unsound(struct mvm_text text)
{
    if (text.len == 0) {
        return "it is empty";
    }
    if (text.bytes[0] == '-') {
        return "it begins with '-'";
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        if (c == '\0') {
            return "it holds a NUL byte";
        }
        if (c < 0x20 || c == 0x7f) {
            return "it holds a control character";
        }
    }
    return NULL;
}

static void refuse(struct mvm_executor *x, const char *what, const char *why)
{
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_INVALID_REQUEST);
    mvm_writer_add3(&w, "invalid ", what, ": ");
    mvm_writer_add(&w, why);
    mvm_writer_finish(&w);
}

void mvm_executor_take(struct mvm_executor *x, const struct mvm_job *job)
{
    const struct mvm_text *flake = &job->flake_ref;
    const char *why = unsound(*flake);
    if (why == NULL && memchr(flake->bytes, '#', flake->len) != NULL) {
        why = "it holds a '#'; the attribute has a field of its own";
    }
    if (why == NULL && flake->len > MVM_FLAKE_REF_MAX) {
        why = "it is too long";
    }
    if (why != NULL) {
        refuse(x, "flake_ref", why);
        return;
    }
    why = unsound(job->attr);
    if (why == NULL && job->attr.len > MVM_ATTR_MAX) {
        why = "it is too long";
    }
    if (why != NULL) {
        refuse(x, "attr", why);
        return;
    }
    if (x->config->nix_options_len > MVM_NIX_OPTIONS_MAX) {
        refuse(x, "nix_options", "there are too many");
        return;
    }
    const char *in_dir = x->config->in_dir;
    x->wants_in = in_dir != NULL && mvm_text_equal(*flake, in_dir);
    struct mvm_writer w;
    mvm_writer_init(&w, x->installable, sizeof x->installable);
    mvm_writer_add_text(&w, *flake);
    mvm_writer_add(&w, "#");
    mvm_writer_add_text(&w, job->attr);
}

/* The policy speaks first: whoever may not build learns nothing else. */
enum mvm_turn mvm_executor_check(struct mvm_executor *x)
{
    mvm_executor_check_policy(x);
    if (x->cancelled) {
        mvm_executor_fail_cancelled(x);
    }
    mvm_executor_enter(x, x->failed ? MVM_EXECUTOR_DONE : MVM_EXECUTOR_MOUNT_OUT);
    return MVM_TURN_ON;
}
