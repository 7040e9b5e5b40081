/* What can fail between a valid request and its artifacts: the messages, and the disk. */
#define _GNU_SOURCE
#include "support.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FALLBACK "{\"note\":\"Base fc config placeholder\"}\n"

/* The stand-in prints the request's attribute: a store path, or anything else. */
#define PRINTS_ATTR "echo building >&2; echo \"$attr\""

static const char *const artifacts[] = {"vmlinux", "rootfs.ext4", "fc-base.json"};

/* ---- what is on the disk ---- */

static const char *in_dir(const char *dir, const char *name)
{
    static char path[2 * E2E_PATH_CAP];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void assert_artifacts(const char *dir, const char *kernel, const char *rootfs)
{
    e2e_assert_file(in_dir(dir, "vmlinux"), kernel);
    e2e_assert_file(in_dir(dir, "rootfs.ext4"), rootfs);
    e2e_assert_file(in_dir(dir, "fc-base.json"), FALLBACK);
}

/* Only finished files: no temporary and no unknown names. */
static void assert_tidy(const char *dir)
{
    static const char known[] =
        " . .. lost+found vmlinux rootfs.ext4 fc-base.json initrd build.log ";
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char name[300];
        snprintf(name, sizeof name, " %s ", e->d_name);
        if (strstr(known, name) == NULL) {
            fail_msg("%s was left in %s", e->d_name, dir);
        }
    }
    closedir(d);
}

static void assert_no_artifacts(const char *dir)
{
    for (size_t i = 0; i < sizeof artifacts / sizeof artifacts[0]; i++) {
        assert_false(e2e_exists(in_dir(dir, artifacts[i])));
    }
    assert_tidy(dir);
}

static void build(struct e2e_conn *c, const char *attr)
{
    e2e_say_build(c, "flake", attr, "");
}

static void build_ok(struct e2e_conn *c, const char *store_path)
{
    build(c, store_path);
    assert_string_equal(e2e_assert_ok(c, E2E_PATIENCE_MS), store_path);
}

/* ---- nix ---- */

static void a_nix_that_is_missing_is_reported(void **state)
{
    (void)state;
    E2E_AGENT("a", "--nix", "/nonexistent/nix");
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    const char *message = e2e_assert_err(c, "nix not found: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(message, "/nonexistent/nix"));
}

static void a_nix_that_is_not_a_program_is_reported(void **state)
{
    (void)state;
    e2e_write_text(e2e_path("text"), "not a program\n");
    E2E_AGENT("a", "--nix", e2e_path("text"));
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    e2e_assert_err(c, "nix not found: ", E2E_PATIENCE_MS);
}

static void a_nix_that_appears_later_is_found(void **state)
{
    (void)state;
    E2E_AGENT("a", "--nix", e2e_path("later"));
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    e2e_assert_err(c, "nix not found: ", E2E_PATIENCE_MS);
    assert_int_equal(rename(e2e_path("nix"), e2e_path("later")), 0);
    build(c, "a");
    e2e_assert_err(c, "nix build failed (exit status: 3): ", E2E_PATIENCE_MS);
}

static void how_nix_failed_is_reported_with_the_command(void **state)
{
    static const struct {
        const char *attr;
        const char *message;
    } cases[] = {
        {"exit 1", "nix build failed (exit status: 1): "},
        {"exit 255", "nix build failed (exit status: 255): "},
        {"kill -9 $$", "nix build failed (signal: 9): "},
        {"kill -15 $$", "nix build failed (signal: 15): "},
        {"kill -11 $$", "nix build failed (signal: 11): "},
        {"true", "nix build produced no store path"},
        {"echo /nix/stor/x", "nix build produced no store path"},
        {"echo /nix/store/x >&2", "nix build produced no store path"},
        {"echo ' /nix/store/x'", "nix build produced no store path"},
        {"echo /nix/store/x; exit 1", "nix build failed (exit status: 1): "},
        {"printf '/nix/store/%01100d' 0", "nix build produced no store path"},
    };
    (void)state;
    e2e_write_nix("eval \"$attr\"");
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        build(c, cases[i].attr);
        const char *message = e2e_assert_err(c, cases[i].message, E2E_PATIENCE_MS);
        assert_non_null(strstr(message, e2e_path("nix")));
        assert_non_null(strstr(message, "flake#"));
    }
    assert_no_artifacts(e2e_path("a.out"));
}

