#define _GNU_SOURCE
#include "tree.h"
#include "child.h"
#include "local_path.h"
#include "output_folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_CAP = 4096 };

bool mvm_tree_fail(const struct mvm_tree *t, struct mvm_writer *why, const char *path,
                   const char *reason)
{
    return mvm_local_path_fail(why, MVM_LOCAL_PATH_SEND, t->folder, path, reason);
}

static bool fail(const struct mvm_tree *t, struct mvm_writer *why, const char *path,
                 const char *reason)
{
    return mvm_tree_fail(t, why, path, reason);
}

/* What git, or a call for it, says of the folder. */
static bool fail_git(const struct mvm_tree *t, struct mvm_writer *why, const char *what,
                     const char *reason)
{
    fail(t, why, "", what);
    mvm_writer_add3(why, ": ", reason, "");
    return false;
}

bool mvm_tree_interrupted(const struct mvm_tree *t, struct mvm_writer *why)
{
    bool signal = t->waiter != NULL && mvm_waiter_hold(t->waiter, -1, 0, 0) == MVM_WAKE_SIGNAL;
    mvm_writer_add(why, signal ? "interrupted" : "");
    return signal;
}

static bool fail_many(const struct mvm_tree *t, struct mvm_writer *why)
{
    fail(t, why, "", "too many files: at most ");
    mvm_writer_add_u64(why, MVM_TREE_FILES_MAX);
    mvm_writer_add(why, ", with ");
    mvm_writer_add_u64(why, MVM_TREE_NAMES_CAP);
    mvm_writer_add(why, " bytes of paths, can be sent");
    return false;
}

/* ---- the list ---- */

#define PATHS_SIZE (MVM_TREE_FILES_MAX * sizeof(const char *))

/* Mapped, not static: it would count against a limit of address space also for a program that lists
 * nothing. */
static bool map(struct mvm_tree *t, struct mvm_writer *why)
{
    if (t->memory == NULL) {
        void *memory = mmap(NULL, PATHS_SIZE + MVM_TREE_NAMES_CAP, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            int err = errno;
            fail(t, why, "", "no memory for the list of its files: ");
            mvm_writer_add(why, strerror(err));
            return false;
        }
        t->memory = memory;
        t->paths = memory;
        t->names = (char *)memory + PATHS_SIZE;
    }
    return true;
}

void mvm_tree_free(struct mvm_tree *t)
{
    if (t->memory != NULL) {
        munmap(t->memory, PATHS_SIZE + MVM_TREE_NAMES_CAP);
        t->memory = NULL;
        t->files = 0;
    }
}

static bool add_path(struct mvm_tree *t, const char *dir, const char *name, struct mvm_writer *why)
{
    char *at = t->names + t->names_len;
    size_t cap = MVM_TREE_NAMES_CAP - t->names_len;
    const char *slash = dir[0] != '\0' ? "/" : "";
    if (t->files == MVM_TREE_FILES_MAX || cap == 0 || !mvm_text_join(at, cap, dir, slash, name)) {
        return fail_many(t, why);
    }
    if (strlen(at) >= PATH_CAP) {
        return fail(t, why, at, "path too long");
    }
    t->paths[t->files++] = at;
    t->names_len += strlen(at) + 1;
    return true;
}

/* The rank of a path's byte: its end comes first, then '/', so that a directory's contents follow
 * it before a name that only begins like the directory's. */
static unsigned rank(char c)
{
    return c == '\0' ? 0 : c == '/' ? 1 : (unsigned char)c + 1u;
}

static int compare(const void *a, const void *b)
{
    const char *p = *(const char *const *)a;
    const char *q = *(const char *const *)b;
    while (*p == *q && *p != '\0') {
        p++;
        q++;
    }
    return rank(*p) < rank(*q) ? -1 : rank(*p) > rank(*q);
}

/* ---- all files ---- */

static bool is_git(const char *name)
{
    return strcmp(name, ".git") == 0;
}

