/*
 * Starts the build's first process, by the best of three ways: posix_spawn(3), if libc's can do all
 * that a build needs; clone3(2) directly into the build's cgroup; vfork(2). If one fails the next
 * one is tried; the last one's error is reported.
 *
 * All three put the process into its cgroup before its program begins, so its descendants are
 * inside as well.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>

static bool allows(const struct mvm_posix *p, enum mvm_posix_way way)
{
    return p->way == MVM_POSIX_ANY_WAY || p->way == way;
}

static int start(const struct mvm_posix *p, const struct mvm_posix_program *program, pid_t *pid,
                 int *cgroup_err)
{
    int err = ENOSYS;
    if (allows(p, MVM_POSIX_BY_SPAWN)) {
        err = mvm_posix_start_spawn(p, program, pid);
    }
    if (err != 0 && allows(p, MVM_POSIX_BY_CLONE)) {
        err = mvm_posix_start_clone(p, program, pid);
    }
    if (err != 0 && allows(p, MVM_POSIX_BY_VFORK)) {
        err = mvm_posix_start_vfork(p, program, pid, cgroup_err);
    }
    return err;
}

int mvm_posix_start(struct mvm_posix *p, const struct mvm_posix_program *program, int *cgroup_err)
{
    pid_t pid = 0;
    *cgroup_err = 0;
    int err = start(p, program, &pid, cgroup_err);
    p->pid = err == 0 ? pid : 0;
    return err;
}
