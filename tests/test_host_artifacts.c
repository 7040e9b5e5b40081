/* The folder that artifacts are written to: it holds the old set or the new one, and nothing that
 * was not allowed. */
#define _GNU_SOURCE
#include "artifacts.h"
#include "sha256.h"
#include "temporary.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { UNABLE = 77 }; /* the exit status of a process that may not do what its test needs */

static char base[TEMPORARY_CAP];
static char out[TEMPORARY_CAP + 16];
static struct mvm_artifacts set;
static char why_text[512];
static struct mvm_writer why;

/* In place of the C library's: folders fail with the error of their turn, 0 for none. */
static int folder_errors[2];
static int folders_synced;
int fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = folder_errors[folders_synced++ % 2];
        return errno == 0 ? 0 : -1;
    }
    return fdatasync(fd);
}

static void fail_folders(int new_one, int parent)
{
    folder_errors[0] = new_one;
    folder_errors[1] = parent;
    folders_synced = 0;
}

static int set_up(void **state)
{
    (void)state;
    fail_folders(0, 0);
    assert_true(make_temporary(base, "artifacts"));
    snprintf(out, sizeof out, "%s/out", base);
    mvm_writer_init(&why, why_text, sizeof why_text);
    return 0;
}

static int tear_down(void **state)
{
    char command[TEMPORARY_CAP + 16];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static void begin(uint64_t max_size)
{
    if (!mvm_artifacts_open(&set, out, max_size, &why)) {
        fail_msg("%s", why_text);
    }
}

static bool add(const char *name, uint64_t size)
{
    return mvm_artifacts_add(&set, mvm_text_from(name), size, &why);
}

static bool put(size_t i, uint64_t offset, const char *bytes)
{
    return mvm_artifacts_write(&set, i, offset, mvm_text_from(bytes), &why);
}

/* A whole set of one file. */
static void place(const char *name, const char *text)
{
    begin(1000);
    assert_true(add(name, strlen(text)));
    assert_true(put(0, 0, text));
    if (!mvm_artifacts_commit(&set, &why)) {
        fail_msg("%s", why_text);
    }
}

/* A message about the folder `out`, as it was named, or about `/NAME` in it. */
static void assert_why(const char *name, const char *reason)
{
    char expected[512];
    snprintf(expected, sizeof expected, "--output %s%s: %s", out, name, reason);
    assert_string_equal(why_text, expected);
}

static const char *contents(const char *name)
{
    static char text[256];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", out, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return NULL;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int n = 0;
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n - 2;
}

static void a_set_is_put_in_place(void **state)
{
    (void)state;
    place("vmlinux", "a kernel");
    assert_string_equal(contents("vmlinux"), "a kernel");
    assert_int_equal(entries(base), 1);
    assert_int_equal(entries(out), 1);
}

static void a_new_set_replaces_all_of_the_old_one(void **state)
{
    (void)state;
    place("initrd", "old");
    place("vmlinux", "new");
    assert_null(contents("initrd"));
    assert_string_equal(contents("vmlinux"), "new");
    assert_int_equal(entries(base), 1);
}

static void an_abandoned_set_leaves_the_old_one_as_it_was(void **state)
{
    (void)state;
    place("vmlinux", "old");
    begin(1000);
    assert_true(add("vmlinux", 3));
    assert_true(put(0, 0, "new"));
    mvm_artifacts_abandon(&set);
    assert_string_equal(contents("vmlinux"), "old");
    assert_int_equal(entries(base), 1);
}

/* In place of the C library's: as NFS does it, a file that is open gets another name. */
static bool keeps_open_files;
int unlinkat(int dir, const char *name, int flags)
{
    char path[64 + NAME_MAX];
    struct stat st, of_file;
    bool found = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0, held = false;
    for (size_t i = 0; keeps_open_files && found && i < set.len; i++) {
        held = held || (fstat(set.files[i].fd, &of_file) == 0 && of_file.st_ino == st.st_ino);
    }
    if (held) {
        return renameat(dir, name, dir, ".nfs0001");
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
    return (flags & AT_REMOVEDIR) != 0 ? rmdir(path) : unlink(path);
}

static void an_abandoned_set_leaves_nothing_if_open_files_cannot_be_removed(void **state)
{
    (void)state;
    begin(1000);
    assert_true(add("vmlinux", 3) && add("initrd", 0));
    keeps_open_files = true;
    mvm_artifacts_abandon(&set);
    keeps_open_files = false;
    assert_int_equal(entries(base), 0);
}

static void folders_of_a_file_system_that_cannot_sync_them_are_no_failure(void **state)
{
    (void)state;
    fail_folders(EINVAL, EINVAL);
    place("vmlinux", "old");
    place("vmlinux", "new");
    fail_folders(0, 0);
    assert_string_equal(contents("vmlinux"), "new");
    assert_int_equal(entries(base), 1);
}

static void a_new_folder_that_cannot_be_synced_is_not_put_in_place(void **state)
{
    (void)state;
    place("vmlinux", "old");
    begin(1000);
    fail_folders(EIO, 0);
    assert_true(add("vmlinux", 3) && put(0, 0, "new"));
    bool placed = mvm_artifacts_commit(&set, &why);
    fail_folders(0, 0);
    assert_false(placed);
    assert_why("", "Input/output error");
    assert_string_equal(contents("vmlinux"), "old");
    assert_int_equal(entries(base), 1);
}

/* The old set stays beside it: one of them is there after a power cut, whole. */
static void a_set_whose_place_may_not_last_is_reported_to_be_so(void **state)
{
    (void)state;
    place("vmlinux", "old");
    begin(1000);
    assert_true(add("vmlinux", 3) && put(0, 0, "new"));
    fail_folders(0, EIO);
    assert_true(mvm_artifacts_commit(&set, &why));
    fail_folders(0, 0);
    assert_true(set.unsynced);
    assert_why("", "in place, but a power cut may undo that: its parent cannot be synced: "
                   "Input/output error");
    assert_string_equal(contents("vmlinux"), "new");
    assert_int_equal(entries(base), 2);
    place("vmlinux", "newer");
    assert_false(set.unsynced);
    assert_int_equal(entries(base), 1);
}

static void a_set_that_is_not_whole_is_not_put_in_place(void **state)
{
    (void)state;
    place("vmlinux", "old");
    begin(1000);
    assert_true(add("vmlinux", 4));
    assert_true(put(0, 0, "new"));
    assert_false(mvm_artifacts_commit(&set, &why));
    assert_string_equal(why_text, "vmlinux: not all of it has come");
    assert_string_equal(contents("vmlinux"), "old");
    assert_int_equal(entries(base), 1);
}

static void holes_take_no_room(void **state)
{
    (void)state;
    struct stat st;
    char path[128];
    begin(1u << 30);
    assert_true(add("rootfs.ext4", 1u << 28));
    assert_true(put(0, 1u << 20, "in the middle"));
    mvm_artifacts_end(&set.files[0]);
    assert_true(mvm_artifacts_commit(&set, &why));
    snprintf(path, sizeof path, "%s/rootfs.ext4", out);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1u << 28);
    assert_true(st.st_blocks * 512 < 1 << 20);
}

static void only_known_names_are_taken(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       ".",           "..",
        "../x",   "/etc/passwd", "vmlinux/",
        "vmlinu", "vmlinux2",    "a name of more than thirty-two bytes altogether"};
    begin(1000);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(add(bad[i], 1));
    }
    assert_false(mvm_artifacts_add(&set, (struct mvm_text){"vmlinux\0x", 9}, 1, &why));
    assert_int_equal(set.len, 0);
    mvm_artifacts_abandon(&set);
    assert_int_equal(entries(base), 0);
}

