/*
 * read_data: the worker puts a file's pages into a pipe, and the agent reads them there. A reader
 * that continues where it was gets several pieces for one request.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* All of it fits the pipe if the kernel has granted its size; otherwise less is passed. */
static size_t request_size(bool goes_on, size_t cap)
{
    return goes_on && cap < MVM_POSIX_PASS_SIZE ? MVM_POSIX_PASS_SIZE : cap;
}

/* Bytes that are in the pipe: no wait. */
static int64_t read_pipe(struct mvm_posix *p, uint64_t *offset, uint8_t *buf, size_t cap)
{
    struct mvm_posix_passed *d = &p->worker.passed;
    ssize_t n;
    do {
        n = read(p->worker.data, buf, cap < d->left ? cap : d->left);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        mvm_posix_fail(p, "read", n < 0 ? errno : EIO);
        return MVM_PORT_SOURCE_FAILED;
    }
    *offset = d->at;
    d->at += (size_t)n;
    d->left -= (size_t)n;
    return n;
}

/* Bytes left from another place are dropped. */
static bool empty(struct mvm_posix *p, uint8_t *buf, size_t cap)
{
    uint64_t at;
    int64_t n = 1;
    while (p->worker.passed.left > 0 && n > 0) {
        n = read_pipe(p, &at, buf, cap);
    }
    return n > 0;
}

int64_t mvm_posix_ask_read_data(void *ctx, const char *within, const char *path, uint64_t size,
                                uint64_t *offset, uint8_t *buf, size_t cap)
{
    struct mvm_posix *p = ctx;
    struct mvm_posix_passed *d = &p->worker.passed;
    struct mvm_posix_ask ask = {.call = MVM_POSIX_READ_DATA,
                                .number = *offset,
                                .expected = size,
                                .text = {within, path},
                                .size = &d->at};
    if (p->worker.asked == 0) {
        bool goes_on = *offset == d->at && strcmp(path, d->path) == 0;
        if (goes_on && d->left > 0) {
            return read_pipe(p, offset, buf, cap);
        }
        if (!empty(p, buf, cap)) {
            return MVM_PORT_SOURCE_FAILED;
        }
        ask.cap = request_size(goes_on, cap);
        mvm_text_join(d->path, sizeof d->path, path, "", "");
    }
    int64_t n = mvm_posix_ask(p, &ask);
    if (n <= 0) {
        return n;
    }
    d->left = (size_t)n;
    return read_pipe(p, offset, buf, cap);
}