static void the_last_store_path_on_stdout_counts(void **state)
{
    (void)state;
    const char *one = e2e_store_image("kernel one", "rootfs one");
    const char *two = e2e_store_image("kernel two", "rootfs two");
    char body[1024];
    snprintf(body, sizeof body, "echo %s; echo noise; printf %s; echo /nix/store/x >&2", one, two);
    e2e_write_nix(body);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    assert_string_equal(e2e_assert_ok(c, E2E_PATIENCE_MS), two);
    assert_artifacts(e2e_path("a.out"), "kernel two", "rootfs two");
}

static void an_old_nix_is_asked_for_json(void **state)
{
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    char text[2048];
    snprintf(text, sizeof text,
             "#!/bin/sh\n"
             "if [ \"$1\" = --version ]; then echo 'nix (Nix) 2.8.1'; exit; fi\n"
             "printf '%%s\\n' \"$@\" >\"$0.argv\"\n"
             "echo '[{\"drvPath\":\"/nix/store/x.drv\",\"outputs\":{\"dev\":\"/nix/store/dev\","
             "\"out\":\"%s\"}}]'\n",
             store);
    e2e_write_text(e2e_path("nix"), text);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    assert_string_equal(e2e_assert_ok(c, E2E_PATIENCE_MS), store);
    assert_non_null(strstr(e2e_read(e2e_path("nix.argv")).bytes, "\n--json\n"));
    assert_null(strstr(e2e_read(e2e_path("nix.argv")).bytes, "--print-out-paths"));
}

/* ---- staging ---- */

static void a_build_puts_its_artifacts_in_place(void **state)
{
    (void)state;
    const char *store = e2e_store_image("the kernel", "the rootfs");
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    build_ok(c, store);
    assert_artifacts(e2e_path("a.out"), "the kernel", "the rootfs");
    char log[2 * E2E_PATH_CAP];
    snprintf(log, sizeof log, "building\n%s\n", store);
    struct mvm_text text = e2e_read(e2e_path("a.out/build.log"));
    assert_int_equal(text.len, strlen(log)); /* two pipes: either line may be first */
    assert_non_null(strstr(text.bytes, "building\n"));
    assert_false(e2e_exists(e2e_path("a.out/initrd")));
    assert_tidy(e2e_path("a.out"));
}

static void sources_are_looked_for_by_both_names_in_order(void **state)
{
    (void)state;
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    const char *both = e2e_store_image("kernel", "rootfs");
    e2e_write_store(both, "vmlinux", "not this");
    e2e_write_store(both, "rootfs.ext4", "nor this");
    build_ok(c, both);
    assert_artifacts(e2e_path("a.out"), "kernel", "rootfs");

    const char *second = e2e_store_path();
    e2e_write_store(second, "vmlinux", "second kernel");
    e2e_write_store(second, "rootfs.ext4", "second rootfs");
    build_ok(c, second);
    assert_artifacts(e2e_path("a.out"), "second kernel", "second rootfs");
}

static void what_is_optional_comes_along_and_goes_again(void **state)
{
    (void)state;
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    const char *full = e2e_store_image("kernel", "rootfs");
    e2e_write_store(full, "initrd", "the initrd");
    e2e_write_store(full, "fc-base.json", "{}");
    build_ok(c, full);
    e2e_assert_file(e2e_path("a.out/initrd"), "the initrd");
    e2e_assert_file(e2e_path("a.out/fc-base.json"), "{}");
    build_ok(c, e2e_store_image("kernel", "rootfs"));
    assert_false(e2e_exists(e2e_path("a.out/initrd"))); /* it would be taken for the new build's */
    assert_artifacts(e2e_path("a.out"), "kernel", "rootfs");
}