static bool list_directory(struct mvm_tree *t, int root, const char *path, struct mvm_writer *why)
{
    int fd =
        openat(root, path[0] != '\0' ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        bool done = errno == ENOTDIR || errno == ELOOP; /* a file: it has no contents */
        if (fd >= 0) {
            close(fd);
        }
        return done || fail(t, why, path, strerror(errno));
    }
    bool good = true;
    struct dirent *entry;
    for (errno = 0; good && (entry = readdir(dir)) != NULL; errno = 0) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !is_git(name)) {
            good = add_path(t, path, name, why);
        }
    }
    if (good && errno != 0) {
        good = fail(t, why, path, strerror(errno));
    }
    closedir(dir);
    return good;
}

void mvm_tree_leave_out(struct mvm_tree *t, int fd)
{
    struct stat st;
    if (t->left_out_len < MVM_TREE_LEFT_OUT_MAX && fstat(fd, &st) == 0) {
        t->left_out[t->left_out_len].device = st.st_dev;
        t->left_out[t->left_out_len++].inode = st.st_ino;
    }
}

static bool is_left_out(const struct mvm_tree *t, const struct stat *st)
{
    for (size_t i = 0; i < t->left_out_len; i++) {
        if (t->left_out[i].device == st->st_dev && t->left_out[i].inode == st->st_ino) {
            return true;
        }
    }
    return false;
}

static void drop_left_out(struct mvm_tree *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->files; i++) {
        if (t->paths[i][0] != '\0') {
            t->paths[kept++] = t->paths[i];
        }
    }
    t->files = kept;
}

/* What another run of this program receives, or has left: it may change while it is sent. */
static bool is_another_run_s(int root, const char *path, const struct stat *st)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    bool named = mvm_output_folder_parse(MVM_OUTPUT_FOLDER_NEW, name).len > 0 ||
                 mvm_output_folder_parse(MVM_OUTPUT_FOLDER_OLD, name).len > 0;
    return S_ISDIR(st->st_mode) && named &&
           mvm_output_folder_check(root, path, NULL) == MVM_OUTPUT_FOLDER_ALONE;
}

/* The list is its own queue: the contents of its directories are appended to it. */
static bool list_all(struct mvm_tree *t, int root, struct mvm_writer *why)
{
    bool good = list_directory(t, root, "", why);
    for (size_t i = 0; good && i < t->files; i++) {
        struct stat st;
        if (mvm_tree_interrupted(t, why)) {
            good = false;
        } else if (fstatat(root, t->paths[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
            good = fail(t, why, t->paths[i], strerror(errno));
        } else if (is_left_out(t, &st) || is_another_run_s(root, t->paths[i], &st)) {
            t->paths[i] = "";
        } else if (S_ISDIR(st.st_mode)) {
            good = list_directory(t, root, t->paths[i], why);
        }
    }
    drop_left_out(t);
    return good;
}

/* ---- the files that git tracks ---- */

/* Whether the folder, or one above it, has a `.git`. */
static bool in_checkout(const char *folder)
{
    char path[PATH_CAP];
    bool found = false;
    bool resolved = realpath(folder, path) != NULL;
    while (resolved && path[0] != '\0' && !found) {
        char git[PATH_CAP];
        found = mvm_text_join(git, sizeof git, path, "/.git", "") && access(git, F_OK) == 0;
        *strrchr(path, '/') = '\0';
    }
    return found;
}

/* A hook of git has these in its environment: they name the hook's repository, and would be obeyed
 * before the folder is looked at. The folder's own configuration must not start a command: no index
 * is completed by a fetch. */
static void restrict_git(void)
{
    static const char *const names[] = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
                                        "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
    setenv("GIT_ALLOW_PROTOCOL", "none", 1);
}

/* Starts `git ls-files`; its pid, and `*out` to read the names from, each NUL-terminated. */
static pid_t start_git(const struct mvm_tree *t, int *out, struct mvm_writer *why)
{
    char *const argv[] = {"git",
                          "-c",
                          "core.fsmonitor=false",
                          "-C",
                          (char *)(uintptr_t)t->folder,
                          "ls-files",
                          "--cached",
                          "-z",
                          NULL};
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        fail_git(t, why, "pipe", strerror(errno));
        return -1;
    }
    restrict_git();
    pid_t pid = mvm_child_start(argv, -1, fds[1]);
    int err = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        fail_git(t, why, "git", strerror(err));
        mvm_writer_add(why, "; --all-files sends all of it");
        return -1;
    }
    *out = fds[0];
    return pid;
}

