/* Addresses, from their text. */
#include "mvm_address.h"
#include "mvm_limits.h"
#include <limits.h>
#include <stddef.h>
#include <string.h>

enum { SUN_PATH_CAP = 108 }; /* unix(7): with the terminator */

/* Decimal digits up to the end of the text, at most `max`. */
static bool parse_u32(const char *digits, uint32_t max, uint32_t *value)
{
    uint64_t v = 0;
    for (const char *p = digits; *p != '\0'; p++) {
        uint64_t digit = (uint64_t)(unsigned char)*p - '0';
        if (digit > 9 || v * 10 + digit > max) {
            return false;
        }
        v = v * 10 + digit;
    }
    *value = (uint32_t)v;
    return digits[0] != '\0';
}

/* What follows `prefix` in `text`; NULL: it does not begin with it. */
static const char *behind(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static const char *parse_path(struct mvm_address *a, enum mvm_address_kind kind, const char *path,
                              size_t cap)
{
    a->kind = kind;
    a->path = path;
    if (path[0] == '\0') {
        return "no path";
    }
    return strlen(path) < cap ? NULL : "path too long";
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
        if (strcmp(cid, "any") != 0 && !parse_u32(cid, UINT32_MAX - 1, &a->cid)) {
            return "the CID is neither a number nor any";
        }
        text = port + 1;
    }
    return parse_u32(text, UINT32_MAX - 1, &a->port) ? NULL : "the port is not a number";
}

static const char *parse_fd(struct mvm_address *a, const char *digits)
{
    uint32_t fd = 0;
    a->kind = MVM_ADDRESS_FD;
    bool sound = parse_u32(digits, INT_MAX, &fd);
    a->fd = (int)fd;
    return sound ? NULL : "not a descriptor's number";
}

const char *mvm_address_parse(struct mvm_address *a, const char *text)
{
    const char *rest;
    *a = (struct mvm_address){.text = text};
    if ((rest = behind(text, "vsock:")) != NULL) {
        return parse_vsock(a, rest);
    }
    if ((rest = behind(text, "unix:")) != NULL) {
        return parse_path(a, MVM_ADDRESS_UNIX, rest, SUN_PATH_CAP);
    }
    if ((rest = behind(text, "serial:")) != NULL) {
        return parse_path(a, MVM_ADDRESS_SERIAL, rest, MVM_PATH_MAX);
    }
    if ((rest = behind(text, "fd:")) != NULL) {
        return parse_fd(a, rest);
    }
    return "neither vsock[:CID]:PORT, unix:PATH, fd:N nor serial:DEVICE";
}

bool mvm_address_conflicts(const struct mvm_address *a, const struct mvm_address *b)
{
    if (a->kind != b->kind || a->kind == MVM_ADDRESS_VSOCK) {
        return false;
    }
    return a->kind == MVM_ADDRESS_FD ? a->fd == b->fd : strcmp(a->path, b->path) == 0;
}
