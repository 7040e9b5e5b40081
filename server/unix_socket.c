/*
 * Unix sockets that the server creates: private from the start, one server for each path, and
 * created again if a cleaner removes them.
 *
 * A lock on PATH.lock decides which server has the path. It is a POSIX lock: it ends with the
 * process, even if a child lives on with a copy of its descriptors. The name of the lock file is
 * removed by the server that holds it, so a lock counts only if the name still leads to the locked
 * file.
 */
#define _GNU_SOURCE
#include "server_internal.h"
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOCK_TRIES = 4, /* each time another server has just removed the name */
    LOCK_PATH_CAP = sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof ".lock",
};

/* ---- the lock ---- */

static void lock_path(const struct mvm_server_listener *l, char path[LOCK_PATH_CAP])
{
    mvm_text_join(path, LOCK_PATH_CAP, l->address.path, ".lock", "");
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* 1: locked; 0: the name has been removed meanwhile; -1: errno. A file system without locks leaves
 * the decision to bind(2). */
static int try_lock(const char *path, int *lock)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat here, there;
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*lock < 0) {
        return -1;
    }
    if (fcntl(*lock, F_SETLK, &whole) < 0 && (errno == EAGAIN || errno == EACCES)) {
        close(*lock);
        errno = EADDRINUSE;
        return -1;
    }
    if (fstat(*lock, &here) < 0 || stat(path, &there) < 0 || !same_file(&here, &there)) {
        close(*lock);
        return 0;
    }
    if (!S_ISREG(here.st_mode) || here.st_size > 0) { /* another program's file of that name */
        close(*lock);
        errno = EEXIST;
        return -1;
    }
    return 1;
}

static bool acquire_lock(struct mvm_server_listener *l)
{
    char path[LOCK_PATH_CAP];
    lock_path(l, path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        int r = try_lock(path, &l->lock);
        if (r != 0) {
            l->lock = r > 0 ? l->lock : -1;
            return r > 0;
        }
    }
    l->lock = -1;
    errno = EADDRINUSE;
    return false;
}

static void give_up_lock(struct mvm_server_listener *l)
{
    char path[LOCK_PATH_CAP];
    struct stat here, there;
    if (l->lock < 0) {
        return;
    }
    lock_path(l, path);
    if (fstat(l->lock, &here) == 0 && stat(path, &there) == 0 && same_file(&here, &there)) {
        unlink(path);
    }
    close(l->lock);
    l->lock = -1;
}

/* ---- the socket ---- */

const char *mvm_server_unix_init(struct mvm_server_listener *l)
{
    l->name.sun_family = AF_UNIX;
    int err = mvm_posix_absolute(l->address.path, l->name.sun_path, sizeof l->name.sun_path);
    l->address.path = l->name.sun_path;
    if (err == ENAMETOOLONG) {
        return "path too long";
    }
    return err == 0 ? NULL : "the working directory has no path";
}

static int stream_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether it is a socket that no process listens on. */
static bool is_stale(const struct sockaddr_un *name)
{
    struct stat st;
    if (lstat(name->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = stream_socket();
    if (fd < 0) {
        return false;
    }
    bool refused =
        connect(fd, (const struct sockaddr *)name, sizeof *name) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Linux gives the name the mode of the unbound socket, less the umask: no need to change that for
 * the whole process. A umask that takes from the owner, too, is made up for. */
static int bind_private(int fd, const struct sockaddr_un *name)
{
    const char *path = name->sun_path;
    struct stat st;
    if (fchmod(fd, 0600) < 0) {
        return -1;
    }
    int r = bind(fd, (const struct sockaddr *)name, sizeof *name);
    if (r < 0 && errno == EADDRINUSE && is_stale(name)) {
        unlink(path);
        r = bind(fd, (const struct sockaddr *)name, sizeof *name);
    }
    return r < 0 || lstat(path, &st) < 0 || (st.st_mode & 0600) == 0600 ? r : chmod(path, 0600);
}

/* A name that is removed, or replaced, changes the link count of the socket's inode. Without
 * inotify a removed name is not noticed. */
static void watch_name(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (s->names < 0) {
        s->names = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (s->names >= 0 && !mvm_server_watch_add(s, s->names, MVM_SOURCE_NAMES)) {
            close(s->names);
            s->names = -1;
        }
    }
    if (s->names >= 0) {
        l->name_watch =
            inotify_add_watch(s->names, l->address.path, IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
    }
}

int mvm_server_unix_open(struct mvm_server *s, struct mvm_server_listener *l)
{
    struct stat st;
    if (!acquire_lock(l)) {
        return -1;
    }
    int fd = stream_socket();
    if (fd >= 0 && (bind_private(fd, &l->name) < 0 || listen(fd, MVM_SERVER_BACKLOG) < 0 ||
                    lstat(l->address.path, &st) < 0)) {
        fd = mvm_server_fail_closing(fd);
    }
    if (fd < 0) {
        int error = errno;
        give_up_lock(l);
        errno = error;
        return -1;
    }
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    watch_name(s, l);
    return fd;
}

bool mvm_server_unix_is_there(const struct mvm_server_listener *l)
{
    struct stat st;
    return lstat(l->address.path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

void mvm_server_unix_close(struct mvm_server *s, struct mvm_server_listener *l)
{
    if (l->name_watch >= 0) {
        inotify_rm_watch(s->names, l->name_watch);
        l->name_watch = -1;
    }
    if (mvm_server_unix_is_there(l)) {
        unlink(l->address.path);
    }
    give_up_lock(l);
}

static void mark_changed(struct mvm_server *s, int watch)
{
    for (size_t i = 0; i < s->listeners_len; i++) {
        struct mvm_server_listener *l = &s->listeners[i];
        if (l->name_watch == watch || watch < 0) { /* negative: the queue has overflowed */
            l->name_changed = l->name_watch >= 0;
        }
    }
}

void mvm_server_unix_read_names(struct mvm_server *s)
{
    _Alignas(struct inotify_event) char buf[1024];
    ssize_t n;
    while ((n = read(s->names, buf, sizeof buf)) > 0) {
        for (const char *p = buf; p < buf + n;) {
            struct inotify_event e;
            memcpy(&e, p, sizeof e);
            mark_changed(s, e.wd);
            p += sizeof e + e.len;
        }
    }
}
