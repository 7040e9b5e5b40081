/* What process 1 determines: modules by name, the host's clock, disks with two roles. */
#define _GNU_SOURCE
#include "clock.h"
#include "init_roles.h"
#include "module_directory.h"
#include "support.h"
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void make_file(const char *name, const char *text)
{
    e2e_write_text(e2e_path("%s", name), text);
}

/* ---- modules ---- */

static const char dep[] =
    "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz "
    "kernel/drivers/virtio/virtio_ring.ko.xz\n"
    "kernel/drivers/virtio/virtio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz\n"
    "kernel/drivers/virtio/virtio_ring.ko.xz:\n"
    "extra/my-module.ko.zst:\n"
    "/elsewhere/far.ko: kernel/drivers/virtio/virtio_ring.ko.xz\n";

static struct mvm_module_directory directory;

static void make_index(void)
{
    make_file("modules.dep", dep);
    make_file("modules.builtin", "kernel/fs/ext4/ext4.ko\n");
    mvm_module_directory_init(&directory, e2e_path("."));
    assert_true(directory.indexed);
}

/* The files of a module, without the directory, each followed by a blank. */
static const char *files_of(const char *name)
{
    static char all[1024];
    struct mvm_module_files files;
    char path[MVM_MODULE_FILE_CAP];
    size_t base = strlen(directory.path) + 1;
    all[0] = '\0';
    assert_int_equal(mvm_module_directory_find(&directory, name, &files), MVM_MODULE_FOUND);
    while (mvm_module_files_next(&files, &directory, path)) {
        bool below = strncmp(path, directory.path, base - 1) == 0;
        strcat(all, below ? path + base : path);
        strcat(all, " ");
    }
    mvm_module_files_close(&files);
    return all;
}

static void a_module_comes_after_what_it_depends_on(void **state)
{
    (void)state;
    make_index();
    assert_string_equal(files_of("virtio_blk"), "kernel/drivers/virtio/virtio_ring.ko.xz "
                                                "kernel/drivers/virtio/virtio.ko.xz "
                                                "kernel/drivers/block/virtio_blk.ko.xz ");
    assert_string_equal(files_of("virtio_ring"), "kernel/drivers/virtio/virtio_ring.ko.xz ");
    assert_string_equal(files_of("far"),
                        "kernel/drivers/virtio/virtio_ring.ko.xz /elsewhere/far.ko ");
}

static void dashes_and_underscores_are_one(void **state)
{
    (void)state;
    make_index();
    assert_string_equal(files_of("virtio-blk"), files_of("virtio_blk"));
    assert_string_equal(files_of("my_module"), "extra/my-module.ko.zst ");
}

static void a_module_may_be_built_in_or_unknown(void **state)
{
    (void)state;
    static const char *const unknown[] = {"virtio_bl", "irtio_blk", "virtio_blk.ko", "", "kernel"};
    struct mvm_module_files files;
    make_index();
    assert_int_equal(mvm_module_directory_find(&directory, "ext4", &files), MVM_MODULE_BUILT_IN);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(mvm_module_directory_find(&directory, unknown[i], &files),
                         MVM_MODULE_UNKNOWN);
    }
}

static void a_directory_without_an_index_is_recognized(void **state)
{
    (void)state;
    struct mvm_module_files files;
    mvm_module_directory_init(&directory, e2e_path("."));
    assert_false(directory.indexed);
    assert_int_equal(mvm_module_directory_find(&directory, "ext4", &files), MVM_MODULE_UNREADABLE);
}

/* ---- the clock ---- */

static void make_clock(const char *name, const char *says)
{
    e2e_make_dir(e2e_path("%s", name));
    e2e_write_text(e2e_path("%s/clock_name", name), says);
}

static void kvms_clock_is_found_by_its_name(void **state)
{
    (void)state;
    char path[MVM_CLOCK_DEVICE_CAP];
    make_clock("ptp0", "e1000e_ptp\n");
    assert_false(mvm_clock_find(e2e_path("."), path));
    make_clock("ptp1", "KVM virtual PTP\n");
    assert_true(mvm_clock_find(e2e_path("."), path));
    assert_string_equal(path, "/dev/ptp1");
    assert_false(mvm_clock_find(e2e_path("none"), path));
}

