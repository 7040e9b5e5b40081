/* Paths below the output directory, a store path and the stream folder, in one of two slots. */
#include "internal.h"
#include <string.h>

static const char temporary_suffix[] = ".mvm-tmp";

/* Every name that is appended to a directory, as a member of its size with its NUL byte. */
union names {
    char target[sizeof "fc-base.json"];
    char rootfs[sizeof "rootfs.ext4"];
    char kernel[sizeof "vmlinux"];
    char log[sizeof MVM_BUILD_LOG];
};

/* "DIR/.NAME.mvm-tmp": what is added to the directory, NUL byte included. */
enum { LONGEST = sizeof "/." - 1 + sizeof(union names) - 1 + sizeof temporary_suffix };

/* Paths below a store path fit if the longest of them does. */
_Static_assert(MVM_STORE_PATH_MAX + LONGEST <= MVM_PATH_MAX, "artifacts in a store path");

bool mvm_executor_paths_fit(struct mvm_executor *x)
{
    struct mvm_writer w;
    if (strlen(x->config->out_dir) + LONGEST <= MVM_PATH_MAX) {
        return true;
    }
    if (mvm_executor_fail(x, MVM_CATEGORY_MOUNT, &w)) { /* COVERAGE: the first failure */
        mvm_writer_add(&w, x->config->out_dir);
        mvm_writer_add(&w, ": path too long");
        mvm_writer_finish(&w);
    }
    return false;
}

const char *mvm_executor_path(struct mvm_executor *x, int slot, const char *dir, const char *name)
{
    mvm_text_join(x->path[slot], sizeof x->path[slot], dir, "/", name);
    return x->path[slot];
}

const char *mvm_executor_temporary(struct mvm_executor *x, int slot, const char *name)
{
    struct mvm_writer w;
    mvm_writer_init(&w, x->path[slot], sizeof x->path[slot]);
    mvm_writer_add3(&w, x->config->out_dir, "/.", name);
    mvm_writer_add(&w, temporary_suffix);
    return x->path[slot];
}

const char *mvm_executor_source_path(struct mvm_executor *x, int slot)
{
    return mvm_executor_path(x, slot, x->config->stream_dir, MVM_STREAM_SOURCE);
}

const char *mvm_executor_root_path(struct mvm_executor *x, int slot, const char *name)
{
    struct mvm_writer w;
    mvm_writer_init(&w, x->path[slot], sizeof x->path[slot]);
    mvm_writer_add3(&w, x->config->stream_dir, "/", MVM_STREAM_ROOT);
    mvm_writer_add_u64(&w, x->slot);
    mvm_writer_add(&w, name);
    return x->path[slot];
}
