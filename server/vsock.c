/* vsock listeners. */
#define _GNU_SOURCE
#include "vsock.h"
#include "server_internal.h"
#include <unistd.h>

int mvm_server_vsock_open(const struct mvm_address *a)
{
    struct mvm_vsock_name name = {.family = AF_VSOCK, .port = a->port, .cid = a->cid};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || listen(fd, MVM_SERVER_BACKLOG) < 0) {
        return mvm_server_fail_closing(fd);
    }
    return fd;
}
