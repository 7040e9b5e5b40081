/*
 * Disks: real file systems on loop devices, in a private mount namespace. Skipped, with the reason,
 * without root or loop devices.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "test_posix_fixture.h"
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

enum { MIB = 1 << 20, DISKS = 2, LOOP_TRIES = 50 };

static struct mvm_posix posix;
static struct place place;
static int loops[DISKS] = {-1, -1};
static char devices[DISKS][32];

static int enter_namespace(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0) {
        fprintf(stderr, "no mount namespace of our own: %s\n", strerror(errno));
    }
    return 0;
}

/* Loop devices are freed when their last descriptor is closed. */
static void unblock(void)
{
    for (int i = 0; i < DISKS; i++) {
        if (loops[i] >= 0) {
            close(loops[i]);
            loops[i] = -1;
        }
    }
}

/* Where tests mount. */
static const char *const points[] = {"dir/file", "dir", "disk", "else where"};

/* Also before a test: cmocka runs no tear-down after a test that failed. */
static int clean_up(void **state)
{
    (void)state;
    if (place.dir[0] == '\0') {
        return 0;
    }
    mvm_posix_fini(&posix);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        while (umount2(in_place(&place, 0, points[i]), MNT_DETACH) == 0) {
        }
    }
    unblock();
    remove_place(&place);
    place.dir[0] = '\0';
    return 0;
}

static int set_up(void **state)
{
    static const struct mvm_posix_config config = {0};
    clean_up(state);
    make_place(&place);
    init_without_stdin(&posix, &config);
    return 0;
}

/* ---- loop devices ---- */

/* Attaches an image to a free loop device; another process may be faster. */
static int take_loop(int image, uint32_t flags, char device[32])
{
    struct loop_config config = {.fd = (uint32_t)image, .info.lo_flags = flags};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int fd = -1;
    for (int i = 0; control >= 0 && fd < 0 && i < LOOP_TRIES; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) {
            break;
        }
        snprintf(device, 32, "/dev/loop%d", number);
        fd = open(device, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
            close(fd);
            fd = -1;
        }
    }
    if (control >= 0) {
        close(control);
    }
    return fd;
}

/* Attaches an image in `place` to a loop device; its path. */
static const char *attach(int disk, const char *image, uint32_t flags)
{
    int fd = open(in_place(&place, 0, image), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    loops[disk] = take_loop(fd, flags | LO_FLAGS_AUTOCLEAR, devices[disk]);
    close(fd);
    if (loops[disk] < 0) {
        SKIP_BECAUSE("this machine has no loop device for us: %s", strerror(errno));
    }
    return devices[disk];
}

static void make_image(const char *name, int64_t size)
{
    int fd = open(in_place(&place, 0, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static void make_file_system(const char *program, const char *name, int64_t size)
{
    make_image(name, size);
    const char *const argv[] = {program, "-q", in_place(&place, 0, name), NULL};
    int status = run(argv);
    if (status == 127) {
        SKIP_BECAUSE("%s is not installed", program);
    }
    assert_int_equal(status, 0);
}

static const char *attach_ext4(int64_t size)
{
    make_file_system("mkfs.ext4", "image", size);
    return attach(0, "image", 0);
}

/* The directory where disks are mounted. */
static const char *mount_point(void)
{
    const char *dir = in_place(&place, 1, "dir");
    assert_int_equal(mvm_posix_make_dir(&posix, dir), 0);
    return dir;
}

static unsigned long flags_of(const char *dir)
{
    struct statvfs st;
    assert_int_equal(statvfs(dir, &st), 0);
    return st.f_flag;
}

/* ---- mounting ---- */

static void a_disk_is_mounted_written_released_and_read_again(void **state)
{
    (void)state;
    struct stat st;
    const char *device = attach_ext4(16 * MIB);
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), 0);
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), MVM_MOUNTED_OTHER);
    assert_int_equal(flags_of(dir) & (ST_NOSUID | ST_NODEV | ST_RDONLY), ST_NOSUID | ST_NODEV);
    write_file(in_place(&place, 0, "dir/file"), "text");
    assert_int_equal(mvm_posix_sync_dir(&posix, dir), 0);
    assert_int_equal(mvm_posix_sync_fs(&posix, dir), 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, dir, true), 0);
    assert_int_equal(flags_of(dir) & (ST_NOSUID | ST_NODEV | ST_RDONLY),
                     ST_NOSUID | ST_NODEV | ST_RDONLY);
    assert_int_equal(stat(in_place(&place, 0, "dir/file"), &st), 0);
    assert_int_equal(mvm_posix_open_new(&posix, in_place(&place, 0, "dir/new")), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "unlink new: Read-only file system");
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
}

static void other_file_systems_are_recognized_by_their_superblocks(void **state)
{
    (void)state;
    static const struct {
        const char *program;
        int64_t size;
    } cases[] = {{"mkfs.ext2", 4 * MIB}, {"mkfs.ext3", 16 * MIB}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_file_system(cases[i].program, "image", cases[i].size);
        const char *device = attach(0, "image", 0);
        const char *dir = mount_point();
        assert_int_equal(mvm_posix_mount(&posix, device, dir, false), 0);
        assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
        unblock();
    }
}