static void links_are_followed(void **state)
{
    (void)state;
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    const char *target = e2e_store_image("linked kernel", "linked rootfs");
    const char *links = e2e_store_path();
    char to[2 * E2E_PATH_CAP];
    strcpy(to, in_dir(target, "kernel"));
    assert_int_equal(symlink(to, in_dir(links, "kernel")), 0);
    strcpy(to, in_dir(target, "rootfs"));
    assert_int_equal(symlink(to, in_dir(links, "rootfs")), 0);
    build_ok(c, links);
    assert_artifacts(e2e_path("a.out"), "linked kernel", "linked rootfs");
    struct stat st;
    assert_int_equal(lstat(e2e_path("a.out/vmlinux"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

/* A store path that lacks a required file, or has something in its place that is not a file. */
static const char *broken_store(int kind)
{
    const char *path = e2e_store_path();
    if (kind != 0) {
        e2e_write_store(path, kind == 1 ? "vmlinuz" : "kernel", "new kernel");
    }
    switch (kind) {
    case 3:
        assert_int_equal(mkdir(in_dir(path, "rootfs"), 0755), 0);
        break;
    case 4:
        assert_int_equal(mkfifo(in_dir(path, "rootfs"), 0644), 0);
        break;
    case 5:
        assert_int_equal(symlink("/nonexistent", in_dir(path, "rootfs")), 0);
        break;
    default:
        break;
    }
    return path;
}

static void a_store_path_without_an_image_fails_and_leaves_earlier_artifacts_intact(void **state)
{
    static const char *const messages[] = {
        "failed to copy artifacts: kernel", "failed to copy artifacts: kernel",
        "failed to copy artifacts: rootfs", "failed to copy artifacts: rootfs",
        "failed to copy artifacts: rootfs", "failed to copy artifacts: rootfs",
    };
    (void)state;
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    build_ok(c, e2e_store_image("old kernel", "old rootfs"));
    for (int i = 0; i < 6; i++) {
        build(c, broken_store(i));
        e2e_assert_err(c, messages[i], E2E_PATIENCE_MS);
        assert_artifacts(e2e_path("a.out"), "old kernel", "old rootfs");
        assert_tidy(e2e_path("a.out"));
    }
    build(c, "/nix/store/nothing-there");
    e2e_assert_err(c, "failed to copy artifacts: kernel", E2E_PATIENCE_MS);
    assert_artifacts(e2e_path("a.out"), "old kernel", "old rootfs");
}

static void a_failed_build_leaves_its_log_and_earlier_artifacts(void **state)
{
    (void)state;
    e2e_write_nix("if [ \"$attr\" = bad ]; then echo 'error: no'; exit 1; fi; " PRINTS_ATTR);
    E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    build_ok(c, e2e_store_image("old kernel", "old rootfs"));
    build(c, "bad");
    e2e_assert_err(c, "nix build failed (exit status: 1): ", E2E_PATIENCE_MS);
    e2e_assert_file(e2e_path("a.out/build.log"), "error: no\n");
    assert_artifacts(e2e_path("a.out"), "old kernel", "old rootfs");
    assert_tidy(e2e_path("a.out"));
}

/* ---- directories ---- */

static void an_output_directory_that_cannot_be_made_is_reported(void **state)
{
    (void)state;
    e2e_write_text(e2e_path("file"), "precious");
    const char *const dirs[] = {e2e_path("file"), e2e_path("file/below"), "/proc/nowhere"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        char name[8], expected[2 * E2E_PATH_CAP];
        snprintf(name, sizeof name, "a%zu", i);
        snprintf(expected, sizeof expected, "%s missing or not a directory", dirs[i]);
        E2E_AGENT(name, "--out-dir", dirs[i]);
        struct e2e_conn *c = e2e_dial(name);
        build(c, "a");
        e2e_assert_err(c, expected, E2E_PATIENCE_MS);
        e2e_ping(c, E2E_PATIENCE_MS);
    }
    e2e_assert_file(e2e_path("file"), "precious");
}

static void devices_that_are_absent_are_reported_and_done_without(void **state)
{
    (void)state;
    const char *store = e2e_store_image("kernel", "rootfs");
    e2e_write_nix(PRINTS_ATTR);
    const char *in = e2e_path("in");
    E2E_AGENT("a", "--out-dev", "/dev/nonexistent-out", "--in-dev", "/dev/nonexistent-in",
              "--in-dir", in);
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, in, store, "");
    struct e2e_frame out = e2e_frame(c, E2E_PATIENCE_MS);
    assert_int_equal(out.kind, MVM_MESSAGE_LOG);
    assert_non_null(strstr(out.text.bytes, "/dev/nonexistent-out"));
    struct e2e_frame into = e2e_frame(c, E2E_PATIENCE_MS);
    assert_int_equal(into.kind, MVM_MESSAGE_LOG);
    assert_non_null(strstr(into.text.bytes, "/dev/nonexistent-in"));
    assert_string_equal(e2e_assert_ok(c, E2E_PATIENCE_MS), store);
    assert_artifacts(e2e_path("a.out"), "kernel", "rootfs");
}

/* ---- disks ---- */

static void assert_mount_err(struct e2e_conn *c, const char *device, const char *dir)
{
    char expected[3 * E2E_PATH_CAP];
    snprintf(expected, sizeof expected, "mount %s -> %s failed: ", device, dir);
    e2e_assert_err(c, expected, E2E_PATIENCE_MS);
}

static void a_device_without_a_file_system_is_reported(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *image = e2e_path("blank.img");
    e2e_write_text(image, "nothing that is known");
    assert_int_equal(truncate(image, 1 << 20), 0);
    const char *device = e2e_loop(image, false);
    E2E_AGENT("a", "--out-dev", device);
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    assert_mount_err(c, device, e2e_path("a.out"));
    e2e_ping(c, E2E_PATIENCE_MS);
    assert_memory_equal(e2e_read(image).bytes, "nothing that is known", 21);
}

static void an_out_dev_that_is_not_a_device_is_reported(void **state)
{
    (void)state;
    e2e_write_text(e2e_path("file"), "");
    E2E_AGENT("a", "--out-dev", e2e_path("file"));
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    assert_mount_err(c, e2e_path("file"), e2e_path("a.out"));
}

static void a_read_only_output_disk_is_reported_and_not_touched(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *device = e2e_loop(e2e_make_image("ro.img", 4096, NULL), true);
    E2E_AGENT("a", "--out-dev", device);
    struct e2e_conn *c = e2e_dial("a");
    build(c, "a");
    assert_mount_err(c, device, e2e_path("a.out"));
}

static void an_input_disk_that_is_broken_is_reported_and_the_output_disk_released(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *out = e2e_loop(e2e_make_image("out.img", 4096, NULL), false);
    e2e_write_text(e2e_path("blank.img"), "x");
    assert_int_equal(truncate(e2e_path("blank.img"), 1 << 20), 0);
    const char *in = e2e_loop(e2e_path("blank.img"), false);
    E2E_AGENT("a", "--out-dev", out, "--in-dev", in, "--in-dir", e2e_path("in"));
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, e2e_path("in"), "a", "");
    assert_mount_err(c, in, e2e_path("in"));
    assert_null(strstr(e2e_read("/proc/self/mounts").bytes, e2e_path("a.out")));
}

/* Fills a store path's rootfs with so many bytes. */
static const char *big_store(size_t rootfs_len)
{
    static char bytes[8 << 20];
    const char *path = e2e_store_path();
    memset(bytes, 'r', sizeof bytes);
    assert_true(rootfs_len <= sizeof bytes);
    e2e_write_store(path, "kernel", "new kernel");
    e2e_write(in_dir(path, "rootfs"), bytes, rootfs_len);
    return path;
}

static void a_full_output_disk_keeps_the_earlier_artifacts(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *image = e2e_make_image("full.img", 4096, NULL);
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a", "--out-dev", e2e_loop(image, false));
    struct e2e_conn *c = e2e_dial("a");
    build_ok(c, e2e_store_image("old kernel", "old rootfs"));
    build(c, big_store(6 << 20));
    const char *message =
        e2e_assert_err(c, "failed to copy artifacts: rootfs.ext4: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(message, "No space left on device"));
    const char *seen = e2e_mount(e2e_loop(image, true), "seen", true);
    assert_artifacts(seen, "old kernel", "old rootfs");
    assert_tidy(seen);
    e2e_unmount(seen);
    build_ok(c, e2e_store_image("newer kernel", "newer rootfs")); /* the room is free again */
}

static void a_log_that_fills_the_disk_is_reported_and_the_build_read_to_its_end(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *image = e2e_make_image("full.img", 4096, NULL);
    char body[512];
    snprintf(body, sizeof body,
             "if [ \"$attr\" = log ]; then yes 0123456789abcdef | head -c 6000000; "
             "echo; echo last; echo %s; exit; fi; " PRINTS_ATTR,
             e2e_store_image("new kernel", "new rootfs"));
    e2e_write_nix(body);
    E2E_AGENT("a", "--out-dev", e2e_loop(image, false));
    struct e2e_conn *c = e2e_dial("a");
    build_ok(c, e2e_store_image("old kernel", "old rootfs"));
    build(c, "log");
    e2e_await_line(c, "last");
    const char *message = e2e_assert_err(c, "failed to copy artifacts: ", E2E_PATIENCE_MS);
    assert_non_null(strstr(message, "No space left on device"));
    const char *seen = e2e_mount(e2e_loop(image, true), "seen", true);
    assert_artifacts(seen, "old kernel", "old rootfs");
    assert_tidy(seen);
}

static void a_disk_that_a_process_reads_from_becomes_read_only_before_ok(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *store = e2e_store_image("kernel", "rootfs");
    const char *image = e2e_make_image("busy.img", 4096, NULL);
    e2e_write_nix("echo begin; read -r _ <\"$0.go\"; " PRINTS_ATTR);
    assert_int_equal(mkfifo(e2e_path("nix.go"), 0600), 0);
    E2E_AGENT("a", "--out-dev", e2e_loop(image, false));
    struct e2e_conn *c = e2e_dial("a");
    build(c, store);
    e2e_await_line(c, "begin");
    int holds = open(e2e_path("a.out"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(holds >= 0);
    e2e_write_text(e2e_path("nix.go"), "go\n");
    e2e_assert_ok(c, E2E_PATIENCE_MS);
    assert_int_equal(openat(holds, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
    const char *seen = e2e_mount(e2e_loop(image, true), "seen", true);
    assert_artifacts(seen, "kernel", "rootfs");
    close(holds);
    build(c, store); /* and the next build gets it back */
    e2e_await_line(c, "begin");
    e2e_write_text(e2e_path("nix.go"), "go\n");
    e2e_assert_ok(c, E2E_PATIENCE_MS);
}

static void a_disk_that_a_process_writes_to_cannot_be_released_which_is_reported(void **state)
{
    (void)state;
    e2e_need_disks();
    char expected[2 * E2E_PATH_CAP];
    const char *store = e2e_store_image("kernel", "rootfs");
    e2e_write_nix("echo begin; read -r _ <\"$0.go\"; " PRINTS_ATTR);
    assert_int_equal(mkfifo(e2e_path("nix.go"), 0600), 0);
    E2E_AGENT("a", "--out-dev", e2e_loop(e2e_make_image("busy.img", 4096, NULL), false));
    struct e2e_conn *c = e2e_dial("a");
    build(c, store);
    e2e_await_line(c, "begin");
    int holds = open(e2e_path("a.out/theirs"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(holds >= 0);
    e2e_write_text(e2e_path("nix.go"), "go\n");
    snprintf(expected, sizeof expected, "failed to release %s: ", e2e_path("a.out"));
    e2e_assert_err(c, expected, E2E_PATIENCE_MS);
    close(holds);
}

/* Their files have the same names: one would answer Ok over the other's. */
static void one_of_two_agents_builds_in_a_directory(void **state)
{
    (void)state;
    const char *one = e2e_store_image("kernel one", "rootfs one");
    e2e_write_nix("echo begin; read -r _ <\"$0.go\"; " PRINTS_ATTR);
    assert_int_equal(mkfifo(e2e_path("nix.go"), 0600), 0);
    E2E_AGENT("a");
    E2E_AGENT("b", "--out-dir", e2e_path("a.out"));
    struct e2e_conn *a = e2e_dial("a"), *b = e2e_dial("b");
    build(a, one);
    e2e_await_line(a, "begin");
    build(b, "/nix/store/other");
    e2e_assert_err(b, "failed to copy artifacts: build.log: in use: another agent builds",
                   E2E_PATIENCE_MS);
    e2e_write_text(e2e_path("nix.go"), "go\n");
    assert_string_equal(e2e_assert_ok(a, E2E_PATIENCE_MS), one);
    assert_artifacts(e2e_path("a.out"), "kernel one", "rootfs one");
    build(b, one); /* the other has ended */
    e2e_await_line(b, "begin");
    e2e_write_text(e2e_path("nix.go"), "go\n");
    assert_string_equal(e2e_assert_ok(b, E2E_PATIENCE_MS), one);
}

static void a_disk_that_was_mounted_before_stays_mounted(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *store = e2e_store_image("kernel", "rootfs");
    const char *image = e2e_make_image("mine.img", 4096, NULL);
    const char *out = e2e_mount(e2e_loop(image, false), "mine", false);
    e2e_write_nix(PRINTS_ATTR);
    E2E_AGENT("a", "--out-dir", out, "--out-dev", "/dev/nonexistent");
    struct e2e_conn *c = e2e_dial("a");
    build(c, store);
    struct e2e_frame f = e2e_frame(c, E2E_PATIENCE_MS);
    assert_non_null(strstr(f.text.bytes, "/dev/nonexistent is not used: "));
    e2e_assert_ok(c, E2E_PATIENCE_MS);
    assert_artifacts(out, "kernel", "rootfs");
    assert_non_null(strstr(e2e_read("/proc/self/mounts").bytes, out));
}

/* As `ulimit -s` sets it: 64 KiB are enough for a build, its worker and its end; less is refused.
 */
static void a_small_stack_is_enough_or_refused_at_the_start(void **state)
{
    (void)state;
    static char text[MVM_LOG_LINE_MAX];
    struct rlimit before;
    struct rlimit small = {64 * 1024, RLIM_INFINITY};
    if (MVM_SANITIZER_KIB > 0) {
        E2E_SKIP("a sanitizer makes frames larger");
    }
    memset(text, 'k', sizeof text - 1);
    e2e_write_nix("case $attr in wait) exec sleep 60;; esac; seq 100000; echo $(cat $0.store)");
    e2e_write_text(e2e_path("nix.store"), e2e_store_image(text, text));
    getrlimit(RLIMIT_STACK, &before);
    small.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_STACK, &small);
    pid_t agent = E2E_AGENT("a");
    small.rlim_cur = 63 * 1024;
    setrlimit(RLIMIT_STACK, &small);
    const char *const none[] = {"--listen", "unix:/nonexistent/a", "--stream-dir", "none", NULL};
    pid_t refused = e2e_start_bare_agent("refused", none, NULL);
    int status = e2e_wait(refused, E2E_PATIENCE_MS);
    setrlimit(RLIMIT_STACK, &before);
    assert_int_equal(WEXITSTATUS(status), 1);
    e2e_await_log("refused", "the limit on the stack (ulimit -s) is below 64 KiB");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "f", "go", "");
    e2e_assert_ok(c, E2E_PATIENCE_MS);
    e2e_say_build_secs(c, "wait", 1);
    e2e_assert_err(c, "nix build timed out after 1 s: ", E2E_PATIENCE_MS);
    status = e2e_end(agent, SIGTERM);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_nix_that_is_missing_is_reported),
        E2E_TEST(a_nix_that_is_not_a_program_is_reported),
        E2E_TEST(a_nix_that_appears_later_is_found),
        E2E_TEST(how_nix_failed_is_reported_with_the_command),
        E2E_TEST(the_last_store_path_on_stdout_counts),
        E2E_TEST(an_old_nix_is_asked_for_json),
        E2E_TEST(a_build_puts_its_artifacts_in_place),
        E2E_TEST(sources_are_looked_for_by_both_names_in_order),
        E2E_TEST(what_is_optional_comes_along_and_goes_again),
        E2E_TEST(links_are_followed),
        E2E_TEST(a_store_path_without_an_image_fails_and_leaves_earlier_artifacts_intact),
        E2E_TEST(a_failed_build_leaves_its_log_and_earlier_artifacts),
        E2E_TEST(an_output_directory_that_cannot_be_made_is_reported),
        E2E_TEST(devices_that_are_absent_are_reported_and_done_without),
        E2E_TEST(a_device_without_a_file_system_is_reported),
        E2E_TEST(an_out_dev_that_is_not_a_device_is_reported),
        E2E_TEST(a_read_only_output_disk_is_reported_and_not_touched),
        E2E_TEST(an_input_disk_that_is_broken_is_reported_and_the_output_disk_released),
        E2E_TEST(a_full_output_disk_keeps_the_earlier_artifacts),
        E2E_TEST(a_log_that_fills_the_disk_is_reported_and_the_build_read_to_its_end),
        E2E_TEST(a_disk_that_a_process_reads_from_becomes_read_only_before_ok),
        E2E_TEST(a_disk_that_a_process_writes_to_cannot_be_released_which_is_reported),
        E2E_TEST(one_of_two_agents_builds_in_a_directory),
        E2E_TEST(a_disk_that_was_mounted_before_stays_mounted),
        E2E_TEST(a_small_stack_is_enough_or_refused_at_the_start),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