static void a_clock_is_off_from_the_limit_on(void **state)
{
    (void)state;
    int64_t limit = (int64_t)MVM_CLOCK_OFF_MS * 1000000;
    int64_t now = 1764358000ll * 1000000000;
    assert_false(mvm_clock_is_off(now, now));
    assert_false(mvm_clock_is_off(now, now + limit - 1));
    assert_false(mvm_clock_is_off(now, now - limit + 1));
    assert_true(mvm_clock_is_off(now, now + limit));
    assert_true(mvm_clock_is_off(now, now - limit));
}

/* ---- disks with two roles ---- */

static struct mvm_options options;

static void find_roles(const char *out, const char *in, const char *stream_dir)
{
    mvm_options_begin(&options);
    options.executor.out_device = out;
    options.executor.in_device = in;
    options.executor.stream_dir = stream_dir;
    mvm_init_roles(&options);
}

/* As process 1 leaves it, in this program's private mounts. */
static void mount_store(const char *device)
{
    assert_int_equal(mount(device, "/nix", "ext4", 0, NULL), 0);
}

static void the_stores_disk_is_no_output_disk_whatever_its_name(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *store = e2e_loop(e2e_make_image("image", 1024, NULL), false);
    assert_int_equal(symlink(store, e2e_path("link")), 0);
    find_roles(store, NULL, "/s");
    assert_string_equal(options.executor.out_device, store);
    assert_string_equal(options.executor.out_dir, "/build-out");
    mount_store(store);
    find_roles(e2e_path("link"), store, "/s");
    assert_null(options.executor.out_device);
    assert_null(options.executor.out_dir);
    assert_string_equal(options.executor.in_device, store); /* the kernel's to refuse */
    find_roles(NULL, store, "/s");
    assert_string_equal(options.executor.out_dir, "/build-out");
    assert_int_equal(umount("/nix"), 0);
}

/* An agent that can do no build starts nevertheless, and rejects them. */
static void without_an_output_disk_and_builds_without_disks_all_are_rejected(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *store = e2e_loop(e2e_make_image("image", 1024, NULL), false);
    mount_store(store);
    find_roles(store, NULL, NULL);
    assert_string_equal(options.executor.out_dir, "/build-out");
    assert_string_equal(options.executor.policy_file, "");
    assert_int_equal(umount("/nix"), 0);
}

/* ---- the end ---- */

static void an_agent_without_builds_and_clients_leaves(void **state)
{
    (void)state;
    pid_t agent = E2E_AGENT("a", "--exit-idle", "4");
    struct e2e_conn *c = e2e_dial("a");
    e2e_sleep_ms(5000);
    e2e_say(c, E2E_PING);
    assert_int_equal(e2e_frame(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_PONG);
    uint64_t start = e2e_now_ms();
    e2e_close(c);
    int status = e2e_wait(agent, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(e2e_now_ms() - start >= 3900);
}

/* A power button sends SIGPWR when it is pressed, and again when it is released. */
static void a_power_button_does_not_count_twice(void **state)
{
    (void)state;
    e2e_write_nix("trap '' TERM; echo begins >&2; sleep 1; exit 1");
    pid_t agent = E2E_AGENT("a");
    struct e2e_conn *c = e2e_dial("a");
    e2e_say_build(c, "/f", "a", "");
    e2e_await_line(c, "begins");
    kill(agent, SIGPWR);
    e2e_sleep_ms(100);
    kill(agent, SIGPWR);
    assert_int_equal(e2e_answer(c, E2E_PATIENCE_MS).kind, MVM_MESSAGE_ERR);
    int status = e2e_wait(agent, E2E_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_module_comes_after_what_it_depends_on),
        E2E_TEST(dashes_and_underscores_are_one),
        E2E_TEST(a_module_may_be_built_in_or_unknown),
        E2E_TEST(a_directory_without_an_index_is_recognized),
        E2E_TEST(kvms_clock_is_found_by_its_name),
        E2E_TEST(a_clock_is_off_from_the_limit_on),
        E2E_TEST(the_stores_disk_is_no_output_disk_whatever_its_name),
        E2E_TEST(without_an_output_disk_and_builds_without_disks_all_are_rejected),
        E2E_TEST(an_agent_without_builds_and_clients_leaves),
        E2E_TEST(a_power_button_does_not_count_twice),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