static void a_squashfs_is_mounted_read_only(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(mvm_posix_make_dir(&posix, in_place(&place, 0, "tree")), 0);
    write_file(in_place(&place, 0, "tree/flake.nix"), "{ }");
    const char *const argv[] = {"mksquashfs", in_place(&place, 0, "tree"),
                                in_place(&place, 1, "image"), "-quiet", NULL};
    if (run(argv) != 0) {
        SKIP_BECAUSE("mksquashfs is not installed");
    }
    const char *device = attach(0, "image", LO_FLAGS_READ_ONLY);
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mount(&posix, device, dir, true), 0);
    assert_int_equal(stat(in_place(&place, 0, "dir/flake.nix"), &st), 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
}

/* Magic numbers as the kernel's sources have them, at their offsets. */
static void superblocks_are_known_by_their_marks(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        off_t offset;
        const char *mark;
    } cases[] = {
        {"ext4", 0x438, "\x53\xEF"},          {"xfs", 0, "XFSB"},
        {"btrfs", 0x10040, "_BHRfS_M"},       {"squashfs", 0, "hsqs"},
        {"erofs", 0x400, "\xE2\xE1\xF5\xE0"}, {"f2fs", 0x400, "\x10\x20\xF5\xF2"},
        {"iso9660", 0x8001, "CD001"},         {"vfat", 0x36, "FAT16   "},
        {"vfat", 0x52, "FAT32   "},           {"exfat", 3, "EXFAT   "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_image("image", MIB);
        int fd = open(in_place(&place, 0, "image"), O_RDWR | O_CLOEXEC);
        size_t len = strlen(cases[i].mark);
        assert_null(mvm_posix_superblock_type(fd));
        assert_int_equal(pwrite(fd, cases[i].mark, len, cases[i].offset), (ssize_t)len);
        assert_string_equal(mvm_posix_superblock_type(fd), cases[i].type);
        close(fd);
    }
}

static void an_absent_device_is_distinguished_from_a_broken_one(void **state)
{
    (void)state;
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mount(&posix, "/dev/mvm-nowhere", dir, false), MVM_PORT_NOT_FOUND);
    assert_string_equal(reason_of(&posix), "open: No such file or directory");
    /* The directory of temporary files may be on a file system without device nodes. */
    char nodes[sizeof place.path[0]];
    strcpy(nodes, in_place(&place, 0, "nodes"));
    assert_int_equal(mkdir(nodes, 0700), 0);
    if (mount("tmpfs", nodes, "tmpfs", 0, NULL) < 0) {
        assert_int_equal(errno, EPERM);
        assert_int_equal(rmdir(nodes), 0);
        SKIP_BECAUSE("this account may not mount");
    }
    bool made =
        mknod(in_place(&place, 0, "nodes/node"), S_IFBLK | 0600, makedev(259, 1048000)) == 0;
    int result = mvm_posix_mount(&posix, in_place(&place, 0, "nodes/node"), dir, false);
    assert_int_equal(umount2(nodes, MNT_DETACH), 0);
    assert_int_equal(rmdir(nodes), 0);
    if (!made) {
        SKIP_BECAUSE("no device node can be made here");
    }
    assert_int_equal(result, MVM_PORT_NOT_FOUND);
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), 0);
}

static void what_is_not_a_block_device_is_not_mounted(void **state)
{
    (void)state;
    const char *dir = mount_point();
    make_image("image", MIB);
    const char *const paths[] = {in_place(&place, 0, "image"), "/dev/null", "/"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(mvm_posix_mount(&posix, paths[i], dir, false), MVM_PORT_FAILED);
        assert_string_equal(reason_of(&posix), "mount: not a block device");
    }
}

static void a_device_without_a_file_system_says_so(void **state)
{
    (void)state;
    make_image("image", MIB);
    const char *device = attach(0, "image", 0);
    const char *dir = mount_point();
    int before = count_descriptors();
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), MVM_PORT_FAILED);
    assert_int_equal(count_descriptors(), before);
    assert_string_equal(reason_of(&posix), "mount: no file system found");
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), 0);
}

static void a_file_system_that_this_kernel_lacks_is_named(void **state)
{
    (void)state;
    make_image("image", MIB);
    int fd = open(in_place(&place, 0, "image"), O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\x10\x20\xF5\xF2", 4, 1024), 4);
    close(fd);
    const char *device = attach(0, "image", 0);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), MVM_PORT_FAILED);
    if (strcmp(reason_of(&posix), "mount: Invalid argument") == 0) {
        SKIP_BECAUSE("this kernel has f2fs");
    }
    assert_string_equal(reason_of(&posix), "mount: this kernel has no file system f2fs");
}

