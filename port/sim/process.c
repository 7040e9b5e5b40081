/* The build: a script, and how far it has come by the clock. */
#include "sim_internal.h"
#include <string.h>

int mvm_sim_find_nix(void *ctx, char *path, size_t cap)
{
    struct mvm_sim *s = ctx;
    struct mvm_writer w;
    if (!mvm_sim_call(s, "find_nix")) {
        return s->fail_as;
    }
    if (s->no_nix) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "looked everywhere");
    }
    mvm_writer_init(&w, path, cap);
    mvm_writer_add(&w, "/bin/nix");
    return 0;
}

int mvm_sim_spawn(void *ctx, const char *const argv[])
{
    struct mvm_sim *s = ctx;
    size_t n = 0;
    if (!mvm_sim_call(s, "spawn")) {
        return s->fail_as;
    }
    while (argv[n] != NULL && n + 1 < sizeof s->argv / sizeof s->argv[0]) {
        s->argv[n] = argv[n];
        n++;
    }
    s->argv[n] = NULL;
    s->running = n > 1 && strcmp(argv[1], "--version") == 0 ? &s->version : &s->build;
    s->spawned++;
    s->started_ms = s->now_ms;
    s->ended_ms = UINT64_MAX;
    s->killed = false;
    s->child_alive = s->running->leaves_child;
    s->given[MVM_STDOUT] = s->given[MVM_STDERR] = 0;
    return 0;
}

static bool exited(const struct mvm_sim *s)
{
    uint64_t run = s->running->run_ms;
    bool by_itself = run != UINT64_MAX && s->now_ms - s->started_ms >= run;
    return by_itself || s->now_ms >= s->ended_ms;
}

/* What is still to be read of a stream. */
static struct mvm_text unread(const struct mvm_sim *s, enum mvm_stream stream)
{
    const char *text = stream == MVM_STDOUT ? s->running->out : s->running->err;
    size_t repeats =
        stream == MVM_STDERR && s->running->err_repeats > 0 ? s->running->err_repeats : 1;
    size_t len = text != NULL ? strlen(text) : 0;
    if (len == 0 || s->given[stream] >= len * repeats) {
        return mvm_text_from("");
    }
    size_t at = s->given[stream] % len;
    return (struct mvm_text){text + at, len - at};
}

int mvm_sim_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, "read_output")) {
        return s->fail_as;
    }
    struct mvm_text left = unread(s, stream);
    size_t n = mvm_sim_piece(s, left.len < cap ? left.len : cap);
    if (n == 0) {
        bool held = !exited(s) || s->child_alive || s->running->stranger_holds_pipes;
        return held ? 0 : MVM_PORT_END;
    }
    memcpy(buf, left.bytes, n);
    s->given[stream] += n;
    return (int)n;
}

int mvm_sim_poll_exit(void *ctx, struct mvm_exit *e)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, "poll_exit")) {
        return s->fail_as;
    }
    if (!exited(s)) {
        return 0;
    }
    *e = s->now_ms >= s->ended_ms ? (struct mvm_exit){true, s->killed ? 9 : 15} : s->running->exit;
    return 1;
}

int mvm_sim_signal_build(void *ctx, enum mvm_signal signal)
{
    struct mvm_sim *s = ctx;
    bool kill = signal == MVM_SIGNAL_KILL;
    if (!mvm_sim_call(s, kill ? "kill" : "term")) {
        return s->fail_as;
    }
    bool ends = kill ? !s->running->survives_kill : !s->running->ignores_term;
    if (ends && !exited(s)) {
        s->ended_ms = s->now_ms;
        s->killed = kill;
    }
    if (kill || !s->running->child_ignores_term) {
        s->child_alive = false;
    }
    return 0;
}

int mvm_sim_remaining(void *ctx)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, "remaining")) {
        return s->fail_as;
    }
    return (exited(s) ? 0 : 1) + (s->child_alive ? 1 : 0);
}

void mvm_sim_close_build(void *ctx)
{
    struct mvm_sim *s = ctx;
    s->running = NULL;
}
