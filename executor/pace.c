/* What a phase waits for, and for how long. */
#include "deadline.h"
#include "internal.h"

enum mvm_executor_state mvm_executor_wait(struct mvm_executor *x, uint64_t ms)
{
    x->pace = MVM_PACE_WAIT;
    x->wake_ms = ms;
    return x->state;
}

bool mvm_executor_later(struct mvm_executor *x, int64_t r)
{
    x->asking = r == MVM_PORT_LATER;
    x->late = x->asking && x->overdue && x->now_ms >= x->deadline_ms;
    if (x->asking) {
        mvm_executor_wait(x, x->deadline_ms);
    } else {
        x->overdue = false;
        x->pace = MVM_PACE_YIELD; /* one result a step */
    }
    return x->asking;
}

void mvm_executor_set_deadline(struct mvm_executor *x)
{
    bool limited = x->timeout_secs != 0 && x->timeout_secs < (UINT64_MAX - x->now_ms) / 1000;
    x->deadline_ms = limited ? x->now_ms + x->timeout_secs * 1000 : MVM_NEVER;
}
