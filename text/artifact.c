/* The names of artifacts. */
#include "mvm_artifact.h"
#include <stddef.h>
#include <string.h>

static const char *const names[] = {
    "vmlinux",     "kernel",       "Image",           "bzImage",    /* kernels */
    "rootfs.ext4", "rootfs",       "rootfs.squashfs", "rootfs.img", /* root file systems */
    "initrd",      "fc-base.json",                                  /* … */
    "image",                                                        /* an output that is one file */
};

#define NAMES (sizeof names / sizeof names[0])

_Static_assert(NAMES <= MVM_ARTIFACTS_MAX, "MVM_ARTIFACTS_MAX");

const char *mvm_artifact_name(unsigned index)
{
    return index < NAMES ? names[index] : NULL;
}

bool mvm_artifact_is_whole_output(unsigned index)
{
    return index + 1 == NAMES;
}

bool mvm_artifact_known(const char *name)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}
