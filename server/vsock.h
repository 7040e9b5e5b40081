/* vsock(7), spelled out: not every libc comes with the kernel's headers. */
#ifndef MVM_SERVER_VSOCK_H
#define MVM_SERVER_VSOCK_H

#include <stdint.h>
#include <sys/socket.h>

struct mvm_server_vsock_name {
    sa_family_t family;
    uint16_t reserved;
    uint32_t port;
    uint32_t cid;
    uint8_t zero[4];
};

enum { MVM_SERVER_BACKLOG = 1024, MVM_SERVER_HOST_CID = 2 };

#endif
