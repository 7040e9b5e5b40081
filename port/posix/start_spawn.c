/*
 * Starts a build by posix_spawn(3). Only glibc from 2.39 on can put the process into a cgroup and
 * close all other descriptors; libc allocates the list of file actions for the length of the call.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

#ifdef POSIX_SPAWN_SETCGROUP

/* posix_spawn cannot change the child's oom_score_adj: it has to be what a build's is already. */
static bool has_default_oom_score(void)
{
    char text[16];
    return !mvm_posix_read_small(AT_FDCWD, mvm_posix_oom_score_adj, text, sizeof text) ||
           strcmp(text, "0\n") == 0;
}

/* 0 or an errno. */
static int set_attributes(const struct mvm_posix *p, posix_spawnattr_t *attributes)
{
    short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    if (p->cgroup >= 0) {
        flags |= POSIX_SPAWN_SETCGROUP;
        posix_spawnattr_setcgroup_np(attributes, p->cgroup);
    }
    return posix_spawnattr_setflags(attributes, flags);
}

/* 0 or an errno. The descriptors are all above 2, so none is overwritten before its turn. */
static int add_actions(posix_spawn_file_actions_t *actions, const int standard[3])
{
    int err = posix_spawn_file_actions_addchdir_np(actions, "/");
    for (int i = 0; err == 0 && i < 3; i++) {
        err = posix_spawn_file_actions_adddup2(actions, standard[i], i);
    }
    return err != 0 ? err : posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

int mvm_posix_start_spawn(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    if (!has_default_oom_score()) {
        return ENOTSUP;
    }
    int err = posix_spawnattr_init(&attributes);
    if (err != 0) {
        return err;
    }
    err = posix_spawn_file_actions_init(&actions);
    if (err == 0) {
        err = set_attributes(p, &attributes);
        err = err != 0 ? err : add_actions(&actions, program->standard);
        if (err == 0) {
            err = posix_spawn(pid, program->argv[0], &actions, &attributes,
                              (char *const *)program->argv, (char *const *)p->env);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return err;
}

#else

int mvm_posix_start_spawn(const struct mvm_posix *p, const struct mvm_posix_program *program,
                          pid_t *pid)
{
    (void)p;
    (void)program;
    (void)pid;
    return ENOSYS;
}

#endif