/* False: a signal has arrived. */
static bool await_names(struct mvm_tree *t, int fd)
{
    return t->waiter == NULL ||
           mvm_waiter_hold(t->waiter, fd, POLLIN, MVM_NEVER) != MVM_WAKE_SIGNAL;
}

/* Whether `path` names nothing in the folder: an index that was not made by git can hold any name.
 */
static bool leads_out(const char *path)
{
    for (const char *name = path;; name++) {
        size_t len = strcspn(name, "/");
        if (len == 0 || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))) {
            return true;
        }
        name += len;
        if (*name == '\0') {
            return false;
        }
    }
}

static bool add_names(struct mvm_tree *t, struct mvm_writer *why)
{
    if (t->names_len > 0 && t->names[t->names_len - 1] != '\0') {
        return fail_git(t, why, "git ls-files", "a name was cut");
    }
    for (size_t at = 0; at < t->names_len; at += strlen(t->names + at) + 1) {
        if (t->files == MVM_TREE_FILES_MAX) {
            return fail_many(t, why);
        }
        if (leads_out(t->names + at)) {
            return fail(t, why, t->names + at, "git lists it, and it leads out of the folder");
        }
        t->paths[t->files++] = t->names + at;
    }
    return true;
}

/* Reads names to the end of `fd`. */
static bool read_names(struct mvm_tree *t, int fd, struct mvm_writer *why)
{
    ssize_t n = 1;
    while (n > 0 && t->names_len < MVM_TREE_NAMES_CAP) {
        if (!await_names(t, fd)) {
            mvm_writer_add(why, "interrupted");
            return false;
        }
        n = read(fd, t->names + t->names_len, MVM_TREE_NAMES_CAP - t->names_len);
        if (n > 0) {
            t->names_len += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            n = 1;
        }
    }
    if (n != 0) {
        return n < 0 ? fail_git(t, why, "git ls-files", strerror(errno)) : fail_many(t, why);
    }
    return add_names(t, why);
}

/* Whether what git lists is still there, below directories: one that has become a symbolic link
 * may lead out of the folder. */
static bool is_present(int root, const char *path)
{
    char dir[PATH_CAP];
    struct stat st;
    const char *slash = path;
    while ((slash = strchr(slash, '/')) != NULL && (size_t)(slash - path) < sizeof dir) {
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = '\0';
        if (fstatat(root, dir, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
            return false;
        }
        slash++;
    }
    return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* A conflict lists a name once for each side, and what was deleted but not yet from the index is
 * still listed: neither is another file. */
static void drop_absent(struct mvm_tree *t, int root)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->files; i++) {
        bool again = kept > 0 && strcmp(t->paths[i], t->paths[kept - 1]) == 0;
        if (!again && is_present(root, t->paths[i])) {
            t->paths[kept++] = t->paths[i];
        }
    }
    t->files = kept;
}

static bool list_tracked(struct mvm_tree *t, int root, struct mvm_writer *why)
{
    int fd;
    pid_t pid = start_git(t, &fd, why);
    if (pid < 0) {
        return false;
    }
    bool good = read_names(t, fd, why);
    close(fd);
    if (!good) {
        kill(pid, SIGKILL); /* it only reads, and a wrapper may ignore other signals */
    }
    if (!mvm_child_succeeds(pid) && good) {
        good = fail(t, why, "", "git ls-files failed; --all-files sends all of it");
    }
    drop_absent(t, root);
    if (good && t->files == 0) {
        good = fail(t, why, "", "git tracks no file here; git add them, or --all-files sends all");
    }
    return good;
}

bool mvm_tree_list(struct mvm_tree *t, const char *folder, enum mvm_tree_choice choice,
                   struct mvm_writer *why)
{
    t->folder = folder;
    t->files = 0;
    t->names_len = 0;
    if (!map(t, why)) {
        return false;
    }
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return fail(t, why, "", strerror(errno));
    }
    bool tracked = choice == MVM_TREE_TRACKED && in_checkout(folder);
    bool good = tracked ? list_tracked(t, root, why) : list_all(t, root, why);
    close(root);
    qsort(t->paths, t->files, sizeof t->paths[0], compare);
    return good;
}
