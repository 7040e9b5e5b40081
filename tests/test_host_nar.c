/* A folder as a NAR: byte for byte what nix-store --dump writes, for any size of room. */
#define _GNU_SOURCE
#include "nar.h"
#include "sanitizer.h"
#include "temporary.h"
#include "tree.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct mvm_tree tree;
static struct mvm_nar nar;
static char folder[TEMPORARY_CAP];
static char why_text[512];
static struct mvm_writer why;
static uint8_t ours[1 << 20];
static uint8_t theirs[1 << 20];

static int set_up(void **state)
{
    (void)state;
    assert_true(make_temporary(folder, "nar"));
    mvm_writer_init(&why, why_text, sizeof why_text);
    return 0;
}

static void run(const char *format, ...)
{
    char command[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static int tear_down(void **state)
{
    (void)state;
    mvm_tree_free(&tree);
    run("chmod -R u+w %s && rm -rf %s %s.nar", folder, folder, folder);
    return 0;
}

/* A message about the folder, as it was named, or about `/PATH` in it. */
static void assert_why(const char *path, const char *reason)
{
    char expected[1024];
    snprintf(expected, sizeof expected, "send:%s%s: %s", folder, path, reason);
    assert_string_equal(why_text, expected);
}

static void put(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", folder, path);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static size_t pull_all(size_t room)
{
    size_t len = 0;
    ssize_t n;
    while ((n = mvm_nar_pull(&nar, ours + len, room, &why)) > 0) {
        len += (size_t)n;
        assert_true(len + room <= sizeof ours);
    }
    if (n < 0) {
        fail_msg("%s", why_text);
    }
    return len;
}

static size_t dump(const char *of)
{
    run("HOME=%s nix-store --dump %s >%s.nar", folder, of, folder);
    char path[TEMPORARY_CAP + 8];
    snprintf(path, sizeof path, "%s.nar", folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(theirs, 1, sizeof theirs, f);
    fclose(f);
    return len;
}

static void assert_as_nix_dumps(const char *of, enum mvm_tree_choice choice)
{
    static const size_t rooms[] = {1, 7, 64, 4096, 65536};
    size_t len = dump(of);
    assert_true(mvm_tree_list(&tree, folder, choice, &why));
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        assert_true(mvm_nar_open(&nar, folder, &tree, &why));
        assert_int_equal(mvm_nar_measure(&nar, &why), len);
        assert_int_equal(pull_all(rooms[i]), len);
        assert_memory_equal(ours, theirs, len);
        assert_int_equal(nar.bytes, len);
        mvm_nar_close(&nar);
    }
}

static void files_links_and_directories_are_as_nix_dumps_them(void **state)
{
    (void)state;
    run("cd %s && mkdir -p a/b/c a.d empty Z && ln -s ../nowhere a/link && ln -s a alink", folder);
    put("flake.nix", "{ }");
    put("a/b/c/x", "12345678");
    put("a/run", "#!/bin/sh\n");
    put("a.d/y", "");
    put("a-b", "sorted between a and a.d by some");
    put("Z/\xc3\xa4 name with blanks", "utf-8");
    run("chmod 755 %s/a/run && chmod 611 %s/flake.nix && chmod 4755 %s/a-b", folder, folder,
        folder);
    assert_as_nix_dumps(folder, MVM_TREE_ALL);
}

static void an_empty_folder_is_as_nix_dumps_it(void **state)
{
    (void)state;
    assert_as_nix_dumps(folder, MVM_TREE_TRACKED);
}

static void every_length_is_padded_as_nix_pads_it(void **state)
{
    (void)state;
    char name[32], text[32] = "";
    for (int len = 0; len < 20; len++) {
        snprintf(name, sizeof name, "%.*s", len + 1, "abcdefghijklmnopqrstuvwxyz");
        put(name, text);
        text[len] = 'x';
        text[len + 1] = '\0';
    }
    assert_as_nix_dumps(folder, MVM_TREE_ALL);
}

static void a_checkout_is_sent_as_git_tracks_it(void **state)
{
    (void)state;
    char copy[TEMPORARY_CAP + 16];
    run("cd %s && git init -q . && mkdir -p src/deep out", folder);
    put("flake.nix", "{ }");
    put("src/deep/main.c", "int main;");
    put("src.c", "sorted behind src/");
    put("deleted", "");
    put("out/huge", "ignored");
    put(".gitignore", "out\n");
    run("cd %s && git add . && rm deleted", folder);
    put("untracked", "not sent");
    snprintf(copy, sizeof copy, "%s/out/copy", folder);
    run("cd %s && mkdir -p %s/src/deep && cp flake.nix src.c .gitignore %s && cp src/deep/main.c "
        "%s/src/deep",
        folder, copy, copy, copy);
    assert_as_nix_dumps(copy, MVM_TREE_TRACKED);
}

/* What git ignores is not sent if the folder may be in a checkout: git lists the files of it, or
 * reports why it cannot. */
static bool lists_the_secret(void)
{
    bool listed = mvm_tree_list(&tree, ".", MVM_TREE_TRACKED, &why), found = false;
    for (size_t i = 0; listed && i < tree.files; i++) {
        found = found || strstr(tree.paths[i], ".env") != NULL;
    }
    return found;
}

static void a_checkout_whose_git_is_a_link_to_nothing_is_one(void **state)
{
    (void)state;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    run("cd %s && ln -s /nowhere/at/all .git && touch .env f", folder);
    assert_int_equal(chdir(folder), 0);
    bool found = lists_the_secret();
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_false(found);
}

static void a_checkout_whose_path_is_too_long_is_one(void **state)
{
    (void)state;
    char name[256];
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    run("mkdir %s/.git", folder);
    assert_int_equal(chdir(folder), 0);
    for (int level = 0; level < 17; level++) {
        assert_int_equal(mkdir(name, 0777), 0);
        assert_int_equal(chdir(name), 0);
    }
    close(open(".env", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    bool found = lists_the_secret();
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_false(found);
}

/* The account of another user, in a process of its own: root sees all. */
static void become_another(void)
{
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) {
        _exit(1);
    }
}

static void a_checkout_below_a_closed_folder_is_one(void **state)
{
    (void)state;
    int status;
    run("cd %s && mkdir -p closed/in/sub && cd closed/in && git init -q . && touch f sub/.env && "
        "echo .env >.gitignore && git add . && if [ $(id -u) = 0 ]; then chown -R 65534:65534 .; "
        "fi",
        folder);
    for (int below = 0; below < 2; below++) {
        pid_t pid = fork();
        if (pid == 0) {
            char path[TEMPORARY_CAP + 32];
            snprintf(path, sizeof path, "%s/closed/in/sub", folder);
            bool good =
                chdir(path) == 0 && chmod("../..", 0) == 0 && chdir(below ? "." : "..") == 0;
            become_another();
            _exit(good && !lists_the_secret() ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        run("chmod 700 %s/closed", folder);
        assert_int_equal(status, 0);
    }
}

/* A directory of the index that is a link by now leads anywhere; one that is a file has nothing. */
static void what_git_lists_below_what_is_not_a_directory_is_not_sent(void **state)
{
    (void)state;
    run("cd %s && mkdir -p in/a/deep in/b in/c secret && cd in && git init -q .", folder);
    put("in/a/deep/f", "ours");
    put("in/b/f", "ours");
    put("in/c/f", "ours");
    put("secret/f", "secret");
    put("secret/deep", "secret");
    run("cd %s/in && git add . && rm -r a b && ln -s ../secret a && echo file >b", folder);
    char in[TEMPORARY_CAP + 8];
    snprintf(in, sizeof in, "%s/in", folder);
    assert_true(mvm_tree_list(&tree, in, MVM_TREE_TRACKED, &why));
    assert_int_equal(tree.files, 1);
    assert_string_equal(tree.paths[0], "c/f");
    run("cd %s/in && rm -r c && ln -s ../secret c", folder);
    assert_false(mvm_tree_list(&tree, in, MVM_TREE_TRACKED, &why));
}

/* As in a hook of another repository. */
static void the_environment_of_a_hook_names_no_other_files(void **state)
{
    (void)state;
    static const char *const names[] = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
                                        "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"};
    run("mkdir -p %s/ours %s/other && cd %s/ours && git init -q . && cd ../other && git init -q .",
        folder, folder, folder);
    put("ours/f", "");
    put("ours/secret", "");
    put("other/secret", "");
    run("cd %s/ours && git add f && cd ../other && git add secret", folder);
    char ours_path[TEMPORARY_CAP + 8], value[TEMPORARY_CAP + 24];
    snprintf(ours_path, sizeof ours_path, "%s/ours", folder);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(value, sizeof value, "%s/other/%s", folder,
                 i == 1   ? ""
                 : i == 2 ? ".git/index"
                          : ".git");
        setenv(names[i], value, 1);
        bool listed = mvm_tree_list(&tree, ours_path, MVM_TREE_TRACKED, &why);
        unsetenv(names[i]);
        assert_true(listed);
        assert_int_equal(tree.files, 1);
        assert_string_equal(tree.paths[0], "f");
    }
}

/* git checks names that it adds to an index, and not those of one that it is given. */
static void a_name_that_leads_out_of_the_folder_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"../f", "/f", "a/../../f", "a//f", "./f", "a/.", ""};
    char path[512], index[TEMPORARY_CAP + 32];
    snprintf(path, sizeof path, "%s/bin:%s", folder, getenv("PATH"));
    run("cd %s && git init -q . && mkdir a bin && touch f a/f && ln -s $PWD/names bin/git", folder);
    char *before = strdup(getenv("PATH"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(index, sizeof index, "#!/bin/sh\nprintf 'a/f\\0%s\\0'\n", names[i]);
        put("names", index);
        run("chmod +x %s/names", folder);
        setenv("PATH", path, 1);
        bool listed = mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why);
        setenv("PATH", before, 1);
        assert_false(listed);
    }
    free(before);
    assert_non_null(strstr(why_text, "../f: git lists it, and it leads out of the folder"));
}

/* What the index has need not be on the disk, nor fit it. */
static bool archive_of_index(const char *name)
{
    run("cd %s && rm -rf .git && git init -q . && h=$(git hash-object -w f) && "
        "printf \"100644 $h 0\\tf\\n100644 $h 0\\t%s\\n\" | git update-index --add --index-info",
        folder, name);
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why));
    assert_true(mvm_nar_open(&nar, folder, &tree, &why));
    bool good = mvm_nar_measure(&nar, &why) > 0;
    mvm_nar_close(&nar);
    return good;
}

