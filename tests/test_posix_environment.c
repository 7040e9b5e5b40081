/* The environment of nix, and how nix is found. A directory takes the place of the root. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_fixture.h"

static struct mvm_posix posix;
static struct place place;

static void set_up_with(const struct mvm_posix_config *config)
{
    init_without_stdin(&posix, config);
    posix.root = place.dir;
}

/* Also before a test: cmocka runs no tear-down after a test that failed. */
static int clean_up(void **state)
{
    (void)state;
    if (place.dir[0] == '\0') {
        return 0;
    }
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    mvm_posix_fini(&posix);
    remove_place(&place);
    place.dir[0] = '\0';
    return 0;
}

static int set_up(void **state)
{
    static const struct mvm_posix_config none = {0};
    clean_up(state);
    make_place(&place);
    set_up_with(&none);
    clearenv();
    return 0;
}

static void make_dirs(const char *path)
{
    assert_int_equal(mvm_posix_make_dir(&posix, in_place(&place, 0, path)), 0);
}

/* The value that spawn would pass to a program; NULL: it is not set. */
static const char *value_of(const char *name)
{
    size_t len = strlen(name);
    for (const char **entry = posix.env; *entry != NULL; entry++) {
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=') {
            return *entry + len + 1;
        }
    }
    return NULL;
}

static void make_environment(void)
{
    assert_int_equal(mvm_posix_environment(&posix), 0);
}

static void need_root(void)
{
    if (geteuid() != 0) {
        SKIP_BECAUSE("only root needs build users");
    }
}

/* ---- the environment ---- */

static void an_empty_environment_gets_what_nix_needs(void **state)
{
    (void)state;
    make_dirs("root");
    make_dirs("tmp");
    make_environment();
    assert_string_equal(value_of("HOME"), "/root");
    assert_string_equal(value_of("TMPDIR"), "/tmp");
    assert_string_equal(value_of("PATH"),
                        "/nix/var/nix/profiles/default/bin:/root/.nix-profile/bin:"
                        "/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:"
                        "/usr/sbin:/usr/bin:/sbin:/bin");
    assert_null(value_of("SSL_CERT_FILE"));
    assert_null(value_of("NIX_SSL_CERT_FILE"));
}

static void what_is_set_stays_as_it_is(void **state)
{
    (void)state;
    static const char *const names[] = {"HOME", "TMPDIR", "PATH", "SSL_CERT_FILE", "OTHER"};
    make_dirs("root");
    make_dirs("tmp");
    static const char *const values[] = {"/as/it/is", "x"};
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            setenv(names[i], values[k], 1);
        }
        make_environment();
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            assert_string_equal(value_of(names[i]), values[k]);
        }
    }
}

static void empty_counts_as_unset_and_no_name_stands_twice(void **state)
{
    (void)state;
    make_dirs("root");
    make_dirs("tmp");
    setenv("HOME", "", 1);
    setenv("TMPDIR", "", 1);
    setenv("HOMELY", "kept", 1);
    make_environment();
    assert_string_equal(value_of("HOME"), "/root");
    assert_string_equal(value_of("TMPDIR"), "/tmp");
    assert_string_equal(value_of("HOMELY"), "kept");
    int homes = 0;
    for (const char **entry = posix.env; *entry != NULL; entry++) {
        homes += strncmp(*entry, "HOME=", 5) == 0 ? 1 : 0;
    }
    assert_int_equal(homes, 1);
}

static void a_home_that_cannot_be_written_is_as_good_as_none(void **state)
{
    (void)state;
    static const char *const homes[] = {"/", "/proc/self", "/dev/null"};
    make_dirs("root");
    make_dirs("tmp");
    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++) {
        setenv("HOME", homes[i], 1);
        make_environment();
        assert_string_equal(value_of("HOME"), "/root");
    }
}

static void without_tmp_another_temporary_directory_is_used(void **state)
{
    (void)state;
    make_dirs("var/tmp");
    make_environment();
    assert_string_equal(value_of("TMPDIR"), "/var/tmp");
}

static void without_a_home_of_roots_one_is_made_below_tmpdir(void **state)
{
    (void)state;
    char expected[256];
    snprintf(expected, sizeof expected, "%s/mvm-home-%u", place.dir, (unsigned)geteuid());
    setenv("TMPDIR", place.dir, 1);
    for (int i = 0; i < 2; i++) {
        make_environment();
        assert_string_equal(value_of("HOME"), expected);
    }
    assert_int_equal(access(expected, W_OK | X_OK), 0);
}

