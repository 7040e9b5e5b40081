/*
 * NIX: which program, which version, which arguments. `--print-out-paths` came with nix 2.9;
 * before it the path is read out of `--json`, which 2.4 has. The answer of `nix --version` is
 * kept for the executor's life: a nix that is renewed in place only gets newer, and any version
 * understands `--json`.
 */
#include "internal.h"
#include <string.h>

static bool is_ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t number(struct mvm_text text, size_t at, unsigned *value)
{
    *value = 0;
    while (at < text.len && is_ascii_digit(text.bytes[at])) {
        if (*value < 100000) {
            *value = *value * 10 + (unsigned)(text.bytes[at] - '0');
        }
        at++;
    }
    return at;
}

/* "nix (Nix) 2.8.0", "nix (Lix, like Nix) 2.91.0": the last word is the version. What does not
 * read like one is taken for a current nix. */
void mvm_executor_take_version(struct mvm_executor *x, struct mvm_text line)
{
    size_t at = line.len;
    while (at > 0 && line.bytes[at - 1] != ' ') {
        at--;
    }
    unsigned major;
    unsigned minor = 0;
    size_t end = number(line, at, &major);
    bool known = end > at && end < line.len && line.bytes[end] == '.' &&
                 number(line, end + 1, &minor) > end + 1;
    x->use_json = known && (major < 2 || (major == 2 && minor < 9));
}

/* The arguments: as many as nix_options may have fit into argv. */
static void make_arguments(struct mvm_executor *x)
{
    const struct mvm_executor_config *c = x->config;
    size_t n = 0;
    x->argv[n++] = x->nix;
    x->argv[n++] = "--extra-experimental-features";
    x->argv[n++] = "nix-command flakes";
    x->argv[n++] = "build";
    x->argv[n++] = "-L";
    x->argv[n++] = "--no-link";
    x->argv[n++] = x->use_json ? "--json" : "--print-out-paths";
    x->argv[n++] = "--no-write-lock-file";
    for (size_t i = 0; i < c->nix_options_len; i++) {
        x->argv[n++] = "--option";
        x->argv[n++] = c->nix_options[i].name;
        x->argv[n++] = c->nix_options[i].value;
    }
    x->argv[n++] = "--";
    x->argv[n++] = x->installable;
    x->argv[n] = NULL;
}

/* A word as a shell would want it: for people who paste the command. */
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

/* Starts argv. False: the job has failed and its log is next. */
static bool spawn(struct mvm_executor *x)
{
    mvm_executor_output_reset(x);
    x->exited = false;
    x->look_ms = x->now_ms + MVM_KILL_POLL_MS;
    x->exit = (struct mvm_exit){false, 255};
    int r = x->port->spawn(x->ctx, x->argv);
    if (r >= 0) {
        return true;
    }
    const char *reason = x->port->reason(x->ctx);
    struct mvm_writer w = mvm_executor_fail(x, r == MVM_PORT_NOT_FOUND ? MVM_CATEGORY_NIX_NOT_FOUND
                                                                       : MVM_CATEGORY_INTERNAL);
    mvm_writer_add3(&w, r == MVM_PORT_NOT_FOUND ? "nix not found: " : "nix build failed (", reason,
                    r == MVM_PORT_NOT_FOUND ? ": " : "): ");
    mvm_executor_add_command(x, &w);
    mvm_writer_finish(&w);
    x->port->close_build(x->ctx);
    mvm_executor_enter(x, MVM_EXECUTOR_LOGFILE);
    return false;
}

/* Tells the client what the port cannot guarantee for the build that was started. */
static void note_limits(struct mvm_executor *x)
{
    const char *limits = x->port->limits != NULL ? x->port->limits(x->ctx) : NULL;
    if (limits != NULL) {
        struct mvm_writer w = mvm_executor_note(x);
        mvm_writer_add(&w, limits);
        mvm_executor_noted(x, &w);
    }
}

void mvm_executor_start_build(struct mvm_executor *x)
{
    x->probing = false;
    make_arguments(x);
    mvm_nix_json_init(&x->nix_json);
    if (spawn(x)) {
        mvm_executor_enter(x, MVM_EXECUTOR_RUN);
        note_limits(x);
    }
}

static void start_probe(struct mvm_executor *x)
{
    x->probing = true;
    x->use_json = false;
    x->argv[0] = x->nix;
    x->argv[1] = "--version";
    x->argv[2] = NULL;
    if (spawn(x)) {
        uint64_t patience = x->now_ms + MVM_NIX_PROBE_MS;
        x->phase_ms = patience < x->deadline_ms ? patience : x->deadline_ms;
        mvm_executor_enter(x, MVM_EXECUTOR_PROBE);
    }
}

enum mvm_turn mvm_executor_nix(struct mvm_executor *x)
{
    /* The build's time begins here: what nix does counts, what disks do does not. */
    if (x->timeout_secs != 0 && x->timeout_secs < (UINT64_MAX - x->now_ms) / 1000) {
        x->deadline_ms = x->now_ms + x->timeout_secs * 1000;
    }
    mvm_executor_log_open(x);
    if (!x->failed && x->port->find_nix(x->ctx, x->nix, sizeof x->nix) < 0) {
        mvm_executor_fail_reason(x, MVM_CATEGORY_NIX_NOT_FOUND, "nix not found", "");
    }
    if (x->failed) {
        mvm_executor_enter(x, MVM_EXECUTOR_LOGFILE);
    } else if (strcmp(x->nix, x->probed) == 0) {
        mvm_executor_start_build(x);
    } else {
        start_probe(x);
    }
    return MVM_TURN_ON;
}
