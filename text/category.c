/* The words of mvm_category.h. */
#include "mvm_category.h"

const char *mvm_category_word(enum mvm_category category)
{
    static const char *const words[MVM_CATEGORIES] = {
        [MVM_CATEGORY_NONE] = "",
        [MVM_CATEGORY_INVALID_REQUEST] = "invalid_request",
        [MVM_CATEGORY_REJECTED] = "rejected",
        [MVM_CATEGORY_QUEUE_FULL] = "queue_full",
        [MVM_CATEGORY_MOUNT] = "mount",
        [MVM_CATEGORY_NIX_NOT_FOUND] = "nix_not_found",
        [MVM_CATEGORY_BUILD_FAILED] = "build_failed",
        [MVM_CATEGORY_OUT_OF_MEMORY] = "out_of_memory",
        [MVM_CATEGORY_TIMEOUT] = "timeout",
        [MVM_CATEGORY_CANCELLED] = "cancelled",
        [MVM_CATEGORY_NO_OUTPUT] = "no_output",
        [MVM_CATEGORY_STAGING] = "staging",
        [MVM_CATEGORY_RELEASE] = "release",
        [MVM_CATEGORY_STOPPING] = "stopping",
        [MVM_CATEGORY_MOVED] = "moved",
        [MVM_CATEGORY_SUPERSEDED] = "superseded",
        [MVM_CATEGORY_UNKNOWN_ID] = "unknown_id",
        [MVM_CATEGORY_ID_CONFLICT] = "id_conflict",
        [MVM_CATEGORY_INTERNAL] = "internal",
    };
    return words[category];
}
