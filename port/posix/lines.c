/* Small text files of the kernel's and of /etc, read without stdio. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_some(int fd, char *buf, size_t cap)
{
    ssize_t n;
    do {
        n = read(fd, buf, cap);
    } while (n < 0 && errno == EINTR);
    return n;
}

bool mvm_posix_lines_open(struct mvm_posix_lines *l, int dir, const char *path)
{
    l->fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    l->start = l->end = 0;
    l->rest = false;
    return l->fd >= 0;
}

/* Appends to the buffer. False: no room, or nothing more. */
static bool read_more(struct mvm_posix_lines *l)
{
    memmove(l->buf, l->buf + l->start, l->end - l->start);
    l->end -= l->start;
    l->start = 0;
    ssize_t n =
        l->end < sizeof l->buf ? read_some(l->fd, l->buf + l->end, sizeof l->buf - l->end) : 0;
    l->end += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* A line, ended by its newline, a full buffer or the file's end. `*whole`: by its newline. */
static bool next_part(struct mvm_posix_lines *l, struct mvm_text *piece, bool *whole)
{
    for (;;) {
        const char *from = l->buf + l->start;
        const char *newline = memchr(from, '\n', l->end - l->start);
        if (newline != NULL) {
            *piece = (struct mvm_text){from, (size_t)(newline - from)};
            l->start += piece->len + 1;
            *whole = true;
            return true;
        }
        if (!read_more(l)) {
            *piece = (struct mvm_text){l->buf, l->end};
            l->start = l->end;
            *whole = false;
            return piece->len > 0;
        }
    }
}

bool mvm_posix_lines_next(struct mvm_posix_lines *l, struct mvm_text *line)
{
    bool whole;
    while (next_part(l, line, &whole)) {
        bool rest = l->rest;
        l->rest = !whole;
        if (!rest) {
            return true;
        }
    }
    return false;
}

void mvm_posix_lines_close(struct mvm_posix_lines *l)
{
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
}

bool mvm_posix_read_small(int dir, const char *path, char *buf, size_t cap)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t len = 0;
    ssize_t n;
    while (len < cap && (n = read_some(fd, buf + len, cap - len)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    if (len == 0 || len == cap) {
        return false;
    }
    buf[len] = '\0';
    return true;
}

struct mvm_text mvm_posix_cut(struct mvm_text *rest, char separator)
{
    const char *at = rest->len > 0 ? memchr(rest->bytes, separator, rest->len) : NULL;
    size_t len = at != NULL ? (size_t)(at - rest->bytes) : rest->len;
    size_t used = at != NULL ? len + 1 : len;
    struct mvm_text word = {rest->bytes, len};
    *rest = (struct mvm_text){rest->bytes + used, rest->len - used};
    return word;
}

uint64_t mvm_posix_number(struct mvm_text text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.len && text.bytes[i] >= '0' && text.bytes[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    return n;
}

void mvm_posix_add_unescaped(struct mvm_writer *w, struct mvm_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        if (c == '\\' && i + 3 < text.len) {
            c = (char)((text.bytes[i + 1] - '0') << 6 | (text.bytes[i + 2] - '0') << 3 |
                       (text.bytes[i + 3] - '0'));
            i += 3;
        }
        mvm_writer_add_text(w, (struct mvm_text){&c, 1});
    }
}