static void a_name_comes_once(void **state)
{
    (void)state;
    begin(1000);
    assert_true(add("vmlinux", 1));
    assert_false(add("vmlinux", 1));
    mvm_artifacts_abandon(&set);
}

static void all_sizes_together_are_bounded(void **state)
{
    (void)state;
    begin(10);
    assert_true(add("vmlinux", 4));
    assert_false(add("rootfs.ext4", 7));
    assert_string_equal(why_text, "the artifacts have 11 bytes or more, --max-size allows 10");
    assert_true(set.too_large);
    mvm_writer_init(&why, why_text, sizeof why_text);
    assert_false(add("rootfs.ext4", UINT64_MAX));
    assert_string_equal(why_text, "the artifacts have 18446744073709551615 bytes or more, "
                                  "--max-size allows 10");
    assert_true(add("rootfs.ext4", 6));
    mvm_artifacts_abandon(&set);
}

static void bytes_come_in_order_and_within_the_size(void **state)
{
    (void)state;
    begin(1000);
    assert_true(add("vmlinux", 8));
    assert_true(put(0, 2, "xy"));
    assert_false(put(0, 3, "z"));
    assert_false(put(0, 4, "12345"));
    assert_false(put(0, 9, ""));
    assert_false(put(0, UINT64_MAX, "1"));
    assert_true(put(0, 4, "1234"));
    mvm_artifacts_abandon(&set);
}

