#define _GNU_SOURCE
#include "artifacts.h"
#include "local_path.h"
#include "output_folder.h"
#include "quote.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The kernel's, for C libraries without renameat2(2). */
enum { NO_REPLACE = 1, EXCHANGE = 2 };

/* Numbers of folders that are tried, from that of the process on. In another PID namespace there
 * may be a process of the same number, and of the next ones. */
enum { FOLDER_TRIES = 8, NUMBER_STEP = 10000019 };

/* The type that overlayfs reports: <linux/magic.h> does not come with every C library. */
enum { OVERLAY = 0x794c7630 };

/* What the other side did wrong. */
static bool reject(struct mvm_writer *why, const char *what, const char *reason)
{
    mvm_writer_add3(why, what, ": ", reason);
    return false;
}

/* What is wrong on this machine, with a file of the folder or, if `name` is empty, with itself. */
static bool fail(const struct mvm_artifacts *a, struct mvm_writer *why, const char *name,
                 const char *reason)
{
    return mvm_local_path_fail(why, MVM_LOCAL_PATH_OUTPUT, a->folder, name, reason);
}

/* ---- folders ---- */

/* Removes the artifacts of a folder in `parent`, and the folder. Nothing else is removed. False:
 * the folder is still there, errno is set. */
static bool remove_folder(int parent, const char *name)
{
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const char *artifact;
    for (unsigned i = 0; dir >= 0 && (artifact = mvm_artifact_name(i)) != NULL; i++) {
        unlinkat(dir, artifact, 0);
    }
    if (dir >= 0) {
        close(dir);
    }
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static bool is_link(const struct mvm_artifacts *a)
{
    struct stat st;
    return fstatat(a->parent, a->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* Whether the folder, if it is there, has nothing but artifacts. */
static bool is_a_set(const struct mvm_artifacts *a, struct mvm_writer *why)
{
    char stranger[NAME_MAX + 1];
    enum mvm_output_folder_found found = mvm_output_folder_check(a->parent, a->name, stranger);
    int err = errno;
    if (found == MVM_OUTPUT_FOLDER_STRANGER) {
        fail(a, why, "", "it has a file that is not an artifact: ");
        mvm_writer_add(why, stranger);
        return false;
    }
    if (found == MVM_OUTPUT_FOLDER_ALONE || err == ENOENT) {
        return true;
    }
    bool link = err == ENOTDIR && is_link(a);
    return fail(a, why, "",
                link ? "a symbolic link; name the folder that it leads to" : strerror(err));
}

/* A folder that something is mounted on cannot be renamed. False if the kernel cannot tell. */
static bool is_mount_point(const struct mvm_artifacts *a)
{
#ifdef STATX_ATTR_MOUNT_ROOT
    struct statx st;
    return statx(a->parent, a->name, AT_SYMLINK_NOFOLLOW, 0, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#else
    (void)a;
    return false;
#endif
}

/* In a folder with the sticky bit, what is another user's cannot be moved. */
static bool is_held(const struct mvm_artifacts *a)
{
    struct stat parent, st;
    return geteuid() != 0 && fstat(a->parent, &parent) == 0 && (parent.st_mode & S_ISVTX) != 0 &&
           fstatat(a->parent, a->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid != geteuid() &&
           parent.st_uid != geteuid();
}

/* An overlay does not move a folder of a lower layer. The only test is to rename it and back. */
static bool is_of_a_lower_layer(const struct mvm_artifacts *a)
{
    struct statfs fs;
    char old[sizeof a->fresh];
    if (fstatfs(a->parent, &fs) < 0 || (uint64_t)fs.f_type != OVERLAY) {
        return false;
    }
    mvm_output_folder_name(MVM_OUTPUT_FOLDER_OLD, a->name, a->number, old, sizeof old);
    if (renameat(a->parent, a->name, a->parent, old) < 0) {
        return errno == EXDEV;
    }
    renameat(a->parent, old, a->parent, a->name);
    return false;
}

/* Whether a new set can take the folder's place, and the old one can be removed: to be known before
 * the build. */
static bool can_replace(const struct mvm_artifacts *a, struct mvm_writer *why)
{
    if (is_mount_point(a)) {
        return fail(a, why, "", "a mount point cannot be replaced; name a folder in it");
    }
    if (!is_a_set(a, why)) {
        return false;
    }
    if (faccessat(a->parent, a->name, W_OK | X_OK, AT_EACCESS) < 0 && errno != ENOENT) {
        return fail(a, why, "", strerror(errno));
    }
    if (is_held(a)) {
        return fail(a, why, "", "another user's, in a folder with the sticky bit");
    }
    return !is_of_a_lower_layer(a) ||
           fail(a, why, "",
                "an overlay's lower layer has it, so it cannot be replaced; remove it "
                "or name another");
}

/* Splits the folder into its parent, opened, and its name there. */
static bool open_parent(struct mvm_artifacts *a, struct mvm_writer *why)
{
    char *path = a->parent_path;
    if (!mvm_text_join(path, sizeof a->parent_path, a->folder, "", "")) {
        return fail(a, why, "", strerror(ENAMETOOLONG));
    }
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        path[--len] = '\0';
    }
    char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return fail(a, why, "", "not the name of a folder");
    }
    if (!mvm_text_join(a->name, sizeof a->name, name, "", "")) {
        return fail(a, why, "", strerror(ENAMETOOLONG));
    }
    if (slash != NULL) {
        slash[slash == path ? 1 : 0] = '\0';
    } else {
        mvm_text_join(path, sizeof a->parent_path, ".", "", "");
    }
    a->parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->parent < 0) {
        int err = errno;
        fail(a, why, "", "its parent cannot be opened: ");
        mvm_writer_add(why, strerror(err));
    }
    return a->parent >= 0;
}

static void close_files(struct mvm_artifacts *a)
{
    for (size_t i = 0; i < a->len; i++) {
        if (a->files[i].fd >= 0) {
            close(a->files[i].fd);
            a->files[i].fd = -1;
        }
    }
}

static void close_all(struct mvm_artifacts *a)
{
    close_files(a);
    if (a->dir >= 0) {
        close(a->dir);
    }
    if (a->parent >= 0) {
        close(a->parent);
    }
    a->dir = a->parent = -1;
}

/* ---- what others have left ---- */

static bool is_other(const struct mvm_artifacts *a, enum mvm_output_folder kind, const char *entry)
{
    return mvm_text_equal(mvm_output_folder_parse(kind, entry), a->name);
}

/* A process holds a lock on its new folder for as long as it lives. */
static bool is_abandoned(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool abandoned = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return abandoned;
}

/* Removes what processes that were killed have left. An old set that was moved away and has no
 * successor is moved back. */
static void tidy(const struct mvm_artifacts *a)
{
    int fd = openat(a->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        bool old = is_other(a, MVM_OUTPUT_FOLDER_OLD, name);
        if ((!old && !is_other(a, MVM_OUTPUT_FOLDER_NEW, name)) || !is_abandoned(a->parent, name)) {
            continue;
        }
        struct stat st;
        bool absent = fstatat(a->parent, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0;
        if (!old || !absent || renameat(a->parent, name, a->parent, a->name) < 0) {
            remove_folder(a->parent, name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* ---- the beginning ---- */

/* Another process may take it for abandoned before it is locked: then it is gone. File systems
 * without locks for directories, such as NFS, have no such process either. */
static bool is_there_when_locked(int dir)
{
    struct stat st;
    flock(dir, LOCK_EX);
    return fstat(dir, &st) == 0 && st.st_nlink > 0;
}

/* The new folder has the owner and the mode of the one that it replaces, as far as this process may
 * set them: a private folder stays private. */
static void inherit_mode(const struct mvm_artifacts *a)
{
    struct stat st;
    if (fstatat(a->parent, a->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        (void)!fchown(a->dir, st.st_uid, st.st_gid);
        (void)!fchmod(a->dir, (st.st_mode & 07777) | S_IRWXU);
    }
}

/* Opens and locks the folder that was just made. False: errno; EEXIST: another process has it. */
static bool take_folder(struct mvm_artifacts *a)
{
    a->dir = openat(a->parent, a->fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (a->dir < 0) {
        int err = errno;
        unlinkat(a->parent, a->fresh, AT_REMOVEDIR);
        errno = err == ENOENT ? EEXIST : err;
        return false;
    }
    if (!is_there_when_locked(a->dir)) {
        close(a->dir);
        a->dir = -1;
        errno = EEXIST;
    }
    return a->dir >= 0;
}

static bool make_folder(struct mvm_artifacts *a, struct mvm_writer *why)
{
    errno = EEXIST;
    for (int tries = 0; errno == EEXIST && tries < FOLDER_TRIES; tries++) {
        mvm_output_folder_name(MVM_OUTPUT_FOLDER_NEW, a->name, a->number, a->fresh,
                               sizeof a->fresh);
        if (mkdirat(a->parent, a->fresh, 0777) == 0 && take_folder(a)) {
            inherit_mode(a);
            return true;
        }
        a->number = (a->number + NUMBER_STEP) & INT32_MAX;
    }
    int err = errno;
    fail(a, why, "", "no folder can be made beside it: ");
    mvm_writer_add(why, strerror(err));
    return false;
}

bool mvm_artifacts_open(struct mvm_artifacts *a, const char *folder, uint64_t max_size,
                        struct mvm_writer *why)
{
    a->folder = folder;
    a->len = 0;
    a->disk_failed = a->too_large = a->unsynced = false;
    a->added = 0;
    a->allowed = max_size;
    a->parent = a->dir = -1;
    if (!open_parent(a, why)) {
        return false;
    }
    a->number = (uint32_t)getpid();
    tidy(a);
    if (!can_replace(a, why) || !make_folder(a, why)) {
        close_all(a);
        return false;
    }
    return true;
}

/* ---- files ---- */

static bool expected_already(const struct mvm_artifacts *a, const char *name)
{
    for (size_t i = 0; i < a->len; i++) {
        if (strcmp(a->files[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool fail_unknown(struct mvm_text name, struct mvm_writer *why)
{
    reject(why, "an artifact", "its name is not known here: ");
    mvm_quote_add(why, name);
    return false;
}

/* The sizes of those that follow are not known yet. */
static bool fail_too_large(struct mvm_artifacts *a, uint64_t size, struct mvm_writer *why)
{
    a->too_large = true;
    mvm_writer_add(why, "the artifacts have ");
    mvm_writer_add_u64(why, size < UINT64_MAX - a->added ? a->added + size : UINT64_MAX);
    mvm_writer_add(why, " bytes or more, --max-size allows ");
    mvm_writer_add_u64(why, a->allowed);
    return false;
}

bool mvm_artifacts_add(struct mvm_artifacts *a, struct mvm_text name, uint64_t size,
                       struct mvm_writer *why)
{
    struct mvm_artifact_file f = {.size = size, .fd = -1};
    if (name.len == 0 || name.len >= sizeof f.name || memchr(name.bytes, '\0', name.len) != NULL) {
        return fail_unknown(name, why);
    }
    memcpy(f.name, name.bytes, name.len);
    if (!mvm_artifact_known(f.name)) {
        return fail_unknown(name, why);
    }
    if (a->len == MVM_ARTIFACTS_MAX || expected_already(a, f.name)) {
        return reject(why, f.name, "listed twice");
    }
    if (size > a->allowed - a->added) {
        return fail_too_large(a, size, why);
    }
    f.fd = openat(a->dir, f.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f.fd < 0 || ftruncate(f.fd, (off_t)size) < 0) {
        fail(a, why, f.name, strerror(errno));
        a->disk_failed = true;
        if (f.fd >= 0) {
            close(f.fd);
        }
        return false;
    }
    a->added += size;
    a->files[a->len++] = f;
    return true;
}

bool mvm_artifacts_fits(const struct mvm_artifact_file *f, uint64_t offset, uint64_t len)
{
    return offset >= f->done && offset <= f->size && len <= f->size - offset;
}

bool mvm_artifacts_write(struct mvm_artifacts *a, size_t i, uint64_t offset, struct mvm_text bytes,
                         struct mvm_writer *why)
{
    struct mvm_artifact_file *f = &a->files[i];
    if (!mvm_artifacts_fits(f, offset, bytes.len)) {
        return reject(why, f->name, "bytes out of order or past its end");
    }
    for (size_t at = 0; at < bytes.len;) {
        ssize_t n = pwrite(f->fd, bytes.bytes + at, bytes.len - at, (off_t)(offset + at));
        if (n > 0) {
            at += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            return fail(a, why, f->name, strerror(n == 0 ? ENOSPC : errno));
        }
    }
    f->done = offset + bytes.len;
    return true;
}

void mvm_artifacts_end(struct mvm_artifact_file *f)
{
    f->done = f->size;
}

/* ---- the end ---- */

/* Some file systems have no fsync(2) of a folder: EINVAL. */
static bool sync_folder(int dir)
{
    return fsync(dir) == 0 || errno == EINVAL;
}

static bool sync_all(struct mvm_artifacts *a, struct mvm_writer *why)
{
    for (size_t i = 0; i < a->len; i++) {
        struct mvm_artifact_file *f = &a->files[i];
        if (f->done != f->size) {
            return reject(why, f->name, "not all of it has come");
        }
        if (fsync(f->fd) < 0) {
            return fail(a, why, f->name, strerror(errno));
        }
        int fd = f->fd;
        f->fd = -1;
        if (close(fd) < 0) {
            return fail(a, why, f->name, strerror(errno));
        }
    }
    return sync_folder(a->dir) || fail(a, why, "", strerror(errno));
}

static bool rename_with(const struct mvm_artifacts *a, unsigned flags)
{
    return syscall(SYS_renameat2, a->parent, a->fresh, a->parent, a->name, flags) == 0;
}

static bool is_named(int dir, int parent, const char *name, int flags)
{
    struct stat is, named;
    return fstat(dir, &is) == 0 && fstatat(parent, name, &named, flags) == 0 &&
           is.st_dev == named.st_dev && is.st_ino == named.st_ino;
}

/* Both folders were opened before the build: under their names there may be others by now, and the
 * set would be put where the caller does not look for it. */
static bool are_in_place(const struct mvm_artifacts *a, struct mvm_writer *why)
{
    if (!is_named(a->parent, AT_FDCWD, a->parent_path, 0)) {
        return fail(a, why, "", "its parent was moved, removed or replaced meanwhile");
    }
    return is_named(a->dir, a->parent, a->fresh, AT_SYMLINK_NOFOLLOW) ||
           mvm_local_path_fail(why, MVM_LOCAL_PATH_OUTPUT, a->parent_path, a->fresh,
                               "moved, removed or replaced meanwhile");
}

/* Gives the new folder the old one's name. Afterwards `fresh` names the old set, if there was one.
 */
static bool exchange(struct mvm_artifacts *a, struct mvm_writer *why)
{
    if (rename_with(a, NO_REPLACE) || rename_with(a, EXCHANGE)) {
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != ENOENT) {
        return fail(a, why, "", strerror(errno));
    }
    char old[sizeof a->fresh];
    mvm_output_folder_name(MVM_OUTPUT_FOLDER_OLD, a->name, a->number, old, sizeof old);
    if (renameat(a->parent, a->name, a->parent, old) < 0 && errno != ENOENT) {
        return fail(a, why, "", strerror(errno));
    }
    if (renameat(a->parent, a->fresh, a->parent, a->name) < 0) {
        fail(a, why, "", strerror(errno));
        renameat(a->parent, old, a->parent, a->name);
        return false;
    }
    mvm_text_join(a->fresh, sizeof a->fresh, old, "", "");
    return true;
}

/* The old folder has a file that came after is_a_set, or belongs to another user by now. */
static void report_left(const struct mvm_artifacts *a, int error, struct mvm_writer *why)
{
    mvm_local_path_fail(why, MVM_LOCAL_PATH_OUTPUT, a->parent_path, a->fresh,
                        "the old folder, which cannot be removed: ");
    mvm_writer_add(why, strerror(error));
}

/* The old folder stays beside it: after a power cut it may have its name again. */
static void report_unsynced(struct mvm_artifacts *a, int error, struct mvm_writer *why)
{
    a->unsynced = true;
    fail(a, why, "", "in place, but a power cut may undo that: its parent cannot be synced: ");
    mvm_writer_add(why, strerror(error));
}

bool mvm_artifacts_commit(struct mvm_artifacts *a, struct mvm_writer *why)
{
    /* A file that was put there since open would disappear with the old set. */
    if (!sync_all(a, why) || !is_a_set(a, why) || !are_in_place(a, why) || !exchange(a, why)) {
        mvm_artifacts_abandon(a);
        return false;
    }
    if (!sync_folder(a->parent)) {
        report_unsynced(a, errno, why);
    } else if (!remove_folder(a->parent, a->fresh)) {
        report_left(a, errno, why);
    }
    close_all(a);
    return true;
}

void mvm_artifacts_abandon(struct mvm_artifacts *a)
{
    close_files(a); /* NFS and FUSE keep an open file, under another name, and its folder with it */
    if (a->parent >= 0) {
        remove_folder(a->parent, a->fresh);
    }
    close_all(a);
}
