/*
 * What nix reports on its standard output as built. `--json` prints
 *     [{"drvPath":"…","outputs":{"dev":"/nix/store/…","out":"/nix/store/…"}}]
 * "out" is the one that counts; without it any of the others may be. A program in nix's place that
 * prints a store path as a line of its own is understood, too.
 */
#include "internal.h"
#include "store.h"
#include <string.h>

static const char store[] = MVM_STORE "/";

void mvm_nix_result_reset(struct mvm_nix_result *n)
{
    n->in_outputs = n->has_out = n->too_many = n->broken = false;
    n->paths = 0;
    n->line[0] = n->other[0] = '\0';
    mvm_json_init(&n->json);
    mvm_json_keep(&n->json, n->key, sizeof n->key);
}

/* Depth 2 are the members of a build, depth 3 those of its outputs. */
static void accept_key(struct mvm_nix_result *n)
{
    struct mvm_json *j = &n->json;
    bool named = !j->overflow && mvm_text_equal(j->text, j->depth == 2 ? "outputs" : "out");
    if (j->depth == 2) {
        n->in_outputs = named;
    }
    if (j->depth != 3 || !n->in_outputs || n->has_out) {
        return;
    }
    if (named) {
        n->has_out = true;
        n->too_many = false;
        n->paths = 0;
    }
    if (n->paths == MVM_NIX_OUTPUTS_MAX) {
        n->too_many = true;
    } else {
        mvm_json_keep(j, n->path[n->paths], sizeof n->path[0] - 1);
    }
}

static void note_other(struct mvm_nix_result *n, struct mvm_text path)
{
    struct mvm_writer w;
    mvm_writer_init(&w, n->other, sizeof n->other);
    mvm_writer_add_text(&w, path);
    mvm_writer_finish(&w);
}

static void accept_string(struct mvm_nix_result *n)
{
    const struct mvm_json *j = &n->json;
    if (n->paths == MVM_NIX_OUTPUTS_MAX || j->text.bytes != n->path[n->paths] || j->overflow) {
        return;
    }
    if (!mvm_text_begins(j->text, store)) {
        note_other(n, j->text);
    } else if (memchr(j->text.bytes, '\0', j->text.len) == NULL) {
        n->path[n->paths][j->text.len] = '\0';
        n->paths++;
    }
}

void mvm_nix_result_push(struct mvm_nix_result *n, const uint8_t *bytes, size_t len)
{
    while (len > 0 && !n->broken) {
        size_t used;
        enum mvm_json_token token = mvm_json_push(&n->json, bytes, len, &used);
        if (token == MVM_JSON_KEY) {
            accept_key(n);
        } else if (token == MVM_JSON_STRING) {
            accept_string(n);
        }
        n->broken = token == MVM_JSON_ERROR;
        if (token != MVM_JSON_PARTIAL && token != MVM_JSON_KEY) {
            mvm_json_keep(&n->json, n->key, sizeof n->key);
        }
        bytes += used;
        len -= used;
    }
}

/* The last line that begins with /nix/store/ counts, and nothing may be cut from it. */
void mvm_nix_result_line(struct mvm_nix_result *n, struct mvm_text line)
{
    struct mvm_writer w;
    if (!mvm_text_begins(line, store)) {
        if (mvm_text_begins(line, "/")) {
            note_other(n, line);
        }
        return;
    }
    mvm_writer_init(&w, n->line, sizeof n->line);
    mvm_writer_add_text(&w, line);
    if (w.cut || memchr(line.bytes, '\0', line.len) != NULL) {
        n->line[0] = '\0';
    }
}
