/* Listeners: vsock, Unix sockets, inherited descriptors, serial ports. */
#define _GNU_SOURCE
#include "listen.h"
#include "log.h"
#include "system.h"
#include "virtio_port.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_CID = 2 };

/* vsock(7), spelled out: not every libc comes with the kernel's headers. */
struct vsock_address {
    sa_family_t family;
    uint16_t reserved;
    uint32_t port;
    uint32_t cid;
    uint8_t zero[4];
};

static bool get_int(int fd, int name, int *value)
{
    socklen_t len = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, name, value, &len) == 0;
}

/* ---- opening, by kind: a descriptor, or -1 with errno ---- */

static int fail_closing(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int open_vsock(const struct mvm_address *a)
{
    struct vsock_address name = {.family = AF_VSOCK, .port = a->port, .cid = a->cid};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || listen(fd, BACKLOG) < 0) {
        return fail_closing(fd);
    }
    return fd;
}

static struct sockaddr_un unix_name(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path, strlen(path)); /* the options have measured it */
    return name;
}

/* Whether `path` is a socket that nobody listens on. */
static bool stale(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    struct sockaddr_un name = unix_name(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool refused = connect(fd, (struct sockaddr *)&name, sizeof name) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* The socket's mode is 0600 from the first moment. */
static int bind_private(int fd, const char *path)
{
    struct sockaddr_un name = unix_name(path);
    mode_t mask = umask(0177);
    int r = bind(fd, (struct sockaddr *)&name, sizeof name);
    umask(mask);
    return r;
}

static int open_unix(struct mvm_listener *l)
{
    const char *path = l->address->path;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int r = bind_private(fd, path);
    if (r < 0 && errno == EADDRINUSE && stale(path)) {
        unlink(path);
        r = bind_private(fd, path);
    }
    struct stat st;
    if (r < 0 || listen(fd, BACKLOG) < 0 || lstat(path, &st) < 0) {
        return fail_closing(fd);
    }
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    return fd;
}

static int open_fd(int fd)
{
    int status = fcntl(fd, F_GETFL);
    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -1;
    }
    return fd;
}

/* Raw: bytes pass as they are, nothing is echoed, no signal comes from them. */
static int make_raw(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t) < 0) {
        return errno == ENOTTY ? 0 : -1;
    }
    t.c_iflag = 0;
    t.c_oflag = 0;
    t.c_lflag = 0;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB | HUPCL)) | CS8 | CREAD | CLOCAL;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSANOW, &t) < 0) {
        return -1;
    }
    tcflush(fd, TCIOFLUSH);
    return 0;
}

static int open_serial(const char *device)
{
    char path[MVM_VIRTIO_PORT_CAP];
    if (memchr(device, '/', strlen(device)) == NULL) {
        if (!mvm_virtio_port_find(device, path)) {
            errno = ENODEV;
            return -1;
        }
        device = path;
    }
    int fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 || make_raw(fd) == 0 ? fd : fail_closing(fd);
}

static int open_address(struct mvm_listener *l)
{
    switch (l->address->kind) {
    case MVM_ADDRESS_VSOCK:
        return open_vsock(l->address);
    case MVM_ADDRESS_UNIX:
        return open_unix(l);
    case MVM_ADDRESS_FD:
        return open_fd(l->address->fd);
    case MVM_ADDRESS_SERIAL:
        return open_serial(l->address->path);
    }
    return -1;
}

static bool listens(int fd)
{
    int value = 0;
    return get_int(fd, SO_ACCEPTCONN, &value) && value != 0;
}

static void go_down(struct mvm_listener *l, const char *what, const char *why, uint64_t now_ms)
{
    bool inherited = l->address->kind == MVM_ADDRESS_FD;
    l->state = inherited ? MVM_LISTENER_OVER : MVM_LISTENER_DOWN;
    l->fd = -1;
    l->retry_ms = now_ms + MVM_RETRY_MS;
    if (!l->said) {
        struct mvm_log_line line;
        mvm_log_begin(&line, what);
        mvm_writer_add3(&line.w, l->address->text, ": ", why);
        mvm_writer_add(&line.w, inherited ? "" : "; trying again every second");
        mvm_log_end(&line);
    }
    l->said = true;
}

