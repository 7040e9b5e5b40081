#include "advice.h"
#include "mvm_category.h"

static const char unknown_id[] =
    "the agent has no such build: it was restarted, or has dropped the answer; nothing was built "
    "again";

static const char *const sentences[MVM_CATEGORIES] = {
    [MVM_CATEGORY_REJECTED] = "the agent's policy does not allow builds, or cannot be read",
    [MVM_CATEGORY_QUEUE_FULL] = "the agent has no room for more builds: try again later",
    [MVM_CATEGORY_MOUNT] =
        "nothing was built: the disk or its mount point in the VM needs attention",
    [MVM_CATEGORY_NIX_NOT_FOUND] = "nothing was built: the VM's image needs nix",
    [MVM_CATEGORY_OUT_OF_MEMORY] = "out of memory in the VM: give it more",
    [MVM_CATEGORY_TIMEOUT] = "the time-out was too short for this build: --timeout sets it",
    [MVM_CATEGORY_CANCELLED] = "the build was cancelled: it can be started again",
    [MVM_CATEGORY_NO_OUTPUT] = "the build has no image: is the attribute the right one?",
    [MVM_CATEGORY_STAGING] = "built, but its artifacts could not be delivered",
    [MVM_CATEGORY_RELEASE] =
        "do not trust the output disk: the VM still uses it, or could not write all of it",
    [MVM_CATEGORY_STOPPING] = "the agent is ending: try again when it is back",
    [MVM_CATEGORY_MOVED] = "another client has joined the build and gets its answer",
    [MVM_CATEGORY_SUPERSEDED] =
        "a later build has the disk, or has replaced the artifacts: build again",
    [MVM_CATEGORY_UNKNOWN_ID] = unknown_id,
    [MVM_CATEGORY_ID_CONFLICT] = "each build needs an id of its own",
    [MVM_CATEGORY_INTERNAL] = "a fault in the VM, not in the flake: try again",
};

const char *mvm_advice(struct mvm_text category)
{
    for (enum mvm_category i = MVM_CATEGORY_NONE; i < MVM_CATEGORIES; i++) {
        if (sentences[i] != NULL && mvm_text_equal(category, mvm_category_word(i))) {
            return sentences[i];
        }
    }
    return "";
}