static void names_of_an_index_that_no_disk_has_are_refused(void **state)
{
    (void)state;
    char name[301] = "";
    put("f", "");
    memset(name, 'a', 255);
    assert_true(archive_of_index(name)); /* absent, so it is left out */
    name[255] = 'a';
    assert_false(archive_of_index(name));
    assert_non_null(strstr(why_text, ": path too long"));
    memcpy(name + 256, "/x", 3);
    assert_false(archive_of_index(name));
    assert_false(archive_of_index("$(printf 'd/%.0s' $(seq 2100))x"));
}

static void the_folder_s_configuration_starts_no_command(void **state)
{
    (void)state;
    put("f", "");
    run("cd %s && git init -q . && git add f && git config core.fsmonitor 'touch '$PWD/started'; "
        "false'",
        folder);
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why));
    run("! [ -e %s/started ]", folder);
}

/* A `git` that names the file `f` so many times, as for a conflict. */
static bool list_repeated(unsigned long times)
{
    char path[512], script[128];
    snprintf(path, sizeof path, "%s/bin:%s", folder, getenv("PATH"));
    snprintf(script, sizeof script, "#!/bin/sh\nyes f | head -n %lu | tr '\\n' '\\0'\n", times);
    put("bin/git", script);
    run("chmod +x %s/bin/git", folder);
    char *before = strdup(getenv("PATH"));
    setenv("PATH", path, 1);
    bool listed = mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why);
    setenv("PATH", before, 1);
    free(before);
    return listed;
}

