/*
 * vsock-device [OPTION]… CID VHOST-SOCKET HOST-SOCKET [OTHER-CID OTHER-SOCKET]
 *
 * A virtio-vsock device for a QEMU of one test:
 *     -object memory-backend-memfd,id=mem,size=256M,share=on -M …,memory-backend=mem
 *     -chardev socket,id=v,path=VHOST-SOCKET -device vhost-user-vsock-pci,chardev=v
 * The machine's CID is CID. Host programs connect to HOST-SOCKET as CID 2, or to OTHER-SOCKET as
 * OTHER-CID. One machine at a time; when its QEMU ends, the next one may connect. The options are
 * the manners of other monitors, see streams.h: --half-close --ok-guest-port --hide-reset
 * --swallow; and --backlog: host programs wait until the guest's driver is up; else they are
 * closed.
 */
#define _GNU_SOURCE
#include "streams.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HOST_CID = 2, DOORS_MAX = 3, POLLS_MAX = DOORS_MAX + 1 + QUEUES + STREAMS_MAX };

/* A listening socket: QEMU's, whose cid is 0, or host programs'. */
struct door {
    int fd;
    uint64_t cid;
};

static struct door doors[DOORS_MAX];
static size_t doors_len;
static bool backlog;
static struct vhost vhost = {.fd = -1,
                             .queues = {{.kick = -1, .call = -1}, {.kick = -1, .call = -1}}};
static struct streams streams = {.vhost = &vhost};
static struct pollfd polls[POLLS_MAX];
static nfds_t polls_len;

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void open_door(const char *path, uint64_t cid)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof name.sun_path) {
        die("%s: path too long", path);
    }
    strcpy(name.sun_path, path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || listen(fd, 128) < 0) {
        die("%s: %s", path, strerror(errno));
    }
    doors[doors_len++] = (struct door){fd, cid};
}

static bool take_option(const char *text)
{
    static const struct {
        const char *name;
        bool *flag;
    } options[] = {
        {"--half-close", &streams.manners.half_close},
        {"--ok-guest-port", &streams.manners.ok_guest_port},
        {"--hide-reset", &streams.manners.hide_reset},
        {"--swallow", &streams.manners.swallow},
        {"--backlog", &backlog},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(text, options[i].name) == 0) {
            *options[i].flag = true;
            return true;
        }
    }
    return false;
}

static void take_arguments(int argc, char *argv[])
{
    int at = 1;
    while (at < argc && take_option(argv[at])) {
        at++;
    }
    if (argc - at != 3 && argc - at != 5) {
        die("usage: vsock-device [OPTION]... CID VHOST-SOCKET HOST-SOCKET [CID SOCKET]");
    }
    vhost.guest_cid = strtoull(argv[at], NULL, 10);
    open_door(argv[at + 1], 0);
    open_door(argv[at + 2], HOST_CID);
    if (argc - at == 5) {
        open_door(argv[at + 4], strtoull(argv[at + 3], NULL, 10));
    }
}

/* ---- the loop ---- */

static void watch(int fd, short events)
{
    if (fd >= 0 && events != 0) {
        polls[polls_len++] = (struct pollfd){.fd = fd, .events = events};
    }
}

static bool is_open(const struct door *d)
{
    return d->cid == 0 ? vhost.fd < 0 : !backlog || vhost_up(&vhost);
}

static void watch_all(void)
{
    polls_len = 0;
    for (size_t i = 0; i < doors_len; i++) {
        watch(doors[i].fd, is_open(&doors[i]) ? POLLIN : 0);
    }
    watch(vhost.fd, POLLIN);
    for (size_t i = 0; i < QUEUES; i++) {
        watch(vhost.queues[i].kick, POLLIN);
    }
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        const struct stream *one = &streams.all[i];
        if (one->state != STREAM_FREE) {
            watch(one->fd, streams_events(&streams, one));
        }
    }
}

static void admit(const struct door *d)
{
    int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        die("accept: %s", strerror(errno));
    }
    if (d->cid == 0) {
        vhost_begin(&vhost, fd);
    } else if (!streams_add(&streams, fd, d->cid)) {
        close(fd);
    }
}

/* A stream's events are not examined: each step tries. */
static void take_event(int fd)
{
    uint64_t kicks;
    for (size_t i = 0; i < doors_len; i++) {
        if (fd == doors[i].fd) {
            admit(&doors[i]);
            return;
        }
    }
    if (fd == vhost.fd && !vhost_receive(&vhost)) {
        streams_drop(&streams);
        return;
    }
    for (size_t i = 0; i < QUEUES; i++) {
        if (fd == vhost.queues[i].kick && read(fd, &kicks, sizeof kicks) < 0) {
            die("read of an eventfd: %s", strerror(errno));
        }
    }
}

static int patience(uint64_t now_ms)
{
    uint64_t at = streams_deadline(&streams);
    return at == UINT64_MAX ? -1 : at <= now_ms ? 0 : (int)(at - now_ms);
}

int main(int argc, char *argv[])
{
    take_arguments(argc, argv);
    for (;;) {
        watch_all();
        if (poll(polls, polls_len, patience(clock_ms())) < 0 && errno != EINTR) {
            die("poll: %s", strerror(errno));
        }
        for (nfds_t i = 0; i < polls_len; i++) {
            if (polls[i].revents != 0) {
                take_event(polls[i].fd);
                /* A message may have closed descriptors and opened others with the same numbers. */
                break;
            }
        }
        streams_step(&streams, clock_ms());
    }
}
