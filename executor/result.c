/*
 * RESULT: which store path has been built. Of several outputs without "out" it is the first that
 * holds a kernel and a root file system.
 */
#include "internal.h"
#include "store.h"
#include <string.h>

/* From FIND on the step also encodes the position of the search: output, artifact and source. */
enum { BEGIN, CHECK_STORE, FIND };

static enum mvm_executor_state fail_none(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (mvm_executor_fail(x, MVM_CATEGORY_NO_OUTPUT, &w)) { /* COVERAGE: the first failure */
        mvm_writer_add(&w, "nix build produced no store path: ");
        if (x->result.too_many) {
            mvm_writer_add(&w, "none of its outputs is \"out\", and there are too many others: ");
        } else if (x->result.other[0] != '\0') {
            mvm_writer_add3(&w, "it printed ", x->result.other,
                            ", which is not below " MVM_STORE ": ");
        }
        mvm_executor_add_command(x, &w);
        mvm_writer_finish(&w);
    }
    return MVM_EXECUTOR_RENAME;
}

static void choose(struct mvm_executor *x, const char *path)
{
    memcpy(x->store_path, path, strlen(path) + 1);
}

static enum mvm_executor_state begin(struct mvm_executor *x)
{
    const struct mvm_nix_result *n = &x->result;
    bool json = n->whole && n->paths > 0;
    if (x->cancelled) {
        mvm_executor_fail_cancelled(x);
        return MVM_EXECUTOR_RENAME;
    }
    if (n->too_many || (!json && n->line[0] == '\0')) {
        return fail_none(x);
    }
    choose(x, json ? n->path[0] : n->line);
    x->step = json && n->paths > 1 ? FIND : CHECK_STORE;
    return x->state;
}

/* An option may name another store, whose paths are not here; COPY then reports that. */
static enum mvm_executor_state check_store(struct mvm_executor *x)
{
    int r = x->port->find_file(x->ctx, x->store_path);
    if (mvm_executor_later(x, r)) {
        return x->state;
    }
    x->elsewhere = r == MVM_PORT_NOT_FOUND;
    return x->stream ? MVM_EXECUTOR_LIST : MVM_EXECUTOR_COPY;
}

/* Checks outputs × required artifacts × sources, one a step. */
static enum mvm_executor_state find(struct mvm_executor *x)
{
    enum { SOURCES = 2, REQUIRED = 2, EACH = SOURCES * REQUIRED };
    unsigned at = x->step - (unsigned)FIND;
    const char *output = x->result.path[at / EACH];
    const struct mvm_artifact *a = &mvm_artifacts[at % EACH / SOURCES];
    int r = x->port->find_file(x->ctx, mvm_executor_path(x, 0, output, a->sources[at % SOURCES]));
    if (mvm_executor_later(x, r)) {
        return x->state;
    }
    if (r == 0) {
        at += SOURCES - at % SOURCES; /* the next artifact */
        if (at % EACH == 0) {
            choose(x, output);
            x->step = CHECK_STORE;
            return x->state;
        }
    } else if (at % SOURCES + 1 < SOURCES) {
        at++;
    } else {
        at += EACH - at % EACH; /* the next output */
    }
    x->step = (uint8_t)(at / EACH < x->result.paths ? FIND + at : CHECK_STORE);
    return x->state;
}

enum mvm_executor_state mvm_executor_result(struct mvm_executor *x)
{
    switch (x->step) {
    case BEGIN:
        return begin(x);
    case CHECK_STORE:
        return check_store(x);
    default:
        return find(x);
    }
}
