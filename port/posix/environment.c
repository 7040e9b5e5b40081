/*
 * The environment of a build: this process's own, plus defaults for the variables that nix
 * requires. An agent that an init starts may have no environment at all.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_path[] = "PATH=/nix/var/nix/profiles/default/bin:/root/.nix-profile/bin:"
                                   "/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:"
                                   "/usr/sbin:/usr/bin:/sbin:/bin";

static const char *const temporaries[] = {"TMPDIR=/tmp", "TMPDIR=/var/tmp", "TMPDIR=/dev/shm"};

static const char root_home[] = "HOME=/root";
static const char build_users_group[] = "build-users-group";
static const char builders[] = "nixbld";

enum { TMPDIR_VALUE = sizeof "TMPDIR=" - 1, ADDED = 4 };

const char *mvm_posix_variable(const char *name)
{
    size_t len = strlen(name);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=') {
            const char *value = *entry + len + 1;
            return value[0] != '\0' ? value : NULL;
        }
    }
    return NULL;
}

const char *mvm_posix_default_path(void)
{
    return default_path + sizeof "PATH=" - 1;
}

static bool is_writable_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && access(path, W_OK | X_OK) == 0;
}

/* Whether the fixed path `path` is one, below p->root. */
static bool is_writable_below_root(const struct mvm_posix *p, const char *path)
{
    char full[MVM_PATH_MAX];
    return mvm_text_join(full, sizeof full, p->root, path, "") && is_writable_directory(full);
}

/* NULL: none is usable, and nix has to find one itself. */
static const char *temporary(const struct mvm_posix *p)
{
    for (size_t i = 0; i < sizeof temporaries / sizeof temporaries[0]; i++) {
        if (is_writable_below_root(p, temporaries[i] + TMPDIR_VALUE)) {
            return temporaries[i];
        }
    }
    return NULL;
}

/* ---- HOME ---- */

/* Whether a directory in a world-writable place belongs to this user. */
static bool is_own_directory(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && is_writable_directory(path);
}

/* HOME=DIR/mvm-home-UID into p->home, made if missing; NULL: that does not work. */
static const char *home_below(struct mvm_posix *p, const char *dir)
{
    const size_t name_len = sizeof "HOME=" - 1;
    struct mvm_writer w;
    mvm_writer_init(&w, p->home, sizeof p->home);
    mvm_writer_add3(&w, "HOME=", dir, "/mvm-home-");
    mvm_writer_add_u64(&w, (uint64_t)geteuid());
    if (w.cut || (mkdir(p->home + name_len, 0700) < 0 && errno != EEXIST)) {
        return NULL;
    }
    return is_own_directory(p->home + name_len) ? p->home : NULL;
}

static const char *home(struct mvm_posix *p, const char *tmpdir)
{
    if (is_writable_below_root(p, "/root")) {
        return root_home;
    }
    return tmpdir != NULL ? home_below(p, tmpdir) : NULL;
}

/* Whether HOME is set to a directory that can be written, or is yet to be made. The kernel starts
 * process 1 with HOME=/: nix must not put its cache there. */
static bool has_home(void)
{
    const char *dir = mvm_posix_variable("HOME");
    return dir != NULL && strcmp(dir, "/") != 0 &&
           (access(dir, F_OK) < 0 || is_writable_directory(dir));
}

/* ---- NIX_CONFIG ---- */

/* Whether /etc/group has builders: as root nix needs them unless configured not to. */
static bool has_builders(const struct mvm_posix *p)
{
    char path[MVM_PATH_MAX];
    struct mvm_posix_lines l;
    struct mvm_text line;
    bool found = false;
    if (!mvm_text_join(path, sizeof path, p->root, "/etc/group", "") ||
        !mvm_posix_lines_open(&l, AT_FDCWD, path)) {
        return false;
    }
    while (!found && mvm_posix_lines_next(&l, &line)) {
        if (mvm_text_equal(mvm_posix_cut(&line, ':'), builders)) {
            mvm_posix_cut(&line, ':'); /* password */
            mvm_posix_cut(&line, ':'); /* number */
            found = line.len > 0;
        }
    }
    mvm_posix_lines_close(&l);
    return found;
}

/* Whether one of the lines of a configuration sets build-users-group. */
static bool names_group(const char *config)
{
    static const char ends_name[] = {' ', '\t', '='};
    const size_t len = sizeof build_users_group - 1;
    struct mvm_text rest = mvm_text_from(config);
    while (rest.len > 0) {
        struct mvm_text line = mvm_posix_cut(&rest, '\n');
        while (line.len > 0 && (line.bytes[0] == ' ' || line.bytes[0] == '\t')) {
            line = (struct mvm_text){line.bytes + 1, line.len - 1};
        }
        if (mvm_text_begins(line, build_users_group) && line.len > len &&
            memchr(ends_name, line.bytes[len], sizeof ends_name) != NULL) {
            return true;
        }
    }
    return false;
}

/* `*entry`: NIX_CONFIG with the guard appended, or NULL if none is needed. */
static int guard(struct mvm_posix *p, const char **entry)
{
    const char *config = mvm_posix_variable("NIX_CONFIG");
    *entry = NULL;
    if (geteuid() != 0 || (config != NULL && names_group(config)) || has_builders(p)) {
        return 0;
    }
    struct mvm_writer w;
    mvm_writer_init(&w, p->nix_config, sizeof p->nix_config);
    mvm_writer_add3(&w, "NIX_CONFIG=", config != NULL ? config : "", config != NULL ? "\n" : "");
    mvm_writer_add(&w, build_users_group);
    mvm_writer_add(&w, " =");
    if (w.cut) {
        return mvm_posix_fail_text(p, "NIX_CONFIG", "too long");
    }
    *entry = p->nix_config;
    return 0;
}

/* ---- all of it ---- */

/* Whether one of the added entries takes the place of `entry`. */
static bool is_replaced(const char *const added[ADDED], const char *entry)
{
    for (int i = 0; i < ADDED; i++) {
        const char *end = added[i] != NULL ? memchr(added[i], '=', strlen(added[i])) : NULL;
        if (end != NULL && strncmp(added[i], entry, (size_t)(end + 1 - added[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int collect(struct mvm_posix *p, const char *const added[ADDED])
{
    size_t n = 0;
    for (int i = 0; i < ADDED; i++) {
        if (added[i] != NULL) {
            p->env[n++] = added[i];
        }
    }
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (is_replaced(added, *entry)) {
            continue;
        }
        if (n == MVM_POSIX_ENV) {
            return mvm_posix_fail_text(p, "environment", "too many variables");
        }
        p->env[n++] = *entry;
    }
    p->env[n] = NULL;
    return 0;
}

int mvm_posix_environment(struct mvm_posix *p)
{
    const char *added[ADDED] = {NULL, NULL, NULL, NULL};
    if (mvm_posix_variable("PATH") == NULL) {
        added[0] = default_path;
    }
    const char *tmpdir = mvm_posix_variable("TMPDIR");
    if (tmpdir == NULL) {
        added[1] = temporary(p);
        tmpdir = added[1] != NULL ? added[1] + TMPDIR_VALUE : NULL;
    }
    if (!has_home()) {
        added[2] = home(p, tmpdir);
    }
    int r = guard(p, &added[3]);
    return r < 0 ? r : collect(p, added);
}