static void a_broken_file_system_gives_the_kernels_reason(void **state)
{
    (void)state;
    make_image("image", MIB);
    int fd = open(in_place(&place, 0, "image"), O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\x53\xEF", 2, 1080), 2);
    close(fd);
    const char *device = attach(0, "image", 0);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), MVM_PORT_FAILED);
    assert_memory_equal(reason_of(&posix), "mount: Invalid argument", 23);
}

static void a_read_only_device_is_not_mounted_for_writing(void **state)
{
    (void)state;
    make_file_system("mkfs.ext4", "image", 4 * MIB);
    const char *device = attach(0, "image", LO_FLAGS_READ_ONLY);
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "mount: the device is read-only");
    assert_int_equal(mvm_posix_mount(&posix, device, dir, true), 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
}

static void a_disk_in_use_is_busy_and_can_be_made_read_only(void **state)
{
    (void)state;
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), 0);
    int writer = mvm_posix_open_new(&posix, in_place(&place, 0, "dir/file"));
    assert_true(writer >= 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), MVM_PORT_BUSY);
    assert_string_equal(reason_of(&posix), "umount: Device or resource busy");
    assert_int_equal(mvm_posix_remount_ro(&posix, dir), MVM_PORT_BUSY);
    close(writer);
    int reader = open(in_place(&place, 0, "dir/file"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(mvm_posix_unmount(&posix, dir), MVM_PORT_BUSY);
    assert_int_equal(mvm_posix_remount_ro(&posix, dir), 0);
    assert_int_equal(flags_of(dir) & (ST_NOSUID | ST_NODEV | ST_RDONLY),
                     ST_NOSUID | ST_NODEV | ST_RDONLY);
    close(reader);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), MVM_PORT_FAILED);
}

static void a_link_to_a_mount_point_is_mounted_and_unmounted_like_it(void **state)
{
    (void)state;
    const char *device = attach_ext4(4 * MIB);
    mount_point();
    assert_int_equal(symlink("dir", in_place(&place, 1, "link")), 0);
    const char *link = place.path[1];
    assert_int_equal(mvm_posix_mount(&posix, device, link, false), 0);
    assert_int_equal(mvm_posix_mounted(&posix, link, ""), MVM_MOUNTED_OTHER);
    assert_int_equal(mvm_posix_unmount(&posix, link), 0);
    assert_int_equal(mvm_posix_mounted(&posix, link, ""), 0);
}

/* ---- mount points and directories ---- */

static void a_bind_mount_of_the_same_file_system_is_a_mount_point(void **state)
{
    (void)state;
    const char *dir = mount_point();
    assert_int_equal(mkdir(in_place(&place, 0, "bound"), 0755), 0);
    if (mount(place.path[0], dir, "none", MS_BIND, NULL) < 0) {
        SKIP_BECAUSE("mount(2) is not for us");
    }
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), MVM_MOUNTED_OTHER);
    assert_int_equal(mkdir(in_place(&place, 0, "dir/below"), 0755), 0);
    assert_int_equal(mvm_posix_mounted(&posix, in_place(&place, 0, "dir/below"), ""), 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
    assert_int_equal(mvm_posix_mounted(&posix, dir, ""), 0);
}

static void the_root_is_a_mount_point_and_what_is_not_a_directory_an_error(void **state)
{
    (void)state;
    write_file(in_place(&place, 0, "file"), "");
    assert_int_equal(mvm_posix_mounted(&posix, "/", ""), MVM_MOUNTED_OTHER);
    assert_int_equal(mvm_posix_mounted(&posix, place.path[0], ""), MVM_PORT_NOT_DIRECTORY);
    assert_int_equal(mvm_posix_mounted(&posix, "/mvm-nowhere", ""), MVM_PORT_NOT_FOUND);
}

static void directories_are_made_with_those_above_them(void **state)
{
    (void)state;
    static const char *const paths[] = {"a", "a", "b/c/d", "e//f/", "link-to-a"};
    struct stat st;
    assert_int_equal(symlink("a", in_place(&place, 0, "link-to-a")), 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *path = in_place(&place, 0, paths[i]);
        assert_int_equal(mvm_posix_make_dir(&posix, path), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
    }
}

static void what_stands_in_the_way_of_a_directory_is_an_error(void **state)
{
    (void)state;
    static const char *const paths[] = {"file", "file/below", "dangling"};
    write_file(in_place(&place, 0, "file"), "");
    assert_int_equal(symlink("nowhere", in_place(&place, 0, "dangling")), 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(mvm_posix_make_dir(&posix, in_place(&place, 0, paths[i])),
                         MVM_PORT_NOT_DIRECTORY);
        assert_string_equal(reason_of(&posix), "mkdir: Not a directory");
    }
}

/* One byte past MVM_PATH_MAX, terminator included; at the limit the kernel takes it. */
static void a_directory_path_past_the_limit_is_an_error(void **state)
{
    (void)state;
    static char path[MVM_PATH_MAX + 1];
    memset(path, '/', sizeof path - 1);
    memcpy(path + sizeof path - 1 - 4, "/tmp", 4);
    assert_int_equal(mvm_posix_make_dir(&posix, path + 1), 0);
    memcpy(path + sizeof path - 1 - 4, "/mvm", 4);
    assert_int_equal(mvm_posix_make_dir(&posix, path), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "mkdir: File name too long");
}

static void a_directory_on_a_read_only_disk_cannot_be_made(void **state)
{
    (void)state;
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mount(&posix, device, dir, true), 0);
    assert_int_equal(mvm_posix_make_dir(&posix, in_place(&place, 0, "dir/new")), MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "mkdir: Read-only file system");
    assert_int_equal(mvm_posix_make_dir(&posix, in_place(&place, 0, "dir/lost+found")), 0);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
}

