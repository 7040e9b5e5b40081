/*
 * What is mounted on a directory. A mount is the device's by the device's number, or by its name in
 * the kernel's list: a file system on several devices (btrfs) has a number of its own.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* By the members of the kernel's struct statx: not every libc has it, nor all of them. Since Linux
 * 5.8; 0: not supported. */
static uint64_t ask_mount(int fd)
{
    enum { MNT_ID = 0x1000, MASK_AT = 0, MNT_ID_AT = 18 };
    uint64_t members[32] = {0};
#ifdef SYS_statx
    syscall(SYS_statx, fd, "", AT_EMPTY_PATH, MNT_ID, members);
#endif
    uint32_t mask;
    memcpy(&mask, &members[MASK_AT], sizeof mask);
    return (mask & MNT_ID) != 0 ? members[MNT_ID_AT] : 0;
}

/* As an open file's entry in /proc has it. */
static uint64_t look_up_mount(int fd)
{
    static const char key[] = "mnt_id:\t";
    char path[48];
    struct mvm_writer w;
    struct mvm_posix_lines l;
    struct mvm_text line;
    uint64_t number = 0;
    mvm_writer_init(&w, path, sizeof path);
    mvm_writer_add(&w, "/proc/self/fdinfo/");
    mvm_writer_add_u64(&w, (uint64_t)fd);
    if (!mvm_posix_lines_open(&l, AT_FDCWD, path)) {
        return 0;
    }
    errno = ENOTSUP; /* a kernel before 3.15 */
    while (number == 0 && mvm_posix_lines_next(&l, &line)) {
        if (mvm_text_begins(line, key)) {
            size_t skip = sizeof key - 1;
            number = mvm_posix_number((struct mvm_text){line.bytes + skip, line.len - skip});
        }
    }
    mvm_posix_lines_close(&l);
    return number;
}

uint64_t mvm_posix_mount_of(int fd)
{
    uint64_t id = ask_mount(fd);
    return id != 0 ? id : look_up_mount(fd);
}

static bool is_root(int fd, int parent)
{
    struct stat a;
    struct stat b;
    return fstat(fd, &a) == 0 && fstat(parent, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* A mount point is on another mount than its parent; its device may be the same (a bind mount). */
static int compare_mounts(struct mvm_posix *p, int fd, int parent, uint64_t *id)
{
    uint64_t here = mvm_posix_mount_of(fd);
    uint64_t above = here != 0 ? mvm_posix_mount_of(parent) : 0;
    if (above == 0) {
        mvm_posix_fail(p, "/proc/self/fdinfo", errno);
        return MVM_PORT_FAILED;
    }
    *id = here;
    return here != above || is_root(fd, parent) ? 1 : 0;
}

/* ---- which device ---- */

static bool is_device(struct mvm_text path, const struct stat *device)
{
    char name[MVM_PATH_MAX];
    struct mvm_writer w;
    struct stat st;
    mvm_writer_init(&w, name, sizeof name);
    mvm_posix_add_unescaped(&w, path);
    return !w.cut && stat(name, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == device->st_rdev;
}

/* A line of mountinfo: "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS … - TYPE SOURCE …". */
struct mount {
    uint64_t id;
    struct mvm_text number;
    struct mvm_text root;
    struct mvm_text point;
    struct mvm_text type;
    struct mvm_text source;
};

static struct mount parse_mount(struct mvm_text line)
{
    struct mount m = {.id = mvm_posix_number(mvm_posix_cut(&line, ' '))};
    mvm_posix_cut(&line, ' ');
    m.number = mvm_posix_cut(&line, ' ');
    m.root = mvm_posix_cut(&line, ' ');
    m.point = mvm_posix_cut(&line, ' ');
    while (line.len > 0 && !mvm_text_equal(mvm_posix_cut(&line, ' '), "-")) {
    }
    m.type = mvm_posix_cut(&line, ' ');
    m.source = mvm_posix_cut(&line, ' ');
    return m;
}

/* A folder of it that is bound elsewhere is not the device's mount; a subvolume of btrfs is. */
static bool is_of_device(const struct mount *m, const struct stat *device)
{
    struct mvm_text number = m->number;
    uint64_t high = mvm_posix_number(mvm_posix_cut(&number, ':'));
    if (!mvm_text_equal(m->root, "/") && !mvm_text_equal(m->type, "btrfs")) {
        return false;
    }
    return (high == major(device->st_rdev) && mvm_posix_number(number) == minor(device->st_rdev)) ||
           is_device(m->source, device);
}

static bool find_device(const char *path, struct stat *device)
{
    return stat(path, device) == 0 && S_ISBLK(device->st_mode);
}

/* The first mount of that id (0: any), at that point (NULL: any) and of that device (NULL: any): 1,
 * and its point as the list has it; 0: there is none; -1: errno. `at` may be `point`. */
static int find_mount(uint64_t id, const char *at, const struct stat *device,
                      char point[MVM_PATH_MAX])
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    int found = 0;
    if (!mvm_posix_lines_open(&l, AT_FDCWD, "/proc/self/mountinfo")) {
        return -1;
    }
    while (found == 0 && mvm_posix_lines_next(&l, &line)) {
        struct mount m = parse_mount(line);
        if ((id == 0 || m.id == id) && (at == NULL || mvm_text_equal(m.point, at)) &&
            (device == NULL || is_of_device(&m, device))) {
            struct mvm_writer w;
            mvm_writer_init(&w, point, MVM_PATH_MAX);
            mvm_writer_add_text(&w, m.point);
            found = 1;
        }
    }
    mvm_posix_lines_close(&l);
    return found;
}

/* What the mount of that id is, which is the uppermost at its point. */
static int compare_device(struct mvm_posix *p, uint64_t id, const char *path)
{
    char point[MVM_PATH_MAX] = "";
    struct stat device;
    if (!find_device(path, &device)) {
        return MVM_MOUNTED_OTHER;
    }
    int found = find_mount(id, NULL, &device, point);
    if (found < 0) {
        mvm_posix_fail(p, "/proc/self/mountinfo", errno);
        return MVM_PORT_FAILED;
    }
    if (found > 0) {
        return MVM_MOUNTED_DEVICE;
    }
    find_mount(id, NULL, NULL, point);
    return find_mount(0, point, &device, point) > 0 ? MVM_MOUNTED_OVER : MVM_MOUNTED_OTHER;
}

bool mvm_posix_add_mount_point(const char *path, struct mvm_writer *w)
{
    char point[MVM_PATH_MAX];
    struct stat device;
    if (!find_device(path, &device) || find_mount(0, NULL, &device, point) <= 0) {
        return false;
    }
    mvm_writer_add(w, "on ");
    mvm_posix_add_unescaped(w, mvm_text_from(point));
    return true;
}

int mvm_posix_mounted(struct mvm_posix *p, const char *dir, const char *device)
{
    uint64_t id = 0;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mvm_posix_fail(p, "open", errno);
    }
    int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = parent >= 0 ? compare_mounts(p, fd, parent, &id) : mvm_posix_fail(p, "open", errno);
    if (parent >= 0) {
        close(parent);
    }
    close(fd);
    if (r <= 0) {
        return r;
    }
    return compare_device(p, id, device);
}
