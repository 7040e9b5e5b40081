#include "world.h"
#include <string.h>

bool is_troubled(void)
{
    return world.sim.failed || world.reader.failed;
}

static bool is_below(const struct mvm_sim_file *f, const char *dir)
{
    return f->there && strncmp(f->path, dir, strlen(dir)) == 0;
}

static bool has_any(const char *dir)
{
    for (int i = 0; i < MVM_SIM_FILES; i++) {
        if (is_below(&world.sim.files[i], dir)) {
            return true;
        }
    }
    return false;
}

/* The source is unpacked, all of it and no other. */
const char *check_start(void)
{
    const struct ledger_build *b = &world.ledger.builds[world.number];
    const struct mvm_sim_file *f =
        mvm_sim_find(&world.sim, "/agent/" MVM_STREAM_SOURCE MVM_SIM_UNPACKED);
    if (!b->has_source) {
        return b->stream && f != NULL ? "a build finds the source of another" : NULL;
    }
    size_t len = b->source_size < MVM_SIM_FILE_CAP ? b->source_size : MVM_SIM_FILE_CAP;
    if (world.sim.fed != b->source_size || f == NULL || f->len != len) {
        return "a source is built that is not whole";
    }
    for (size_t i = 0; i < len; i++) {
        if (f->bytes[i] != (uint8_t)*ledger_source(world.number, i)) {
            return "a source is built that is not the build's own";
        }
    }
    return NULL;
}

const char *check_stream_end(void)
{
    struct ledger_build *b = &world.ledger.builds[world.number];
    bool ok = world.scheduler.answer.kind == MVM_MESSAGE_OK;
    if (ok) {
        b->ok = true;
        b->ok_turn = world.ledger.turn;
    }
    if (!is_troubled() && has_any("/agent/" MVM_STREAM_SOURCE)) {
        return "a source is left when its build has ended";
    }
    if (ok && !mvm_scheduler_holds(&world.scheduler)) {
        return "Ok, and the artifacts are not held";
    }
    return NULL;
}

const char *check_folder(void)
{
    if (mvm_sim_left_over(&world.reader) != NULL || mvm_scheduler_reading(&world.scheduler)) {
        return "the reader is left with a call";
    }
    if (!is_troubled() && !mvm_scheduler_holds(&world.scheduler) && has_any("/agent/")) {
        return "something is left in the agent's folder, though nothing is held";
    }
    return NULL;
}
