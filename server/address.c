/* Addresses, from their text. */
#include "mvm_address.h"
#include "mvm_limits.h"
#include "parse.h"
#include <limits.h>
#include <string.h>

enum { SUN_PATH_CAP = 108 }; /* unix(7): with the terminator */

static const char *parse_path(struct mvm_address *a, enum mvm_address_kind kind, const char *path,
                              size_t cap)
{
    a->kind = kind;
    a->path = path;
    return mvm_parse_path(path, cap);
}

/* CID:PORT or PORT. */
static const char *parse_vsock(struct mvm_address *a, const char *text)
{
    const char *port = memchr(text, ':', strlen(text));
    a->kind = MVM_ADDRESS_VSOCK;
    a->cid = UINT32_MAX;
    if (port != NULL) {
        char cid[16] = "";
        size_t len = (size_t)(port - text);
        if (len < sizeof cid) {
            memcpy(cid, text, len);
        }
        if (strcmp(cid, "any") != 0 &&
            mvm_parse_u32(cid, UINT32_MAX - 1, &a->cid) != MVM_NUMBER_FINE) {
            return "the CID is neither a number nor any";
        }
        text = port + 1;
    }
    return mvm_parse_u32(text, UINT32_MAX - 1, &a->port) == MVM_NUMBER_FINE
               ? NULL
               : "the port is not a number";
}

static const char *parse_fd(struct mvm_address *a, const char *digits)
{
    uint32_t fd = 0;
    a->kind = MVM_ADDRESS_FD;
    enum mvm_number result = mvm_parse_u32(digits, INT_MAX, &fd);
    a->fd = (int)fd;
    return result == MVM_NUMBER_FINE ? NULL : "not a descriptor's number";
}

const char *mvm_address_parse(struct mvm_address *a, const char *text)
{
    const char *rest;
    *a = (struct mvm_address){.text = text};
    if ((rest = mvm_parse_prefix(text, "vsock:")) != NULL) {
        return parse_vsock(a, rest);
    }
    if ((rest = mvm_parse_prefix(text, "unix:")) != NULL) {
        return parse_path(a, MVM_ADDRESS_UNIX, rest, SUN_PATH_CAP);
    }
    if ((rest = mvm_parse_prefix(text, "serial:")) != NULL) {
        return parse_path(a, MVM_ADDRESS_SERIAL, rest, MVM_PATH_MAX);
    }
    if ((rest = mvm_parse_prefix(text, "fd:")) != NULL) {
        return parse_fd(a, rest);
    }
    return text[0] == '\0' ? "empty address"
                           : "neither vsock[:CID]:PORT, unix:PATH, fd:N nor serial:DEVICE";
}

bool mvm_address_conflicts(const struct mvm_address *a, const struct mvm_address *b)
{
    if (a->kind != b->kind || a->kind == MVM_ADDRESS_VSOCK) {
        return false;
    }
    return a->kind == MVM_ADDRESS_FD ? a->fd == b->fd : strcmp(a->path, b->path) == 0;
}
