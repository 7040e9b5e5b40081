#define _GNU_SOURCE
#include "init_store.h"
#include "init_device.h"
#include "log.h"
#include "store_claim.h"
#include "system.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* <linux/ext4.h>, spelled out: not every libc comes with the kernel's headers. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

enum {
    E2FSCK_FAILED = 4, /* bits from here on: errors are left, or it could not run */
    EMPTY_BYTES = 1 << 20,
    PIECE = 4096,
    EMPTY_WATCH_S = 11, /* as long as MMP's: what a machine that formats needs to renew its claim */
    RENEW_MS = 500,     /* … which it does this often */
    FREE_WATCH_MS = 500, /* what a mount needs to write MMP's mark */
};

struct disk {
    const char *device;
    uint64_t size;
    uint64_t claim_at;            /* where the file system should end */
    struct mvm_store_state state; /* of the file system */
};

static const char staging[] = "/run/mvm-store"; /* where the disk is until it is complete */
static const char nix_dir[] = "/nix";

static const char cannot_use[] = "cannot use the store on ";
static const char in_use[] = "another machine uses it";

static bool fail(const char *device, const char *why)
{
    return mvm_init_fail(cannot_use, device, why);
}

static bool fail_errno(const char *device)
{
    return fail(device, mvm_posix_error_text(errno));
}

/* ---- programs of the root file system ---- */

static _Noreturn void exec(const char *const argv[])
{
    static const char *const dirs[] = {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/",
                                       "/run/current-system/sw/bin/"};
    static const char *const environment[] = {"PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        char path[64];
        if (mvm_text_join(path, sizeof path, dirs[i], argv[0], "")) {
            execve(path, (char *const *)argv, (char *const *)environment);
        }
    }
    _exit(127);
}

static pid_t start(const char *const argv[])
{
    pid_t pid = mvm_posix_fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        exec(argv);
    }
    return pid;
}

static int exit_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Runs a program to its end: its exit status; 127 if there is none, 128 if a signal ended it. */
static int run(const char *const argv[])
{
    int status;
    pid_t pid = start(argv);
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return 127;
        }
    }
    return pid < 0 ? 127 : exit_status(status);
}

/* The same, while the claim on the disk is renewed; a program that outlived the claim is killed. */
static int run_claimed(const char *const argv[], int fd, uint64_t at)
{
    int status;
    pid_t pid = start(argv);
    pid_t ended = 0;
    while (pid > 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0) {
        if (!mvm_store_claim_renew(fd, at)) {
            kill(pid, SIGKILL);
        }
        poll(NULL, 0, RENEW_MS);
    }
    return ended <= 0 ? 127 : exit_status(status);
}

/* ---- the file system ---- */

static bool is_empty(int fd)
{
    _Alignas(PIECE) char piece[PIECE]; /* for direct reads, too */
    for (off_t at = 0; at < EMPTY_BYTES; at += PIECE) {
        ssize_t n = pread(fd, piece, sizeof piece, at);
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] != 0) {
                return false;
            }
        }
        if (n < 0) {
            return false;
        }
    }
    return true;
}

/* Replays the journal and repairs what is safe to repair. */
static bool check(const char *device)
{
    const char *const e2fsck[] = {"e2fsck", "-p", device, NULL};
    int status = run(e2fsck);
    return (status < E2FSCK_FAILED) ||
           fail(device, status == 127 ? "there is no e2fsck" : "e2fsck leaves errors");
}

/* ---- one machine at a time ---- */

static void log_number(const char *what, const char *device, const char *before, uint64_t n,
                       const char *after)
{
    struct mvm_log_line line;
    mvm_log_begin(&line, what);
    mvm_writer_add3(&line.w, device, before, "");
    mvm_writer_add_u64(&line.w, n);
    mvm_writer_add(&line.w, after);
    mvm_log_end(&line);
}

static void log_watching(const char *device, const char *state, unsigned seconds)
{
    log_number("the store on ", device, state, seconds, " s whether a machine uses it");
}

/* The mark of a machine that has ended, and of an e2fsck that was interrupted. */
static bool clear_mark(const char *device)
{
    const char *const tune2fs[] = {"tune2fs", "-f", "-E", "clear_mmp", device, NULL};
    return run(tune2fs) == 0 || fail(device, "tune2fs failed, or is not there");
}

