/* Which vsock peers are served: code that runs inside a guest, a build for one, can reach the port
 * too. */
#define _GNU_SOURCE
#include "server_internal.h"
#include "vsock.h"

static bool is_allowed(const struct mvm_server_config *c, uint32_t cid)
{
    if (c->any_cid || cid == MVM_VSOCK_HOST_CID) {
        return true;
    }
    for (size_t i = 0; i < c->allowed_cids_len; i++) {
        if (c->allowed_cids[i] == cid) {
            return true;
        }
    }
    return false;
}

bool mvm_server_peer_cid(int fd, uint32_t *cid)
{
    struct mvm_vsock_name name = {0};
    socklen_t len = sizeof name;
    if (getpeername(fd, (struct sockaddr *)&name, &len) < 0 || name.family != AF_VSOCK) {
        return false;
    }
    *cid = name.cid;
    return true;
}

static void say_refused(struct mvm_server *s, uint32_t cid)
{
    struct mvm_server_line line;
    mvm_server_say_begin(&line, "refused a client: vsock CID ");
    mvm_writer_add_u64(&line.w, cid);
    mvm_writer_add(&line.w, " is neither the host nor an allowed peer");
    mvm_server_say_end(s, &line);
}

/* The entry of a CID; past the last there is one for all further. `*is_new`: it has just been
 * made. */
static struct mvm_server_refused *find_entry(struct mvm_server *s, uint32_t cid, bool *is_new)
{
    size_t last = MVM_SERVER_REFUSED_CIDS - 1;
    for (size_t i = 0; i < s->refused_len; i++) {
        if (s->refused[i].cid == cid || i == last) {
            *is_new = false;
            return &s->refused[i];
        }
    }
    struct mvm_server_refused *r = &s->refused[s->refused_len++];
    *r = (struct mvm_server_refused){.cid = cid};
    *is_new = true;
    return r;
}

bool mvm_server_peer_allowed(struct mvm_server *s, uint32_t cid)
{
    if (is_allowed(&s->config, cid)) {
        return true;
    }
    bool is_new;
    struct mvm_server_refused *r = find_entry(s, cid, &is_new);
    if (is_new) {
        say_refused(s, cid);
    } else {
        r->unlogged++;
        s->refused_ms = mvm_sooner(s->refused_ms, s->now_ms + MVM_REFUSED_SAY_MS);
    }
    return false;
}

void mvm_server_peer_say_counts(struct mvm_server *s, bool now)
{
    if (s->refused_ms == MVM_NEVER || (s->now_ms < s->refused_ms && !now)) {
        return;
    }
    s->refused_ms = MVM_NEVER;
    for (size_t i = 0; i < s->refused_len; i++) {
        struct mvm_server_refused *r = &s->refused[i];
        if (r->unlogged == 0) {
            continue;
        }
        struct mvm_server_line line;
        mvm_server_say_begin(&line, "refused ");
        mvm_writer_add_u64(&line.w, r->unlogged);
        mvm_writer_add(&line.w, " more clients: vsock CID ");
        mvm_writer_add_u64(&line.w, r->cid);
        mvm_writer_add(&line.w, i < MVM_SERVER_REFUSED_CIDS - 1 ? "" : " and others");
        mvm_server_say_end(s, &line);
        r->unlogged = 0;
    }
}
