/* vsock(7), spelled out: not every libc comes with the kernel's headers. */
#ifndef MVM_VSOCK_H
#define MVM_VSOCK_H

#include <stdint.h>
#include <sys/socket.h>

/* struct sockaddr_vm; a CID or port of UINT32_MAX: any */
struct mvm_vsock_name {
    sa_family_t family;
    uint16_t reserved;
    uint32_t port;
    uint32_t cid;
    uint8_t zero[4];
};

enum { MVM_VSOCK_HOST_CID = 2, MVM_VSOCK_CONNECT_TIMEOUT = 6 };

#endif