static bool may_use(const char *device, enum mvm_store_use use)
{
    switch (use) {
    case MVM_STORE_FREE:
        return true;
    case MVM_STORE_LEFT:
        return clear_mark(device);
    case MVM_STORE_USED:
        return fail(device, in_use);
    case MVM_STORE_USE_UNKNOWN:
        break;
    }
    return fail_errno(device);
}

static bool is_ours_to_use(const char *device, const struct mvm_store_state *s)
{
    if (!mvm_store_is_free(device, s)) {
        log_watching(device, ": not released by its last machine; watching for ", s->watch_s);
    }
    return may_use(device, mvm_store_use(device, s));
}

/* A file system that was made elsewhere. A failure does not stop the start. */
static void protect(const char *device)
{
    const char *const tune2fs[] = {"tune2fs", "-O", "mmp", device, NULL};
    if (run(tune2fs) != 0) {
        mvm_init_fail("cannot protect the store on ", device,
                      "no other machine may use it: tune2fs failed, or is not there");
    }
}

static int open_direct(const char *device)
{
    return open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
}

/* Before it is mounted: the kernel alone would not notice a machine that mounts it in the same
 * moment. A file system that was made elsewhere may leave no room for a claim. */
static bool claim_free(const struct disk *d)
{
    if (d->state.end > d->claim_at) {
        return true;
    }
    int fd = open_direct(d->device);
    bool ours = may_use(d->device, fd < 0 ? MVM_STORE_USE_UNKNOWN
                                          : mvm_store_claim(fd, d->claim_at, FREE_WATCH_MS));
    if (fd >= 0) {
        close(fd);
    }
    return ours;
}

/* An ext4 file system that may be in use, or not be clean. */
static bool examine(struct disk *d, int fd)
{
    struct mvm_store_state *s = &d->state;
    if (!mvm_store_state(fd, s)) {
        return fail_errno(d->device);
    }
    if (s->end > d->size && s->end < UINT64_MAX) {
        log_number(cannot_use, d->device, ": it is smaller than its file system: make it ", s->end,
                   " bytes long, or longer");
        return false;
    }
    if (!is_ours_to_use(d->device, s) || (!s->clean && !check(d->device))) {
        return false;
    }
    if (!s->is_protected) {
        protect(d->device);
        mvm_store_state(fd, s);
    }
    return claim_free(d);
}

/* mkfs.ext4 writes the superblock last, when all else is on the disk: another machine does not find
 * a file system that is not finished. */
static bool format(const struct disk *d, int fd)
{
    char kibibytes[24];
    struct mvm_writer w;
    mvm_writer_init(&w, kibibytes, sizeof kibibytes);
    mvm_writer_add_u64(&w, d->claim_at / 1024);
    mvm_writer_add(&w, "k");
    const char *const mkfs[] = {"mkfs.ext4", "-q",      "-O",      "mmp", "-L",
                                "mvm-store", d->device, kibibytes, NULL};
    mvm_log("the store's disk is empty: formatting ", d->device, NULL);
    return run_claimed(mkfs, fd, d->claim_at) == 0 ||
           fail(d->device, "mkfs.ext4 failed, or is not there");
}

/* On a disk that was empty, unless another machine has begun to do the same. */
static bool make_file_system(const struct disk *d)
{
    int fd = open_direct(d->device);
    if (fd < 0) {
        return fail_errno(d->device);
    }
    log_watching(d->device, ": empty; watching for ", EMPTY_WATCH_S);
    enum mvm_store_use use = mvm_store_claim(fd, d->claim_at, EMPTY_WATCH_S * 1000);
    if (use == MVM_STORE_FREE && !is_empty(fd)) {
        use = MVM_STORE_USED;
    }
    bool made = may_use(d->device, use) && format(d, fd);
    close(fd);
    return made;
}

static bool prepare_fd(struct disk *d, int fd)
{
    const char *type = mvm_posix_superblock_type(fd);
    if (type == NULL && is_empty(fd)) {
        return make_file_system(d) && examine(d, fd);
    }
    if (type == NULL || strcmp(type, "ext4") != 0) {
        return fail(d->device, "it holds something other than an ext4 file system");
    }
    return examine(d, fd);
}

