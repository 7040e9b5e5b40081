#include "mvm_category.h"
#include "world.h"
#include <string.h>

static bool holds(const struct mvm_sim_file *f, const char *text)
{
    return f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

/* Whether it is the old artifact, or a complete one of some build. */
static bool is_whole(const struct mvm_sim_file *f, int i)
{
    size_t begins = strlen(artifacts[i].begins);
    bool of_a_build = f->len > begins + 1 && f->bytes[f->len - 1] == '.' &&
                      memcmp(f->bytes, artifacts[i].begins, begins) == 0;
    return of_a_build || holds(f, artifacts[i].old);
}

const char *check_whole(struct mvm_sim *sim)
{
    for (int i = 0; i < ARTIFACTS; i++) {
        const struct mvm_sim_file *f = mvm_sim_find(sim, artifacts[i].name);
        if (f != NULL && !is_whole(f, i)) {
            return "an incomplete file under a final name";
        }
    }
    return NULL;
}

/* Every byte that was read of the build's output is in it. */
static bool log_is_whole(void)
{
    const struct mvm_sim_file *f = mvm_sim_find(&world.sim, "/build-out/build.log");
    return f != NULL && f->durable && f->named &&
           f->len == world.sim.given[MVM_PORT_STDOUT] + world.sim.given[MVM_PORT_STDERR];
}

static const char *check_durable(void)
{
    if (!log_is_whole()) {
        return "Ok, and build.log is not whole";
    }
    for (int i = 0; i < ARTIFACTS; i++) {
        char text[64];
        const struct mvm_sim_file *f = mvm_sim_find(&world.sim, artifacts[i].name);
        artifact_text(world.number, i, text);
        if (f == NULL || !holds(f, text) || !f->durable || !f->named) {
            return "Ok, and an artifact is not durable";
        }
        world.kept[i] = true;
    }
    return NULL;
}

/* Checked after the step in which the power was cut, on the copy. */
const char *check_power_cut(void)
{
    if (world.sim.at_power_cut == NULL || world.sim.power_cut_at == 0 ||
        world.sim.calls < world.sim.power_cut_at) {
        return NULL;
    }
    world.sim.at_power_cut = NULL;
    mvm_sim_power_cut(&world.after_power_cut);
    for (int i = 0; i < ARTIFACTS; i++) {
        if (world.kept[i] && mvm_sim_find(&world.after_power_cut, artifacts[i].name) == NULL) {
            return "a file is lost when the power goes";
        }
    }
    return check_whole(&world.after_power_cut);
}

/* The call that was made to fail may be the one that removes or unmounts. */
const char *check_left_over(void)
{
    const char *left = mvm_sim_left_over(&world.sim);
    bool is_file = left != NULL && left[0] == '/';
    const char *wrong = check_folder();
    if (wrong != NULL) {
        return wrong;
    }
    /* A process that ignores signals, or that no signal reaches, cannot be ended. */
    bool is_undead = world.sim.abandoned && (world.sim.build.survives_kill ||
                                             (world.sim.failed && world.sim.fail_run > 2));
    if (left != NULL && !is_undead && !(is_file && (world.sim.failed || world.restarted))) {
        return "something is left of a build";
    }
    if (!world.sim.failed && !world.sim.out.busy && world.sim.out.mounted != world.out_mounted &&
        !world.sim.out.ours) {
        return "the output disk is left mounted";
    }
    if (!world.sim.failed && !world.sim.in.busy && world.sim.in.mounted != world.in_mounted &&
        !world.sim.in.ours) {
        return "the input disk is left mounted";
    }
    return NULL;
}

/* A device that is present when the build begins, or soon after, has the artifacts; at Ok it is
 * neither mounted nor held, or it is read-only. Another mount in its place stays. */
static const char *check_released(void)
{
    const struct mvm_sim_disk *d = &world.sim.out;
    bool in_time = !d->absent && d->appears_ms <= world.began_ms + MVM_DEVICE_WAIT_MS / 2;
    if (d->mounted && d->ours && !d->read_only) {
        return "Ok, and the disk is mounted";
    }
    if (world.sim.now_ms < d->held_ms && world.was_mounted && !d->mounted && !world.sim.failed) {
        return "Ok, and the disk is held";
    }
    if (in_time && !world.out_mounted && !world.was_mounted && !world.sim.failed) {
        return "Ok, and the artifacts are not on the disk";
    }
    return NULL;
}

/* An Err of a build that has mounted the disk and leaves it so reports that, whatever it failed of.
 */
static const char *check_reported(const struct mvm_message *answer)
{
    const struct mvm_sim_disk *d = &world.sim.out;
    const char *category = mvm_category_word(MVM_CATEGORY_RELEASE);
    if (!d->mounted || !d->ours || d->read_only || world.was_left || answer->text.len == 0) {
        return NULL;
    }
    bool told = strstr(world.executor.message, "failed to release ") != NULL;
    bool named = answer->id.bytes == NULL || mvm_text_equal(answer->refusal.category, category);
    return told && named ? NULL : "Err, and not a word of the disk that is left mounted";
}

/* Whether the running build's client reads what it is sent. One that does not delays its own
 * build. */
static bool asked_politely(void)
{
    for (int i = 0; i < PEERS; i++) {
        if (world.peers[i].client != NULL &&
            world.peers[i].client == world.scheduler.queue[0].client) {
            return world.peers[i].polite;
        }
    }
    return false;
}

/* A build of a valid request in a world without faults must not fail. */
const char *check_answer(void)
{
    const struct mvm_message *answer = &world.scheduler.answer;
    if (world.ledger.builds[world.number].stream) {
        const char *wrong = check_stream_end();
        if (wrong != NULL || answer->kind == MVM_MESSAGE_OK) {
            return wrong;
        }
    } else if (answer->kind == MVM_MESSAGE_OK) {
        const char *wrong = check_durable();
        wrong = wrong != NULL ? wrong : check_released();
        world.ledger.builds[world.number].ok = true;
        return wrong;
    }
    const char *wrong = check_reported(answer);
    if (wrong != NULL) {
        return wrong;
    }
    const struct ledger_build *b = &world.ledger.builds[world.number];
    bool held_up = b->rude && mvm_text_begins(answer->text, "nix build timed out");
    bool wanted = (asked_politely() || b->keep == MVM_FLAG_TRUE || world.keep_building) && !held_up;
    if (world.kind && wanted && !b->cancelled && !mvm_text_begins(answer->text, "invalid ")) {
        return "a build failed that nothing was wrong with";
    }
    return NULL;
}
