/* Open files by the numbers that the executor knows them by. */
#include "posix_internal.h"
#include <errno.h>
#include <unistd.h>

int mvm_posix_handle(struct mvm_posix *p, int handle)
{
    if (handle < 0 || handle >= MVM_POSIX_HANDLES || p->handles[handle] < 0) {
        mvm_posix_fail(p, "handle", EBADF);
        return -1;
    }
    return p->handles[handle];
}

static int free_handle(const struct mvm_posix *p)
{
    for (int i = 0; i < MVM_POSIX_HANDLES; i++) {
        if (p->handles[i] < 0) {
            return i;
        }
    }
    return -1;
}

int mvm_posix_handle_keep(struct mvm_posix *p, int fd)
{
    int handle = free_handle(p);
    if (handle < 0) {
        close(fd);
        return mvm_posix_fail_text(p, "open", "too many open handles");
    }
    p->handles[handle] = fd;
    return handle;
}