static void so_many_files_can_be_listed_and_no_more(void **state)
{
    (void)state;
    run("cd %s && git init -q . && mkdir bin && touch f", folder);
    assert_true(list_repeated(MVM_TREE_FILES_MAX));
    assert_int_equal(tree.files, 1);
    assert_false(list_repeated(MVM_TREE_FILES_MAX + 1));
    assert_why("", "too many files: at most 1048576, with 67108864 bytes of paths, can be sent");
}

static void a_list_without_memory_is_an_error_with_its_reason(void **state)
{
    (void)state;
    struct rlimit before, none;
    if (MVM_SANITIZER_KIB > 0) {
        skip(); /* the sanitizer itself would have no memory */
    }
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    none = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    mvm_tree_free(&tree);
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    bool listed = mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why);
    setrlimit(RLIMIT_AS, &before);
    assert_false(listed);
    assert_why("", "no memory for the list of its files: Cannot allocate memory");
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
}

static void a_signal_ends_the_listing_and_the_measuring(void **state)
{
    (void)state;
    struct mvm_waiter waiter = {.signals = -1};
    run("cd %s && git init -q . && touch f && git add f", folder);
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    waiter.signal = SIGINT;
    tree.waiter = &waiter;
    assert_true(mvm_nar_open(&nar, folder, &tree, &why));
    assert_int_equal(mvm_nar_measure(&nar, &why), -1);
    mvm_nar_close(&nar);
    assert_false(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_false(mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why));
    tree.waiter = NULL;
    assert_string_equal(why_text, "interruptedinterruptedinterrupted");
}

