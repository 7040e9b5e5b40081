/*
 * nix's arguments, and the command as people read it. With `--json` every nix from 2.4 on
 * reports the outputs it has built, by name. Our experimental features come again after an option
 * that sets them, which wipes out what was added before.
 */
#include "internal.h"
#include <string.h>

static bool sets_features(const struct mvm_executor_config *c)
{
    for (size_t i = 0; i < c->nix_options_len; i++) {
        if (strcmp(c->nix_options[i].name, "experimental-features") == 0) {
            return true;
        }
    }
    return false;
}

static size_t add_features(struct mvm_executor *x, size_t n)
{
    x->argv[n++] = "--extra-experimental-features";
    x->argv[n++] = "nix-command flakes";
    return n;
}

/* As many as nix_options may have fit into argv. */
void mvm_executor_make_command(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    size_t n = 0;
    x->argv[n++] = x->nix;
    n = add_features(x, n);
    x->argv[n++] = "build";
    x->argv[n++] = "-L";
    if (x->stream) {
        x->argv[n++] = "--out-link";
        x->argv[n++] = mvm_executor_root_path(x, 1, "/result");
    } else {
        x->argv[n++] = "--no-link";
    }
    x->argv[n++] = "--json";
    x->argv[n++] = "--no-write-lock-file";
    for (size_t i = 0; i < c->nix_options_len; i++) {
        x->argv[n++] = "--option";
        x->argv[n++] = c->nix_options[i].name;
        x->argv[n++] = c->nix_options[i].value;
    }
    if (sets_features(c)) {
        n = add_features(x, n);
    }
    x->argv[n++] = "--";
    x->argv[n++] = x->installable;
    x->argv[n] = NULL;
}

/* nix-store is beside nix. */
void mvm_executor_make_unpack_command(struct mvm_executor *x)
{
    const char *slash = strrchr(x->nix, '/');
    struct mvm_writer w;
    mvm_writer_init(&w, x->path[0], sizeof x->path[0]);
    if (slash != NULL) {
        mvm_writer_add_text(&w, (struct mvm_text){x->nix, (size_t)(slash - x->nix) + 1});
    }
    mvm_writer_add(&w, "nix-store");
    x->argv[0] = x->path[0];
    x->argv[1] = "--restore";
    x->argv[2] = mvm_executor_source_path(x, 1);
    x->argv[3] = NULL;
}

/* A word quoted for a shell, so that people can paste the command. */
static void add_word(struct mvm_writer *w, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "/._-+:=,@%#";
    const char *at = word;
    while (memchr(plain, *at, sizeof plain - 1) != NULL) {
        at++;
    }
    if (*at == '\0' && word[0] != '\0' && word[0] != '#') {
        mvm_writer_add(w, word);
        return;
    }
    mvm_writer_add(w, "'");
    for (at = word; *at != '\0'; at++) {
        mvm_writer_add_text(w, *at == '\'' ? mvm_text_from("'\\''") : (struct mvm_text){at, 1});
    }
    mvm_writer_add(w, "'");
}

void mvm_executor_add_command(const struct mvm_executor *x, struct mvm_writer *w)
{
    for (size_t i = 0; x->argv[i] != NULL; i++) {
        mvm_writer_add(w, i == 0 ? "" : " ");
        add_word(w, x->argv[i]);
    }
}
