/* The build: a script, executed by the clock. */
#include "sim_internal.h"
#include <string.h>

int mvm_sim_find_nix(void *ctx, char *path, size_t cap)
{
    struct mvm_sim *s = ctx;
    struct mvm_writer w;
    int r = mvm_sim_ask(s, MVM_SIM_FIND_NIX);
    if (r < 0) {
        return r;
    }
    if (s->no_nix) {
        return mvm_sim_fail(s, MVM_PORT_NOT_FOUND, "looked everywhere");
    }
    mvm_writer_init(&w, path, cap);
    mvm_writer_add(&w, "/bin/nix");
    return 0;
}

/* The link that the build makes if it succeeds. */
static void find_link(struct mvm_sim *s)
{
    s->link[0] = '\0';
    for (int i = 0; s->argv[i] != NULL; i++) {
        if (strcmp(s->argv[i], "--out-link") == 0 && s->argv[i + 1] != NULL) {
            mvm_text_join(s->link, sizeof s->link, s->argv[i + 1], "", "");
        }
    }
}

int mvm_sim_start(struct mvm_sim *s, const struct mvm_sim_script *script, const char *const argv[])
{
    size_t n = 0;
    if (!mvm_sim_call(s, MVM_SIM_SPAWN)) {
        return s->fail_as;
    }
    while (argv[n] != NULL && n + 1 < sizeof s->argv / sizeof s->argv[0]) {
        s->argv[n] = argv[n];
        n++;
    }
    s->argv[n] = NULL;
    find_link(s);
    s->running = script;
    s->spawned++;
    s->started_ms = s->now_ms;
    s->ended_ms = s->stopping_ms = MVM_NEVER;
    s->killed = false;
    s->child_alive = s->running->leaves_child;
    s->given[MVM_PORT_STDOUT] = s->given[MVM_PORT_STDERR] = 0;
    memset(s->shows_ms, 0, sizeof s->shows_ms);
    return 0;
}

int mvm_sim_spawn(void *ctx, const char *const argv[])
{
    struct mvm_sim *s = ctx;
    s->feeding = false;
    return mvm_sim_start(s, &s->build, argv);
}

/* By exit or by a signal; MVM_NEVER: not yet known. */
static uint64_t ends_ms(const struct mvm_sim *s)
{
    uint64_t run = s->running->run_ms;
    if (s->feeding) {
        return s->ended_ms; /* it waits for its input */
    }
    return run < s->ended_ms - s->started_ms ? s->started_ms + run : s->ended_ms;
}

static bool exited(const struct mvm_sim *s)
{
    return s->now_ms >= ends_ms(s);
}

/* What is still to be read of a stream. */
static struct mvm_text unread(const struct mvm_sim *s, enum mvm_stream stream)
{
    const char *text = stream == MVM_PORT_STDOUT ? s->running->out : s->running->err;
    size_t repeats =
        stream == MVM_PORT_STDERR && s->running->err_repeats > 0 ? s->running->err_repeats : 1;
    if (text == NULL) {
        return mvm_text_from("");
    }
    size_t told = stream == MVM_PORT_STDOUT ? s->running->out_len : 0;
    size_t len = told > 0 ? told : strlen(text);
    if (len == 0 || s->given[stream] >= len * repeats) {
        return mvm_text_from("");
    }
    size_t at = s->given[stream] % len;
    return (struct mvm_text){text + at, len - at};
}

int mvm_sim_read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_READ_OUTPUT)) {
        return s->fail_as;
    }
    /* What the build has left behind is all in the pipe: it can no longer be late. */
    bool written = !exited(s) || s->child_alive;
    if (written && mvm_sim_comes_late(s, &s->shows_ms[stream])) {
        return 0;
    }
    struct mvm_text left = unread(s, stream);
    size_t n = mvm_sim_piece(s, left.len < cap ? left.len : cap);
    if (n == 0) {
        return written || s->running->outsider_holds_pipes ? 0 : MVM_PORT_END;
    }
    memcpy(buf, left.bytes, n);
    s->given[stream] += n;
    return (int)n;
}

int mvm_sim_poll_exit(void *ctx, struct mvm_exit *e)
{
    struct mvm_sim *s = ctx;
    if (!mvm_sim_call(s, MVM_SIM_POLL_EXIT)) {
        return s->fail_as;
    }
    bool just_now = exited(s) && s->now_ms - ends_ms(s) <= s->late_ms;
    if (!exited(s) || (just_now && mvm_sim_comes_late(s, &s->shows_ms[MVM_PORT_STREAMS]))) {
        return 0;
    }
    *e = s->now_ms >= s->ended_ms ? (struct mvm_exit){true, s->killed ? 9 : 15} : s->running->exit;
    if (s->link[0] != '\0' && !e->signaled && e->code == 0) {
        mvm_sim_put(s, s->link, s->running->out != NULL ? s->running->out : "");
        s->link[0] = '\0';
    }
    return 1;
}

/* Whether its processes have yet to stop before SIGTERM can be sent to all. */
static bool is_stopping(struct mvm_sim *s)
{
    s->stopping_ms = mvm_sooner(s->stopping_ms, s->now_ms);
    return s->now_ms - s->stopping_ms < s->running->stops_ms;
}

int mvm_sim_signal_build(void *ctx, enum mvm_signal signal)
{
    struct mvm_sim *s = ctx;
    bool kill = signal == MVM_SIGNAL_KILL;
    if (!mvm_sim_call(s, kill ? MVM_SIM_KILL : MVM_SIM_TERM)) {
        return s->fail_as;
    }
    if (!kill && is_stopping(s)) {
        return MVM_PORT_LATER;
    }
    bool ends = kill ? !s->running->survives_kill : !s->running->ignores_term;
    if (ends && !exited(s)) {
        s->ended_ms = s->now_ms + mvm_sim_delay(s);
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
    if (!mvm_sim_call(s, MVM_SIM_REMAINING)) {
        return s->fail_as;
    }
    return (exited(s) ? 0 : 1) + (s->child_alive ? 1 : 0);
}

uint64_t mvm_sim_next_ms(const struct mvm_sim *s)
{
    uint64_t next = MVM_NEVER;
    if (s->asked.call != 0) {
        next = mvm_later(s->asked.until_ms, s->now_ms);
    }
    if (s->running == NULL) {
        return next;
    }
    const uint64_t times[] = {ends_ms(s), s->shows_ms[0], s->shows_ms[1], s->shows_ms[2]};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        next = times[i] > s->now_ms && times[i] < next ? times[i] : next;
    }
    return next;
}

int mvm_sim_out_of_memory(void *ctx)
{
    const struct mvm_sim *s = ctx;
    return s->running->out_of_memory ? 1 : 0;
}

void mvm_sim_close_build(void *ctx)
{
    struct mvm_sim *s = ctx;
    s->abandoned = s->abandoned || (s->running != NULL && (!exited(s) || s->child_alive));
    s->feeding = false;
    s->unpacked = NULL;
    s->running = NULL;
}