/* ---- which device is mounted, and whether a disk is released ---- */

static void a_mount_of_the_device_is_distinguished_from_another(void **state)
{
    (void)state;
    static const char *const programs[] = {"mkfs.ext4", "mkfs.btrfs"};
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        make_file_system(programs[i], "image", 128 * (int64_t)MIB);
        const char *device = attach(0, "image", 0);
        const char *dir = mount_point();
        char link[300];
        assert_int_equal(mvm_posix_mounted(&posix, dir, device), MVM_MOUNTED_NOTHING);
        if (mvm_posix_mount(&posix, device, dir, false) < 0) {
            SKIP_BECAUSE("this kernel has no file system of %s", programs[i]);
        }
        assert_int_equal(mvm_posix_mounted(&posix, dir, device), MVM_MOUNTED_DEVICE);
        snprintf(link, sizeof link, "%s/link", place.dir);
        assert_int_equal(symlink(device, link), 0);
        assert_int_equal(mvm_posix_mounted(&posix, dir, link), MVM_MOUNTED_DEVICE);
        assert_int_equal(mvm_posix_mounted(&posix, dir, "/dev/null"), MVM_MOUNTED_OTHER);
        assert_int_equal(mount("none", dir, "tmpfs", 0, NULL), 0);
        assert_int_equal(mvm_posix_mounted(&posix, dir, device), MVM_MOUNTED_OVER);
        assert_int_equal(mount("none", dir, "tmpfs", 0, NULL), 0);
        assert_int_equal(mvm_posix_mounted(&posix, dir, device), MVM_MOUNTED_OVER);
        assert_int_equal(mvm_posix_mounted(&posix, dir, "/dev/null"), MVM_MOUNTED_OTHER);
        assert_int_equal(umount2(dir, 0), 0);
        assert_int_equal(umount2(dir, 0), 0);
        assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
        unlink(link);
        unblock();
    }
}

/* The folder is the machine's own, and stays mounted. */
static void a_folder_of_the_disk_is_not_the_disk(void **state)
{
    (void)state;
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    char disk[300], folder[310];
    snprintf(disk, sizeof disk, "%s/disk", place.dir);
    snprintf(folder, sizeof folder, "%s/folder", disk);
    assert_int_equal(mkdir(disk, 0755), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, disk, false), 0);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(mount(folder, dir, "none", MS_BIND, NULL), 0);
    assert_int_equal(mvm_posix_mounted(&posix, dir, device), MVM_MOUNTED_OTHER);
    assert_int_equal(mvm_posix_mounted(&posix, disk, device), MVM_MOUNTED_DEVICE);
    assert_int_equal(umount2(dir, 0), 0);
    assert_int_equal(umount2(disk, 0), 0);
}

/* From its mount to its unmount: another agent would take it for that of one that was killed. */
static void a_disk_in_use_cannot_be_unmounted_by_others(void **state)
{
    (void)state;
    int r;
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    AWAIT(r, port->mount(&posix, device, dir, false));
    assert_int_equal(r, 0);
    assert_int_equal(umount2(dir, 0), -1);
    assert_int_equal(errno, EBUSY);
    AWAIT(r, port->unmount(&posix, in_place(&place, 0, "")));
    assert_int_equal(umount2(dir, 0), -1); /* what else is unmounted makes no difference */
    AWAIT(r, port->unmount(&posix, dir));
    assert_int_equal(r, 0);
    end_job(&posix);
}

/* rename(2) to it would fail, after others had succeeded. */
static void a_name_that_is_a_mount_point_cannot_be_replaced(void **state)
{
    (void)state;
    int r;
    const char *dir = mount_point();
    char file[300];
    snprintf(file, sizeof file, "%s/file", dir);
    if (mount("none", dir, "tmpfs", 0, NULL) < 0) {
        SKIP_BECAUSE("mount(2) is not for us");
    }
    write_file(file, "");
    write_file(in_place(&place, 0, "other"), "");
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "dir/log")));
    AWAIT(r, port->replaceable(&posix, in_place(&place, 0, "dir/absent")));
    assert_int_equal(r, 0);
    AWAIT(r, port->replaceable(&posix, file));
    assert_int_equal(r, 0);
    assert_int_equal(mount(in_place(&place, 0, "other"), file, "none", MS_BIND, NULL), 0);
    AWAIT(r, port->replaceable(&posix, file));
    assert_int_equal(r, MVM_PORT_BUSY);
    assert_string_equal(reason_of(&posix), "rename: Device or resource busy");
    end_job(&posix);
    assert_int_equal(umount2(file, 0), 0);
    assert_int_equal(umount2(dir, 0), 0);
}

