/*
 * The folder of builds without disks has one user: a second server would empty it as what an
 * earlier one has left. The lock ends with this process.
 */
#define _GNU_SOURCE
#include "server_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_MS = 10,
    PATIENCE_MS =
        2000, /* a process of a killed server ends within milliseconds on a quiet machine */
};

/* A killed server's lock may be held for a moment by a process that it was starting. EWOULDBLOCK:
 * another one has it. */
static int lock(int fd)
{
    int ms = 0;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || ms >= PATIENCE_MS) {
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
        ms += LOOK_MS;
    }
    return 0;
}

/* Makes the folder if it is missing. Whether it was there. */
static bool make(const char *dir)
{
    char path[MVM_PATH_MAX];
    bool there = access(dir, F_OK) == 0;
    if (!there && strlen(dir) < sizeof path) {
        mvm_posix_make_path(strcpy(path, dir), 0700);
    }
    return there;
}

/* A folder that cannot be made is left to the build that needs it, whose Err says why. */
void mvm_server_stream_lock(struct mvm_server *s)
{
    const char *dir = s->config.executor.stream_dir;
    if (dir == NULL) {
        return;
    }
    s->config.scheduler.stream_left = make(dir);
    s->stream_lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->stream_lock < 0 || lock(s->stream_lock) == 0 || errno != EWOULDBLOCK) {
        return;
    }
    mvm_server_say(s, dir, " is in use by another agent; ", "no builds without disks");
    mvm_server_stream_unlock(s);
    s->config.executor.stream_dir = s->config.scheduler.stream_dir = NULL;
    s->config.scheduler.stream_left = false;
}

void mvm_server_stream_unlock(struct mvm_server *s)
{
    if (s->stream_lock >= 0) {
        flock(s->stream_lock, LOCK_UN); /* of copies, too, in a process that was forked */
        close(s->stream_lock);
    }
    s->stream_lock = -1;
}
