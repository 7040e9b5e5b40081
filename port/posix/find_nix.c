/*
 * Finds nix: the configured program, else on PATH, else in the profiles that its installers create,
 * else the first nix package in the store.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "store.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const profiles[] = {
    "/nix/var/nix/profiles/default/bin",
    "/root/.nix-profile/bin",
    "/nix/var/nix/profiles/per-user/root/profile/bin",
};

static const char looked[] =
    "looked on PATH, in /nix/var/nix/profiles/default/bin, "
    "/root/.nix-profile/bin, "
    "/nix/var/nix/profiles/per-user/root/profile/bin and " MVM_STORE "/HASH-nix-VERSION/bin";

enum { NAME_CAP = 256, HASH_LEN = 32 };

/* 0 or an errno. */
static int try_program(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return EACCES;
    }
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* Whether root/dir/name/nix is a program; its path is in buf then. */
static bool try_below(const struct mvm_posix *p, struct mvm_text dir, const char *name, char *buf,
                      size_t cap)
{
    struct mvm_writer w;
    mvm_writer_init(&w, buf, cap);
    mvm_writer_add(&w, p->root);
    mvm_writer_add_text(&w, dir);
    mvm_writer_add(&w, name);
    mvm_writer_add(&w, "/nix");
    return !w.cut && try_program(buf) == 0;
}

/* The PATH that the build gets. An entry that is not absolute would depend on where this process
 * happens to be. */
static bool on_path(const struct mvm_posix *p, char *buf, size_t cap)
{
    const char *value = mvm_posix_variable("PATH");
    struct mvm_text rest = mvm_text_from(value != NULL ? value : mvm_posix_default_path());
    while (rest.len > 0) {
        struct mvm_text dir = mvm_posix_cut(&rest, ':');
        if (mvm_text_begins(dir, "/") && try_below(p, dir, "", buf, cap)) {
            return true;
        }
    }
    return false;
}

static bool in_profiles(const struct mvm_posix *p, char *buf, size_t cap)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (try_below(p, mvm_text_from(profiles[i]), "", buf, cap)) {
            return true;
        }
    }
    return false;
}

static bool in_store_path(const struct mvm_posix *p, const char *name, char *buf, size_t cap)
{
    char dir[sizeof MVM_STORE + 1 + NAME_CAP];
    return mvm_text_join(dir, sizeof dir, MVM_STORE, "/", name) &&
           try_below(p, mvm_text_from(dir), "/bin", buf, cap);
}

static bool has_only(const char *text, size_t len, const char *allowed)
{
    return strspn(text, allowed) >= len;
}

/* Whether a store path's name is that of nix's own package: any package may have a bin/nix. */
static bool is_nix_package(const char *name)
{
    static const char middle[] = "-nix-";
    const char *version = name + HASH_LEN + sizeof middle - 1;
    return has_only(name, HASH_LEN, "0123456789abcdfghijklmnpqrsvwxyz") &&
           strncmp(name + HASH_LEN, middle, sizeof middle - 1) == 0 && version[0] >= '0' &&
           version[0] <= '9' &&
           has_only(version, strlen(version),
                    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._+");
}

/* The first by name, so that the result does not depend on the directory's order. */
static bool in_store(const struct mvm_posix *p, char *buf, size_t cap)
{
    struct mvm_posix_directory d;
    char best[NAME_CAP] = "";
    const char *name;
    if (!mvm_text_join(buf, cap, p->root, MVM_STORE, "") ||
        !mvm_posix_directory_open(&d, AT_FDCWD, buf)) {
        return false;
    }
    while ((name = mvm_posix_directory_next(&d)) != NULL) {
        bool better = best[0] == '\0' || strcmp(name, best) < 0;
        if (better && is_nix_package(name) && in_store_path(p, name, buf, cap)) {
            mvm_text_join(best, sizeof best, name, "", "");
        }
    }
    mvm_posix_directory_close(&d);
    return best[0] != '\0' && in_store_path(p, best, buf, cap);
}

static int use_named(struct mvm_posix *p, char *path, size_t cap)
{
    int err = try_program(p->config.nix);
    if (err != 0) {
        mvm_posix_fail(p, p->config.nix, err);
        return MVM_PORT_NOT_FOUND;
    }
    err = mvm_posix_absolute(p->config.nix, path, cap); /* the build starts elsewhere */
    if (err == ENAMETOOLONG) {
        return mvm_posix_fail_text(p, "nix", "path too long");
    }
    return err == 0 ? 0 : mvm_posix_fail(p, "getcwd", err);
}

int mvm_posix_find_nix(void *ctx, char *path, size_t cap)
{
    struct mvm_posix *p = ctx;
    if (p->config.nix != NULL) {
        return use_named(p, path, cap);
    }
    if (on_path(p, path, cap) || in_profiles(p, path, cap) || in_store(p, path, cap)) {
        return 0;
    }
    mvm_text_join(p->reason, sizeof p->reason, looked, "", "");
    return MVM_PORT_NOT_FOUND;
}
