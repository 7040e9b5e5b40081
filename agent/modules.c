#define _GNU_SOURCE
#include "modules.h"
#include "init_device.h"
#include "log.h"
#include "module_directory.h"
#include "small_files.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* MODULE_INIT_COMPRESSED_FILE of <linux/module.h>, which not every libc comes with: Linux 5.17. */
enum { COMPRESSED = 4 };

/* The modules loaded from a directory: devices, the host's line, file systems, the power button,
 * KVM's clock. Each is loaded with its dependencies; those that the kernel lacks are skipped. */
static const char *const common[] = {
    "virtio_pci", "virtio_mmio", "virtio_blk",     "virtio_console", "vmw_vsock_virtio_transport",
    "virtio_net", "virtio_rng",  "crc32c_generic", /* which ext4 and others look for by name */
    "ext4",       "squashfs",    "erofs",          "overlay",        "button",
    "evdev",      "ptp_kvm",
};

/* The format of a compressed file that was loaded: this kernel's, for it has one. */
static char decompressed;

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* The x, g or s of .ko.xz, .gz, .zst; 0: not compressed. */
static char format_of(const char *path)
{
    size_t len = strlen(path);
    return len < 2 || ends_with(path, ".ko") ? '\0' : path[len - 2];
}

/* The meaning of an errno of finit_module; `strange`: of a compressed file of a format that was not
 * decompressed yet. An old kernel lacks the flag, a newer one may lack the decompressor, or the one
 * for this format. */
static const char *reason(int err, bool strange)
{
    return strange && (err == EINVAL || err == EOPNOTSUPP)
               ? "this kernel cannot decompress it: decompress the file"
               : mvm_posix_error_text(err);
}

/* A driver may find that this machine lacks its device. */
static bool is_not_for_this_machine(int err, bool strange)
{
    return err == ENODEV || err == ENXIO || (err == EOPNOTSUPP && !strange);
}

/* Of a path too long for a line of the log, its end. */
static const char *shown(const char *path)
{
    const char *slash = strrchr(path, '/');
    return errno == ENAMETOOLONG && slash != NULL ? slash + 1 : path;
}

static void load(const char *path, bool optional)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char format = format_of(path);
    bool strange = format != '\0' && format != decompressed;
    long r = fd >= 0 ? syscall(SYS_finit_module, fd, "", format != '\0' ? COMPRESSED : 0) : -1;
    bool ignored = optional && is_not_for_this_machine(errno, strange);
    decompressed = r == 0 && format != '\0' ? format : decompressed;
    if (r < 0 && errno != EEXIST && !ignored) {
        mvm_init_fail("cannot load ", shown(path), reason(errno, fd >= 0 && strange));
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- lists ---- */

static void load_line(struct mvm_text line)
{
    static const char blanks[] = {' ', '\t', '\r'};
    char path[MVM_MODULE_FILE_CAP];
    struct mvm_writer w;
    while (line.len > 0 && memchr(blanks, line.bytes[line.len - 1], sizeof blanks) != NULL) {
        line.len--;
    }
    while (line.len > 0 && memchr(blanks, line.bytes[0], sizeof blanks) != NULL) {
        line.bytes++;
        line.len--;
    }
    if (line.len == 0 || line.bytes[0] == '#') {
        return;
    }
    mvm_writer_init(&w, path, sizeof path);
    mvm_writer_add_text(&w, line);
    load(path, false);
}

static void load_list(const char *path)
{
    struct mvm_posix_lines l;
    struct mvm_text line;
    if (!mvm_posix_lines_open(&l, AT_FDCWD, path)) {
        mvm_init_fail("cannot read the list of modules ", path, mvm_posix_error_text(errno));
        return;
    }
    while (mvm_posix_lines_next(&l, &line)) {
        load_line(line);
    }
    mvm_posix_lines_close(&l);
}

/* ---- by name ---- */

/* A module of a directory, with what it depends on. */
static void load_named(const struct mvm_module_directory *d, const char *name, bool optional)
{
    struct mvm_module_files files;
    char path[MVM_MODULE_FILE_CAP];
    switch (mvm_module_directory_find(d, name, &files)) {
    case MVM_MODULE_FOUND:
        while (mvm_module_files_next(&files, d, path)) {
            load(path, optional);
        }
        mvm_module_files_close(&files);
        break;
    case MVM_MODULE_BUILT_IN:
        break;
    case MVM_MODULE_UNKNOWN:
        if (!optional) {
            mvm_init_fail("cannot load ", name, "there is no such module, see modules.dep");
        }
        break;
    case MVM_MODULE_UNREADABLE:
        mvm_init_fail("cannot read modules.dep of ", d->path, mvm_posix_error_text(errno));
        break;
    }
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The directory to look up names in: the first one given. */
static const char *directory_given(const struct mvm_module *modules, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (modules[i].list && is_directory(modules[i].path)) {
            return modules[i].path;
        }
    }
    return "/lib/modules";
}

static void load_common(const struct mvm_module_directory *d)
{
    if (!d->indexed) {
        mvm_init_fail("cannot read modules.dep of ", d->path, "no such file: run depmod");
        return;
    }
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        load_named(d, common[i], true);
    }
}

void mvm_modules_load(const struct mvm_module *modules, size_t len)
{
    struct mvm_module_directory d;
    const char *directory = directory_given(modules, len);
    mvm_module_directory_init(&d, directory);
    for (size_t i = 0; i < len; i++) {
        const char *path = modules[i].path;
        if (modules[i].list && path == directory) {
            load_common(&d);
        } else if (modules[i].list && is_directory(path)) {
            mvm_log("names of modules are found in another directory: ", path, "; ignored");
        } else if (modules[i].list) {
            load_list(path);
        } else if (memchr(path, '/', strlen(path)) != NULL) {
            load(path, false);
        } else {
            load_named(&d, path, false);
        }
    }
}