static void a_path_that_is_too_long_is_named_by_its_end(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(folder), 0);
    for (int level = 0; level < 17; level++) {
        assert_int_equal(mkdir(name, 0777), 0);
        assert_int_equal(chdir(name), 0);
    }
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_false(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_memory_equal(why_text, "send:...", 8);
    assert_string_equal(why_text + strlen(why_text) - 18, "nnn: path too long");
}

static void what_is_left_out_is_not_listed(void **state)
{
    (void)state;
    static const char *const names[] = {"out", "a/log"};
    char path[TEMPORARY_CAP + 16];
    run("cd %s && mkdir -p out/deep a && touch out/kernel out/deep/x a/log a/b log", folder);
    tree.left_out_len = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        mvm_tree_leave_out(&tree, fd);
        close(fd);
    }
    mvm_tree_leave_out(&tree, -1);
    bool listed = mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why);
    tree.left_out_len = 0;
    assert_true(listed);
    assert_int_equal(tree.files, 3);
    assert_string_equal(tree.paths[0], "a");
    assert_string_equal(tree.paths[1], "a/b");
    assert_string_equal(tree.paths[2], "log");
}

/* Another run of the tool writes into them meanwhile. */
static void unfinished_sets_of_artifacts_are_not_listed(void **state)
{
    (void)state;
    static const char *const paths[] = {".a.new-x",         ".etc.old-2023", ".etc.old-2023/kernel",
                                        ".etc.old-2023/rc", ".new-1",        "a",
                                        "a/.n.old-",        "a/.n.old-1x",   "a/n.old-1"};
    run("cd %s && mkdir -p .out.new-12 a/.o.old-1 .a.new-x .new-1 a/.n.old- a/n.old-1 "
        ".etc.old-2023 "
        "&& touch .out.new-12/kernel a/.o.old-1/kernel a/.n.old-1x .etc.old-2023/kernel "
        ".etc.old-2023/rc",
        folder);
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_int_equal(tree.files, sizeof paths / sizeof paths[0]);
    for (size_t i = 0; i < tree.files; i++) {
        assert_string_equal(tree.paths[i], paths[i]);
    }
}

static void a_folder_where_git_tracks_nothing_is_an_error(void **state)
{
    (void)state;
    run("cd %s && git init -q .", folder);
    put("flake.nix", "{ }");
    assert_false(mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why));
    assert_why("", "git tracks no file here; git add them, or --all-files sends all");
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_int_equal(tree.files, 1);
    assert_string_equal(tree.paths[0], "flake.nix");
}

static void a_git_whose_end_is_not_known_has_failed(void **state)
{
    (void)state;
    run("cd %s && git init -q . && touch f && git add f", folder);
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    bool listed = mvm_tree_list(&tree, folder, MVM_TREE_TRACKED, &why);
    signal(SIGCHLD, before);
    assert_false(listed);
    assert_why("", "git ls-files failed; --all-files sends all of it");
}

static void what_is_not_a_file_is_named(void **state)
{
    (void)state;
    run("mkdir %s/d && mkfifo %s/d/fifo", folder, folder);
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_true(mvm_nar_open(&nar, folder, &tree, &why));
    assert_int_equal(mvm_nar_measure(&nar, &why), -1);
    assert_why("/d/fifo", "not a regular file, a directory or a symbolic link");
    mvm_nar_close(&nar);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    assert_false(mvm_tree_list(&tree, "/nowhere/at/all", MVM_TREE_ALL, &why));
    assert_string_equal(why_text, "send:/nowhere/at/all: No such file or directory");
}

