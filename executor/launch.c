/* Starts the command in argv: nix build, or nix-store, whose stdin is fed. */
#include "internal.h"

static void fail_to_start(struct mvm_executor *x, int r)
{
    bool absent = r == MVM_PORT_NOT_FOUND;
    enum mvm_category category = absent ? MVM_CATEGORY_NIX_NOT_FOUND : MVM_CATEGORY_INTERNAL;
    struct mvm_writer w;
    if (mvm_executor_fail(x, category, &w)) { /* COVERAGE: the first failure */
        mvm_writer_add3(&w, absent ? "nix not found: " : "nix build failed (",
                        x->port->reason(x->ctx), absent ? ": " : "): ");
        mvm_executor_add_command(x, &w);
        mvm_writer_finish(&w);
    }
    x->port->close_build(x->ctx);
}

bool mvm_executor_launch(struct mvm_executor *x, int (*spawn)(void *ctx, const char *const argv[]))
{
    mvm_executor_output_reset(x);
    mvm_nix_result_reset(&x->result);
    x->exited = false;
    x->peeked_ms = x->now_ms;
    x->exit = (struct mvm_exit){false, 255};
    int r = spawn(x->ctx, x->argv);
    if (r < 0) {
        fail_to_start(x, r);
    }
    return r >= 0;
}
