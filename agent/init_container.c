#define _GNU_SOURCE
#include "init_container.h"
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/reboot.h>

/* The kernel refuses it in other pid namespaces: it has no meaning there. */
bool mvm_init_is_the_machines(void)
{
    return reboot(RB_DISABLE_CAD) == 0;
}

/* Mounts that are made outside from now on are still seen. */
bool mvm_init_set_apart(void)
{
    return unshare(CLONE_NEWNS | CLONE_NEWUTS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}