/* The error names the file whose size changes while its contents are read. */
static void assert_change_is_seen(off_t size)
{
    char path[TEMPORARY_CAP + 8];
    put("f", "0123456789012345678901234567890123456789");
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_true(mvm_nar_open(&nar, folder, &tree, &why));
    int64_t whole = mvm_nar_measure(&nar, &why);
    assert_true(mvm_nar_pull(&nar, ours, (size_t)whole - 60, &why) > 0);
    snprintf(path, sizeof path, "%s/f", folder);
    assert_int_equal(truncate(path, size), 0);
    ssize_t n;
    while ((n = mvm_nar_pull(&nar, ours, 16, &why)) > 0) {
    }
    assert_int_equal(n, -1);
    assert_why("/f", "changed while it was read");
    mvm_nar_close(&nar);
}

static void a_file_that_shrinks_meanwhile_is_an_error(void **state)
{
    (void)state;
    assert_change_is_seen(3);
}

static void a_file_that_grows_meanwhile_is_an_error(void **state)
{
    (void)state;
    assert_change_is_seen(100);
}

/* … as does one that was written without another size. */
static void a_file_that_is_written_meanwhile_is_an_error(void **state)
{
    (void)state;
    char path[TEMPORARY_CAP + 8];
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    put("f", "0123456789012345678901234567890123456789");
    assert_true(mvm_tree_list(&tree, folder, MVM_TREE_ALL, &why));
    assert_true(mvm_nar_open(&nar, folder, &tree, &why));
    int64_t whole = mvm_nar_measure(&nar, &why);
    assert_true(mvm_nar_pull(&nar, ours, (size_t)whole - 60, &why) > 0);
    snprintf(path, sizeof path, "%s/f", folder);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(mvm_nar_pull(&nar, ours, 1000, &why), -1);
    assert_why("/f", "changed while it was read");
    mvm_nar_close(&nar);
}

static void nix_restores_what_was_sent(void **state)
{
    (void)state;
    run("mkdir -p %s/in/deep && ln -s x %s/in/link", folder, folder);
    put("in/deep/f", "contents");
    char in[TEMPORARY_CAP + 8], path[TEMPORARY_CAP + 8];
    snprintf(in, sizeof in, "%s/in", folder);
    assert_true(mvm_tree_list(&tree, in, MVM_TREE_ALL, &why));
    assert_true(mvm_nar_open(&nar, in, &tree, &why));
    size_t len = pull_all(100);
    mvm_nar_close(&nar);
    snprintf(path, sizeof path, "%s/nar", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(ours, 1, len, f), len);
    fclose(f);
    run("HOME=%s nix-store --restore %s/out <%s && diff -r --no-dereference %s/in %s/out", folder,
        folder, path, folder, folder);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_links_and_directories_are_as_nix_dumps_them),
        TEST(an_empty_folder_is_as_nix_dumps_it),
        TEST(every_length_is_padded_as_nix_pads_it),
        TEST(a_checkout_is_sent_as_git_tracks_it),
        TEST(a_checkout_whose_git_is_a_link_to_nothing_is_one),
        TEST(a_checkout_whose_path_is_too_long_is_one),
        TEST(a_checkout_below_a_closed_folder_is_one),
        TEST(what_git_lists_below_what_is_not_a_directory_is_not_sent),
        TEST(the_environment_of_a_hook_names_no_other_files),
        TEST(a_name_that_leads_out_of_the_folder_is_refused),
        TEST(names_of_an_index_that_no_disk_has_are_refused),
        TEST(the_folder_s_configuration_starts_no_command),
        TEST(a_signal_ends_the_listing_and_the_measuring),
        TEST(a_path_that_is_too_long_is_named_by_its_end),
        TEST(what_is_left_out_is_not_listed),
        TEST(unfinished_sets_of_artifacts_are_not_listed),
        TEST(so_many_files_can_be_listed_and_no_more),
        TEST(a_list_without_memory_is_an_error_with_its_reason),
        TEST(a_folder_where_git_tracks_nothing_is_an_error),
        TEST(a_git_whose_end_is_not_known_has_failed),
        TEST(what_is_not_a_file_is_named),
        TEST(a_folder_that_is_not_there_is_named),
        TEST(a_file_that_shrinks_meanwhile_is_an_error),
        TEST(a_file_that_grows_meanwhile_is_an_error),
        TEST(a_file_that_is_written_meanwhile_is_an_error),
        TEST(nix_restores_what_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