void mvm_listener_init(struct mvm_listener *l, const struct mvm_address *address)
{
    *l = (struct mvm_listener){.address = address, .fd = -1};
    if (address->kind == MVM_ADDRESS_FD && fcntl(address->fd, F_GETFD) < 0) {
        go_down(l, "cannot listen on ", mvm_posix_error_text(errno), 0);
    }
}

bool mvm_listener_open(struct mvm_listener *l, uint64_t now_ms)
{
    l->fd = open_address(l);
    if (l->fd < 0) {
        go_down(l, "cannot listen on ", mvm_posix_error_text(errno), now_ms);
        return false;
    }
    int domain = 0;
    l->vsock = get_int(l->fd, SO_DOMAIN, &domain) && domain == AF_VSOCK;
    l->state = listens(l->fd) ? MVM_LISTENER_UP : MVM_LISTENER_SERVING;
    l->pending = true;
    l->retry_ms = 0;
    return true;
}

void mvm_listener_say_up(struct mvm_listener *l)
{
    l->said = l->said_accept = false;
    mvm_log("listening on ", l->address->text, NULL);
}

void mvm_listener_lost(struct mvm_listener *l, const char *why, uint64_t now_ms)
{
    go_down(l, "lost ", why, now_ms);
}

/* ---- accepting ---- */

static bool allowed(const struct mvm_options *options, uint32_t cid)
{
    if (options->any_cid || cid == HOST_CID) {
        return true;
    }
    for (size_t i = 0; i < options->allowed_cids_len; i++) {
        if (options->allowed_cids[i] == cid) {
            return true;
        }
    }
    return false;
}

static void say_refused(uint32_t cid)
{
    struct mvm_log_line line;
    mvm_log_begin(&line, "refused a client: vsock CID ");
    mvm_writer_add_u64(&line.w, cid);
    mvm_writer_add(&line.w, " is neither the host nor allowed by --allow-cid");
    mvm_log_end(&line);
}

/* Out of descriptors or memory: it passes, and asking again at once would only burn time. */
static void pause_accept(struct mvm_listener *l, uint64_t now_ms)
{
    if (!l->said_accept) {
        struct mvm_log_line line;
        mvm_log_begin(&line, "cannot accept on ");
        mvm_writer_add3(&line.w, l->address->text, ": ", mvm_posix_error_text(errno));
        mvm_log_end(&line);
    }
    l->said_accept = true;
    l->retry_ms = now_ms + MVM_PAUSE_MS;
}

int mvm_listener_accept(struct mvm_listener *l, const struct mvm_options *options, uint64_t now_ms)
{
    struct vsock_address peer = {0};
    socklen_t len = sizeof peer;
    bool vsock = l->vsock;
    int fd = accept4(l->fd, vsock ? (struct sockaddr *)&peer : NULL, vsock ? &len : NULL,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && vsock && !allowed(options, peer.cid)) {
        say_refused(peer.cid);
        close(fd);
        return -1;
    }
    if (fd < 0 && errno == EAGAIN) {
        l->pending = false;
    } else if (fd < 0 && errno != EINTR && errno != ECONNABORTED) {
        pause_accept(l, now_ms);
    }
    return fd;
}

bool mvm_listener_waits(const struct mvm_listener *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

void mvm_listener_close(struct mvm_listener *l)
{
    struct stat st;
    if (l->state != MVM_LISTENER_UP) {
        return;
    }
    if (l->address->kind == MVM_ADDRESS_UNIX && lstat(l->address->path, &st) == 0 &&
        st.st_dev == l->dev && st.st_ino == l->ino) {
        unlink(l->address->path);
    }
    close(l->fd);
    l->fd = -1;
    l->state = MVM_LISTENER_OVER;
}
