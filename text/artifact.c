/* The artifacts: the one table of their names. */
#include "mvm_artifact.h"
#include <stddef.h>
#include <string.h>

/* Names, and what they mean in the manual's words. */
#define ARTIFACTS(X)                                                                               \
    X("vmlinux", "a kernel, as Firecracker takes it")                                              \
    X("kernel", "a kernel of any format")                                                          \
    X("Image", "a kernel, as arm64 and riscv64 have it")                                           \
    X("bzImage", "a kernel, as x86 has it")                                                        \
    X("rootfs.ext4", "a root file system")                                                         \
    X("rootfs", "a root file system of any type")                                                  \
    X("rootfs.squashfs", "a root file system that is only read")                                   \
    X("rootfs.img", "a disk with a root file system")                                              \
    X("initrd", "an initial RAM disk")                                                             \
    X("fc-base.json", "a configuration for Firecracker")                                           \
    X("image", "an output that is one file, whatever its name")

#define NAME(name, meaning)    name,
#define MEANING(name, meaning) meaning,

static const char *const names[] = {ARTIFACTS(NAME)};
static const char *const meanings[] = {ARTIFACTS(MEANING)};

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

bool mvm_artifact_known(const char *name)
{
    for (unsigned i = 0; i < LEN; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}
