/* Paths that stay true when the working directory changes. */
#define _GNU_SOURCE
#include "mvm_text.h"
#include "system.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* getcwd(3) without its way to a heap. Returns the path's length, 0 for the root, or an errno,
 * negative. A directory outside the root has no path. */
static int read_cwd(char *buf, size_t cap)
{
    long size = syscall(SYS_getcwd, buf, cap); /* with the terminator */
    if (size < 0) {
        return errno == ERANGE ? -ENAMETOOLONG : -errno;
    }
    return buf[0] != '/' ? -ENOENT : size == sizeof "/" ? 0 : (int)size - 1;
}

int mvm_posix_absolute(const char *path, char *buf, size_t cap)
{
    bool relative = path[0] != '/';
    int len = relative ? read_cwd(buf, cap) : 0;
    if (len < 0) {
        return -len;
    }
    bool fits = mvm_text_join(buf + len, cap - (size_t)len, relative ? "/" : "", path, "");
    return fits ? 0 : ENAMETOOLONG;
}
