/* What the scheduler answers to a request that it refuses, or for a build that it ends itself. */
#include "scheduler_internal.h"

static const struct {
    const char *message;
    enum mvm_category category;
    bool refused; /* nothing has ended: the id is that of another build, or of none */
} reasons[MVM_REASONS] = {
    [MVM_REASON_INVALID_ID] = {"invalid id: not 16 to 64 of A-Z a-z 0-9 . _ -",
                               MVM_CATEGORY_INVALID_REQUEST, true},
    [MVM_REASON_INVALID_KEEP] = {"invalid keep: a build without a time-out could run for ever",
                                 MVM_CATEGORY_INVALID_REQUEST, false},
    [MVM_REASON_ID_CONFLICT] = {"build rejected: another build has this id",
                                MVM_CATEGORY_ID_CONFLICT, true},
    [MVM_REASON_NEEDS_DISK] = {"build rejected: builds without disks are not supported",
                               MVM_CATEGORY_REJECTED, true},
    [MVM_REASON_NEEDS_SOURCE] = {"Join rejected: the build waits for its source, and a JSON client "
                                 "cannot send it",
                                 MVM_CATEGORY_REJECTED, true},
    [MVM_REASON_DROPPED] = {"artifacts dropped: they are not held any more",
                            MVM_CATEGORY_SUPERSEDED, false},
    [MVM_REASON_NO_ARTIFACT] = {"invalid name: the build has no such artifact",
                                MVM_CATEGORY_INVALID_REQUEST, true},
    [MVM_REASON_PAST_END] = {"invalid offset: past the artifact's end",
                             MVM_CATEGORY_INVALID_REQUEST, true},
    [MVM_REASON_SECOND_GET] = {"invalid Get: another is not answered yet",
                               MVM_CATEGORY_INVALID_REQUEST, true},
    [MVM_REASON_NO_ROOM] = {"Get rejected: this connection's buffer is too small",
                            MVM_CATEGORY_REJECTED, true},
    [MVM_REASON_UNREADABLE] = {"the artifact cannot be read", MVM_CATEGORY_INTERNAL, true},
    [MVM_REASON_STOPPING] = {"Get rejected: the agent is stopping", MVM_CATEGORY_STOPPING, true},
    [MVM_REASON_UNKNOWN_ID] = {"no build with this id is known", MVM_CATEGORY_UNKNOWN_ID, true},
    [MVM_REASON_QUEUE_FULL] = {"build rejected: queue full", MVM_CATEGORY_QUEUE_FULL, false},
    [MVM_REASON_CANCELLED] = {"build cancelled", MVM_CATEGORY_CANCELLED, false},
    [MVM_REASON_MOVED] = {"build moved: another connection joined it", MVM_CATEGORY_MOVED, false},
    [MVM_REASON_SUPERSEDED] = {"artifacts superseded: a later build has the output disk",
                               MVM_CATEGORY_SUPERSEDED, false},
};

const char *mvm_reason_message(enum mvm_reason reason)
{
    return reasons[reason].message;
}

enum mvm_category mvm_reason_category(enum mvm_reason reason)
{
    return reasons[reason].category;
}

bool mvm_reason_refuses(enum mvm_reason reason)
{
    return reasons[reason].refused;
}