static void a_folder_with_other_files_is_refused_and_left_alone(void **state)
{
    (void)state;
    char path[128];
    place("vmlinux", "old");
    snprintf(path, sizeof path, "%s/thesis.txt", out);
    close(open(path, O_WRONLY | O_CREAT, 0644));
    assert_false(mvm_artifacts_open(&set, out, 1000, &why));
    assert_why("", "it has a file that is not an artifact: thesis.txt");
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/rootfs.ext4", out); /* a directory is no artifact */
    assert_int_equal(mkdir(path, 0755), 0);
    assert_false(mvm_artifacts_open(&set, out, 1000, &why));
    assert_int_equal(entries(out), 2);
    assert_int_equal(entries(base), 1);
}

static void put_letter(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/letter", out);
    close(open(path, O_WRONLY | O_CREAT, 0644));
}

static void a_file_that_was_put_there_meanwhile_is_not_lost(void **state)
{
    (void)state;
    place("vmlinux", "old");
    begin(1000);
    assert_true(add("vmlinux", 3));
    assert_true(put(0, 0, "new"));
    put_letter();
    assert_false(mvm_artifacts_commit(&set, &why));
    assert_why("", "it has a file that is not an artifact: letter");
    assert_string_equal(contents("vmlinux"), "old");
    assert_string_equal(contents("letter"), "");
    assert_int_equal(entries(base), 1);
}

/* In place of the C library's: a file comes at the last moment. */
static bool letter_comes;
long syscall(long number, ...)
{
    assert_int_equal(number, SYS_renameat2);
    va_list ap;
    va_start(ap, number);
    int from = va_arg(ap, int);
    const char *old = va_arg(ap, const char *);
    int to = va_arg(ap, int);
    const char *new = va_arg(ap, const char *);
    unsigned flags = va_arg(ap, unsigned);
    va_end(ap);
    if (letter_comes) {
        put_letter();
    }
    return renameat2(from, old, to, new, flags);
}

static void a_file_that_came_at_the_last_moment_is_reported_where_it_is(void **state)
{
    (void)state;
    char expected[1024], path[512];
    place("vmlinux", "old");
    begin(1000);
    assert_true(add("vmlinux", 3));
    assert_true(put(0, 0, "new"));
    letter_comes = true;
    bool placed = mvm_artifacts_commit(&set, &why);
    letter_comes = false;
    assert_true(placed);
    snprintf(path, sizeof path, "%s/.out.new-%d", base, (int)getpid());
    snprintf(expected, sizeof expected,
             "--output %s: the old folder, which cannot be removed: Directory not empty", path);
    assert_string_equal(why_text, expected);
    assert_int_equal(entries(path), 1);
    assert_string_equal(contents("vmlinux"), "new");
    assert_null(contents("letter"));
}