/* As `umount -l` by the build: the copies are then in the directory below. */
static void a_directory_that_was_unmounted_meanwhile_is_another(void **state)
{
    (void)state;
    int r;
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    AWAIT(r, port->mount(&posix, device, dir, false));
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "dir/log")));
    assert_int_equal(r, 0);
    AWAIT(r, port->replaceable(&posix, in_place(&place, 0, "dir/file")));
    assert_int_equal(r, 0);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    AWAIT(r, port->replaceable(&posix, in_place(&place, 0, "dir/file")));
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix),
                        "rename: another directory has the name since the build began");
    end_job(&posix);
}

static void a_disk_that_is_mounted_elsewhere_is_not_mounted_for_writing(void **state)
{
    (void)state;
    char expected[400];
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    char elsewhere[300];
    snprintf(elsewhere, sizeof elsewhere, "%s/else where", place.dir);
    assert_int_equal(mkdir(elsewhere, 0755), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, elsewhere, false), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), MVM_PORT_BUSY);
    snprintf(expected, sizeof expected, "%s: it is still in use: mounted on %s", device, elsewhere);
    assert_string_equal(reason_of(&posix), expected);
    assert_int_equal(mvm_posix_mounted(&posix, dir, device), MVM_MOUNTED_NOTHING);
    assert_int_equal(umount2(elsewhere, 0), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), 0);
    assert_int_equal(umount2(dir, 0), 0);
}

/* A process with a copy of the mounts, like a container, which keeps the super block alive. */
static pid_t hold_mounts(int *go)
{
    int ready[2];
    int end[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(end, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(end[1]);
        unshare(CLONE_NEWNS);
        ssize_t n = write(ready[1], "r", 1);
        n = read(end[0], &byte, 1);
        _exit(n == 1 ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]), close(ready[1]), close(end[0]);
    *go = end[1];
    return pid;
}

static void a_disk_that_another_namespace_has_mounted_is_not_released(void **state)
{
    (void)state;
    int go;
    int status;
    const char *device = attach_ext4(4 * MIB);
    assert_int_equal(mvm_posix_released(&posix, device), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), 0);
    assert_int_equal(mvm_posix_released(&posix, device), MVM_PORT_BUSY);
    pid_t pid = hold_mounts(&go);
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
    assert_int_equal(mvm_posix_released(&posix, device), MVM_PORT_BUSY);
    assert_non_null(strstr(reason_of(&posix), "it is still in use: mounted elsewhere, or in "));
    assert_int_equal(write(go, "g", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(go);
    int r = MVM_PORT_BUSY;
    for (int i = 0; i < 100 && r == MVM_PORT_BUSY; i++) {
        r = mvm_posix_released(&posix, device);
        sleep_ms(20);
    }
    assert_int_equal(r, 0);
    assert_int_equal(mvm_posix_released(&posix, "/dev/mvm-none"), MVM_PORT_NOT_FOUND);
}

/* ---- why a mount fails ---- */

/* Sets bits of a 32-bit member of an ext4 super block, with its checksum left wrong or absent. */
static void set_ext4_bits(const char *image, off_t at, uint32_t bits)
{
    uint32_t value;
    int fd = open(image, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &value, sizeof value, 1024 + at), sizeof value);
    value |= bits;
    assert_int_equal(pwrite(fd, &value, sizeof value, 1024 + at), sizeof value);
    close(fd);
}

static void make_plain_ext4(void)
{
    make_image("image", 16 * MIB);
    const char *const argv[] = {
        "mkfs.ext4", "-q", "-O", "^metadata_csum", in_place(&place, 0, "image"), NULL};
    assert_int_equal(run(argv), 0);
}

static void a_dirty_journal_on_a_read_only_device_is_named(void **state)
{
    (void)state;
    make_plain_ext4();
    set_ext4_bits(in_place(&place, 0, "image"), 96, 0x4);
    const char *device = attach(0, "image", LO_FLAGS_READ_ONLY);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), true), MVM_PORT_FAILED);
    assert_non_null(strstr(reason_of(&posix), ": its journal has to be replayed, which needs a "
                                              "device that can be written: unmount it cleanly"));
}

static void a_feature_that_the_kernel_lacks_is_named(void **state)
{
    (void)state;
    make_plain_ext4();
    set_ext4_bits(in_place(&place, 0, "image"), 96, 0x40000000);
    const char *device = attach(0, "image", 0);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), MVM_PORT_FAILED);
    assert_non_null(strstr(reason_of(&posix), ": it has features that this kernel lacks"));
}

