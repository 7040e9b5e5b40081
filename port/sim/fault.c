/*
 * Which errors each call can give, as executor/mvm_port.h says, and the call that is made to fail.
 * Also what a call takes: one for a disk comes later, or never.
 */
#include "sim_internal.h"

enum { ERRORS_MAX = 4 };

static const struct call {
    const char *name;
    enum mvm_port_error errors[ERRORS_MAX]; /* besides FAILED; 0 after the last */
} calls[] = {
    [MVM_SIM_SPAWN] = {"spawn", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY, MVM_PORT_BUSY}},
    [MVM_SIM_READ_OUTPUT] = {"read_output", {0}},
    [MVM_SIM_POLL_EXIT] = {"poll_exit", {0}},
    [MVM_SIM_TERM] = {"term", {0}},
    [MVM_SIM_KILL] = {"kill", {0}},
    [MVM_SIM_REMAINING] = {"remaining", {0}},
    [MVM_SIM_WRITE_LOG] = {"write_log", {0}},
    [MVM_SIM_FIND_NIX] = {"find_nix", {MVM_PORT_NOT_FOUND}},
    [MVM_SIM_MAKE_DIR] = {"make_dir", {MVM_PORT_NOT_DIRECTORY}},
    [MVM_SIM_MOUNTED] = {"mounted", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY}},
    [MVM_SIM_MOUNT] = {"mount", {MVM_PORT_NOT_FOUND, MVM_PORT_BUSY}},
    [MVM_SIM_MOUNT_RO] = {"mount_ro", {MVM_PORT_NOT_FOUND, MVM_PORT_BUSY}},
    [MVM_SIM_SYNC_FS] = {"sync_fs", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY}},
    [MVM_SIM_UNMOUNT] = {"unmount", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY, MVM_PORT_BUSY}},
    [MVM_SIM_REMOUNT_RO] = {"remount_ro",
                            {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY, MVM_PORT_BUSY}},
    [MVM_SIM_RELEASED] = {"released", {MVM_PORT_NOT_FOUND, MVM_PORT_BUSY}},
    [MVM_SIM_READ_FILE] = {"read_file", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_REGULAR}},
    [MVM_SIM_FIND_FILE] = {"find_file", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_REGULAR}},
    [MVM_SIM_COPY] = {"copy", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_REGULAR, MVM_PORT_SOURCE_FAILED}},
    [MVM_SIM_PUT] = {"put", {0}},
    [MVM_SIM_REPLACEABLE] = {"replaceable", {MVM_PORT_BUSY}},
    [MVM_SIM_RENAME] = {"rename", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY, MVM_PORT_BUSY}},
    [MVM_SIM_REMOVE] = {"remove", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY, MVM_PORT_BUSY}},
    [MVM_SIM_SYNC_DIR] = {"sync_dir", {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_DIRECTORY}},
    [MVM_SIM_OPEN_LOG] = {"open_log", {MVM_PORT_BUSY}},
    [MVM_SIM_CLOSE_LOG] = {"close_log", {0}},
    [MVM_SIM_FEED] = {"feed", {0}},
    [MVM_SIM_REMOVE_TREE] = {"remove_tree", {0}},
    [MVM_SIM_FILE_SIZE] = {"file_size",
                           {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_REGULAR, MVM_PORT_SOURCE_FAILED}},
    [MVM_SIM_READ_DATA] = {"read_data",
                           {MVM_PORT_NOT_FOUND, MVM_PORT_NOT_REGULAR, MVM_PORT_SOURCE_FAILED}},
};

static unsigned count_errors(const struct call *c)
{
    unsigned n = 0;
    while (c->errors[n] != 0) {
        n++;
    }
    return n + 1;
}

int mvm_sim_fail(struct mvm_sim *s, enum mvm_port_error error, const char *why)
{
    struct mvm_writer w;
    mvm_writer_init(&w, s->reason, sizeof s->reason);
    mvm_writer_add(&w, why);
    return error;
}

/* The errors are numbered from the call's own ones on, FAILED is the last. */
static void fail_with(struct mvm_sim *s, const struct call *c)
{
    unsigned kinds = count_errors(c);
    unsigned kind = s->fail_with % kinds;
    if (!s->failed) {
        s->fail_kinds = kinds;
    }
    s->failed = true;
    s->fail_as = kind + 1 < kinds ? c->errors[kind] : MVM_PORT_FAILED;
    mvm_sim_fail(s, s->fail_as, "made to fail");
}

static void write_down(struct mvm_sim *s, const char *name)
{
    struct mvm_writer w = {s->trace, sizeof s->trace, s->trace_len, false};
    mvm_writer_add(&w, name);
    mvm_writer_add(&w, " ");
    s->trace_len = w.len;
}

bool mvm_sim_call(struct mvm_sim *s, enum mvm_sim_call call)
{
    const struct call *c = &calls[call];
    unsigned run = s->fail_run > 0 ? s->fail_run : 1;
    write_down(s, c->name);
    s->calls++;
    if (s->at_power_cut != NULL && s->calls == s->power_cut_at) {
        *s->at_power_cut = *s;
    }
    if (s->fail_at == 0 || s->calls < s->fail_at || s->calls - s->fail_at >= run) {
        return true;
    }
    fail_with(s, c);
    return false;
}

static bool hangs(const struct mvm_sim *s)
{
    unsigned run = s->hang_run > 0 ? s->hang_run : 1;
    return s->hang_at != 0 && s->calls >= s->hang_at && s->calls - s->hang_at < run;
}

int mvm_sim_ask(struct mvm_sim *s, enum mvm_sim_call call)
{
    unsigned number = (unsigned)call + 1;
    if (s->asked.call == 0) {
        s->asked.fails = !mvm_sim_call(s, call);
        s->asked.call = number;
        s->asked.until_ms = s->now_ms + mvm_sim_delay(s);
        if (hangs(s)) {
            s->asked.until_ms = MVM_NEVER;
            s->failed = true;
            s->fail_kinds = 1;
        }
        if (!s->never_later || hangs(s)) {
            return MVM_PORT_LATER;
        }
    }
    if (s->asked.call != number) {
        s->confused = true; /* another call before the result of the first */
    }
    if (s->now_ms < s->asked.until_ms) {
        return MVM_PORT_LATER;
    }
    s->asked.call = 0;
    return s->asked.fails ? s->fail_as : 0;
}

/* ---- what is short or late ---- */

static uint32_t random_below(struct mvm_sim *s, uint32_t below)
{
    s->delay_seed = s->delay_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->delay_seed >> 33) % below;
}

size_t mvm_sim_piece(struct mvm_sim *s, size_t len)
{
    if (s->piece != 0 && s->piece < len) {
        len = s->piece;
    }
    return s->late_ms != 0 && len > 1 && random_below(s, 4) == 0
               ? 1 + random_below(s, (uint32_t)len)
               : len;
}

uint64_t mvm_sim_delay(struct mvm_sim *s)
{
    return s->late_ms != 0 && random_below(s, 8) == 0 ? 1 + random_below(s, s->late_ms) : 0;
}

bool mvm_sim_comes_late(struct mvm_sim *s, uint64_t *until_ms)
{
    if (s->now_ms >= *until_ms) {
        *until_ms = s->now_ms + mvm_sim_delay(s);
    }
    return s->now_ms < *until_ms;
}
