/*
 * The policy file: JSON, of which only `access.build` matters here. Absent: builds are allowed.
 * There and not `true`, or not readable, or no JSON: rejected; a policy that cannot be understood
 * is no permission. Of a name that stands twice the last counts, as in serde_json's Value.
 */
#include "internal.h"
#include <string.h>

struct policy {
    struct mvm_json json;
    char key[8];
    bool in_access;
    bool at_build; /* the next value is access.build */
    bool allowed;
};

static void take_key(struct policy *p)
{
    const struct mvm_json *j = &p->json;
    if (j->depth == 1) {
        p->in_access = !j->overflow && mvm_text_equal(j->text, "access");
        if (p->in_access) {
            p->allowed = false;
        }
    } else if (j->depth == 2) {
        p->at_build = p->in_access && !j->overflow && mvm_text_equal(j->text, "build");
    }
}

static void take_token(struct policy *p, enum mvm_json_token token)
{
    if (token == MVM_JSON_KEY) {
        take_key(p);
        return;
    }
    if (p->at_build) {
        p->allowed = token == MVM_JSON_TRUE;
        p->at_build = false;
    }
    mvm_json_keep(&p->json, p->key, sizeof p->key);
}

/* False: no JSON. */
static bool push(struct policy *p, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t used;
        enum mvm_json_token token = mvm_json_push(&p->json, bytes, len, &used);
        if (token == MVM_JSON_ERROR) {
            return false;
        }
        if (token != MVM_JSON_PARTIAL) {
            take_token(p, token);
        }
        bytes += used;
        len -= used;
    }
    return true;
}

static bool finish(struct policy *p)
{
    return mvm_json_finish(&p->json) != MVM_JSON_ERROR && !mvm_json_blank(&p->json);
}

static struct mvm_writer reject(struct mvm_executor *x)
{
    x->failed = false; /* over what was wrong with the request */
    struct mvm_writer w = mvm_executor_fail(x, MVM_CATEGORY_REJECTED);
    mvm_writer_add(&w, "build rejected: ");
    return w;
}

static void reject_unreadable(struct mvm_executor *x)
{
    const char *reason = x->port->reason(x->ctx);
    struct mvm_writer w = reject(x);
    mvm_writer_add3(&w, "cannot read security policy ", x->config->policy_file, ": ");
    mvm_writer_add(&w, reason);
    mvm_writer_finish(&w);
}

static void reject_malformed(struct mvm_executor *x, const struct policy *p)
{
    struct mvm_writer w = reject(x);
    mvm_writer_add3(&w, "cannot parse security policy ", x->config->policy_file, ": ");
    if (p->json.error == MVM_JSON_FINE) {
        mvm_writer_add(&w, "the file is empty");
    } else {
        mvm_writer_add(&w, mvm_json_error_text(p->json.error));
        mvm_writer_add(&w, " at byte ");
        mvm_writer_add_u64(&w, p->json.offset);
    }
    mvm_writer_finish(&w);
}

/* Reads the open file into the parser, through the room that the build's output will have. */
static void read_policy(struct mvm_executor *x, int file)
{
    struct policy p;
    memset(&p, 0, sizeof p);
    mvm_json_init(&p.json);
    uint8_t *room = x->output[0].bytes;
    size_t total = 0;
    for (;;) {
        int n = x->port->read(x->ctx, file, room, MVM_LOG_LINE_MAX);
        if (n < 0) {
            reject_unreadable(x);
            return;
        }
        total += (size_t)n;
        if (total > MVM_POLICY_MAX) {
            struct mvm_writer w = reject(x);
            mvm_writer_add(&w, "policy file too long: ");
            mvm_writer_add(&w, x->config->policy_file);
            return;
        }
        if (n == 0 ? !finish(&p) : !push(&p, room, (size_t)n)) {
            reject_malformed(x, &p);
            return;
        }
        if (n == 0) {
            break;
        }
    }
    if (!p.allowed) {
        struct mvm_writer w = reject(x);
        mvm_writer_add(&w, "access.build is disabled by security policy");
    }
}

void mvm_executor_check_policy(struct mvm_executor *x)
{
    if (x->config->policy_file == NULL) {
        return;
    }
    if (x->config->policy_file[0] == '\0') {
        struct mvm_writer w = reject(x);
        mvm_writer_add(&w, "the option that names the security policy was not understood");
        return;
    }
    uint64_t size; /* of no use: a file may grow */
    int file = x->port->open_read(x->ctx, x->config->policy_file, &size);
    if (file == MVM_PORT_NOT_FOUND) {
        return;
    }
    if (file < 0) {
        reject_unreadable(x);
        return;
    }
    read_policy(x, file);
    x->port->close(x->ctx, file);
}
