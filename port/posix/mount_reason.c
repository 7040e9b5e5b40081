/*
 * Why a mount has failed. mount(2) returns one of a few errnos; the details are in the super block,
 * or in the kernel's log, which is read from its end before the call.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_CAP = 1024, UUID_LEN = 16, XFS_UUID_AT = 32 };

/* ext4's super block: its offset, and that of its member s_feature_incompat. */
enum { EXT4_INCOMPAT_AT = 1024 + 96, EXT4_RECOVER = 0x4, EXT4_KNOWN = 0x3e7d6 };

void mvm_posix_kmsg_open(struct mvm_posix_kmsg *k)
{
    k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (k->fd >= 0) {
        lseek(k->fd, 0, SEEK_END);
    }
}

void mvm_posix_kmsg_close(struct mvm_posix_kmsg *k)
{
    if (k->fd >= 0) {
        close(k->fd);
    }
    k->fd = -1;
}

static void add_reason(struct mvm_writer *w, struct mvm_text text)
{
    mvm_writer_add(w, ": ");
    mvm_writer_add_text(w, text);
}

/* ---- the super block ---- */

static bool read_at(const char *device, off_t at, void *bytes, size_t len)
{
    int fd = open(device, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool read = fd >= 0 && pread(fd, bytes, len, at) == (ssize_t)len;
    if (fd >= 0) {
        close(fd);
    }
    return read;
}

static const char *explain_ext4(const char *device, bool read_only)
{
    uint8_t b[4];
    if (!read_at(device, EXT4_INCOMPAT_AT, b, sizeof b)) {
        return NULL;
    }
    uint32_t incompat =
        (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    if (read_only && (incompat & EXT4_RECOVER) != 0) {
        return "its journal has to be replayed, which needs a device that can be written: unmount "
               "it cleanly where it was filled, or run e2fsck on it";
    }
    return (incompat & ~(uint32_t)EXT4_KNOWN) != 0 ? "it has features that this kernel lacks"
                                                   : NULL;
}

/* Whether a line of /proc/self/mounts is another XFS with the same UUID. */
static bool has_uuid(struct mvm_text line, const char uuid[UUID_LEN])
{
    char device[MVM_PATH_MAX];
    char other[UUID_LEN];
    struct mvm_writer w;
    mvm_writer_init(&w, device, sizeof device);
    mvm_posix_add_unescaped(&w, mvm_posix_cut(&line, ' '));
    mvm_posix_cut(&line, ' ');
    return mvm_text_equal(mvm_posix_cut(&line, ' '), "xfs") && !w.cut &&
           read_at(device, XFS_UUID_AT, other, UUID_LEN) && memcmp(other, uuid, UUID_LEN) == 0;
}

static const char *explain_xfs(const char *device)
{
    char uuid[UUID_LEN];
    struct mvm_posix_lines l;
    struct mvm_text line;
    bool same = false;
    if (!read_at(device, XFS_UUID_AT, uuid, sizeof uuid) ||
        !mvm_posix_lines_open(&l, AT_FDCWD, "/proc/self/mounts")) {
        return NULL;
    }
    while (!same && mvm_posix_lines_next(&l, &line)) {
        same = has_uuid(line, uuid);
    }
    mvm_posix_lines_close(&l);
    return same ? "a file system with its UUID is mounted already: give one of them a new UUID "
                  "(xfs_admin -U generate)"
                : NULL;
}

static const char *explain_super_block(const char *device, bool read_only)
{
    int fd = open(device, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *type = fd >= 0 ? mvm_posix_superblock_type(fd) : NULL;
    if (fd >= 0) {
        close(fd);
    }
    if (type != NULL && strcmp(type, "ext4") == 0) {
        return explain_ext4(device, read_only);
    }
    return type != NULL && strcmp(type, "xfs") == 0 ? explain_xfs(device) : NULL;
}

/* ---- the kernel's log ---- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether a text has `word` with neither a letter nor a digit beside it. */
static bool has_word(struct mvm_text text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (memcmp(text.bytes + i, word, len) == 0 &&
            (i == 0 || !is_word_byte(text.bytes[i - 1])) &&
            (i + len == text.len || !is_word_byte(text.bytes[i + len]))) {
            return true;
        }
    }
    return false;
}

/* The kernel's name of the device: the last part of its path, links resolved. */
static bool kernel_name(const char *device, char *path, size_t cap, const char **name)
{
    char link[48];
    struct mvm_writer w;
    int fd = open(device, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    mvm_writer_init(&w, link, sizeof link);
    mvm_writer_add(&w, "/proc/self/fd/");
    mvm_writer_add_u64(&w, (uint64_t)fd);
    ssize_t n = readlink(link, path, cap - 1);
    close(fd);
    if (n <= 0) {
        return false;
    }
    path[n] = '\0';
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    return (*name)[0] != '\0';
}

/* The text of a record: "PRIORITY,NUMBER,TIME,FLAGS;TEXT\n …". */
static struct mvm_text record_text(const char *record, size_t len)
{
    struct mvm_text rest = {record, len};
    mvm_posix_cut(&rest, ';');
    return mvm_posix_cut(&rest, '\n');
}

/* The first line about the device is the cause, those after it are its consequences. */
static bool add_log(struct mvm_writer *w, const char *device, const struct mvm_posix_kmsg *k)
{
    char record[RECORD_CAP];
    char path[MVM_PATH_MAX];
    const char *name;
    ssize_t n;
    if (k->fd < 0 || !kernel_name(device, path, sizeof path, &name)) {
        return false;
    }
    while ((n = read(k->fd, record, sizeof record)) > 0 || (n < 0 && errno == EPIPE)) {
        struct mvm_text text = record_text(record, n > 0 ? (size_t)n : 0);
        if (has_word(text, name)) {
            add_reason(w, text);
            return true;
        }
    }
    return false;
}

void mvm_posix_explain_mount(struct mvm_writer *w, const char *device, bool read_only,
                             struct mvm_posix_kmsg *k)
{
    const char *why = explain_super_block(device, read_only);
    if (why != NULL) {
        add_reason(w, mvm_text_from(why));
    } else {
        add_log(w, device, k);
    }
}
