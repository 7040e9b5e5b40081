/*
 * The address of a listener, in text form:
 *
 *     vsock[:CID]:PORT   a vsock port; without a CID, or with CID "any": on every CID there is
 *     unix:PATH          a Unix socket, which the server creates; a relative path is below the
 *                        working directory at mvm_server_init, whatever directory follows
 *     fd:N               an inherited descriptor: a listening socket, or one connection
 *     serial:DEVICE      a serial line; a relative path is below the working directory each time
 *                        that it is opened
 *     serial:NAME        a virtio-serial port, by the name that the host has set
 */
#ifndef MVM_ADDRESS_H
#define MVM_ADDRESS_H

#include "mvm_layout.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_address_kind {
    MVM_ADDRESS_VSOCK,
    MVM_ADDRESS_UNIX,
    MVM_ADDRESS_FD,
    MVM_ADDRESS_SERIAL,
};

struct mvm_address {
    enum mvm_address_kind kind;
    const char *text; /* the whole, as given */
    const char *path; /* UNIX, SERIAL: within `text` */
    uint32_t cid;     /* VSOCK: where to listen; UINT32_MAX: on every CID this machine has */
    uint32_t port;    /* VSOCK */
    int fd;           /* FD */
};

/* Fills `*a`, which borrows `text`. NULL, or what is wrong with the text; `*a` is void then. */
const char *mvm_address_parse(struct mvm_address *a, const char *text);

/* Whether two addresses exclude each other because they are one descriptor, socket or line. For two
 * vsock addresses the kernel decides, when they are bound. */
bool mvm_address_conflicts(const struct mvm_address *a, const struct mvm_address *b);

MVM_LAYOUT_OF(struct mvm_address, size_t);

#ifdef __cplusplus
}
#endif

#endif
