/* What is staged on the output disk: from which names of a build, and by which names. */
#include "internal.h"

const struct mvm_artifact mvm_artifacts[MVM_ARTIFACTS] = {
    {"vmlinux", {"kernel", "vmlinux"}, MVM_NEED_REQUIRED, NULL},
    {"rootfs.ext4", {"rootfs", "rootfs.ext4"}, MVM_NEED_REQUIRED, NULL},
    {"initrd", {"initrd", NULL}, MVM_NEED_OPTIONAL, NULL},
    {"fc-base.json",
     {"fc-base.json", NULL},
     MVM_NEED_DEFAULT,
     "{\"note\":\"Base fc config placeholder\"}\n"},
};