static void an_xfs_that_is_mounted_twice_is_named(void **state)
{
    (void)state;
    make_file_system("mkfs.xfs", "image", 512 * (int64_t)MIB);
    const char *const argv[] = {"cp", in_place(&place, 0, "image"), in_place(&place, 1, "copy"),
                                NULL};
    assert_int_equal(run(argv), 0);
    const char *first = attach(0, "image", 0);
    if (mvm_posix_mount(&posix, first, mount_point(), false) < 0) {
        SKIP_BECAUSE("this kernel has no xfs");
    }
    const char *second = attach(1, "copy", 0);
    assert_int_equal(mkdir(in_place(&place, 0, "other"), 0755), 0);
    assert_int_equal(mvm_posix_mount(&posix, second, place.path[0], false), MVM_PORT_FAILED);
    assert_non_null(strstr(reason_of(&posix), ": a file system with its UUID is mounted already"));
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
}

static const struct {
    const char *line;
    bool is_reason;
} log_cases[] = {
    {"EXT4-fs (sdb1): bad geometry", true},
    {"sdb1: cannot", true},
    {"error on sdb1", true},
    {"sdb1", true},
    {"xsdb1 sdb1", true},
    {"/dev/sdb1,", true},
    {"", false},
    {"sdb", false},
    {"db1: x", false},
    {"sdb12: x", false},
    {"sdb1a: x", false},
    {"sdb1z", false},
    {"sdb1A", false},
    {"sdb1Z", false},
    {"sdb10", false},
    {"sdb19", false},
    {"asdb1", false},
    {"zsdb1 x", false},
    {"Asdb1", false},
    {"Zsdb1", false},
    {"0sdb1", false},
    {"9sdb1", false},
};

/* A socket that keeps packets apart stands for the kernel's log, and a file for the device. */
static void the_kernels_line_about_the_device_is_the_reason(void **state)
{
    (void)state;
    write_file(in_place(&place, 0, "sdb1"), "");
    for (size_t i = 0; i < sizeof log_cases / sizeof log_cases[0]; i++) {
        char record[128], expected[160], reason[160];
        struct mvm_writer w;
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
        snprintf(record, sizeof record, "4,%zu,1,-;other: sdc1\n", i);
        assert_true(write(ends[1], record, strlen(record)) > 0);
        snprintf(record, sizeof record, "4,%zu,2,-;%s\n SUBSYSTEM=sdb1\n", i, log_cases[i].line);
        assert_true(write(ends[1], record, strlen(record)) > 0);
        struct mvm_posix_kmsg log = {ends[0]};
        mvm_writer_init(&w, reason, sizeof reason);
        mvm_writer_add(&w, "it failed");
        mvm_posix_explain_mount(&w, place.path[0], false, &log);
        mvm_writer_finish(&w);
        snprintf(expected, sizeof expected, "it failed%s%s", log_cases[i].is_reason ? ": " : "",
                 log_cases[i].is_reason ? log_cases[i].line : "");
        assert_string_equal(reason, expected);
        mvm_posix_kmsg_close(&log);
        close(ends[1]);
    }
}

/* As chattr(1) makes it: such a file cannot be replaced. */
static void a_file_with_a_lock_of_its_file_system_is_known_before(void **state)
{
    static const int locks[] = {0, FS_IMMUTABLE_FL, FS_APPEND_FL};
    (void)state;
    const char *device = attach_ext4(4 * MIB);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), 0);
    write_file(in_place(&place, 0, "dir/file"), "text");
    int fd = open(place.path[0], O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        int none = 0, lock = locks[i];
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &lock), 0);
        int r = mvm_posix_replaceable(&posix, place.path[0]);
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &none), 0);
        assert_int_equal(r, locks[i] != 0 ? MVM_PORT_FAILED : 0);
    }
    assert_string_equal(reason_of(&posix), "rename: Operation not permitted");
    close(fd);
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
}

/* ---- copies to disks ---- */

static void fill_file(const char *path, int64_t size)
{
    static uint8_t block[65536];
    memset(block, 0x5a, sizeof block);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int64_t done = 0; done < size; done += (int64_t)sizeof block) {
        assert_int_equal(write(fd, block, sizeof block), (ssize_t)sizeof block);
    }
    close(fd);
}

static void copy_there(const char *source, const char *target)
{
    int64_t sum;
    assert_int_equal(copy_by_worker(&posix, NULL, in_place(&place, 0, source),
                                    in_place(&place, 1, target), &sum),
                     0);
    end_job(&posix);
}

static void a_full_disk_is_reported_as_such(void **state)
{
    (void)state;
    uint8_t block[4096] = {0};
    int64_t sum;
    int r;
    const char *device = attach_ext4(4 * MIB);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), 0);
    fill_file(in_place(&place, 0, "from"), 8 * MIB);
    assert_int_equal(
        copy_by_worker(&posix, NULL, place.path[0], in_place(&place, 1, "dir/to"), &sum),
        MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "write: No space left on device");
    AWAIT(r, port->open_log(&posix, in_place(&place, 0, "dir/log")));
    assert_int_equal(r, 0);
    for (int i = 0; i < 2048; i++) {
        AWAIT(r, port->write_log(&posix, block, sizeof block));
        assert_true(r > 0);
    }
    AWAIT(r, port->close_log(&posix));
    assert_int_equal(r, MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "write: No space left on device");
    end_job(&posix);
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
}