/* Which are outside of the directory that takes the place of the root. */
static void without_a_tmpdir_it_is_made_below_the_one_that_is_found(void **state)
{
    (void)state;
    char expected[64];
    snprintf(expected, sizeof expected, "/tmp/mvm-home-%u", (unsigned)geteuid());
    bool was_there = access(expected, F_OK) == 0;
    make_dirs("tmp");
    make_environment();
    const char *found = value_of("HOME");
    assert_true(found != NULL || was_there); /* it may be another user's */
    assert_true(found == NULL || strcmp(found, expected) == 0);
    if (!was_there) {
        assert_int_equal(rmdir(expected), 0);
    }
}

/* TMPDIR is world-writable: what other users put there must not become HOME. */
static void a_home_that_may_be_another_users_is_not_used(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/mvm-home-%u", place.dir, (unsigned)geteuid());
    setenv("TMPDIR", place.dir, 1);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0777), 0);
    make_environment();
    assert_null(value_of("HOME"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkdir(in_place(&place, 0, "other"), 0700), 0);
    assert_int_equal(symlink("other", path), 0);
    make_environment();
    assert_null(value_of("HOME"));
    assert_int_equal(unlink(path), 0);
    if (geteuid() == 0) {
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(chown(path, 65534, 65534), 0);
        make_environment();
        assert_null(value_of("HOME"));
    }
}

static void build_users_are_switched_off_where_there_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *group;  /* /etc/group; NULL: no such file */
        const char *config; /* NIX_CONFIG; NULL: unset */
        const char *expected;
    } cases[] = {
        {NULL, NULL, "build-users-group ="},
        {"root:x:0:\n", NULL, "build-users-group ="},
        {"root:x:0:\nnixbld:x:30000:\n", NULL, "build-users-group ="},
        {"nixbldx:x:30000:a\nxnixbld:x:1:b\n", NULL, "build-users-group ="},
        {"root:x:0:\nnixbld:x:30000:nixbld1,nixbld2\n", NULL, NULL},
        {"nixbld:x:30000:nixbld1", NULL, NULL},
        {NULL, "cores = 2", "cores = 2\nbuild-users-group ="},
        {NULL, "build-users-group-x = 1", "build-users-group-x = 1\nbuild-users-group ="},
        {NULL, "cores = 2\n \tbuild-users-group = me", "cores = 2\n \tbuild-users-group = me"},
        {NULL, "build-users-group=", "build-users-group="},
        {NULL, "# build-users-group = x", "# build-users-group = x\nbuild-users-group ="},
    };
    need_root();
    make_dirs("etc");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = in_place(&place, 0, "etc/group");
        unlink(path);
        unsetenv("NIX_CONFIG");
        if (cases[i].group != NULL) {
            write_file(path, cases[i].group);
        }
        if (cases[i].config != NULL) {
            setenv("NIX_CONFIG", cases[i].config, 1);
        }
        make_environment();
        if (cases[i].expected == NULL) {
            assert_null(value_of("NIX_CONFIG"));
        } else {
            assert_string_equal(value_of("NIX_CONFIG"), cases[i].expected);
        }
    }
}

/* Wherever reading cuts the line, no part of it counts as a line. */
static void a_long_line_in_etc_group_feigns_nothing(void **state)
{
    (void)state;
    char text[10100] = "many:x:5:";
    need_root();
    make_dirs("etc");
    for (size_t at = strlen(text); at < 10000; at++) {
        text[at] = "nixbld:x:1:a,,,,"[at % 16];
    }
    strcpy(text + 10000, "\n");
    write_file(in_place(&place, 0, "etc/group"), text);
    make_environment();
    assert_string_equal(value_of("NIX_CONFIG"), "build-users-group =");
}

/* A line longer than any buffer before the one that counts. */
static void a_long_line_in_etc_group_hides_nothing(void **state)
{
    (void)state;
    char text[10100];
    need_root();
    make_dirs("etc");
    memset(text, 'm', 10000);
    memcpy(text, "many:x:5:", 9);
    strcpy(text + 10000, "\nnixbld:x:30000:nixbld1\n");
    write_file(in_place(&place, 0, "etc/group"), text);
    make_environment();
    assert_null(value_of("NIX_CONFIG"));
}

