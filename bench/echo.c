/* A minimal server: an epoll loop on the listening socket at descriptor 3 that sends back what it
 * receives. */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 3 };

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        _exit(1);
    }
}

static void echo(int fd)
{
    static char bytes[4096];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0 || write(fd, bytes, (size_t)n) != n) {
        close(fd);
    }
}

int main(void)
{
    int epoll = epoll_create1(0);
    watch(epoll, LISTENER);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1) {
            continue;
        }
        if (event.data.fd == LISTENER) {
            watch(epoll, accept(LISTENER, NULL, NULL));
        } else {
            echo(event.data.fd);
        }
    }
}