/* The caller would look for the set in the new parent. */
static void a_parent_that_was_replaced_meanwhile_is_no_success(void **state)
{
    (void)state;
    char parent[TEMPORARY_CAP + 8], moved[TEMPORARY_CAP + 8];
    snprintf(parent, sizeof parent, "%s/par", base);
    snprintf(moved, sizeof moved, "%s/moved", base);
    snprintf(out, sizeof out, "%s/par/out", base);
    for (int again = 0; again < 2; again++) {
        mvm_writer_init(&why, why_text, sizeof why_text);
        assert_int_equal(mkdir(parent, 0755), 0);
        begin(1000);
        assert_true(add("vmlinux", 3) && put(0, 0, "new"));
        assert_int_equal(rename(parent, moved), 0);
        assert_true(again == 1 || mkdir(parent, 0755) == 0);
        assert_false(mvm_artifacts_commit(&set, &why));
        assert_why("", "its parent was moved, removed or replaced meanwhile");
        assert_int_equal(entries(moved), 0);
        assert_true(again == 1 || rmdir(parent) == 0);
        assert_int_equal(rmdir(moved), 0);
    }
}

static void a_new_folder_that_was_replaced_meanwhile_is_no_success(void **state)
{
    (void)state;
    char fresh[512], moved[512], expected[1024];
    place("vmlinux", "old");
    begin(1000);
    assert_true(add("vmlinux", 3) && put(0, 0, "new"));
    snprintf(fresh, sizeof fresh, "%s/%s", base, set.fresh);
    snprintf(moved, sizeof moved, "%s/moved", base);
    assert_int_equal(rename(fresh, moved), 0);
    assert_int_equal(mkdir(fresh, 0755), 0);
    assert_false(mvm_artifacts_commit(&set, &why));
    snprintf(expected, sizeof expected, "--output %s: moved, removed or replaced meanwhile", fresh);
    assert_string_equal(why_text, expected);
    assert_string_equal(contents("vmlinux"), "old");
}

/* Before the build, not after it: the rename would fail. */
static void a_mount_point_is_refused(void **state)
{
    (void)state;
    assert_false(mvm_artifacts_open(&set, "/proc", 1000, &why));
#ifdef STATX_ATTR_MOUNT_ROOT
    assert_string_equal(why_text,
                        "--output /proc: a mount point cannot be replaced; name a folder in it");
#endif
}

static void a_name_that_is_a_file_or_a_link_is_refused(void **state)
{
    (void)state;
    close(open(out, O_WRONLY | O_CREAT, 0644));
    assert_false(mvm_artifacts_open(&set, out, 1000, &why));
    assert_why("", "Not a directory");
    assert_int_equal(unlink(out), 0);
    assert_int_equal(symlink(base, out), 0);
    mvm_writer_init(&why, why_text, sizeof why_text);
    assert_false(mvm_artifacts_open(&set, out, 1000, &why));
    assert_why("", "a symbolic link; name the folder that it leads to");
}