/* While a device is mounted, in whichever namespace, it has no exclusive open. */
static const char *unusable(const char *device, int fd)
{
    int alone = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
    if (alone < 0 && errno == EBUSY) {
        return "it has the root file system, or is mounted already: name another disk";
    }
    if (alone >= 0) {
        close(alone);
    }
    return mvm_posix_device_is_read_only(fd) ? "the device is read-only" : NULL;
}

/* Makes or checks it. */
static bool prepare(struct disk *d)
{
    int fd = mvm_init_device_open(d->device);
    if (fd < 0) {
        return fail_errno(d->device);
    }
    off_t end = lseek(fd, 0, SEEK_END);
    const char *why = end > 0 ? unusable(d->device, fd) : "not a disk";
    d->size = end > 0 ? (uint64_t)end : 0;
    d->claim_at = mvm_store_claim_at(d->size);
    bool prepared = why == NULL ? prepare_fd(d, fd) : fail(d->device, why);
    close(fd);
    return prepared;
}

/* Grows the file system on a disk that was made larger. A failure does not stop the start.
 */
static void grow(const struct disk *d)
{
    int fd = open(staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t blocks = d->claim_at >> d->state.block_bits;
    if (fd < 0) {
        fail_errno(d->device);
    } else if (ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks) < 0) {
        mvm_init_fail("cannot grow the store on ", d->device, mvm_posix_error_text(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* A new store begins as a copy of the root file system's. The name that marks it as complete is
 * created last: an interrupted copy is made again. */
static bool seed(const char *device)
{
    static const char mark[] = "/run/mvm-store/.mvm-store";
    const char *const cp[] = {"cp", "-a", "/nix/.", staging, NULL};
    if (access(mark, F_OK) == 0) {
        return true;
    }
    if (run(cp) != 0) {
        return fail(device, "cannot copy the root's own /nix to it");
    }
    sync();
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return fail_errno(device);
    }
    close(fd);
    return true;
}

/* The kernel's own look at MMP comes last: it refuses what another machine has taken meanwhile. */
static bool mount_device(const struct disk *d)
{
    struct mvm_posix_kmsg log;
    mvm_posix_kmsg_open(&log);
    bool mounted = mount(d->device, staging, "ext4", MS_NODEV, NULL) == 0;
    int error = errno;
    if (!mounted && !mvm_store_is_free(d->device, &d->state)) {
        fail(d->device, in_use);
    } else if (!mounted) {
        mvm_init_fail_mount(cannot_use, d->device, "ext4", error, &log);
    }
    mvm_posix_kmsg_close(&log);
    return mounted;
}

static bool mount_store(const struct disk *d)
{
    const char *device = d->device;
    if ((mkdir(nix_dir, 0755) < 0 && errno != EEXIST) ||
        (mkdir(staging, 0700) < 0 && errno != EEXIST)) {
        return fail_errno(device);
    }
    if (!mount_device(d)) {
        return false;
    }
    if (d->state.end < d->claim_at) {
        grow(d);
    }
    bool done =
        seed(device) && (mount(staging, nix_dir, NULL, MS_MOVE, NULL) == 0 || fail_errno(device));
    if (!done) {
        umount2(staging, 0);
    }
    return done;
}

/* ---- nix's limits ---- */

static bool has_option(const struct mvm_options *o, const char *name)
{
    for (size_t i = 0; i < o->executor.nix_options_len; i++) {
        if (strcmp(o->nix_options[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* `text` is the option's value, in static memory. */
static void add_option(struct mvm_options *o, const char *name, char *text, size_t cap,
                       uint64_t value)
{
    struct mvm_writer w;
    if (has_option(o, name)) {
        return;
    }
    if (o->executor.nix_options_len == MVM_NIX_OPTIONS_MAX) {
        mvm_log("the store may fill up: no room for the nix option ", name, NULL);
        return;
    }
    mvm_writer_init(&w, text, cap);
    mvm_writer_add_u64(&w, value);
    o->nix_options[o->executor.nix_options_len++] = (struct mvm_nix_option){name, text};
}

bool mvm_init_store(struct mvm_options *o)
{
    static char min_free[24], max_free[24];
    struct disk d = {.device = o->store};
    if (!prepare(&d) || !mount_store(&d)) {
        return false;
    }
    add_option(o, "min-free", min_free, sizeof min_free, d.size / 10);
    add_option(o, "max-free", max_free, sizeof max_free, d.size / 4);
    mvm_log("the nix store is on ", o->store, NULL);
    return true;
}
