/* A directory's names by getdents64(2): readdir(3) would take its buffer from the heap. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's struct linux_dirent64, up to the name. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t len;
    uint8_t type;
    char name[];
};

bool mvm_posix_directory_open(struct mvm_posix_directory *d, int dir, const char *path)
{
    d->fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d->at = d->end = 0;
    return d->fd >= 0;
}

static const char *next_entry(struct mvm_posix_directory *d)
{
    const struct entry *e = (const struct entry *)(const void *)(d->buf + d->at);
    d->at += e->len;
    return e->name;
}

const char *mvm_posix_directory_next(struct mvm_posix_directory *d)
{
    for (;;) {
        if (d->at >= d->end) {
            d->at = 0;
            d->end = syscall(SYS_getdents64, d->fd, d->buf, sizeof d->buf);
            if (d->end <= 0) {
                return NULL;
            }
        }
        const char *name = next_entry(d);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            return name;
        }
    }
}

void mvm_posix_directory_close(struct mvm_posix_directory *d)
{
    if (d->fd >= 0) {
        close(d->fd);
        d->fd = -1;
    }
}