/* It could not be removed after the new one has its place. Root may write anywhere. */
static void a_folder_that_may_not_be_written_is_refused(void **state)
{
    (void)state;
    bool root = geteuid() == 0;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    place("vmlinux", "old");
    assert_int_equal(chdir(base), 0); /* the folders above may be closed to others */
    assert_int_equal(chmod(out, 0555), 0);
    if (root) {
        assert_int_equal(chown(base, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    bool opened = mvm_artifacts_open(&set, "out", 1000, &why);
    if (root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(chmod(out, 0755), 0);
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_false(opened);
    assert_string_equal(why_text, "--output out: Permission denied");
    assert_int_equal(entries(base), 1);
}

/* The rename would fail, after the whole build. */
static void a_folder_that_cannot_be_moved_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* another account is needed */
    }
    place("vmlinux", "old");
    assert_int_equal(chmod(base, 01777), 0);
    assert_int_equal(chmod(out, 0777), 0);
    assert_int_equal(seteuid(65534), 0);
    int here = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool opened = here >= 0 && mvm_artifacts_open(&set, out, 1000, &why);
    assert_int_equal(seteuid(0), 0);
    if (here < 0) {
        skip(); /* the folders above are closed to others */
    }
    close(here);
    assert_false(opened);
    assert_why("", "another user's, in a folder with the sticky bit");
    assert_int_equal(entries(base), 1);
}

/* In a process of its own: exits with 0 if the folder of the lower layer was refused, and another
 * one was not. */
static int use_an_overlay(void)
{
    char layers[4 * TEMPORARY_CAP], path[TEMPORARY_CAP + 16];
    static const char *const dirs[] = {"lower", "lower/out", "all", "upper", "work", "merged"};
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", base, "tmpfs", 0, NULL) < 0) {
        return UNABLE;
    }
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", base, dirs[i]);
        mkdir(path, 0755);
    }
    snprintf(layers, sizeof layers, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base,
             base, base);
    snprintf(path, sizeof path, "%s/merged", base);
    if (mount("overlay", path, "overlay", 0, layers) < 0) {
        return UNABLE;
    }
    snprintf(path, sizeof path, "%s/merged/out", base);
    if (mvm_artifacts_open(&set, path, 1000, &why) || strstr(why_text, "lower layer") == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/merged/new", base);
    mkdir(path, 0755);
    bool opened = mvm_artifacts_open(&set, path, 1000, &why);
    bool placed = opened && add("vmlinux", 0) && mvm_artifacts_commit(&set, &why);
    snprintf(path, sizeof path, "%s/merged", base);
    return placed && entries(path) == 2 ? 0 : 2;
}

static void a_folder_of_an_overlay_s_lower_layer_is_refused(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(use_an_overlay());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == UNABLE) {
        skip(); /* no mount namespace, or no overlay in it */
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static mode_t mode_of(const char *path, struct stat *st)
{
    assert_int_equal(stat(path, st), 0);
    return st->st_mode & 07777;
}

/* While it is fetched, too. Root may have made a set in the folder of another user. */
static void a_folder_keeps_its_mode_and_its_owner(void **state)
{
    (void)state;
    struct stat st;
    char fresh[512];
    place("vmlinux", "old");
    assert_int_equal(chmod(out, 02710), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(out, 12345, 54321), 0);
    }
    begin(1000);
    snprintf(fresh, sizeof fresh, "%s/%s", base, set.fresh);
    assert_int_equal(mode_of(fresh, &st), 02710);
    mvm_artifacts_abandon(&set);
    place("vmlinux", "new");
    assert_int_equal(mode_of(out, &st), 02710);
    if (geteuid() == 0) {
        assert_int_equal(st.st_uid, 12345);
        assert_int_equal(st.st_gid, 54321);
    }
}

static void odd_names_of_folders_work_or_are_refused(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s///", out);
    assert_true(mvm_artifacts_open(&set, path, 1000, &why));
    mvm_artifacts_abandon(&set);
    assert_false(mvm_artifacts_open(&set, "/", 1000, &why));
    assert_false(mvm_artifacts_open(&set, ".", 1000, &why));
    assert_false(mvm_artifacts_open(&set, "", 1000, &why));
    assert_false(mvm_artifacts_open(&set, "/nowhere/at/all", 1000, &why));
}

static void a_disk_that_is_full_leaves_the_old_set(void **state)
{
    (void)state;
    place("vmlinux", "old");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {4096, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    begin(1u << 20);
    bool added = add("vmlinux", 8192);
    mvm_artifacts_abandon(&set);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_false(added);
    assert_why("/vmlinux", "File too large");
    assert_string_equal(contents("vmlinux"), "old");
    assert_int_equal(entries(base), 1);
}

/* ---- programs that were killed ---- */

static void make_set(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", base, name);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/%s/vmlinux", base, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void what_a_killed_program_has_left_is_removed(void **state)
{
    (void)state;
    make_set(".out.new-12345", "half");
    make_set(".out.old-12345", "old");
    make_set("out", "present");
    make_set(".outer.new-1", "another folder's");
    begin(1000);
    assert_int_equal(entries(base), 3);
    mvm_artifacts_abandon(&set);
    assert_int_equal(entries(base), 2);
    assert_string_equal(contents("vmlinux"), "present");
}

/* The programs' names end with a process's number. */
static void a_folder_of_another_name_is_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {".out.old-backup", ".out.new-", ".out.old-1a",
                                        ".out.new-2147483648"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        make_set(names[i], "mine");
    }
    begin(1000);
    mvm_artifacts_abandon(&set);
    assert_int_equal(entries(base), sizeof names / sizeof names[0]);
}

static void what_a_living_program_writes_is_left_alone(void **state)
{
    (void)state;
    char path[128];
    make_set(".out.new-12345", "in progress");
    snprintf(path, sizeof path, "%s/.out.new-12345", base);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    place("vmlinux", "new");
    assert_int_equal(entries(base), 2);
    assert_int_equal(entries(path), 1);
    close(fd);
}

/* In another PID namespace there may be a process of the same number. */
static void a_living_program_of_the_same_number_is_no_obstacle(void **state)
{
    (void)state;
    char name[64], path[256];
    snprintf(name, sizeof name, ".out.new-%d", (int)getpid());
    make_set(name, "in progress");
    snprintf(path, sizeof path, "%s/%s", base, name);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    place("vmlinux", "new");
    place("vmlinux", "newer");
    close(fd);
    assert_string_equal(contents("vmlinux"), "newer");
    assert_int_equal(entries(base), 2);
    assert_int_equal(entries(path), 1);
}

/* Root may open any. */
static void a_folder_that_was_made_and_cannot_be_opened_is_removed(void **state)
{
    (void)state;
    bool root = geteuid() == 0;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(base), 0); /* the folders above may be closed to others */
    if (root) {
        assert_int_equal(chown(base, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    mode_t before = umask(0777);
    bool opened = mvm_artifacts_open(&set, "out", 1000, &why);
    umask(before);
    if (root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_false(opened);
    assert_string_equal(why_text,
                        "--output out: no folder can be made beside it: Permission denied");
    assert_int_equal(entries(base), 0);
}

/* Where folders cannot be exchanged there is a moment without one. */
static void a_set_that_was_moved_away_without_a_successor_comes_back(void **state)
{
    (void)state;
    make_set(".out.old-12345", "old");
    make_set(".out.new-12345", "new");
    begin(1000);
    mvm_artifacts_abandon(&set);
    assert_string_equal(contents("vmlinux"), "old");
    assert_int_equal(entries(base), 1);
}

/* In a process of its own. */
static void place_and_exit(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
        _exit(UNABLE);
    }
    raise(SIGSTOP);
    bool good = mvm_artifacts_open(&set, out, 1000, &why) && add("vmlinux", 3) &&
                add("rootfs.ext4", 3) && put(0, 0, "new") && put(1, 0, "n") && put(1, 1, "ew") &&
                mvm_artifacts_commit(&set, &why);
    _exit(good ? 0 : 1);
}

/* Has it killed where a system call begins or ends for the time that `stops` says. True: it was
 * killed; false: it had ended before, well. */
static bool place_killed(int stops)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        place_and_exit();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (int i = 0; WIFSTOPPED(status) && i < stops; i++) {
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNABLE) {
        fprintf(stderr, "SKIPPED: no ptrace(2) here\n");
        skip();
    }
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return false;
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return true;
}

static bool is_whole(const char *const names[2], const char *text)
{
    bool whole = entries(out) == 2;
    for (int i = 0; i < 2; i++) {
        const char *found = contents(names[i]);
        whole = whole && found != NULL && strcmp(found, text) == 0;
    }
    return whole;
}

static void a_program_killed_at_any_step_leaves_the_old_set_or_the_new_one(void **state)
{
    static const char *const old[] = {"vmlinux", "initrd"}, *const new[] = {"vmlinux",
                                                                            "rootfs.ext4"};
    (void)state;
    int olds = 0, news = 0;
    bool ended = false;
    /* At each of the first hundred stops, then at fewer: below valgrind there are many. */
    for (int stops = 1; !ended; stops += 1 + stops / 100) {
        begin(1000);
        assert_true(add("vmlinux", 3) && add("initrd", 3) && put(0, 0, "old") && put(1, 0, "old"));
        assert_true(mvm_artifacts_commit(&set, &why));
        assert_int_equal(entries(base), 1); /* nothing of the last one is left */
        ended = !place_killed(stops);
        bool is_old = is_whole(old, "old"), is_new = is_whole(new, "new");
        assert_true(is_old || is_new);
        olds += is_old;
        news += is_new;
    }
    assert_true(olds > 0 && news > 0);
}

static void a_file_has_the_hash_that_the_standard_says(void **state)
{
    (void)state;
    char hash[MVM_SHA256_TEXT_CAP], path[128];
    place("vmlinux", "abc"); /* FIPS 180-2, appendix B.1 */
    snprintf(path, sizeof path, "%s/vmlinux", out);
    int fd = open(path, O_RDONLY);
    assert_true(mvm_sha256_file(fd, NULL, hash));
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(mvm_sha256_file(fd, NULL, hash));
    close(fd);
    assert_false(mvm_sha256_file(fd, NULL, hash));
}

/* The tool does not ignore SIGCHLD; a caller that does gets no wrong hash. */
static void a_sha256sum_whose_end_is_not_known_has_failed(void **state)
{
    (void)state;
    assert_true(mvm_sha256_works());
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    bool works = mvm_sha256_works();
    signal(SIGCHLD, before);
    assert_false(works);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_put_in_place),
        TEST(a_new_set_replaces_all_of_the_old_one),
        TEST(an_abandoned_set_leaves_the_old_one_as_it_was),
        TEST(an_abandoned_set_leaves_nothing_if_open_files_cannot_be_removed),
        TEST(folders_of_a_file_system_that_cannot_sync_them_are_no_failure),
        TEST(a_new_folder_that_cannot_be_synced_is_not_put_in_place),
        TEST(a_set_whose_place_may_not_last_is_reported_to_be_so),
        TEST(a_set_that_is_not_whole_is_not_put_in_place),
        TEST(holes_take_no_room),
        TEST(only_known_names_are_taken),
        TEST(a_name_comes_once),
        TEST(all_sizes_together_are_bounded),
        TEST(bytes_come_in_order_and_within_the_size),
        TEST(a_folder_with_other_files_is_refused_and_left_alone),
        TEST(a_file_that_was_put_there_meanwhile_is_not_lost),
        TEST(a_file_that_came_at_the_last_moment_is_reported_where_it_is),
        TEST(a_parent_that_was_replaced_meanwhile_is_no_success),
        TEST(a_new_folder_that_was_replaced_meanwhile_is_no_success),
        TEST(a_mount_point_is_refused),
        TEST(a_name_that_is_a_file_or_a_link_is_refused),
        TEST(a_folder_that_may_not_be_written_is_refused),
        TEST(a_folder_that_cannot_be_moved_is_refused),
        TEST(a_folder_of_an_overlay_s_lower_layer_is_refused),
        TEST(a_folder_keeps_its_mode_and_its_owner),
        TEST(odd_names_of_folders_work_or_are_refused),
        TEST(a_disk_that_is_full_leaves_the_old_set),
        TEST(what_a_killed_program_has_left_is_removed),
        TEST(a_folder_of_another_name_is_left_alone),
        TEST(what_a_living_program_writes_is_left_alone),
        TEST(a_living_program_of_the_same_number_is_no_obstacle),
        TEST(a_folder_that_was_made_and_cannot_be_opened_is_removed),
        TEST(a_set_that_was_moved_away_without_a_successor_comes_back),
        TEST(a_program_killed_at_any_step_leaves_the_old_set_or_the_new_one),
        TEST(a_file_has_the_hash_that_the_standard_says),
        TEST(a_sha256sum_whose_end_is_not_known_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