/* ext4 with blocks of 1 KiB has files of up to 4 TiB. */
static void a_file_too_large_for_the_disk_has_that_reason(void **state)
{
    (void)state;
    int64_t sum;
    const char *device = attach_ext4(16 * MIB);
    int fd = open(in_place(&place, 0, "from"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (pwrite(fd, "x", 1, (off_t)7 << 40) != 1) {
        close(fd);
        SKIP_BECAUSE("no file of 7 TiB can be made here: %s", strerror(errno));
    }
    close(fd);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), 0);
    assert_int_equal(copy_by_worker(&posix, NULL, in_place(&place, 0, "from"),
                                    in_place(&place, 1, "dir/to"), &sum),
                     MVM_PORT_FAILED);
    assert_string_equal(reason_of(&posix), "lseek: File too large");
    end_job(&posix);
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
}

/* In containers, for instance. The kernel itself reports on which mount a file is. */
static void a_disk_is_mounted_without_proc(void **state)
{
    (void)state;
    const char *device = attach_ext4(4 * MIB);
    const char *dir = mount_point();
    assert_int_equal(mount("none", "/proc", "tmpfs", 0, NULL), 0);
    int before = mvm_posix_mounted(&posix, dir, device);
    int mounted = mvm_posix_mount(&posix, device, dir, false);
    int after = mvm_posix_mounted(&posix, dir, device);
    char reason[MVM_POSIX_REASON_CAP];
    strcpy(reason, reason_of(&posix));
    assert_int_equal(umount2("/proc", 0), 0);
    assert_int_equal(before, MVM_MOUNTED_NOTHING);
    assert_int_equal(mounted, 0);
    assert_int_equal(after, MVM_PORT_FAILED); /* whose mount that is, only /proc reports */
    assert_string_equal(reason, "/proc/self/mountinfo: No such file or directory");
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
}

static void a_copy_between_disks_is_whole(void **state)
{
    (void)state;
    const char *device = attach_ext4(32 * MIB);
    fill_file(in_place(&place, 0, "from"), 20 * MIB);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), 0);
    copy_there("from", "dir/to");
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "dir/to"));
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
}

/* How many whole pages of a file are in memory. */
static size_t pages_in_memory(const char *path)
{
    static unsigned char resident[32 * MIB / 4096];
    struct stat st;
    size_t count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    void *pages = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mincore(pages, (size_t)st.st_size, resident), 0);
    for (int64_t i = 0; i < st.st_size / sysconf(_SC_PAGESIZE); i++) {
        count += resident[i] & 1;
    }
    munmap(pages, (size_t)st.st_size);
    close(fd);
    return count;
}

/* A run of 20 MiB and some bytes, a hole, and another run. */
static void make_source(void)
{
    int fd = open(in_place(&place, 0, "from"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    put_data(fd, 0, 20 * MIB + 5);
    put_data(fd, 24 * MIB, 4 * MIB + 4096 + 511);
    close(fd);
}

/* Mounts a disk, copies, mounts it again to read from the device, and compares. */
static void copy_to_disk(const char *device)
{
    make_source();
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), false), 0);
    copy_there("from", "dir/to");
    size_t pages = pages_in_memory(in_place(&place, 0, "dir/to"));
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), true), 0);
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "dir/to"));
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
    assert_true(pages < 64);
}

/* The kernel writes directly from the source's pages, without copying them to the target's. */
static void a_large_copy_leaves_nothing_in_memory(void **state)
{
    (void)state;
    copy_to_disk(attach_ext4(64 * MIB));
}

static void a_copy_to_blocks_smaller_than_pages_is_whole(void **state)
{
    (void)state;
    make_image("image", 64 * MIB);
    const char *const argv[] = {"mkfs.ext4", "-q", "-b", "1024", in_place(&place, 0, "image"),
                                NULL};
    if (run(argv) != 0) {
        SKIP_BECAUSE("%s is not installed", argv[0]);
    }
    copy_to_disk(attach(0, "image", 0));
}

static void a_copy_to_xfs_is_whole(void **state)
{
    (void)state;
    make_file_system("mkfs.xfs", "image", 512 * (int64_t)MIB);
    const char *device = attach(0, "image", 0);
    if (mvm_posix_mount(&posix, device, mount_point(), false) < 0) {
        SKIP_BECAUSE("this kernel has no xfs");
    }
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
    copy_to_disk(device);
}

/* They have no disk: one reports that, the other only in some kernels. */
static void a_copy_into_memory_is_whole(void **state)
{
    (void)state;
    static const char *const types[] = {"ramfs", "tmpfs"};
    make_source();
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (mount("none", mount_point(), types[i], 0, NULL) < 0) {
            SKIP_BECAUSE("no mounts");
        }
        copy_there("from", "dir/to");
        assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "dir/to"));
        assert_int_equal(umount2(mount_point(), 0), 0);
    }
}