static void a_nix_config_at_the_limit_fits_and_one_past_it_is_an_error(void **state)
{
    (void)state;
    static char config[MVM_POSIX_NIX_CONFIG_CAP];
    size_t room = MVM_POSIX_NIX_CONFIG_CAP - sizeof "NIX_CONFIG=\nbuild-users-group =";
    need_root();
    memset(config, '#', room);
    setenv("NIX_CONFIG", config, 1);
    make_environment();
    assert_int_equal(strlen(value_of("NIX_CONFIG")), room + strlen("\nbuild-users-group ="));
    config[room] = '#';
    setenv("NIX_CONFIG", config, 1);
    assert_int_equal(mvm_posix_environment(&posix), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "NIX_CONFIG: too long");
}

static void as_many_variables_as_fit_are_handed_on_and_one_more_is_an_error(void **state)
{
    (void)state;
    setenv("PATH", "/bin", 1);
    setenv("TMPDIR", "/tmp", 1);
    setenv("HOME", "/dev/shm", 1);
    setenv("NIX_CONFIG", "build-users-group =", 1);
    for (int i = 4; i < MVM_POSIX_ENV; i++) {
        char name[16];
        snprintf(name, sizeof name, "V%d", i);
        setenv(name, "x", 1);
    }
    make_environment();
    setenv("ONE_MORE", "x", 1);
    assert_int_equal(mvm_posix_environment(&posix), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "environment: too many variables");
}

/* ---- nix ---- */

static void make_program(const char *path)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    make_dirs(dir);
    write_file(in_place(&place, 0, path), "");
    assert_int_equal(chmod(in_place(&place, 0, path), 0755), 0);
}

static void assert_found(const char *expected)
{
    char path[512];
    assert_int_equal(mvm_posix_find_nix(&posix, path, sizeof path), 0);
    assert_string_equal(path, in_place(&place, 1, expected));
}

/* Each place is filled in turn, the last one to be searched first. */
static void nix_is_looked_for_in_the_places_of_the_header_in_their_order(void **state)
{
    (void)state;
    static const char *const places[] = {
        "nix/store/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-nix-2.1/bin/nix",
        "nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nix-2.2/bin/nix",
        "nix/var/nix/profiles/per-user/root/profile/bin/nix",
        "root/.nix-profile/bin/nix",
        "nix/var/nix/profiles/default/bin/nix",
        "opt/two/nix",
        "opt/one/nix",
    };
    setenv("PATH", "::bin:/opt/one:/opt/two", 1);
    make_dirs("nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-something/bin");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        make_program(places[i]);
        assert_found(places[i]);
    }
    unsetenv("PATH"); /* the default begins with one of them */
    assert_found(places[4]);
}

