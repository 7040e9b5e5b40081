#define _GNU_SOURCE
#include "nar.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const struct mvm_nar *n, struct mvm_writer *why, const char *path,
                const char *reason)
{
    mvm_tree_fail(n->tree, why, path, reason);
    return -1;
}

/* ---- pieces: every string behind its length in eight bytes, padded with zeros to eight ---- */

static size_t padding(uint64_t len)
{
    return (size_t)(8 - len % 8) % 8;
}

static void add_bytes(struct mvm_nar *n, const void *bytes, size_t len)
{
    memcpy(n->piece + n->piece_len, bytes, len);
    n->piece_len += len;
}

static void add_length(struct mvm_nar *n, uint64_t len)
{
    for (int shift = 0; shift < 64; shift += 8) {
        n->piece[n->piece_len++] = (uint8_t)(len >> shift);
    }
}

static void add_padding(struct mvm_nar *n, uint64_t len)
{
    add_bytes(n, "\0\0\0\0\0\0\0", padding(len));
}

static void add_text(struct mvm_nar *n, const char *bytes, size_t len)
{
    add_length(n, len);
    add_bytes(n, bytes, len);
    add_padding(n, len);
}

static void add(struct mvm_nar *n, const char *text)
{
    add_text(n, text, strlen(text));
}

/* ---- nodes ---- */

static void begin_directory(struct mvm_nar *n)
{
    add(n, "(");
    add(n, "type");
    add(n, "directory");
}

static void begin_entry(struct mvm_nar *n, const char *name, size_t len)
{
    add(n, "entry");
    add(n, "(");
    add(n, "name");
    add_text(n, name, len);
    add(n, "node");
}

static void end_node(struct mvm_nar *n)
{
    add(n, ")");
}

/* The node of an entry and the entry end together. */
static void end_entry(struct mvm_nar *n)
{
    end_node(n);
    end_node(n);
}

static int add_link(struct mvm_nar *n, const char *path, struct mvm_writer *why)
{
    char target[MVM_NAR_LINK_MAX + 1];
    ssize_t len = readlinkat(n->root, path, target, sizeof target);
    if (len < 0 || len > MVM_NAR_LINK_MAX) {
        return fail(n, why, path, len < 0 ? strerror(errno) : "link target too long");
    }
    add(n, "(");
    add(n, "type");
    add(n, "symlink");
    add(n, "target");
    add_text(n, target, (size_t)len);
    end_entry(n);
    return 0;
}

/* A regular file up to its contents. */
static int begin_file(struct mvm_nar *n, const char *path, struct mvm_writer *why)
{
    struct stat st;
    n->file = openat(n->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (n->file < 0 || fstat(n->file, &st) < 0) {
        return fail(n, why, path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return fail(n, why, path, "changed while it was read");
    }
    n->left = (uint64_t)st.st_size;
    n->modified = st.st_mtim;
    add(n, "(");
    add(n, "type");
    add(n, "regular");
    if ((st.st_mode & S_IXUSR) != 0) {
        add(n, "executable");
        add(n, "");
    }
    add(n, "contents");
    add_length(n, n->left);
    return 0;
}

static void end_file(struct mvm_nar *n, uint64_t len)
{
    close(n->file);
    n->file = -1;
    add_padding(n, len);
    end_entry(n);
}

/* ---- the walk ---- */

/* Length of `dir` if `path` is below it; -1 if it is not. */
static ssize_t below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len == 0) {
        return 0;
    }
    return strncmp(path, dir, len) == 0 && path[len] == '/' ? (ssize_t)len + 1 : -1;
}

static void close_directory(struct mvm_nar *n)
{
    char *slash = strrchr(n->dir, '/');
    (slash != NULL ? slash : n->dir)[0] = '\0';
    end_entry(n);
}

static void open_directory(struct mvm_nar *n, const char *path, size_t len)
{
    memcpy(n->dir, path, len);
    n->dir[len] = '\0';
    begin_directory(n);
}