static void a_copy_from_squashfs_is_whole(void **state)
{
    (void)state;
    make_source();
    const char *const argv[] = {"mksquashfs", in_place(&place, 0, "from"),
                                in_place(&place, 1, "image"), "-quiet", NULL};
    if (run(argv) != 0) {
        SKIP_BECAUSE("mksquashfs is not installed");
    }
    const char *device = attach(0, "image", LO_FLAGS_READ_ONLY);
    assert_int_equal(mvm_posix_mount(&posix, device, mount_point(), true), 0);
    copy_there("dir/from", "to");
    assert_same(in_place(&place, 0, "from"), in_place(&place, 1, "to"));
    assert_int_equal(mvm_posix_unmount(&posix, mount_point()), 0);
}

/* One call, whatever the slice, and no more blocks in use than before. */
static void a_copy_within_a_file_system_that_can_share_blocks_shares_them(void **state)
{
    (void)state;
    struct statvfs before;
    struct statvfs after;
    make_file_system("mkfs.btrfs", "image", 128 * (int64_t)MIB);
    const char *device = attach(0, "image", 0);
    const char *dir = mount_point();
    assert_int_equal(mvm_posix_mount(&posix, device, dir, false), 0);
    fill_file(in_place(&place, 0, "dir/from"), 16 * MIB);
    assert_int_equal(mvm_posix_sync_fs(&posix, dir), 0);
    assert_int_equal(statvfs(dir, &before), 0);
    int from = open(place.path[0], O_RDONLY | O_CLOEXEC);
    int to = mvm_posix_open_new(&posix, in_place(&place, 0, "dir/to"));
    struct mvm_posix_work w = {.from = from, .to = to, .max = 4096};
    assert_int_equal(mvm_posix_copy_piece(&w), 16 * MIB);
    assert_int_equal(mvm_posix_copy_piece(&w), 0);
    assert_int_equal(mvm_posix_sync_piece(&w), 0);
    close(from);
    close(to);
    assert_int_equal(statvfs(dir, &after), 0);
    assert_true((before.f_bfree - after.f_bfree) * before.f_bsize < MIB);
    assert_int_equal(mvm_posix_unmount(&posix, dir), 0);
}

#define ALONE(test) cmocka_unit_test_setup_teardown(test, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(a_disk_is_mounted_written_released_and_read_again),
        ALONE(other_file_systems_are_recognized_by_their_superblocks),
        ALONE(a_squashfs_is_mounted_read_only),
        ALONE(superblocks_are_known_by_their_marks),
        ALONE(an_absent_device_is_distinguished_from_a_broken_one),
        ALONE(what_is_not_a_block_device_is_not_mounted),
        ALONE(a_device_without_a_file_system_says_so),
        ALONE(a_file_system_that_this_kernel_lacks_is_named),
        ALONE(a_broken_file_system_gives_the_kernels_reason),
        ALONE(a_read_only_device_is_not_mounted_for_writing),
        ALONE(a_disk_in_use_is_busy_and_can_be_made_read_only),
        ALONE(a_link_to_a_mount_point_is_mounted_and_unmounted_like_it),
        ALONE(a_bind_mount_of_the_same_file_system_is_a_mount_point),
        ALONE(the_root_is_a_mount_point_and_what_is_not_a_directory_an_error),
        ALONE(directories_are_made_with_those_above_them),
        ALONE(what_stands_in_the_way_of_a_directory_is_an_error),
        ALONE(a_directory_path_past_the_limit_is_an_error),
        ALONE(a_directory_on_a_read_only_disk_cannot_be_made),
        ALONE(a_mount_of_the_device_is_distinguished_from_another),
        ALONE(a_folder_of_the_disk_is_not_the_disk),
        ALONE(a_disk_in_use_cannot_be_unmounted_by_others),
        ALONE(a_name_that_is_a_mount_point_cannot_be_replaced),
        ALONE(a_directory_that_was_unmounted_meanwhile_is_another),
        ALONE(a_disk_that_is_mounted_elsewhere_is_not_mounted_for_writing),
        ALONE(a_disk_that_another_namespace_has_mounted_is_not_released),
        ALONE(a_dirty_journal_on_a_read_only_device_is_named),
        ALONE(a_feature_that_the_kernel_lacks_is_named),
        ALONE(an_xfs_that_is_mounted_twice_is_named),
        ALONE(the_kernels_line_about_the_device_is_the_reason),
        ALONE(a_file_with_a_lock_of_its_file_system_is_known_before),
        ALONE(a_full_disk_is_reported_as_such),
        ALONE(a_file_too_large_for_the_disk_has_that_reason),
        ALONE(a_disk_is_mounted_without_proc),
        ALONE(a_copy_between_disks_is_whole),
        ALONE(a_large_copy_leaves_nothing_in_memory),
        ALONE(a_copy_to_blocks_smaller_than_pages_is_whole),
        ALONE(a_copy_to_xfs_is_whole),
        ALONE(a_copy_into_memory_is_whole),
        ALONE(a_copy_from_squashfs_is_whole),
        ALONE(a_copy_within_a_file_system_that_can_share_blocks_shares_them),
    };
    return cmocka_run_group_tests(tests, enter_namespace, clean_up);
}
