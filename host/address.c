/* Addresses: the word before the first colon says how to read the rest. */
#include "address.h"
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#define SUN_PATH_CAP (sizeof((struct sockaddr_un *)0)->sun_path)

bool mvm_number_parse(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (digit > max || v > (max - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

/* A CID or port: 32 bits, and the highest value means "any". */
static bool parse_u32(const char *text, uint32_t *value)
{
    uint64_t v;
    if (!mvm_number_parse(text, UINT32_MAX - 1, &v)) {
        return false;
    }
    *value = (uint32_t)v;
    return true;
}

/* The first `len` bytes of `path`; they and a terminator must fit `cap`. */
static const char *take_path(struct mvm_peer *p, const char *path, size_t len, size_t cap)
{
    if (len == 0) {
        return "the path is missing";
    }
    if (len >= cap) {
        return "the path is too long";
    }
    memcpy(p->path, path, len);
    p->path[len] = '\0';
    return NULL;
}

static const char *parse_unix(struct mvm_peer *p, const char *rest)
{
    p->kind = MVM_PEER_UNIX;
    return take_path(p, rest, strlen(rest), SUN_PATH_CAP);
}

static const char *parse_serial(struct mvm_peer *p, const char *rest)
{
    p->kind = MVM_PEER_SERIAL;
    return take_path(p, rest, strlen(rest), sizeof p->path);
}

/* The path may hold colons: the last one is before the port. */
static const char *parse_hybrid(struct mvm_peer *p, const char *rest)
{
    const char *colon = strrchr(rest, ':');
    p->kind = MVM_PEER_HYBRID;
    if (colon == NULL || !parse_u32(colon + 1, &p->port)) {
        return "no port after the path (uds:PATH:PORT)";
    }
    return take_path(p, rest, (size_t)(colon - rest), SUN_PATH_CAP);
}

static const char *parse_vsock(struct mvm_peer *p, const char *rest)
{
    char cid[16];
    size_t len = strcspn(rest, ":");
    p->kind = MVM_PEER_VSOCK;
    if (rest[len] != ':' || !parse_u32(rest + len + 1, &p->port)) {
        return "no port after the CID (vsock:CID:PORT)";
    }
    if (len >= sizeof cid) {
        return "the CID is no number";
    }
    memcpy(cid, rest, len);
    cid[len] = '\0';
    return parse_u32(cid, &p->cid) ? NULL : "the CID is no number";
}

const char *mvm_peer_parse(struct mvm_peer *p, const char *text)
{
    static const struct {
        const char *prefix;
        const char *(*parse)(struct mvm_peer *p, const char *rest);
    } kinds[] = {
        {"unix:", parse_unix},
        {"vsock:", parse_vsock},
        {"uds:", parse_hybrid},
        {"serial:", parse_serial},
    };
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, len) == 0) {
            return kinds[i].parse(p, text + len);
        }
    }
    return "it begins with none of unix:, vsock:, uds: and serial:";
}
