/*
 * Whether a build ran out of memory, by its own cgroup's count of processes that the kernel killed
 * for it. The count is there if the memory controller is on below the parent, which this process
 * may switch on if the parent is the root of its hierarchy or holds no process.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <fcntl.h>
#include <unistd.h>

void mvm_posix_count_memory(int parent)
{
    int fd = openat(parent, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, "+memory", 7);
        (void)n; /* without it only the exit status is known */
        close(fd);
    }
}

int mvm_posix_out_of_memory(void *ctx)
{
    static const char key[] = "oom_kill ";
    const struct mvm_posix *p = ctx;
    struct mvm_posix_lines l;
    struct mvm_text line;
    uint64_t killed = 0;
    if (p->cgroup < 0 || !mvm_posix_lines_open(&l, p->cgroup, "memory.events")) {
        return 0;
    }
    while (killed == 0 && mvm_posix_lines_next(&l, &line)) {
        if (mvm_text_begins(line, key)) {
            size_t skip = sizeof key - 1;
            killed = mvm_posix_number((struct mvm_text){line.bytes + skip, line.len - skip});
        }
    }
    mvm_posix_lines_close(&l);
    return killed > 0 ? 1 : 0;
}
