/*
 * The address of an agent, in text form:
 *
 *     unix:PATH         a Unix socket
 *     vsock:CID:PORT    a virtual machine's vsock (vsock(7))
 *     uds:PATH:PORT     hybrid vsock: the Unix socket that Firecracker and Cloud Hypervisor create
 *                       for the vsock of their guest
 *     serial:DEVICE     a tty or a virtio-serial port
 */
#ifndef MVM_PEER_ADDRESS_H
#define MVM_PEER_ADDRESS_H

#include "mvm_limits.h"
#include <stdint.h>

enum mvm_peer_kind {
    MVM_PEER_UNIX,
    MVM_PEER_VSOCK,
    MVM_PEER_HYBRID,
    MVM_PEER_SERIAL,
};

struct mvm_peer {
    enum mvm_peer_kind kind;
    char path[MVM_PATH_MAX]; /* UNIX, HYBRID: fits a sockaddr_un · SERIAL */
    uint32_t cid;            /* VSOCK */
    uint32_t port;           /* VSOCK, HYBRID */
};

/* Fills `*p` from `text`. NULL: done; else what is wrong with it, a static text. */
const char *mvm_peer_parse(struct mvm_peer *p, const char *text);

#endif
