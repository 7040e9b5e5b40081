/*
 * Whether a flake reference names the input directory. nix has many spellings for one: /d, /d/,
 * //d/., path:/d, git+file:///d?dir=x, and folders below it. The path is normalised as nix does it,
 * by its text alone, one component at a time.
 */
#include "internal.h"
#include <string.h>

static bool is_scheme_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

static struct mvm_text cut_front(struct mvm_text t, size_t n)
{
    return (struct mvm_text){t.bytes + n, t.len - n};
}

static bool ends_with_file(struct mvm_text scheme)
{
    static const char file[] = "file";
    size_t len = sizeof file - 1;
    return scheme.len >= len && memcmp(scheme.bytes + scheme.len - len, file, len) == 0;
}

/* "path:/d", "file:///d", "git+file://localhost/d" → "/d"; of other schemes, nothing. */
static struct mvm_text local_path(struct mvm_text ref)
{
    size_t n = 0;
    while (n < ref.len && is_scheme_byte(ref.bytes[n])) {
        n++;
    }
    if (n == 0 || n == ref.len || ref.bytes[n] != ':') {
        return ref;
    }
    struct mvm_text scheme = {ref.bytes, n};
    if (!mvm_text_equal(scheme, "path") && !ends_with_file(scheme)) {
        return (struct mvm_text){ref.bytes, 0};
    }
    struct mvm_text rest = cut_front(ref, n + 1);
    if (mvm_text_begins(rest, "//")) { /* an authority, which is empty or this machine */
        const char *path = memchr(rest.bytes + 2, '/', rest.len - 2);
        return path != NULL ? cut_front(rest, (size_t)(path - rest.bytes)) : (struct mvm_text){0};
    }
    return rest;
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, c | (c >= 'A' ? 0x20 : 0), sizeof digits - 1);
    return at != NULL ? (int)(at - digits) : -1;
}

char mvm_flake_next_byte(struct mvm_text *t)
{
    int high = t->len > 2 && t->bytes[0] == '%' ? hex(t->bytes[1]) : -1;
    int low = high >= 0 ? hex(t->bytes[2]) : -1;
    char c = low >= 0 ? (char)(high * 16 + low) : t->bytes[0];
    *t = cut_front(*t, low >= 0 ? 3 : 1);
    return c;
}

/* The names of a path, normalised: "/a//b/../c/." are a, c. NUL bytes end each; they are together
 * at most one byte longer than the path. */
struct names {
    char *text;
    size_t len;
};

static void drop_last(struct names *n)
{
    n->len -= n->len > 0 ? 1 : 0;
    while (n->len > 0 && n->text[n->len - 1] != '\0') {
        n->len--;
    }
}

/* The name that begins at `from` is complete. */
static void end_name(struct names *n, size_t from)
{
    struct mvm_text name = {n->text + from, n->len - from};
    if (name.len == 0 || mvm_text_equal(name, ".") || mvm_text_equal(name, "..")) {
        bool up = name.len == 2;
        n->len = from;
        if (up) {
            drop_last(n);
        }
        return;
    }
    n->text[n->len++] = '\0';
}

static void split(struct names *n, struct mvm_text path)
{
    size_t from = 0;
    while (path.len > 0) {
        char c = mvm_flake_next_byte(&path);
        if (c != '/') {
            n->text[n->len++] = c;
            continue;
        }
        end_name(n, from);
        from = n->len;
    }
    end_name(n, from);
}

_Static_assert(MVM_FLAKE_REF_MAX < MVM_EXECUTOR_INSTALLABLE_CAP,
               "names of a path of that length fit");

/* A path that begins with a dot is relative to nix's working directory, which is the root. */
bool mvm_executor_wants_input(struct mvm_executor *x, struct mvm_text flake_ref)
{
    struct names path = {x->installable, 0};
    struct names dir = {x->path[0], 0};
    struct mvm_text in_dir = mvm_text_from(x->config->in_dir);
    const char *query = memchr(flake_ref.bytes, '?', flake_ref.len);
    if (query != NULL) {
        flake_ref.len = (size_t)(query - flake_ref.bytes);
    }
    struct mvm_text local = local_path(flake_ref);
    if (local.len == 0 || (local.bytes[0] != '/' && local.bytes[0] != '.')) {
        return false;
    }
    if (in_dir.len >= sizeof x->path[0]) {
        return false; /* longer than a path may be */
    }
    split(&path, local);
    split(&dir, in_dir);
    return path.len >= dir.len && memcmp(path.text, dir.text, dir.len) == 0;
}