/* The entry `path`, whose name begins at `name`. */
static int add_entry(struct mvm_nar *n, const char *path, const char *name, struct mvm_writer *why)
{
    struct stat st;
    if (fstatat(n->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return fail(n, why, path, strerror(errno));
    }
    begin_entry(n, name, strlen(name));
    n->next++;
    if (S_ISREG(st.st_mode)) {
        return begin_file(n, path, why);
    }
    if (S_ISLNK(st.st_mode)) {
        return add_link(n, path, why);
    }
    if (S_ISDIR(st.st_mode)) {
        open_directory(n, path, strlen(path));
        return 0;
    }
    return fail(n, why, path, "not a regular file, a directory or a symbolic link");
}

/* Whether the name, up to `len`, and the path fit what is made of them: git lists what its index
 * has, of any length. */
static bool fits(const struct mvm_nar *n, const char *path, size_t len)
{
    return len <= NAME_MAX && strlen(path) < sizeof n->dir;
}

/* The next step of the walk: one directory closed or opened, or one entry. */
static int step(struct mvm_nar *n, struct mvm_writer *why)
{
    if (!n->begun) {
        n->begun = true;
        add(n, "nix-archive-1");
        begin_directory(n);
        return 0;
    }
    const char *path = n->next < n->tree->files ? n->tree->paths[n->next] : NULL;
    ssize_t at = path != NULL ? below(path, n->dir) : -1;
    if (at < 0 && n->dir[0] != '\0') {
        close_directory(n);
        return 0;
    }
    if (path == NULL) {
        end_node(n);
        n->ended = true;
        return 0;
    }
    const char *name = path + at;
    const char *slash = strchr(name, '/');
    if (!fits(n, path, slash != NULL ? (size_t)(slash - name) : strlen(name))) {
        return fail(n, why, path, "path too long");
    }
    if (slash == NULL) {
        return add_entry(n, path, name, why);
    }
    begin_entry(n, name, (size_t)(slash - name));
    open_directory(n, path, (size_t)(slash - path));
    return 0;
}

/* ---- the bytes ---- */

static ssize_t pull_piece(struct mvm_nar *n, uint8_t *out, size_t cap)
{
    size_t left = n->piece_len - n->piece_at;
    size_t len = left < cap ? left : cap;
    memcpy(out, n->piece + n->piece_at, len);
    n->piece_at += len;
    return (ssize_t)len;
}

static ssize_t pull_contents(struct mvm_nar *n, uint8_t *out, size_t cap, struct mvm_writer *why)
{
    const char *path = n->tree->paths[n->next - 1];
    ssize_t len;
    do {
        len = read(n->file, out, n->left < cap ? (size_t)n->left : cap);
    } while (len < 0 && errno == EINTR);
    if (len <= 0) {
        return fail(n, why, path, len < 0 ? strerror(errno) : "changed while it was read");
    }
    n->left -= (uint64_t)len;
    return len;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* All contents are read; the file must not have been written meanwhile. */
static int finish_contents(struct mvm_nar *n, struct mvm_writer *why)
{
    struct stat st;
    if (fstat(n->file, &st) < 0 || lseek(n->file, 0, SEEK_CUR) != st.st_size ||
        !is_same_time(st.st_mtim, n->modified)) {
        return fail(n, why, n->tree->paths[n->next - 1], "changed while it was read");
    }
    end_file(n, (uint64_t)st.st_size);
    return 0;
}

ssize_t mvm_nar_pull(struct mvm_nar *n, uint8_t *out, size_t cap, struct mvm_writer *why)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t got = 0;
        if (n->piece_at < n->piece_len) {
            got = pull_piece(n, out + len, cap - len);
        } else if (n->file >= 0 && n->left > 0) {
            got = pull_contents(n, out + len, cap - len, why);
        } else if (n->ended) {
            break;
        } else {
            n->piece_at = n->piece_len = 0;
            got = n->file >= 0 ? finish_contents(n, why) : step(n, why);
        }
        if (got < 0) {
            return -1;
        }
        len += (size_t)got;
    }
    n->bytes += len;
    return (ssize_t)len;
}

/* ---- life ---- */

static void rewind_archive(struct mvm_nar *n)
{
    n->bytes = 0;
    n->begun = n->ended = false;
    n->next = 0;
    n->dir[0] = '\0';
    n->piece_at = n->piece_len = 0;
}

bool mvm_nar_open(struct mvm_nar *n, const char *folder, const struct mvm_tree *tree,
                  struct mvm_writer *why)
{
    n->tree = tree;
    n->file = -1;
    rewind_archive(n);
    n->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return n->root >= 0 || fail(n, why, "", strerror(errno)) == 0;
}

void mvm_nar_close(struct mvm_nar *n)
{
    if (n->file >= 0) {
        close(n->file);
    }
    if (n->root >= 0) {
        close(n->root);
    }
    n->file = n->root = -1;
}

int64_t mvm_nar_measure(struct mvm_nar *n, struct mvm_writer *why)
{
    uint64_t size = 0;
    clock_gettime(CLOCK_REALTIME_COARSE, &n->measured);
    rewind_archive(n);
    while (!n->ended) {
        n->piece_at = n->piece_len = 0;
        if (mvm_tree_interrupted(n->tree, why) || step(n, why) < 0) {
            return -1;
        }
        if (n->file >= 0) {
            size += n->left;
            end_file(n, n->left);
        }
        size += n->piece_len;
        if (size > INT64_MAX) {
            return fail(n, why, "", "too large to be sent");
        }
    }
    rewind_archive(n);
    return (int64_t)size;
}
