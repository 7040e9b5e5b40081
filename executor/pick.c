/*
 * PICK: the store path that was built. With --print-out-paths it is a line of stdout (output.c has
 * it already); with --json it is read out of what nix prints,
 *     [{"drvPath":"…","outputs":{"out":"/nix/store/…"}}]
 * where "out" is preferred and else the first output is taken.
 */
#include "internal.h"
#include <string.h>

void mvm_nix_json_init(struct mvm_nix_json *n)
{
    memset(n, 0, sizeof *n);
    mvm_json_init(&n->json);
}

/* Depth 2 are the members of a build, depth 3 those of its outputs. */
static void take_nix_key(struct mvm_nix_json *n)
{
    struct mvm_json *j = &n->json;
    bool named = !j->overflow && mvm_text_equal(j->text, j->depth == 2 ? "outputs" : "out");
    if (j->depth == 2) {
        n->in_outputs = named;
    } else if (j->depth == 3 && n->in_outputs && (named || n->path_len == 0)) {
        mvm_json_keep(j, n->path, sizeof n->path - 1);
        n->path_len = 0;
    }
}

static void take_nix_token(struct mvm_nix_json *n, enum mvm_json_token token)
{
    struct mvm_json *j = &n->json;
    if (token == MVM_JSON_KEY) {
        take_nix_key(n);
        return;
    }
    if (token == MVM_JSON_STRING && j->text.bytes == n->path && !j->overflow) {
        n->path_len = (uint16_t)j->text.len;
        n->path[n->path_len] = '\0';
    }
    mvm_json_keep(j, n->key, sizeof n->key);
}

void mvm_nix_json_push(struct mvm_nix_json *n, const uint8_t *bytes, size_t len)
{
    while (len > 0 && !n->broken) {
        size_t used;
        enum mvm_json_token token = mvm_json_push(&n->json, bytes, len, &used);
        if (token == MVM_JSON_ERROR) {
            n->broken = true;
        } else if (token != MVM_JSON_PARTIAL) {
            take_nix_token(n, token);
        }
        bytes += used;
        len -= used;
    }
}

enum mvm_turn mvm_executor_pick(struct mvm_executor *x)
{
    const struct mvm_nix_json *n = &x->nix_json;
    if (x->use_json && n->path_len > 0 && mvm_text_begins(mvm_text_from(n->path), "/nix/store/")) {
        memcpy(x->store_path, n->path, (size_t)n->path_len + 1);
    }
    if (!x->failed && x->store_path[0] == '\0') {
        struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_NO_OUTPUT);
        mvm_writer_add(&w, "nix build produced no store path: ");
        mvm_executor_add_command(x, &w);
        mvm_writer_finish(&w);
    }
    mvm_executor_enter(x, x->failed ? MVM_EXECUTOR_LOGFILE : MVM_EXECUTOR_COPY);
    return MVM_TURN_ON;
}
