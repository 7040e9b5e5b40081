/* The names of artifacts. */
#include "mvm_artifact.h"
#include <stddef.h>
#include <string.h>

static const char *const names[] = {
    /* kernels */
    "vmlinux",
    "kernel",
    "Image",
    "bzImage",
    /* root file systems */
    "rootfs.ext4",
    "rootfs",
    "rootfs.squashfs",
    "rootfs.img",
    /* an output that is one file */
    "image",
    /* the rest */
    "initrd",
    "fc-base.json",
    "build.log",
};

_Static_assert(sizeof names / sizeof names[0] <= MVM_ARTIFACTS_MAX, "MVM_ARTIFACTS_MAX");

const char *mvm_artifact_name(unsigned index)
{
    return index < sizeof names / sizeof names[0] ? names[index] : NULL;
}

bool mvm_artifact_known(const char *name)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}
