/*
 * What nix reports on its standard output as built. `--json` prints
 *     [{"drvPath":"…","outputs":{"dev":"/nix/store/…","out":"/nix/store/…"}}]
 * "out" is the one that counts; without it any of the others may be. A program in nix's place that
 * prints a store path as a line of its own is understood, too. If there are several such values,
 * the last one counts.
 */
#include "internal.h"
#include "store.h"
#include <string.h>

static const char store[] = MVM_STORE "/";

static void begin_value(struct mvm_nix_result *n)
{
    n->over = false;
    n->fresh = true;
    mvm_json_init(&n->json);
    mvm_json_keep(&n->json, n->key, sizeof n->key);
}

/* The first object of a value. What only begins like a value, "[ok]", changes nothing. */
static void begin_builds(struct mvm_nix_result *n)
{
    n->fresh = n->whole = n->in_outputs = n->has_out = n->too_many = false;
    n->paths = 0;
}

void mvm_nix_result_reset(struct mvm_nix_result *n)
{
    begin_builds(n);
    begin_value(n);
    n->line_begins = true;
    n->line[0] = n->other[0] = '\0';
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

static size_t skip_line(struct mvm_nix_result *n, const uint8_t *bytes, size_t len)
{
    const uint8_t *newline = memchr(bytes, '\n', len);
    n->line_begins = newline != NULL;
    return newline != NULL ? (size_t)(newline - bytes) + 1 : len;
}

static size_t push_token(struct mvm_nix_result *n, const uint8_t *bytes, size_t len)
{
    size_t used;
    enum mvm_json_token token = mvm_json_push(&n->json, bytes, len, &used);
    if (token == MVM_JSON_OBJECT && n->fresh) {
        begin_builds(n);
    } else if (token == MVM_JSON_KEY) {
        accept_key(n);
    } else if (token == MVM_JSON_STRING) {
        accept_string(n);
    }
    bool ended = token > MVM_JSON_PARTIAL && n->json.depth == 0;
    n->over = ended || token == MVM_JSON_ERROR;
    n->whole = n->whole || (ended && !n->fresh);
    if (token != MVM_JSON_PARTIAL && token != MVM_JSON_KEY) {
        mvm_json_keep(&n->json, n->key, sizeof n->key);
    }
    n->line_begins = used > 0 ? bytes[used - 1] == '\n' : n->line_begins;
    return used;
}

/* A program that wraps nix may print lines of its own before and after. */
void mvm_nix_result_push(struct mvm_nix_result *n, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        if (n->over && n->line_begins && bytes[0] == '[') {
            begin_value(n);
        }
        size_t used = n->over ? skip_line(n, bytes, len) : push_token(n, bytes, len);
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
