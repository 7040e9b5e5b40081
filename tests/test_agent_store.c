/* Which machine gets a store's disk: claims, and where file systems end; disks that do not do. */
#define _GNU_SOURCE
#include "init_store.h"
#include "store_claim.h"
#include "support.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { DISK = 1 << 20, WAIT_MS = 3000 };

static int open_disk(void)
{
    int fd = open(e2e_path("disk"), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) { /* a file system without direct reads */
        fd = open(e2e_path("disk"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, DISK), 0);
    return fd;
}

/* ---- claims ---- */

static uint64_t first_word(int fd)
{
    static _Alignas(4096) uint64_t piece[512];
    assert_int_equal(pread(fd, piece, sizeof piece, DISK - 4096), 4096);
    return piece[0];
}

/* Another machine, as a process: its claim is on the disk when this returns. */
static pid_t start_claim(int fd, int wait_ms)
{
    uint64_t before = first_word(fd);
    pid_t pid = fork();
    if (pid == 0) {
        _exit((int)mvm_store_claim(fd, mvm_store_claim_at(DISK), wait_ms));
    }
    for (int ms = 0; first_word(fd) == before; ms++) {
        assert_true(ms < E2E_PATIENCE_MS);
        e2e_sleep_ms(1);
    }
    return pid;
}

static int result_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_machine_alone_gets_the_disk(void **state)
{
    (void)state;
    int fd = open_disk();
    for (int i = 0; i < 2; i++) { /* the second time there is a claim that a machine has left */
        assert_int_equal(mvm_store_claim(fd, mvm_store_claim_at(DISK), 0), MVM_STORE_FREE);
        assert_true(first_word(fd) != 0);
    }
    close(fd);
}

static void of_two_machines_the_last_one_gets_the_disk(void **state)
{
    (void)state;
    int fd = open_disk();
    pid_t first = start_claim(fd, WAIT_MS);
    pid_t second = start_claim(fd, WAIT_MS);
    assert_int_equal(result_of(first), MVM_STORE_USED);
    assert_int_equal(result_of(second), MVM_STORE_FREE);
    close(fd);
}

static void a_machine_that_renews_its_claim_keeps_the_disk(void **state)
{
    (void)state;
    int fd = open_disk();
    assert_int_equal(mvm_store_claim(fd, mvm_store_claim_at(DISK), 0), MVM_STORE_FREE);
    pid_t late = start_claim(fd, WAIT_MS);
    assert_true(mvm_store_claim_renew(fd, mvm_store_claim_at(DISK)));
    assert_int_equal(result_of(late), MVM_STORE_USED);
    close(fd);
}

static void a_disk_that_cannot_be_claimed_is_not_free(void **state)
{
    (void)state;
    close(open_disk());
    int fd = open(e2e_path("disk"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(mvm_store_claim(fd, mvm_store_claim_at(DISK), 0), MVM_STORE_USE_UNKNOWN);
    assert_int_equal(errno, EBADF);
    close(fd);
}

/* ---- its place ---- */

static void a_claim_is_in_the_last_whole_4_kib(void **state)
{
    (void)state;
    assert_int_equal(mvm_store_claim_at(DISK), DISK - 4096);
    assert_int_equal(mvm_store_claim_at(DISK + 4095), DISK - 4096);
    assert_int_equal(mvm_store_claim_at(DISK + 4096), DISK);
    assert_true(mvm_store_claim_at(UINT64_C(40) << 30) == (UINT64_C(40) << 30) - 4096);
}

struct superblock {
    uint8_t blocks[4]; /* little-endian, as the others */
    uint8_t block_size;
    uint8_t incompatible;
    uint8_t blocks_high;
    uint64_t end;
};

static uint64_t end_of(const struct superblock *s)
{
    struct mvm_store_state state;
    int fd = open(e2e_path("superblock"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(pwrite(fd, s->blocks, 4, 1024 + 0x4), 4);
    assert_int_equal(pwrite(fd, &s->block_size, 1, 1024 + 0x18), 1);
    assert_int_equal(pwrite(fd, &s->incompatible, 1, 1024 + 0x60), 1);
    assert_int_equal(pwrite(fd, &s->blocks_high, 1, 1024 + 0x150), 1);
    assert_true(mvm_store_state(fd, &state));
    close(fd);
    return state.end;
}

static void a_file_systems_end_is_in_its_superblock(void **state)
{
    (void)state;
    static const struct superblock cases[] = {
        {{0, 0, 2, 0}, 0, 0, 0, 128 << 20},
        {{255, 255, 159, 0}, 2, 0, 0, (UINT64_C(40) << 30) - 4096},
        {{1, 0, 0, 0}, 2, 0x80, 1, (UINT64_C(1) << 44) + 4096},
        {{1, 0, 0, 0}, 2, 0, 1, 4096}, /* without the 64bit feature the high half is not used */
        {{1, 0, 0, 0}, 6, 0, 0, 65536},
        {{1, 0, 0, 0}, 7, 0, 0, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(end_of(&cases[i]) == cases[i].end);
    }
}

/* ---- disks that do not do ---- */

static void assert_refused(const char *device, const char *why)
{
    static struct mvm_options options;
    char line[2 * E2E_PATH_CAP];
    int kept = dup(STDERR_FILENO);
    int log = open(e2e_path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    mvm_options_begin(&options);
    options.store = device;
    dup2(log, STDERR_FILENO);
    bool used = mvm_init_store(&options);
    dup2(kept, STDERR_FILENO);
    close(log);
    close(kept);
    snprintf(line, sizeof line, "mvm-builder-agent: cannot use the store on %s: %s\n", device, why);
    assert_string_equal(e2e_read(e2e_path("log")).bytes, line);
    assert_false(used);
}

static void a_disk_smaller_than_its_file_system_is_named_with_its_size(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *image = e2e_make_image("image", 1024, NULL);
    assert_int_equal(truncate(image, 512 * 1024), 0);
    assert_refused(e2e_loop(image, false), "it is smaller than its file system: make it 1048576 "
                                           "bytes long, or longer");
}

static void a_disk_that_is_read_only_is_named(void **state)
{
    (void)state;
    e2e_need_disks();
    assert_refused(e2e_loop(e2e_make_image("image", 1024, NULL), true), "the device is read-only");
}

static void a_disk_that_is_mounted_already_is_named(void **state)
{
    (void)state;
    e2e_need_disks();
    const char *device = e2e_loop(e2e_make_image("image", 1024, NULL), false);
    e2e_mount(device, "mounted", false);
    assert_refused(device, "it has the root file system, or is mounted already: name another disk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        E2E_TEST(a_machine_alone_gets_the_disk),
        E2E_TEST(of_two_machines_the_last_one_gets_the_disk),
        E2E_TEST(a_machine_that_renews_its_claim_keeps_the_disk),
        E2E_TEST(a_disk_that_cannot_be_claimed_is_not_free),
        E2E_TEST(a_claim_is_in_the_last_whole_4_kib),
        E2E_TEST(a_file_systems_end_is_in_its_superblock),
        E2E_TEST(a_disk_smaller_than_its_file_system_is_named_with_its_size),
        E2E_TEST(a_disk_that_is_read_only_is_named),
        E2E_TEST(a_disk_that_is_mounted_already_is_named),
    };
    return cmocka_run_group_tests(tests, e2e_begin, NULL);
}
