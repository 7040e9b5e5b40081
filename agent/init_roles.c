#define _GNU_SOURCE
#include "init_roles.h"
#include "log.h"
#include <sys/stat.h>

static bool is_on(const char *dir, dev_t device)
{
    struct stat st;
    return stat(dir, &st) == 0 && st.st_dev == device;
}

/* Whether root or store are on it, however they came there; if so that is logged. By its number: a
 * device has several names. */
static bool is_taken(const char *device, const char *consequence)
{
    struct stat st;
    if (device == NULL || stat(device, &st) < 0 || !S_ISBLK(st.st_mode) ||
        (!is_on("/", st.st_rdev) && !is_on("/nix", st.st_rdev))) {
        return false;
    }
    mvm_log("the root or the store is on a disk of builds: ", device, consequence);
    return true;
}

void mvm_init_roles(struct mvm_options *o)
{
    struct mvm_executor_config *c = &o->executor;
    if (is_taken(c->out_device, ": builds with disks are rejected")) {
        c->out_device = NULL;
        if (c->stream_dir != NULL) {
            c->out_dir = NULL; /* builds without disks alone are done */
        } else {
            c->policy_file = "";
        }
    }
    is_taken(c->in_device, NULL);
}