/* Any package may have a program of that name; only nix's own is nix. */
static void a_nix_of_another_package_in_the_store_is_not_run(void **state)
{
    (void)state;
    static const char hash[] = "0123456789abcdfghijklmnpqrsvwxyz";
    static const struct {
        const char *hash;
        const char *name;
        bool found;
    } cases[] = {
        {hash, "-evil", false},
        {hash, "-nix", false},
        {hash, "-nix-", false},
        {hash, "-nix-index-0.1.8", false},
        {hash, "-nix-2.18.1-doc", false},
        {hash, "-nix-2.18.1 x", false},
        {hash, "-not-nix-2.18.1", false},
        {hash, "x-nix-2.18.1", false},
        {"", "nix-2.18.1", false},
        {"0123456789abcdfghijklmnpqrsvwxy", "-nix-2.18.1", false},
        {"0123456789abcdefghijklmnpqrsvwxy", "-nix-2.18.1", false},
        {hash, "-nix-x.2", false},
        {hash, "-nix-2.18.1", true},
        {hash, "-nix-9", true},
        {hash, "-nix-0", true},
        {hash, "-nix-2.19.0pre20231009_1a2b3c4", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char program[160];
        char path[512];
        snprintf(program, sizeof program, "nix/store/%s%s/bin/nix", cases[i].hash, cases[i].name);
        make_program(program);
        setenv("PATH", "/none", 1);
        if (cases[i].found) {
            assert_found(program);
        } else {
            assert_int_equal(mvm_posix_find_nix(&posix, path, sizeof path), MVM_PORT_NOT_FOUND);
        }
        unlink(in_place(&place, 0, program));
    }
}

/* The build starts in the root directory, where a relative name would not be found. */
static void a_nix_that_was_named_by_a_relative_path_is_found_as_an_absolute_one(void **state)
{
    (void)state;
    char path[512];
    make_program("opt/nix");
    set_up_with(&(struct mvm_posix_config){.nix = "opt/nix"});
    assert_int_equal(chdir(place.dir), 0);
    int r = mvm_posix_find_nix(&posix, path, sizeof path);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(r, 0);
    assert_string_equal(path, in_place(&place, 0, "opt/nix"));
}

static void what_cannot_be_run_is_skipped(void **state)
{
    (void)state;
    setenv("PATH", "/one:/two:/three", 1);
    make_dirs("one/nix");
    make_program("two/nix");
    chmod(in_place(&place, 0, "two/nix"), 0644);
    make_program("three/nix");
    assert_found("three/nix");
}

static void an_entry_of_path_that_is_not_absolute_is_skipped(void **state)
{
    (void)state;
    char path[512] = "";
    make_program("bin/nix");
    assert_int_equal(chdir(place.dir), 0);
    posix.root = "";
    setenv("PATH", "bin:./bin", 1);
    int r = mvm_posix_find_nix(&posix, path, sizeof path);
    assert_int_equal(chdir("/"), 0);
    assert_true(r == MVM_PORT_NOT_FOUND || path[0] == '/');
}

static void no_nix_anywhere_is_reported_with_the_places_looked_at(void **state)
{
    (void)state;
    char path[512];
    assert_int_equal(mvm_posix_find_nix(&posix, path, sizeof path), MVM_PORT_NOT_FOUND);
    assert_non_null(strstr(reason_of(&posix), "PATH"));
    assert_non_null(strstr(reason_of(&posix), "/nix/store/HASH-nix-VERSION/bin"));
}

static void a_nix_that_was_named_is_used_or_refused_by_its_name(void **state)
{
    (void)state;
    char path[512];
    char named[256];
    char reason[300];
    make_program("opt/nix");
    strcpy(named, in_place(&place, 0, "opt/nix"));
    set_up_with(&(struct mvm_posix_config){.nix = named});
    assert_int_equal(mvm_posix_find_nix(&posix, path, sizeof path), 0);
    assert_string_equal(path, named);
    chmod(named, 0644);
    assert_int_equal(mvm_posix_find_nix(&posix, path, sizeof path), MVM_PORT_NOT_FOUND);
    snprintf(reason, sizeof reason, "%s: Permission denied", named);
    assert_string_equal(reason_of(&posix), reason);
    unlink(named);
    assert_int_equal(mvm_posix_find_nix(&posix, path, sizeof path), MVM_PORT_NOT_FOUND);
    snprintf(reason, sizeof reason, "%s: No such file or directory", named);
    assert_string_equal(reason_of(&posix), reason);
}

static void a_path_that_does_not_fit_is_not_cut(void **state)
{
    (void)state;
    char path[512];
    char expected[256];
    setenv("PATH", "/opt", 1);
    make_program("opt/nix");
    strcpy(expected, in_place(&place, 0, "opt/nix"));
    assert_int_equal(mvm_posix_find_nix(&posix, path, strlen(expected) + 1), 0);
    assert_string_equal(path, expected);
    assert_true(mvm_posix_find_nix(&posix, path, strlen(expected)) < 0);
}

#define ALONE(test) cmocka_unit_test_setup_teardown(test, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(an_empty_environment_gets_what_nix_needs),
        ALONE(what_is_set_stays_as_it_is),
        ALONE(empty_counts_as_unset_and_no_name_stands_twice),
        ALONE(a_home_that_cannot_be_written_is_as_good_as_none),
        ALONE(without_tmp_another_temporary_directory_is_used),
        ALONE(without_a_home_of_roots_one_is_made_below_tmpdir),
        ALONE(without_a_tmpdir_it_is_made_below_the_one_that_is_found),
        ALONE(a_home_that_may_be_another_users_is_not_used),
        ALONE(build_users_are_switched_off_where_there_are_none),
        ALONE(a_long_line_in_etc_group_hides_nothing),
        ALONE(a_long_line_in_etc_group_feigns_nothing),
        ALONE(a_nix_config_at_the_limit_fits_and_one_past_it_is_an_error),
        ALONE(as_many_variables_as_fit_are_handed_on_and_one_more_is_an_error),
        ALONE(nix_is_looked_for_in_the_places_of_the_header_in_their_order),
        ALONE(a_nix_of_another_package_in_the_store_is_not_run),
        ALONE(a_nix_that_was_named_by_a_relative_path_is_found_as_an_absolute_one),
        ALONE(what_cannot_be_run_is_skipped),
        ALONE(an_entry_of_path_that_is_not_absolute_is_skipped),
        ALONE(no_nix_anywhere_is_reported_with_the_places_looked_at),
        ALONE(a_nix_that_was_named_is_used_or_refused_by_its_name),
        ALONE(a_path_that_does_not_fit_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
