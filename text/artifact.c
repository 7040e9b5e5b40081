/* The artifacts: the one table of their names. */
#include "mvm_artifact.h"
#include <stddef.h>
#include <string.h>

/* Names, what they mean in the manual's words, and whether one may be empty. */
#define ARTIFACTS(X)                                                                               \
    X("vmlinux", "a kernel, as Firecracker takes it", false)                                       \
    X("kernel", "a kernel of any format", false)                                                   \
    X("Image", "a kernel, as arm64 and riscv64 have it", false)                                    \
    X("bzImage", "a kernel, as x86 has it", false)                                                 \
    X("rootfs.ext4", "a root file system", false)                                                  \
    X("rootfs", "a root file system of any type", false)                                           \
    X("rootfs.squashfs", "a read-only root file system", false)                                    \
    X("rootfs.img", "a disk with a root file system", false)                                       \
    X("initrd", "an initial RAM disk", true)                                                       \
    X("fc-base.json", "a configuration for Firecracker", true)                                     \
    X("image", "an output that is one file, whatever its name", false)

#define NAME(name, meaning, may_be_empty)    name,
#define MEANING(name, meaning, may_be_empty) meaning,
#define EMPTY(name, meaning, may_be_empty)   may_be_empty,

static const char *const names[] = {ARTIFACTS(NAME)};
static const char *const meanings[] = {ARTIFACTS(MEANING)};
static const bool may_be_empty[] = {ARTIFACTS(EMPTY)};

#define LEN (sizeof names / sizeof names[0])

_Static_assert(LEN <= MVM_ARTIFACTS_MAX, "MVM_ARTIFACTS_MAX");

const char *mvm_artifact_name(unsigned index)
{
    return index < LEN ? names[index] : NULL;
}

const char *mvm_artifact_meaning(unsigned index)
{
    return index < LEN ? meanings[index] : NULL;
}

bool mvm_artifact_is_whole_output(unsigned index)
{
    return index + 1 == LEN;
}

bool mvm_artifact_may_be_empty(unsigned index)
{
    return index < LEN && may_be_empty[index];
}

bool mvm_artifact_known(const char *name)
{
    for (unsigned i = 0; i < LEN; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}
