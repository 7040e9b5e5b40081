/*
 * The policy file: JSON, of which only `access.build` matters here. Absent: builds are allowed.
 * Present but not `true`, unreadable, or not JSON: rejected; a policy that cannot be understood
 * is not a permission. If a name occurs twice, the last one counts, as in serde_json's Value.
 */
#include "internal.h"
#include <string.h>

static void accept_key(struct mvm_policy *p)
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

static void accept_token(struct mvm_policy *p, enum mvm_json_token token)
{
    if (token == MVM_JSON_KEY) {
        accept_key(p);
        return;
    }
    if (p->at_build) {
        p->allowed = token == MVM_JSON_TRUE;
        p->at_build = false;
    }
    mvm_json_keep(&p->json, p->key, sizeof p->key);
}

/* False: not JSON. */
static bool push(struct mvm_policy *p, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t used;
        enum mvm_json_token token = mvm_json_push(&p->json, bytes, len, &used);
        if (token == MVM_JSON_ERROR) {
            return false;
        }
        if (token != MVM_JSON_PARTIAL) {
            accept_token(p, token);
        }
        bytes += used;
        len -= used;
    }
    return true;
}

static bool finish(struct mvm_policy *p)
{
    return mvm_json_finish(&p->json) != MVM_JSON_ERROR && !mvm_json_blank(&p->json);
}

/* Begins the Err. mvm_executor_fail keeps the first reason: what was wrong with the request is
 * dropped, so that a client that may not build learns nothing else. */
static struct mvm_writer reject(struct mvm_executor *x)
{
    struct mvm_writer w;
    x->failed = false;
    mvm_executor_fail(x, MVM_CATEGORY_REJECTED, &w);
    mvm_writer_add(&w, "build rejected: ");
    return w;
}

static void reject_unreadable(struct mvm_executor *x, const char *reason)
{
    struct mvm_writer w = reject(x);
    mvm_writer_add3(&w, "cannot read security policy ", x->config->policy_file, ": ");
    mvm_writer_add(&w, reason);
    mvm_writer_finish(&w);
}

static void reject_malformed(struct mvm_executor *x)
{
    const struct mvm_json *json = &x->policy.json;
    struct mvm_writer w = reject(x);
    mvm_writer_add3(&w, "cannot parse security policy ", x->config->policy_file, ": ");
    if (json->error == MVM_JSON_FINE) {
        mvm_writer_add(&w, "the file is empty");
    } else {
        mvm_writer_add(&w, mvm_json_error_text(json->error));
        mvm_writer_add(&w, " at byte ");
        mvm_writer_add_u64(&w, json->offset);
    }
    mvm_writer_finish(&w);
}

static void reject_too_long(struct mvm_executor *x)
{
    struct mvm_writer w = reject(x);
    mvm_writer_add(&w, "policy file too long: ");
    mvm_writer_add(&w, x->config->policy_file);
    mvm_writer_finish(&w);
}

static void decide(struct mvm_executor *x)
{
    if (!finish(&x->policy)) {
        reject_malformed(x);
    } else if (!x->policy.allowed) {
        struct mvm_writer w = reject(x);
        mvm_writer_add(&w, "access.build is disabled by security policy");
    }
}

/* Parses the bytes of one read. True: the decision is made. */
static bool accept_piece(struct mvm_executor *x, const uint8_t *bytes, int n, int cap)
{
    if (n == MVM_PORT_NOT_FOUND && x->policy.len == 0) {
        return true; /* there is no policy */
    }
    if (n < 0 || n > cap) {
        reject_unreadable(x, mvm_executor_reason(x, n > cap));
        return true;
    }
    if (n == 0) {
        decide(x);
        return true;
    }
    x->policy.len += (uint32_t)n;
    if (x->policy.len > MVM_POLICY_MAX) {
        reject_too_long(x);
    } else if (!push(&x->policy, bytes, (size_t)n)) {
        reject_malformed(x);
    } else {
        return false;
    }
    return true;
}

bool mvm_executor_check_policy(struct mvm_executor *x)
{
    uint8_t bytes[1024];
    if (x->config->policy_file == NULL) {
        return true;
    }
    if (x->config->policy_file[0] == '\0') {
        struct mvm_writer w = reject(x);
        mvm_writer_add(&w, "the option that names the security policy was not understood");
        return true;
    }
    if (x->step == 0) {
        memset(&x->policy, 0, sizeof x->policy);
        mvm_json_init(&x->policy.json);
        x->step = 1;
    }
    int n = x->port->read_file(x->ctx, x->config->policy_file, x->policy.len, bytes, sizeof bytes);
    return !mvm_executor_later(x, n) && accept_piece(x, bytes, n, sizeof bytes);
}
