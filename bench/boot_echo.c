/* A minimal init: loads the modules of its arguments' folder, listens on vsock port 21470 and sends
 * back what it receives. The peer of the agent as process 1. */
#define _GNU_SOURCE
#include "vsock.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PORT = 21470 };

static void load(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/modules/%s.ko", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    syscall(SYS_finit_module, fd, "", 0);
    close(fd);
}

static void echo(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0 && write(fd, bytes, (size_t)n) == n) {
    }
    close(fd);
}

int main(void)
{
    static const char *const modules[] = {
        "virtio_ring",
        "virtio",
        "virtio_pci_modern_dev",
        "virtio_pci_legacy_dev",
        "virtio_pci",
        "vsock",
        "vmw_vsock_virtio_transport_common",
        "vmw_vsock_virtio_transport",
    };
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        load(modules[i]);
    }
    const struct mvm_vsock_name name = {.family = AF_VSOCK, .port = PORT, .cid = UINT32_MAX};
    int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (const struct sockaddr *)&name, sizeof name) < 0 ||
        listen(listener, 16) < 0) {
        perror("vsock");
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            echo(fd);
        }
    }
}
