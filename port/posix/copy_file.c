/* Copies a file from the store to the output disk durably, and checks that it did not change. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_work(struct mvm_posix *p, const struct mvm_posix_work *w)
{
    mvm_posix_fail(p, w->call, w->err);
    return MVM_PORT_FAILED;
}

bool mvm_posix_is_unchanged(int fd, const struct stat *before)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_size == before->st_size &&
           now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

static int copy_bytes(struct mvm_posix *p, const struct mvm_posix_copy *copy, int from, int to,
                      uint64_t *size)
{
    struct mvm_posix_work w = {.from = from, .to = to, .max = MVM_STAGE_SLICE};
    struct stat before;
    int64_t n;
    if (fstat(from, &before) < 0) {
        mvm_posix_fail(p, "stat", errno);
        return MVM_PORT_SOURCE_FAILED;
    }
    *size = (uint64_t)before.st_size;
    while ((n = mvm_posix_copy_piece(&w)) > 0) {
        copy->report(copy->ctx, n, *size);
    }
    if (n < 0) {
        return fail_work(p, &w);
    }
    if (w.at != before.st_size || !mvm_posix_is_unchanged(from, &before)) {
        mvm_posix_fail_text(p, "copy", "the file changed while it was copied");
        return MVM_PORT_SOURCE_FAILED;
    }
    return mvm_posix_sync_piece(&w) < 0 ? fail_work(p, &w) : 0;
}

int64_t mvm_posix_copy_file(struct mvm_posix *p, const struct mvm_posix_copy *copy, uint64_t *size)
{
    int from = mvm_posix_open_source(p, copy->within, copy->from);
    if (from < 0) {
        return from;
    }
    int to = mvm_posix_open_new(p, copy->to);
    int r = to < 0 ? to : copy_bytes(p, copy, from, to, size);
    close(from);
    if (to >= 0 && close(to) < 0 && r == 0 && errno != EINTR) {
        mvm_posix_fail(p, "close", errno);
        r = MVM_PORT_FAILED;
    }
    return r;
}
