/* Addresses: the word before the first colon is the kind. */
#include "address.h"
#include "parse.h"
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#define SUN_PATH_CAP (sizeof((struct sockaddr_un *)0)->sun_path)

/* A CID or port: the highest value of 32 bits means "any". */
static enum mvm_number parse_specific(const char *text, uint32_t *value)
{
    return mvm_parse_u32(text, UINT32_MAX - 1, value);
}

/* The first `len` bytes of `path`; they and a terminator must fit `cap`. */
static const char *copy_path(struct mvm_peer *p, const char *path, size_t len, size_t cap)
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
    return copy_path(p, rest, strlen(rest), SUN_PATH_CAP);
}

static const char *parse_serial(struct mvm_peer *p, const char *rest)
{
    p->kind = MVM_PEER_SERIAL;
    return copy_path(p, rest, strlen(rest), sizeof p->path);
}

static const char *parse_port(const char *text, uint32_t *port, const char *missing)
{
    switch (parse_specific(text, port)) {
    case MVM_NUMBER_FINE:
        return NULL;
    case MVM_NUMBER_LARGE:
        return "the port is too large: 4294967294 is the last one";
    case MVM_NUMBER_NONE:
        break;
    }
    return missing;
}

/* The path may hold colons: the last one is before the port. */
static const char *parse_hybrid(struct mvm_peer *p, const char *rest)
{
    const char *colon = strrchr(rest, ':');
    const char *wrong = parse_port(colon != NULL ? colon + 1 : "", &p->port,
                                   "no port after the path (uds:PATH:PORT)");
    p->kind = MVM_PEER_HYBRID;
    return wrong != NULL ? wrong : copy_path(p, rest, (size_t)(colon - rest), SUN_PATH_CAP);
}

static const char *parse_cid(const char *text, size_t len, uint32_t *value)
{
    char cid[24];
    if (len >= sizeof cid) {
        return "the CID is not a number";
    }
    memcpy(cid, text, len);
    cid[len] = '\0';
    switch (parse_specific(cid, value)) {
    case MVM_NUMBER_FINE:
        return NULL;
    case MVM_NUMBER_LARGE:
        return "the CID is too large: 4294967294 is the last one";
    case MVM_NUMBER_NONE:
        break;
    }
    return "the CID is not a number";
}

static const char *parse_vsock(struct mvm_peer *p, const char *rest)
{
    size_t len = strcspn(rest, ":");
    const char *wrong = parse_port(rest[len] == ':' ? rest + len + 1 : "", &p->port,
                                   "no port after the CID (vsock:CID:PORT)");
    p->kind = MVM_PEER_VSOCK;
    return wrong != NULL ? wrong : parse_cid(rest, len, &p->cid);
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
        const char *rest = mvm_parse_prefix(text, kinds[i].prefix);
        if (rest != NULL) {
            return kinds[i].parse(p, rest);
        }
    }
    return "it begins with none of unix:, vsock:, uds: and serial:";
}
