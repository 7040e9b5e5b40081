/*
 * What cannot be guaranteed about the end of a build's processes on this system, for its client to
 * read. docs/processes.md has the table.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <fcntl.h>
#include <unistd.h>

/* hidepid=1 and 2 show a process without privilege its own user's processes only; process 1 is
 * in every pid namespace. */
static bool hides_processes(void)
{
    struct mvm_posix_process first;
    return getpid() != 1 && !mvm_posix_process_read(AT_FDCWD, "/proc/1/stat", &first);
}

static const char *find_limit(const struct mvm_posix *p)
{
    bool proc = mvm_posix_proc_is_usable();
    if (p->cgroup >= 0) {
        return proc ? ""
                    : "no usable /proc: processes that leave the build's cgroup may outlive it";
    }
    if (!proc) {
        return "no cgroup and no usable /proc: processes that leave the build's process group may "
               "outlive it";
    }
    if (!p->config.subreaper) {
        return "no cgroup and no subreaper: processes that leave both their "
               "parent and their session may outlive the build";
    }
    if (hides_processes()) {
        return "no cgroup, and /proc hides other users' processes: those that change their user "
               "may outlive the build";
    }
    return "";
}

void mvm_posix_find_limits(struct mvm_posix *p)
{
    struct mvm_writer w;
    const char *limit = find_limit(p);
    mvm_writer_init(&w, p->limits, sizeof p->limits);
    if (p->survivors_since != 0) {
        mvm_writer_add(&w, "processes of an earlier build may still be running beside this one");
        mvm_writer_add(&w, limit[0] != '\0' ? "; " : "");
    }
    mvm_writer_add(&w, limit);
    mvm_writer_finish(&w);
}

const char *mvm_posix_limits(void *ctx)
{
    const struct mvm_posix *p = ctx;
    return p->limits[0] != '\0' ? p->limits : NULL;
}
